# SPDX-License-Identifier: MIT
"""Ways out by another Clang, on a small tree and with compilers that only know their version."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from btfcheck.kconfig import tree
from btfcheck.kconfig.changes import ways_out
from btfcheck.kconfig.llvm import by_llvm
from btfcheck.kconfig.proposal import Edit, Way, Ways
from btfcheck.lint.checks import edit_text, way_text

sys.path.append(str(Path(__file__).parent))
from small_tree import make

INCLUDE = """
cc-info := $(shell,$(srctree)/scripts/cc-version.sh $(CC))
cc-name := $(shell,set -- $(cc-info) && echo $1)
cc-version := $(shell,set -- $(cc-info) && echo $2)
"""
ENTRIES = """
config CC_IS_CLANG
	def_bool $(success,test "$(cc-name)" = Clang)
config CLANG_VERSION
	int
	default $(cc-version) if CC_IS_CLANG
	default 0
config CLANG_19
	bool "a"
	depends on CC_IS_CLANG && CLANG_VERSION >= 190000
config GCC_ONLY
	def_bool !CC_IS_CLANG
config NOT_CLANG
	bool "b"
	depends on !CLANG_19
"""
SCRIPT = """#!/bin/sh
set -- $($1 --version)
case $1 in
clang) echo Clang $(echo $3 | awk -F. '{ print $1 * 10000 + $2 * 100 + $3 }');;
*) echo GCC 120200;;
esac
"""
TOOLS = ("clang", "ld.lld", "llvm-ar", "llvm-nm", "llvm-objcopy", "llvm-readelf")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = make(tmp_path)
    for name, text in (("scripts/Kconfig.include", INCLUDE), ("init/Kconfig", ENTRIES)):
        with (root / name).open("a") as file:
            file.write(text)
    (root / "scripts/cc-version.sh").write_text(SCRIPT)
    (root / "scripts/cc-version.sh").chmod(0o755)
    (root / "scripts/Makefile.clang").write_text("CLANG_TARGET_FLAGS_x86 := x86_64-linux-gnu\n")
    (root / "scripts/min-tool-version.sh").write_text("llvm)\n\techo 15.0.0\n\t;;\n")
    install(tmp_path, {}, monkeypatch)
    return root


def install(folder: Path, versions: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Compilers that print these versions, by what stands after their names, in place of the real ones."""
    place = folder / "bin"
    place.mkdir(exist_ok=True)
    for suffix, version in versions.items():
        for tool in TOOLS:
            (place / f"{tool}{suffix}").write_text(f"#!/bin/sh\necho {tool} version {version}\n")
            (place / f"{tool}{suffix}").chmod(0o755)
    for tool in ("sh", "awk", "gcc", "ar", "nm", "mkdir", "rm", "touch"):
        if not (place / tool).exists():
            (place / tool).symlink_to(f"/usr/bin/{tool}")
    monkeypatch.setenv("PATH", str(place))


def ask(root: Path, goals: Mapping[str, str], **how: Mapping[str, str]) -> tuple[Ways, Ways]:
    """What the tools of the build grant, and what comes of it."""
    kconf = tree.open_tree(str(root), {"ARCH": "x86"}, **how)  # type: ignore[arg-type]
    found = ways_out([kconf], goals, kconf.measured)
    return found, by_llvm(kconf, goals, kconf.measured, found)


def test_an_installed_clang_that_will_do(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, {"": "16.0.6", "-18": "18.1.8", "-19": "19.1.7"}, monkeypatch)
    found = ask(root, {"CLANG_19": "y"})[1]
    (way,) = found.ways
    assert way.edits == (Edit("LLVM", "-19", True),)
    assert way.lost == ("GCC_ONLY",)  # the change of the compiler does that
    assert way_text(way) == "build with LLVM=-19; this loses GCC_ONLY"
    assert found.clashes == ()


def test_the_one_that_make_takes_by_itself_comes_first(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, {"": "19.1.7", "-22": "22.1.8"}, monkeypatch)
    assert ask(root, {"CLANG_19": "y"})[1].ways[0].edits == (Edit("LLVM", "1", True),)


@pytest.mark.parametrize("here", [{}, {"": "18.1.8"}])
def test_the_least_clang_where_none_is_installed_that_will_do(
    here: dict[str, str], root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, here, monkeypatch)
    (way,) = ask(root, {"CLANG_19": "y"})[1].ways
    assert way.edits == (Edit("LLVM", "1", True), Edit("CLANG_VERSION", "190100", True))
    assert way_text(way).startswith("build with LLVM=1; Clang 19.1.0 or later (CLANG_VERSION=190100)")


def test_the_least_is_never_below_what_the_tree_takes(root: Path) -> None:
    text = (root / "init/Kconfig").read_text().replace("CLANG_VERSION >= 190000", "CLANG_VERSION >= 100000")
    (root / "init/Kconfig").write_text(text)
    assert ask(root, {"CLANG_19": "y"})[1].ways[0].edits[1] == Edit("CLANG_VERSION", "150000", True)


