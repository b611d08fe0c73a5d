# SPDX-License-Identifier: MIT
"""Faults explained: the type in C-like words, the usual cause, all independent faults."""

from __future__ import annotations

import pytest

import btfcheck
from btfcheck.btf.causes import is_bindgen_name, is_rust_name
from btfcheck.btf.declare import declare, definition
from btfcheck.btf.fault import Verdict
from btfcheck.btf.format import Btf
from btfcheck.btf.releases import rules_for
from btfcheck.btf.verify import check
from btfcheck.release import parse
from tests.btf.blob import Blob


def parsed(blob: Blob) -> Btf:
    btf = check(blob.bytes(), rules_for(parse("6.18")), "vmlinux").btf
    assert btf is not None
    return btf


def verdict(blob: Blob, path: str = "user", kernel: str = "6.18") -> Verdict:
    return btfcheck.validate(blob.bytes(), kernel=kernel, path=path)


def test_declarations() -> None:
    blob = Blob()
    number = blob.int()
    char = blob.int("char", 1)
    text = blob.ptr(blob.const(char))
    fixed = blob.array(number, number, 4)
    proto = blob.proto(number, [("s", text), ("", 0)])
    made = {
        text: "const char *x",
        blob.const(blob.ptr(char)): "char *const x",
        fixed: "int x[4]",
        blob.ptr(fixed): "int (*x)[4]",
        blob.ptr(proto): "int (*x)(const char *s, ...)",
        blob.array(blob.ptr(blob.proto()), number, 2): "void (*x[2])(void)",
        blob.struct("s", 0, []): "struct s x",
        blob.union("", 0, []): "union <type 15> x",
        blob.add(7, "u", 0, kflag=True): "union u x",
        blob.add(18, "rcu", number): 'int x /* tag "rcu" */',
        blob.ptr(99): "<type 99, which does not exist> *x",
    }
    btf = parsed(blob)
    assert {tid: declare(btf, tid, "x") for tid in made} == made


def test_circles_end() -> None:
    blob = Blob()
    blob.ptr(2)
    blob.const(1)
    assert declare(parsed(blob), 1).startswith("...")


def test_definitions_show_the_member_and_its_neighbours() -> None:
    blob = Blob()
    number = blob.int()
    blob.struct("device", 40, [(f"m{i}", number, 32 * i) for i in range(10)])
    blob.struct("flags", 4, [("a", number, 3 << 24), ("b", number, 3 | 5 << 24)], kflag=True)
    blob.enum("colour", [("RED", 0), ("BLUE", 1)])
    btf = parsed(blob)
    assert definition(btf, 2, 5) == (
        "struct device {  /* type 2, 40 bytes */",
        "        ...",
        "        int m4;  /* type 1, at bit 128 */",
        "        int m5;  /* type 1, at bit 160 */   <-- here",
        "        int m6;  /* type 1, at bit 192 */",
        "        ...",
        "};",
    )
    assert "        int b : 5;  /* type 1, at bit 3 */" in definition(btf, 3)
    assert "        BLUE = 1," in definition(btf, 4)


def rust(blob: Blob) -> None:
    """What pahole 1.24 makes of a Rust unit: bad names, members out of order, a unit that takes four bytes."""
    number = blob.int()
    unit = blob.int("__SANITIZED_FAKE_INT__")
    blob.struct("Option<u32>", 8, [("__0", number, 32)])
    blob.struct("Formatter", 8, [("flags", number, 32), ("width", number, 0)])
    blob.struct("Wrapper", 0, [("__0", unit, 0)])
    blob.struct("BStr", 0, [("__0", number, 0)])


def test_all_faults_of_a_rust_unit() -> None:
    blob = Blob()
    rust(blob)
    found = verdict(blob)
    assert found.message == "[3] STRUCT Option<u32> size=8 vlen=1 Invalid name"
    assert [(f.rule, f.type_id, f.member) for f in found.faults] == [
        ("STRUCT.2", 3, ""), ("STRUCT.6", 4, "width"), ("R.M.INT.3", 5, "__0"), ("R.M.INT.3", 6, "__0"),
    ]  # fmt: skip
    expected = ("a Rust name", "order of the source", "size 0 (Rust's", "unsized Rust")
    for fault, words in zip(found.faults, expected, strict=True):
        assert words in fault.cause
    assert "int width;  /* type 1, at bit 0 */   <-- here" in found.faults[1].declaration
    first = btfcheck.validate(blob.bytes(), kernel="6.18", first_only=True)
    assert [f.rule for f in first.faults] == ["STRUCT.2"]


