# SPDX-License-Identifier: MIT
"""Split DWARF, alternate files, separate debug files: where the rest of the debug information is."""

from __future__ import annotations

import gzip
import lzma
import shutil
import zlib
from pathlib import Path

import pytest
import zstandard

from btfcheck.dwarf.leaks import scan
from btfcheck.dwarf.tree import Tree
from btfcheck.dwarf.units import Debug
from btfcheck.dwarf.writer import build, parse
from btfcheck.image import Image


def test_rust_functions_in_c_units_of_llvm_14(more: Path) -> None:
    for name, types, references in (("b-14-fullns-4", 14, 8), ("f-14-fullns-4", 8, 2)):
        result = scan(str(more / name / "vmlinux"))
        assert result.kinds == {"M1": 1, "L1": references, "L3t": types, "L3f": 1}
        assert result.status == "ok"
        # The line table of LLVM 14 says b_main.c: no .rs file, so nothing is said.
        assert result.examples["L3f"][0].source == ""
    assert result.examples["L3f"][0].name == "klib::Registry::rust_assoc"


def test_dwo_with_everything_labelled_c(more: Path) -> None:
    result = scan(str(more / "split-cfirst" / "vmlinux"))
    assert result.status == "ok"
    assert result.units == {"C": 1}
    assert result.kinds == {"L3n": 2, "L3t": 33, "L3f": 2}
    assert result.examples["L3t"][0].name == "klib::Registry<klib::State>"
    assert result.examples["L3t"][0].file == str(more / "split-cfirst" / "0.dwo")


def test_dwo_with_everything_labelled_rust(more: Path) -> None:
    result = scan(str(more / "split-rustfirst" / "vmlinux"))
    assert result.kinds == {"L4": 1}
    assert [e.name for e in result.examples["L4"]] == ["u32"]


def test_dwp_has_the_units_of_the_skeletons(more: Path) -> None:
    alone, packed = (scan(str(more / name / "vmlinux"), examples=99) for name in ("split-cfirst", "dwp"))
    assert packed.kinds == alone.kinds
    assert [e.name for e in packed.examples["L3t"]] == [e.name for e in alone.examples["L3t"]]
    assert {e.unit for e in packed.examples["L3t"]} == {"b_main.c"}
    # The package itself has the units of both links.
    assert scan(str(more / "dwp" / "vmlinux.dwp")).units == {"C": 1, "Rust": 1}


def test_missing_and_foreign_dwo(more: Path) -> None:
    folder = more / "split-cfirst"
    shutil.copy(more / "split-rustfirst" / "0.dwo", folder / "0.dwo")  # another number
    result = scan(str(folder / "vmlinux"))
    assert result.status == "unknown"
    assert result.kinds == {}
    assert str(folder / "vmlinux.dwp") in result.missing[0]
    assert str(folder / "0.dwo") in result.missing[0]


def test_gnu_split_of_dwarf_4(tmp_path: Path) -> None:
    text = 'unit none version=4 kind=skeleton 0x2130="half.dwo" 0x2131=0x1122334455667788!data8\n'
    (tmp_path / "vmlinux").write_bytes(build(text))
    assert scan(str(tmp_path / "vmlinux")).status == "unknown"
    half = parse('unit C "x.c" version=4 0x2131=0x1122334455667788!data8\n  namespace "n"\n    structure_type "s"\n')
    renamed = parse("file\n")
    for name in (".debug_info", ".debug_abbrev"):
        renamed.sections[name + ".dwo"] = bytes(Image(build(half)).contents(name))
    (tmp_path / "half.dwo").write_bytes(build(renamed))
    result = scan(str(tmp_path / "vmlinux"))
    assert (result.status, result.units, result.kinds) == ("ok", {"C": 1}, {"L3t": 1})


BUILD_ID = bytes(range(20))
NOTE = b"\4\0\0\0\x14\0\0\0\3\0\0\0GNU\0" + BUILD_ID


