# SPDX-License-Identifier: MIT
"""Entries by name: every way to write a name, and the same as a walk over everything finds."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from btfcheck.dwarf import find as module
from btfcheck.dwarf.constants import AT, TAG
from btfcheck.dwarf.find import FUNCTIONS, LINKAGE_NAMES, TYPES, find
from btfcheck.dwarf.locations import register, register_name
from btfcheck.dwarf.spell import Entry, Reader
from btfcheck.dwarf.tree import Tree
from btfcheck.dwarf.units import Debug
from btfcheck.dwarf.writer import build
from btfcheck.image import Image, open_image
from tests.dwarf.conftest import TRUTH
from tests.gate.scenes import with_sections

UNITS = """\
file {options}
unit C "main.c" version={version}
  structure_type "device" byte_size=8
    member "device" type=@int data_member_location=0
  base_type "int" byte_size=4 encoding=5 as int
  typedef "device" type=@int
unit C "other.c" version={version}
  subprogram "device" low_pc=0x1000
  structure_type "device_driver" byte_size=8
"""


@pytest.mark.parametrize("options", ["", "rel=yes", "bits=32", "little=no", "little=no rel=yes", "share=yes"])
@pytest.mark.parametrize("version", [2, 4, 5])
def test_names_that_stand_in_the_entry(options: str, version: int) -> None:
    debug = Debug(Image(build(UNITS.format(options=options, version=version))))
    assert [(h.unit.name, h.tag, h.name) for h in find(debug, ["device"], TYPES | FUNCTIONS)] == [
        ("main.c", TAG["structure_type"], "device"), ("main.c", TAG["typedef"], "device"),
        ("other.c", TAG["subprogram"], "device"),
    ]  # fmt: skip
    assert [h.tag for h in find(debug, ["device"], frozenset({TAG["member"]}))] == [TAG["member"]]
    assert list(find(debug, ["devic", ""], TYPES)) == []


def test_names_in_the_string_section_also_at_the_end_of_others() -> None:
    """As GNU ld merges strings: "device" begins inside of "pci_device"."""
    text = 'unit C "main.c"\n  structure_type name=4!strp byte_size=8\n  structure_type name=0!strp byte_size=4\n'
    data = with_sections(build(text), {".debug_str": (1, b"pci_device\0")})
    debug = Debug(Image(data))
    assert [h.name for h in find(debug, ["device", "pci_device"], TYPES)] == ["device", "pci_device"]


def test_units_that_cannot_have_the_name_are_not_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    walked = []
    walk = module.walk
    monkeypatch.setattr(module, "walk", lambda unit, tags: walked.append(unit.name) or walk(unit, tags))
    debug = Debug(Image(build(UNITS.format(options="", version=5))))
    assert len(list(find(debug, ["int"], TYPES))) == 1
    assert walked == ["main.c"]


def test_broken_units_are_told() -> None:
    text = 'unit C "bad.c"\n  structure_type "device" byte_size=1!0x7e\n' + UNITS.format(options="", version=5)
    problems: list[str] = []
    assert len(list(find(Debug(Image(build(text))), ["device"], TYPES, problems=problems))) == 2
    assert len(problems) == 1


@pytest.mark.parametrize("file", [f for f in sorted(TRUTH) if f.split("-")[0] in ("ka", "kb", "g", "x", "e", "d")])
def test_the_quick_way_finds_what_reading_everything_does(file: str, samples: Path) -> None:
    names = {"State", "device", "u32", "list_head", "rust_probe", "c_poll", "Registry<klib::State>", "unsigned int"}
    with open_image(samples / file) as image:
        debug = Debug(image)
        expected = set()
        for unit in debug.units:
            if unit.problem:
                continue
            tree = Tree(unit)
            for number, shape in enumerate(tree.shapes):
                if shape.tag in TYPES | FUNCTIONS and AT["name"] in tree.attributes(number):
                    name = debug.string(unit, tree.attributes(number)[AT["name"]])
                    if name in names:
                        expected.add((tree.offsets[number], name))
        found = {(h.offset, h.name) for h in find(debug, names, TYPES | FUNCTIONS)}
        assert found == expected
        assert found or file.startswith("x-split")


def test_linkage_names(samples: Path) -> None:
    with open_image(samples / "kb-22-fullns-5/vmlinux") as image:
        debug = Debug(image)
        strings = bytes(image.contents(".debug_str")).decode().split("\0")
        names = [n for n in strings if n.startswith("_R") and not n.endswith("HITS")]  # which is a variable
        found = list(find(debug, names, FUNCTIONS, LINKAGE_NAMES))
        assert {h.name for h in found} == set(names) != set()


def test_spelling() -> None:
    text = """\
