# SPDX-License-Identifier: MIT
from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from btfcheck.toolchain import versions
from btfcheck.toolchain.versions import Reading, Unreadable, Version

RUSTC_VV = """\
rustc 1.95.0 (59807616e 2026-04-14)
binary: rustc
host: x86_64-unknown-linux-gnu
release: 1.95.0
LLVM version: 22.1.2
"""


@pytest.mark.parametrize(
    ("text", "number", "clean"),
    [
        ("v1.31\n", 131, "1.31"),
        ("v1.24\n", 124, "1.24"),
        ("v1.9", 19, "1.9"),
        ("v2.0\n", 20, "2.0"),  # what the kernel's sed makes of it: below every minimum
        ("v2.05", 205, "2.5"),
    ],
)
def test_pahole(text: str, number: int, clean: str) -> None:
    assert versions.pahole(text) == Version(number, clean)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1.31",
        "pahole v1.31",
        "v1.31-dirty",
        "v1",
        "v1.31\nv1.30",
        "v" + "9" * 5000 + ".1",
        "v١.٣",
        "usage: pahole",
    ],
)
def test_not_pahole(text: str) -> None:
    reading = versions.pahole(text)
    assert isinstance(reading, Unreadable)
    assert len(reading.reason) < 200


@pytest.mark.parametrize(
    ("text", "number", "clean"),
    [
        (RUSTC_VV, 109500, "1.95.0"),
        ("rustc 1.85.0 (4d91de4e4 2025-02-17) (built from a source tarball)\n", 108500, "1.85.0"),
        ("rustc 1.97.0-nightly (abc 2026-05-01)", 109700, "1.97.0"),
        ("rustc 1.96.1-beta.3", 109601, "1.96.1"),
        ("rustc 1.100.0", 110000, "1.100.0"),
        ("rustc 1.78.0-dev", 107800, "1.78.0"),
        ("rustc 1.63.0+dfsg1-2~deb12u1", 106300, "1.63.0"),
    ],
)
def test_rustc(text: str, number: int, clean: str) -> None:
    reading = versions.rustc(text)
    assert reading == Version(number, clean)
    assert str(reading.comparable) == clean


@pytest.mark.parametrize(
    "text", ["", "\nrustc 1.95.0", "rustc", "rustc 1.95", "error: no toolchain", "rustc v1.95.0"]
)
def test_not_rustc(text: str) -> None:
    assert isinstance(versions.rustc(text), Unreadable)


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("LLVM version: 22.1.2", 220102),
        ("LLVM version: 14.0", 140000),
        ("LLVM version: 19.1.7-rust-1.85.0-stable", 190107),
    ],
)
def test_rustc_llvm(line: str, number: int) -> None:
    reading = versions.rustc_llvm(f"rustc 1.0.0\n{line}\n")
    assert isinstance(reading, Version)
    assert reading.number == number
    assert isinstance(versions.rustc_llvm("rustc 1.95.0"), Unreadable)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("bindgen 0.71.1\n", 7101),
        ("bindgen 0.60.1", 6001),
        ("bindgen 0.72.0-alpha (deadbeef)", 7200),
    ],
)
def test_bindgen(text: str, number: int) -> None:
    reading = versions.bindgen(text)
    assert isinstance(reading, Version)
    assert reading.number == number


def test_compiler() -> None:
    assert versions.compiler("GCC 12 2 0\n") == Version(120200, "12.2.0", "GCC")
    assert versions.compiler("\n\nClang 14 0 6\n") == Version(140006, "14.0.6", "Clang")
    for text in ("unknown", "Clang __clang_major__ 0 6", "", "GCC 12 2"):
        assert isinstance(versions.compiler(text), Unreadable)


@pytest.mark.parametrize(
    ("text", "kind", "number"),
    [
        ("GNU ld (GNU Binutils for Debian) 2.40\nCopyright", "BFD", 24000),
        ("GNU ld version 2.34-4.fc32", "BFD", 23400),
        ("GNU ld (GNU Binutils) 2.35.1.20201116", "BFD", 23501),
        ("Debian LLD 14.0.6 (compatible with GNU linkers)", "LLD", 140006),
        ("LLD 19.1.7 (compatible with GNU linkers)", "LLD", 190107),
        ("LLD 9.0.0, compatible with GNU linkers", "LLD", 90000),
        ("Ubuntu LLD 18.1.3 (compatible with GNU linkers)", "LLD", 180103),
    ],
)
def test_linker(text: str, kind: str, number: int) -> None:
    reading = versions.linker(text)
    assert isinstance(reading, Version)
    assert (reading.kind, reading.number) == (kind, number)


@pytest.mark.parametrize(
    "text", ["", "GNU gold (GNU Binutils for Debian 2.40) 1.16", "mold 2.4.0", "LLD", "GNU ld"]
)
def test_not_a_linker_for_the_kernel(text: str) -> None:
    assert isinstance(versions.linker(text), Unreadable)


def test_assembler() -> None:
    assert versions.assembler("GNU assembler (GNU Binutils for Debian) 2.40\n") == Version(
        24000, "2.40.0", "GNU"
    )
    assert isinstance(versions.assembler("clang version 14"), Unreadable)


def test_libclang() -> None:
    text = "libclang.h:3:9: warning: clang version 22.1.8 (1~deb12u1) [-W#pragma-messages]\n"
    assert versions.libclang(text) == Version(220108, "22.1.8")
    assert isinstance(versions.libclang("panicked: Unable to find libclang"), Unreadable)


def test_elfutils() -> None:
    assert versions.elfutils("libdw-0.189.so") == Version(189, "0.189")
    assert isinstance(versions.elfutils("libdw.so.1"), Unreadable)


def test_features() -> None:
    assert versions.features("encode_force,var,float\n") == ("encode_force", "var", "float")
    for text in ("", "usage: pahole", "encode_force,,b", "v1.31", "encode_force,VAR"):
        assert isinstance(versions.features(text), Unreadable)


READERS: tuple[Callable[[str], Reading], ...] = (
    versions.pahole,
    versions.rustc,
    versions.rustc_llvm,
    versions.bindgen,
    versions.compiler,
    versions.linker,
    versions.assembler,
    versions.libclang,
    versions.elfutils,
)
# Text that comes near to what the tools print, beside any text at all.
PIECES = st.lists(
    st.sampled_from(
        [
            "v",
            "rustc ",
            "bindgen ",
            "GNU ld ",
            "LLD ",
            "GNU assembler ",
            "LLVM version: ",
            "clang version ",
            "Clang ",
            "GCC ",
            "libdw-",
            ".so",
            ".",
            "1",
            "31",
            "0",
            "-nightly",
            " ",
            "\n",
            "9" * 30,
            "²",
            "\0",
        ]
    )
).map("".join)


@given(st.one_of(st.text(), PIECES))
@example("rustc 1.95.0\n")
@example("LLD " + "9" * 10000)
def test_any_text_gives_a_version_or_a_reason(text: str) -> None:
    for reader in READERS:
        reading = reader(text)
        if isinstance(reading, Version):
            assert reading.number >= 0
            assert str(reading.number).isdecimal()
            assert reading.comparable.release[:2] == tuple(map(int, reading.clean.split(".")))[:2]
        else:
            assert reading.reason
            assert len(reading.reason) < 300
    versions.features(text)
