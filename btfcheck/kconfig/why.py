# SPDX-License-Identifier: MIT
"""Why a symbol has its value: every clause it depends on, what decides each, and who can change it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import kconfiglib as kl

from btfcheck.kconfig.dialect import KernelKconfig, Origin, Written
from btfcheck.kconfig.state import UNKNOWN, State, asks, conditions

_DEPTH = 5  # how far back a derived value is told; real chains have at most 3 links


class Leaf(NamedTuple):
    """A symbol that a clause names.

    `kind`: "user" (someone sets it), "toolchain" (tools decide), "derived" (follows from others).
    `via` says where its value comes from: "selected by LTO_CLANG", "default PAHOLE_VERSION >= 124",
    "needs: depends on X", "set", "not set", "tool", "recorded"; `sources` are the symbols in that.
    `said` is what the tool that denies it says, where it was asked.
    """

    name: str
    value: str
    kind: str
    via: str = ""
    sources: tuple[Leaf, ...] = ()
    said: str = ""


class Clause(NamedTuple):
    """One condition, cut at &&: `expr` is it, `text` the whole line as the kernel's file has it.

    `line` is None where only the text is known, not its place. `value` is y, m, n or "unknown".
    """

    expr: str
    text: str
    file: str
    line: int | None
    value: str
    leaves: tuple[Leaf, ...] = ()


class Why(NamedTuple):
    """What a symbol gets when `wanted` is asked of it, and why.

    `value` is "unknown" when something unknown decides it. `defined` is false where this release
    has no such symbol. `selected_by` names what forces it on now. `origins` are the candidate
    texts of which this holds: one, unless the release's Kconfig is not known.
    """

    symbol: str
    wanted: str
    value: str
    defined: bool
    clauses: tuple[Clause, ...]
    selected_by: tuple[Leaf, ...]
    origins: tuple[Origin, ...]

    @property
    def granted(self) -> bool | None:
        """Whether it gets what was asked; None when that is not known."""
        return None if self.value == UNKNOWN else self.value == self.wanted

    @property
    def blocking(self) -> tuple[Clause, ...]:
        return tuple(c for c in self.clauses if c.value == "n")

    @property
    def undecided(self) -> tuple[Clause, ...]:
        return tuple(c for c in self.clauses if c.value == UNKNOWN)


def why(
    kconfigs: Iterable[KernelKconfig],
    symbol: str,
    values: Mapping[str, str | None],
    *,
    complete: bool = True,
    wanted: str = "y",
) -> tuple[Why, ...]:
    """Explain `symbol`, asked to be `wanted`, in each candidate Kconfig; one Why per distinct answer.

    `values` and `complete` as for State. The value that `values` has for `symbol` is set aside.
    """
    found: dict[Any, Why] = {}
    for kconf in kconfigs:
        answer = _why(kconf, symbol, values, complete, wanted)
        deciding = answer.blocking or answer.undecided
        key = (answer.value, answer.defined, tuple(c.text for c in deciding))
        if key in found:
            found[key] = found[key]._replace(origins=found[key].origins + answer.origins)
        else:
            found[key] = answer
    return tuple(found.values())


def _why(kconf: KernelKconfig, name: str, values: Mapping[str, str | None], complete: bool, wanted: str) -> Why:
    symbol = kconf.syms.get(name)
    if symbol is None or not symbol.nodes:
        return Why(name, wanted, "n", False, (), (), (kconf.origin,))
    others = {k: v for k, v in values.items() if k != name or name in kconf.leaves}
    state = State(kconf, others, complete=complete)
    ask(state, symbol, wanted)
    value = state.text(symbol)
    selected = tuple(leaf(state, selector) for selector, bounds in state.selectors(symbol) if bounds[0] > 0)
    clauses = tuple(clause(state, written) for written in conditions(kconf, symbol))
    return Why(name, wanted, value, True, clauses, selected, (kconf.origin,))


def ask(state: State, symbol: Any, value: str) -> None:
    """Set a symbol as a user would; a leaf is simply given the value."""
    state.forget()
    if symbol.name in state.kconf.leaves:
        symbol.give(value)
    else:
        symbol.give(None)
        symbol.set_value(value)
    state.unknown.discard(symbol.name)


def clause(state: State, written: Written) -> Clause:
    """The value of one condition, and what decides it."""
    low, high = state.bounds(written.expr)
    value = kl.TRI_TO_STR[low] if low == high else UNKNOWN
    names = dict.fromkeys(_symbols(written.expr))
    leaves = tuple(leaf(state, item) for item in sorted(names, key=lambda i: written.text.find(i.name or "")))
    if high == 0:
        leaves = tuple(_in_its_words(state.kconf, item) for item in leaves)
    return Clause(
        expr_text(written.expr),
        written.text,
        written.file,
        written.line,
        str(value),
        leaves,
    )


def _in_its_words(kconf: KernelKconfig, item: Leaf) -> Leaf:
    denied = item.kind == "toolchain" and item.value == "n" and item.name in kconf.syms
    return item._replace(said=kconf.said(kconf.syms[item.name])) if denied else item


def expr_text(expr: Any) -> str:
    """An expression as Kconfig writes it."""
    return str(kl.expr_str(expr, lambda item: item.name if isinstance(item, kl.Symbol) else "<choice>"))


def kind(kconf: KernelKconfig, symbol: Any) -> str:
    """Who decides a symbol: "user", "toolchain" or "derived"."""
    if symbol.name in kconf.toolchain:
        return "toolchain"
    return "user" if symbol.name in kconf.settable or asks(symbol) else "derived"


def leaf(state: State, symbol: Any, depth: int = 0, seen: Sequence[Any] = ()) -> Leaf:
    """A symbol with its value and where that comes from."""
    value = state.text(symbol)
    via, sources = _origin(state, symbol, value)
    if depth >= _DEPTH or symbol in seen:
        sources = []
    told = tuple(leaf(state, s, depth + 1, (*seen, symbol)) for s in sources)
    return Leaf(symbol.name or "<choice>", value, kind(state.kconf, symbol), via, told)


def _origin(state: State, symbol: Any, value: str) -> tuple[str, list[Any]]:
    kconf = state.kconf
    if symbol.name in kconf.computed:
        of, divisor = kconf.computed[symbol.name]
        return f"{of} / {divisor}", [kconf.syms[of]] if of in kconf.syms else []
    if symbol.name in kconf.leaves:
        return ("tool" if symbol.name in kconf.toolchain else "recorded"), []
    for selector, bounds in state.selectors(symbol):
        if bounds[0] > 0:
            return f"selected by {selector.name}", [selector]
    if value == UNKNOWN:
        return "", []
    asked = symbol.user_value if symbol.given is None else kl.STR_TO_TRI.get(symbol.given)
    if value == "n":
        for written in conditions(kconf, symbol):
            if state.bounds(written.expr)[1] == 0:
                return f"needs: {written.text}", _symbols(written.expr)
    if asks(symbol) and asked is not None:
        return "set", []
    for default, condition in symbol.defaults:
        if state.bounds(condition)[0] > 0:
            return f"default {expr_text(default)}", _symbols(default)
    return ("not set" if asks(symbol) else "nothing selects it"), []


def _symbols(expr: Any) -> list[Any]:
    return [i for i in kl.expr_items(expr) if not i.is_constant and not _literal(i)]


def _literal(item: Any) -> bool:
    # An unquoted number is a symbol to Kconfig, one that nothing defines.
    return not item.nodes and str(item.name).replace("0x", "").isdigit()
