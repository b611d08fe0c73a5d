# SPDX-License-Identifier: MIT
"""The search for ways out that needs no solver: backwards from the clauses that block.

What it finds is a guess until the trial confirms it. That there is no other way is not claimed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import kconfiglib as kl

from btfcheck.kconfig.proposal import Edit, Edits, Trial, Way, smallest
from btfcheck.kconfig.state import State, asks, conditions
from btfcheck.kconfig.why import kind

_DEPTH = 8  # links followed back from a clause to something that can be set
_MOST = 64  # guesses kept at each step
_MANY = 16  # selects of one symbol in a tree; those who want it ask for it by name
_ROUNDS = 4  # an edit may bring the next clause to light; real goals need at most 3
_BUDGET = 20_000  # symbols looked at in one round of guesses
_LARGEST = 10  # edits in one proposal; another compiler alone is five


class Guesses:
    """The proposals that one Trial confirms."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.kconf = trial.kconf
        self._budget = 0

    def run(self, goals: Mapping[str, str]) -> list[Way]:
        """Ways that grant every goal; where none is found those that give up one, or two."""
        self.trial.aim({})
        before = self.trial.snapshot(frozenset())
        found = self._solve(goals, (), before)
        for count in (1, 2):
            if found or count >= len(goals):
                break
            for given_up in combinations(sorted(goals), count):
                kept = {g: v for g, v in goals.items() if g not in given_up}
                found += self._solve(kept, given_up, before)
        return found

    def _solve(self, goals: Mapping[str, str], given_up: Sequence[str], before: Mapping[str, str]) -> list[Way]:
        trial = self.trial
        trial.aim(goals)
        self._budget = _BUDGET
        if trial.undefined:
            return []
        starts: list[Edits] = [frozenset()]
        for name in given_up:
            if name in self.kconf.syms:
                off = self._off(trial.state(frozenset()), self.kconf.syms[name], 0)
                starts = _product(starts, off)
        good: list[Edits] = []
        seen: set[Edits] = set()
        frontier = starts
        for _ in range(_ROUNDS):
            seen.update(frontier)
            good += [e for e in frontier if trial.holds(e)]
            frontier = [e for e in frontier if not trial.holds(e) and len(e) < _LARGEST]
            following = dict.fromkeys(n for e in frontier for n in self._next(e))
            frontier = [e for e in following if e not in seen and not any(g <= e for g in good)]
            frontier = frontier[:_MOST]
            if not frontier:
                break
        good += [e for e in frontier if trial.holds(e)]
        return [trial.way(e, given_up, before) for e in smallest(trial.trimmed(e, given_up) for e in good)]

    def _next(self, edits: Edits) -> list[Edits]:
        """The edits with one more guess each at what would grant a goal that is not."""
        state = self.trial.state(edits)
        self._budget = _BUDGET
        for name, value in self.trial.goals.items():
            if not self.trial.granted(state, name, value):
                symbol = self.kconf.syms[name]
                guesses = self._on(state, symbol, 0) if value != "n" else self._off(state, symbol, 0)
                return [e for e in _product([edits], guesses) if self._sensible(e) and e != edits]
        return []

    def _sensible(self, edits: Edits) -> bool:
        names = [e.name for e in edits]
        if len(names) != len(set(names)) or len(edits) > _LARGEST:
            return False
        for edit in edits:
            if edit.name in self.trial.goals and edit.value != self.trial.goals[edit.name]:
                return False
            choice = self.kconf.syms[edit.name].choice if edit.name in self.kconf.syms else None
            if choice and edit.value == "y":
                rivals = {s.name for s in choice.syms if s.name != edit.name}
                if any(self.trial.goals.get(r) == "y" for r in rivals) or any(r in names for r in rivals):
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
            is_goal = self.trial.goals.get(name, "n") != "n"  # m is as good: what else it needs is the same
            here: list[Edits] = [frozenset() if is_goal else frozenset([Edit(name, "y")])]
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
            rivals = [s for s in symbol.choice.syms if s is not symbol and self.trial.goals.get(s.name) != "n"]
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
