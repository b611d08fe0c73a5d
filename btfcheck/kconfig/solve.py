# SPDX-License-Identifier: MIT
"""The smallest ways out of a whole tree, and the proof where there is none: by python-sat.

The encoding proposes, evaluation disposes: a set of moves that does not hold when it is evaluated
is ruled out, and the search goes on. Impossible is said only where the clauses have no solution
whatever a user sets and the tools answer; where it hangs on which compiler there is, or on an answer
that is part of a line, the clash quotes that line too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import combinations
from typing import Any

from pysat.examples.rc2 import RC2
from pysat.formula import WCNF
from pysat.solvers import Solver

from btfcheck.kconfig.encoding import Encoding, Move
from btfcheck.kconfig.proposal import Clash, Edit, Edits, Trial, Way, Ways, rank, smallest
from btfcheck.kconfig.why import clause

_LAST = 100  # what a last resort costs: more than any number of other changes
_MOST = 256  # ways of one size; each is evaluated
_ENOUGH = 3  # ways; where the smallest are fewer, the next larger ones are told too
_MISSES = 100  # proposals that evaluation may refute before the search ends without an answer
_GIVEN_UP = 3  # goals
_MANY = 6  # goals; of so many every combination is looked at


def ways(trial: Trial, goals: Mapping[str, str]) -> Ways:
    """The smallest ways to all goals, or a proof that there is none and the ways that give up the fewest."""
    trial.aim({})
    before = trial.snapshot(frozenset())
    trial.aim(goals)
    nameless = trial.undefined
    defined = {g: v for g, v in goals.items() if g not in nameless}
    trial.base()
    encoding = Encoding(trial.kconf, defined)
    found: list[Way] = []
    settled = True
    for count in range(len(nameless), min(len(goals), len(nameless) + _GIVEN_UP + 1)):
        for others in combinations(sorted(defined), count - len(nameless)):
            search = _Search(trial, encoding, others)
            found += [trial.way(e, (*nameless, *others), before) for e in search.run()]
            settled = settled and search.settled
        if found:
            break
    clashes: tuple[Clash, ...] = ()
    granted = any(not way.given_up for way in found)
    if not granted:
        trial.aim(defined)
        clashes = tuple(_clashes(trial, encoding))
    answered = granted or bool(clashes) or bool(nameless)
    return Ways(tuple(sorted(found, key=rank)), clashes, settled and answered)


class _Search:
    """The smallest sets of moves that grant all goals but those `given_up`."""

    def __init__(self, trial: Trial, encoding: Encoding, given_up: Sequence[str]) -> None:
        self.trial = trial
        self.encoding = encoding
        self.given_up = given_up
        self.settled = True
        self._wrong = 0

    def run(self) -> list[Edits]:
        """The sets, each of them evaluated; `settled` is false where there may be more."""
        self.trial.aim({g: v for g, v in self.encoding.goals.items() if g not in self.given_up})
        found: list[Edits] = []
        best = None
        with RC2(self._formula()) as solver:
            while True:
                model = solver.compute()
                if model is None or (best is not None and solver.cost > best and len(found) >= _ENOUGH):
                    break
                if best is not None and solver.cost > best + 1:
                    break
                if len(found) == _MOST:
                    self.settled = False
                    break
                true = set(model)
                moves = [literal for literal in self.encoding.moves if literal in true]
                edits = self._edits(moves, true)
                if edits is None:
                    self._wrong += 1
                    if self._wrong > _MISSES:
                        self.settled = False
                        break
                    solver.add_clause(self._just_these(true))
                    continue
                best = solver.cost if best is None else best
                found.append(edits)
                if not moves:
                    break
                solver.add_clause([-literal for literal in moves])
        return smallest(found)

    def _formula(self) -> Any:
        encoding = self.encoding
        formula = WCNF()  # filled by hand: its append() takes longer than the search
        formula.nv = encoding.count
        formula.hard = [*encoding.clauses, *([literal] for literal in encoding.lines)]
        for goal, literal in encoding.granted.items():
            sign = -1 if goal in self.given_up else 1
            formula.hard += [[sign * literal], [sign * encoding.wishes[goal]]]
        formula.soft = [[-literal] for literal in encoding.moves]
        formula.wght = [_LAST if move.last else 1 for move in encoding.moves.values()]
        formula.topw = sum(formula.wght) + 1
        return formula

    def _edits(self, moves: Sequence[int], true: Set[int]) -> Edits | None:
        """The moves as edits that hold; None where they do not."""
        encoding = self.encoding
        edits = {literal: _edit(encoding.moves[literal], true) for literal in moves}
        if not self.trial.holds(frozenset(edits.values())):
            return None
        for literal in moves:  # numbers: the nearest will do
            move = encoding.moves[literal]
            for _, text in move.options:
                nearer = {**edits, literal: edits[literal]._replace(value=text)}
                if self.trial.holds(frozenset(nearer.values())):
                    edits = nearer
                    break
        return frozenset(edits.values())

    def _just_these(self, true: Set[int]) -> list[int]:
        """The clause that rules out just this set of moves."""
        switches = [o for move in self.encoding.moves.values() for o, _ in move.options]
        switches += [literal for literal, move in self.encoding.moves.items() if not move.options]
        return [-s if s in true else s for s in switches]


def _edit(move: Move, true: Set[int]) -> Edit:
    value = next((text for literal, text in move.options if literal in true), move.value)
    return Edit(move.name, value, move.tool)


def _clashes(trial: Trial, encoding: Encoding) -> Iterator[Clash]:
    """The smallest sets of goals that exclude each other, each with the lines that make them."""
    state = trial.state(frozenset())
    with Solver("glucose4", bootstrap_with=encoding.clauses) as solver:
        for goals in _clashing(solver, encoding):
            core = _core(solver, [encoding.granted[g] for g in goals], list(encoding.lines))
            written = [encoding.lines[literal] for literal in core]
            written.sort(key=lambda line: line[0] not in goals)
            yield Clash(goals, tuple((name, clause(state, line)) for name, line in written))


def _clashing(solver: Any, encoding: Encoding) -> Iterator[tuple[str, ...]]:
    """The goals that cannot be had together, as few as do: each such set, or of many goals one."""

    def possible(goals: Sequence[str]) -> bool:
        return bool(solver.solve(assumptions=[*(encoding.granted[g] for g in goals), *encoding.lines]))

    every = sorted(encoding.goals)
    if possible(every):
        return
    if len(every) > _MANY:
        for goal in every:
            fewer = [g for g in every if g != goal]
            every = every if possible(fewer) else fewer
        yield tuple(every)
        return
    found: list[Set[str]] = []
    for count in range(1, len(every) + 1):
        for goals in combinations(every, count):
            if not any(clashing <= set(goals) for clashing in found) and not possible(goals):
                found.append(set(goals))
                yield goals


def _core(solver: Any, goals: list[int], lines: list[int]) -> list[int]:
    """The lines without any of which the goals, which clash, could be had."""
    solver.solve(assumptions=[*goals, *lines])
    needed = set(solver.get_core() or ())
    core = [literal for literal in lines if literal in needed]
    for literal in reversed(core):  # the farthest from the goals first
        fewer = [x for x in core if x in needed and x != literal]
        if literal in needed and not solver.solve(assumptions=[*goals, *fewer]):
            needed = set(solver.get_core() or ())
    return [literal for literal in core if literal in needed]
