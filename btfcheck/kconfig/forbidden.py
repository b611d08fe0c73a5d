# SPDX-License-Identifier: MIT
"""What a .config sets and its release's Kconfig does not allow: edited by hand, or from a patched tree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import kconfiglib as kl

from btfcheck.kconfig.dialect import KernelKconfig, Origin
from btfcheck.kconfig.state import State, asks, conditions
from btfcheck.kconfig.why import Clause, clause

_TRISTATES = (kl.BOOL, kl.TRISTATE)


class Forbidden(NamedTuple):
    """A symbol that is on and must not be.

    `clauses` are the ones that forbid it; empty when the release has no such symbol (`defined`
    is false) or nothing turns it on. `certain` is false when only some of the candidate texts
    of the release forbid it; `origins` are those. `by_tools` tells that today's tools do, and those of
    the configuration did not.
    """

    symbol: str
    value: str
    clauses: tuple[Clause, ...]
    defined: bool
    certain: bool
    origins: tuple[Origin, ...]
    by_tools: bool = False


def forbidden(
    kconfigs: Iterable[KernelKconfig],
    values: Mapping[str, str | None],
    names: Iterable[str],
    tools: Mapping[str, str | None] | None = None,
) -> tuple[Forbidden, ...]:
    """Which of `names` a complete .config turns on against its Kconfig.

    Each symbol is judged with every other at its recorded value, so one wrong symbol does not
    drag along those that follow from it. Unknown values are taken in the symbol's favour. With
    `tools`, the leaves as today's tools have them, what is granted is judged with these, too.
    """
    loaded = list(kconfigs)
    found: dict[str, list[Forbidden]] = {}
    wanted = [n for n in names if values.get(n) in ("y", "m")]
    for kconf in loaded:
        for item in _judge(kconf, values, wanted, tools):
            found.setdefault(item.symbol, []).append(item)
    return tuple(
        Forbidden(
            name,
            items[0].value,
            items[0].clauses,
            items[0].defined,
            len(items) == len(loaded),
            tuple(o for i in items for o in i.origins),
            items[0].by_tools,
        )
        for name, items in found.items()
    )


def _judge(
    kconf: KernelKconfig, values: Mapping[str, str | None], names: Iterable[str], tools: Mapping[str, str | None] | None
) -> Iterable[Forbidden]:
    recorded = {n: v for n, v in values.items() if v is not None}
    words = {
        s.name: recorded.get(s.name, "n")
        for s in kconf.unique_defined_syms
        if s.orig_type in _TRISTATES and s.name not in kconf.leaves
    }
    state = State(kconf, values, hold={n: word for n, word in words.items() if word in kl.STR_TO_TRI})
    found = {name: item for name in names if (item := _of(state, name, recorded[name]))}
    yield from found.values()
    if tools is not None:
        state.take_leaves(tools)
        for name in names:
            if name not in found and (item := _of(state, name, recorded[name])):
                yield item._replace(by_tools=True)


def _of(state: State, name: str, value: str) -> Forbidden | None:
    kconf = state.kconf
    symbol = kconf.syms.get(name)
    if symbol is None or not symbol.nodes:
        return Forbidden(name, value, (), False, True, (kconf.origin,))
    if name in kconf.leaves or symbol.transitional or _most(state, symbol) >= kl.STR_TO_TRI[value]:
        return None
    parts = [clause(state, c) for c in conditions(kconf, symbol)]
    return Forbidden(name, value, tuple(p for p in parts if p.value == "n"), True, True, (kconf.origin,))


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
