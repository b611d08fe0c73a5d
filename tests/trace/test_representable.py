# SPDX-License-Identifier: MIT
"""Which Rust types BTF could hold, and the kernel's own word for it: what is said to fit is written and accepted."""

from __future__ import annotations

from pathlib import Path

import pytest

from btfcheck.btf.judge import validate
from btfcheck.btf.releases import rules_for
from btfcheck.dwarf.units import Debug
from btfcheck.dwarf.writer import build
from btfcheck.image import Image, open_image
from btfcheck.release import parse
from btfcheck.trace.ground import Ground
from btfcheck.trace.representable import AS_IS, NOT, RENAMED, Survey, survey
from tests.btf.blob import Blob
from tests.dwarf.conftest import samples

samples = samples  # a fixture of the scan's tests
RULES = rules_for(parse("6.12"))
HEAD = """\
unit Rust "lib.rs"
  base_type "u32" byte_size=4 encoding=7 as u32
  base_type "()" byte_size=0 encoding=7 as unit
  base_type "f64" byte_size=8 encoding=4 as f64
  array_type type=@u32 as tail
    subrange_type lower_bound=0!0x0b
  array_type type=@unit as units
    subrange_type count=3
  array_type type=@u32 as none
    subrange_type count=0
"""


def surveyed(lines: str, head: str = HEAD) -> Survey:
    text = (head + lines).replace("lower_bound=0!0x0b", "0x22=0")
    return survey(Ground(Debug(Image(build(text)))), RULES)


def verdicts(lines: str, head: str = HEAD) -> dict[str, tuple[str, tuple[str, ...]]]:
    found = surveyed(lines, head)
    assert not found.problems
    return {i.path: (i.verdict, tuple(r for r, _ in i.reasons)) for i in found.types if i.kind != "base type"}


MEMBER = '    member "a" type=@{} data_member_location={}\n'


@pytest.mark.parametrize(("lines", "expected"), [
    ('  structure_type "Plain" byte_size=4\n' + MEMBER.format("u32", 0), (AS_IS, ())),
    ('  union_type "U" byte_size=4\n' + MEMBER.format("u32", 0), (AS_IS, ())),
    ('  enumeration_type "E" byte_size=1\n    enumerator "A" const_value=1\n', (AS_IS, ())),
    ('  structure_type "Unit" byte_size=4\n' + MEMBER.format("unit", 4), (AS_IS, ())),
    ('  structure_type "Empty" byte_size=0\n' + MEMBER.format("none", 0), (AS_IS, ())),
    ('  structure_type "Option<u32>" byte_size=4\n' + MEMBER.format("u32", 0), (RENAMED, ())),
    ('  structure_type "&str" byte_size=16\n', (RENAMED, ())),
    ('  structure_type "State" byte_size=8\n    variant_part\n      variant\n', (NOT, ("carries-data",))),
    ('  structure_type "CStr" byte_size=0\n' + MEMBER.format("u32", 0), (NOT, ("unsized",))),
    ('  structure_type "Tail" byte_size=0\n' + MEMBER.format("tail", 0), (NOT, ("unsized",))),
    ('  structure_type "Short" byte_size=4\n' + MEMBER.format("u32", 2), (NOT, ("member-outside",))),
    ('  structure_type "Units" byte_size=4\n' + MEMBER.format("units", 0), (NOT, ("array-of-nothing",))),
    ('  structure_type "Packed" byte_size=12\n' + MEMBER.format("f64", 1), (NOT, ("packed-float",))),
    ('  enumeration_type "Wide" byte_size=16\n', (NOT, ("wide-enum",))),
    ('  structure_type "' + "x" * 509 + '<>" byte_size=4\n', (NOT, ("name-too-long",))),
    ('  structure_type "' + "x" * 504 + '<>" byte_size=4\n', (RENAMED, ())),
], ids=lambda value: str(value)[:40])  # fmt: skip
def test_one_type(lines: str, expected: tuple[str, tuple[str, ...]]) -> None:
    (found,) = verdicts(lines).values()
    assert found == expected


def test_what_holds_one_that_cannot_be_held() -> None:
    lines = (
        '  structure_type "State" byte_size=8 as state\n    variant_part\n'
        '  structure_type "Holder" byte_size=8 as holder\n' + MEMBER.format("state", 0)
        + '  structure_type "Outer" byte_size=16\n' + MEMBER.format("pair", 0)
        + "  array_type type=@holder as pair\n    subrange_type count=2\n"
        + '  structure_type "Pointer" byte_size=8\n' + MEMBER.format("ptr", 0)
        + "  pointer_type type=@state as ptr\n"
    )  # fmt: skip
    assert verdicts(lines) == {
        "State": (NOT, ("carries-data",)), "Holder": (NOT, ("holds",)), "Outer": (NOT, ("holds",)),
        "Pointer": (AS_IS, ()),
    }  # fmt: skip


def test_variants_count_with_their_enum_and_each_path_once() -> None:
    lines = (
        '  namespace "core"\n    structure_type "Option<u32>" byte_size=8\n      variant_part\n'
        '      structure_type "Some" byte_size=8\n      structure_type "None" byte_size=8\n'
    )
    assert list(verdicts(lines + "\n" + lines)) == ["core::Option<u32>"]