def test_faults_that_follow_from_another_are_left_out() -> None:
    blob = Blob()
    bad = blob.add(1, "odd", 4, 32 | 1 << 31)  # an INT that pass 1 refuses
    pointer = blob.ptr(99)
    blob.struct("a", 1, [("odd", bad, 0), ("to", blob.typedef("t", pointer), 0)])
    blob.array(bad, bad, 3)
    blob.proto(bad, [("x", blob.const(pointer))])
    assert [(f.rule, f.type_id) for f in verdict(blob).faults] == [("INT.4", 1), ("R.PTR.1", 2)]


def test_a_loop_is_told_once() -> None:
    blob = Blob()
    blob.typedef("a", 2)
    blob.typedef("b", 3)
    blob.typedef("c", 1)
    blob.struct("s", 4, [("x", 2, 0)])
    assert [(f.rule, f.type_id) for f in verdict(blob).faults] == [("R.LOOP", 1)]


def test_members_with_the_same_fault_are_counted() -> None:
    blob = Blob()
    number = blob.int()
    blob.struct("s", 4, [(f"a-{i}", number, 0) for i in range(5)])
    (fault,) = verdict(blob).faults
    assert (fault.rule, fault.member, fault.position, fault.more) == ("STRUCT.4", "a-0", 0, 4)


def test_a_lost_member() -> None:
    blob = Blob()
    blob.struct("s", 4, [("x", 0, 0)])
    assert "the reference became void" in verdict(blob, "vmlinux").faults[0].cause


@pytest.mark.parametrize(("build", "rule", "words"), [
    (lambda b: b.add(2, "*const u8", 1), "PTR.4", "LLVM's BPF backend"),
    (lambda b: b.int("char", 1, encoding=3), "INT.7", "GCC 12"),
    (lambda b: b.add(15, ".data", 0), "DATASEC.2", "libbpf fills it in"),
    (lambda b: b.enum("Big", [], 16), "ENUM.2", "repr(u128)"),
    (lambda b: b.typedef("näme", 1), "TYPEDEF.4", "not ASCII"),
    (lambda b: b.typedef("x" * 600, 1), "TYPEDEF.4", "512 bytes"),
    (lambda b: b.func("f", 1, linkage=2), "FUNC.2", "extern"),
    (lambda b: b.add(23, "x", 1), "Y5", "no kernel up to 7.3"),
])
def test_causes(build, rule: str, words: str) -> None:
    blob = Blob()
    blob.int()
    build(blob)
    fault = verdict(blob).faults[0]
    assert fault.rule == rule
    assert words in fault.cause


def test_split_btf_without_its_base() -> None:
    blob = Blob(100, 5000)
    blob.typedef("mine", 1)
    fault = verdict(blob).faults[0]
    assert fault.rule == "T4"
    assert "--base" in fault.cause


@pytest.mark.parametrize("name", ["Option<u32>", "core::fmt", "&str", "(i32, u8)", "{closure_env#0}", "[u8]",
                                  "*const u8", "_RNvCs1234_7mycrate", "_ZN4core3fmt9Formatter3new17h0123456789abcdefE"])
def test_rust_names(name: str) -> None:
    assert is_rust_name(name)


@pytest.mark.parametrize("name", ["device", "_Bool", "_REG", "a.part.0", "unsigned int", ".data..percpu", "_ZONE"])
def test_c_names(name: str) -> None:
    assert not is_rust_name(name)
    assert not is_bindgen_name(name)


def test_silent_refusals_say_why() -> None:
    blob = Blob()
    head = blob.struct("bpf_list_head", 16, [])
    blob.struct("mine", 16, [("head", head, 0)])
    found = verdict(blob)
    assert found[:3] == (False, 22, "\thead type_id=1 bits_offset=0")
    assert "contains:STRUCT:MEMBER" in found.faults[0].reason


def test_a_kptr_depends_on_the_kernel() -> None:
    blob = Blob()
    struct = blob.struct("thing", 4, [("x", blob.int(), 0)])
    blob.struct("mine", 8, [("p", blob.ptr(blob.add(18, "kptr", struct)), 0)])
    found = verdict(blob)
    assert found.accepted
    assert "struct thing" in found.notes[0]
    rules = rules_for(parse("6.18"))
    for names, errno in ((frozenset((b"thing",)), 2), (frozenset((b"other",)), 0)):
        asked = check(blob.bytes(), rules, kernel_structs=lambda names=names: names).verdict
        assert (asked.errno, asked.notes) == (errno, ())
