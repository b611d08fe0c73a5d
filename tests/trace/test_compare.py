# SPDX-License-Identifier: MIT
"""BTF against DWARF, on files that are written for each case, and on a real kernel."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from btfcheck.btf import source
from btfcheck.btf.releases import rules_for
from btfcheck.btf.verify import check
from btfcheck.dwarf import names as module
from btfcheck.dwarf.census import Census, census
from btfcheck.dwarf.entries import layout
from btfcheck.dwarf.units import Debug
from btfcheck.dwarf.writer import build
from btfcheck.image import Image, open_image
from btfcheck.release import parse
from btfcheck.trace.compare import Comparison, compare, indexed, wanted
from btfcheck.trace.unencoded import AMBIGUOUS, NO_NAME, PROTOTYPES, REGISTER
from tests.btf.blob import Blob
from tests.dwarf.conftest import samples
from tests.gate.scenes import btf

samples = samples  # a fixture of the scan's tests
RULES = rules_for(parse("6.12"))
INT = '  base_type "int" byte_size=4 encoding=5 as int\n'


def taken(text: str) -> Census:
    return census(Debug(Image(build(text))))


def compared(records: str, units: str, symbols: str = "", said: dict[str, str] | None = None) -> Comparison:
    data = btf([line.split() for line in records.split("; ")])
    found = check(data, RULES, "vmlinux").btf
    assert found is not None
    return compare(found, taken(units), symbols=frozenset(symbols.split()), left_out=said)


C = f'unit C "main.c"\n{INT}  structure_type "device" byte_size=8\n    member "id" type=@int data_member_location=0\n'


@pytest.mark.parametrize("options", ["", "rel=yes", "bits=32", "little=no", "little=no rel=yes", "share=yes"])
@pytest.mark.parametrize("version", [2, 4, 5])
def test_every_way_to_write_names(options: str, version: int) -> None:
    text = (
        f"file {options}\n" + C.replace('"main.c"', f'"main.c" version={version}')
        + '  union_type "u" byte_size=16\n  enumeration_type "e" byte_size=4\n  typedef "t" type=@int\n'
        + '  structure_type "later" declaration=yes\n  subprogram "f" low_pc=0x1000\n'
        + '  subprogram "g" declaration=yes\n    structure_type "inner" byte_size=1\n'
    )
    found = taken(text)
    assert not found.problems
    assert {key: list(sizes) for key, sizes in found.c.items()} == {
        ("struct", "device"): [8], ("union", "u"): [16], ("enum", "e"): [4], ("typedef", "t"): [0],
        ("function", "f"): [0], ("struct", "inner"): [1],
    }  # fmt: skip


@pytest.mark.parametrize("name", ["kb-22-fullns-5", "a-22-thin-4", "g-gcc-lto-5", "kd-22-full-5", "b-22-none-4"])
@pytest.mark.parametrize("file", ["vmlinux", "vmlinux.o"])
def test_the_quick_reading_finds_what_the_slow_one_does(
    name: str, file: str, samples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names as compilers write them: strp, strx, relocated."""

    def names() -> dict[str, dict[tuple[str, str], list[int]]]:
        with open_image(samples / name / file) as image:
            found = census(Debug(image))
        return {language: {key: sorted(sizes) for key, sizes in table.items()}
                for language, table in (("C", found.c), ("Rust", found.rust), ("asm", found.asm))}

    quick = names()
    assert quick["C"]
    reader = module._reader
    monkeypatch.setattr(module, "_reader", lambda *a: (r := reader(*a)) and r._replace(slow=True))
    assert names() == quick


def test_nothing_to_say() -> None:
    found = compared("struct device 8; typedef t", C + '  typedef "t" type=@int\n')
    assert found == Comparison(unproven=True)


def test_rust_only_and_functions() -> None:
    rust = 'unit Rust "lib.rs"\n  structure_type "Registry" byte_size=4\n  subprogram "rust_f" low_pc=0x10\n'
    found = compared("struct device 8; struct Registry 4; func rust_f", C + rust)
    assert (found.rust_types, found.rust_functions) == (("struct Registry",), ("function rust_f",))
    assert (found.clashes, found.lost_types, found.untraced) == ((), (), ())


def test_a_name_of_both_is_c_s_when_the_layout_is() -> None:
    rust = 'unit Rust "lib.rs"\n  structure_type "device" byte_size=8\n    member "number" data_member_location=0\n'
    assert compared("struct device 8 id:int", C + rust).clashes == ()
    assert compared("struct device 8 number:int", C + rust).clashes == ("struct device",)


def test_another_size_is_a_clash() -> None:
    rust = 'unit Rust "lib.rs"\n  structure_type "device" byte_size=16\n'
    found = compared("struct device 8 id:int; struct device 16", C + rust)
    assert found.clashes == ("struct device",)
    assert found.rust == ()


