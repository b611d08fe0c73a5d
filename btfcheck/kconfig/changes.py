# SPDX-License-Identifier: MIT
"""What to change so that the wanted symbols are granted, and which clauses make that impossible.

Every Way was evaluated, so every Way is right. Of a whole tree the solver (python-sat, where it is
installed) finds every smallest one, or proves that there is none; else a search guesses, and that it
found nothing proves nothing. A Clash holds whatever everything else is set to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from btfcheck.kconfig.dialect import KernelKconfig
from btfcheck.kconfig.guess import Guesses
from btfcheck.kconfig.proposal import Clash, Edit, Trial, Values, Way, Ways, rank
from btfcheck.kconfig.state import State, asks, conditions
from btfcheck.kconfig.why import Clause, clause

__all__ = ["Clash", "Edit", "Way", "Ways", "clash", "ways_out"]


def ways_out(
    kconfigs: Iterable[KernelKconfig], goals: Mapping[str, str], values: Values, *, complete: bool = True
) -> Ways:
    """The smallest changes to `values` that give every goal its value.

    When that cannot be, the ways that give up one goal (or two). Several candidate texts: a way
    is kept when it holds in all of them, else those that hold in some.
    """
    loaded = list(kconfigs)
    trial = Trial(loaded[0], values, complete) if len(loaded) == 1 and complete and loaded[0].reach else None
    if trial is None or trial.base().unknown:
        return _guessed(loaded, goals, values, complete)
    try:
        from btfcheck.kconfig import solve
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "pysat":
            raise
        return _guessed(loaded, goals, values, complete)._replace(lacks_solver=True)
    return solve.ways(trial, goals)


def _guessed(loaded: list[KernelKconfig], goals: Mapping[str, str], values: Values, complete: bool) -> Ways:
    clashes = [clash(k, goals) for k in loaded]
    proven = tuple(dict.fromkeys(c for found in clashes for c in found)) if all(clashes) else ()
    trials = [Trial(kconf, values, complete) for kconf in loaded]
    found: dict[tuple[Any, ...], Way] = {}
    for trial in trials:
        for way in Guesses(trial).run(goals):
            found.setdefault((way.edits, way.given_up), way)
    ways = [
        way._replace(origins=tuple(t.kconf.origin for t in trials if _works(t, goals, way))) for way in found.values()
    ]
    everywhere = [w for w in ways if len(w.origins) == len(loaded)]
    return Ways(tuple(sorted(everywhere or ways, key=rank)), proven)


def _works(trial: Trial, goals: Mapping[str, str], way: Way) -> bool:
    """Whether a way found in one text holds in another."""
    trial.aim({g: v for g, v in goals.items() if g not in way.given_up})
    return not trial.undefined and trial.holds(way.modelled)


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
        found.append(Clash(tuple(sorted((name, *needed))), ((name, final),)))
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
