# SPDX-License-Identifier: MIT
"""Arguments by value: as gcc and clang pass them (the disassembly of tests/data/arguments), and made-up types."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btfcheck.btf.releases import rules_for
from btfcheck.btf.verify import check
from btfcheck.dwarf.census import census
from btfcheck.dwarf.sizes import Measures
from btfcheck.dwarf.units import Debug
from btfcheck.dwarf.writer import build
from btfcheck.image import Image, open_image
from btfcheck.release import parse
from btfcheck.trace.arguments import ARM64, REGISTERS, STACK, X86_64, Arguments, _Passed, places, settle
from tests.dwarf.conftest import unpacked
from tests.gate.scenes import btf

DATA = Path(__file__).parents[1] / "data/arguments"
# Where the disassembly has an argument elsewhere than a trampoline looks: function -> (number, where).
X86 = {
    "f_al": (3, "in registers"), "f_al2_stack": (8, "on the stack"), "f_anon": (1, "on the stack"),
    "f_compat": (1, "on the stack"), "f_fl": (1, "in vector registers"), "f_i128_stack": (8, "on the stack"),
    "f_nest": (1, "on the stack"), "f_nest2": (1, "on the stack"), "f_p5": (2, "on the stack"),
    "f_p9": (1, "on the stack"),
}  # fmt: skip
ARM = {"f_fl": (1, "in vector registers"), "f_i128": (2, "in registers"), "f_mal": (2, "in registers")}


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(str(DATA / "arguments.tar.xz"), tmp_path_factory.mktemp("arguments"))


def settled(path: Path, machine: int, release: str) -> Arguments:
    found = check(path.with_suffix(".btf").read_bytes(), rules_for(parse("6.12")), "user").btf
    assert found is not None
    with open_image(path) as image:
        assert image.machine == machine
        return settle(found, census(Debug(image)), machine, parse(release))


def wrong(found: Arguments) -> dict[str, tuple[int, str]]:
    table = {}
    for text in found.wrong:
        name, _, rest = text.partition("(")
        place = rest.partition("argument ")[2]
        table[name] = int(place.split()[0]), place.partition(" is passed ")[2].partition(",")[0]
    return table


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_x86(compiler: str, objects: Path) -> None:
    found = settled(objects / f"{compiler}.o", X86_64, "6.12")
    assert (wrong(found), found.open) == (X86, ())
    assert [text.partition("(")[0] for text in found.right] == ["f_al2", "f_al2_even", "f_i128", "f_mal"]


def test_before_trampolines_read_the_stack(objects: Path) -> None:
    found = settled(objects / "gcc.o", X86_64, "6.1")
    assert wrong(found) == {name: how for name, how in X86.items() if not name.endswith("_stack")}


def test_arm64(objects: Path) -> None:
    found = settled(objects / "arm64.o", ARM64, "7.2")
    assert (wrong(found), found.open) == (ARM, ())
    # Until 6.4 it takes no struct, but a number of 16 bytes.
    assert wrong(settled(objects / "arm64.o", ARM64, "6.1")) == {"f_i128": (2, "in registers")}


def test_other_machines_are_left_open(objects: Path) -> None:
    path = objects / "gcc.o"
    found = check(path.with_suffix(".btf").read_bytes(), rules_for(parse("6.12")), "user").btf
    assert found is not None
    with open_image(path) as image:
        settled = settle(found, census(Debug(image)), 243, parse("6.12"))
    assert settled.wrong == ()
    assert len(settled.open) == 14


def of(records: str, units: str) -> Arguments:
    found = check(btf([line.split() for line in records.split("; ")]), rules_for(parse("6.12")), "vmlinux").btf
    assert found is not None
    return settle(found, census(Debug(Image(build(units)))), X86_64, parse("6.12"))


def test_what_the_debug_information_lacks_is_open() -> None:
    records = "struct iter 5 c:char@0 i:int@8; func fill it:iter"
    assert len(of(records, 'unit C "a.c"\n  structure_type "other" byte_size=5\n').open) == 1
    circle = 'unit C "a.c"\n  structure_type "iter" byte_size=5 as s\n    member "c" type=@s data_member_location=0\n'
    assert len(of(records, circle).open) == 1
    # An ordinary struct is no question, whatever the debug information has.
    assert of("struct iter 8 c:int@0 i:int@32; func fill it:iter", 'unit C "a.c"\n') == Arguments()


def test_unions_are_traced_from_6_18_on() -> None:
    records = "struct odd 5 c:char@0 i:int@8; union u 5 o:odd@0; func fill it:u"
    units = (
        'unit C "a.c"\n  base_type "int" byte_size=4 encoding=5 as int\n'
        '  base_type "char" byte_size=1 encoding=6 as c\n'
        '  structure_type "odd" byte_size=5 as odd\n    member "c" type=@c data_member_location=0\n'
        '    member "i" type=@int data_member_location=1\n  union_type "u" byte_size=5\n    member "o" type=@odd\n'
    )
    found = check(btf([line.split() for line in records.split("; ")]), rules_for(parse("6.12")), "vmlinux").btf
    assert found is not None
    taken = census(Debug(Image(build(units))))
    assert [len(settle(found, taken, X86_64, parse(line)).wrong) for line in ("6.12", "6.18")] == [0, 1]


@pytest.mark.parametrize(("members", "x86", "arm"), [
    ("f:0", "in vector registers", "in vector registers"),
    ("f:0 i:0", None, None),  # a whole number in the same word decides
    ("d:0 l:8", "in vector registers", None),
    ("l:0 d:8", "in vector registers", None),
    ("f:0 f:4 l:8", "in vector registers", None),
    ("f:0 i:4 l:8", None, None),
])
def test_floating_point(members: str, x86: str | None, arm: str | None) -> None:
    """As gcc and clang pass such a struct: by words on x86-64, as a whole on arm64."""
    types = {"f": ("float", 4, 4), "d": ("double", 8, 4), "i": ("int", 4, 5), "l": ("long", 8, 5)}
    units = 'unit C "a.c"\n'
    for key, (name, width, code) in types.items():
        units += f'  base_type "{name}" byte_size={width} encoding={code} as {key}\n'
    size = 16 if "8" in members else 8 if "4" in members else 4
    units += f'  structure_type "odd" byte_size={size}\n'
    for word in members.split():
        key, at = word.split(":")
        units += f'    member "m{at}" type=@{key} data_member_location={at}\n'
    blob = btf([["struct", "odd", str(size), "m:int@0"], ["func", "fill", "it:odd"]])
    found = check(blob, rules_for(parse("6.12")), "vmlinux").btf
    assert found is not None
    taken = census(Debug(Image(build(units))))
    for machine, where in ((X86_64, x86), (ARM64, arm)):
        assert wrong(settle(found, taken, machine, parse("7.2"))) == ({"fill": (1, where)} if where else {})


def test_types_that_fan_out_end() -> None:
    text = 'unit C "a.c"\n  structure_type "s0" byte_size=0 as s0\n'
    for i in range(1, 60):
        text += f'  structure_type "s{i}" byte_size=4 as s{i}\n'
        text += "".join(f'    member "m" type=@s{i - 1} data_member_location={n}\n' for n in (0, 1, 2))
    debug = Debug(Image(build(text)))
    taken = census(debug)
    assert taken.references is not None
    measures = Measures(taken.references)
    assert measures.of(taken.c["struct", "s20"][4]).scalars == ()


@settings(derandomize=True, max_examples=200)
@given(st.lists(st.integers(1, 16), max_size=12), st.sampled_from([X86_64, ARM64]))
def test_plain_arguments_do_not_overlap(sizes: list[int], machine: int) -> None:
    """Registers are used once, and what is on the stack lies behind each other."""
    used: set[tuple[str, int]] = set()
    for size, (where, at) in zip(sizes, places([_Passed(s) for s in sizes], machine), strict=True):
        assert where in (REGISTERS, STACK)
        own = {(where, at + n * (8 if where == STACK else 1)) for n in range(-(-size // 8))}
        assert not used & own
        used |= own
    assert max((at for where, at in used if where == REGISTERS), default=0) < {X86_64: 6, ARM64: 8}[machine]
