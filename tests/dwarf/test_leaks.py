# SPDX-License-Identifier: MIT
"""Kinds of leaks: all measured samples, and cases that no compiler at hand makes.

How the names of the samples' truth.json map to the kinds:

    L1inl + L1call              L1
    L2type                      L2, unless there are Rust types in the C unit, to which it then belongs
    L3ns                        L3n, unless there are Rust types
    L3type                      L3t (L3tag are the variants and parameters of these types)
    L3sub, L3subempty, X-sig8   details
    first_unit, the note        M2, M1
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from btfcheck.dwarf.leaks import ScanResult, scan
from btfcheck.dwarf.writer import build
from btfcheck.image import Image
from tests.dwarf.conftest import TRUTH


def expected_kinds(truth: dict[str, int]) -> dict[str, int]:
    kinds = {"L1": truth.get("L1inl", 0) + truth.get("L1call", 0), "L3t": truth.get("L3type", 0)}
    if not truth.get("L3type") and not truth.get("L3tag"):
        kinds |= {"L2": truth.get("L2type", 0), "L3n": truth.get("L3ns", 0)}
    return {kind: count for kind, count in kinds.items() if count}


@pytest.mark.parametrize("name", TRUTH)
def test_sample(name: str, samples: Path) -> None:
    truth = TRUTH[name]
    result = scan(str(samples / name))
    found = {kind: n for kind, n in result.kinds.items() if kind not in ("M1", "M2")}
    expected: dict[str, Any] = expected_kinds(truth["kinds"])
    if name.startswith("x-typeunits"):
        expected["L5"] = 14
    assert found == expected
    assert result.units == {{"rust": "Rust"}.get(k, k): n for k, n in truth["units"].items()}
    assert result.first[0] == {"rust": "Rust"}.get(truth["first_unit"], truth["first_unit"])
    split = name.startswith("x-split")
    assert result.status == ("unknown" if split else "ok")
    assert bool(result.missing) == split


@pytest.mark.parametrize("name", [n for n in TRUTH if TRUTH[n]["pahole"] and not n.startswith("x-")])
def test_merging_as_pahole_did_it(name: str, samples: Path) -> None:
    """1.25 either wrote BTF without Rust, or refused Rust (merged), or nothing (merged, Rust first)."""
    result = scan(str(samples / name))
    made = TRUTH[name]["pahole"]["1.25"]["result"]
    assert result.merged == (made != "accepted")
    assert ("M2" in result.kinds) == (made == "no-btf")
    assert ("M1" in result.kinds) == (made != "accepted")


def test_relocation_changes_nothing(samples: Path) -> None:
    """The linked file and the object it was linked from have the same leaks, shown in the same words."""
    for folder in sorted(samples.iterdir()):
        if (folder / "vmlinux").exists() and (folder / "vmlinux.o").exists():
            linked, whole = (scan(str(folder / name), examples=999) for name in ("vmlinux", "vmlinux.o"))
            assert linked.kinds == whole.kinds
            assert [e for k in linked.examples.values() for e in k] == [
                replace(e, file=linked.path) for k in whole.examples.values() for e in k]
            assert linked.walked_dies == whole.walked_dies


def test_what_is_told_of_a_place(samples: Path) -> None:
    result = scan(str(samples / "kb-22-fullns-5" / "vmlinux.o"))
    inlined = result.examples["L1"][0]
    assert inlined.unit == "b_main.c"
    assert inlined.producer == "Debian clang version 22.1.8 (1~deb12u1)"
    assert (inlined.section, inlined.offset) == (".debug_info", 0xF9)
    assert (inlined.tag, inlined.attribute) == ("DW_TAG_inlined_subroutine", "DW_AT_abstract_origin")
    assert (inlined.name, inlined.target) == ("klib::rust_bump", 0x3BE)
    assert inlined.target_unit.startswith("b_lib.rs/@/klib.")
    assert inlined.source.endswith("/src/b_lib.rs:41")
    assert [e.name for e in result.examples["L3t"][:2]] == ["klib::Registry<klib::State>", "klib::State"]


def test_examples_are_bounded(samples: Path) -> None:
    path = str(samples / "a-22-thin-5" / "vmlinux")
    assert len(scan(path, examples=3).examples["L1"]) == 3
    assert scan(path, examples=0).examples == {}
    assert scan(path, examples=0).kinds["L1"] == 125


def test_a_clean_file_is_not_walked(samples: Path) -> None:
    path = str(samples / "ka-22-none-5" / "vmlinux")
    lazy, eager = scan(path), scan(path, walk_all=True)
    assert (lazy.walked_units, lazy.walked_dies, lazy.skipped) == (0, 0, 5)
    assert (eager.walked_units, eager.skipped) == (5, 0)
    assert eager.walked_dies == 830
    assert lazy.kinds == eager.kinds == {}


# -- written cases --------------------------------------------------------------------------------------

RUST = """
unit Rust "lib.rs"
  namespace "klib"
    structure_type "S" byte_size=4 as rust_s
    subprogram "f" as rust_f
