# SPDX-License-Identifier: MIT
"""Which strings the kernel takes for names.

Character classes are those of lib/ctype.c, which is Latin-1 and not ASCII: bytes C0 to FF are letters but for
D7 and F7, and 80 to 9F are nothing at all.
"""

from __future__ import annotations

import re

from btfcheck.btf.format import MAX_IDENTIFIER

_LETTER = r"A-Za-z_\xc0-\xd6\xd8-\xf6\xf8-\xff"
_PRINTABLE = rb"[\x20-\x7e\xa0-\xff]"
_SECTION = re.compile(_PRINTABLE + rb"{1,512}\0")
_SECTION_LATER = re.compile(rb"[\x00-\xff]" + _PRINTABLE + rb"{0,511}\0")
_DOTTED = re.compile(rf"[{_LETTER}.][{_LETTER}0-9.]{{0,511}}\0".encode("latin-1"))


def _table(pattern: str) -> bytes:
    """A table for bytes.translate: 1 for each byte that the pattern takes."""
    taken = re.compile(pattern.encode("latin-1"))
    return bytes(bool(taken.fullmatch(bytes((byte,)))) for byte in range(256))


_FIRST = {dots: _table(f"[{_LETTER}{'.' * dots}]") for dots in (False, True)}
_BAD = {dots: _table(f"[^{_LETTER}{'.' * dots}0-9\0]") for dots in (False, True)}


def identifier_flags(strings: bytes, dots: bool = True) -> bytes:
    """One byte per offset: 1 where an identifier of 1 to 512 bytes starts, else 0.

    An offset may point into a string and then names its end. Nearly every string of a real BTF is an
    identifier, so the flags are those of the first byte, and only the bad strings are looked at.
    """
    flags = bytearray(strings.translate(_FIRST[dots]))
    bad = strings.translate(_BAD[dots])
    at = bad.find(1)
    while at >= 0:
        # Up to the last bad byte of the string nothing is an identifier; behind it there may be one.
        end = strings.index(0, at)
        start = strings.rfind(0, 0, at) + 1
        last = bad.rindex(1, at, end) + 1
        flags[start:last] = bytes(last - start)
        at = bad.find(1, end)
    at = 0
    while at + MAX_IDENTIFIER < len(strings):
        # What ends within 513 bytes is short enough; step over all of it at once.
        last = strings.rfind(0, at, at + MAX_IDENTIFIER + 1)
        if last < 0:
            last = strings.index(0, at)
            flags[at : last - MAX_IDENTIFIER] = bytes(last - MAX_IDENTIFIER - at)
        at = last + 1
    return bytes(flags)


def is_dotted_identifier(strings: bytes, offset: int) -> bool:
    """Whether an identifier starts there, dots allowed (variables; sections, too, up to 6.8)."""
    return _DOTTED.match(strings, offset) is not None


def is_section_name(strings: bytes, offset: int, first_byte_free: bool = False) -> bool:
    """Whether a section name of 1 to 512 printable bytes starts there.

    `first_byte_free`: 6.9 and 6.10 did not look at the first byte.
    """
    return (_SECTION_LATER if first_byte_free else _SECTION).match(strings, offset) is not None
