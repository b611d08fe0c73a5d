# SPDX-License-Identifier: MIT
"""The definitions of one language: the inner loop of the census.

Most entries are understood by two reads at places that their shape tells. A name is its offset in the string
section until it is met for the first time: then it becomes text, once.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from typing import NamedTuple

from btfcheck.dwarf.abbrev import DwarfError, Shape, Sizes, leb, step_of
from btfcheck.dwarf.constants import AT, FORM, TAG
from btfcheck.dwarf.entries import Place, entry, name_of, number
from btfcheck.dwarf.units import STRING_LIMIT, Unit

STRUCT, UNION, ENUM, TYPEDEF, FUNC = "struct", "union", "enum", "typedef", "function"
KINDS = {
    TAG["structure_type"]: STRUCT, TAG["class_type"]: STRUCT, TAG["union_type"]: UNION,
    TAG["enumeration_type"]: ENUM, TAG["typedef"]: TYPEDEF, TAG["subprogram"]: FUNC,
}  # fmt: skip
SIZED = (STRUCT, UNION, ENUM)
_MOST = 500  # definitions of one name and size that are kept

Key = tuple[str, str]  # kind and name
Found = dict[Key, dict[int, Place]]

_INDEXED = frozenset(FORM[n] for n in ("strx1", "strx2", "strx4"))
_WORDS = {1: "B", 2: "H", 4: "I", 8: "Q"}


class Reader(NamedTuple):
    """How to read the entries of one shape, places counted from the first attribute.

    `section` is that of the name, `indexed` tells that the name is a number in the table of string offsets;
    `size` is the constant where it stands in the table, `size_word` else how it is written ("" for none).
    `slow` entries are read attribute by attribute.
    """

    kind: str
    section: str = ""
    name_at: int = 0
    name_word: str = ""
    indexed: bool = False
    size_at: int = 0
    size_word: str = ""
    size: int = 0
    slow: bool = False


class Readers(dict[Shape, "Reader | None"]):
    """The readers of the shapes of some units, each made once; None for what defines nothing that has a name."""

    def __init__(self, sizes: Sizes, suffix: str, indexed: bool) -> None:
        self._how = sizes, suffix, indexed
        self.pick = self._pick  # one object, which the walk keeps plans by

    def __missing__(self, shape: Shape) -> Reader | None:
        found = self[shape] = _reader(shape, *self._how)
        return found

    def _pick(self, shape: Shape) -> bool:
        """Is an entry of this shape to be told of?"""
        return shape.rust or self[shape] is not None


def readers_key(unit: Unit) -> tuple[Sizes, str, bool]:
    """What the readers of a unit depend on."""
    suffix = ".dwo" if unit.info.name.endswith(".dwo") else ""
    indexed = not suffix and unit.info.relocations is None and unit.number(AT["str_offsets_base"]) is not None
    return unit.sizes, suffix, indexed


def _reader(shape: Shape, sizes: Sizes, suffix: str, indexed: bool) -> Reader | None:
    kind = KINDS.get(shape.tag)
    forms = {attribute: form for attribute, form, _ in shape.attributes}
    if kind is None or forms.get(AT["declaration"]) in (FORM["flag_present"], FORM["implicit_const"]):
        return None
    slow = Reader(kind, slow=True)
    if AT["name"] not in forms:
        elsewhere = AT["specification"] in forms or forms.get(AT["abstract_origin"]) == FORM["ref_addr"]
        return slow if kind == FUNC and elsewhere else None
    sections = {FORM["strp"]: ".debug_str" + suffix, FORM["line_strp"]: ".debug_line_str" + suffix}
    form = forms[AT["name"]]
    by_index = indexed and form in _INDEXED
    if AT["declaration"] in forms or (form not in sections and not by_index):
        return slow
    sized = kind in SIZED and AT["byte_size"] in forms
    place, name_at, name_word, size_at, size_word, size = 0, -1, "", 0, "", 0
    for attribute, form, constant in shape.attributes:
        step, width = step_of(form, sizes)
        if attribute == AT["name"]:
            name_at, name_word = place, _WORDS.get(width, "")
        elif attribute == AT["byte_size"] and sized:
            if form == FORM["implicit_const"]:
                size, sized = constant, False
            elif step != -1 or width not in _WORDS:
                return slow
            else:
                size_at, size_word = place, _WORDS[width]
        if step != -1 and width == 0:  # its size differs: what follows has no fixed place
            break
        place += width
    if name_at < 0 or name_word in ("", "Q") or (sized and not size_word):
        return slow
    section = ".debug_str" if by_index else sections[forms[AT["name"]]]
    return Reader(kind, section, name_at, name_word, by_index, size_at, size_word, size)


class Names:
    """The definitions of one language.

    `found`: (kind, name) -> size in bytes (0 for typedefs and functions) -> the first definition.
    `every`: the same for the names that are `wanted`, with all definitions. `origins`: functions that are
    named elsewhere, by what entries of theirs refer to.
    """

    def __init__(self, wanted: Collection[Key]) -> None:
        self.found: Found = {}
        self.every: dict[Key, dict[int, list[Place]]] = {}
        self.origins: dict[int, list[Place]] = {}
        self._wanted = wanted
        # (kind, section) -> number of the name, and size -> the list in `every`, or an empty one
        self._shelves: dict[Key, dict[int, list[Place]]] = {}
        self._strings: dict[str, bytes] = {}

    def read(self, unit: Unit, offsets: list[int], readers: Readers) -> None:
        """Take in the definitions among the entries at these offsets, which ascend."""
        assert unit.table is not None
        data, order = unit.info.data, unit.info.order
        value = unit.info.relocations.ascending() if unit.info.relocations is not None else None
        unpackers: dict[str, _Unpack] = {word: struct.Struct(order + word).unpack_from for word in "BHIQ"}
        rows: dict[int, _Row | None] = {}
        for at in offsets:
            code, start = data[at], at + 1
            if code > 127:
                code, start = leb(data, at)
            if code not in rows:
                rows[code] = self._row(readers[unit.table.shape(code)], unpackers)
            row = rows[code]
            if row is None:
                continue
            unpack, name_at, unpack_size, size_at, size, shelf, reader = row
            if unpack is None:
                self._slowly(unit, at, reader.kind)
                continue
            (raw,) = unpack(data, start + name_at)
            if value is not None:
                raw = value(start + name_at, raw, 4)
            elif reader.indexed:
                raw = _indexed(unit, raw)
            if unpack_size is not None:
                (size,) = unpack_size(data, start + size_at)
            kept = shelf.get(raw | size << 32)
            if kept is None:
                name = self._string(unit, reader.section, raw)
                shelf[raw | size << 32] = self._enter((reader.kind, name), size, Place(unit, at))
            elif kept and len(kept) < _MOST:
                kept.append(Place(unit, at))

    def _row(self, reader: Reader | None, unpackers: dict[str, _Unpack]) -> _Row | None:
        """A reader as the loop wants it."""
        if reader is None:
            return None
        if reader.slow:
            return None, 0, None, 0, 0, {}, reader
        shelf = self._shelves.setdefault((reader.kind, reader.section), {})
        sized = unpackers[reader.size_word] if reader.size_word else None
        return unpackers[reader.name_word], reader.name_at, sized, reader.size_at, reader.size, shelf, reader

    def _enter(self, key: Key, size: int, place: Place) -> list[Place]:
        """Note a definition; the list for further ones of the same, empty where nobody wants them."""
        if not key[1]:
            return []
        self.found.setdefault(key, {}).setdefault(size, place)
        if key not in self._wanted:
            return []
        kept = self.every.setdefault(key, {}).setdefault(size, [])
        if len(kept) < _MOST:
            kept.append(place)
        return kept

    def _string(self, unit: Unit, section: str, at: int) -> str:
        """The string at an offset, as Debug.string reads it."""
        if section not in self._strings:
            self._strings[section] = bytes(unit.info.debug.image.contents(section))
        strings = self._strings[section]
        end = strings.find(0, at, at + STRING_LIMIT)
        return strings[at : end if end >= 0 else at + STRING_LIMIT].decode("utf-8", "backslashreplace")

    def _slowly(self, unit: Unit, at: int, kind: str) -> None:
        place = Place(unit, at)
        values = entry(place)
        if number(values, AT["declaration"]):
            return
        if AT["name"] not in values:
            origin = values.get(AT["specification"]) or values.get(AT["abstract_origin"])
            if origin is not None and isinstance(origin.raw, int):
                target = unit.info.relocated(origin, unit)
                self.origins.setdefault(target if origin.form == FORM["ref_addr"] else unit.offset + target, [place])
            return
        size = number(values, AT["byte_size"]) or 0 if kind in SIZED else 0
        self._enter((kind, name_of(place, values)), size, place)


_Unpack = Callable[..., tuple[int]]
# How the name and the size are unpacked and where they are (no way for slow ones), the constant size, the shelf
_Row = tuple[_Unpack | None, int, _Unpack | None, int, int, dict[int, list[Place]], Reader]


def _indexed(unit: Unit, index: int) -> int:
    """The offset of a string from its number in the unit's table."""
    table = unit.info.debug.image.contents(".debug_str_offsets")
    width = unit.sizes.offset
    place = (unit.number(AT["str_offsets_base"]) or 0) + index * width
    if place + width > len(table):
        raise DwarfError(f"a unit names a string that is not there: {index}")
    return int.from_bytes(table[place : place + width], "little" if unit.info.order == "<" else "big")
