# SPDX-License-Identifier: MIT
"""A small writer of ELF files with DWARF, for cases that no compiler at hand makes.

A file is described in lines; an indented line is a child of the one before it:

    file note=1                         options: see File
    unit C "main.c"                     a language or 0x.., a name; options: see UnitSpec
      structure_type "device" byte_size=8
        member "id" type=@int data_member_location=0
      base_type "int" byte_size=4 encoding=5 as int
      subprogram "probe" low_pc=0x1000
        inlined_subroutine abstract_origin=@bump
    unit Rust "lib.rs"
      namespace "klib"
        subprogram "bump" as bump

`attribute=@label` refers to the line with `as label`: DW_FORM_ref4 inside a unit, DW_FORM_ref_addr out
of it, DW_FORM_ref_sig8 to a type unit's own label; `attribute=0x10!ref4` sets a number and its form
(or 0x.. for the form, and indirect/ref4 for DW_FORM_indirect).
`location=0x5401!exprloc` has the bytes of the expression in that order.
Numbers take DW_FORM_data1 to data8 (low_pc an address), quoted texts DW_FORM_string, `attribute=yes`
is DW_FORM_flag_present.
"""

from __future__ import annotations

import shlex
import struct
from dataclasses import dataclass, field
from typing import Literal

from btfcheck.dwarf.constants import AT, FORM, TAG

_LANGUAGES = {"C": 0x1D, "Rust": 0x1C, "asm": 0x8001, "C++": 0x21}
_LANGUAGE_NAMES = {"C": 0x03, "Rust": 0x19, "asm": 0x1D, "C++": 0x04}
_UNIT_TAGS = {"compile": "compile_unit", "partial": "partial_unit", "type": "type_unit",
              "skeleton": "skeleton_unit"}  # fmt: skip
_UNIT_TYPES = {"compile": 1, "type": 2, "partial": 3, "skeleton": 4}


@dataclass
class Die:
    """One entry: its tag, (attribute, value text) pairs in order, children, and a label to refer to it."""

    tag: int
    attributes: list[tuple[int, str]]
    children: list[Die] = field(default_factory=list)
    label: str = ""


@dataclass
class UnitSpec:
    """One unit: `kind` is compile, partial, type or skeleton; `by_name` writes DW_AT_language_name instead
    of DW_AT_language; `wide` is 64-bit DWARF."""

    root: Die
    kind: str = "compile"
    version: int = 5
    wide: bool = False
    signature: int = 0
    by_name: bool = False


@dataclass
class File:
    """`rel` writes ET_REL with relocations, `share` gives all units one abbreviation table (as LTO does)."""

    units: list[UnitSpec]
    bits: int = 64
    little: bool = True
    rel: bool = False
    note: int | None = None
    share: bool = False
    machine: int = 62
    sections: dict[str, bytes] = field(default_factory=dict)


def parse(text: str) -> File:
    """The file that the lines describe. Raises ValueError for a line that means nothing."""
    result = File([])
    stack: list[tuple[int, Die]] = []
    for line in text.splitlines():
        words = shlex.split(line, posix=False)
        if not words or words[0].startswith("#"):
            continue
        depth = len(line) - len(line.lstrip())
        while stack and stack[-1][0] >= depth:
            stack.pop()
        if words[0] == "file":
            for option in words[1:]:
                key, _, value = option.partition("=")
                setattr(result, key, _option(value))
            if result.bits == 32 and result.machine == 62:
                result.machine = 3
        elif words[0] == "unit":
            unit = _unit(words[1:])
            result.units.append(unit)
            stack = [(depth, unit.root)]
        else:
            die = _die(words)
            stack[-1][1].children.append(die)
            stack.append((depth, die))
    return result


def _option(value: str) -> int | bool | None:
    if value in ("", "yes", "no"):
        return value != "no"
    return int(value, 0)


