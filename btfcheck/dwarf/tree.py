# SPDX-License-Identifier: MIT
"""One unit as a tree of entries, for the few units in which the walk found something.

Entries stand in pre-order, so the entries below number i are `range(i + 1, ends[i])`.
"""

from __future__ import annotations

import struct
from functools import cached_property

from btfcheck.dwarf.abbrev import DwarfError, Shape
from btfcheck.dwarf.constants import AT
from btfcheck.dwarf.entries import LOCAL
from btfcheck.dwarf.units import Unit, Value
from btfcheck.dwarf.walk import skip_entry

_MOST_ENTRIES = 3_000_000  # of a unit that is held as a tree; the largest unit of a kernel has some 100,000
_DEEP = 64  # namespaces and types around a name; a chain that is longer is cut


class Tree:
    """The entries of a unit: where each starts, its shape, its parent (-1 for the first entry).

    Raises DwarfError when the unit cannot be decoded.
    """

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.offsets: list[int] = []
        self.shapes: list[Shape] = []
        self.parents: list[int] = []
        self.ends: list[int] = []
        self._starts: list[int] = []
        body = unit.info.body(unit)
        at, end = unit.die - unit.offset, unit.end - unit.offset
        parent, open_parents = -1, [-1]
        try:
            while at < end:
                shape, attributes, after = skip_entry(unit, body, at)
                if shape is None:
                    if parent >= 0:
                        self.ends[parent] = len(self.offsets)
                        parent = open_parents.pop()
                else:
                    if len(self.offsets) >= _MOST_ENTRIES:
                        raise DwarfError(f"unit at 0x{unit.offset:x} has more entries than can be told apart")
                    self.offsets.append(unit.offset + at)
                    self.shapes.append(shape)
                    self.parents.append(parent)
                    self.ends.append(len(self.offsets))
                    self._starts.append(unit.offset + attributes)
                    if shape.children:
                        open_parents.append(parent)
                        parent = len(self.offsets) - 1
                at = after
        except (IndexError, ValueError, struct.error) as error:
            raise DwarfError(f"unit at 0x{unit.offset:x} does not end with an entry") from error
        while parent >= 0:
            self.ends[parent] = len(self.offsets)
            parent = open_parents.pop()

    @cached_property
    def numbers(self) -> dict[int, int]:
        """Offset in the section -> number of the entry."""
        return {offset: number for number, offset in enumerate(self.offsets)}

    def tag(self, number: int) -> int:
        return self.shapes[number].tag

    def attributes(self, number: int) -> dict[int, Value]:
        return dict(self.unit.info.attributes(self.shapes[number], self._starts[number], self.unit))

    def has(self, number: int, *attributes: int) -> bool:
        return any(a in attributes for a, _, _ in self.shapes[number].attributes)

    def type_of(self, number: int) -> int | None:
        """The number of the entry that DW_AT_type names, when it is in this unit."""
        if not self.has(number, AT["type"]):
            return None
        value = self.attributes(number)[AT["type"]]
        if value.form not in LOCAL or not isinstance(value.raw, int):
            return None
        return self.numbers.get(self.unit.offset + value.raw)

    def name(self, number: int) -> str:
        """DW_AT_name of an entry, else its linkage name, else ""."""
        values = self.attributes(number)
        for attribute in ("name", "linkage_name", "MIPS_linkage_name"):
            if AT[attribute] in values:
                return self.unit.info.debug.string(self.unit, values[AT[attribute]])
        return ""

    def path(self, number: int) -> str:
        """The name with the names of what is around it, `core::fmt::Write`; nameless entries are left out."""
        names: list[str] = []
        while number > 0 and len(names) < _DEEP:
            if name := self.name(number):
                names.append(name)
            number = self.parents[number]
        return "::".join(reversed(names))

    def below(self, number: int) -> range:
        return range(number + 1, self.ends[number])
