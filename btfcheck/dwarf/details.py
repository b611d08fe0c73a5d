# SPDX-License-Identifier: MIT
"""The attributes of single entries (DIEs), as pyelftools reads them: a second opinion beside a finding.

Only for what is shown: pyelftools takes 45 ms to import, reads all of a file's debug sections, and
bounds no count in them. So files beyond LIMIT are left alone, and what it cannot read is not told.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

LIMIT = 64 << 20  # bytes of a file


def entries(path: str, section: str, offsets: Iterable[int]) -> Iterator[tuple[int, list[str]]]:
    """(offset, "DW_AT_name: klib" for each attribute) of entries in the `section` of an ELF file.

    Nothing for a file that is too large, packed, or not understood.
    """
    if section != ".debug_info" or not os.path.isfile(path) or os.path.getsize(path) > LIMIT:
        return
    from elftools.elf.elffile import ELFFile

    try:
        with open(path, "rb") as stream:
            elf = ELFFile(stream)
            # Applied to a linked file they would be applied twice (Debian keeps them in its vmlinux).
            info = elf.get_dwarf_info(relocate_dwarf_sections=elf["e_type"] == "ET_REL")
            for offset in offsets:
                unit = info.get_CU_containing(offset)
                entry = unit.get_DIE_from_refaddr(offset) if hasattr(unit, "get_DIE_from_refaddr") else None
                if entry is not None and entry.tag:
                    yield offset, [_line(name, value) for name, value in entry.attributes.items()]
    except Exception:
        return


def _line(name: Any, attribute: Any) -> str:
    value = attribute.value
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    elif isinstance(value, int) and not isinstance(value, bool):
        value = hex(value)
    return f"{name}: {value} ({attribute.form})"
