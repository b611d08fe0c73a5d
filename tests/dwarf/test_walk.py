# SPDX-License-Identifier: MIT
"""The walk sees every entry: counted against pyelftools and readelf, on samples and on made-up units."""

from __future__ import annotations

import io
import re
import subprocess
from pathlib import Path

import pytest
from elftools.dwarf.enums import ENUM_DW_TAG
from elftools.elf.elffile import ELFFile
from hypothesis import given
from hypothesis import strategies as st

from btfcheck.dwarf.abbrev import DwarfError
from btfcheck.dwarf.constants import AT, RUST_TAGS, TAG
from btfcheck.dwarf.leaks import scan
from btfcheck.dwarf.tree import Tree
from btfcheck.dwarf.units import Debug, Unit
from btfcheck.dwarf.walk import Targets, walk
from btfcheck.dwarf.writer import build
from btfcheck.image import Image
from tests.dwarf.conftest import TRUTH

# pyelftools reads DWARF 2 to 5.
COUNTABLE = [name for name in TRUTH if not name.startswith("x-dwarf6")]


def units_of(data: bytes) -> list[Unit]:
    return Debug(Image(data)).units


@pytest.mark.parametrize("name", COUNTABLE)
def test_entries_are_those_that_pyelftools_sees(name: str, samples: Path) -> None:
    data = (samples / name).read_bytes()
    dwarf = ELFFile(io.BytesIO(data)).get_dwarf_info()
    theirs = [[(die.offset, ENUM_DW_TAG[die.tag]) for die in unit.iter_DIEs() if die.tag] for unit in dwarf.iter_CUs()]
    ours = []
    for unit in units_of(data):
        tree = Tree(unit)
        ours.append([(offset, shape.tag) for offset, shape in zip(tree.offsets, tree.shapes, strict=True)])
        assert walk(unit)[0] == len(tree.offsets)
    assert ours == theirs


@pytest.mark.needs("readelf")
def test_counts_are_readelfs(samples: Path) -> None:
    for name in ("a-22-thin-5/vmlinux", "a-22-full-4/vmlinux", "g-gcc-lto-5/vmlinux", "kb-22-fullns-5/vmlinux.o"):
        path = str(samples / name)
        dump = subprocess.run(["readelf", "--debug-dump=info", path], capture_output=True, text=True, check=True).stdout
        entries = re.findall(r"^ *<[0-9a-f]+><[0-9a-f]+>: Abbrev Number: [1-9]", dump, re.MULTILINE)
        assert scan(path, walk_all=True).walked_dies == len(entries)


@pytest.mark.parametrize("name", COUNTABLE)
def test_attributes_are_those_that_pyelftools_reads(name: str, samples: Path) -> None:
    """Name, language and producer of each unit, relocated or not."""
    data = (samples / name).read_bytes()
    dwarf = ELFFile(io.BytesIO(data)).get_dwarf_info()
    for unit, theirs in zip(units_of(data), dwarf.iter_CUs(), strict=True):
        top = theirs.get_top_DIE().attributes
        for attribute, ours in (("DW_AT_name", unit.name), ("DW_AT_producer", unit.producer)):
            if attribute in top and isinstance(top[attribute].value, bytes):
                assert ours == top[attribute].value.decode()
        assert unit.code == (top["DW_AT_language"].value if "DW_AT_language" in top else None)


# -- made-up units --------------------------------------------------------------------------------------

NUMBERS = ["0x3=5!udata", "0x3=300!udata", "0x3=5!sdata", '0x3="some text"', "0x3=7!data2", "0x3=9!data8",
           "0x3=yes", "0x3=1!strx", "0x11=0x1000", "0x3=2!addrx", "0x3=3!ref_udata", "0x3=1!ref1"]
TAGS = ["structure_type", "member", "lexical_block", "namespace", "0x4109", "variable", "subprogram"]
entries = st.lists(
    st.tuples(st.integers(1, 4), st.sampled_from(TAGS), st.lists(st.sampled_from(NUMBERS), max_size=4)),
    max_size=300,
)


def text_of(shape: list[tuple[int, str, list[str]]]) -> tuple[str, int]:
    lines, depth = ['unit C "x.c"'], 0
    for wanted, tag, attributes in shape:
        depth = min(wanted, depth + 1)
        lines.append("  " * depth + " ".join([tag, *(a.replace(" ", "_") for a in attributes)]))
    return "\n".join(lines), len(lines)


