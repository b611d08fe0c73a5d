# SPDX-License-Identifier: MIT
"""pahole's lines, as its versions print them, and what they mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btfcheck.gate.messages import explain, skipped_functions
from btfcheck.lint.messages import FATAL, HINT, LOSS, NOISE, Message, load

# (line, version that prints it, meaning, weight)
LINES = [
    ("die__process_class: tag not supported 0x33 (variant_part)!", 127, "pahole-rust-tag", NOISE),
    ("die__process_class: tag not supported 0x33 (variant_part) at <161>!", 128, "pahole-rust-tag-at", HINT),
    ("die__process_unit: DW_TAG_label (0xa) @ <0x65> not handled!", 125, "pahole-asm-label", NOISE),
    ("die__process_unit: tag not supported 0xa (label)!", 124, "pahole-asm-label", NOISE),
    ("die__create_new_enumeration: DW_TAG_subprogram (0x2e) @ <0x3f1> not handled in a rust CU!", 130,
     "pahole-rust-method", HINT),
    ("die__create_new_enumeration: DW_TAG_subprogram (0x2e) @ <0x3f1> not handled!", 125, "pahole-method", NOISE),
    ("tag__recode_dwarf_type: couldn't find 0x174 type for 0xf9 (inlined_subroutine)!", 128,
     "pahole-inline-not-found", NOISE),
    ("lexblock__recode_dwarf_types: couldn't find 0x17 type for 0xf9 (inlined_subroutine)!", 128,
     "pahole-inline-not-found", NOISE),
    ("namespace__recode_dwarf_types: couldn't find 0x3fa type for 0x199 (member)!", 130, "pahole-member-lost", LOSS),
    ("ftype__recode_dwarf_types: couldn't find 0x3fa type for 0x155 (formal_parameter)!", 131,
     "pahole-type-not-found", LOSS),
    ("tag__recode_dwarf_type: couldn't find name for function 0x12, abstract_origin=0, specification=0x3", 128,
     "pahole-function-name", HINT),
    ("tag__recode_dwarf_type: couldn't find name for function 0x12, abstract_origin=0, specification=0x3", 127,
     "pahole-function-name", NOISE),
    ("cu__resolve_func_ret_types_optimized(3021): couldn't find 0x1 abstract_origin for 0x2 (subprogram)!", 130,
     "pahole-origin-fatal", FATAL),
    ("type__recode_dwarf_specification: couldn't find name for class 0x12, specification=0x3", 128,
     "pahole-class-name", LOSS),
    ("Unsupported DW_TAG_unspecified_type(0x3b): type: 0x1", 124, "pahole-unspecified", FATAL),
    ("Encountered error while encoding BTF.", 125, "pahole-encode-error", FATAL),
    ("Error while encoding BTF.", 131, "pahole-encode-error", FATAL),
    ("btf_encoder__encode: btf__dedup failed!", 124, "pahole-dedup", FATAL),
    ("Failed to encode BTF", 131, "pahole-dedup", FATAL),
    ("btf_encoder__write_raw_file: Could only write 65536 bytes to x of raw BTF info out of 228755, aborting", 131,
     "pahole-no-room", FATAL),
    ("write: No space left on device", 131, "pahole-run-room", FATAL),
    ("std::bad_alloc", 125, "pahole-run-memory", FATAL),
    ('pahole: unknown language "xyz"', 124, "pahole-language", FATAL),
    ("Failed to parse base BTF 'vmlinux': -22", 128, "pahole-base", FATAL),
    ("pahole: vmlinux: Invalid argument", 125, "pahole-invalid-argument", FATAL),
    ("PAHOLE: Error: Found symbol of invalid name when encoding btf (sym: '.x')", 125, "pahole-variable-name", HINT),
    ("WARNING: DW_TAG_partial_unit used, some types will not be considered!", 125, "pahole-split", LOSS),
    ("something else", 125, "other", HINT),
]  # fmt: skip


@pytest.mark.parametrize(("line", "version", "name", "weight"), LINES)
def test_meaning(line: str, version: int, name: str, weight: str) -> None:
    (found,) = explain([line], version)
    assert (found.name, found.weight, found.lines, found.example) == (name, weight, 1, line)


def test_heaviest_first_and_counted() -> None:
    lost = "namespace__recode_dwarf_types: couldn't find 0x3fa type for 0x199 (member)!"
    found = explain(["something", *[lost] * 3, "Error while encoding BTF.", ""])
    assert [(m.weight, m.lines) for m in found] == [(FATAL, 1), (LOSS, 3), (HINT, 1)]


@pytest.mark.parametrize("message", [m for m in load().messages.values() if m.program == "pahole"], ids=lambda m: m.id)
def test_every_line_of_paholes_is_known_where_one_is_run(message: Message) -> None:
    for example in message.examples:
        (found,) = explain([example])
        assert found.name == message.id
        assert found.weight == message.weight


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