def test_two_c_types_of_one_name_are_no_clash() -> None:
    other = 'unit C "other.c"\n  structure_type "device" byte_size=24\n'
    rust = 'unit Rust "lib.rs"\n  structure_type "device" byte_size=8\n    member "id" data_member_location=0\n'
    assert compared("struct device 8 id:int; struct device 24", C + other + rust).clashes == ()


def test_what_llvm_put_into_a_c_unit_is_rust_s() -> None:
    leaked = (
        '  namespace "klib"\n    structure_type "Registry" byte_size=8\n      member "name" type=@str'
        ' data_member_location=0\n  structure_type "&str" byte_size=16 as str\n'
    )
    found = taken(C + leaked)
    assert set(found.rust) == {("struct", "Registry"), ("struct", "&str")}
    assert ("struct", "device") in found.c


def test_lost_types_and_untraced_names() -> None:
    found = compared("struct stranger 4", C)
    assert (found.lost_types, found.untraced) == (("struct device",), ("struct stranger",))


def test_functions_count_only_where_the_symbol_table_has_them() -> None:
    text = C + '  subprogram "f" low_pc=0x10\n  subprogram "gone" inline=1\n'
    found = compared("struct device 8 id:int", text, "f")
    assert (found.lost_functions, found.unproven) == (("function f",), True)
    found = compared("struct device 8 id:int", text, "f", {"f": "return type mismatch"})
    assert (found.lost_functions, found.left_out, found.unproven) == ((), {"f": "return type mismatch"}, False)
    data = check(btf([["struct", "device", "8"]]), RULES, "vmlinux").btf
    assert data is not None
    assert compare(data, taken(text)).lost_functions == ()


def test_nameless_parameters_explain_a_function() -> None:
    text = C + '  subprogram "f" low_pc=0x10\n    formal_parameter type=@int\n'
    assert compared("struct device 8 id:int", text, "f").left_out == {"f": NO_NAME}


def test_a_hook_that_became_void() -> None:
    text = (
        'unit C "main.c"\n  structure_type "hooks" byte_size=8\n    member "hook" type=@p data_member_location=0\n'
        '    member "id" type=@int data_member_location=8\n  pointer_type type=@fn as p\n' + INT
        + 'unit Rust "lib.rs"\n  subroutine_type as fn\n'
    )
    assert compared("struct hooks 8 hook:ptr", text).void == ("struct hooks.hook",)
    # Where Rust units were encoded after all, the types are there.
    both = text + '  structure_type "Registry" byte_size=4\n'
    assert compared("struct hooks 8 hook:int; struct Registry 4", both).void == ()


def test_broken_units_are_told() -> None:
    found = taken(C + 'unit C "bad.c"\n  structure_type "x" byte_size=1!0x7e\n')
    assert len(found.problems) == 1
    assert ("struct", "device") in found.c


# -- names that more than one thing has --------------------------------------------------------------------

NARROW = '  structure_type "device" byte_size=8\n    member "a" type=@int data_member_location=0\n'


def owners(blob: Blob, units: str) -> Comparison:
    """As `compared`, and with all definitions of what the BTF has more than once."""
    found = check(blob.bytes(), RULES, "vmlinux").btf
    assert found is not None
    return compare(found, census(Debug(Image(build(units))), wanted(found)))


def two(*members: str) -> Blob:
    """A struct `device` of 8 bytes for each member name."""
    blob = Blob()
    number = blob.int()
    for name in members:
        blob.struct("device", 8, [(name, number, 0)])
    return blob


def test_private_structs_of_one_name_and_size_are_c_s_own() -> None:
    units = C + 'unit C "other.c"\n' + INT.replace("as int", "as i2") + NARROW.replace("@int", "@i2")
    found = owners(two("id", "a"), units)
    assert (found.several, found.unmatched, found.clashes) == (("struct device",), (), ())
    rust = 'unit Rust "lib.rs"\n  structure_type "device" byte_size=8\n    member "b" data_member_location=0\n'
    assert owners(two("id", "a"), units + rust).several == ("struct device",)
    assert owners(two("id", "a", "b"), units + rust).clashes == ("struct device",)


def test_a_layout_that_nobody_defines_stays_open() -> None:
    found = owners(two("id", "stranger"), C)
    assert (found.several, found.unmatched, found.rust) == ((), ("struct device",), ())


