# SPDX-License-Identifier: MIT
"""The counts of the scan against another reader: pyelftools, entry by entry."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile

from btfcheck.dwarf.leaks import scan
from tests.dwarf.conftest import TRUTH

_RUST = (0x1C, 0x9000)
_TYPES = ("DW_TAG_structure_type", "DW_TAG_union_type", "DW_TAG_enumeration_type")
# pyelftools reads no DWARF 6, follows no dwz partial unit to its importers, and no skeleton to its .dwo file.
SAMPLES = [name for name in TRUTH if not name.startswith("x-")]


def _is_rust(top: Any) -> bool:
    values = {name: attribute.value for name, attribute in top.attributes.items()}
    return values.get("DW_AT_language") in _RUST or values.get("DW_AT_language_name") == 0x19


def counted(path: Path) -> Counter[str]:
    """References from C units into Rust units, and what stands below a namespace in a C unit."""
    found: Counter[str] = Counter()
    with path.open("rb") as file:
        units = list(ELFFile(file).get_dwarf_info().iter_CUs())
        starts = [unit.cu_offset for unit in units]
        rust = [_is_rust(unit.get_top_DIE()) for unit in units]

        def walk(entry: Any, inside: bool) -> None:
            if entry.tag == "DW_TAG_namespace":
                found["namespaces"] += 1
                inside = True
            found["types"] += inside and entry.tag in _TYPES
            for name, attribute in entry.attributes.items():
                if attribute.form == "DW_FORM_ref_addr" and rust[bisect_right(starts, attribute.value) - 1]:
                    code = name in ("DW_AT_abstract_origin", "DW_AT_call_origin")
                    found["L1"] += code
                    found["L2"] += not code and not inside
            for child in entry.iter_children():
                walk(child, inside)

        for unit, own in zip(units, rust, strict=True):
            if not own:
                walk(unit.get_top_DIE(), False)
    return found


@pytest.mark.parametrize("name", SAMPLES)
def test_counts(name: str, samples: Path) -> None:
    path = samples / name
    found, kinds = counted(path), scan(str(path)).kinds
    assert kinds.get("L1", 0) == found["L1"]
    assert kinds.get("L3t", 0) == found["types"]
    if not found["types"]:  # to which the others belong
        assert kinds.get("L2", 0) == found["L2"]
        assert kinds.get("L3n", 0) == found["namespaces"]