"""


def scanned(tmp_path: Path, text: str, **options: Any) -> ScanResult:
    path = tmp_path / "x.o"
    path.write_bytes(build(text))
    return scan(str(path), **options)


FILES = ("", "bits=32", "little=no", "bits=32 little=no machine=8", "rel=yes", "rel=yes bits=32",
         "rel=yes little=no machine=22", "share=yes note=1")
UNITS = ("version=5", "version=4", "version=3", "version=2", "version=6 by_name=yes", "wide=yes",
         "wide=yes version=4")


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("unit", UNITS)
def test_every_class_order_and_version(file: str, unit: str, tmp_path: Path) -> None:
    result = scanned(tmp_path, f"""
file {file}
unit C "main.c" {unit}
  subprogram "probe" low_pc=0x1000
    inlined_subroutine abstract_origin=@rust_f
  structure_type "thing" byte_size=4
    member "s" type=@rust_s data_member_location=0
unit Rust "lib.rs" {unit}
  namespace "klib"
    structure_type "S" byte_size=4 as rust_s
    subprogram "f" as rust_f
unit C "late.c" {unit}
  namespace "klib"
    structure_type "T" byte_size=4
""")
    kinds = {k: n for k, n in result.kinds.items() if k[0] == "L"}
    assert kinds == {"L1": 1, "L2": 1, "L3t": 1} | ({"L7": 1} if "by_name" in unit else {})
    assert result.units == {"C": 2, "Rust": 1}
    assert result.examples["L1"][0].name == "klib::f"
    assert result.examples["L2"][0].target_unit == "lib.rs"
    assert result.examples["L3t"][0].name == "klib::T"


def test_a_type_that_only_rust_types_lead_to_is_no_loss_of_cs(tmp_path: Path) -> None:
    """`&str` stands in no namespace; its member in the Rust unit is Rust's own affair (L3t), but a C
    struct's is not (L2), and a type that both use is C's loss."""
    text = """
unit C "main.c"
  namespace "klib"
    structure_type "Registry" byte_size=16
      member "name" type=@str
      member "both" type=@both
  structure_type "&str" byte_size=16 as str
    member "data" type=@u8
  structure_type "both" byte_size=1 as both
    member "x" type=@u8
  {c}
unit Rust "lib.rs"
  base_type "u8" byte_size=1 encoding=7 as u8
"""
    assert scanned(tmp_path, text.replace("{c}", "")).kinds == {"M1": 1, "L3t": 1}
    shared = scanned(tmp_path, text.replace("{c}", 'variable "v" type=@both'))
    assert shared.kinds == {"M1": 1, "L2": 1, "L3t": 1}
    assert shared.examples["L2"][0].name == "u8"
    own = scanned(tmp_path, text.replace("{c}", 'variable "v" type=@u8'))
    assert own.kinds == {"M1": 1, "L2": 1, "L3t": 1}


def test_variant_parts_and_parameters_prove_a_type_without_a_namespace(tmp_path: Path) -> None:
    result = scanned(tmp_path, """
