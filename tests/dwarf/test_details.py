# SPDX-License-Identifier: MIT
"""What pyelftools tells of single entries, and that it is silent about what it cannot read."""

from __future__ import annotations

from pathlib import Path

from btfcheck.dwarf import details
from btfcheck.dwarf.leaks import scan


def test_attributes_of_the_entries_that_a_scan_shows(samples: Path) -> None:
    path = samples / "kb-22-fullns-5/vmlinux.o"
    examples = scan(path).examples["L3t"]
    told = dict(details.entries(str(path), ".debug_info", [e.offset for e in examples]))
    assert list(told) == [e.offset for e in examples]
    assert "DW_AT_name: Registry<klib::State> (DW_FORM_strx1)" in told[examples[0].offset]


def test_nothing_is_told_of_what_cannot_be_read(tmp_path: Path, samples: Path) -> None:
    whole = (samples / "kb-22-fullns-5/vmlinux").read_bytes()
    for number, data in enumerate((b"", b"\x7fELF", whole[:3000], whole.replace(b"\x01\x11", b"\xff\xff"))):
        path = tmp_path / str(number)
        path.write_bytes(data)
        list(details.entries(str(path), ".debug_info", [0, 11, 1 << 60]))
    assert list(details.entries(str(tmp_path), ".debug_info", [0])) == []
    assert list(details.entries(str(samples / "kb-22-fullns-5/vmlinux"), ".debug_types", [0])) == []
