# SPDX-License-Identifier: MIT
"""Types and functions of DWARF as people write them, found by following references from one entry to the next.

Every reference may lead anywhere: into another unit, into a circle, out of the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from btfcheck.dwarf.abbrev import DwarfError, leb
from btfcheck.dwarf.constants import AT, FORM, TAG, tag_name
from btfcheck.dwarf.entries import LOCAL, Place, References, children, number
from btfcheck.dwarf.lines import file_table
from btfcheck.dwarf.units import Debug, Unit, Value

_DEEP = 24  # pointers to pointers; prototypes count more
_PROTO = 6
_MOST_PARAMETERS = 64
_WORDS = {
    TAG["structure_type"]: "struct ", TAG["class_type"]: "struct ", TAG["union_type"]: "union ",
    TAG["enumeration_type"]: "enum ",
}  # fmt: skip
_QUALIFIERS = {
    TAG["const_type"]: "const", TAG["volatile_type"]: "volatile", TAG["restrict_type"]: "restrict",
    TAG["atomic_type"]: "_Atomic",
}  # fmt: skip
_PARAMETERS = frozenset({TAG["formal_parameter"], TAG["unspecified_parameters"]})
THROUGH = frozenset((*_QUALIFIERS, TAG["pointer_type"], TAG["array_type"], TAG["typedef"]))


class Entry(NamedTuple):
    """An entry that was read: its unit, offset, tag and attributes."""

    unit: Unit
    offset: int
    tag: int
    values: dict[int, Value]

    def number(self, attribute: int) -> int | None:
        """A numeric attribute; None for none, and for an expression."""
        return number(self.values, attribute)

    def name(self, *attributes: str) -> str:
        """DW_AT_name, or the first of these attributes that it has; "" without any."""
        for attribute in attributes or ("name",):
            if AT[attribute] in self.values:
                return self.unit.info.debug.string(self.unit, self.values[AT[attribute]])
        return ""


class Reader:
    """Entries of one file by offset and by reference. Its methods raise DwarfError for what cannot be decoded."""

    def __init__(self, debug: Debug) -> None:
        self._references = References(debug)
        self._files: dict[tuple[int, int], list[str]] = {}

    def entry(self, unit: Unit, offset: int) -> Entry:
        assert unit.table is not None
        try:
            code, at = leb(unit.info.data, offset)
            shape = unit.table.shape(code)
            return Entry(unit, offset, shape.tag, dict(unit.info.attributes(shape, at, unit)))
        except (struct.error, IndexError) as error:
            raise DwarfError(f"the entry at 0x{offset:x} is cut off") from error

    def target(self, entry: Entry, attribute: int = AT["type"]) -> Entry | None:
        """What an attribute refers to; None without it and where it leads out of the file."""
        value = entry.values.get(attribute)
        if value is None or (value.form not in LOCAL and value.form != FORM["ref_addr"]):
            return None
        found = self._references.target(Place(entry.unit, entry.offset), value)
        return self.entry(found.unit, found.offset) if found and not found.unit.problem else None

    def children(self, entry: Entry, tags: frozenset[int]) -> Iterator[Entry]:
        """The direct children that have one of the tags."""
        for tag, place in children(Place(entry.unit, entry.offset)):
            if tag in tags:
                yield self.entry(place.unit, place.offset)

    def source(self, entry: Entry) -> str:
        """`file:line` of the declaration, "" when nothing tells it."""
        index, line = entry.number(AT["decl_file"]), entry.number(AT["decl_line"])
        if index is None:
            return ""
        key = id(entry.unit.info), entry.unit.offset
        if key not in self._files:
            self._files[key] = file_table(entry.unit)
        files = self._files[key]
        if not 0 <= index < len(files) or not files[index]:
            return ""
        return f"{files[index]}:{line}" if line else files[index]

    # -- types as text --------------------------------------------------------------------------------------

    def spell(self, entry: Entry | None, inner: str = "", depth: int = 0) -> str:
        """`inner` declared with a type, as C does; Rust's types by their names. None is void."""
        if entry is None:
            return f"void {inner}".rstrip()
        if depth > _DEEP:
            return f"... {inner}".rstrip()
        tag, rust = entry.tag, entry.unit.language == "Rust"
        name = entry.name()
        if tag == TAG["pointer_type"] and not name:
            target = self._typed(entry)
            if target is not None and target.tag in (TAG["array_type"], TAG["subroutine_type"]):
                return self.spell(target, f"(*{inner})", depth + 1)
            return self.spell(target, f"*{inner}", depth + 1)
        if tag in _QUALIFIERS:
            target = self._typed(entry)
            if target is not None and target.tag == TAG["pointer_type"]:
                return self.spell(target, f"{_QUALIFIERS[tag]} {inner}".rstrip(), depth + 1)
            return f"{_QUALIFIERS[tag]} {self.spell(target, inner, depth + 1)}"
        if tag == TAG["array_type"]:
            return self.spell(self._typed(entry), f"{inner}{self._dimensions(entry)}", depth + 1)
        if tag == TAG["subroutine_type"]:
            return self.prototype(entry, inner, depth + _PROTO)
        if tag == TAG["unspecified_type"]:
            return f"void {inner}".rstrip()
        if not name:
            name = f"<{tag_name(tag).removeprefix('DW_TAG_')} at 0x{entry.offset:x}>"
        return f"{'' if rust else _WORDS.get(tag, '')}{name} {inner}".rstrip()

    def _typed(self, entry: Entry) -> Entry | None:
        """The type of an entry; None is void, and what cannot be followed is told apart from it."""
        found = self.target(entry)
        if found is None and AT["type"] in entry.values:
            raise DwarfError(f"the type of the entry at 0x{entry.offset:x} stands in no unit of this file")
        return found

    def _dimensions(self, entry: Entry) -> str:
        text = ""
        for part in self.children(entry, frozenset({TAG["subrange_type"]})):
            count, upper = part.number(AT["count"]), part.number(AT["upper_bound"])
            text += f"[{'' if count is None and upper is None else count if count is not None else (upper or 0) + 1}]"
        return text or "[]"

    def prototype(self, entry: Entry, name: str, depth: int = 0) -> str:
        """A function as C declares it; the type of a copy is that of what it was copied from."""
        whole = self.origin(entry)
        parameters: list[str] = []
        for part in self.children(entry, _PARAMETERS) if depth <= _DEEP else ():
            if len(parameters) >= _MOST_PARAMETERS:
                break
            if part.tag == TAG["unspecified_parameters"]:
                parameters.append("...")
                continue
            own = self.origin(part)
            parameters.append(self.spell(self._typed(own), own.name(), depth + 1))
        return self.spell(self._typed(whole), f"{name}({', '.join(parameters) or 'void'})", depth + 1)

    def signature(self, entry: Entry) -> tuple[str, ...]:
        """The types of result and parameters, without names: what pahole compares functions by."""
        parts = [self.spell(self._typed(self.origin(entry)))]
        for part in self.children(entry, _PARAMETERS):
            own = part.tag == TAG["formal_parameter"]
            parts.append(self.spell(self._typed(self.origin(part))) if own else "...")
        return tuple(parts)

    def origin(self, entry: Entry) -> Entry:
        """What an out-of-line copy or a definition outside its class stands for, itself for all others."""
        for _ in range(_DEEP):
            found = self.target(entry, AT["abstract_origin"]) or self.target(entry, AT["specification"])
            if found is None:
                break
            entry = found._replace(values=found.values | {k: v for k, v in entry.values.items() if k not in _OWN})
        return entry


_OWN = frozenset(AT[n] for n in ("abstract_origin", "specification", "name", "type", "decl_file", "decl_line"))
