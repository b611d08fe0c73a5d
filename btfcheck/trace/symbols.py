# SPDX-License-Identifier: MIT
"""The functions in a file's symbol table: pahole encodes no others."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

from btfcheck.image import SHT_SYMTAB, Image

_FUNCTION = 2  # STT_FUNC


def has_symbols(image: Image) -> bool:
    table = image.section(".symtab")
    return table is not None and table.type == SHT_SYMTAB and table.size > 0 and table.link < len(image.sections)


def functions(image: Image) -> dict[str, set[tuple[int, int]]] | None:
    """Name -> (section, address) of each STT_FUNC symbol of that name; None when there is no symbol table."""
    table = image.section(".symtab")
    if table is None or not has_symbols(image):
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


def is_defined(image: Image, name: str) -> bool:
    """Is there a symbol of that name, of whatever type, that the file defines?"""
    table = image.section(".symtab")
    if table is None or not has_symbols(image):
        return False
    strings = bytes(image.contents(image.sections[table.link]))
    text, places = name.encode("utf-8", "surrogateescape") + b"\0", set()
    at = strings.find(text) if name else -1
    while at >= 0:
        places.add(at)
        at = strings.find(text, at + 1)
    wide = image.bits == 64
    entry = struct.Struct(image.order + ("IBBHQQ" if wide else "IIIBBH"))
    data = image.contents(table)
    rows = entry.iter_unpack(data[: len(data) - len(data) % entry.size])
    return any(row[0] in places and row[3 if wide else 5] for row in rows) if places else False


def _rows(image: Image, data: memoryview) -> Iterator[tuple[int, int, int]]:
    """(place of the name, section, address) of the functions."""
    wide = image.bits == 64
    entry = struct.Struct(image.order + ("IBBHQQ" if wide else "IIIBBH"))
    for row in entry.iter_unpack(data[: len(data) - len(data) % entry.size]):
        info, section, value = (row[1], row[3], row[4]) if wide else (row[3], row[5], row[1])
        if info & 15 == _FUNCTION:
            yield row[0], section, value


def ambiguous(symbols: Mapping[str, set[tuple[int, int]]]) -> frozenset[str]:
    """The names that stand for several addresses, those of `name.suffix` counted in."""
    places: dict[str, set[tuple[int, int]]] = {}
    for name, known in symbols.items():
        places.setdefault(name.partition(".")[0], set()).update(known)
    return frozenset(name for name, known in places.items() if len(known) > 1)