def test_many_definitions_on_one_line_are_not_all_read(monkeypatch: pytest.MonkeyPatch) -> None:
    header = 'unit C "u{n}.c"\n  structure_type "device" byte_size=8 decl_line=7\n    member "id"\n'
    read = []
    monkeypatch.setattr("btfcheck.trace.compare.layout", lambda place: read.append(place) or layout(place))
    found = owners(two("id", "a"), "".join(header.format(n=n) for n in range(40)) + 'unit C "o.c"\n'
                   + NARROW.replace(" type=@int", "").replace("byte_size=8", "byte_size=8 decl_line=9"))
    assert found.several == ("struct device",)
    assert len(read) < 8


def test_enums_clash_by_value() -> None:
    blob = Blob()
    blob.enum("mode", [("ON", 1)])
    c = 'unit C "a.c"\n  enumeration_type "mode" byte_size=4\n    enumerator "ON" const_value={}!{}\n'
    rust = 'unit Rust "lib.rs"\n  enumeration_type "mode" byte_size=4\n    enumerator "ON" const_value=1\n'
    assert owners(blob, c.format(1, "data1") + rust).clashes == ()
    assert owners(blob, c.format(2, "udata") + rust).clashes == ("enum mode",)
    negative = Blob()
    negative.enum("mode", [("ON", -1)])
    assert owners(negative, c.format(0x7F, "sdata") + rust).clashes == ()


def test_bit_fields_and_empty_structs() -> None:
    blob = Blob()
    number = blob.int()
    blob.struct("flags", 4, [("a", number, 3 << 24), ("b", number, 5 << 24 | 3)], kflag=True)
    blob.struct("nothing", 0, [])
    units = (
        'unit C "a.c"\n' + INT + '  structure_type "nothing" byte_size=0\n  structure_type "flags" byte_size=4\n'
        '    member "a" type=@int bit_size=3 data_bit_offset=0\n    member "b" type=@int bit_size=5 data_bit_offset=3\n'
    )
    rust = 'unit Rust "lib.rs"\n  structure_type "flags" byte_size=4\n  structure_type "nothing" byte_size=0\n'
    assert owners(blob, units + rust) == Comparison(unproven=True)


def test_a_copy_that_leads_to_rust() -> None:
    """Two `Qdisc`s of one layout, whose pointers lead to C's task and to Rust's."""
    blob = Blob()
    number = blob.int()
    tasks = [blob.struct("task", 8, [(name, number, 0)]) for name in ("id", "number")]
    for task in tasks:
        blob.struct("Qdisc", 8, [("owner", blob.ptr(task), 0)])
    c = (
        'unit C "a.c"\n' + INT + '  structure_type "task" byte_size=8 as t\n    member "id" type=@int\n'
        '  pointer_type type=@t as p\n  structure_type "Qdisc" byte_size=8\n    member "owner" type=@p\n'
    )
    rust = 'unit Rust "lib.rs"\n  structure_type "task" byte_size=8\n    member "number"\n'
    found = owners(blob, c + rust)
    assert (found.clashes, found.rust, found.doubled) == (("struct task",), (), ("struct Qdisc",))
    found = owners(blob, c + rust + '  structure_type "Qdisc" byte_size=8\n    member "owner"\n')
    assert (found.clashes, found.rust, found.doubled) == (("struct task",), ("struct Qdisc",), ())


def test_base_types_that_only_rust_has() -> None:
    blob = Blob()
    blob.int("_Bool", 1)
    names = ("usize", 8), ("bool", 1), ("char", 4)
    for n, (name, size) in enumerate(names):
        blob.struct(f"s{n}", 8, [("m", blob.int(name, size), 0)])
    blob.struct("s3", 8, [("m", blob.int("char", 1), 0)])
    structs = "".join(f'  structure_type "s{n}" byte_size=8\n    member "m"\n' for n in range(4))
    found = owners(blob, f'unit C "a.c"\n{structs}unit Rust "lib.rs"\n{structs}  structure_type "only" byte_size=1\n')
    assert found.rust == ()  # no name of Rust's alone is in the BTF: nothing was encoded from there
    blob.struct("only", 1, [])
    found = owners(blob, f'unit C "a.c"\n{structs}unit Rust "lib.rs"\n{structs}  structure_type "only" byte_size=1\n')
    assert found.rust == ("struct only", "struct s0", "struct s1", "struct s2")


def test_functions_that_are_named_elsewhere() -> None:
    """GCC's LTO refers to a declaration of C's, rustc to a declaration inside a type."""
    units = (
        'unit C "lto.c"\n  subprogram abstract_origin=@there\n  subprogram abstract_origin=@rusty low_pc=0x10\n'
        'unit C "a.c"\n  subprogram "rust_probe" declaration=yes as there\n'
        'unit Rust "lib.rs"\n  namespace "klib"\n    structure_type "T" byte_size=1\n'
        '      subprogram "rust_assoc" declaration=yes as method\n      subprogram "inlined" declaration=yes as rusty\n'
        '  subprogram "rust_probe" low_pc=0x20\n  subprogram specification=@method low_pc=0x30\n'
    )
    found = compared("func rust_probe; func rust_assoc; func inlined; func stranger", units)
    assert found.rust_functions == ("function inlined", "function rust_assoc")
    assert found.untraced == ("function stranger",)


