# SPDX-License-Identifier: MIT
"""Rust names, mangled and sanitised, held against what llvm-cxxfilt 19 and c++filt print."""

from __future__ import annotations

import re
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btfcheck.image import open_image
from btfcheck.trace.rustnames import demangled, is_mangled, linker_name, sanitised, siphash, split_path, unsanitised
from tests.conftest import SHARED

V0 = {
    "_RNvC6_123foo3bar": "123foo::bar",
    "_RNvNtCseXpNQPFWrFr_4core3str8do_count": "core::str::do_count",
    "_RINvMNtCseXpNQPFWrFr_4core5sliceSAcj3_13get_uncheckedjEB5_": "<[[char; 3]]>::get_unchecked::<usize>",
    "_RNvYNtC1a1SNtC1a1T1f": "<a::S as a::T>::f",
    "_RNCNvC1a1f0B3_": "a::f::{closure#0}",  # a crate behind the path
    "_RNvMs_C1aNtB4_1S1f": "<a::S>::f",
    "_RINvC1a1fFUKCmEmE": 'a::f::<unsafe extern "C" fn(u32) -> u32>',
    "_RINvC1a1fDNtC1a1TEL_E": "a::f::<dyn a::T>",
    "_RINvC1a1fKj10_E": "a::f::<16>",
    "_RINvC1a1fKb1_E": "a::f::<true>",
    "_RINvC1a1fTmEE": "a::f::<(u32,)>",
    "_RNvC1au10mnchen_3ya": "a::münchen",
}
LEGACY = {
    "_ZN4core3ptr13drop_in_place17h0123456789abcdefE": "core::ptr::drop_in_place",
    "_ZN64_$LT$core..core_arch..simd..i8x2$u20$as$u20$core..fmt..Debug$GT$3fmt17h2bcc26e3f3188a20E":
        "<core::core_arch::simd::i8x2 as core::fmt::Debug>::fmt",
    "_ZN42_$LT$$RF$T$u20$as$u20$core..fmt..Debug$GT$3fmt17h0000000000000000E": "<&T as core::fmt::Debug>::fmt",
}  # fmt: skip


@pytest.mark.parametrize(("symbol", "path"), list((V0 | LEGACY).items()))
def test_demangling(symbol: str, path: str) -> None:
    assert is_mangled(symbol)
    assert demangled(symbol) == path
    assert demangled(f"{symbol}.llvm.123456") == path


@pytest.mark.parametrize("name", [
    "vfs_open", "_RN", "_R", "_RNvC", "_RNvC1", "_RNvC9999999_a", "_RBa_", "_RNvB_1f", "_ZN3fooE", "_ZN3foo3barE",
    "_ZN9999fooE", "_ZNSt6vectorIiE4pushEi", "__R", "_RNv" * 200, "_RINvC1a1f" + "T" * 5000,
])  # fmt: skip
def test_what_is_no_symbol(name: str) -> None:
    assert demangled(name) is None


def test_back_references_cannot_grow_without_end() -> None:
    tuples = "T" + "".join(f"TB{'0123456789abcdefghijklmnopqrstuvwxyz'[n % 36]}_" for n in range(60))
    assert demangled(f"_RINvC1a1f{tuples}") is None


@given(st.text("_RNvCsBIMXYTSDFEUKLabcj0123456789pu$.", max_size=60))
def test_nothing_raises(text: str) -> None:
    for start in ("", "_RNv", "_RI", "_ZN"):
        demangled(start + text)
        unsanitised(text)
        split_path(text)


@given(st.text(max_size=80))
def test_sanitised_names_are_identifiers(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_]*", sanitised(name))
    assert len(linker_name(name)) <= 128


@given(st.text("abcDEF019<>:, &*()[]{}#'+-=;\u00e9", max_size=40))
def test_the_way_back(name: str) -> None:
    assert unsanitised(sanitised(name)) == name


def test_names_as_bpf_linker_writes_them() -> None:
    assert sanitised("Option<u32>") == "Option_3C_u32_3E_"
    assert linker_name("Option<u32>") == "Option_3C_u32_3E_"
    assert sanitised("MaybeUninit<u8>") == "MaybeUninit_3C_u8_3E_"  # its own test, maybe-uninit-union-name.rs
    assert unsanitised("foo_3C_bar") == "foo<bar"
    assert unsanitised("pci_AB") == "pci_AB"
    assert unsanitised("a_41_b") == "a_41_b"  # A needs no escape
    long = "x" * 120 + "<u32>"
    assert len(sanitised(long)) == 131
    assert linker_name(long) == "x" * 111 + "_" + format(siphash(sanitised(long).encode()), "x")


@pytest.mark.parametrize(("text", "value"), [  # what Rust 1.63's DefaultHasher makes of them
    ("", 0xD1FBA762150C532C), ("a", 0x407448D2B89B1813), ("Option_3C_u32_3E_", 0xB9D9C7409328A514),
    ("01234567" * 5, 0x3EA2DB8A8A3EEA87),
])  # fmt: skip
def test_siphash(text: str, value: int) -> None:
    assert siphash(text.encode()) == value


def test_paths() -> None:
    assert split_path("core::option::Option<a::B>") == ["core", "option", "Option<a::B>"]
    assert split_path("<a::B as c::D>::e") == ["<a::B as c::D>", "e"]
    assert split_path("f::<fn(u8) -> u8>::g") == ["f", "<fn(u8) -> u8>", "g"]
    assert split_path("device") == ["device"]


@pytest.mark.accept
@pytest.mark.needs("llvm-cxxfilt-19")
def test_every_symbol_of_the_thinlto_kernel() -> None:
    path = SHARED / "vectors/kernel/linux-6.12.117-rust-thinlto.debug.zst"
    with open_image(path) as image:
        strings = bytes(image.contents(".debug_str"))
    names = sorted({x.decode() for x in re.findall(rb"(?<=\0)_R[A-Z][A-Za-z0-9_]*(?=\0)", strings)})
    assert len(names) > 2300
    said = subprocess.run(["llvm-cxxfilt-19"], input="\n".join(names), capture_output=True, text=True, check=True)
    assert [demangled(name) for name in names] == said.stdout.splitlines()