unit C "main.c"
  structure_type "Option<u32>" byte_size=8
    variant_part
      variant
  structure_type "Box" byte_size=8
    template_type_parameter "T"
  structure_type "Vec<u8>" byte_size=8
unit Rust "lib.rs"
""")
    assert result.kinds == {"L3t": 2}
    assert [e.name for e in result.examples["L3t"]] == ["Option<u32>", "Box"]


def test_namespaces_with_and_without_types(tmp_path: Path) -> None:
    result = scanned(tmp_path, """
unit C "main.c"
  namespace "a"
    namespace "b"
      structure_type "T" byte_size=4
    namespace "c"
      subprogram
  namespace "d"
    subprogram "method" low_pc=0x10
unit Rust "lib.rs"
""")
    assert result.kinds == {"L3n": 2, "L3t": 1, "L3f": 1}
    assert [e.name for e in result.examples["L3n"]] == ["a::c", "d"]


def test_namespaces_of_cplusplus_are_its_own(tmp_path: Path) -> None:
    result = scanned(tmp_path, 'unit C++ "x.cc"\n  namespace "std"\n    structure_type "string"\n' + RUST)
    assert result.kinds == {}
    assert result.units == {"C++": 1, "Rust": 1}


def test_specialised_clone_without_any_reference(tmp_path: Path) -> None:
    """ThinLTO can clone a Rust method into a C module: then nothing refers to a Rust unit."""
    result = scanned(tmp_path, """
file note=1
unit C "main.c"
  namespace "klib"
    structure_type "S" byte_size=4
      subprogram "bump" declaration=yes as decl
  subprogram low_pc=0x10 specification=@decl
""" + RUST)
    assert result.kinds == {"M1": 1, "L3t": 1}


def test_partial_units_have_the_language_of_their_importers(tmp_path: Path) -> None:
    result = scanned(tmp_path, """
unit none kind=partial label=for_c
  structure_type "device" byte_size=4
    member "x" type=@deep_rust
unit none kind=partial label=for_rust
  imported_unit import=@deeper
unit none kind=partial label=deeper
  structure_type "Deep" byte_size=4 as deep_rust
unit C "main.c"
  imported_unit import=@for_c
unit Rust "lib.rs"
  imported_unit import=@for_rust
""")
    assert result.units == {"C": 2, "Rust": 3}
    assert result.kinds == {"M1": 1, "L2": 1}


def test_partial_unit_of_both_languages_counts_as_c(tmp_path: Path) -> None:
    result = scanned(tmp_path, """
unit none kind=partial label=both
  namespace "klib"
    structure_type "S" byte_size=4
unit C "main.c"
  imported_unit import=@both
unit Rust "lib.rs"
  imported_unit import=@both
""")
    assert result.units == {"C": 2, "Rust": 1}
    assert result.kinds == {"M1": 1, "L3t": 1}


def test_imports_in_a_circle_end(tmp_path: Path) -> None:
    result = scanned(tmp_path, """
unit none kind=partial label=a
  imported_unit import=@b
unit none kind=partial label=b
  imported_unit import=@a
unit Rust "lib.rs"
  imported_unit import=@a
""")
    assert result.units == {"Rust": 3}


def test_type_units_before_dwarf_5(tmp_path: Path) -> None:
    result = scanned(tmp_path, """
unit C kind=type version=4 signature=0x77
  namespace "klib"
    structure_type "S" byte_size=4
