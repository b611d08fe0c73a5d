# SPDX-License-Identifier: MIT
"""Kconfig's expression language over facts that may be unknown.

Documentation/kbuild/kconfig-language.rst, "Menu dependencies": `||`, `&&`, `!`, and
comparisons of two symbols or constants. A value is a pair (low, high) of tristates
(0 n, 1 m, 2 y): the least and the greatest it can have. Equal ends are a known value,
so && and || and ! work on unknowns without a special case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

from btfcheck.model import Fact

_TOKEN = re.compile(r'\s*(?:(&&|\|\||!=|<=|>=|[!=<>()])|"((?:[^"\\]|\\.)*)"|(-?\w+))')
_LIMIT = 10_000  # characters; real clauses have a few hundred
_DEPTH = 64
_TRISTATE = {"n": 0, "m": 1, "y": 2}
_UNKNOWN = (0, 2)



class ExprError(ValueError):
    """A text that is no expression; says what was found and where."""


class Result(NamedTuple):
    """What an expression came to, and the facts that decided it."""

    low: int
    high: int
    facts: tuple[Fact, ...] = ()

    @property
    def known(self) -> bool:
        # m and y both count as true, so only an n on one side leaves it open.
        return (self.low > 0) == (self.high > 0)

    @property
    def true(self) -> bool:
        return self.low > 0


# A symbol is a fact, or, when it is defined by an expression, what that came to.
Lookup = Callable[[str], Fact | Result]


class Expr(NamedTuple):
    """A parsed expression: `op` is one of sym, const, !, &&, ||, = != < <= > >=."""

    op: str
    args: tuple[Expr, ...] = ()
    text: str = ""

    def symbols(self) -> Iterator[str]:
        """Every symbol named in it, in order, with repeats."""
        if self.op == "sym":
            yield self.text
        for arg in self.args:
            yield from arg.symbols()

    def __str__(self) -> str:
        if self.op == "sym":
            return self.text
        if self.op == "const":
            return self.text if re.fullmatch(r"[ymn]|-?\d+", self.text) else f'"{self.text}"'
        if self.op == "!":
            arg = self.args[0]
            return f"!{arg}" if arg.op in ("sym", "!") else f"!({arg})"
        parts = [f"({a})" if self.op == "&&" and a.op == "||" else str(a) for a in self.args]
        return f" {self.op} ".join(parts)


@cache
def parse(text: str) -> Expr:
    """Raises ExprError."""
    if len(text) > _LIMIT:
        raise ExprError(f"longer than {_LIMIT} characters")
    tokens = list(_tokens(text))
    expr, rest = _either(tokens, 0, 0)
    if rest != len(tokens):
        raise ExprError(f"unexpected {tokens[rest][1]!r} after {' '.join(t for _, t in tokens[:rest])!r}")
    return expr


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    end = len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at, end)
        if not match:
            left = text[at:].lstrip()
            raise ExprError(f"unexpected {left[:1]!r} at column {len(text) - len(left) + 1}")
        operator, quoted, word = match.groups()
        if operator:
            yield "op", operator
        elif quoted is not None:
            yield "const", re.sub(r"\\(.)", r"\1", quoted)
        else:
            yield ("const" if word in _TRISTATE or _number(word) is not None else "sym"), word
        at = match.end()


_Tokens = list[tuple[str, str]]


def _either(tokens: _Tokens, at: int, depth: int) -> tuple[Expr, int]:
    return _chain(tokens, at, depth, "||", _both)


def _both(tokens: _Tokens, at: int, depth: int) -> tuple[Expr, int]:
    return _chain(tokens, at, depth, "&&", _unary)


def _chain(
    tokens: _Tokens, at: int, depth: int, op: str, below: Callable[[_Tokens, int, int], tuple[Expr, int]]
) -> tuple[Expr, int]:
    first, at = below(tokens, at, depth)
    args = [first]
    while at < len(tokens) and tokens[at] == ("op", op):
        arg, at = below(tokens, at + 1, depth)
        args.append(arg)
    return (Expr(op, tuple(args)) if len(args) > 1 else first), at


def _unary(tokens: _Tokens, at: int, depth: int) -> tuple[Expr, int]:
    if depth > _DEPTH:
        raise ExprError(f"nested deeper than {_DEPTH}")
    if at >= len(tokens):
        raise ExprError("ends where a symbol is expected")
    kind, text = tokens[at]
    if (kind, text) == ("op", "!"):
        arg, at = _unary(tokens, at + 1, depth + 1)
        return Expr("!", (arg,)), at
    if (kind, text) == ("op", "("):
        inner, at = _either(tokens, at + 1, depth + 1)
        if at >= len(tokens) or tokens[at] != ("op", ")"):
            raise ExprError("a ')' is missing")
        return inner, at + 1
    if kind == "op":
        raise ExprError(f"unexpected {text!r} where a symbol is expected")
    left = Expr(kind, (), text)
    if at + 1 < len(tokens) and tokens[at + 1][0] == "op" and tokens[at + 1][1] in _COMPARE:
        if at + 2 >= len(tokens) or tokens[at + 2][0] == "op":
            raise ExprError(f"a symbol or constant is missing after {tokens[at + 1][1]!r}")
        right = Expr(tokens[at + 2][0], (), tokens[at + 2][1])
        return Expr(tokens[at + 1][1], (left, right)), at + 3
    return left, at + 1


_COMPARE: dict[str, Callable[[int], bool]] = {
    "=": lambda c: c == 0,
    "!=": lambda c: c != 0,
    "<": lambda c: c < 0,
    "<=": lambda c: c <= 0,
    ">": lambda c: c > 0,
    ">=": lambda c: c >= 0,
}


def evaluate(expr: Expr, lookup: Lookup) -> Result:
    """The value of `expr`, where `lookup` gives the fact of a symbol."""
    if expr.op == "sym":
        found = lookup(expr.text)
        if isinstance(found, Result):
            return found
        low, high = _UNKNOWN if found.value is None else (_TRISTATE.get(found.value, 0),) * 2
        return Result(low, high, (found,))
    if expr.op == "const":
        return Result(*(_TRISTATE.get(expr.text, 0),) * 2)
    if expr.op == "!":
        inner = evaluate(expr.args[0], lookup)
        return Result(2 - inner.high, 2 - inner.low, inner.facts)
    if expr.op in _COMPARE:
        return _compare(expr, lookup)
    results = [evaluate(arg, lookup) for arg in expr.args]
    best = min if expr.op == "&&" else max
    low, high = best(r.low for r in results), best(r.high for r in results)
    return Result(low, high, _deciders(results, low, high, expr.op == "&&"))


def _deciders(results: list[Result], low: int, high: int, conjunction: bool) -> tuple[Fact, ...]:
    """The facts without which the value could be another."""
    if (low > 0) != (high > 0):
        chosen = [r for r in results if not r.known]
    elif (low > 0) == conjunction:
        chosen = results  # a true && or a false || needs all of its parts
    else:
        chosen = [next(r for r in results if r.known and r.true != conjunction)]
    facts = {(f.name, f.live): f for r in chosen for f in r.facts}
    return tuple(facts.values())


def _compare(expr: Expr, lookup: Lookup) -> Result:
    values: list[str | None] = []
    facts: list[Fact] = []
    for arg in expr.args:
        found = lookup(arg.text) if arg.op == "sym" else arg.text
        if isinstance(found, Result):
            values.append("ny"[found.true] if found.known else None)
            facts += found.facts
        elif isinstance(found, Fact):
            values.append(found.value)
            facts.append(found)
        else:
            values.append(found)
    left, right = values
    if left is None or right is None:
        return Result(*_UNKNOWN, tuple(f for f in facts if f.value is None))
    true = _COMPARE[expr.op](_order(left, right))
    return Result(2 * true, 2 * true, tuple(facts))


def _order(left: str, right: str) -> int:
    """Negative, 0 or positive: by number if both are numbers, else as strings (scripts/kconfig/expr.c)."""
    a, b = _number(left), _number(right)
    if a is not None and b is not None:
        return (a > b) - (a < b)
    return (left > right) - (left < right)


def _number(text: str) -> int | None:
    if re.fullmatch(r"-?[0-9]{1,40}", text):
        return int(text)
    if re.fullmatch(r"0[xX][0-9a-fA-F]{1,40}", text):
        return int(text, 16)
    return None
