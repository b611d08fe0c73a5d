# SPDX-License-Identifier: MIT
"""Which texts a release may have, and that no text is made up."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btfcheck.kconfig import tables
from btfcheck.model import UsageError
from btfcheck.release import FINAL, Release

LTO_CLAUSE = "depends on !DEBUG_INFO_BTF || (PAHOLE_HAS_LANG_EXCLUDE && !LTO)"
LANG_CLAUSE = "depends on !DEBUG_INFO_BTF || PAHOLE_HAS_LANG_EXCLUDE"
NEVER = "depends on !DEBUG_INFO_BTF"


def btf_clauses(release: str) -> set[str]:
    """The line of RUST that speaks of BTF, in each candidate."""
    found = set()
    for model in tables.models(release, "x86"):
        lines = model.entries["RUST"][1].split("\n")
        (line,) = [x for x in lines if "DEBUG_INFO_BTF" in x]
        found.add(line)
    return found


# kernel-facts.md 1.1 and 1.2.
@pytest.mark.parametrize(
    ("release", "clauses"),
    [
        ("6.1", {NEVER}),
        ("6.1.50", {NEVER, LANG_CLAUSE, LTO_CLAUSE}),
        ("6.1.192", {LTO_CLAUSE}),
        ("6.1.200", {LTO_CLAUSE}),
        ("6.2.1", {NEVER}),
        ("6.3", {NEVER, LANG_CLAUSE}),
        ("6.3.8", {LANG_CLAUSE}),
        ("6.5", {LANG_CLAUSE}),
        ("6.6.9", {LANG_CLAUSE}),
        ("6.6.20", {LANG_CLAUSE}),
        ("6.6.31", {LANG_CLAUSE}),
        ("6.6.50", {LANG_CLAUSE, LTO_CLAUSE}),
        ("6.6.93", {LTO_CLAUSE}),
        ("6.6.120", {LTO_CLAUSE}),
        ("6.8", {LANG_CLAUSE}),
        ("6.11", {LANG_CLAUSE}),
        ("6.12", {LANG_CLAUSE}),
        ("6.12.1", {LANG_CLAUSE, LTO_CLAUSE}),
        ("6.12.116", {LANG_CLAUSE, LTO_CLAUSE}),
        ("6.12.117", {LTO_CLAUSE}),
        ("6.13", {LANG_CLAUSE}),
        ("6.13.7", {LANG_CLAUSE}),
        ("6.13.8", {LANG_CLAUSE, LTO_CLAUSE}),
        ("6.14", {LTO_CLAUSE}),
        ("6.16.4", {LTO_CLAUSE}),
        ("6.18.2", {LTO_CLAUSE}),
        ("7.3.4", {LTO_CLAUSE}),
        ("7.9", {LTO_CLAUSE}),
    ],
)
def test_the_clause_about_btf(release: str, clauses: set[str]) -> None:
    assert btf_clauses(release) == clauses


@pytest.mark.parametrize("release", [row[1] for row in tables.history()["trees"]])
def test_a_tree_that_was_read_is_known(release: str) -> None:
    for arch in ("x86", "arm64", "riscv", "mips", ""):
        (model,) = tables.models(release, arch)
        assert not model.assumed
        assert len(model.trees) == 1


@pytest.mark.parametrize("release", ["6.15", "6.16.3", "6.17"])
def test_the_hole_shows_both_ends(release: str) -> None:
    models = tables.models(release, "x86")
    assert len(models) > 1
    assert all(m.assumed and m.variant for m in models)
    assert len({m.variant for m in models}) == len(models)
    guard = "depends on !X86 || !DEBUG_INFO_BTF || PAHOLE_VERSION < 128 || PAHOLE_VERSION > 129"
    assert {guard in m.entries["GENDWARFKSYMS"][1] for m in models} == {True, False}
    assert {"CFI" in m.entries for m in models} == {True, False}


def test_a_stable_line_of_6_14_may_have_the_pahole_guard() -> None:
    models = tables.models("6.14.6", "x86")
    assert ["PAHOLE_VERSION > 129" in m.entries["GENDWARFKSYMS"][1] for m in models] == [False, True]


def test_newer_than_everything_is_assumed() -> None:
    (model,) = tables.models("7.4-rc1", "x86")
    assert "newer" in model.assumed
    (last,) = tables.models("7.3.4", "x86")
    assert model.entries == last.entries


def test_ubuntu_took_a_clause_out_of_6_8() -> None:
    mainline, ubuntu = (tables.models("6.8.1", "x86", distro)[0] for distro in ("", "ubuntu"))
    assert "depends on !MODVERSIONS" in mainline.entries["RUST"][1]
    assert "MODVERSIONS" not in ubuntu.entries["RUST"][1]
    assert tables.distro_of({"CC_VERSION_TEXT": "x86_64-linux-gnu-gcc-13 (Ubuntu 13.2.0) 13.2.0"}) == "ubuntu"
    assert tables.distro_of({}) == ""


def test_before_6_1_nothing_is_known() -> None:
    with pytest.raises(UsageError, match=r"6\.1"):
        tables.models("5.15", "x86")


# kernel-facts.md 1.4: the first tree whose architecture selects HAVE_RUST.
@pytest.mark.parametrize(
    ("arch", "first", "before"),
    [
        ("x86", "6.1", None),
        ("um", "6.3.8", "6.2.1"),
        ("loongarch", "6.8.1", "6.7.3"),
        ("arm64", "6.9.3", "6.7.3"),
        ("riscv", "6.10", "6.9.3"),
        ("arm", "6.18.2", "6.14"),
        ("s390", "7.2.13", "7.1.3"),
        ("powerpc", "7.3.4", "7.2.13"),
    ],
)
def test_which_architecture_has_rust(arch: str, first: str, before: str | None) -> None:
    symbol = tables.history()["arches"][arch]

    def selects(release: str) -> bool:
        entry = tables.models(release, arch)[0].entries.get(symbol)
        return entry is not None and "select HAVE_RUST" in entry[1]

    assert selects(first)
    assert before is None or not selects(before)


def test_minimum_tools() -> None:
    assert [t["rustc"] for t in tables.minimum_tools("7.2.13", "x86_64")] == ["1.85.0"]
    assert [t["rustc"] for t in tables.minimum_tools("7.2.13", "s390")] == ["1.96.0"]
    assert [t["llvm"] for t in tables.minimum_tools("6.16", "x86")] == ["13.0.1", "15.0.0"]


def test_no_line_is_made_up() -> None:
    """Every line of every candidate stands in some tree's entry of that symbol."""
    read = {
        name: {line for *_, text in rows for line in text.split("\n")}
        for name, rows in tables.history()["symbols"].items()
    }
    for minor in range(1, 20):
        for patch in (0, 5, 40, 150):
            for model in tables.models(f"6.{minor}.{patch}", "arm64"):
                for name, (_, text) in model.entries.items():
                    assert set(text.split("\n")) <= read[name]


def test_each_place_is_the_kernels_file() -> None:
    for release in ("6.1", "6.12.117", "7.3.4"):
        kconf = tables.models(release, "x86")[0].load()
        symbols = kconf.unique_defined_syms
        written = [w for s in symbols for one in kconf.definitions(s) for w in one]
        assert len(written) > 40
        for place in written:
            assert re.fullmatch(r"(init|arch|lib|kernel/module)/Kconfig(\.debug)?|arch/x86/Kconfig", place.file)
            assert place.line is None
            assert place.text.startswith(("depends on ", "if "))
            assert "MACRO_" not in place.text


@given(
    st.builds(
        Release, st.sampled_from([6, 7, 8]), st.integers(1, 30), st.integers(0, 300), st.just(FINAL) | st.integers(1, 9)
    ),
    st.sampled_from(["x86", "arm64", "riscv", "um", "loongarch", "arm", "s390", "powerpc", "mips", "", "x86_64"]),
)
def test_any_release_has_models_that_load(release: Release, arch: str) -> None:
    models = tables.models(release, arch)
    assert 1 <= len(models) <= 8
    assert len(models) == 1 or all(m.variant for m in models)
    kconf = models[-1].load()
    assert "RUST" in kconf.syms
