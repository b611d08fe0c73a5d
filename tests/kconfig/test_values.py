# SPDX-License-Identifier: MIT
"""Numbers and comparisons as C reads them: each answer is that of conf (6.1, 6.12 and 7.3 agree)."""

from __future__ import annotations

from typing import NamedTuple

import kconfiglib as kl
import pytest

from btfcheck.kconfig.values import compared, expr_value, number


class Side(NamedTuple):
    orig_type: int
    str_value: str
    tri_value: int = 0


def less(left: Side, right: Side) -> bool:
    return expr_value((kl.LESS, left, right)) == 2


def constant(text: str) -> Side:
    return Side(kl.UNKNOWN, text)


@pytest.mark.parametrize(
    ("left", "right", "is_less"),
    [
        (Side(kl.INT, "9"), constant("10"), True),
        (Side(kl.INT, "9"), constant("010"), False),  # octal
        (Side(kl.INT, "010"), constant("9"), False),  # decimal, as an int's text is
        (Side(kl.INT, "9"), constant("0x10"), True),
        (Side(kl.INT, "5"), constant("1_0"), False),  # no number: compared as texts
        (Side(kl.INT, "7"), constant("10 "), False),
        (Side(kl.INT, "7"), constant(" 10"), True),
        (Side(kl.INT, "7"), constant("08"), False),
        (Side(kl.INT, "-1"), constant("0"), True),
        (Side(kl.HEX, "-1"), constant("0"), False),  # unsigned
        (Side(kl.HEX, "0x9"), Side(kl.HEX, "a"), True),
        (Side(kl.INT, "7"), constant("99999999999999999999"), True),  # too large: texts
        (Side(kl.INT, "9999999999999999999999"), constant("a"), True),
        (Side(kl.STRING, "9"), Side(kl.STRING, "10"), False),
        (Side(kl.STRING, "9"), constant("10"), True),
        (Side(kl.BOOL, "y", 2), constant("3"), True),
        (Side(kl.BOOL, "n", 0), constant("x"), True),
    ],
)
def test_comparisons(left: Side, right: Side, is_less: bool) -> None:
    assert less(left, right) is is_less


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("", kl.INT, 0), ("12ab", kl.INT, 12), (" -7", kl.INT, -7), ("010", kl.INT, 10), ("0x10", kl.INT, 0),
        ("0x10", kl.HEX, 16), ("10", kl.HEX, 16), ("0x", kl.HEX, 0), ("zz", kl.HEX, 0), ("-0x1", kl.HEX, -1),
        ("99999999999999999999", kl.INT, (1 << 63) - 1), ("-99999999999999999999", kl.INT, -(1 << 63)),
    ],
)  # fmt: skip
def test_numbers(text: str, kind: int, value: int) -> None:
    assert number(text, kind) == value


def test_compared_with_n_down_to_the_symbols() -> None:
    no = constant("n")
    a, b = Side(kl.BOOL, "y", 2), constant("UNDEFINED")
    assert compared(a, kl.EQUAL, no) == (kl.EQUAL, a, no)
    assert compared((kl.NOT, a), kl.EQUAL, no) == (kl.UNEQUAL, a, no)
    assert compared((kl.AND, a, b), kl.EQUAL, no) == (kl.OR, (kl.EQUAL, a, no), (kl.EQUAL, b, no))
    # An undefined symbol is n, and its name is not "n".
    assert expr_value((kl.AND, a, b)) == 0
    assert expr_value(compared((kl.AND, a, b), kl.EQUAL, no)) == 0
    assert expr_value(compared((kl.NOT, (kl.OR, a, b)), kl.EQUAL, no)) == 2