unit C "main.c" version=4
""" + RUST.replace('"lib.rs"', '"lib.rs" version=4'))
    assert result.kinds == {"L3t": 1, "L5": 1}
    assert result.examples["L5"][0].section == ".debug_types"
    assert result.first == ("C", "main.c")


def test_modules_in_rust_are_recognised(tmp_path: Path) -> None:
    module = 'file note=1\nunit Rust "lib.rs"\nunit C "rust_minimal.mod.c"\nunit C "scripts/module-common.c"\n'
    assert scanned(tmp_path, module).generated
    assert not scanned(tmp_path, module + 'unit C "helpers.c"\n').generated


@pytest.mark.parametrize(("note", "refs", "merged", "merged_132"), [
    (None, False, False, False), (None, True, True, True), (0, False, False, False), (0, True, False, True),
    (1, False, True, True), (1, True, True, True)])
def test_who_merges(note: int | None, refs: bool, merged: bool, merged_132: bool, tmp_path: Path) -> None:
    text = "" if note is None else f"file note={note}\n"
    text += 'unit C "a.c"\n  base_type "int" as i\nunit C "b.c"\n'
    result = scanned(tmp_path, text + ('  variable "v" type=@i\n' if refs else ""))
    assert (result.merged, result.merged_132, result.lto_note) == (merged, merged_132, note)


def test_references_out_of_the_unit_and_the_file_are_survived(tmp_path: Path) -> None:
    """LLVM 14 makes DW_FORM_ref4 that leave their unit; hostile files refer anywhere."""
    result = scanned(tmp_path, """
unit C "main.c"
  variable "v" type=0xfffffff0!ref4
  variable "w" type=0xfffffff0!ref_addr
  variable "u" abstract_origin=0x0!ref_addr
  namespace "n"
    structure_type "S" byte_size=4
      member "m" type=0x7fffffff!ref4
      member "n" type=0xfffffff0!ref_addr
""" + RUST)
    assert result.status == "ok"
    assert result.kinds == {"M1": 1, "L3t": 1}


def test_labels_beyond_the_known_ones(tmp_path: Path) -> None:
    result = scanned(tmp_path, 'unit 0x9000 "old.rs"\nunit 0x16 "x.go"\nunit 0x7777 "x"\nunit none "y"\n')
    assert result.units == {"Rust": 1, "Go": 1, "language 0x7777": 1, "none": 1}


def test_rust_in_a_unit_without_a_language(tmp_path: Path) -> None:
    result = scanned(tmp_path, 'unit none "y"\n  namespace "klib"\n    structure_type "S"\n' + RUST)
    assert result.kinds == {"L6": 1}


# -- a real kernel --------------------------------------------------------------------------------------


@pytest.mark.accept
def test_kernel_with_rust_and_thin_lto(shared: Path) -> None:
    """Linux 6.12.117: the Rust objects are no part of the LTO, so no C unit knows of them; pahole merges."""
    path = str(shared / "vectors" / "kernel" / "linux-6.12.117-rust-thinlto.debug.zst")
    for walk_all, dies in ((False, 5_672_567), (True, 6_449_804)):
        result = scan(path, walk_all=walk_all)
        assert result.status == "ok"
        assert result.kinds == {"M1": 1}
        assert result.units == {"C": 1982, "Rust": 7, "asm": 17}
        assert result.first[0] == "asm"
        assert result.walked_dies == dies


@pytest.mark.accept
def test_shared_samples_are_those_of_the_tests(shared: Path, samples: Path) -> None:
    for name in TRUTH:
        assert (shared / "vectors" / "leak" / name).read_bytes() == (samples / name).read_bytes()


def test_files_are_let_go_without_the_garbage_collector(samples: Path) -> None:
    """The command hardly ever collects; a thousand modules must not stay mapped."""
    import gc
    import weakref

    from btfcheck.dwarf import leaks
    from btfcheck.dwarf.units import Debug

    alive = []

    class Watched(Debug):
        def __init__(self, image: Image) -> None:
            super().__init__(image)
            alive.extend(weakref.ref(info) for info in self.infos)

    gc.disable()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(leaks, "Debug", Watched)
            for name in ("kb-22-fullns-5/vmlinux.o", "a-22-thin-5/vmlinux"):
                scan(str(samples / name), walk_all=True)
        assert alive
        assert not any(info() for info in alive)
    finally:
        gc.enable()
