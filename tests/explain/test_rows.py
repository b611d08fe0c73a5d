# SPDX-License-Identifier: MIT
"""Every message that the facts name, in every dress that logs come in: the right cause first, as sure as it can be.

A row is what a log holds of one trouble (with numbers, paths, versions left open), the cause that must come first,
and how certain it is. Hypothesis fills in the holes and dresses the lines.
"""

from __future__ import annotations

import io
import re
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btfcheck.explain.symptoms import Symptoms, read
from btfcheck.lint.messages import load

CATALOGUE = load()


class Row(NamedTuple):
    text: str
    cause: str
    certainty: str


# Holes: {x} address, {n} number, {p} path of an object, {m} module, {k} DWARF kind, {e} errno, {f} function.
ROWS = [Row(*row) for row in [
    # pahole, and what it means by release
    ("die__process_class: tag not supported 0x33 (variant_part)!", "rust-noise-of-old-pahole", "likely"),
    ("CONFIG_LTO_CLANG_THIN=y\ndie__process_class: tag not supported 0x33 (variant_part)!",
     "rust-types-in-btf", "likely"),
    ("die__process_class: tag not supported 0x33 (variant_part) at <{n}>!", "rust-inside-c-units", "likely"),
    ("die__process_unit: tag not supported 0x2f (template_type_parameter)!\n"
     "die__process_class: tag not supported 0x33 (variant_part)!", "rust-noise-of-old-pahole", "likely"),
    ("die__process_function: tag not supported 0x30 (template_value_parameter)!\n"
     "Unsupported DW_TAG_reference_type(0x10)", "language-without-btf", "proven"),
    ("die__create_new_enumeration: DW_TAG_subprogram (0x2e) @ <{x}> not handled!",
     "rust-noise-of-old-pahole", "likely"),
    ("die__create_new_enumeration: DW_TAG_subprogram (0x2e) @ <{x}> not handled in a c11 CU!",
     "rust-inside-c-units", "likely"),
    ("die__create_new_enumeration: DW_TAG_subprogram (0x2e) @ <{x}> not handled in a rust CU!",
     "rust-inside-c-units", "possible"),
    ("CONFIG_PAHOLE_VERSION=125\n"
     "tag__recode_dwarf_type: couldn't find name for function {x}, abstract_origin=0, specification={x}",
     "rust-noise-of-old-pahole", "likely"),
    ("CONFIG_PAHOLE_VERSION=130\n"
     "tag__recode_dwarf_type: couldn't find name for function {x}, abstract_origin=0, specification={x}",
     "rust-inside-c-units", "likely"),
    ("tag__recode_dwarf_type: couldn't find name for function {x}, abstract_origin=0, specification={x}",
     "rust-noise-of-old-pahole", "possible"),
    ("tag__recode_dwarf_type: couldn't find {x} type for {x} (inlined_subroutine)!", "inlined-rust-noise", "proven"),
    ("lexblock__recode_dwarf_types({n}): couldn't find {x} abstract_origin for {x} (variable)!",
     "inlined-rust-noise", "proven"),
    ("namespace__recode_dwarf_types: couldn't find {x} type for {x} (member)!", "types-lost-to-rust-units", "likely"),
    ("tag__recode_dwarf_type: couldn't find {x} type for {x} (pointer_type)!", "types-lost-to-rust-units", "likely"),
    ("ftype__recode_dwarf_types({n}): couldn't find {x} type for {x} (formal_parameter)!",
     "types-lost-to-rust-units", "likely"),
    ("cu__resolve_func_ret_types_optimized({n}): couldn't find {x} abstract_origin for {x} (subprogram)!\n"
     "Error while encoding BTF.", "types-lost-to-rust-units", "proven"),
    ("type__recode_dwarf_specification: couldn't find name for class {x}, specification={x}",
     "types-lost-to-rust-units", "likely"),
    ("Unsupported DW_TAG_reference_type(0x10): type: {x}\nEncountered error while encoding BTF.",
     "language-without-btf", "proven"),
    ("Unsupported DW_TAG_unspecified_type(0x3b)\nEncountered error while encoding BTF.", "pahole-too-old", "proven"),
    ("Unsupported DW_TAG_atomic_type(0x47): type: {x}", "language-without-btf", "possible"),
    ("Error while encoding BTF.", "pahole-failed", "likely"),
    ("btf_encoder__encode: btf__dedup failed!\nFailed to encode BTF", "pahole-too-old", "possible"),
    ("tag__check_id_drift: subroutine_type id drift, core_id: {n}, btf_type_id: {n}, type_id_off: 0",
     "pahole-too-old", "likely"),
    ("error: found variable '{f}' in CU '{p}.c' that has void type", "types-lost-to-rust-units", "likely"),
    ("PAHOLE: Error: Found symbol of invalid name when encoding btf (sym: '{f}.x', cu: '{p}.c').\n"
     "PAHOLE: Error: Use '--btf_encode_force' to ignore such symbols and force emit the btf.",
     "variable-name", "proven"),
    ("PAHOLE: Warning: Found invalid variable name when encoding btf (sym: '{f}-x', cu: '{p}.c'), ignored",
     "variable-name", "proven"),
    ("Complex, interval and imaginary float types are not supported", "language-without-btf", "proven"),
    ("[{n}] FWD (anon) Error emitting BTF type", "pahole-failed", "proven"),
    ("[{n}] ENUM e size=16 vlen=2 Error emitting BTF type (libbpf error -22)", "pahole-failed", "proven"),
    ("skipping addition of '{f}'({f}) due to multiple inconsistent function prototypes", "function-left-out", "proven"),
    ("{f} ({f}): skipping BTF encoding of function due to param type mismatch for param#{n} pf != net",
     "function-left-out", "proven"),
    ("{f} : skipping BTF encoding of function due to uncertain parameter location", "function-left-out", "proven"),
    ("Filtering CU {p}.rs written in rust.", "filtering-works", "proven"),
    ("WARNING: DW_TAG_skeleton_unit used, please look for a .dwo file and use it", "split-debug-info", "proven"),
    ("WARNING: DW_TAG_partial_unit used, some types will not be considered!", "split-debug-info", "proven"),
    ("die__process: DW_TAG_compile_unit, DW_TAG_type_unit, DW_TAG_partial_unit or DW_TAG_skeleton_unit expected got "
     "variable!", "debug-info-unreadable", "proven"),
    ("error decoding cu {p}", "debug-info-unreadable", "possible"),
    ("DW_AT_<0x1c>={x}", "odd-attribute", "proven"),
    ("pahole: {p}: Invalid argument", "zstd-elfutils", "possible"),
    ("pahole: {p}: No debugging information found", "debug-info-unreadable", "proven"),
    ("Failed to parse base BTF '{p}': -{n}", "base-btf-missing", "proven"),
    ("die__process_unit: DW_TAG_label (0xa) @ <{x}> not handled!", "asm-label", "proven"),
    ('pahole: unknown language "rust"', "pahole-options", "proven"),
    ("pahole: unrecognized option '--lang_exclude=rust'", "pahole-options", "proven"),
    ("Feature 'layout' in 'var,layout' is not supported. Supported BTF features are:", "pahole-options", "proven"),
    ("Ignoring unsupported feature 'layout'", "feature-ignored", "proven"),
    ("BTF: DW_TAG_subprogram in enumeration 'Color' not supported, skipping", "rust-inside-c-units", "likely"),
    # the kernel
    ("BPF: \t{f} type_id={n} bits_offset={n}\nBPF:\nBPF: Invalid member bits_offset\n"
     "failed to validate module [{m}] BTF: -22", "rust-types-in-btf", "likely"),
    ("BPF: \t{f} type_id=0 bits_offset={n}\nBPF:\nBPF: Invalid type_id", "types-lost-to-rust-units", "likely"),
    ("BPF: [{n}] STRUCT Option<u32>\nBPF: size={n} vlen=0\nBPF:\nBPF: Invalid name", "rust-types-in-btf", "proven"),
    ("BPF: [{n}] STRUCT &str\nBPF: size=16 vlen=2\nBPF:\nBPF: Invalid name", "rust-types-in-btf", "proven"),
    ("BPF: [{n}] STRUCT (u8, u64)\nBPF: size=16 vlen=2\nBPF: Invalid name", "rust-types-in-btf", "proven"),
    ("BPF: [{n}] STRUCT {{closure_env#0}}\nBPF: size=16 vlen=2\nBPF: Invalid name", "rust-types-in-btf", "proven"),
    ("BPF: [{n}] STRUCT x\nBPF: size={n} vlen=2\nBPF: Invalid name", "module-vmlinux-mismatch", "possible"),
    ("BPF: [{n}] Invalid name_offset:{n}\nfailed to validate module [{m}] BTF: -22",
     "module-vmlinux-mismatch", "likely"),
    ("BPF: [{n}] STRUCT (anon)\nBPF: size=8 vlen=1\nBPF: Invalid member name_offset:{n}",
     "module-vmlinux-mismatch", "likely"),
    ("BPF: [{n}] ARRAY (anon)\nBPF: type_id=0 index_type_id=3 nr_elems={n}\nBPF: Invalid elem",
     "types-lost-to-rust-units", "possible"),
    ("BPF: [{n}] DATASEC .data..percpu\nBPF: size={n} vlen=3\nBPF: \t type_id={n} offset={n} size=8\n"
     "BPF: Invalid offset", "gendwarfksyms-pahole", "likely"),
    ("BPF: [{n}] DATASEC .bss\nBPF: size={n} vlen=3\nBPF: \t type_id={n} offset={n} size=8\nBPF: Invalid offset",
     "gendwarfksyms-pahole", "possible"),
    ("CONFIG_PAHOLE_VERSION=130\nBPF: \t type_id={n} offset={n} size=8\nBPF: Invalid offset",
     "global-merge-offsets", "likely"),
    ("BPF: [{n}] Invalid kind:20", "btf-newer-than-kernel", "possible"),
    ("BPF: Unsupported btf_header", "btf-newer-than-kernel", "proven"),
    ("BPF: Unsupported section found", "stale-detached-file", "likely"),
    ("BPF: Section overlap found", "btf-damaged", "proven"),
    ("failed to validate module [{m}] BTF: -22", "module-vmlinux-mismatch", "possible"),
    ("Kernel module BTF mismatch detected, BTF debug info may be unavailable for some modules",
     "btf-mismatch-tolerated", "proven"),
    ("missing vmlinux BTF, cannot register kfuncs", "base-btf-missing", "proven"),
    ("missing module BTF, cannot register dtor kfuncs", "module-btf-missing", "possible"),
    ("BPF: [{n}] TYPEDEF u8\nBPF: type_id={n}\nBPF: Max chain length or cycle detected\n"
     "failed to validate module [{m}] BTF: -40", "module-vmlinux-mismatch", "possible"),
    ("failed to validate module [{m}] BTF: -7", "btf-newer-than-kernel", "likely"),
    ("failed to validate module [{m}] BTF: -40", "module-vmlinux-mismatch", "possible"),
    # resolve_btfids, libbpf, bpftool
    ("WARN: multiple IDs found for 'file': {n}, {n} - using {n}", "rust-types-in-btf", "possible"),
    ("WARN: resolve_btfids: unresolved symbol {f}", "symbol-not-in-btf", "proven"),
    ("WARN: resolve_btfids: unresolved symbol {f}\nFailed to generate BTF for vmlinux\n"
     "Try to disable CONFIG_DEBUG_INFO_BTF", "symbol-not-in-btf-fatal", "likely"),
    ("libbpf: failed to find '.BTF' ELF section in {p}\nFAILED: load BTF from {p}: No data available",
     "no-btf-written", "possible"),
    ("FAILED: load BTF from {p}.BTF.1: No such file or directory", "no-btf-written", "possible"),
    ("FAILED: load BTF from {p}: Invalid argument", "zstd-elfutils", "possible"),
    ("Linux version 6.12.117\nFAILED: load BTF from {p}: Unknown error -22", "zstd-elfutils", "possible"),
    ("# Linux/arm64 5.10.209 Kernel Configuration\nFAILED: load BTF from {p}: Unknown error -22",
     "enum64-old-kernel", "possible"),
    ("Skipping BTF generation for {p}.ko due to unavailability of vmlinux", "module-without-btf", "proven"),
    ("libbpf: Malformed BTF string section, did you forget to provide base BTF?", "base-btf-not-given", "likely"),
]]  # fmt: skip

