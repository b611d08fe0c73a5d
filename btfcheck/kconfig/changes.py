# SPDX-License-Identifier: MIT
"""What to change so that the wanted symbols are granted, and which clauses make that impossible.

The search goes backwards from the clauses that block; what it finds is a guess until the values
are set and evaluated, and only what then holds is returned. So every Way is right; that there is
no other is not claimed, except by a Clash, which holds whatever everything else is set to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import kconfiglib as kl

from btfcheck.kconfig.dialect import KernelKconfig, Origin
from btfcheck.kconfig.state import State, asks, conditions
from btfcheck.kconfig.why import Clause, ask, clause, kind

_DEPTH = 8  # links followed back from a clause to something that can be set
_MOST = 64  # guesses kept at each step
_MANY = 16  # selects of one symbol in a tree; those who want it ask for it by name
_ROUNDS = 4  # an edit may bring the next clause to light; real goals need at most 3
_BUDGET = 20_000  # symbols looked at in one round of guesses
_LARGEST = 10  # edits in one proposal; another compiler alone is five


class Edit(NamedTuple):
    """One change: a symbol the user sets, or (`tool`) what the build's tools must be.

    A number for a tool is the nearest that will do: PAHOLE_VERSION 124 for `>= 124`. `was` is
    the value now, "" where that is not known.
    """

    name: str
    value: str
    tool: bool = False
    was: str = ""

    @property
    def lowers(self) -> bool:
        """Whether it asks for an older tool than there is."""
        return self.tool and self.value.isdigit() and self.was.isdigit() and int(self.value) < int(self.was)


class Way(NamedTuple):
    """Edits that grant the goals (less those `given_up`), checked by evaluation.

    `changes` are the other symbols whose value changes: (name, before, after). `instead` names
    what the release offers in place of LTO where this way costs LTO. `unsure` are clauses that
    something unknown decides. `origins` are the candidate texts it holds in. `modelled` are the
    edits as they were evaluated: a symbol without a prompt stands for the choice that sets it.
    """

    edits: tuple[Edit, ...]
    given_up: tuple[str, ...]
    changes: tuple[tuple[str, str, str], ...]
    instead: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()
    origins: tuple[Origin, ...] = ()
    modelled: frozenset[Edit] = frozenset()

    @property
    def lost(self) -> tuple[str, ...]:
        """Symbols that were on and go off."""
        return tuple(name for name, before, after in self.changes if before in ("y", "m") and after == "n")


class Clash(NamedTuple):
    """Goals that cannot be had together: `clause` of `symbol` is n whenever the others hold."""

    goals: tuple[str, ...]
    symbol: str
    clause: Clause


class Ways(NamedTuple):
    """`impossible` is proven by `clashes`; without ways and without clashes nothing was found."""

    ways: tuple[Way, ...]
    clashes: tuple[Clash, ...]

    @property
    def impossible(self) -> bool:
        return bool(self.clashes)


Edits = frozenset[Edit]
Values = Mapping[str, "str | None"]


def ways_out(
    kconfigs: Iterable[KernelKconfig], goals: Mapping[str, str], values: Values, *, complete: bool = True
) -> Ways:
    """The smallest changes to `values` that give every goal its value.

    When that cannot be, the ways that give up one goal (or two). Several candidate texts: a way
    is kept when it holds in all of them, else those that hold in some.
    """
    loaded = list(kconfigs)
    clashes = [clash(k, goals) for k in loaded]
    proven = tuple(dict.fromkeys(c for found in clashes for c in found)) if all(clashes) else ()
    searches = [_Search(kconf, values, complete) for kconf in loaded]
    found: dict[tuple[Any, ...], Way] = {}
    for search in searches:
        for way in search.run(goals):
            found.setdefault((way.edits, way.given_up), way)
    ways = [
        way._replace(origins=tuple(s.kconf.origin for s in searches if s.works(goals, way))) for way in found.values()
    ]
    everywhere = [w for w in ways if len(w.origins) == len(loaded)]
    return Ways(tuple(sorted(everywhere or ways, key=_rank)), proven)


def _rank(way: Way) -> tuple[Any, ...]:
    tools = sum(e.tool for e in way.edits)
    lowers = sum(e.lowers for e in way.edits)
    return len(way.given_up), len(way.edits), lowers, len(way.lost), tools, len(way.changes), way.edits


def clash(kconf: KernelKconfig, goals: Mapping[str, str]) -> tuple[Clash, ...]:
    """Proof that goals exclude each other: a clause that is n with the other goals held, all else open."""
    found = []
    wanted = [g for g, v in goals.items() if v != "n" and g in kconf.syms and kconf.syms[g].nodes]
    for name in wanted:
        others = {g: v for g, v in goals.items() if g != name and g in kconf.syms}
        blocked = _blocked(kconf, name, others)
        if blocked is None:
            continue
        needed = dict(others)
        for other in others:
            fewer = {g: v for g, v in needed.items() if g != other}
            if _blocked(kconf, name, fewer) is not None:
                needed = fewer
        final = _blocked(kconf, name, needed) or blocked
        found.append(Clash(tuple(sorted((name, *needed))), name, final))
    fewest = min((len(c.goals) for c in found), default=0)
    return tuple(c for c in found if len(c.goals) == fewest)


def _blocked(kconf: KernelKconfig, name: str, hold: Mapping[str, str]) -> Clause | None:
    symbol = kconf.syms[name]
    state = State(kconf, {}, complete=False, hold=hold, reach=kconf.reach)
    if state.selected(symbol)[1] and not asks(symbol):
        return None
    for written in conditions(kconf, symbol):
        if state.bounds(written.expr)[1] == 0:
            return clause(state, written)
    return None


class _Search:
    """The proposals for one Kconfig and one set of values."""

    def __init__(self, kconf: KernelKconfig, values: Values, complete: bool) -> None:
        self.kconf = kconf
        self.values = values
        self.complete = complete
        self.goals: dict[str, str] = {}
        self._tried: dict[Edits, bool] = {}
        self._base: State | None = None
        self._moved: set[str] = set()
        self._budget = 0

    def run(self, goals: Mapping[str, str]) -> list[Way]:
        before = self._snapshot(frozenset())
        found = self._solve(goals, (), before)
        for count in (1, 2):
            if found or count >= len(goals):
                break
            for given_up in combinations(sorted(goals), count):
                kept = {g: v for g, v in goals.items() if g not in given_up}
                found += self._solve(kept, given_up, before)
        return found

    def works(self, goals: Mapping[str, str], way: Way) -> bool:
        """Whether a way found elsewhere holds here too."""
        self._aim({g: v for g, v in goals.items() if g not in way.given_up})
        return not self._undefined() and self._holds(way.modelled)

    def _aim(self, goals: Mapping[str, str]) -> None:
        self.goals = dict(goals)
        self._tried = {}

    def _undefined(self) -> bool:
        return any(g not in self.kconf.syms or not self.kconf.syms[g].nodes for g in self.goals)

    def _solve(self, goals: Mapping[str, str], given_up: Sequence[str], before: dict[str, str]) -> list[Way]:
        self._aim(goals)
        self._budget = _BUDGET
        if self._undefined():
            return []
        starts: list[Edits] = [frozenset()]
        for name in given_up:
            if name in self.kconf.syms:
                off = self._off(self._state(frozenset()), self.kconf.syms[name], 0)
                starts = _product(starts, off)
        good: list[Edits] = []
        frontier = starts
        for _ in range(_ROUNDS):
            good += [e for e in frontier if self._holds(e)]
            frontier = [e for e in frontier if not self._holds(e) and len(e) < _LARGEST]
            following = dict.fromkeys(n for e in frontier for n in self._next(e))
            frontier = [e for e in following if e not in self._tried and not any(g <= e for g in good)]
            frontier = frontier[:_MOST]
            if not frontier:
                break
        good += [e for e in frontier if self._holds(e)]
        smallest = dict.fromkeys(self._trim(e, given_up) for e in good)
        return [self._way(e, given_up, before) for e in smallest if not any(o < e for o in smallest)]

    def _state(self, edits: Edits) -> State:
        if self.kconf.reach and self.complete:
            return self._shifted(edits)
        changed: dict[str, str | None] = {**self.values}
        # Members of a choice: the one set to y last counts, so goals and edits come last.
        for name, value in [*self.goals.items(), *((e.name, e.value) for e in sorted(edits))]:
            changed.pop(name, None)
            changed[name] = value
            symbol = self.kconf.syms.get(name)
            if value == "y" and symbol is not None and symbol.choice:
                changed |= {s.name: "n" for s in symbol.choice.syms if s.name in changed and s is not symbol}
        return State(self.kconf, changed, complete=self.complete)

    def _shifted(self, edits: Edits) -> State:
        """The same, for a whole tree: all that was said before stays, only what differs is set."""
        if self._base is None or self.kconf.state is not self._base:
            self._base, self._moved = State(self.kconf, self.values), set()
        wanted = {**self.goals, **{e.name: e.value for e in sorted(edits)}}
        symbols = {n: self.kconf.syms[n] for n in wanted if n in self.kconf.syms}
        chosen = [s for n, s in symbols.items() if s.choice and wanted[n] == "y"]
        rivals = {r.name for s in chosen for r in s.choice.syms if r is not s}
        for name in self._moved:
            self._put(name, self.values.get(name))
        self._moved = {*symbols, *rivals, *(s.name for s in chosen)}
        for name in rivals:
            self._put(name, "n")
        for name in symbols:
            self._put(name, wanted[name])
        return self._base

    def _put(self, name: str, value: str | None) -> None:
        symbol = self.kconf.syms[name]
        if name in self.kconf.leaves:
            symbol.give(value)
        elif value is None:
            symbol.unset_value()
        else:
            symbol.set_value(value)

    def _holds(self, edits: Edits) -> bool:
        if edits not in self._tried:
            state = self._state(edits)
            self._tried[edits] = all(self._granted(state, g, v) for g, v in self.goals.items())
        return self._tried[edits]

    def _granted(self, state: State, name: str, value: str) -> bool:
        symbol = self.kconf.syms[name]
        if symbol.orig_type not in (kl.BOOL, kl.TRISTATE):
            return state.text(symbol) == value
        target = kl.STR_TO_TRI.get(value, 0)
        if self.complete:
            low, high = state.bounds(symbol)
            return bool(low <= target <= high)
        # A fragment: what it states is taken as granted, so ask whether the clauses let it be.
        if not target:
            return bool(state.selected(symbol)[0] == 0)
        if not asks(symbol) and name not in self.kconf.leaves:
            ask(state, symbol, value)
            return bool(state.bounds(symbol)[1] >= target)
        return all(state.bounds(c.expr)[1] for c in conditions(self.kconf, symbol))

    def _next(self, edits: Edits) -> list[Edits]:
        """The edits with one more guess each at what would grant a goal that is not."""
        state = self._state(edits)
        self._budget = _BUDGET
        for name, value in self.goals.items():
            if not self._granted(state, name, value):
                symbol = self.kconf.syms[name]
                guesses = self._on(state, symbol, 0) if value != "n" else self._off(state, symbol, 0)
                return [e for e in _product([edits], guesses) if self._sensible(e) and e != edits]
        return []

    def _sensible(self, edits: Edits) -> bool:
        names = [e.name for e in edits]
        if len(names) != len(set(names)) or len(edits) > _LARGEST:
            return False
        for edit in edits:
            if edit.name in self.goals and edit.value != self.goals[edit.name]:
                return False
            choice = self.kconf.syms[edit.name].choice if edit.name in self.kconf.syms else None
            if choice and edit.value == "y":
                rivals = {s.name for s in choice.syms if s.name != edit.name}
                if any(self.goals.get(r) == "y" for r in rivals) or any(r in names for r in rivals):
                    return False
        return True

    # Guesses: sets of edits that may give an expression or symbol the value.

    def _make(self, state: State, expr: Any, true: bool, depth: int) -> list[Edits]:
        low, high = state.bounds(expr)
        if (low if true else 2 - high) > 0:
            return [frozenset()]
        if depth > _DEPTH:
            return []
        if expr.__class__ is not tuple:
            if isinstance(expr, kl.Choice) or expr.is_constant:
                return []
            return (self._on if true else self._off)(state, expr, depth + 1)
        if expr[0] is kl.NOT:
            return self._make(state, expr[1], not true, depth)
        if expr[0] in (kl.AND, kl.OR):
            left, right = (self._make(state, side, true, depth) for side in expr[1:])
            both = (expr[0] is kl.AND) == true
            return _product(left, right) if both else list(dict.fromkeys(left + right))[:_MOST]
        return self._compare(expr, true)

    def _compare(self, expr: Any, true: bool) -> list[Edits]:
        relation, symbol, constant = expr
        if symbol.name not in self.kconf.numbers or not constant.name.isdigit():
            return []
        number = int(constant.name)
        targets = {
            kl.GREATER_EQUAL: (number, number - 1),
            kl.GREATER: (number + 1, number),
            kl.LESS: (number - 1, number),
            kl.LESS_EQUAL: (number, number + 1),
            kl.EQUAL: (number, number + 1),
            kl.UNEQUAL: (number + 1, number),
        }
        target = targets[relation][0 if true else 1]
        return [frozenset([Edit(symbol.name, str(max(target, 0)), symbol.name in self.kconf.toolchain)])]

    def _on(self, state: State, symbol: Any, depth: int) -> list[Edits]:
        self._budget -= 1
        if depth > _DEPTH or self._budget < 0:
            return []
        name = symbol.name
        if name in self.kconf.leaves:
            return self._fact(state, name, "y")
        found: list[Edits] = []
        if asks(symbol):
            here: list[Edits] = [frozenset() if self.goals.get(name) == "y" else frozenset([Edit(name, "y")])]
            for written in conditions(self.kconf, symbol):
                here = _product(here, self._make(state, written.expr, True, depth + 1))
            found += here
        if self.kconf.reach and self.kconf.selects(symbol) > _MANY:
            return list(dict.fromkeys(found))[:_MOST]
        for selector, _ in state.selectors(symbol):
            found += self._on(state, selector, depth + 1)
        if not asks(symbol):
            for default, condition in symbol.defaults:
                value = self._make(state, default, True, depth + 1)
                found += _product(value, self._make(state, condition, True, depth + 1))
        return list(dict.fromkeys(found))[:_MOST]

    def _off(self, state: State, symbol: Any, depth: int) -> list[Edits]:
        self._budget -= 1
        if depth > _DEPTH or self._budget < 0:
            return []
        name = symbol.name
        if name in self.kconf.leaves:
            return self._fact(state, name, "n")
        if symbol.choice:
            rivals = [s for s in symbol.choice.syms if s is not symbol and self.goals.get(s.name) != "n"]
            return [e for s in rivals for e in self._on(state, s, depth + 1)]
        found: list[Edits] = [frozenset()]
        for selector, bounds in state.selectors(symbol):
            if bounds[1]:
                found = _product(found, self._off(state, selector, depth + 1))
        if asks(symbol):
            return _product(found, [frozenset([Edit(name, "n")])])
        if symbol.defaults and state.bounds(symbol)[1]:
            blocked: list[Edits] = []
            for default, condition in symbol.defaults:
                blocked += self._make(state, default, False, depth + 1)
                blocked += self._make(state, condition, False, depth + 1)
            found = _product(found, blocked)
        return found

    def _fact(self, state: State, name: str, value: str) -> list[Edits]:
        if name in self.kconf.constants or name in self.kconf.computed:
            return []
        who = kind(self.kconf, self.kconf.syms[name])
        stands_for = value in self.kconf.setters.get(name, {})
        if who == "derived" and name not in state.unknown and not stands_for:
            return []  # follows from what is not modelled
        return [frozenset([Edit(name, value, who == "toolchain")])]

    # What a set of edits amounts to.

    def _trim(self, edits: Edits, given_up: Sequence[str]) -> Edits:
        """The edits without those that turn out not to be needed."""
        for edit in sorted(edits):
            fewer = edits - {edit}
            kept = edit.name in given_up and self.values.get(edit.name, "n") != edit.value
            if not kept and self._holds(fewer) and (not given_up or self._gone(fewer, given_up)):
                edits = fewer
        return edits

    def _gone(self, edits: Edits, names: Sequence[str]) -> bool:
        state = self._state(edits)
        return all(n not in self.kconf.syms or state.bounds(self.kconf.syms[n])[1] == 0 for n in names)

    def _snapshot(self, edits: Edits) -> dict[str, str]:
        state = self._state(edits)
        symbols = self.kconf.unique_defined_syms
        if self.kconf.reach and not self.complete:  # of a whole tree a fragment says little
            symbols = [self.kconf.syms[n] for n in self.values if n in self.kconf.syms]
        return {s.name: state.text(s) for s in symbols if s.name not in self.kconf.leaves}

    def _shown(self, edit: Edit) -> Edit:
        """The edit as a user makes it, with the value there is now."""
        setter = self.kconf.setters.get(edit.name, {}).get(edit.value)
        shown = Edit(setter, "y") if setter else edit
        value = self.values.get(shown.name, "n" if self.complete else None)
        return shown._replace(was="" if value is None else value)

    def _way(self, edits: Edits, given_up: Sequence[str], before: dict[str, str]) -> Way:
        after = self._snapshot(edits)
        changes = tuple(
            (n, before[n], after[n]) for n in sorted(after) if after[n] != before[n] and n not in self.goals
        )
        state = self._state(edits)
        unsure = [
            f"{name}: {c.text}"
            for name in self.goals
            for c in (clause(state, w) for w in conditions(self.kconf, self.kconf.syms[name]))
            if c.value == "unknown"
        ]
        instead = self.kconf.instead_of_lto if after.get("LTO", "n") == "n" != before.get("LTO", "n") else ()
        return Way(
            tuple(sorted({self._shown(e) for e in edits})),
            tuple(given_up),
            changes,
            tuple(n for n in instead if n not in self.kconf.syms or after.get(n) != "y"),
            tuple(dict.fromkeys(unsure)),
            (self.kconf.origin,),
            edits,
        )


def _product(left: Iterable[Edits], right: Iterable[Edits]) -> list[Edits]:
    right = list(right)
    found = dict.fromkeys(joined for a in left for b in right for joined in _join(a, b))
    return sorted(found, key=len)[:_MOST]


def _join(left: Edits, right: Edits) -> list[Edits]:
    """Both; where they want different numbers of one tool, each of the two is worth a try."""
    both = left | right
    wanted: dict[str, list[Edit]] = {}
    for edit in both:
        wanted.setdefault(edit.name, []).append(edit)
    torn = [sorted(e, key=lambda x: int(x.value)) for e in wanted.values() if len(e) > 1 and _numbers(e)]
    if not torn:
        return [both]
    rest = both - {e for edits in torn for e in edits}
    return [rest | {edits[end] for edits in torn} for end in (0, -1)]


def _numbers(edits: Iterable[Edit]) -> bool:
    return all(e.value.isdigit() for e in edits)
