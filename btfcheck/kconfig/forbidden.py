# SPDX-License-Identifier: MIT
"""What a .config sets and its release's Kconfig does not allow: edited by hand, or from a patched tree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import kconfiglib as kl

from btfcheck.kconfig.dialect import KernelKconfig, Origin
from btfcheck.kconfig.state import State, asks, conditions
from btfcheck.kconfig.why import Clause, clause


class Forbidden(NamedTuple):
    """A symbol that is on and must not be.

    `clauses` are the ones that forbid it; empty when the release has no such symbol (`defined`
    is false) or nothing turns it on. `certain` is false when only some of the candidate texts
    of the release forbid it; `origins` are those.
    """

    symbol: str
    value: str
    clauses: tuple[Clause, ...]
    defined: bool
    certain: bool
    origins: tuple[Origin, ...]


def forbidden(
    kconfigs: Iterable[KernelKconfig], values: Mapping[str, str | None], names: Iterable[str]
) -> tuple[Forbidden, ...]:
    """Which of `names` a complete .config turns on against its Kconfig.

    Each symbol is judged with every other at its recorded value, so one wrong symbol does not
    drag along those that follow from it. Unknown values are taken in the symbol's favour.
    """
    loaded = list(kconfigs)
    found: dict[str, list[Forbidden]] = {}
    wanted = [n for n in names if values.get(n) in ("y", "m")]
    for kconf in loaded:
        for item in _judge(kconf, values, wanted):
            found.setdefault(item.symbol, []).append(item)
    return tuple(
        Forbidden(
            name,
            items[0].value,
            items[0].clauses,
            items[0].defined,
            len(items) == len(loaded),
            tuple(o for i in items for o in i.origins),
        )
        for name, items in found.items()
    )


def _judge(kconf: KernelKconfig, values: Mapping[str, str | None], names: Iterable[str]) -> Iterable[Forbidden]:
    recorded = {n: v for n, v in values.items() if v is not None}
    hold = {
        s.name: recorded.get(s.name, "n")
        for s in kconf.unique_defined_syms
        if s.name not in kconf.leaves
        and s.orig_type in (kl.BOOL, kl.TRISTATE)
        and recorded.get(s.name, "n") in kl.STR_TO_TRI
    }
    state = State(kconf, values, hold=hold)
    for name in names:
        symbol = kconf.syms.get(name)
        value = recorded[name]
        if symbol is None or not symbol.nodes:
            yield Forbidden(name, value, (), False, True, (kconf.origin,))
        elif name in kconf.leaves or symbol.transitional:
            continue
        elif _most(state, symbol) < kl.STR_TO_TRI[value]:
            parts = [clause(state, c) for c in conditions(kconf, symbol)]
            blocking = tuple(p for p in parts if p.value == "n")
            yield Forbidden(name, value, blocking, True, True, (kconf.origin,))


def _most(state: State, symbol: Any) -> int:
    """The greatest value the Kconfig files grant, all else as recorded."""
    if asks(symbol):
        most = max(state.visible(symbol)[1], state.selected(symbol)[1])
        if most or symbol.choice:
            return 2 if symbol.orig_type is kl.BOOL and most else most
    given = symbol.given
    symbol.give(None)
    state.forget()
    most = state.bounds(symbol)[1]
    symbol.give(given)
    state.forget()
    return most
