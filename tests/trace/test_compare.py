# SPDX-License-Identifier: MIT
"""BTF against DWARF, on files that are written for each case, and on a real kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from btfcheck.btf import source
from btfcheck.btf.releases import rules_for
from btfcheck.btf.verify import check
from btfcheck.dwarf import names as module
from btfcheck.dwarf.census import Census, census
from btfcheck.dwarf.units import Debug
from btfcheck.dwarf.writer import build
from btfcheck.image import Image, open_image
from btfcheck.release import parse
from btfcheck.trace.compare import NO_NAME, Comparison, compare
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


@pytest.mark.accept
@pytest.mark.parametrize(("version", "types"), [("1.25", True), ("1.28", False)])
def test_the_thinlto_kernel(shared: Path, version: str, types: bool) -> None:
    folder = shared / "vectors/kernel"
    data = source.read(str(folder / f"thinlto-pahole-{version}.btf")).data
    found = check(data, RULES, "vmlinux").btf
    assert found is not None
    with open_image(folder / "linux-6.12.117-rust-thinlto.debug.zst") as image:
        compared = compare(found, census(Debug(image)))
    assert compared.lost_types == compared.untraced == ()
    if not types:
        assert (compared.rust, compared.clashes) == ((), ())
        return
    bad = [n for n in compared.rust_types if not n.split(" ", 1)[1].replace("_", "a").isalnum()]
    assert len(compared.rust_types) > 2300
    assert len(bad) > 1700
    assert len(compared.rust_types) - len(bad) > 400
    assert {"struct task_struct", "struct sk_buff", "struct file"} <= {*compared.clashes, *compared.rust}
    assert len(compared.clashes) > 150
