# SPDX-License-Identifier: MIT
"""The functions in a file's symbol table: pahole encodes no others."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from btfcheck.image import SHT_SYMTAB, Image

_FUNCTION = 2  # STT_FUNC


def functions(image: Image) -> dict[str, set[tuple[int, int]]] | None:
    """Name -> (section, address) of each STT_FUNC symbol of that name; None when there is no symbol table."""
    table = image.section(".symtab")
    if table is None or table.type != SHT_SYMTAB or not table.size or table.link >= len(image.sections):
        return None
    strings = bytes(image.contents(image.sections[table.link]))
    found: dict[str, set[tuple[int, int]]] = {}
    names: dict[int, str] = {}
    for at, section, value in _rows(image, image.contents(table)):
        if at and at not in names:
            names[at] = strings[at : strings.find(b"\0", at)].decode("utf-8", "backslashreplace")
        if at and section:
            found.setdefault(names[at], set()).add((section, value))
        elif at:
            found.setdefault(names[at], set())
    return found


def _rows(image: Image, data: memoryview) -> Iterator[tuple[int, int, int]]:
    """(place of the name, section, address) of the functions."""
    wide = image.bits == 64
    entry = struct.Struct(image.order + ("IBBHQQ" if wide else "IIIBBH"))
    for row in entry.iter_unpack(data[: len(data) - len(data) % entry.size]):
        info, section, value = (row[1], row[3], row[4]) if wide else (row[3], row[5], row[1])
        if info & 15 == _FUNCTION:
            yield row[0], section, value
