# SPDX-License-Identifier: MIT
"""A loaded Kconfig with the values of one configuration, some of which may be unknown.

Where nothing unknown is involved a value is what kconfiglib computes. Else it is a pair (least,
greatest) of tristates (0 n, 1 m, 2 y) that holds whatever the unknown ones are; it may be wider
than need be, never narrower.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import kconfiglib as kl

from btfcheck.kconfig.dialect import KernelKconfig, Written
from btfcheck.kconfig.values import expr_value

Bounds = tuple[int, int]
ANY: Bounds = (0, 2)
UNKNOWN = "unknown"
_MANY = 16  # selects; what so many can turn on, something will
_NUMBER = re.compile(r"-?\d{1,18}|0[xX][0-9a-fA-F]{1,16}")


class State:
    """Values put into a Kconfig object.

    `values` maps names to text as in a .config, unquoted; None is unknown. With `complete` an
    absent symbol is off, as in a .config that conf wrote; without, it is unknown and what is
    stated is taken as granted. `hold` are values that hold even against the Kconfig files.
    A Kconfig object carries one State at a time: the last one made. `reach` limits how many links
    are followed from a symbol, for a whole tree; beyond it everything is possible.
    """

    def __init__(
        self,
        kconf: KernelKconfig,
        values: Mapping[str, str | None],
        *,
        complete: bool = True,
        hold: Mapping[str, str] | None = None,
        reach: int = 0,
    ) -> None:
        self.kconf = kconf
        kconf.state = self
        self.complete = complete
        self.reach = reach
        self.unknown: set[str] = set()
        self._reach: Mapping[str, frozenset[str]] = {}
        self._known: dict[Any, Bounds] = {}
        self._busy: dict[Any, int] = {}  # what is being worked out, and how deep
        self._loop = 0  # the least depth that a loop led back to
        values = {**values, **kconf.constants}
        self._put(values, hold or {})
        if complete and kconf.wrote:
            self._prove(values)
        if self.unknown:
            self.reach = reach or kconf.reach
            if not self.reach:
                if kconf.reachable is None:
                    kconf.reachable = _reachable(kconf)
                self._reach = kconf.reachable

    def _put(self, values: Mapping[str, str | None], hold: Mapping[str, str]) -> None:
        kconf = self.kconf
        for symbol in kconf.unique_defined_syms if kconf.touched else ():
            if symbol.user_value is not None:
                symbol.unset_value()
            if symbol.given is not None:
                symbol.give(None)
        kconf.touched = True
        self.take_leaves({**values, **hold})
        for name, value in values.items():  # in their order: of a choice's members the last y counts
            symbol = kconf.syms.get(name)
            if value is None or symbol is None or not symbol.nodes or name in kconf.leaves or name in hold:
                continue
            if self.complete:
                symbol.set_value(value)
            else:
                symbol.give(value)
        for name, value in hold.items():
            kconf.syms[name].give(value)
        kconf.settle()
        if not self.complete or None in values.values():
            if kconf.askable is None:
                kconf.askable = [s for s in kconf.unique_defined_syms if settable(s)]
            self.unknown |= {
                s.name
                for s in kconf.askable
                if s.given is None and s.user_value is None and self._unsaid(s.name, values)
            }

    def take_leaves(self, values: Mapping[str, str | None]) -> None:
        """Give the leaves these values, and whatever was worked out anew."""
        self.forget()
        for name in self.kconf.leaves:
            value = self._fact(name, values)
            self.kconf.syms[name].give(value)
            (self.unknown.add if value is None else self.unknown.discard)(name)

    def _unsaid(self, name: str, values: Mapping[str, str | None]) -> bool:
        return values[name] is None if name in values else not self.complete

    def _fact(self, name: str, values: Mapping[str, str | None]) -> str | None:
        number = name in self.kconf.numbers
        if name in self.kconf.computed and values.get(name) is None:
            of, divisor = self.kconf.computed[name]
            text = values.get(of) or ""
            return str(int(text) // divisor) if text.isascii() and text.isdigit() and len(text) < 18 else None
        value = values.get(name)
        if value is not None:
            good = _NUMBER.fullmatch(value) if number else value in ("y", "n")
            return value if good else None
        off = self.complete and name not in values and not number and not name.startswith("$(")
        return "n" if off else None

    def _prove(self, values: Mapping[str, str | None]) -> None:
        """Facts that a complete .config proves: a written prompt means that its conditions held."""
        for name in [n for n in self.unknown if n.startswith("$(")]:
            answers = {self._witness(item, name, values) for item in self.kconf.syms[name]._dependents}
            answers.discard(None)
            if len(answers) == 1:
                self.kconf.syms[name].give(answers.pop())
                self.unknown.discard(name)

    def _witness(self, symbol: Any, macro: str, values: Mapping[str, str | None]) -> str | None:
        clauses = [c.expr for c in conditions(self.kconf, symbol)]
        mine = [c for c in clauses if c.__class__ is not tuple and c.name == macro]
        if not mine:
            return None
        if symbol.name in values:
            # "is not set" is written for what was visible; a value, for what was true.
            shown = values[symbol.name] == "y" or (values[symbol.name] == "n" and asks(symbol))
            return "y" if shown else None
        others = [c for c in clauses if c not in mine]
        rest = all(c.__class__ is tuple or c.name not in self.unknown for c in others)
        return "n" if rest and all(expr_value(c) == 2 for c in others) else None

    def forget(self) -> None:
        """Drop what was worked out; to be called after a value was changed."""
        self._known.clear()

    def text(self, symbol: Any) -> str:
        """The value as a .config has it, or "unknown"."""
        if symbol.orig_type in (kl.BOOL, kl.TRISTATE) or isinstance(symbol, kl.Choice):
            low, high = self.bounds(symbol)
            return str(kl.TRI_TO_STR[low]) if low == high else UNKNOWN
        return UNKNOWN if symbol.name in self.unknown else str(symbol.str_value)

    def bounds(self, expr: Any) -> Bounds:
        """The least and the greatest value of an expression, symbol or choice."""
        if not self.unknown:
            value = expr_value(expr)
            return value, value
        if expr.__class__ is not tuple:
            return self._item(expr)
        operator = expr[0]
        if operator is kl.NOT:
            low, high = self.bounds(expr[1])
            return 2 - high, 2 - low
        if operator is kl.AND or operator is kl.OR:
            (a, b), (c, d) = self.bounds(expr[1]), self.bounds(expr[2])
            join = min if operator is kl.AND else max
            return join(a, c), join(b, d)
        if any(self._open(side) for side in expr[1:]):
            return ANY
        value = expr_value(expr)
        return value, value

    def _open(self, item: Any) -> bool:
        """Whether something unknown may sway the value."""
        if isinstance(item, kl.Choice):
            return any(self._open(s) for s in item.syms)
        if self.reach:
            return not item.is_constant and item.given is None and bool(item.nodes)
        return not item.is_constant and not self.unknown.isdisjoint(self._reach.get(item.name, ()))

    def _item(self, item: Any) -> Bounds:
        if item.is_constant or not self._open(item) or getattr(item, "given", None) is not None:
            value = item.tri_value
            return value, value
        if item in self._known:
            return self._known[item]
        if item in self._busy:
            self._loop = min(self._loop, self._busy[item])
            return ANY
        depth = len(self._busy)
        if self.reach and depth >= self.reach:
            return ANY
        before, self._loop = self._loop, depth
        self._busy[item] = depth
        found = self._choice(item) if isinstance(item, kl.Choice) else self._symbol(item)
        del self._busy[item]
        # Inside a loop, or near the end of the reach, the bounds may be wider than need be.
        if not depth or (self._loop == depth and not self.reach):
            self._known[item] = found
        self._loop = min(before, self._loop)
        return found

    def _choice(self, choice: Any) -> Bounds:
        # A choice that can be seen is never off.
        low, high = self.visible(choice)
        return (0, high) if choice.is_optional else (2 if low else 0, 2 if high else 0)

    def _symbol(self, symbol: Any) -> Bounds:
        if symbol.name in self.kconf.leaves:
            return ANY
        if symbol.orig_type not in (kl.BOOL, kl.TRISTATE):
            return 0, 0
        visible = self.visible(symbol)
        if symbol.choice:
            return self._member(symbol, visible)
        low, high = self._default(symbol)
        user = symbol.user_value
        if symbol.name in self.unknown:
            low, high = 0, max(high, visible[1])
        elif user is not None and visible[1]:
            set_to = min(user, visible[0]), min(user, visible[1])
            low, high = set_to if visible[0] else (min(low, set_to[0]), max(high, set_to[1]))
        selected = self.selected(symbol)
        low, high = max(low, selected[0]), max(high, selected[1])
        if symbol.orig_type is kl.BOOL:
            low, high = (2 if low else 0), (2 if high else 0)
        return low, high

    def selected(self, symbol: Any) -> Bounds:
        """The bounds of what selects it."""
        if self.reach and len(self._busy) > 1 and self.kconf.selects(symbol) > _MANY:
            return ANY
        found = [bounds for _, bounds in self.selectors(symbol)]
        return max((b[0] for b in found), default=0), max((b[1] for b in found), default=0)

    def selectors(self, symbol: Any) -> list[tuple[Any, Bounds]]:
        """What can select a symbol, each with the bounds of its select, condition included."""
        if symbol.rev_dep is self.kconf.n:
            return []
        return [(_selector(s), self._select(s)) for s in kl.split_expr(symbol.rev_dep, kl.OR)]

    def _select(self, select: Any) -> Bounds:
        selector = _selector(select)
        if self.unknown and select.__class__ is tuple and selector.given is not None:
            # Held on, its own dependencies are taken to hold too.
            condition = select[2]
            own = [node.dep for node in selector.nodes]
            rest = condition[1] if condition.__class__ is tuple and condition[-1] in own else condition
            low, high = self.bounds(selector)
            with_it = (2, 2) if condition in own else self.bounds(rest)
            return min(low, with_it[0]), min(high, with_it[1])
        return self.bounds(select)

    def visible(self, item: Any) -> Bounds:
        """The bounds of what a .config could set."""
        if getattr(item, "transitional", False):
            return 2, 2
        prompts = [self.bounds(node.prompt[1]) for node in item.nodes if node.prompt]
        return max((p[0] for p in prompts), default=0), max((p[1] for p in prompts), default=0)

    def _member(self, symbol: Any, visible: Bounds) -> Bounds:
        if not visible[1]:
            return 0, 0
        members = symbol.choice.syms
        if any(s.given == "y" for s in members if s is not symbol):
            return 0, 0
        if any(s.name in self.unknown for s in members):
            return ANY
        told = [s for s in members if s.turn and s.user_value == 2]
        if told:
            first = max(told, key=lambda s: s.turn)
            if self.visible(first)[0]:
                return (2, 2) if first is symbol else (0, 0)
        return ANY

    def _default(self, symbol: Any) -> Bounds:
        low, high, settled = 2, 0, False
        for default, condition in symbol.defaults:
            holds = self.bounds(condition)
            if not holds[1]:
                continue
            value = self.bounds(default)
            low, high = min(low, value[0], holds[0]), max(high, min(value[1], holds[1]))
            if holds[0]:
                settled = True
                break
        low = low if settled else 0
        implied = self.bounds(symbol.weak_rev_dep)
        if implied[1]:
            allowed = self.bounds(symbol.direct_dep)
            low, high = min(low, allowed[0]), max(high, min(implied[1], allowed[1]))
        return low, high


def asks(symbol: Any) -> bool:
    """Whether a user can be asked for it (it has a prompt somewhere)."""
    return any(node.prompt for node in symbol.nodes)


def settable(symbol: Any) -> bool:
    """Whether a .config's value for it counts: it can be asked for, or is the old name of another."""
    return asks(symbol) or bool(symbol.transitional)


