# SPDX-License-Identifier: MIT
"""How the types of arguments lie in memory: what a calling convention goes by, and BTF does not say."""

from __future__ import annotations

from typing import NamedTuple

from btfcheck.dwarf.abbrev import DwarfError
from btfcheck.dwarf.constants import AT, TAG
from btfcheck.dwarf.entries import Place, References, children, entry, family, number
from btfcheck.dwarf.units import Value

LARGEST = 16  # bytes; what is larger is passed in memory everywhere, and not looked into
_DEEPEST = 32
_MOST = 256  # numbers in sixteen bytes
_WRAPPERS = frozenset(
    TAG[t] for t in ("typedef", "const_type", "volatile_type", "restrict_type", "atomic_type", "immutable_type")
)
_COMPOSED = frozenset(TAG[t] for t in ("structure_type", "class_type", "union_type"))
_SCALARS = frozenset(TAG[t] for t in ("base_type", "enumeration_type", "pointer_type"))
_FLOATS = (0x03, 0x04, 0x0F)  # DW_ATE_complex_float, float, decimal_float


class Scalar(NamedTuple):
    """A number inside a type: where, and how many bytes (0 for an end of a bit field, which may lie anywhere)."""

    offset: int
    size: int
    floating: bool = False


class Measure(NamedTuple):
    """A type: bytes, alignment in bytes, the largest alignment among its members, and the numbers in it (none
    for more than LARGEST bytes). `stated` tells that DW_AT_alignment says something of it, or inside it."""

    size: int
    align: int
    natural: int
    scalars: tuple[Scalar, ...] = ()
    stated: bool = False


class Measures:
    """Measures types, each once. `of` raises DwarfError for what cannot be read or has no size."""

    def __init__(self, references: References) -> None:
        self._references = references
        self._known: dict[Place, Measure | None] = {}

    def of(self, place: Place, depth: int = 0) -> Measure:
        if place not in self._known:
            self._known[place] = None  # ends circles
            if depth <= _DEEPEST:
                self._known[place] = self._measured(place, depth + 1)
        found = self._known[place]
        if found is None or len(found.scalars) > _MOST:
            raise DwarfError(f"the type at 0x{place.offset:x} nests too deep")
        return found

    def _behind(self, place: Place, depth: int) -> Measure:
        inner = self._references.type_of(place)
        if inner is None:
            raise DwarfError(f"the entry at 0x{place.offset:x} is void")
        return self.of(inner, depth)

    def _measured(self, place: Place, depth: int) -> Measure:
        tag, values = family(place)[0][0].tag, entry(place)
        stated = number(values, AT["alignment"]) or 0
        if tag in _WRAPPERS:
            found = self._behind(place, depth)
            return found._replace(align=stated, stated=True) if stated else found
        if tag == TAG["array_type"]:
            return self._array(place, depth)
        size = number(values, AT["byte_size"])
        if tag == TAG["pointer_type"] and size is None:
            size = place.unit.sizes.address
        if size is None or (tag not in _COMPOSED and tag not in _SCALARS):
            raise DwarfError(f"the type at 0x{place.offset:x} has no size")
        if tag in _SCALARS:
            align = stated or size
            floating = number(values, AT["encoding"]) in _FLOATS
            return Measure(size, align, align, (Scalar(0, size, floating),), bool(stated))
        if size > LARGEST:
            return Measure(size, stated or 1, 1, stated=bool(stated))
        return self._composed(place, size, stated, depth)

    def _composed(self, place: Place, size: int, stated: int, depth: int) -> Measure:
        natural, scalars, told = 1, set(), bool(stated)
        for tag, child in children(place):
            if tag != TAG["member"]:
                continue
            values = entry(child)
            found = self._behind(child, depth)
            own = number(values, AT["alignment"]) or 0
            natural = max(natural, own or found.align)
            told |= found.stated or bool(own)
            if bits := number(values, AT["bit_size"]):
                start = _first_bit(values, bits, found.size)
                scalars |= {Scalar(start // 8, 0), Scalar((start + bits - 1) // 8, 0)}
                continue
            offset = number(values, AT["data_member_location"]) or 0
            scalars |= {s._replace(offset=offset + s.offset) for s in found.scalars}
        return Measure(size, stated or natural, natural, tuple(sorted(scalars)), told)

    def _array(self, place: Place, depth: int) -> Measure:
        found = self._behind(place, depth)
        times = 1
        for tag, child in children(place):
            if tag == TAG["subrange_type"]:
                values = entry(child)
                last = number(values, AT["upper_bound"])
                times *= number(values, AT["count"]) or (0 if last is None or last > LARGEST else last + 1)
        size = found.size * times
        few = times if 0 < size <= LARGEST else 0
        scalars = tuple(s._replace(offset=s.offset + n * found.size) for n in range(few) for s in found.scalars)
        return Measure(size, found.align, found.align, scalars, found.stated)


def _first_bit(values: dict[int, Value], bits: int, size: int) -> int:
    """Where a bit field begins; before DWARF 4 it was counted from the other end of what holds it (`size` bytes)."""
    first = number(values, AT["data_bit_offset"])
    if first is not None:
        return first
    held = number(values, AT["byte_size"]) or size
    from_end = number(values, AT["bit_offset"]) or 0
    return max(0, 8 * ((number(values, AT["data_member_location"]) or 0) + held) - from_end - bits)
