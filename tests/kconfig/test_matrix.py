# SPDX-License-Identifier: MIT
"""The matrix against what is known of it: worked out by hand from the clauses, and by conf on whole trees."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from btfcheck.kconfig import matrix, tables
from btfcheck.kconfig.answers import SUFFICIENT
from btfcheck.kconfig.dialect import KernelKconfig
from btfcheck.kconfig.matrix import Cell
from btfcheck.kconfig.safety import safety
from btfcheck.kconfig.tree import open_tree
from btfcheck.model import UsageError
from btfcheck.release import stated

PAHOLES = ("none", "1.15", "1.21", "1.22", "1.23", "1.24", "1.25", "1.28", "1.29", "1.30")
RELEASES = ("6.1", "6.1.192", "6.2.1", "6.3.8", "6.4.6", "6.5.0", "6.6.9", "6.6.93", "6.7.3", "6.8.1", "6.9.3", "6.10",
            "6.11.11", "6.12", "6.12.117", "6.13.7", "6.14", "6.18.2", "6.19", "7.0", "7.1.3", "7.2.13",
            "7.3.4")  # fmt: skip
# Source trees to compare with, when there are some: BTFCHECK_TREES=/usr/src/linux-source-6.12:...
TREES = [t for t in os.environ.get("BTFCHECK_TREES", "").split(":") if t]

Key = tuple[str, str, str, str]


def one(release: str, arch: str = "x86_64") -> KernelKconfig:
    (model,) = tables.models(release, arch)
    return model.load()


def lines(kconf: KernelKconfig, paholes: tuple[str, ...] = PAHOLES) -> dict[Key, list[Cell]]:
    found: dict[Key, list[Cell]] = {}
    for cell in matrix.cells(kconf, matrix.default_axes(kconf, paholes), kernel="k"):
        rust, btf, lto, versions, _ = (v for n, v in cell.axes.items() if n != "kernel")
        found.setdefault((rust, btf, lto, versions), []).append(cell)
    return found


def marks(cells: list[Cell]) -> str:
    return "".join({True: ".", False: "n", None: "?"}[c.allowed] for c in cells)


#   pahole               none 1.15 1.21 1.22 1.23 1.24 1.25 1.28 1.29 1.30
KNOWN = {
    "6.1.192": {
        ("n", "y", "none", "off"): "..........",
        ("n", "y", "full", "genksyms"): "..........",
        ("y", "n", "thin", "off"): "..........",
        ("y", "n", "none", "genksyms"): "nnnnnnnnnn",
        ("y", "y", "none", "off"): "nnnnn.....",
        ("y", "y", "thin", "off"): "nnnnnnnnnn",
        ("y", "y", "full", "off"): "nnnnnnnnnn",
    },
    "6.12.117": {
        ("n", "y", "none", "off"): "nn........",
        ("n", "y", "thin", "genksyms"): "nn........",
        ("y", "n", "full", "off"): "..........",
        ("y", "n", "none", "genksyms"): "nnnnnnnnnn",
        ("y", "y", "none", "off"): "nnnnn.....",
        ("y", "y", "thin", "off"): "nnnnnnnnnn",
        ("y", "y", "full", "off"): "nnnnnnnnnn",
    },
    "7.3.4": {
        ("n", "y", "none", "off"): "nnn.......",
        ("n", "y", "none", "gendwarfksyms"): "nnn....nn.",
        ("n", "n", "thin", "gendwarfksyms"): "nnnnnnnnnn",
        ("y", "n", "thin-dist", "off"): "..........",
        ("y", "n", "none", "genksyms"): "nnnnnnnnnn",
        ("y", "n", "none", "gendwarfksyms"): "..........",
        ("y", "y", "none", "off"): "nnnnn.....",
        ("y", "y", "none", "genksyms"): "nnnnnnnnnn",
        ("y", "y", "none", "gendwarfksyms"): "nnnnn..nn.",
        ("y", "y", "thin", "off"): "nnnnnnnnnn",
        ("y", "y", "thin-dist", "off"): "nnnnnnnnnn",
    },
}


@pytest.mark.parametrize("release", KNOWN)
def test_what_is_allowed(release: str) -> None:
    found = lines(one(release))
    assert {key: marks(found[key]) for key in KNOWN[release]} == KNOWN[release]


# What changed, and from which release on (kernel-facts.md 1.1 to 1.3), by stable line where it was backported:
# BTF beside Rust (never, with lang_exclude, not with LTO), the least pahole for BTF, the guard of gendwarfksyms.
BESIDE_RUST = {"6.1": "never", "6.1.192": "no LTO", "6.2.1": "never", "6.3.8": "any", "6.6.93": "no LTO",
               "6.7.3": "any", "6.12.117": "no LTO", "6.13.7": "any", "6.14": "no LTO"}  # fmt: skip
LEAST_PAHOLE = {"6.1": "none", "6.12": "1.21", "7.0": "1.22"}
SPOILT = {"6.14": (), "6.18.2": ("1.28", "1.29")}


def at(release: str, changes: Mapping[str, Any]) -> Any:
    """What holds in a release, None before the first change; they are in the order of RELEASES."""
    before = [value for since, value in changes.items() if RELEASES.index(since) <= RELEASES.index(release)]
    return before[-1] if before else None


def expected(release: str, key: Key, pahole: str) -> bool:
    rust, btf, lto, versions = key
    number = PAHOLES.index(pahole)
    granted = btf == "n" or number >= PAHOLES.index(at(release, LEAST_PAHOLE))
    if rust == "y":
        beside = at(release, BESIDE_RUST)
        tolerates = number >= PAHOLES.index("1.24") and beside != "never" and (beside == "any" or lto == "none")
        granted = granted and versions != "genksyms" and (btf == "n" or tolerates)
    if versions == "gendwarfksyms":
        granted = granted and lto == "none" and (btf == "n" or pahole not in at(release, SPOILT))
    return granted


@pytest.mark.parametrize("release", RELEASES)
def test_every_cell_of_every_release(release: str) -> None:
    """The matrix of kconfig-facts.md section 4, and what it was before."""
    found = lines(one(release))
    assert ("n", "n", "none", "gendwarfksyms") in found or at(release, SPOILT) is None
    for key, cells in found.items():
        assert {c.axes["pahole"]: c.allowed for c in cells} == {p: expected(release, key, p) for p in PAHOLES}, key


def test_no_tree_that_was_read_is_left_out() -> None:
    assert {str(stated(row[1])) for row in tables.history()["trees"]} <= {str(stated(r)) for r in RELEASES}


def test_without_the_lto_clause() -> None:
    """6.12.0 and 6.13.7 came before it: allowed, and with pahole below 1.28 not safe."""
    for release in ("6.12", "6.13.7"):
        cells = lines(one(release), ("1.23", "1.25", "1.28"))["y", "y", "thin", "off"]
        assert marks(cells) == "n.."
        assert [c.safe for c in cells] == ["no", "no", "yes"]


def test_the_clause_that_forbids_is_told() -> None:
    cells = lines(one("7.3.4"))["y", "y", "none", "gendwarfksyms"]
    texts = {cell.axes["pahole"]: cell.blocked_by for cell in cells}
    clause = "depends on !X86 || !DEBUG_INFO_BTF || PAHOLE_VERSION < 128 || PAHOLE_VERSION > 129"
    assert texts["1.28"] == (f"kernel/module/Kconfig: {clause}",)
    assert texts["1.21"] == ("lib/Kconfig.debug: depends on PAHOLE_VERSION >= 122",)
    assert texts["1.30"] == ()


@pytest.mark.parametrize("release", RELEASES)
def test_no_cell_of_a_known_release_is_open(release: str) -> None:
    for key, cells in lines(one(release)).items():
        for cell in cells:
            assert cell.allowed is not None, (key, cell)
            assert bool(cell.blocked_by) != cell.allowed, (key, cell)


@pytest.mark.parametrize("release", RELEASES)
def test_c_alone_is_never_forbidden_for_the_sake_of_rust(release: str) -> None:
    found = lines(one(release), ("1.30",))
    for lto in ("none", "thin", "full"):
        for versions in ("off", "genksyms"):
            assert marks(found["n", "y", lto, versions]) == "."
            assert marks(found["n", "n", lto, versions]) == "."


def test_a_release_that_was_not_read_is_open_where_its_candidates_differ() -> None:
    several = [m.load() for m in tables.models("6.16", "x86_64")]
    assert len(several) > 1
    rows = [list(matrix.cells(k, matrix.default_axes(k, ("1.28", "1.30")), kernel="6.16")) for k in several]
    merged = [matrix.merge(same) for same in zip(*rows, strict=True)]
    assert {cell.axes["pahole"] for cell in merged if cell.allowed is None} == {"1.28"}
    assert {cell.axes["MODVERSIONS"] for cell in merged if cell.allowed is None} == {"gendwarfksyms"}


def test_the_order_of_the_cells_does_not_matter() -> None:
    kconf = one("7.3.4")
    axes = matrix.default_axes(kconf, PAHOLES)
    forth = {tuple(c.axes.items()): c.allowed for c in matrix.cells(kconf, axes, kernel="k")}
    turned = {name: tuple(reversed(values)) for name, values in axes.items()}
    back = {tuple(c.axes.items()): c.allowed for c in matrix.cells(kconf, turned, kernel="k")}
    assert forth == back


def test_other_symbols_and_tools_as_axes() -> None:
    kconf = one("7.3.4")
    axes = {"RUST": ("y",), "KASAN": ("n", "y"), "rustc": ("none", "1.95"), "llvm": ("22.1.8",)}
    found = {(c.axes["KASAN"], c.axes["rustc"]): c for c in matrix.cells(kconf, axes, kernel="k")}
    assert found["n", "1.95"].allowed
    assert {c.safe for c in found.values()} == {"unknown"}
    assert "DEBUG_INFO_BTF" in found["n", "1.95"].why


def test_a_symbol_that_the_release_lacks_is_forbidden() -> None:
    (cell,) = matrix.cells(one("6.12"), {"MODVERSIONS": ("gendwarfksyms",)}, kernel="k")
    assert (cell.allowed, cell.blocked_by) == (False, ("Kconfig: this release has no GENDWARFKSYMS",))


@pytest.mark.parametrize(
    ("tool", "version", "number"),
    [("pahole", "1.25", "125"), ("pahole", "v1.30", "130"), ("pahole", "none", "0"), ("rustc", "1.85", "108500"),
     ("rustc", "1.81.2", "108102"), ("llvm", "19.1.7", "190107"), ("llvm", "22", "220000")],
)  # fmt: skip
def test_numbers_of_versions(tool: str, version: str, number: str) -> None:
    assert matrix.number(tool, version) == number


@pytest.mark.parametrize("version", ["", "x", "1.x", "-1", "1.2.3.4", "1..2", "²"])
def test_what_is_no_version(version: str) -> None:
    with pytest.raises(UsageError, match="is no version"):
        matrix.number("pahole", version)


LEAST = {"rustc": "1.85.0", "bindgen": "0.71.1", "llvm": "17.0.1"}


@pytest.mark.parametrize(
    ("tool", "allowed"),
    [
        ("rustc", {"none": False, "1.63": False, "1.84.1": False, "1.85": True, "1.95": True}),
        ("bindgen", {"none": False, "0.65.1": False, "0.71.1": True, "0.72": True}),
        ("llvm", {"14.0.6": False, "17.0.0": False, "17": True, "17.0.1": True, "22.1.8": True}),
    ],
)
def test_a_tool_below_the_minimum_of_the_release(tool: str, allowed: dict[str, bool]) -> None:
    axes = {"RUST": ("y",), tool: tuple(allowed)}
    found = {c.axes[tool]: c for c in matrix.cells(one("7.3.4"), axes, kernel="k", minimums=LEAST)}
    assert {version: cell.allowed for version, cell in found.items()} == allowed
    told = f"scripts/min-tool-version.sh: {tool} {LEAST[tool]} at least"
    assert {version: told not in cell.blocked_by for version, cell in found.items()} == allowed
    without = list(matrix.cells(one("7.3.4"), {**axes, "RUST": ("n",)}, kernel="k", minimums=LEAST))
    assert [c.allowed for c in without] == (list(allowed.values()) if tool == "llvm" else [True] * len(allowed))


def test_what_is_assumed_is_listed() -> None:
    kconf = one("7.3.4")
    told = matrix.assumptions(kconf, matrix.default_axes(kconf), {"CLANG_VERSION": "190107"})
    assert {"RUST_IS_AVAILABLE=y", "CLANG_VERSION=190107", "KASAN=n", "BPF_SYSCALL=y"} <= set(told)
    assert not any(t.startswith("PAHOLE_VERSION") for t in told)


BUILT = {"rust": True, "btf": True, "lto": "none", "versions": "off", "pahole": 130, "excludes": True, "x86": True}


@pytest.mark.parametrize(
    ("change", "safe"),
    [
        ({}, "yes"),
        ({"btf": False, "pahole": 0}, "yes"),
        ({"pahole": 0}, "no"),
        ({"rust": False, "pahole": 116, "lto": "full"}, "yes"),
        ({"pahole": 123}, "no"),
        ({"pahole": 124}, "yes"),
        ({"excludes": False}, "no"),
        ({"lto": "thin", "pahole": 127}, "no"),
        ({"lto": "thin", "pahole": 128}, "yes"),
        ({"lto": "thin-dist", "pahole": 131}, "yes"),
        ({"lto": "full", "pahole": 126}, "no"),
        ({"lto": "full", "pahole": 131}, "unknown"),
        ({"versions": "gendwarfksyms", "pahole": 129, "rust": False}, "no"),
        ({"versions": "gendwarfksyms", "pahole": 129, "rust": False, "x86": False}, "yes"),
        ({"versions": "gendwarfksyms", "pahole": 130}, "yes"),
    ],
)
def test_what_is_safe(change: dict[str, object], safe: str) -> None:
    assert safety(**{**BUILT, **change}).safe == safe  # type: ignore[arg-type]


ARCHES = ("x86_64", "arm64", "riscv", "loongarch", "s390", "powerpc", "arm", "um")


@pytest.mark.accept
@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("root", TREES)
def test_tree_and_table_agree(root: str, arch: str) -> None:
    """Every cell, and every clause but for its line."""
    kconf = open_tree(root, {"LLVM": "1", "ARCH": arch}, facts=SUFFICIENT)
    whole = lines(kconf)
    table = lines(one(kconf.environment["KERNELVERSION"].partition("-")[0], arch))
    assert whole.keys() == table.keys()
    for key, cells in whole.items():
        for mine, other in zip(cells, table[key], strict=True):
            texts = {t.partition(": ")[2] for t in mine.blocked_by}
            assert (mine.allowed, mine.safe) == (other.allowed, other.safe)
            assert texts == {t.partition(": ")[2] for t in other.blocked_by}
            assert all(":" in t.partition(" ")[0] and Path(root, t.split(":")[0]).exists() for t in mine.blocked_by)


@pytest.mark.parametrize(
    ("arch", "first"),
    [("x86_64", "6.1"), ("um", "6.3.8"), ("loongarch", "6.8.1"), ("arm64", "6.9.3"), ("riscv", "6.10"),
     ("arm", "6.18.2"), ("s390", "7.2.13"), ("powerpc", "7.3.4")],
)  # fmt: skip
def test_the_first_release_with_rust_by_architecture(arch: str, first: str) -> None:
    """As `select HAVE_RUST` came into arch/*/Kconfig."""
    axes = {"RUST": ("y",), "DEBUG_INFO_BTF": ("n",), "MODVERSIONS": ("off",)}
    granted = [r for r in RELEASES if next(iter(matrix.cells(one(r, arch), axes, kernel=r))).allowed]
    assert granted[0] == first


def test_what_spoils_btf_on_x86_alone_is_safe_elsewhere() -> None:
    axes = {"RUST": ("n",), "DEBUG_INFO_BTF": ("y",), "LTO": ("none",), "MODVERSIONS": ("gendwarfksyms",)}
    found = {arch: next(iter(matrix.cells(one("7.3.4", arch), {**axes, "pahole": ("1.28",)}, kernel="k"))).safe
             for arch in ("x86_64", "arm64")}  # fmt: skip
    assert found == {"x86_64": "no", "arm64": "yes"}


@pytest.mark.parametrize(
    ("arch", "release", "allowed"),
    [("s390", "7.3.4", False), ("arm", "6.12.117", False), ("riscv", "6.1.192", False), ("riscv", "6.6.93", None),
     ("riscv", "6.12.117", True), ("arm64", "6.1.192", True), ("um", "7.3.4", True)],
)  # fmt: skip
def test_lto_by_architecture(arch: str, release: str, allowed: bool | None) -> None:
    (cell,) = matrix.cells(one(release, arch), {"LTO": ("thin",)}, kernel="k")
    assert cell.allowed is allowed