def conditions(kconf: KernelKconfig, symbol: Any) -> list[Written]:
    """What must hold for a symbol, cut at each &&: of its choice, then its own.

    Of several definitions the one that comes closest to holding counts.
    """
    found = []
    for item in ([symbol.choice] if symbol.choice else []) + [symbol]:
        definitions = [_parts(written) for written in kconf.definitions(item)]
        if definitions:
            found += min(definitions, key=lambda d: sum(expr_value(c.expr) == 0 for c in d))
    unique = {id(c.expr) if c.expr.__class__ is tuple else (c.expr, c.text): c for c in found}
    return list(unique.values())


def _selector(select: Any) -> Any:
    """The symbol whose `select` this is: kconfiglib puts it first."""
    return select[1] if select.__class__ is tuple else select


def _parts(written: list[Written]) -> list[Written]:
    return [w._replace(expr=part) for w in written for part in kl.split_expr(w.expr, kl.AND)]


def _neighbours(symbol: Any) -> Iterator[Any]:
    """The symbols that the value of a symbol is computed from, directly."""
    expressions = [symbol.direct_dep, symbol.rev_dep, symbol.weak_rev_dep]
    expressions += [part for default in symbol.defaults for part in default]
    expressions += [node.prompt[1] for node in symbol.nodes if node.prompt]
    for expr in expressions:
        for item in kl.expr_items(expr):
            yield from item.syms if isinstance(item, kl.Choice) else (item,)
    if symbol.choice:
        yield from symbol.choice.syms


def _reachable(kconf: KernelKconfig) -> dict[str, frozenset[str]]:
    """For each symbol, itself and every symbol its value may depend on."""
    near = {s.name: {n.name for n in _neighbours(s) if not n.is_constant} for s in kconf.unique_defined_syms}
    found = {}
    for name in near:
        seen, todo = {name}, [name]
        while todo:
            for other in near.get(todo.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    todo.append(other)
        found[name] = frozenset(seen)
    return found