def _unit(words: list[str]) -> UnitSpec:
    language, *rest = words
    attributes = []
    options: dict[str, str] = {}
    for word in rest:
        key, equals, value = word.partition("=")
        if not equals:
            attributes.append((AT["name"], word))
        elif key in ("kind", "version", "wide", "signature", "by_name", "label"):
            options[key] = value
        else:
            attributes.append((_attribute(key), value))
    spec = UnitSpec(
        Die(0, attributes, label=options.get("label", "")),
        options.get("kind", "compile"),
        int(options.get("version", "5")),
        options.get("wide") == "yes",
        int(options.get("signature", "0"), 0),
        options.get("by_name") == "yes",
    )
    split = spec.kind == "skeleton" and spec.version < 5
    spec.root.tag = TAG["compile_unit" if split else _UNIT_TAGS[spec.kind]]
    if language != "none":
        code = (_LANGUAGE_NAMES if spec.by_name else _LANGUAGES).get(language)
        number = int(language, 0) if code is None else code
        spec.root.attributes.insert(0, (AT["language_name" if spec.by_name else "language"], f"{number}!5"))
    return spec


def _die(words: list[str]) -> Die:
    tag, *rest = words
    label = ""
    if len(rest) > 1 and rest[-2] == "as":
        *rest, _, label = rest
    attributes = []
    for word in rest:
        key, equals, value = word.partition("=")
        attributes.append((_attribute(key), value) if equals and not word.startswith('"') else (AT["name"], word))
    return Die(TAG[tag] if tag in TAG else int(tag, 0), attributes, label=label)


def _attribute(key: str) -> int:
    return AT.get(key) or int(key, 0)


def build(described: File | str) -> bytes:
    """The ELF file. Raises ValueError or KeyError for what cannot be written."""
    return _Builder(parse(described) if isinstance(described, str) else described).build()