@given(entries, st.sampled_from(["", "little=no", "bits=32", "rel=yes"]))
def test_every_entry_is_counted_whatever_its_attributes(shape: list[tuple[int, str, list[str]]], options: str) -> None:
    text, count = text_of(shape)
    (unit,) = units_of(build(f"file {options}\n{text}"))
    seen, hits, tagged = walk(unit, RUST_TAGS, Targets(1000, [(0, 1000)]))
    assert (seen, hits) == (count, [])
    assert len(tagged) == text.count("namespace")
    tree = Tree(unit)
    assert [tree.offsets[n] for n, s in enumerate(tree.shapes) if s.rust] == tagged
    for number, parent in enumerate(tree.parents):
        assert parent < number
        assert parent < 0 or number in tree.below(parent)


@given(entries, st.data())
def test_a_damaged_unit_is_refused_or_walked_to_its_end(
    shape: list[tuple[int, str, list[str]]], data: st.DataObject
) -> None:
    text, _ = text_of(shape)
    image = bytearray(build(text))
    info = Image(bytes(image)).section(".debug_info")
    assert info is not None
    for _ in range(data.draw(st.integers(1, 4))):
        place = info.offset + data.draw(st.integers(12, info.size - 1))
        image[place] = data.draw(st.integers(0, 255))
    for unit in units_of(bytes(image)):
        if unit.problem:
            continue
        try:
            seen = walk(unit, RUST_TAGS)[0]
        except DwarfError:
            continue
        assert len(Tree(unit).offsets) == seen


def test_two_byte_codes_and_long_entries() -> None:
    # 200 kinds of entries: codes above 127 take two bytes; 300 bytes do not fit the table of sizes.
    lines = ['unit C "x.c"'] + [f"  variable {0x2100 + n:#x}=1" for n in range(200)]
    lines.append("  variable " + " ".join(f"{0x2100 + n:#x}=1!data8" for n in range(40)))
    (unit,) = units_of(build("\n".join(lines)))
    assert walk(unit)[0] == 202


def test_unknown_form() -> None:
    (unit,) = units_of(build('unit C "x.c"\n  variable 0x3=1!0x7e\n'))
    with pytest.raises(DwarfError, match="a form that is not known"):
        walk(unit)


def test_unit_that_does_not_end_with_an_entry() -> None:
    image = bytearray(build('unit C "x.c"\n  variable 0x3=1!data8\n'))
    info = Image(bytes(image)).section(".debug_info")
    assert info is not None
    image[info.offset] -= 3  # the unit ends inside the last entry
    (unit, *_) = units_of(bytes(image))
    with pytest.raises(DwarfError, match="does not end with an entry"):
        walk(unit)


def test_undeclared_abbreviation() -> None:
    image = bytearray(build('unit C "x.c"\n  variable 0x3=1!data1\n'))
    info = Image(bytes(image)).section(".debug_info")
    assert info is not None
    at = image.index(b"\x02\x01\x00", info.offset)
    image[at] = 99
    (unit,) = units_of(bytes(image))
    with pytest.raises(DwarfError, match="abbreviation 99"):
        walk(unit)


def test_indirect_forms_are_followed() -> None:
    """DW_FORM_indirect: the form stands in the entry itself."""
    text = 'unit C "x.c"\n  variable type=0x30!indirect/ref_addr\n  member type=0x30!indirect/ref4\n  label 0x3=1\n'
    (unit,) = units_of(build(text))
    count, hits, _ = walk(unit, targets=Targets(1 << 16, [(0x30, 0x31)]))
    assert count == 4
    assert [(h.tag, h.attribute, h.target) for h in hits] == [(TAG["variable"], AT["type"], 0x30)]
    (unit,) = units_of(build('unit C "x.c"\n  variable type=0x16!indirect/indirect\n'))
    with pytest.raises(DwarfError, match="indirect"):
        walk(unit)


def test_references_of_entries_of_any_size() -> None:
    """Before and behind attributes whose size differs, at 4 and 8 bytes, big and little."""
    for file in ("", "little=no", "rel=yes"):
        for unit_options in ("", "wide=yes", "version=4"):
            text = (f'file {file}\nunit C "x.c" {unit_options}\n  variable "n" type=@t 0x3=70000!udata\n'
                    f'  variable type=@t specification=@t\nunit Rust "l.rs" {unit_options}\n  base_type as t\n')
            units = units_of(build(text))
            target = Tree(units[1]).offsets[1]
            _, hits, _ = walk(units[0], targets=Targets(1 << 16, [(units[1].offset, units[1].end)]))
            assert [(h.attribute, h.target) for h in hits] == [
                (AT["type"], target), (AT["type"], target), (AT["specification"], target)]


def test_targets() -> None:
    targets = Targets(1 << 20, [(10, 20), (70000, 200000)])
    for inside in (10, 19, 70000, 131072, 199999):
        assert inside in targets
        assert targets.pages[inside >> 16]
    for outside in (0, 9, 20, 69999, 200000, 1 << 40):
        assert outside not in targets
    assert not targets.pages[200000 // 65536 + 1]
