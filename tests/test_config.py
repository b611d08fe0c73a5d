# SPDX-License-Identifier: MIT
"""Configurations: forms, recognition of fragments, and errors that name the line."""

from __future__ import annotations

import gzip
import io
import lzma
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from btfcheck.config import parse, read, usual_places
from btfcheck.model import InputError

FULL = """#
# Automatically generated file; DO NOT EDIT.
# Linux/x86 6.12.117 Kernel Configuration
#
CONFIG_CC_VERSION_TEXT="gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0"
CONFIG_PAHOLE_VERSION=124
CONFIG_RUST=y
# CONFIG_LTO_CLANG_THIN is not set
CONFIG_LOCALVERSION="a \\"quoted\\" \\\\ name"
CONFIG_BASE=0xffff
CONFIG_EMPTY=
"""


def test_facts_with_lines() -> None:
    config = parse(FULL, "here")
    assert (config.arch, config.release, config.complete) == ("x86", "6.12.117", True)
    assert config["RUST"].value == "y"
    assert str(config["RUST"].source) == "here:7"
    assert config["LTO_CLANG_THIN"].value == "n"
    assert config["LTO_CLANG_THIN"].source.text == "# CONFIG_LTO_CLANG_THIN is not set"
    assert config["LOCALVERSION"].value == 'a "quoted" \\ name'
    assert config["BASE"].value == "0xffff"
    assert config["EMPTY"].value == ""
    assert "NOSUCH" not in config
    assert len(config) == len(list(config)) == 7


def test_carriage_returns() -> None:
    config = parse(FULL.replace("\n", "\r\n"), "here")
    assert config["RUST"].value == "y"
    assert config["CC_VERSION_TEXT"].value.startswith("gcc-12")
    assert config.release == "6.12.117"


def test_later_line_wins() -> None:
    assert parse("CONFIG_A=y\n# CONFIG_A is not set\n", "f")["A"].value == "n"


def test_the_order_of_what_is_off_is_kept() -> None:
    """Of the members of a choice that are all off, conf takes the one that was told so first."""
    assert list(parse("# CONFIG_A is not set\nCONFIG_B=n\n", "f")) == ["A", "B"]
    assert list(parse("CONFIG_B=n\n# CONFIG_A is not set\n", "f")) == ["B", "A"]


@pytest.mark.parametrize(
    ("text", "complete"),
    [(FULL, True), ("CONFIG_CC_VERSION_TEXT=\"x\"\nCONFIG_A=y\n", True), ("CONFIG_RUST=y\n", False)],
)
def test_fragments_are_recognised(text: str, complete: bool) -> None:
    assert parse(text, "f").complete is complete


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("CONFIG_A=y\n<<<<<<< HEAD\n", "f:2: not a line"),
        ("CONFIG_A=yes\n", "f:1: cannot read the value"),
        ('CONFIG_A="open\n', "f:1: cannot read the value"),
        ("CONFIG_A\n", "f:1: cannot read the value"),
        ("CONFIG_A-B=y\n", "f:1: 'A-B' is no symbol name"),
        ("CONFIG_=y\n", "f:1: '' is no symbol name"),
        ("", "no CONFIG_ line"),
        ("# nothing\n", "no CONFIG_ line"),
        (" CONFIG_A=y\n", "f:1: not a line"),
    ],
)
def test_errors_name_the_line(text: str, words: str) -> None:
    with pytest.raises(InputError) as told:
        parse(text, "f")
    assert words in str(told.value)


@pytest.mark.parametrize("pack", [lambda d: d, gzip.compress, lzma.compress], ids=["plain", "gz", "xz"])
def test_compressed_files(tmp_path: Path, pack: object) -> None:
    path = tmp_path / "config"
    path.write_bytes(pack(FULL.encode()))  # type: ignore[operator]
    assert read(str(path))["RUST"].value == "y"


def test_ikconfig_in_an_image(tmp_path: Path) -> None:
    path = tmp_path / "vmlinux"
    path.write_bytes(b"\x7fELF" + bytes(5000) + b"IKCFG_ST" + gzip.compress(FULL.encode()) + b"IKCFG_ED" + bytes(99))
    assert read(str(path)).release == "6.12.117"
    path.write_bytes(b"\x7fELF" + bytes(5000))
    with pytest.raises(InputError, match="CONFIG_IKCONFIG is off"):
        read(str(path))


def test_ikconfig_in_a_bzimage(tmp_path: Path) -> None:
    kernel = b"\x7fELF" + bytes(5000) + b"IKCFG_ST" + gzip.compress(FULL.encode()) + b"IKCFG_ED"
    packed = gzip.compress(kernel)
    setup = bytearray(0x400)  # Documentation/arch/x86/boot.rst
    setup[0x1F1], setup[0x1FE:0x200], setup[0x202:0x206] = 1, b"\x55\xaa", b"HdrS"
    setup[0x206:0x208] = (0x020F).to_bytes(2, "little")
    setup[0x248:0x24C], setup[0x24C:0x250] = bytes(4), len(packed).to_bytes(4, "little")
    (tmp_path / "bzImage").write_bytes(setup + packed)
    assert read(str(tmp_path / "bzImage"))["RUST"].source.line == 7


def test_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    for data in (FULL.encode(), gzip.compress(FULL.encode())):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        config = read("-")
        assert config.path == "<stdin>"
        assert config["RUST"].value == "y"


def test_unreadable(tmp_path: Path) -> None:
    for path, words in (
        (tmp_path / "none", "No such file"), (tmp_path, "is a directory"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=words):
            read(str(path))
    (tmp_path / "bin").write_bytes(bytes(range(256)) * 100)
    with pytest.raises(InputError):
        read(str(tmp_path / "bin"))


@pytest.mark.parametrize(("variables", "tree", "places"), [
    ({"O": "build", "KCONFIG_CONFIG": "my.config"}, "", ["build/my.config"]),
    ({"KBUILD_OUTPUT": "build"}, "linux", ["build/.config"]),
    ({"KCONFIG_CONFIG": "my.config"}, "", ["my.config"]),
    ({"O": ""}, "linux", [".config", "linux/.config"]),
    ({}, ".", [".config"]),
])  # fmt: skip
def test_whoever_names_a_place_does_not_mean_the_running_kernel(
    variables: dict[str, str], tree: str, places: list[str]
) -> None:
    assert usual_places(variables, "6.1", tree) == places


def test_usual_places() -> None:
    places = usual_places({}, "6.1")
    assert places[0] == ".config"
    assert "/proc/config.gz" in places
    assert "/boot/config-6.1" in places


line = st.one_of(
    st.sampled_from(FULL.split("\n")),
    st.text(max_size=30),
    st.builds("CONFIG_{}={}".format, st.text("ABC_9", max_size=6), st.text('ynm"\\09x', max_size=6)),
    st.builds("# CONFIG_{} is not set".format, st.text("AB_", max_size=4)),
)


@given(st.lists(line, max_size=20).map("\n".join))
@example("CONFIG_A=\"\\\"")
def test_any_text_is_a_configuration_or_a_clear_error(text: str) -> None:
    try:
        config = parse(text, "f")
    except InputError as error:
        assert str(error).startswith("f:")
    else:
        for fact in config.values():
            assert fact.source.line
            assert fact.value is not None