NOISE = st.sampled_from([
    "  CC      kernel/sched/core.o", "  BTF [M] drivers/net/a.ko", "  RUSTC L rust/core.o", "usb 1-1: new device 4",
    "make[3]: Leaving directory '/build/linux'", "  LD      .tmp_vmlinux.kallsyms1", "", "ok 12 - 0xdead",
])  # fmt: skip
PREFIXES = st.sampled_from([
    "", "[   12.345678] ", "[    0.000000][    T1] ", "<3>[ 4711.000001] ", "Nov 21 17:04:39 build kernel: ",
    "Nov 21 17:04:39 build kernel: [   12.345678] ", "2026-11-21T17:04:39.1234567Z ", "[2026-11-21 17:04:39] ",
    "2026-11-21T17:04:39+0100 host kernel: ", "#12 123.4 ", "17:04:39  ", "build-1  | ", "make[2]: ",
    "\x1b[0;33m", "\x1b[32m[   1.5]\x1b[0m ",
])  # fmt: skip
ENDS = st.sampled_from(["\n", "\r\n", "\x1b[0m\n", " \n"])
PATHS = st.sampled_from(["vmlinux", ".tmp_vmlinux1", "/build/linux-6.12/debian/build/build_amd64/vmlinux", "fs/xfs"])
NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,20}", fullmatch=True)


