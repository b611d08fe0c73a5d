# SPDX-License-Identifier: MIT
"""Entries by name: which units define something that people ask for.

A name is looked for in the string sections first. Units whose bytes cannot refer to it are not walked, and of the
others only entries with one of the tags are looked at: Debian's 6.12 cloud vmlinux has 18 million entries.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Iterator
from typing import Literal, NamedTuple

from btfcheck.dwarf.abbrev import DwarfError, Shape, leb, step_of
from btfcheck.dwarf.constants import AT, FORM, TAG
from btfcheck.dwarf.units import Debug, Unit
from btfcheck.dwarf.walk import walk

TYPES = frozenset(
    TAG[t] for t in ("structure_type", "class_type", "union_type", "enumeration_type", "typedef", "base_type")
)
FUNCTIONS = frozenset({TAG["subprogram"]})
POINTERS = frozenset({TAG["pointer_type"]})  # only Rust's have names
NAMES = (AT["name"],)
LINKAGE_NAMES = (AT["linkage_name"], AT["MIPS_linkage_name"])
_INDEXED = frozenset(FORM[n] for n in ("strx", "strx1", "strx2", "strx3", "strx4", "GNU_str_index"))
_STRINGS = {FORM["strp"]: ".debug_str", FORM["line_strp"]: ".debug_line_str"}
_MOST_PLACES = 100_000  # of one text in a string section; more is mischief
_MOST_LOOKS = 12  # searches through a unit that are quicker than walking it


class Found(NamedTuple):
    """An entry that has one of the names: its unit, where it starts in the section, its tag, the name."""

    unit: Unit
    offset: int
    tag: int
    name: str


def find(
    debug: Debug, names: Collection[str], tags: frozenset[int], attributes: tuple[int, ...] = NAMES,
    problems: list[str] | None = None, advance: Callable[[Unit], None] | None = None,
) -> Iterator[Found]:
    """Entries with one of `tags` and one of `names`, unit by unit. Units that cannot be read are told in `problems`;
    `advance` is called with each unit that is done."""
    wanted = _Wanted(debug, names)
    for unit in debug.units:
        try:
            if unit.problem:
                raise DwarfError(unit.problem)
            rust = unit.language == "Rust" or (unit.table is not None and unit.table.rust)
            own = tags | POINTERS if rust and tags & TYPES else tags
            if unit.table is not None and wanted.possible(unit, attributes):
                yield from _in_unit(unit, own, attributes, wanted)
        except DwarfError as error:
            if problems is not None:
                problems.append(str(error))
        except (struct.error, IndexError) as error:
            if problems is not None:
                problems.append(f"unit at 0x{unit.offset:x}: {error}")
        if advance:
            advance(unit)


def _in_unit(unit: Unit, tags: frozenset[int], attributes: tuple[int, ...], wanted: _Wanted) -> Iterator[Found]:
    data, readers = unit.info.data, _readers(unit, attributes)
    indices = wanted.indices(unit)
    suffix = _suffix(unit)
    order: Literal["little", "big"] = "little" if unit.info.order == "<" else "big"
    relocations = unit.info.relocations
    for at in walk(unit, tags)[2]:
        code, start = leb(data, at) if data[at] > 127 else (data[at], at + 1)
        place, width, form = readers[code]
        if width < 0:
            continue
        if width:
            raw = int.from_bytes(data[start + place : start + place + width], order)
            if form in _INDEXED:
                name = indices.get(raw)
            else:
                if relocations is not None:
                    raw = relocations.value(start + place, raw, width)
                name = wanted.offsets(_STRINGS[form] + suffix).get(raw)
        else:
            name = wanted.slowly(unit, at, attributes)
        if name is not None:
            assert unit.table is not None
            yield Found(unit, at, unit.table.shape(code).tag, name)


def _suffix(unit: Unit) -> str:
    return ".dwo" if unit.info.name.endswith(".dwo") else ""


def _readers(unit: Unit, attributes: tuple[int, ...]) -> dict[int, tuple[int, int, int]]:
    """Code -> (place among the attributes' bytes, width, form) of the name; width 0: to be read one by one, -1: it has
    none. Made once for each table."""
    assert unit.table is not None
    key = "find", attributes
    found = unit.table.plans.get(key)
    if not isinstance(found, dict):
        found = unit.table.plans[key] = {
            code: _reader(shape, unit, attributes) for code, shape in unit.table.shapes.items()
        }
    return found


def _reader(shape: Shape, unit: Unit, attributes: tuple[int, ...]) -> tuple[int, int, int]:
    if not any(attribute in attributes for attribute, _, _ in shape.attributes):
        return 0, -1, 0
    place = 0
    for attribute, form, _ in shape.attributes:
        step, width = step_of(form, unit.sizes)
        if attribute in attributes:
            plain = form in _STRINGS or (form in _INDEXED and width and unit.info.relocations is None)
            return (place, width, form) if plain else (0, 0, 0)
        if step != -1 and width == 0:  # its size differs: what follows has no fixed place
            return 0, 0, 0
        place += width
    return 0, -1, 0


class _Wanted:
    """The names, and where the string sections have them."""

    def __init__(self, debug: Debug, names: Collection[str]) -> None:
        self.debug = debug
        self.texts = {name: name.encode("utf-8", "surrogateescape") for name in names if name}
        self._offsets: dict[str, dict[int, str]] = {}
        self._indices: dict[tuple[str, int], dict[int, str]] = {}

    def offsets(self, section: str) -> dict[int, str]:
        """Offset in a string section -> name. Linkers let a string begin inside of another."""
        if section not in self._offsets:
            found: dict[int, str] = {}
            strings = bytes(self.debug.image.contents(section))
            for name, text in self.texts.items():
                at = strings.find(text + b"\0")
                while at >= 0 and len(found) < _MOST_PLACES:
                    found[at] = name
                    at = strings.find(text + b"\0", at + 1)
            self._offsets[section] = found
        return self._offsets[section]

    def indices(self, unit: Unit) -> dict[int, str]:
        """Index in the unit's part of the table of string offsets -> name."""
        base = unit.number(AT["str_offsets_base"])
        if base is None:
            return {}
        suffix = _suffix(unit)
        if (suffix, base) not in self._indices:
            table = self.debug.image.contents(".debug_str_offsets" + suffix)
            width, order = unit.sizes.offset, unit.info.order
            length = 0
            if width <= base <= len(table):  # the header before it tells how long the part is
                (length,) = struct.unpack_from(order + ("I" if width == 4 else "Q"), table, base - width - 4)
            part = bytes(table[base : base + max(0, length - 4)])
            found: dict[int, str] = {}
            for offset, name in self.offsets(".debug_str" + suffix).items():
                packed = offset.to_bytes(width, "little" if order == "<" else "big")
                at = part.find(packed)
                while at >= 0:
                    if at % width == 0:
                        found[at // width] = name
                    at = part.find(packed, at + 1)
            self._indices[suffix, base] = found
        return self._indices[suffix, base]

    def possible(self, unit: Unit, attributes: tuple[int, ...]) -> bool:
        """Can an entry of the unit have one of the names?"""
        assert unit.table is not None
        if unit.info.relocations is not None or unit.info.debug.alternate is not None:
            return True
        forms = {form for shape in unit.table.shapes.values() for a, form, _ in shape.attributes if a in attributes}
        if forms & _INDEXED and (unit.number(AT["str_offsets_base"]) is None or self.indices(unit)):
            return True
        if forms - _INDEXED - _STRINGS.keys() - {FORM["string"]}:
            return True
        looked = [text + b"\0" for text in self.texts.values()] if FORM["string"] in forms else []
        order: Literal["little", "big"] = "little" if unit.info.order == "<" else "big"
        for form in forms & _STRINGS.keys():
            looked += [o.to_bytes(unit.sizes.offset, order) for o in self.offsets(_STRINGS[form] + _suffix(unit))]
        if not looked or len(looked) > _MOST_LOOKS:
            return bool(looked)
        body = unit.info.body(unit)
        return any(one in body for one in looked)

    def slowly(self, unit: Unit, at: int, attributes: tuple[int, ...]) -> str | None:
        """The name of an entry, read attribute by attribute, when it is one of those that are wanted."""
        entry = unit.info.entry(unit, at)
        for attribute in attributes:
            if attribute in entry:
                name = unit.info.debug.string(unit, entry[attribute])
                return name if name in self.texts else None
        return None
