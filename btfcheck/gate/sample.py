# SPDX-License-Identifier: MIT
"""The smallest ELF files that tell one pahole from another: units in C and Rust, merged or not."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

C, RUST = 0x1D, 0x1C  # DW_LANG_C11, DW_LANG_Rust

# One table for all units. (code, tag, has children, (attribute, form) ...); DWARF 5, section 7.5
_ABBREVIATIONS = (
    (1, 0x11, 1, (0x03, 0x08), (0x13, 0x05)),  # compile_unit: name string, language data2
    (2, 0x24, 0, (0x03, 0x08), (0x0B, 0x0B), (0x3E, 0x0B)),  # base_type: name, byte_size, encoding data1
    (3, 0x13, 1, (0x03, 0x08), (0x0B, 0x0B)),  # structure_type: name, byte_size
    (4, 0x0D, 0, (0x03, 0x08), (0x49, 0x13), (0x38, 0x0B)),  # member: name, type ref4, location data1
)
_SIGNED = 5  # DW_ATE_signed


def _string(text: str) -> bytes:
    return text.encode("ascii") + b"\0"


def _unit(language: int, type_name: str) -> bytes:
    """A DWARF 4 unit with `struct type_name { int number; }`."""
    header = 11
    top = b"\x01" + _string(type_name) + struct.pack("<H", language)
    body = top + b"\x02" + _string("int") + bytes((4, _SIGNED))
    body += b"\x03" + _string(type_name) + b"\x04"
    body += b"\x04" + _string("number") + struct.pack("<IB", header + len(top), 0)
    body += b"\0\0"  # ends the structure's children and the unit's
    return struct.pack("<IHIB", header - 4 + len(body), 4, 0, 8) + body


def _abbreviations() -> bytes:
    table = b""
    for code, tag, children, *attributes in _ABBREVIATIONS:
        table += bytes((code, tag, children)) + b"".join(bytes(pair) for pair in attributes) + b"\0\0"
    return table + b"\0"


def sample(units: Sequence[tuple[int, str]], merged: bool) -> bytes:
    """An x86-64 ELF file whose units define one structure each: (language, structure's name).

    `merged` adds the note by which the kernel tells pahole that it was built with LTO
    (owner "Linux", type 0x101, LINUX_ELFNOTE_LTO_INFO; init/version.c).
    """
    sections = {
        ".debug_info": (1, b"".join(_unit(*unit) for unit in units)),
        ".debug_abbrev": (1, _abbreviations()),
        ".note.Linux": (7, struct.pack("<III8sI", 6, 4, 0x101, b"Linux", int(merged))),
        # pahole 1.28 and later do not encode a file without symbols (1.30 crashes).
        ".strtab": (3, b"\0"),
        ".symtab": (2, bytes(24)),
    }
    return _elf(sections)


def _elf(sections: Mapping[str, tuple[int, bytes]]) -> bytes:
    """ELF64, little endian, executable without segments: name -> (sh_type, bytes)."""
    order = ["", *sections, ".shstrtab"]
    names = b"\0" + b"".join(_string(name) for name in order[1:])
    contents = {**sections, ".shstrtab": (3, names)}
    body, headers = b"", [bytes(64)]
    for name, (kind, data) in contents.items():
        body += bytes(-len(body) % 8)
        place = names.index(b"\0" + _string(name)) + 1
        link, info, size = (order.index(".strtab"), 1, 24) if kind == 2 else (0, 0, 0)
        headers.append(struct.pack(
            "<IIQQQQIIQQ", place, kind, 0, 0, 64 + len(body), len(data), link, info, 4, size))
        body += data
    body += bytes(-len(body) % 8)
    ident = b"\x7fELF" + bytes((2, 1, 1)) + bytes(9)
    head = struct.pack("<16sHHIQQQIHHHHHH", ident, 2, 62, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64,
                       len(headers), len(headers) - 1)
    return head + body + b"".join(headers)