def test_rust_in_c_units_counts_and_c_does_not() -> None:
    text = (
        'unit C "main.c"\n  structure_type "device" byte_size=8\n  namespace "klib"\n'
        '    structure_type "State" byte_size=4\n'
    )
    assert verdicts("", text) == {"klib::State": (AS_IS, ())}
    assert verdicts("", 'unit C "main.c"\n  structure_type "device" byte_size=8\n') == {}


def test_names_that_collide_and_names_that_are_cut() -> None:
    name = "x" * 120 + "<u32>"
    lines = (
        '  namespace "a"\n    structure_type "Mode" byte_size=1\n'
        '  namespace "b"\n    structure_type "Mode" byte_size=1\n'
        f'  structure_type "{name}" byte_size=1\n'
    )
    found = surveyed(lines)
    assert (found.shared, found.cut) == (1, 1)


def test_broken_units_are_told() -> None:
    found = surveyed('  structure_type "x" byte_size=1!0x7e\n')
    assert found.problems
    assert not found.types


def test_what_is_said_to_fit_is_accepted() -> None:
    """The same types as records, judged by all of the kernel's checks."""
    blob = Blob()
    u32, unit = blob.int("u32", 4, encoding=0), blob.int("()", 0, bits=0, encoding=0)
    blob.struct("Plain", 4, [("a", u32, 0)])
    blob.struct("Unit", 4, [("a", unit, 32)])
    blob.struct("Empty", 0, [("a", blob.array(u32, u32, 0), 0)])
    blob.struct("Option_3C_u32_3E_", 4, [("a", u32, 0)])
    assert validate(blob.bytes(), kernel="6.12").accepted
    for name, size, members, message in (
        ("CStr", 0, [("a", u32, 0)], "Member exceeds struct_size"),
        ("Short", 4, [("a", u32, 16)], "Member exceeds struct_size"),
        ("Units", 4, [("a", blob.array(unit, u32, 3), 0)], "Invalid array of int"),
        ("Option<u32>", 4, [("a", u32, 0)], "Invalid name"),
        ("x" * 513, 4, [("a", u32, 0)], "Invalid name"),
    ):
        other = Blob()
        other.int("u32", 4, encoding=0)
        other.int("()", 0, bits=0, encoding=0)
        of = other.array(2, 1, 3) if name == "Units" else 1
        other.struct(name, size, [(members[0][0], of, members[0][2])])
        assert message in validate(other.bytes(), kernel="6.12").message


# Types of b_lib.rs as llvm-dwarfdump lists them, without the structs of variants.
NOT_AT_ALL = {
    "core::fmt::rt::Argument": "holds", "core::fmt::rt::ArgumentType": "carries-data",
    "core::option::Option<&dyn klib::Ops>": "carries-data", "core::option::Option<klib::State>": "carries-data",
    "core::option::Option<u32>": "carries-data", "core::result::Result<(), core::fmt::Error>": "carries-data",
    "klib::Registry<klib::State>": "holds", "klib::State": "carries-data",
    "dyn core::fmt::Write": "unsized", "dyn klib::Ops": "unsized",
}  # fmt: skip


@pytest.mark.parametrize("file", ["kb-22-none-5/vmlinux", "kb-22-none-5/vmlinux.o", "b-22-none-4/vmlinux"])
def test_samples(file: str, samples: Path) -> None:
    with open_image(samples / file) as image:
        found = survey(Ground(Debug(image)), RULES)
    assert {i.path: i.reasons[0][0] for i in found.types if i.verdict == NOT} == NOT_AT_ALL
    assert {i.path.rpartition("::")[2] for i in found.types if i.verdict == AS_IS and i.kind == "struct"} == {
        "Arguments", "Error", "Formatter", "FormattingOptions", "Location", "PanicInfo"}
    assert found.count(RENAMED) == 11
    assert not found.problems


@pytest.mark.accept
def test_the_thinlto_kernel(shared: Path) -> None:
    """Facts of the lab: three unsized structs; closures whose names do not fit even when renamed."""
    with open_image(shared / "vectors/kernel/linux-6.12.117-rust-thinlto.debug.zst") as image:
        found = survey(Ground(Debug(image)), RULES)
    rows = {i.path: i for i in found.types}
    assert (len(found.types), found.units) == (3766, 7)
    assert [found.count(v) for v in (AS_IS, RENAMED, NOT)] == [1501, 920, 1345]
    assert rows["bindings::bindings_raw::task_struct"].verdict in (AS_IS, NOT)
    assert rows["core::option::Option<u32>"].reasons == (("carries-data", ""),)
    assert rows["&str"].new_name == "_26_str"
    unsized = {i.path.rpartition("::")[2] for i in found.types if any(r == "unsized" for r, _ in i.reasons)}
    assert {"CStr", "BStr"} <= unsized
    long = [i for i in found.types if any(r == "name-too-long" for r, _ in i.reasons)]
    assert len(long) == 13
    assert all("{closure_env#" in i.path or "closure" in i.path for i in long)