def test_types_in_type_units_and_partial_units_are_traced() -> None:
    units = (
        'unit C "a.c"\n  imported_unit import=@part\n'
        'unit none kind=partial label=part\n  structure_type "shared" byte_size=4\n'
        'unit C kind=type signature=0x77\n  structure_type "typed" byte_size=4\n'
    )
    assert compared("struct shared 4; struct typed 4", units) == Comparison(unproven=True)
    assert compared("struct shared 4", units).lost_types == ("struct typed",)


def test_declarations_define_nothing() -> None:
    units = C + '  structure_type "opaque" declaration=yes\nunit Rust "lib.rs"\n  structure_type "opaque" byte_size=4\n'
    assert compared("struct device 8 id:int", units) == Comparison(unproven=True)
    assert compared("struct device 8 id:int; struct opaque 4", units).rust == ("struct opaque",)


# -- functions that are left out -----------------------------------------------------------------------------


def left_out(units: str, **more: Any) -> Mapping[str, str]:
    found = check(btf([["struct", "device", "8", "id:int"]]), RULES, "vmlinux").btf
    assert found is not None
    symbols = frozenset(("f",))
    taken = census(Debug(Image(build(C + units))), wanted(found, symbols=symbols))
    return compare(found, taken, symbols=symbols, **more).left_out


F = '  subprogram "f" low_pc=0x10\n    formal_parameter "x" type=@int'


@pytest.mark.parametrize(("location", "why"), [
    ("", ""),
    (" location=0x55!exprloc", ""),  # DW_OP_reg5 is rdi
    (" location=0x54!exprloc", REGISTER),
    (" location=0x91!exprloc", ""),  # not a register at all
    (" location=0xa3!exprloc", ""),  # an entry value that is cut off
])
def test_a_register_that_is_not_the_first(location: str, why: str) -> None:
    assert left_out(F + location + "\n").get("f", "") == why
    # Instances of an inlined function have the place of their parameters.
    definition = '  subprogram "f" inline=1 as f\n    formal_parameter "x" type=@int as x\n'
    instance = f"  subprogram abstract_origin=@f low_pc=0x10\n    formal_parameter abstract_origin=@x{location}\n"
    assert left_out(definition + instance).get("f", "") == why


def test_prototypes_that_differ() -> None:
    other = 'unit C "other.c"\n  base_type "long" byte_size=8 encoding=5 as long\n' + F.replace("@int", "@long") + "\n"
    assert left_out(F + "\n" + other) == {"f": PROTOTYPES}
    assert left_out(F + "\n" + other, silent=frozenset((NO_NAME, REGISTER))) == {}


def test_several_addresses() -> None:
    assert left_out(F + "\n", ambiguous=frozenset("f")) == {"f": AMBIGUOUS}


@pytest.mark.accept
@pytest.mark.parametrize(("version", "types"), [("1.25", True), ("1.28", False)])
def test_the_thinlto_kernel(shared: Path, version: str, types: bool) -> None:
    folder = shared / "vectors/kernel"
    data = source.read(str(folder / f"thinlto-pahole-{version}.btf")).data
    found = check(data, RULES, "vmlinux").btf
    assert found is not None
    with open_image(folder / "linux-6.12.117-rust-thinlto.debug.zst") as image:
        compared = compare(found, census(Debug(image), wanted(found)))
    assert compared.lost_types == compared.untraced == ()
    if not types:
        assert (compared.rust, compared.clashes) == ((), ())
        return
    # What pahole 1.28 makes of the same file is C's alone: everything else in this BTF came from Rust, or stands
    # there once more because of it.
    clean = check(source.read(str(folder / "thinlto-pahole-1.28.btf")).data, RULES, "vmlinux").btf
    assert clean is not None
    more = {" ".join(key) for key, ids in indexed(found).items() if len(ids) > len(indexed(clean).get(key, ()))}
    assert {*compared.rust, *compared.clashes, *compared.doubled} == more
    bad = [n for n in compared.rust if not re.fullmatch(r"[A-Za-z_.][A-Za-z0-9_.]*", n.split(" ", 1)[1])]
    assert (len(bad), len(compared.rust), len(compared.clashes), len(compared.doubled)) == (1865, 2737, 179, 94)
    assert {"struct task_struct", "struct sk_buff", "struct file"} <= {*compared.clashes, *compared.rust}