def test_a_llvm_that_is_not_whole_is_none(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, {"-19": "19.1.7"}, monkeypatch)
    (tmp_path / "bin/llvm-nm-19").unlink()
    assert ask(root, {"CLANG_19": "y"})[1].ways[0].edits[0] == Edit("LLVM", "1", True)


def test_one_that_the_tree_refuses_is_none(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, {"-19": "19.1.7"}, monkeypatch)
    with (root / "scripts/Kconfig.include").open("a") as file:
        file.write("$(error-if,$(success,test $(CC) = clang-19),not with this one)\n")
    assert Edit("LLVM", "-19", True) not in ask(root, {"CLANG_19": "y"})[1].ways[0].edits


def test_clang_with_another_linker_is_no_whole_llvm(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, {"": "22.1.8"}, monkeypatch)
    with (root / "init/Kconfig").open("a") as file:
        file.write('config LLD\n\tbool "l"\n\tdepends on $(success,test "$(LD)" = ld.lld)\n')
    kconf = tree.open_tree(str(root), {"ARCH": "x86", "CC": "clang"})
    found = by_llvm(kconf, {"LLD": "y"}, kconf.measured, ways_out([kconf], {"LLD": "y"}, kconf.measured))
    assert found.ways[0].edits == (Edit("LLVM", "1", True),)


def test_the_newest_llvm_is_not_looked_for_twice(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, {"": "22.1.8"}, monkeypatch)
    with (root / "init/Kconfig").open("a") as file:
        for name in ("LD_IS_LLD", "AS_IS_LLVM"):
            file.write(f"config {name}\n\tdef_bool $(success,test $(LD) = ld.lld)\n")
    kconf = tree.open_tree(str(root), {"ARCH": "x86", "LLVM": "1"})
    goals = {"CLANG_19": "y", "NOT_CLANG": "y"}
    found = ways_out([kconf], goals, kconf.measured)
    monkeypatch.setattr("btfcheck.kconfig.llvm.open_tree", None)
    assert by_llvm(kconf, goals, kconf.measured, found) is found


def test_nothing_is_run_where_nothing_may_be(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, {"": "19.1.7"}, monkeypatch)
    (tmp_path / "bin/clang").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    _, found = ask(root, {"CLANG_19": "y"}, facts={"CC_IS_GCC": "y", "GCC_VERSION": "120200"})
    assert found.ways[0].edits == (Edit("LLVM", "1", True), Edit("CLANG_VERSION", "190100", True))
    assert not (tmp_path / "ran").exists()


def test_what_no_compiler_grants_is_proven_of_all(root: Path) -> None:
    gcc, found = ask(root, {"CLANG_19": "y", "NOT_CLANG": "y"})
    assert not any(way.edits and way.edits[0].name == "LLVM" for way in found.ways)
    assert [clash.goals for clash in found.clashes] == [("CLANG_19", "NOT_CLANG")]
    assert not any(clash.of_tools for clash in found.clashes)
    assert found.ways == gcc.ways


def test_where_the_tools_of_the_build_will_do_no_other_is_looked_at(root: Path) -> None:
    gcc, found = ask(root, {"NOT_CLANG": "y"})
    assert found is gcc


def test_an_architecture_that_clang_does_not_build(root: Path) -> None:
    (root / "scripts/Makefile.clang").write_text("CLANG_TARGET_FLAGS_arm64 := aarch64-linux-gnu\n")
    gcc, found = ask(root, {"CLANG_19": "y"})
    assert found is gcc


@pytest.mark.parametrize(("name", "value", "was", "text"), [
    ("CLANG_VERSION", "190000", "150000", "Clang 19.0.0 or later"),
    ("CLANG_VERSION", "189999", "220108", "Clang before 19.0.0"),
    ("CLANG_VERSION", "189999", "", "Clang before 19.0.0"),
    ("RUSTC_VERSION", "108299", "", "rustc before 1.83.0"),
    ("PAHOLE_VERSION", "127", "128", "pahole 1.27 or earlier"),
    ("PAHOLE_VERSION", "199", "128", "pahole 1.99 or later"),
])  # fmt: skip
def test_no_bound_is_a_version_that_was_never_there(name: str, value: str, was: str, text: str) -> None:
    assert edit_text(Edit(name, value, True, was)) == f"{text} ({name}={value})"


def test_what_a_way_turns_off_itself_is_not_told_as_lost() -> None:
    way = Way((Edit("MODVERSIONS", "n"),), (), (("ASM_MODVERSIONS", "y", "n"), ("MODVERSIONS", "y", "n")))
    assert way_text(way) == "# CONFIG_MODVERSIONS is not set; this loses ASM_MODVERSIONS"
    assert way_text(way._replace(changes=way.changes[1:])) == "# CONFIG_MODVERSIONS is not set"