unit C "main.c"
  base_type "int" byte_size=4 encoding=5 as int
  structure_type "device" byte_size=8 as device
  const_type type=@device as constant
  pointer_type type=@constant as pointer
  const_type type=@pointer as fixed
  array_type type=@pointer as array
    subrange_type upper_bound=3
    subrange_type count=2
  subroutine_type type=@int as proto
    formal_parameter type=@pointer
    unspecified_parameters
  pointer_type type=@proto as callback
  pointer_type as nothing
  subprogram "probe" type=@callback low_pc=0x1000
    formal_parameter "dev" type=@fixed
    formal_parameter "rows" type=@array
    formal_parameter "data" type=@nothing
  pointer_type type=@circle as round
  const_type type=@round as circle
  subprogram "odd" type=@circle low_pc=0x2000
"""
    debug = Debug(Image(build(text)))
    reader = Reader(debug)
    hits = find(debug, ["probe", "odd"], FUNCTIONS)
    said = {h.name: reader.prototype(reader.entry(h.unit, h.offset), h.name) for h in hits}
    assert said["probe"] == (
        "int (*probe(const struct device *const dev, const struct device *rows[4][2], void *data))"
        "(const struct device *, ...)")  # fmt: skip
    assert said["odd"].startswith("*const *const ") or "..." in said["odd"]


# A location list of DWARF 5: offset pairs and a base address, then the value at entry.
LISTS = bytes([6]) + bytes(8) + bytes([4, 0, 4, 1, 0x55, 4, 4, 8, 4, 0xA3, 1, 0x54, 0x9F, 0])


@pytest.mark.parametrize(("version", "section", "data", "expected"), [
    (5, ".debug_loclists", LISTS, {5: 5, 4: 4, 1: 4}),
    (5, ".debug_loclists", bytes([4, 0, 4, 2, 0x91, 0, 0]), {5: None}),
    (5, ".debug_loclists", bytes([9, 0, 0, 8]) + bytes(8) + bytes([4, 1, 0x54, 0]), {5: 4}),
    (4, ".debug_loc", struct.pack("<QQHB", 0, 4, 1, 0x55) + bytes(16), {5: 5, 4: 5}),
    (4, ".debug_loc", struct.pack("<QQQQHB", 2**64 - 1, 64, 0, 4, 1, 0x54) + bytes(16), {5: 4}),
])  # fmt: skip
def test_location_lists(version: int, section: str, data: bytes, expected: dict[int, int | None]) -> None:
    text = (f'unit C "main.c" version={version}\n  subprogram "f" low_pc=0x1000\n'
            '    formal_parameter "a" location=0!sec_offset\n')  # fmt: skip
    debug = Debug(Image(with_sections(build(text), {section: (1, data)})))
    parameter = _parameter(debug)
    assert {sought: register(parameter, sought) for sought in expected} == expected


@pytest.mark.parametrize("cut", [1, 10, 14])
def test_a_location_list_that_is_cut_off(cut: int) -> None:
    text = 'unit C "main.c"\n  subprogram "f" low_pc=0x1000\n    formal_parameter "a" location=0!sec_offset\n'
    debug = Debug(Image(with_sections(build(text), {".debug_loclists": (1, LISTS[:cut])})))
    with pytest.raises(module.DwarfError, match="cut off"):
        register(_parameter(debug), 1)


def _parameter(debug: Debug) -> Entry:
    (hit,) = find(debug, ["a"], frozenset({TAG["formal_parameter"]}))
    return Reader(debug).entry(hit.unit, hit.offset)


def test_registers_have_names() -> None:
    assert [register_name(62, n) for n in (5, 4, 1, 2, 8, 9)] == ["rdi", "rsi", "rdx", "rcx", "r8", "r9"]
    assert register_name(183, 0) == "x0"
    assert register_name(8, 4) == "register 4"
