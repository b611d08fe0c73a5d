# SPDX-License-Identifier: MIT
"""The smallest ELF files that tell one pahole from another: units in C and Rust, merged or not."""

from __future__ import annotations

from collections.abc import Sequence

from btfcheck.dwarf.writer import build

C, RUST = 0x1D, 0x1C  # DW_LANG_C11, DW_LANG_Rust


def sample(units: Sequence[tuple[int, str]], merged: bool) -> bytes:
    """An x86-64 ELF file whose units define one structure each: (language, structure's name).

    `merged` adds the note by which the kernel tells pahole that it was built with LTO
    (owner "Linux", type 0x101, LINUX_ELFNOTE_LTO_INFO; init/version.c).
    """
    lines = [f"file note={int(merged)}"]
    for number, (language, name) in enumerate(units):
        lines += [
            f'unit {language:#x} "{name}" version=4',
            f'  base_type "int" byte_size=4 encoding=5 as int{number}',
            f'  structure_type "{name}" byte_size=4',
            f'    member "number" type=@int{number} data_member_location=0',
        ]
    return build("\n".join(lines))