class _Builder:
    def __init__(self, file: File) -> None:
        self.file = file
        self.order = "<" if file.little else ">"
        self.info = bytearray()
        self.types = bytearray()
        self.abbrev = bytearray()
        self.declared: dict[tuple[object, ...], int] = {}
        self.table = 0
        self.places: dict[str, tuple[int, int, int]] = {}  # label -> (unit number, unit offset, DIE offset)
        self.patches: list[tuple[bytearray, int, int, str]] = []  # (section, where, size, label)
        self.relocations: list[tuple[int, int, int]] = []  # of .debug_info: (where, size, value)

    def build(self) -> bytes:
        for number, unit in enumerate(self.file.units):
            if not self.file.share or not self.abbrev:
                self.end_table()
                self.table = len(self.abbrev)
                self.declared = {}
            self.unit(number, unit)
        self.end_table()
        for section, where, size, label in self.patches:
            value = self.places[label][2]
            if self.file.rel and section is self.info:
                self.relocations.append((where, size, value))
                value = 0
            section[where : where + size] = value.to_bytes(size, self.byte_order)
        return _elf(self)

    @property
    def byte_order(self) -> Literal["little", "big"]:
        return "little" if self.file.little else "big"

    def end_table(self) -> None:
        if self.abbrev:
            self.abbrev.append(0)

    def pack(self, layout: str, *values: int) -> bytes:
        return struct.pack(self.order + layout, *values)

    def unit(self, number: int, unit: UnitSpec) -> None:
        section = self.types if unit.kind == "type" and unit.version < 5 else self.info
        start = len(section)
        word, width = ("Q", 8) if unit.wide else ("I", 4)
        address = self.file.bits // 8
        head = self.pack("H", unit.version)
        table_at = 2
        if unit.version >= 5:
            head += self.pack("BB", _UNIT_TYPES[unit.kind], address) + self.pack(word, self.table)
            table_at = 4
        else:
            head += self.pack(word, self.table) + self.pack("B", address)
        if unit.kind == "type":
            head += self.pack("Q", unit.signature) + self.pack(word, 0)
        elif unit.kind == "skeleton" and unit.version >= 5:
            head += self.pack("Q", unit.signature)
        escape = self.pack("I", 0xFFFFFFFF) if unit.wide else b""
        section += escape + bytes(width) + head
        if self.file.rel and section is self.info:
            self.relocations.append((start + len(escape) + width + table_at, width, self.table))
            where = start + len(escape) + width + table_at
            section[where : where + width] = bytes(width)
        local: list[tuple[int, str]] = []
        self.die(section, unit, number, start, unit.root, local)
        for where, label in local:
            section[where : where + 4] = self.pack("I", self.places[label][2] - start)
        length = len(section) - start - width - len(escape)
        section[start + len(escape) : start + len(escape) + width] = self.pack(word, length)

    def die(self, section: bytearray, unit: UnitSpec, number: int, start: int, die: Die,
            local: list[tuple[int, str]]) -> None:
        if die.label:
            self.places[die.label] = number, start, len(section)
        shape: list[tuple[int, int]] = []
        body = bytearray()
        pending: list[tuple[int, int, str]] = []
        for attribute, value in die.attributes:
            form, data = self.value(unit, number, attribute, value)
            shape.append((attribute, form))
            if value.startswith("@") and form in (FORM["ref4"], FORM["ref_addr"]):
                pending.append((len(body), form, value[1:]))
            body += data
        section += _leb(self.code(die, shape))
        for place, form, label in pending:
            if form == FORM["ref4"]:
                local.append((len(section) + place, label))
            else:
                self.patches.append((section, len(section) + place, self.ref_size(unit), label))
        section += body
        for child in die.children:
            self.die(section, unit, number, start, child, local)
        if die.children:
            section.append(0)

    def ref_size(self, unit: UnitSpec) -> int:
        return self.file.bits // 8 if unit.version == 2 else 8 if unit.wide else 4

    def code(self, die: Die, shape: list[tuple[int, int]]) -> int:
        key = (die.tag, bool(die.children), *shape)
        if key not in self.declared:
            self.declared[key] = len(self.declared) + 1
            self.abbrev += _leb(self.declared[key]) + _leb(die.tag) + bytes([bool(die.children)])
            for attribute, form in shape:
                self.abbrev += _leb(attribute) + _leb(form)
            self.abbrev += b"\0\0"
        return self.declared[key]

    def value(self, unit: UnitSpec, number: int, attribute: int, value: str) -> tuple[int, bytes]:
        """(form, bytes) of an attribute; references are filled in later."""
        if value.startswith("@"):
            return self.reference(unit, number, value[1:])
        if value.startswith('"'):
            return FORM["string"], value.strip('"').encode() + b"\0"
        if value == "yes":
            return (FORM["flag_present"], b"") if unit.version >= 4 else (FORM["flag"], b"\1")
        if "!indirect/" in value:
            form, data = self.value(unit, number, attribute, value.replace("indirect/", ""))
            return FORM["indirect"], _leb(form) + data
        text, _, name = value.partition("!")
        amount = int(text, 0)
        if name:
            kind = FORM[name] if name in FORM else int(name, 0)
            if name == "exprloc":
                expression = amount.to_bytes(amount.bit_length() + 7 >> 3, "big")
                return kind, _leb(len(expression)) + expression
            size = {0x05: 2, 0x06: 4, 0x07: 8, 0x0B: 1, 0x13: 4, 0x14: 8, 0x10: self.ref_size(unit), 0x20: 8,
                    0x0E: 8 if unit.wide else 4, 0x11: 1, 0x12: 2, 0x17: 4, 0x1F20: 8 if unit.wide else 4,
                    0x1C: 4}.get(kind)
            return kind, _leb(amount) if size is None else amount.to_bytes(size, self.byte_order)
        if attribute in (AT["low_pc"],):
            return FORM["addr"], amount.to_bytes(self.file.bits // 8, self.byte_order)
        for size in (1, 2, 4, 8):
            if amount < 1 << 8 * size:
                return FORM[f"data{size}"], amount.to_bytes(size, self.byte_order)
        raise ValueError(f"{value} does not fit into eight bytes")

    def reference(self, unit: UnitSpec, number: int, label: str) -> tuple[int, bytes]:
        for at, other in enumerate(self.file.units):
            if other.kind == "type" and other.root.label == label:
                return FORM["ref_sig8"], self.pack("Q", other.signature)
            if _has_label(other.root, label):
                if at == number:
                    return FORM["ref4"], bytes(4)
                return FORM["ref_addr"], bytes(self.ref_size(unit))
        raise KeyError(label)


def _has_label(die: Die, label: str) -> bool:
    return die.label == label or any(_has_label(child, label) for child in die.children)


def _leb(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _elf(built: _Builder) -> bytes:
    """Headers and sections around the DWARF."""
    file = built.file
    wide = file.bits == 64
    names = b"\0"
    sections = {".debug_info": bytes(built.info), ".debug_abbrev": bytes(built.abbrev)}
    if built.types:
        sections[".debug_types"] = bytes(built.types)
    if file.note is not None:
        sections[".note.Linux"] = built.pack("III", 6, 4, 0x101) + b"Linux\0\0\0" + built.pack("I", file.note)
    sections |= file.sections
    sections[".symtab"], sections[".strtab"] = _symbols(built)
    if file.rel:
        sections[".rela.debug_info" if wide else ".rel.debug_info"] = _relocations(built, sections)
    layout = "IIQQQQIIQQ" if wide else "IIIIIIIIII"
    at = 64 if wide else 52
    body, headers = b"", built.pack(layout, *[0] * 10)
    order = ["", *sections]
    for name, data in [*sections.items(), (".shstrtab", b"")]:
        place = len(names)
        names += name.encode() + b"\0"
        if name == ".shstrtab":
            data = names
        kind, link, info, entry = 1, 0, 0, 0
        if name.startswith(".note"):
            kind = 7
        elif name.startswith(".rel"):
            kind, link, info = 4 if wide else 9, order.index(".symtab"), order.index(".debug_info")
            entry = 24 if wide else 8
        elif name == ".symtab":
            kind, link, info, entry = 2, order.index(".strtab"), 1, 24 if wide else 16
        elif name in (".strtab", ".shstrtab"):
            kind = 3
        headers += built.pack(layout, place, kind, 0, 0, at + len(body), len(data), link, info, 4, entry)
        body += data + bytes(-len(data) % 8)
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if file.little else 2, 1]) + bytes(9)
    header = built.pack(
        "HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH", 1 if file.rel else 2, file.machine, 1, 0, 0, at + len(body), 0,
        at, 0, 0, 64 if wide else 40, len(order) + 1, len(order),
    )
    return ident + header + body + headers


