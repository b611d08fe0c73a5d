# SPDX-License-Identifier: MIT
"""Units: their headers, their first entry (language, name, producer), and the strings these name.

DWARF 2 to 6, 32-bit and 64-bit, `.debug_info`, `.debug_types` and their `.dwo` forms, from linked
files and from ET_REL, where only those fields are relocated that are read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from btfcheck.dwarf.abbrev import (
    ALT,
    BLOCK,
    BLOCK1,
    BLOCK2,
    BLOCK4,
    INDIRECT,
    LEB,
    REF,
    STRING,
    Abbreviations,
    DwarfError,
    Shape,
    Sizes,
    Table,
    leb,
    step_of,
)
from btfcheck.dwarf.constants import AT, FORM, TAG, language_of
from btfcheck.image import Image, Relocations, Section

UT_COMPILE, UT_TYPE, UT_PARTIAL, UT_SKELETON, UT_SPLIT_COMPILE, UT_SPLIT_TYPE = range(1, 7)

STRING_LIMIT = 4096  # bytes of a name that are read
_UNIT_LIMIT = 400_000  # in one section; dwz makes 22,000 of a distribution's vmlinux


class Value(NamedTuple):
    """An attribute's value as it stands: its form, the number or bytes, and where in the section."""

    form: int
    raw: int | bytes
    at: int


class Unit:
    """One unit. Offsets count from the start of its section; `end` is where the next one starts.

    `language` is "C", "Rust", "asm" and so on, "none" when nothing names one; `root` holds the
    attributes of the first entry. `problem` says why the unit cannot be understood, or is empty.
    """

    __slots__ = ("code", "die", "end", "info", "kind", "language", "offset", "problem", "root",
                 "signature", "sizes", "table", "tag", "version")

    def __init__(self, info: Info, offset: int, end: int, version: int, kind: int, sizes: Sizes,
                 signature: int, die: int) -> None:
        self.info = info
        self.offset = offset
        self.end = end
        self.version = version
        self.kind = kind
        self.sizes = sizes
        self.signature = signature
        self.die = die
        self.table: Table | None = None
        self.tag = 0
        self.root: dict[int, Value] = {}
        self.code: int | None = None
        self.language = "none"
        self.problem = ""

    @property
    def name(self) -> str:
        return self.info.debug.string(self, self.root.get(AT["name"]))

    @property
    def producer(self) -> str:
        return self.info.debug.string(self, self.root.get(AT["producer"]))

    @property
    def partial(self) -> bool:
        return self.tag == TAG["partial_unit"]

    @property
    def skeleton(self) -> bool:
        """Does the real content stand in a .dwo file?"""
        if self.info.name.endswith(".dwo"):
            return False
        return self.kind == UT_SKELETON or AT["GNU_dwo_name"] in self.root or AT["dwo_name"] in self.root

    @property
    def type_unit(self) -> bool:
        return self.tag == TAG["type_unit"]

    def number(self, attribute: int) -> int | None:
        """A numeric attribute of the first entry, relocated; None when it has none."""
        value = self.root.get(attribute)
        return None if value is None or isinstance(value.raw, bytes) else self.info.relocated(value, self)


