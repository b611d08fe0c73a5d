# SPDX-License-Identifier: MIT
"""Names, byte by byte, against the rule as the kernel states it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btfcheck.btf.names import identifier_flags, is_section_name

LETTERS = {*range(ord("A"), ord("Z") + 1), *range(ord("a"), ord("z") + 1), ord("_"), *range(0xC0, 0x100)} - {0xD7, 0xF7}
DIGITS = set(range(ord("0"), ord("9") + 1))


def is_identifier(name: bytes, dots: bool) -> bool:
    first = LETTERS | ({ord(".")} if dots else set())
    return 1 <= len(name) <= 512 and name[0] in first and all(byte in first | DIGITS for byte in name)


def expected(strings: bytes, dots: bool) -> list[int]:
    return [int(is_identifier(strings[at : strings.index(0, at)], dots)) for at in range(len(strings))]


PIECES = st.one_of(
    st.binary(max_size=8),
    st.text("ab_.9", max_size=6).map(str.encode),
    st.sampled_from([b"x" * 511, b"x" * 512, b"x" * 513, b"x" * 1030, b"y" * 600 + b"-" + b"y" * 511, b"Option<u32>"]),
)


@given(st.lists(PIECES, max_size=8), st.booleans())
def test_flags_are_the_rule_at_every_offset(pieces: list[bytes], dots: bool) -> None:
    strings = b"\0" + b"".join(piece + b"\0" for piece in pieces)
    assert list(identifier_flags(strings, dots)) == expected(strings, dots)


def test_every_byte_in_every_place() -> None:
    for byte in range(1, 256):
        strings = b"\0" + bytes((byte,)) + b"\0a" + bytes((byte,)) + b"\0"
        for dots in (False, True):
            assert list(identifier_flags(strings, dots)) == expected(strings, dots)


def test_long_hostile_strings_take_linear_time() -> None:
    for pattern in (b"-a" * (1 << 20), b"a" * (1 << 21), b"\0" * (1 << 21), (b"a" * 512 + b"\0") * 4096):
        assert len(identifier_flags(b"\0" + pattern + b"\0")) == len(pattern) + 2


@pytest.mark.parametrize(("name", "fine", "fine_before_6_11"), [
    (b".data..per cpu", True, True),
    (b"\xc3\xa9", True, True),
    (b"\xe2\x98\x83", False, False),
    (b"a\x7f", False, False),
    (b"\x01ata", False, True),
    (b"x" * 512, True, True),
    (b"x" * 513, False, False),
    (b"", False, True),
])
def test_section_names(name: bytes, fine: bool, fine_before_6_11: bool) -> None:
    strings = b"\0" + name + b"\0" + b"next\0"
    assert is_section_name(strings, 1) is fine
    assert is_section_name(strings, 1, first_byte_free=True) is fine_before_6_11
