# SPDX-License-Identifier: MIT
"""What a search for ways out yields, and the trial by evaluation that every proposal has to pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import kconfiglib as kl

from btfcheck.kconfig.dialect import KernelKconfig, Origin
from btfcheck.kconfig.state import State, asks, conditions
from btfcheck.kconfig.why import Clause, ask, clause


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
        """Whether it asks for an older tool than there is, or for one that lacks something."""
        numbers = self.value.isdigit() and self.was.isdigit()
        return self.tool and (self.value == "n" or (numbers and int(self.value) < int(self.was)))


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
    """Goals that cannot be had together: with these lines there, whatever else is set.

    `lines` are (symbol, clause that it has), the nearest to the goals first; none where the goals
    exclude each other without one, as two members of a choice do.
    """

    goals: tuple[str, ...]
    lines: tuple[tuple[str, Clause], ...]

    @property
    def of_tools(self) -> bool:
        """Whether it holds for the tools that were asked, and may not for others."""
        return any("$(" in clause.text for _, clause in self.lines)


class Ways(NamedTuple):
    """`clashes` prove that the goals cannot all be had. `settled`: whether the search was one that
    finds every smallest way; else that none was found does not mean that there is none.
    `lacks_solver`: whether python-sat, which is not installed, would settle it."""

    ways: tuple[Way, ...]
    clashes: tuple[Clash, ...]
    settled: bool = False
    lacks_solver: bool = False

    @property
    def impossible(self) -> bool:
        return bool(self.clashes)

    @property
    def unknown(self) -> bool:
        """Whether there may be a way out that gives up nothing, and was not found."""
        return not (self.settled or self.clashes or any(not way.given_up for way in self.ways))


Edits = frozenset[Edit]
Values = Mapping[str, "str | None"]


def rank(way: Way) -> tuple[Any, ...]:
    """The order of ways, best first: by what is given up, by edits, then by what else changes."""
    tools = sum(e.tool for e in way.edits)
    lowers = sum(e.lowers for e in way.edits)
    return len(way.given_up), len(way.edits), lowers, len(way.lost), tools, len(way.changes), way.edits


class Trial:
    """One Kconfig with one set of values, in which edits are tried; `goals` are to be granted."""

    def __init__(self, kconf: KernelKconfig, values: Values, complete: bool) -> None:
        self.kconf = kconf
        self.values = values
        self.complete = complete
        self.goals: dict[str, str] = {}
        self._tried: dict[Edits, bool] = {}
        self._base: State | None = None
        self._moved: dict[str, int] = {}  # name -> the turn its symbol had

    def aim(self, goals: Mapping[str, str]) -> None:
        """Try for these from now on."""
        self.goals = dict(goals)
        self._tried = {}

    @property
    def undefined(self) -> tuple[str, ...]:
        """The goals that this Kconfig has no symbol for."""
        return tuple(g for g in self.goals if g not in self.kconf.syms or not self.kconf.syms[g].nodes)

    def base(self) -> State:
        """A whole tree with the values as they are, without goals."""
        if self._base is None or self.kconf.state is not self._base:
            self._base, self._moved = State(self.kconf, self.values), {}
        self._say({name: self.values.get(name) for name in sorted(self._moved, key=lambda n: self._moved[n])})
        self._moved = {}
        return self._base

    def state(self, edits: Edits) -> State:
        """The values with the goals and the edits set."""
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
        state = self.base()
        syms = self.kconf.syms
        wanted = {n: v for n, v in [*self.goals.items(), *((e.name, e.value) for e in sorted(edits))] if n in syms}
        said: dict[str, str | None] = {}
        for name in wanted:
            members = syms[name].choice.syms if syms[name].choice else ()
            taken = any(wanted.get(m.name) == "y" for m in members)
            for member in sorted(members, key=lambda m: m.turn):  # the last that is set to y counts
                said[member.name] = "n" if taken else self.values.get(member.name)
        for name, value in wanted.items():
            said.pop(name, None)
            said[name] = value
        self._moved = {name: syms[name].turn for name in said}
        self._say(said)
        return state

    def _say(self, values: Mapping[str, str | None]) -> None:
        """Set symbols, in this order; None is to say nothing of them."""
        syms = self.kconf.syms
        for name in values:
            if syms[name].choice or values[name] is None:
                syms[name].unset_value()
        for name, value in values.items():
            if name in self.kconf.leaves:
                syms[name].give(value)
            elif value is not None:
                syms[name].set_value(value)
        self.kconf.settle()

    def holds(self, edits: Edits) -> bool:
        """Whether every goal is granted."""
        if edits not in self._tried:
            state = self.state(edits)
            self._tried[edits] = all(self.granted(state, g, v) for g, v in self.goals.items())
        return self._tried[edits]

    def granted(self, state: State, name: str, value: str) -> bool:
        """Whether a symbol has the value, as far as can be told."""
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

    def gone(self, edits: Edits, names: Sequence[str]) -> bool:
        """Whether these symbols are off."""
        state = self.state(edits)
        return all(n not in self.kconf.syms or state.bounds(self.kconf.syms[n])[1] == 0 for n in names)

    def trimmed(self, edits: Edits, given_up: Sequence[str]) -> Edits:
        """The edits without those that turn out not to be needed."""
        for edit in sorted(edits):
            fewer = edits - {edit}
            kept = edit.name in given_up and self.values.get(edit.name, "n") != edit.value
            if not kept and self.holds(fewer) and (not given_up or self.gone(fewer, given_up)):
                edits = fewer
        return edits

    # What a set of edits amounts to.

    def snapshot(self, edits: Edits) -> dict[str, str]:
        """The value of every symbol that is no fact."""
        state = self.state(edits)
        symbols = self.kconf.unique_defined_syms
        if self.kconf.reach and not self.complete:  # of a whole tree a fragment says little
            symbols = [self.kconf.syms[n] for n in self.values if n in self.kconf.syms]
        return {s.name: state.text(s) for s in symbols if s.name not in self.kconf.leaves}

    def way(self, edits: Edits, given_up: Sequence[str], before: Mapping[str, str]) -> Way:
        """The edits as a way out; `before` is the snapshot that its changes are counted from."""
        after = self._after(edits) if self.kconf.reach and self.complete else self.snapshot(edits)
        changes = tuple(
            (n, before[n], after[n]) for n in sorted(after) if after[n] != before[n] and n not in self.goals
        )
        state = self.state(edits)
        unsure = [
            f"{name}: {c.text}"
            for name in self.goals
            for c in (clause(state, w) for w in conditions(self.kconf, self.kconf.syms[name]))
            if c.value == "unknown"
        ]
        lto = before.get("LTO", "n")
        instead = self.kconf.instead_of_lto if after.get("LTO", lto) == "n" != lto else ()
        return Way(
            tuple(sorted({self._shown(e) for e in edits})),
            tuple(given_up),
            changes,
            tuple(n for n in instead if n not in self.kconf.syms or self._now(state, n) != "y"),
            tuple(dict.fromkeys(unsure)),
            (self.kconf.origin,),
            edits,
        )

    def _now(self, state: State, name: str) -> str:
        return state.text(self.kconf.syms[name])

    def _after(self, edits: Edits) -> dict[str, str]:
        """The values of what may have changed since the base, in a whole tree."""
        state = self.state(edits)
        moved = [self.kconf.syms[n] for n in self._moved]
        if self.kconf.modules in moved:  # decides the type of every tristate
            moved = self.kconf.unique_defined_syms
        seen = set(moved)
        queue = list(moved)
        for item in queue:
            queue += (more := [x for x in item._dependents if x not in seen])
            seen.update(more)
        symbols = (x for x in queue if x.__class__ is kl.Symbol and x.nodes and x.name not in self.kconf.leaves)
        return {x.name: state.text(x) for x in symbols}

    def _shown(self, edit: Edit) -> Edit:
        """The edit as a user makes it, with the value there is now."""
        setter = self.kconf.setters.get(edit.name, {}).get(edit.value)
        shown = Edit(setter, "y") if setter else edit
        value = self.values.get(shown.name, "n" if self.complete else None)
        return shown._replace(was="" if value is None else value)


def smallest(sets: Iterable[Edits]) -> list[Edits]:
    """Those of which no other is a part."""
    different = list(dict.fromkeys(sets))
    return [e for e in different if not any(other < e for other in different)]
