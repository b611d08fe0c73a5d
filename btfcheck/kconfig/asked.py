# SPDX-License-Identifier: MIT
"""What a configuration asks of a tree and does not get: what `make olddefconfig` drops without a word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import kconfiglib as kl

from btfcheck.kconfig.dialect import KernelKconfig
from btfcheck.kconfig.state import State, asks, conditions
from btfcheck.kconfig.values import expr_value
from btfcheck.kconfig.why import Clause, clause


class NotGranted(NamedTuple):
    """Symbols that are asked for in vain for one reason: (name, asked, gets), the clause, and the reason in words.

    `clause` is None where no clause is n: what has no prompt and nothing turns on, a choice of which another
    member was set.
    """

    symbols: tuple[tuple[str, str, str], ...]
    clause: Clause | None
    why: str


def not_granted(kconf: KernelKconfig, values: Mapping[str, str | None]) -> tuple[NotGranted, ...]:
    """The symbols that get less than `values` ask, by the clause that denies them, the largest group first.

    Symbols without a prompt count too: what the .config records of them is what it was built with.
    A name that the tree does not have is not asked of it.
    """
    state = State(kconf, values)
    found: dict[tuple[str, int | None, str], list[tuple[str, str, str]]] = {}
    clauses: dict[tuple[str, int | None, str], Clause] = {}
    for symbol in kconf.unique_defined_syms:
        asked = symbol.user_value
        if symbol.orig_type not in (kl.BOOL, kl.TRISTATE) or not asked:
            continue
        gets = symbol.tri_value
        if asked <= gets:
            continue
        enough = 1 if symbol.type is kl.BOOL else asked  # m lets a bool be y
        denied = next((w for w in conditions(kconf, symbol) if expr_value(w.expr) < enough), None)
        key = (denied.file, denied.line, denied.text) if denied else ("", None, _otherwise(symbol))
        if denied and key not in clauses:
            clauses[key] = clause(state, denied)
        found.setdefault(key, []).append((symbol.name, kl.TRI_TO_STR[asked], kl.TRI_TO_STR[gets]))
    groups = [
        NotGranted(tuple(names), clauses.get(key), _words(clauses[key]) if key in clauses else key[2])
        for key, names in found.items()
    ]
    return tuple(sorted(groups, key=lambda g: -len(g.symbols)))


def _words(clause: Clause) -> str:
    leaves = ", ".join(f"{leaf.name}={leaf.value}" for leaf in clause.leaves)
    return f"{clause.file}:{clause.line}: {clause.text}" + (f", with {leaves}" if leaves else "")


def _otherwise(symbol: Any) -> str:
    """Why a symbol gets less than was asked although all it depends on holds."""
    if symbol.choice:
        return "another member of the choice is set"
    if not asks(symbol):
        return "no prompt: it is worked out, and here nothing turns it on"
    return "its prompt or its type allows no more"
