# SPDX-License-Identifier: MIT
"""pahole's lines, as its versions print them, and what they mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btfcheck.gate.messages import FATAL, HINT, LOSS, NOISE, explain, skipped_functions

LINES = [
    ("die__process_class: tag not supported 0x33 (variant_part)!", "rust-tag", HINT),
    ("die__process_class: tag not supported 0x33 (variant_part) at <161>!", "rust-tag", HINT),
    ("die__process_unit: DW_TAG_label (0xa) @ <0x65> not handled!", "asm-label", NOISE),
    ("die__process_unit: tag not supported 0xa (label)!", "asm-label", NOISE),
    ("die__create_new_enumeration: DW_TAG_subprogram (0x2e) @ <0x3f1> not handled in a rust CU!", "rust-method", HINT),
    ("tag__recode_dwarf_type: couldn't find 0x174 type for 0xf9 (inlined_subroutine)!", "inline-not-found", NOISE),
    ("lexblock__recode_dwarf_types: couldn't find 0x17 type for 0xf9 (inlined_subroutine)!", "inline-not-found", NOISE),
    ("namespace__recode_dwarf_types: couldn't find 0x3fa type for 0x199 (member)!", "member-not-found", LOSS),
    ("ftype__recode_dwarf_types: couldn't find 0x3fa type for 0x155 (formal_parameter)!", "type-not-found", LOSS),
    ("tag__recode_dwarf_type: couldn't find name for function 0x12, abstract_origin=0, specification=0x3",
     "function-name-not-found", HINT),
    ("cu__resolve_func_ret_types_optimized(3021): couldn't find 0x1 abstract_origin for 0x2 (subprogram)!",
     "origin-lost", FATAL),
    ("type__recode_dwarf_specification: couldn't find name for class 0x12, specification=0x3",
     "class-name-not-found", LOSS),
    ("Unsupported DW_TAG_unspecified_type(0x3b): type: 0x1", "unsupported", FATAL),
    ("Encountered error while encoding BTF.", "encode-error", FATAL),
    ("Error while encoding BTF.", "encode-error", FATAL),
    ("btf_encoder__encode: btf__dedup failed!", "dedup", FATAL),
    ("Failed to encode BTF", "not-encoded", FATAL),
    ("btf_encoder__write_raw_file: Could only write 65536 bytes to x of raw BTF info out of 228755, aborting",
     "no-room", FATAL),
    ('pahole: unknown language "xyz"', "language", FATAL),
    ("Failed to parse base BTF 'vmlinux': -22", "no-base", FATAL),
    ("pahole: vmlinux: Invalid argument", "no-dwarf", FATAL),
    ("PAHOLE: Error: Found symbol of invalid name when encoding btf (sym: '.x')", "symbol-name", HINT),
    ("WARNING: DW_TAG_partial_unit used, some types will not be considered!", "split-dwarf", LOSS),
    ("something else", "other", HINT),
]  # fmt: skip


@pytest.mark.parametrize(("line", "name", "weight"), LINES)
def test_meaning(line: str, name: str, weight: str) -> None:
    (found,) = explain([line])
    assert (found.name, found.weight, found.lines, found.example) == (name, weight, 1, line)


def test_heaviest_first_and_counted() -> None:
    found = explain(["something", *[LINES[7][0]] * 3, LINES[12][0], ""])
    assert [(m.weight, m.lines) for m in found] == [(FATAL, 1), (LOSS, 3), (HINT, 1)]


@pytest.mark.parametrize(
    ("line", "name", "why"),
    [
        ("skipping addition of 'f'(f) due to unexpected register used for parameter", "f",
         "unexpected register used for parameter"),
        ("NF_HOOK (NF_HOOK.constprop.0): skipping BTF encoding of function due to param type mismatch for param#1 pf "
         "!= net", "NF_HOOK", "param type mismatch for param#1 pf != net"),
        ("f : skipping BTF encoding of function due to ambiguous address", "f", "ambiguous address"),
    ],
)  # fmt: skip
def test_reasons(line: str, name: str, why: str) -> None:
    assert skipped_functions([line, "[1] INT int size=4"]) == {name: why}


@given(st.lists(st.text(max_size=60), max_size=5))
def test_any_text_is_explained(lines: list[str]) -> None:
    found = explain(lines)
    assert sum(m.lines for m in found) == sum(bool(line.strip()) for line in lines)
    skipped_functions(lines)