def _symbols(built: _Builder) -> tuple[bytes, bytes]:
    """.symtab and .strtab: the functions that have code. pahole 1.30 crashes on a file without symbols."""
    strings, wide = b"\0", built.file.bits == 64
    table = bytearray(24 if wide else 16)
    for name in [name for unit in built.file.units for name in _functions(unit.root)]:
        place, kind, section, address, size = len(strings), 0x12, 1, 0x1000, 16  # a global function
        table += (built.pack("IBBHQQ", place, kind, 0, section, address, size) if wide else
                  built.pack("IIIBBH", place, address, size, kind, 0, section))  # fmt: skip
        strings += name.encode() + b"\0"
    return bytes(table), strings


def _functions(die: Die) -> list[str]:
    """Names of the subprograms at and below an entry that have code."""
    given = dict(die.attributes)
    coded = die.tag == TAG["subprogram"] and AT["name"] in given and AT["low_pc"] in given
    own = [given[AT["name"]].strip('"')] if coded else []
    return own + [name for child in die.children for name in _functions(child)]


def _relocations(built: _Builder, sections: dict[str, bytes]) -> bytes:
    """Absolute relocations against the null symbol; RELA for 64 bits, REL (x86's) for 32."""
    out = b""
    info = bytearray(sections[".debug_info"])
    for where, size, value in sorted(built.relocations):
        if built.file.bits == 64:
            kind = {62: {4: 10, 8: 1}, 22: {4: 4, 8: 22}, 243: {4: 1, 8: 2}, 183: {4: 258, 8: 257}}
            out += built.pack("QQq", where, kind[built.file.machine][size], value)
        else:
            info[where : where + size] = value.to_bytes(size, built.byte_order)
            out += built.pack("II", where, 1)
    sections[".debug_info"] = bytes(info)
    return out
