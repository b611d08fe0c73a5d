# SPDX-License-Identifier: MIT
"""Single entries (DIEs), for the few of them that need a closer look than the walk's."""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from btfcheck.dwarf.abbrev import ALT_SIZES, DwarfError, Shape, leb
from btfcheck.dwarf.constants import AT, FORM, TAG
from btfcheck.dwarf.units import Debug, Info, Unit, Value
from btfcheck.dwarf.walk import skip_entry

LOCAL = frozenset(FORM[n] for n in ("ref1", "ref2", "ref4", "ref8", "ref_udata"))
_ORIGINS = (AT["abstract_origin"], AT["specification"])
_DEEP = 32  # origins of origins
_PIECES = 1 << 10, 1 << 14  # bytes
BIT_FIELD = -1  # the place of a bit field in a layout


class Place(NamedTuple):
    """An entry: its unit and its offset in the section."""

    unit: Unit
    offset: int


def entry(place: Place) -> dict[int, Value]:
    """The attributes of an entry. Raises DwarfError."""
    try:
        return place.unit.info.entry(place.unit, place.offset)
    except (struct.error, IndexError) as error:
        raise DwarfError(f"the entry at 0x{place.offset:x} is cut off") from error


def number(values: dict[int, Value], attribute: int) -> int | None:
    """An attribute that is a plain number."""
    value = values.get(attribute)
    if value is None or not isinstance(value.raw, int):
        return None
    return 1 if value.form == FORM["flag_present"] else value.raw


def name_of(place: Place, values: dict[int, Value]) -> str:
    return place.unit.info.debug.string(place.unit, values.get(AT["name"]))


def children(place: Place) -> list[tuple[int, Place]]:
    """(tag, place) of the direct children of an entry. Raises DwarfError for what cannot be decoded."""
    return [(shape.tag, Place(place.unit, offset)) for shape, offset in family(place)[1:]]


def nameless_parameters(place: Place) -> bool:
    """Has a function a parameter without a name? pahole leaves such functions out. Raises DwarfError."""
    wanted = (AT["name"], *_ORIGINS)
    return any(tag == TAG["formal_parameter"] and not any(a in entry(child) for a in wanted)
               for tag, child in children(place))


def family(place: Place) -> list[tuple[Shape, int]]:
    """(shape, offset) of an entry and of its direct children. Raises DwarfError for what cannot be decoded."""
    for size in _PIECES:  # a unit may have megabytes, a struct has seldom a thousand bytes
        with suppress(IndexError, ValueError, struct.error):
            return list(_family(place, size))
    try:
        return list(_family(place, place.unit.end - place.offset))
    except (IndexError, ValueError, struct.error) as error:
        raise DwarfError(f"the entry at 0x{place.offset:x} is cut off") from error


def _family(place: Place, size: int) -> Iterator[tuple[Shape, int]]:
    unit = place.unit
    body = bytes(unit.info.data[place.offset : min(place.offset + size, unit.end)])
    shape, _, at = skip_entry(unit, body, 0)
    if shape is None:
        raise DwarfError(f"there is no entry at 0x{place.offset:x}")
    yield shape, place.offset
    depth = 1 if shape.children else 0
    while depth:
        start = at
        shape, _, at = skip_entry(unit, body, at)
        if shape is None:
            depth -= 1
            continue
        if depth == 1:
            yield shape, place.offset + start
        depth += shape.children


class References:
    """Where references lead to, in one file."""

    def __init__(self, debug: Debug) -> None:
        self._units: dict[int, list[Unit]] = {}
        self._signatures: dict[int, Unit] = {}
        for unit in debug.units:
            self._units.setdefault(id(unit.info), []).append(unit)
            if unit.type_unit:
                self._signatures.setdefault(unit.signature, unit)
        self._starts = {info: [u.offset for u in units] for info, units in self._units.items()}

    def unit_at(self, info: Info, offset: int) -> Unit | None:
        index = bisect_right(self._starts.get(id(info), []), offset) - 1
        unit = self._units[id(info)][index] if index >= 0 else None
        return unit if unit is not None and unit.die <= offset < unit.end and unit.table is not None else None

    def target(self, place: Place, value: Value | None) -> Place | None:
        """The entry that an attribute of `place` names; None when there is none, or not in this file."""
        if value is None or not isinstance(value.raw, int):
            return None
        unit = place.unit
        if value.form in LOCAL:
            offset = unit.offset + value.raw
            return Place(unit, offset) if unit.die <= offset < unit.end else None
        if value.form == FORM["ref_addr"]:
            offset = unit.info.relocated(value, unit)
            found = self.unit_at(unit.info, offset)
            return Place(found, offset) if found else None
        if value.form == FORM["ref_sig8"] and value.raw in self._signatures:
            found = self._signatures[value.raw]
            inner = [p for tag, p in children(Place(found, found.die)) if tag in _TYPES]
            return inner[0] if inner else None
        if value.form in ALT_SIZES:
            raise DwarfError(f"the entry at 0x{place.offset:x} refers to another file")
        return None

    def origin(self, place: Place) -> Place:
        """The entry at the end of the chain of abstract origins and specifications. Raises DwarfError."""
        for _ in range(_DEEP):
            values = entry(place)
            if AT["name"] in values:
                return place
            following = next((values[a] for a in _ORIGINS if a in values), None)
            target = self.target(place, following)
            if target is None:
                return place
            place = target
        raise DwarfError(f"the origins of the entry at 0x{place.offset:x} have no end")

    def type_of(self, place: Place) -> Place | None:
        """What DW_AT_type of an entry, or of its origin, leads to; None for void. Raises DwarfError."""
        for _ in range(_DEEP):
            values = entry(place)
            if AT["type"] in values:
                found = self.target(place, values[AT["type"]])
                if found is None:
                    raise DwarfError(f"the type of the entry at 0x{place.offset:x} is not there")
                return found
            origin = self.target(place, next((values[a] for a in _ORIGINS if a in values), None))
            if origin is None:
                return None
            place = origin
        raise DwarfError(f"the origins of the entry at 0x{place.offset:x} have no end")


_TYPES = frozenset(TAG[t] for t in ("structure_type", "class_type", "union_type", "enumeration_type", "typedef"))

Layout = tuple[tuple[str, int], ...]


def layout(place: Place) -> Layout:
    """(name, place) of each member or enumerator, sorted; the place is in bits, that of a bit field BIT_FIELD,
    an enumerator's its value modulo 2**32. Raises DwarfError."""
    found = []
    for tag, child in children(place):
        if tag == TAG["member"]:
            values = entry(child)
            at = AT["data_bit_offset"] in values or AT["bit_size"] in values
            where = BIT_FIELD if at else 8 * (number(values, AT["data_member_location"]) or 0)
        elif tag == TAG["enumerator"]:
            values = entry(child)
            where = _constant(child, values.get(AT["const_value"])) & 0xFFFFFFFF
        else:
            continue
        found.append((name_of(child, values), where))
    return tuple(sorted(found))


def _constant(place: Place, value: Value | None) -> int:
    """A constant with its sign, which Value leaves out for LEB128."""
    if value is None or not isinstance(value.raw, int):
        return 0
    if value.form == FORM["sdata"]:
        end = leb(place.unit.info.data, value.at)[1]
        if place.unit.info.data[end - 1] & 0x40:
            return value.raw - (1 << 7 * (end - value.at))
    return value.raw