class Info:
    """One section of units, with what is needed to read it."""

    def __init__(self, debug: Debug, section: Section, abbreviations: Abbreviations) -> None:
        self.debug = debug
        self.name = section.name.replace(".zdebug", ".debug")
        self.data = debug.image.contents(section)
        self.relocations: Relocations | None = debug.image.relocations(section)
        self.abbreviations = abbreviations
        # In a .dwp each unit has its own part of other sections: unit offset -> where that starts in
        # .debug_abbrev.dwo and .debug_str_offsets.dwo.
        self.bases: dict[int, tuple[int, int]] = {}
        self.order = debug.image.order

    def relocated(self, value: Value, unit: Unit) -> int:
        """The number of a value; where the linker still has to fill it in, what it would fill in."""
        assert isinstance(value.raw, int)
        if self.relocations is None:
            return value.raw
        kind, size = step_of(value.form, unit.sizes)
        if kind not in (-1, REF, ALT) or size < 4:
            return value.raw
        return self.relocations.value(value.at, value.raw, size)

    def units(self) -> Iterator[Unit]:
        """The units in file order, first entries read. A unit that cannot be read has a `problem`; when
        not even its end is known, it is the last one."""
        at, total, count = 0, len(self.data), 0
        while at < total:
            count += 1
            try:
                if count > _UNIT_LIMIT:
                    raise DwarfError(f"more than {_UNIT_LIMIT} units")
                unit = self._header(at)
            except (DwarfError, struct.error) as error:
                if not any(self.data[at:]):  # padding that a linker left
                    return
                unit = Unit(self, at, total, 0, 0, Sizes(4, 8, 4), 0, at)
                unit.problem = str(error) if isinstance(error, DwarfError) else "unit header cut off"
                yield unit
                return
            if not unit.problem:
                self._read_root(unit)
            yield unit
            at = unit.end

    def _header(self, at: int) -> Unit:
        data, order = self.data, self.order
        start, width = at, 4
        (length,) = struct.unpack_from(order + "I", data, at)
        at += 4
        if length == 0xFFFFFFFF:
            width = 8
            (length,) = struct.unpack_from(order + "Q", data, at)
            at += 8
        elif length >= 0xFFFFFFF0:
            raise DwarfError(f"unit length 0x{length:x} is reserved")
        if self.relocations is not None and length == 0:  # RISC-V leaves even this to the linker
            length = self.relocations.value(at - width, length, width)
        end = at + length
        (version,) = struct.unpack_from(order + "H", data, at)
        at += 2
        word = "Q" if width == 8 else "I"
        kind = UT_TYPE if self.name.startswith(".debug_types") else UT_COMPILE
        if version >= 5:
            kind, address, table = struct.unpack_from(order + "BB" + word, data, at)
            field = at + 2
        else:
            table, address = struct.unpack_from(order + word + "B", data, at)
            field = at
        at += 2 + width if version >= 5 else width + 1
        if end > len(data) or end <= at:
            raise DwarfError(f"unit at 0x{start:x} has length {length}, the section ends at 0x{len(data):x}")
        signature = 0
        if kind in (UT_TYPE, UT_SPLIT_TYPE, UT_SKELETON, UT_SPLIT_COMPILE):
            (signature,) = struct.unpack_from(order + "Q", data, at)
            at += 8 if kind in (UT_SKELETON, UT_SPLIT_COMPILE) else 8 + width
        sizes = Sizes(width, address, address if version == 2 else width)
        unit = Unit(self, start, end, version, kind, sizes, signature, at)
        if not 2 <= version <= 6 or address not in (1, 2, 4, 8) or not 1 <= kind <= 6:
            unit.problem = (f"unit at 0x{start:x}: DWARF version {version}, type {kind}, "
                            f"addresses of {address} bytes")
            return unit
        if self.relocations is not None:
            table = self.relocations.value(field, table, width)
        try:
            unit.table = self.abbreviations.table(table + self.bases.get(start, (0, 0))[0], sizes)
        except DwarfError as error:
            unit.problem = f"unit at 0x{start:x}: {error}"
        return unit

    def _read_root(self, unit: Unit) -> None:
        assert unit.table is not None
        try:
            code, at = leb(self.data, unit.die)
            if code == 0:
                raise DwarfError("it has no first entry")
            shape = unit.table.shape(code)
            unit.tag = shape.tag
            unit.root = dict(self.attributes(shape, at, unit))
        except (IndexError, struct.error):
            unit.problem = f"unit at 0x{unit.offset:x} is cut off"
        except DwarfError as error:
            unit.problem = f"unit at 0x{unit.offset:x}: {error}"
        unit.code = _number(unit.root.get(AT["language"]))
        unit.language = language_of(unit.code, _number(unit.root.get(AT["language_name"])))

    def attributes(self, shape: Shape, at: int, unit: Unit) -> Iterator[tuple[int, Value]]:
        """(attribute, value) of an entry whose attributes start at `at`.

        Raises DwarfError for a form that is not known, struct.error or IndexError when it is cut off.
        """
        for attribute, form, constant in shape.attributes:
            if form == FORM["implicit_const"]:
                yield attribute, Value(form, constant, at)
                continue
            value, at = self.value(form, at, unit.sizes, self.data)
            yield attribute, value

    def entry(self, unit: Unit, offset: int) -> dict[int, Value]:
        """The attributes of the entry at `offset`; raises as `attributes` does."""
        assert unit.table is not None
        code, at = leb(self.data, offset)
        return dict(self.attributes(unit.table.shape(code), at, unit))

    def value(self, form: int, at: int, sizes: Sizes, data: memoryview) -> tuple[Value, int]:
        """(the value of that form at `at` of `data`, where it ends); raises as `attributes` does."""
        kind, size = step_of(form, sizes)
        start = at
        raw: int | bytes
        if kind in (-1, REF, ALT):
            if at + size > len(data):
                raise DwarfError("an attribute is cut off")
            raw = int.from_bytes(data[at : at + size], "little" if self.order == "<" else "big")
            return Value(form, raw, at), at + size
        if kind == LEB:
            raw, at = leb(data, at)
            return Value(form, raw, start), at
        if kind == STRING:
            raw = bytes(data[at : at + STRING_LIMIT]).partition(b"\0")[0]
            return Value(form, raw, at), _after_string(data, at)
        if kind == INDIRECT:
            form, at = leb(data, at)
            if form in (FORM["indirect"], FORM["implicit_const"]):
                raise DwarfError("an indirect form that is indirect again")
            return self.value(form, at, sizes, data)
        if kind == BLOCK:
            size, at = leb(data, at)
        elif kind in (BLOCK1, BLOCK2, BLOCK4):
            width = {BLOCK1: 1, BLOCK2: 2, BLOCK4: 4}[kind]
            size = int.from_bytes(data[at : at + width], "little" if self.order == "<" else "big")
            at += width
        else:
            raise DwarfError(f"form 0x{form:x} is not known")
        if at + size > len(data):
            raise DwarfError("a block is cut off")
        return Value(form, bytes(data[at : at + size]), at), at + size

    def body(self, unit: Unit) -> bytes:
        """The unit's bytes, counted from its first one, and one more: 0xff, which no one-byte code is."""
        return b"".join((self.data[unit.offset : unit.end], b"\xff"))


