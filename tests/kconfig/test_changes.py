# SPDX-License-Identifier: MIT
"""Ways out: each must really grant what was asked, and an impossible wish must be called so."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btfcheck.kconfig.changes import Edit, Way, Ways, ways_out
from btfcheck.kconfig.state import State
from tests.kconfig.scenes import BTF, BTF_LTO, load


def ask(release: str, goals: str, values: Mapping[str, str | None]) -> Ways:
    return ways_out(load(release), dict.fromkeys(goals.split(), "y"), values)


def edits(way: Way) -> dict[str, str]:
    return {e.name: e.value for e in way.edits}


def test_all_three_cannot_be_had() -> None:
    found = ask("6.14", "RUST DEBUG_INFO_BTF LTO_CLANG_THIN", BTF_LTO)
    (clash,) = found.clashes
    assert clash.goals == ("DEBUG_INFO_BTF", "LTO_CLANG_THIN", "RUST")
    assert (clash.lines[0][0], clash.lines[0][1].file) == ("RUST", "init/Kconfig")
    assert clash.lines[0][1].text == "depends on !DEBUG_INFO_BTF || (PAHOLE_HAS_LANG_EXCLUDE && !LTO)"
    assert [(w.given_up, edits(w)) for w in found.ways] == [
        (("RUST",), {}),
        (("DEBUG_INFO_BTF",), {"DEBUG_INFO_BTF": "n"}),
        (("LTO_CLANG_THIN",), {"LTO_NONE": "y"}),
    ]
    assert "LTO" in found.ways[2].lost


def test_what_else_the_release_offers_for_lto() -> None:
    def offered(release: str) -> set[str]:
        ways = ask(release, "RUST DEBUG_INFO_BTF LTO_CLANG_THIN", BTF_LTO).ways
        return {name for way in ways for name in way.instead}

    assert offered("6.14") == set()
    assert offered("7.1.3") == {"RUST_INLINE_HELPERS"}
    assert offered("7.3.4") == {"AUTOFDO_CLANG", "PROPELLER_CLANG", "RUST_INLINE_HELPERS"}


def test_rust_alone_can_cost_btf_or_lto() -> None:
    found = ask("6.12.117", "RUST", BTF_LTO)
    assert not found.impossible
    assert [(edits(w), w.lost) for w in found.ways] == [
        ({"DEBUG_INFO_BTF": "n"}, ("DEBUG_INFO_BTF", "DEBUG_INFO_BTF_MODULES")),
        ({"LTO_NONE": "y"}, ("LTO", "LTO_CLANG", "LTO_CLANG_THIN")),
    ]


def test_nothing_to_change() -> None:
    assert [w.edits for w in ask("6.12", "RUST", BTF_LTO).ways] == [()]


def test_upgrade_pahole() -> None:
    found = ask("6.12.117", "RUST DEBUG_INFO_BTF", {**BTF, "PAHOLE_VERSION": "123"})
    assert [w.edits for w in found.ways] == [(Edit("PAHOLE_VERSION", "124", tool=True, was="123"),)]
    assert found.ways[0].lost == ()


def test_choose_gendwarfksyms() -> None:
    values = {**BTF, "MODVERSIONS": "y", "GENKSYMS": "y"}
    found = ask("6.14", "RUST MODVERSIONS DEBUG_INFO_BTF", values)
    assert edits(found.ways[0]) == {"GENDWARFKSYMS": "y"}
    # 6.18 guards against pahole 1.28 and 1.29 on x86; up is better than down.
    found = ask("6.18.2", "RUST MODVERSIONS DEBUG_INFO_BTF", {**values, "PAHOLE_VERSION": "128"})
    assert [edits(w) for w in found.ways] == [
        {"GENDWARFKSYMS": "y", "PAHOLE_VERSION": "130"},
        {"GENDWARFKSYMS": "y", "PAHOLE_VERSION": "127"},
    ]


def test_modversions_before_6_14() -> None:
    found = ask("6.12", "RUST MODVERSIONS", {**BTF, "MODVERSIONS": "y"})
    assert found.clashes[0].goals == ("MODVERSIONS", "RUST")
    assert ("MODVERSIONS",) in [w.given_up for w in found.ways]


def test_a_chain_that_no_single_clause_shows() -> None:
    found = ask("7.3.4", "RUST MODVERSIONS LTO_CLANG_THIN", {**BTF_LTO, "MODVERSIONS": "y", "GENKSYMS": "y"})
    clash = next(c for c in found.clashes if c.lines[0][0] == "RUST")
    assert clash.lines[0][1].text == "depends on !MODVERSIONS || GENDWARFKSYMS"
    assert clash.lines[0][1].leaves[1].via == "needs: depends on !LTO"


def test_a_rustc_that_is_too_old() -> None:
    found = ask("6.12", "RUST", {**BTF, "CALL_PADDING": "y", "RUSTC_VERSION": "108000"})
    assert edits(found.ways[0]) == {"RUSTC_VERSION": "108100"}


def test_randstruct_goes_by_its_choice() -> None:
    found = ask("6.12", "RUST", {**BTF, "RANDSTRUCT": "y"})
    assert edits(found.ways[0]) == {"RANDSTRUCT_NONE": "y"}


def test_no_pahole_at_all() -> None:
    found = ask("6.12", "DEBUG_INFO_BTF", {**BTF, "PAHOLE_VERSION": "0"})
    assert edits(found.ways[0]) == {"PAHOLE_VERSION": "121"}


def test_an_arch_without_rust_offers_nothing() -> None:
    found = ways_out(load("6.12", "mips"), {"RUST": "y"}, {**BTF, "X86_64": "n"})
    assert found.ways == ()
    assert [c.lines[0][1].text for c in found.clashes] == ["depends on HAVE_RUST"]


def test_in_the_hole_a_way_holds_in_every_text() -> None:
    kconfigs = load("6.12.30")
    for way in ways_out(kconfigs, {"RUST": "y"}, BTF_LTO).ways:
        assert len(way.origins) == len(kconfigs)
        assert way.edits


def test_a_fragment() -> None:
    wishes = {"RUST": "y", "DEBUG_INFO_BTF": "y", "LTO_CLANG_THIN": "y"}
    found = ways_out(load("6.14", "x86_64"), wishes, wishes, complete=False)
    assert found.impossible
    assert [w.given_up for w in found.ways] == [("RUST",), ("DEBUG_INFO_BTF",), ("LTO_CLANG_THIN",)]
    assert found.ways[2].unsure


def test_a_symbol_nobody_knows() -> None:
    found = ask("6.12", "NO_SUCH_SYMBOL", BTF)
    assert found == Ways((), ())


GOALS = ["RUST", "DEBUG_INFO_BTF", "LTO_CLANG_THIN", "LTO_CLANG_FULL", "MODVERSIONS", "GENDWARFKSYMS",
         "DEBUG_INFO_BTF_MODULES", "CFI", "DEBUG_INFO_DWARF4"]  # fmt: skip
FLAGS = ["MODULES", "BPF_SYSCALL", "DEBUG_INFO_REDUCED", "DEBUG_INFO_SPLIT", "KASAN", "KASAN_SW_TAGS", "RANDSTRUCT",
         "MODVERSIONS", "GENKSYMS", "GENDWARFKSYMS", "CFI", "COMPILE_TEST", "LTO_CLANG_THIN", "LTO_NONE",
         "DEBUG_INFO_BTF", "DEBUG_KERNEL", "GCOV_KERNEL", "CC_IS_CLANG", "RUST_IS_AVAILABLE"]  # fmt: skip


@given(
    st.sampled_from(["6.1.192", "6.6.93", "6.12", "6.12.117", "6.14", "6.18.2", "7.3.4"]),
    st.sets(st.sampled_from(GOALS), min_size=1, max_size=3),
    st.dictionaries(st.sampled_from(FLAGS), st.sampled_from("yn")),
    st.sampled_from(["0", "121", "123", "125", "128", "130"]),
)
def test_every_way_is_right(release: str, goals: set[str], flags: dict[str, str], pahole: str) -> None:
    values = {**BTF, **flags, "PAHOLE_VERSION": pahole}
    (kconf,) = load(release)
    found = ways_out([kconf], dict.fromkeys(sorted(goals), "y"), values)
    for way in found.ways:
        kept = goals - set(way.given_up)
        assert not (found.clashes and kept >= set(found.clashes[0].goals))
        after = {k: v for k, v in values.items() if k not in kept | {e.name for e in way.modelled}}
        after |= dict.fromkeys(sorted(kept), "y") | {e.name: e.value for e in sorted(way.modelled)}
        state = State(kconf, after)
        for name in kept:
            assert state.bounds(kconf.syms[name])[1] == 2


@pytest.mark.parametrize("complete", [True, False])
@given(st.dictionaries(st.text(max_size=6) | st.sampled_from(GOALS + FLAGS), st.text(max_size=4), max_size=5))
def test_any_goals_get_an_answer(complete: bool, goals: dict[str, str]) -> None:
    ways_out(load("7.3.4"), goals, BTF, complete=complete)
