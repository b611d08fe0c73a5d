# SPDX-License-Identifier: MIT
"""What an expression of Kconfig is worth, as the kernel's conf works it out.

kconfiglib reads numbers as Python does; conf reads them as C does, to which "010" is 8, "1_0" no number and
-1 a large hex. Both compare as texts what is no number.
Source: scripts/kconfig/expr.c, the same since 4.3 (symbols compared as strings before).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from operator import eq, ge, gt, le, lt, ne
from typing import Any

import kconfiglib as kl

_AND, _OR, _NOT = kl.AND, kl.OR, kl.NOT
_TRISTATES = (kl.BOOL, kl.TRISTATE)
_BASES = {kl.INT: 10, kl.HEX: 16}
_START = r"[ \t\n\v\f\r]*[+-]?"
_DIGITS = {
    10: re.compile(rf"{_START}[0-9]+"),
    16: re.compile(rf"{_START}(?:0[xX](?=[0-9a-fA-F]))?[0-9a-fA-F]+"),
    0: re.compile(rf"{_START}(?:0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)"),
}
_LONG = 1 << 63
_HOLDS: Mapping[int, Callable[[Any, Any], bool]] = {
    kl.EQUAL: eq, kl.UNEQUAL: ne, kl.LESS: lt, kl.LESS_EQUAL: le, kl.GREATER: gt, kl.GREATER_EQUAL: ge,
}  # fmt: skip


def expr_value(expr: Any) -> int:
    """0 (n), 1 (m) or 2 (y) for an expression in kconfiglib's form."""
    # The inner loop of all that is evaluated.
    value: int
    if expr.__class__ is not tuple:
        value = expr.tri_value
        return value
    operator, left = expr[0], expr[1]
    if operator is _AND:
        value = expr_value(left) if left.__class__ is tuple else left.tri_value
        if not value:
            return 0
        other = expr_value(expr[2])
        return other if other < value else value
    if operator is _OR:
        value = expr_value(left) if left.__class__ is tuple else left.tri_value
        if value == 2:
            return 2
        other = expr_value(expr[2])
        return other if other > value else value
    if operator is _NOT:
        return 2 - expr_value(left)
    return 2 if _HOLDS[operator](*_sides(expr[1], expr[2])) else 0


def _sides(left: Any, right: Any) -> tuple[int, int] | tuple[str, str]:
    """Both sides of a relation as what they are compared as."""
    if left.orig_type is not kl.STRING or right.orig_type is not kl.STRING:
        a, b = _operand(left), _operand(right)
        if a is not None and b is not None:
            if kl.HEX in (left.orig_type, right.orig_type):  # unsigned
                return a % (2 * _LONG), b % (2 * _LONG)
            return a, b
    return left.str_value, right.str_value


def _operand(symbol: Any) -> int | None:
    if symbol.orig_type in _TRISTATES:
        return int(symbol.tri_value)
    text = symbol.str_value
    base = _BASES.get(symbol.orig_type, 0)
    if not _DIGITS[base].fullmatch(text):
        return None
    found = _read(text, base)
    least, most = (1 - 2 * _LONG, 2 * _LONG - 1) if base == 16 else (-_LONG, _LONG - 1)
    return found if least <= found <= most else None


def number(text: str, kind: int) -> int:
    """The number at the start of a text for an int or hex, as strtoll() reads it: 0 for none, the nearest it can."""
    base = _BASES[kind]
    found = _DIGITS[base].match(text)
    return max(-_LONG, min(_LONG - 1, _read(found[0], base))) if found else 0


def _read(text: str, base: int) -> int:
    text = text.strip()
    octal = not base and re.fullmatch(r"[+-]?0[0-7]+", text)
    return int(text, 8 if octal else base)


def base_of(end: Any, symbol: Any) -> int:
    """Whether the end of a range is read as int or hex: as what it is, else as the symbol's own."""
    return int(end.orig_type if end.orig_type in _BASES else symbol.orig_type)


def visibility(item: Any) -> int:
    """What limits the value a user can set, for a symbol or choice."""
    value = 0
    for node in item.nodes:
        if node.prompt:
            value = max(value, expr_value(node.prompt[1]))
    if item.__class__ is kl.Symbol and item.choice and item.choice.orig_type is kl.TRISTATE:
        whole = item.choice.tri_value == 2  # one member is y; else some are m
        if (value == 1 and whole) if item.orig_type is kl.TRISTATE else not whole:
            return 0
    return 2 if value == 1 and item.type is not kl.TRISTATE else value


def compared(expr: Any, operator: int, no: Any) -> Any:
    """`expr` compared with n, by kl.EQUAL or kl.UNEQUAL, pushed down to the symbols as conf does.

    Not the same as !expr: a symbol that is not defined is its own name, which is not "n".
    """
    if expr.__class__ is not tuple:
        return (operator, expr, no)
    if expr[0] is kl.AND or expr[0] is kl.OR:
        join = kl.OR if expr[0] is kl.AND else kl.AND
        both = (join, compared(expr[1], kl.EQUAL, no), compared(expr[2], kl.EQUAL, no))
        return both if operator is kl.EQUAL else (kl.NOT, both)
    if expr[0] is kl.NOT:
        return compared(expr[1], kl.UNEQUAL if operator is kl.EQUAL else kl.EQUAL, no)
    return (kl.NOT, expr) if operator is kl.EQUAL else expr
