# SPDX-License-Identifier: MIT
"""Explanations: the clause that blocks, the facts that made it so, and what is not known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btfcheck.kconfig import tables
from btfcheck.kconfig.state import State
from btfcheck.kconfig.why import Why, why
from tests.kconfig.scenes import BTF, BTF_LTO, load


def one(release: str, symbol: str, values: dict[str, str | None], **options: object) -> Why:
    (answer,) = why(load(release), symbol, values, **options)  # type: ignore[arg-type]
    return answer


def test_rust_btf_and_lto() -> None:
    answer = one("6.14", "RUST", dict(BTF_LTO))
    assert (answer.value, answer.granted) == ("n", False)
    (clause,) = answer.blocking
    assert clause.text == "depends on !DEBUG_INFO_BTF || (PAHOLE_HAS_LANG_EXCLUDE && !LTO)"
    assert (clause.file, clause.line) == ("init/Kconfig", None)
    assert [(x.name, x.value, x.kind) for x in clause.leaves] == [
        ("DEBUG_INFO_BTF", "y", "user"),
        ("PAHOLE_HAS_LANG_EXCLUDE", "y", "derived"),
        ("LTO", "y", "derived"),
    ]
    _, pahole, lto = clause.leaves
    assert pahole.via == "default PAHOLE_VERSION >= 124"
    assert [(x.name, x.value, x.kind) for x in pahole.sources] == [("PAHOLE_VERSION", "130", "toolchain")]
    assert (lto.via, lto.sources[0].via) == ("selected by LTO_CLANG", "selected by LTO_CLANG_THIN")
    assert lto.sources[0].sources[0].kind == "user"


def test_without_the_clause_it_is_granted() -> None:
    assert one("6.12", "RUST", dict(BTF_LTO)).granted is True


def test_an_old_pahole() -> None:
    answer = one("6.12", "RUST", {**BTF, "PAHOLE_VERSION": "123"})
    (clause,) = answer.blocking
    assert [(x.name, x.value) for x in clause.leaves] == [("DEBUG_INFO_BTF", "y"), ("PAHOLE_HAS_LANG_EXCLUDE", "n")]


def test_no_pahole_takes_btf_away() -> None:
    answer = one("6.12", "DEBUG_INFO_BTF", {**BTF, "PAHOLE_VERSION": "0"})
    assert [c.text for c in answer.blocking] == [
        "depends on PAHOLE_VERSION >= 116",
        "depends on DEBUG_INFO_DWARF4 || PAHOLE_VERSION >= 121",
    ]
    assert one("6.11.11", "DEBUG_INFO_BTF", {**BTF, "PAHOLE_VERSION": "0"}).blocking[0].expr == (
        "!DEBUG_INFO_DWARF5 || PAHOLE_VERSION >= 121"
    )


def test_enclosing_blocks_and_the_choice_count() -> None:
    answer = one("7.3.4", "GENDWARFKSYMS", {**BTF, "MODULES": "n"})
    assert [(c.text, c.value) for c in answer.clauses][:2] == [("if MODULES", "n"), ("if MODVERSIONS", "n")]
    answer = one("6.14", "DEBUG_INFO_DWARF5", {**BTF, "DEBUG_KERNEL": "n"})
    assert answer.blocking[0].text == "depends on DEBUG_KERNEL"


def test_genksyms_blocks_rust() -> None:
    answer = one("6.14", "RUST", {**BTF, "MODVERSIONS": "y", "GENKSYMS": "y"})
    (clause,) = answer.blocking
    assert clause.text == "depends on !MODVERSIONS || GENDWARFKSYMS"
    assert [(x.name, x.value, x.via) for x in clause.leaves] == [
        ("MODVERSIONS", "y", "set"),
        ("GENDWARFKSYMS", "n", "not set"),
    ]


def test_what_selects_it() -> None:
    answer = one("6.14", "LTO", dict(BTF_LTO), wanted="n")
    assert (answer.value, answer.granted) == ("y", False)
    assert [x.name for x in answer.selected_by] == ["LTO_CLANG"]


def test_the_arch_has_no_rust() -> None:
    (answer,) = why(load("6.12", "mips"), "RUST", {**BTF, "X86_64": "n"})
    assert "depends on HAVE_RUST" in [c.text for c in answer.blocking]
    assert answer.blocking[0].leaves[0].via == "nothing selects it"


def test_a_symbol_of_another_release() -> None:
    answer = one("6.12", "RUST_INLINE_HELPERS", dict(BTF))
    assert (answer.defined, answer.value) == (False, "n")


def test_a_fact_that_is_not_known() -> None:
    answer = one("6.14", "RUST", {**BTF, "PAHOLE_VERSION": None})
    assert answer.granted is None
    # BTF itself hangs on pahole, so more than one clause is open; none blocks.
    assert answer.blocking == ()
    assert [c.expr for c in answer.undecided] == ["!DEBUG_INFO_BTF || (PAHOLE_HAS_LANG_EXCLUDE && !LTO)"]
    values = {x.name: x.value for x in answer.undecided[0].leaves}
    assert values == {"DEBUG_INFO_BTF": "unknown", "PAHOLE_HAS_LANG_EXCLUDE": "unknown", "LTO": "n"}


def test_what_is_not_known_need_not_matter() -> None:
    assert one("6.14", "RUST", {**BTF_LTO, "PAHOLE_VERSION": "130", "KCOV": None}).value == "n"


def test_a_fragment_leaves_the_rest_open() -> None:
    wishes = {"RUST": "y", "DEBUG_INFO_BTF": "y", "LTO_CLANG_THIN": "y"}
    (answer,) = why(load("6.14", "x86_64"), "RUST", wishes, complete=False)
    assert [c.expr for c in answer.blocking] == ["!DEBUG_INFO_BTF || (PAHOLE_HAS_LANG_EXCLUDE && !LTO)"]
    (answer,) = why(load("6.14", "x86_64"), "RUST", {"DEBUG_INFO_BTF": "y"}, complete=False)
    assert answer.granted is None


def test_both_outcomes_where_the_text_is_not_known() -> None:
    answers = why(load("6.12.30"), "RUST", BTF_LTO)
    assert {a.value for a in answers} == {"y", "n"}
    assert sum(len(a.origins) for a in answers) == len(tables.models("6.12.30", "x86"))
    assert all(o.assumed and o.variant for a in answers for o in a.origins)


def test_a_complete_config_proves_what_the_tools_answered() -> None:
    (kconf,) = load("6.12.117")
    macros = {n for n in kconf.leaves if n.startswith("$(success,")}
    state = State(kconf, BTF_LTO)
    assert not macros & state.unknown
    # No HAS_LTO_CLANG, and clang is not the reason: one of the two was no llvm tool; which, is not known.
    state = State(kconf, {k: v for k, v in BTF_LTO.items() if k not in ("HAS_LTO_CLANG", "LTO_CLANG_THIN")})
    assert macros <= state.unknown


def test_the_first_wins_is_not_how_choices_work() -> None:
    (kconf,) = load("6.14")
    for order in (("LTO_NONE", "LTO_CLANG_THIN"), ("LTO_CLANG_THIN", "LTO_NONE")):
        values = {k: v for k, v in BTF.items() if not k.startswith("LTO_")} | dict.fromkeys(order, "y")
        state = State(kconf, values)
        assert state.text(kconf.syms[order[1]]) == "y"
        assert state.text(kconf.syms[order[0]]) == "n"


NAMES = sorted(load("7.3.4")[0].leaves | {s.name for s in load("7.3.4")[0].unique_defined_syms})
TEXTS = st.sampled_from(["y", "n", "m", "0", "123", "124", "-1", "0x10", "", "yes", "9" * 40, "ä", "\0"])


@given(st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=8), TEXTS | st.none(), max_size=30), st.booleans())
def test_any_values_get_an_answer(values: dict[str, str | None], complete: bool) -> None:
    for symbol in ("RUST", "DEBUG_INFO_BTF", "LTO"):
        for answer in why(load("7.3.4"), symbol, values, complete=complete):
            assert answer.value in ("y", "n", "m", "unknown")


FLAGS = [n for n in NAMES if n not in load("7.3.4")[0].numbers and not n.startswith("$(") and n != "X86"]
NUMBERS = {"PAHOLE_VERSION": "0 121 122 123 124 127 128 129 130", "RUSTC_VERSION": "0 108500 109600"}


@st.composite
def partly_known(draw: st.DrawFn) -> tuple[dict[str, str], set[str]]:
    values = {**BTF, **{n: draw(st.sampled_from("yn")) for n in draw(st.sets(st.sampled_from(FLAGS)))}}
    for name, texts in NUMBERS.items():
        values[name] = draw(st.sampled_from(texts.split()))
    hidden = draw(st.sets(st.sampled_from([*FLAGS, *NUMBERS]), max_size=12))
    return values, hidden


@given(partly_known())
def test_the_bounds_hold_whatever_the_unknown_is(case: tuple[dict[str, str], set[str]]) -> None:
    values, hidden = case
    (kconf,) = load("7.3.4")
    exact = State(kconf, values)
    if exact.unknown:  # macros that these values do not prove; give them an answer
        values |= {n: "19" if n in kconf.numbers else "y" for n in exact.unknown}
        exact = State(kconf, values)
    assert not exact.unknown
    computed = {s.name: exact.bounds(s) for s in kconf.unique_defined_syms if s.name not in kconf.leaves}
    shown: dict[str, str | None] = {k: None if k in hidden else v for k, v in values.items()}
    shown |= dict.fromkeys(hidden)
    vague = State(kconf, shown)
    for name, (low, high) in computed.items():
        least, most = vague.bounds(kconf.syms[name])
        assert least <= low <= high <= most, name


@pytest.mark.parametrize("release", ["6.1.192", "6.12.117", "7.3.4"])
def test_bounds_without_unknowns_are_kconfiglibs_own(release: str) -> None:
    (kconf,) = load(release)
    macros = {n for n in kconf.leaves if n.startswith("$(")} - set(kconf.numbers)
    state = State(kconf, {**BTF_LTO, **dict.fromkeys(macros, "y")})
    assert not state.unknown
    for symbol in kconf.unique_defined_syms:
        if symbol.name not in kconf.numbers:
            assert state.bounds(symbol) == (symbol.tri_value, symbol.tri_value)
