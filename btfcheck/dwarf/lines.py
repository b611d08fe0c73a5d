# SPDX-License-Identifier: MIT
"""Which source file a declaration names: the file table of a line program's header.

Only an explanation beside a finding, so whatever cannot be read is simply not told. The table comes from
the file that is scanned: every count is checked against the bytes that are there.
"""

from __future__ import annotations

import struct

from btfcheck.dwarf.abbrev import DwarfError, leb
from btfcheck.dwarf.constants import AT, FORM
from btfcheck.dwarf.tree import Tree
from btfcheck.dwarf.units import Unit, Value

_LNCT_PATH, _LNCT_DIRECTORY = 1, 2
_FORMS = {FORM[n]: n for n in ("string", "line_strp", "strp", "udata", "data1", "data2", "data4", "data8",
                               "data16", "block", "strx", "strx1", "strx2", "strx3", "strx4")}
_MOST_FILES = 100_000


def source_of(tree: Tree, number: int) -> str:
    """`file.rs:line` of the declaration of an entry, or "" when nothing tells it."""
    values = tree.attributes(number)
    if AT["decl_file"] not in values:
        return ""
    index = values[AT["decl_file"]].raw
    line = values[AT["decl_line"]].raw if AT["decl_line"] in values else None
    files = file_table(tree.unit)
    if not isinstance(index, int) or not 0 <= index < len(files) or not files[index].endswith(".rs"):
        return ""
    return f"{files[index]}:{line}" if isinstance(line, int) else files[index]


def file_table(unit: Unit) -> list[str]:
    """The files of a unit's line program, by the index that DW_AT_decl_file uses; [] when there are none."""
    start = unit.number(AT["stmt_list"])
    if start is None:
        return []
    try:
        return _Header(unit, start).files
    except (DwarfError, IndexError, ValueError, struct.error):
        return []


class _Header:
    """A reader over one line program header (DWARF 5 section 6.2.4, and the older layout)."""

    def __init__(self, unit: Unit, start: int) -> None:
        image = unit.info.debug.image
        self.unit = unit
        self.section = image.section(".debug_line" + (".dwo" if unit.info.name.endswith(".dwo") else ""))
        self.data = image.contents(self.section)
        self.order = image.order
        self.at = start
        self.width = 4
        if self.number("I") == 0xFFFFFFFF:
            self.width = 8
            self.number("Q")
        version = self.number("H")
        if version >= 5:
            self.at += 2  # sizes of addresses and segment selectors
        self.number("Q" if self.width == 8 else "I")  # header length
        self.at += 4 + (version >= 4)  # lengths of instructions, is_stmt, line base and range
        opcodes = self.number("B")
        self.at += max(0, opcodes - 1)
        self.files = self.new_tables() if version >= 5 else self.old_tables()

    def number(self, word: str) -> int:
        (value,) = struct.unpack_from(self.order + word, self.data, self.at)
        self.at += struct.calcsize("=" + word)
        return int(value)

    def leb(self) -> int:
        value, self.at = leb(self.data, self.at)
        return value

    def text(self) -> str:
        part = bytes(self.data[self.at : self.at + 4096])
        end = part.index(b"\0")
        self.at += end + 1
        return part[:end].decode("utf-8", "backslashreplace")

    def old_tables(self) -> list[str]:
        folders, files = [""], [""]
        while name := self.text():
            folders.append(name)
        while (name := self.text()) and len(files) < _MOST_FILES:
            folder = self.leb()
            self.leb()
            self.leb()
            files.append(_joined(folders, folder, name))
        return files

    def new_tables(self) -> list[str]:
        folders = [name for name, _ in self.entries()]
        return [_joined(folders, folder, name) for name, folder in self.entries()]

    def entries(self) -> list[tuple[str, int]]:
        """(name, directory index) of one table of DWARF 5."""
        layout = [(self.leb(), self.leb()) for _ in range(self.number("B"))]
        count = self.leb()
        if count > _MOST_FILES or count > len(self.data) or (count and not layout):
            raise DwarfError("a file table that cannot be")
        return [self.entry(layout) for _ in range(count)]

    def entry(self, layout: list[tuple[int, int]]) -> tuple[str, int]:
        name, folder = "", 0
        info, unit = self.unit.info, self.unit
        for content, form in layout:
            if form not in _FORMS:
                raise DwarfError(f"form 0x{form:x} in a line table")
            value, self.at = info.value(form, self.at, unit.sizes, self.data)
            if content == _LNCT_PATH:
                name = self.string(value)
            elif content == _LNCT_DIRECTORY and isinstance(value.raw, int):
                folder = value.raw
        return name, folder

    def string(self, value: Value) -> str:
        """The name, whose offset the linker may still have to fill in."""
        relocations = self.unit.info.debug.image.relocations(self.section)
        if relocations and value.form in (FORM["line_strp"], FORM["strp"]) and isinstance(value.raw, int):
            value = value._replace(raw=relocations.value(value.at, value.raw, self.width))
        return self.unit.info.debug.string(self.unit, value, relocated=True)


def _joined(folders: list[str], folder: int, name: str) -> str:
    if name.startswith("/") or not 0 <= folder < len(folders) or not folders[folder]:
        return name
    return f"{folders[folder]}/{name}"