def with_sections(text: str, **sections: bytes) -> bytes:
    described = parse(text)
    described.sections = {"." + name.replace("__", "."): data for name, data in sections.items()}
    return build(described)


MAIN = """
unit C "main.c"
  imported_unit import={for_c}!GNU_ref_alt
  variable "v" type={rust}!GNU_ref_alt
unit Rust "lib.rs"
  imported_unit import={for_rust}!GNU_ref_alt
"""
COMMON = """
unit none kind=partial version=4
  base_type "int" byte_size=4
unit none kind=partial version=4
  base_type "u32" byte_size=4
"""


def test_alternate_file_of_dwz(tmp_path: Path) -> None:
    """A C entity whose type the common file has in a partial unit that only Rust imports."""
    units = Debug(Image(build(COMMON))).units
    places = {"for_c": units[0].die, "for_rust": units[1].die, "rust": Tree(units[1]).offsets[1]}
    link = b"common.debug\0" + BUILD_ID
    (tmp_path / "vmlinux").write_bytes(with_sections(MAIN.format(**places), gnu_debugaltlink=link))
    alone = scan(str(tmp_path / "vmlinux"), roots=())
    assert alone.status == "unknown"
    assert "common.debug" in alone.problems[0]
    (tmp_path / "common.debug").write_bytes(with_sections(COMMON, note__gnu__build_id=NOTE))
    result = scan(str(tmp_path / "vmlinux"), roots=())
    assert result.status == "ok"
    assert {k: n for k, n in result.kinds.items() if k[0] == "L"} == {"L2": 1}
    assert result.examples["L2"][0].name == "u32"


def test_supplementary_file_of_dwarf_5(tmp_path: Path) -> None:
    text = 'unit C "main.c"\n  variable "v" type=0x20!ref_sup4\nunit Rust "l.rs"\n'
    (tmp_path / "vmlinux").write_bytes(build(text))
    nameless = scan(str(tmp_path / "vmlinux"), roots=())
    assert nameless.status == "unknown"
    assert "nothing names" in nameless.problems[0]
    named = with_sections(text, debug_sup=b"\5\0\0common.debug\0\x14" + BUILD_ID)
    (tmp_path / "vmlinux").write_bytes(named)
    assert "common.debug" in scan(str(tmp_path / "vmlinux"), roots=()).problems[0]
    (tmp_path / "common.debug").write_bytes(with_sections(COMMON, note__gnu__build_id=NOTE))
    assert scan(str(tmp_path / "vmlinux"), roots=()).status == "ok"


def test_separate_debug_file(tmp_path: Path) -> None:
    debug = with_sections('file note=1\nunit C "main.c"\n  namespace "n"\n    structure_type "s"\nunit Rust "l.rs"\n')
    (tmp_path / "x.debug").write_bytes(debug)
    link = b"x.debug\0" + zlib.crc32(debug).to_bytes(4, "little")
    stripped = parse("file note=0\n")
    stripped.sections = {".gnu_debuglink": link}
    (tmp_path / "x.ko").write_bytes(build(stripped))
    result = scan(str(tmp_path / "x.ko"), roots=())
    assert result.debug_path == str(tmp_path / "x.debug")
    assert result.kinds == {"L3t": 1}
    assert result.lto_note == 0  # the file's own note is what pahole sees
    (tmp_path / "x.debug").unlink()
    assert scan(str(tmp_path / "x.ko"), roots=()).empty


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zst"])
def test_compressed_modules(suffix: str, tmp_path: Path) -> None:
    pack = {".gz": gzip.compress, ".xz": lzma.compress, ".zst": zstandard.compress}[suffix]
    path = tmp_path / f"x.ko{suffix}"
    path.write_bytes(pack(build('file rel=yes\nunit C "main.c"\n  namespace "n"\nunit Rust "l.rs"\n')))
    assert scan(str(path)).kinds == {"L3n": 1}