@st.composite
def logs(draw: st.DrawFn, row: Row) -> bytes:
    """The row's lines with their holes filled, in one dress, among other lines (make -jN mixes whole lines)."""
    def fill(found: re.Match[str]) -> str:
        hole = found[1]
        if hole in "{}":
            return hole
        if hole == "x":
            return f"0x{draw(st.integers(0x10, 1 << 40)):x}"
        if hole == "n":
            return str(draw(st.integers(1, 99_999)))
        return draw(PATHS if hole == "p" else NAMES)

    text = re.sub(r"\{(\{|[xnpmf])\}?|\}(\})", lambda m: m[1] if m[1] == "{" else "}" if m[2] else fill(m), row.text)
    bare = bool(re.match(r"# Linux/|\[\d+\] (?:FWD|ENUM)", text))  # stands at the start of its line, always
    prefix, end = "" if bare else draw(PREFIXES), draw(ENDS)
    lines: list[str] = []
    for line in text.split("\n"):
        lines += draw(st.lists(NOISE, max_size=3))
        lines.append(prefix + line)
    return "".join(line + end for line in lines).encode(draw(st.sampled_from(["utf-8", "utf-16", "utf-8-sig"])))


def symptoms(data: bytes) -> Symptoms:
    return read(io.BytesIO(data), CATALOGUE)


@pytest.mark.parametrize("row", ROWS, ids=lambda r: f"{r.cause}: {r.text[:50]}")
@settings(max_examples=15)
@given(data=st.data())
def test_the_right_cause_comes_first_in_any_dress(row: Row, data: st.DataObject) -> None:
    log = data.draw(logs(row))
    found = symptoms(log)
    assert found.groups, log
    assert (found.groups[0].causes[0].id, found.groups[0].certainty) == (row.cause, row.certainty)
    assert not found.unknown


def test_every_cause_is_looked_for_by_some_message() -> None:
    known = {name for m in CATALOGUE.messages.values() for name in m.causes}
    known |= {c.then for c in CATALOGUE.causes.values()}
    assert known - {""} == set(CATALOGUE.causes)
