# SPDX-License-Identifier: MIT
"""Ways out of a tree: what the solver finds is all there is, and nothing more, by trying everything."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import kconfiglib as kl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pysat.solvers import Solver

import btfcheck.kconfig
from btfcheck.kconfig import answers, environment, tree
from btfcheck.kconfig.changes import Edit, Ways, ways_out
from btfcheck.kconfig.encoding import Encoding, Move
from btfcheck.kconfig.proposal import Trial

from .small_tree import MARKS, make

AROUND = environment.Environment({"ARCH": "x86", "SRCARCH": "x86", "KERNELVERSION": "9.8.7-test"})
TRISTATES = (kl.BOOL, kl.TRISTATE)
# What the small tree lacks: a number that decides, a chain of two lines, what a missing tool blocks.
MORE = """
config BIG
	bool "Big"
	depends on RANGED > 100

config NEEDS_BIG
	bool "Needs it"
	depends on BIG && !STRICT

config NEEDS_BAD
	bool "Needs a tool"
	depends on $(cc-option,-fbad)
"""


@pytest.fixture(scope="module", params=MARKS)
def kconf(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tree.Tree]:
    folder = tmp_path_factory.mktemp("tree")
    root = make(folder, request.param)
    with (root / "init/Kconfig").open("a") as file:
        file.write(MORE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        shell = answers.Answers(str(root), AROUND)
        loaded = tree.load(str(root), AROUND.values, shell)
        shell.close()
        yield loaded


def settable(kconf: tree.Tree) -> list[Any]:
    return [s for s in kconf.unique_defined_syms if s.orig_type in TRISTATES and any(n.prompt for n in s.nodes)]


class Draw:
    """Values and goals for a tree, from numbers that hypothesis makes smaller."""

    def __init__(self, kconf: tree.Tree, seed: int) -> None:
        self.dice = random.Random(seed)
        self.kconf = kconf
        self.symbols = settable(kconf)

    def values(self) -> dict[str, str | None]:
        said = self.dice.sample(self.symbols, self.dice.randrange(len(self.symbols)))
        words: dict[str, str | None] = {s.name: self.word(s) for s in said}
        pahole = self.dice.choice(["100", "120", "125"])
        return {**words, **self.kconf.measured, "PAHOLE_VERSION": pahole}

    def word(self, symbol: Any) -> str:
        return self.dice.choice("nmy" if symbol.orig_type is kl.TRISTATE else "ny")

    def goals(self) -> dict[str, str]:
        some = [s for s in self.kconf.unique_defined_syms if s.orig_type in TRISTATES and not s.transitional]
        some = [s for s in some if s.name not in self.kconf.leaves]
        return {s.name: self.word(s) for s in self.dice.sample(some, self.dice.choice([1, 1, 2, 3]))}


# The encoding says what evaluation says.


@given(seed=st.integers(0, 1 << 30))
def test_the_clauses_give_every_symbol_the_value_that_evaluation_gives_it(kconf: tree.Tree, seed: int) -> None:
    draw = Draw(kconf, seed)
    trial = Trial(kconf, draw.values(), True)
    trial.base()
    every = {s.name: "y" for s in kconf.unique_defined_syms if s.orig_type in TRISTATES}
    encoding = Encoding(kconf, every)
    made = draw.dice.sample(sorted(encoding.moves), draw.dice.choice([0, 1, 2, 4]))
    kept = [-w for w in encoding.wishes.values()] + list(encoding.lines)
    with Solver("glucose4", bootstrap_with=encoding.clauses) as solver:
        if not solver.solve(assumptions=[*kept, *(x if x in made else -x for x in encoding.moves)]):
            # Two answers to one question.
            items = [_question(kconf, encoding.moves[x]) for x in made]
            assert len(set(items)) < len(items)
            return
        model = set(solver.get_model())
    trial.state(frozenset(_edit(encoding.moves[x], model) for x in made))
    asked = [kconf.syms[encoding.moves[x].name] for x in made]
    if any(s.choice and not s.visibility for s in asked):
        return  # which member it is then is left open
    for symbol, (m, y) in encoding._symbols.items():
        if symbol.orig_type in TRISTATES:
            assert (y in model) + (m in model) == symbol.tri_value, symbol.name
    for symbol, options in encoding._texts.items():
        # What conf forgets when it has read all is what the others see all the same.
        assert symbol.forgotten or symbol.str_value in [text for when, text in options if when in model], symbol.name


def _question(kconf: tree.Tree, move: Move) -> Any:
    return kconf.syms[move.name].choice or move.name


def _edit(move: Move, model: set[int]) -> Edit:
    return Edit(move.name, next((text for when, text in move.options if when in model), move.value), move.tool)


# The search finds the smallest, all of them.


def moves(kconf: tree.Tree, goals: Mapping[str, str], values: Mapping[str, str | None]) -> list[Edit]:
    """Every single change that is no last resort."""
    found = [Edit(s.name, w) for s in settable(kconf) if s.name not in goals
             for w in (("y",) if s.choice else "nmy" if s.orig_type is kl.TRISTATE else "ny")]  # fmt: skip
    found += [Edit("PAHOLE_VERSION", n, True) for n in ("116", "124") if int(n) > int(values["PAHOLE_VERSION"] or 0)]
    found += [Edit(n, "y", True) for n in ("CC_BAD", "CC_GOOD") if n in kconf.leaves]
    return [*found, Edit("RANGED", "101")]


def tried(trial: Trial, goals: Mapping[str, str], size: int) -> set[frozenset[Edit]]:
    """Every set of so many changes that grants the goals, by evaluation."""
    trial.aim(goals)
    good = set()
    base = trial.values
    syms = trial.kconf.syms  # of a choice several members may be said to be y: then it is a change to say but one
    real = [e for e in moves(trial.kconf, goals, base) if base.get(e.name) != e.value or syms[e.name].choice]
    for some in combinations(real, size):
        names = {trial.kconf.syms[e.name].choice or e.name for e in some}
        taken = {trial.kconf.syms[g].choice for g, v in goals.items() if v == "y"} - {None}
        if len(names) == size and not names & taken and trial.holds(frozenset(some)):
            good.add(frozenset(some))
    return good


def without_numbers(sets: Any) -> set[frozenset[tuple[str, str]]]:
    """Of numbers only that they change: which of several will do is the nearest."""
    return {frozenset((e.name, "" if e.value.isdigit() else e.value) for e in edits) for edits in sets}


@settings(max_examples=max(20, settings().max_examples // 5))
@given(seed=st.integers(0, 1 << 30))
def test_no_smallest_way_is_missing_and_none_is_wrong(kconf: tree.Tree, seed: int) -> None:
    draw = Draw(kconf, seed)
    values, goals = draw.values(), draw.goals()
    found = ways_out([kconf], goals, values)
    assert found.settled
    assert not found.unknown
    granted = [way for way in found.ways if not way.given_up]
    assert found.impossible is not bool(granted)
    trial = Trial(kconf, values, True)
    trial.aim(goals)
    assert all(trial.holds(way.modelled) for way in granted)
    last = [e for way in granted for e in way.edits if e.lowers]
    sizes = {len(way.edits) for way in granted} or {3}
    for size in range(min(min(sizes), 2) + 1):
        expected = without_numbers(tried(trial, goals, size))
        if size < min(sizes) or last:
            assert not expected, (goals, expected)
        else:
            assert without_numbers(w.modelled for w in granted if len(w.edits) == size) == expected


@given(seed=st.integers(0, 1 << 30))
def test_what_is_called_impossible_no_setting_grants(kconf: tree.Tree, seed: int) -> None:
    draw = Draw(kconf, seed)
    goals = draw.goals()
    found = ways_out([kconf], goals, draw.values())
    if not found.impossible:
        return
    trial = Trial(kconf, kconf.measured, True)
    for clash in found.clashes:
        trial.aim({n: goals[n] for n in clash.goals})
        for _ in range(60):
            said = draw.dice.sample(draw.symbols, draw.dice.randrange(len(draw.symbols)))
            edits = {Edit(s.name, draw.word(s)) for s in said if s.name not in goals}
            assert not trial.holds(frozenset(edits | {Edit("PAHOLE_VERSION", draw.dice.choice(["100", "120", "130"]))}))


@given(seed=st.integers(0, 1 << 30))
def test_a_way_that_gives_up_a_goal_grants_the_others(kconf: tree.Tree, seed: int) -> None:
    draw = Draw(kconf, seed)
    values, goals = draw.values(), draw.goals()
    trial = Trial(kconf, values, True)
    for way in ways_out([kconf], goals, values).ways:
        trial.aim({n: v for n, v in goals.items() if n not in way.given_up})
        assert trial.holds(way.modelled)
        state = trial.state(way.modelled)
        assert all(state.text(kconf.syms[n]) != goals[n] for n in way.given_up)
        before = trial.kconf.syms
        assert all(state.text(before[n]) == after for n, _, after in way.changes)


# What is said.


@pytest.fixture
def newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tree.Tree:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = make(tmp_path)
    with (root / "init/Kconfig").open("a") as file:
        file.write(MORE)
    shell = answers.Answers(str(root), AROUND)
    loaded = tree.load(str(root), AROUND.values, shell)
    shell.close()
    return loaded


def ask(kconf: tree.Tree, goals: str, **values: str) -> Ways:
    return ways_out([kconf], dict.fromkeys(goals.split(), "y"), {**kconf.measured, **values})


def edits(found: Ways) -> list[dict[str, str]]:
    return [{e.name: e.value for e in way.edits} for way in found.ways if not way.given_up]


def test_the_clash_names_every_line_and_no_other_goal(newest: tree.Tree) -> None:
    found = ask(newest, "RUST DEBUG_INFO_BTF LTO_CLANG_THIN STRICT CRYPTO")
    (clash,) = found.clashes
    assert clash.goals == ("DEBUG_INFO_BTF", "LTO_CLANG_THIN", "RUST")
    assert [(n, c.file, c.line) for n, c in clash.lines] == [("RUST", "init/Kconfig", 27)]
    assert not clash.of_tools
    assert {w.given_up for w in found.ways} == {("RUST",), ("LTO_CLANG_THIN",), ("DEBUG_INFO_BTF",)}


def test_a_chain_is_told_line_by_line(newest: tree.Tree) -> None:
    (clash,) = ask(newest, "NEEDS_BIG RUST").clashes  # RUST selects STRICT
    assert [(n, c.expr) for n, c in clash.lines] == [("NEEDS_BIG", "!STRICT")]
    (clash,) = ask(newest, "DAX NEEDS_BIG STRICT").clashes
    assert clash.goals == ("NEEDS_BIG", "STRICT")


def test_what_only_another_tool_would_grant(newest: tree.Tree) -> None:
    (clash,) = ask(newest, "NEEDS_BAD").clashes
    assert clash.of_tools
    assert clash.lines[0][1].text == "depends on $(cc-option,-fbad)"
    assert not ask(newest, "LTO_NONE LTO_CLANG_THIN").clashes[0].of_tools


def test_members_of_one_choice_clash_without_a_line(newest: tree.Tree) -> None:
    (clash,) = ask(newest, "LTO_NONE LTO_CLANG_THIN").clashes
    assert clash.lines == ()


def test_a_number_is_moved_no_farther_than_need_be(newest: tree.Tree) -> None:
    assert edits(ask(newest, "BIG", RANGED="16")) == [{"RANGED": "101"}]
    assert edits(ask(newest, "RUST DEBUG_INFO_BTF", PAHOLE_VERSION="100")) == [{"PAHOLE_VERSION": "124"}]


def test_the_best_way_changes_the_least(newest: tree.Tree) -> None:
    found = ask(newest, "XTS", CRYPTO="n", DM="n")
    assert edits(found)[:1] == [{"CRYPTO": "y"}]
    assert [len(w.changes) for w in found.ways] == sorted(len(w.changes) for w in found.ways)


def test_without_the_solver_what_is_not_known_is_said(newest: tree.Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.partition(".")[0] == "pysat"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "pysat", None)
    monkeypatch.delitem(sys.modules, "btfcheck.kconfig.solve", raising=False)
    monkeypatch.delattr(btfcheck.kconfig, "solve", raising=False)
    found = ask(newest, "BIG", RANGED="16")
    assert (found.ways, found.clashes, found.unknown, found.lacks_solver) == ((), (), True, True)
    assert ask(newest, "RUST DEBUG_INFO_BTF LTO_CLANG_THIN").impossible


TREES = [t for t in os.environ.get("BTFCHECK_TREES", "").split(":") if t]


@pytest.mark.accept
@pytest.mark.slow
@pytest.mark.needs("flex", "bison", "cc")
@pytest.mark.parametrize("root", TREES)
def test_every_way_out_is_right_by_the_kernels_own_conf(root: str) -> None:
    script = Path(__file__).parents[1] / "proposals-oracle"
    done = subprocess.run([sys.executable, str(script), root, "--configs", "2"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_of_many_goals_those_that_clash(newest: tree.Tree) -> None:
    others = "CRYPTO STRICT 64BIT MODULES USB USB_GADGET"
    (clash,) = ask(newest, f"RUST DEBUG_INFO_BTF LTO_CLANG_THIN {others}").clashes
    assert clash.goals == ("DEBUG_INFO_BTF", "LTO_CLANG_THIN", "RUST")


def test_a_symbol_that_nobody_knows_is_given_up(newest: tree.Tree) -> None:
    found = ask(newest, "NO_SUCH BIG", RANGED="16")
    assert [(w.given_up, {e.name: e.value for e in w.edits}) for w in found.ways] == [(("NO_SUCH",), {"RANGED": "101"})]
    assert not found.clashes
    assert not found.unknown