def _after_string(data: memoryview, at: int) -> int:
    """Where the string at `at` ends, its zero included."""
    while at < len(data):
        part = bytes(data[at : at + 256])
        end = part.find(b"\0")
        if end >= 0:
            return at + end + 1
        at += len(part)
    raise DwarfError("a string without end")


def _number(value: Value | None) -> int | None:
    return value.raw if value is not None and isinstance(value.raw, int) else None


class Debug:
    """The debug information of one file. `alternate` is what `.gnu_debugaltlink` leads to, when found."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self.alternate: Debug | None = None
        self._abbreviations: dict[str, Abbreviations] = {}
        self.infos = [
            Info(self, section, self._tables(".dwo" if section.name.endswith(".dwo") else ""))
            for section in image.sections
            if section.name in _INFO_SECTIONS and section.size
        ]

    def _tables(self, suffix: str) -> Abbreviations:
        if suffix not in self._abbreviations:
            contents = self.image.contents(".debug_abbrev" + suffix)
            self._abbreviations[suffix] = Abbreviations(contents)
        return self._abbreviations[suffix]

    @cached_property
    def units(self) -> list[Unit]:
        """All units, of `.debug_info` first; see Info.units about broken ones."""
        return [unit for info in self.infos for unit in info.units()]

    def close(self) -> None:
        """Forget the units and tables, which refer back to what they belong to."""
        self.__dict__.pop("units", None)
        self.infos.clear()
        for abbreviations in self._abbreviations.values():
            abbreviations.close()
        self.image.close()

    # -- strings ----------------------------------------------------------------------------------------

    def string(self, unit: Unit, value: Value | None, relocated: bool = False) -> str:
        """The text of a string attribute; "" for none and for what cannot be read. A value that is not
        from the unit's own section comes `relocated`."""
        if value is None:
            return ""
        if isinstance(value.raw, bytes):
            return value.raw.decode("utf-8", "backslashreplace")
        try:
            return self._string(unit, value, relocated)
        except (struct.error, IndexError, DwarfError):
            return ""

    def _string(self, unit: Unit, value: Value, relocated: bool) -> str:
        form, suffix = value.form, ".dwo" if unit.info.name.endswith(".dwo") else ""
        if form in (FORM["strp_sup"], FORM["GNU_strp_alt"]):
            return self.alternate._text(".debug_str", value.raw) if self.alternate else ""
        assert isinstance(value.raw, int)
        number = value.raw if relocated else unit.info.relocated(value, unit)
        if form == FORM["line_strp"]:
            return self._text(".debug_line_str" + suffix, number)
        if form == FORM["strp"]:
            return self._text(".debug_str" + suffix, number)
        if form in _INDEXED:
            width = unit.sizes.offset
            base = unit.number(AT["str_offsets_base"])
            if base is None:  # a .dwo has but one contribution
                base = (8 if width == 4 else 16) if unit.version >= 5 else 0
                base += unit.info.bases.get(unit.offset, (0, 0))[1]
            return self._text(".debug_str" + suffix, self._str_offset(suffix, base + number * width, width))
        return ""

    def _str_offset(self, suffix: str, at: int, width: int) -> int:
        section = self.image.section(".debug_str_offsets" + suffix)
        data = self.image.contents(section)
        if at + width > len(data):
            raise DwarfError("string index out of range")
        raw = int.from_bytes(data[at : at + width], "little" if self.image.little else "big")
        relocations = self._relocations(".debug_str_offsets" + suffix)
        return relocations.value(at, raw, width) if relocations else raw

    def _relocations(self, name: str) -> Relocations | None:
        return self.image.relocations(self.image.section(name))

    def _text(self, section: str, at: int | bytes) -> str:
        assert isinstance(at, int)
        data = self.image.contents(section)
        return bytes(data[at : at + STRING_LIMIT]).partition(b"\0")[0].decode("utf-8", "backslashreplace")


_INFO_SECTIONS = frozenset(
    f".{z}debug_{kind}{dwo}" for z in ("", "z") for kind in ("info", "types") for dwo in ("", ".dwo")
)
_INDEXED = frozenset(
    FORM[n] for n in ("strx", "strx1", "strx2", "strx3", "strx4", "GNU_str_index")
)
