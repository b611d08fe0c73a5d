# SPDX-License-Identifier: MIT
"""What a configuration asks of a tree and does not get: what `make olddefconfig` drops without a word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import kconfiglib as kl

from btfcheck.kconfig.dialect import KernelKconfig
from btfcheck.kconfig.state import State, conditions
from btfcheck.kconfig.why import Clause, clause


class NotGranted(NamedTuple):
    """Symbols that are asked for in vain for one reason: (name, asked, gets), and the clause.

    `clause` is None where no clause is n: another member of the choice was set later, or m was
    asked of what can only be y or n.
    """

    symbols: tuple[tuple[str, str, str], ...]
    clause: Clause | None


def not_granted(kconf: KernelKconfig, values: Mapping[str, str | None]) -> tuple[NotGranted, ...]:
    """The symbols that get less than `values` ask, by the clause that denies them, the largest group first.

    Symbols without a prompt count too: what the .config records of them is what it was built with.
    A name that the tree does not have is not asked of it.
    """
    state = State(kconf, values)
    found: dict[tuple[str, str, int | None] | None, list[tuple[str, str, str]]] = {}
    clauses: dict[tuple[str, str, int | None] | None, Clause] = {}
    for symbol in kconf.unique_defined_syms:
        asked = symbol.user_value
        if symbol.orig_type not in (kl.BOOL, kl.TRISTATE) or not asked:
            continue
        gets = symbol.tri_value
        if asked <= gets:
            continue
        denied = next((w for w in conditions(kconf, symbol) if kl.expr_value(w.expr) < asked), None)
        key = (denied.text, denied.file, denied.line) if denied else None
        if denied and key not in clauses:
            clauses[key] = clause(state, denied)
        found.setdefault(key, []).append((symbol.name, kl.TRI_TO_STR[asked], kl.TRI_TO_STR[gets]))
    groups = [NotGranted(tuple(names), clauses.get(key)) for key, names in found.items()]
    return tuple(sorted(groups, key=lambda g: -len(g.symbols)))
