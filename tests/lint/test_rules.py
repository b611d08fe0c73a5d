# SPDX-License-Identifier: MIT
"""Rule files: every shipped rule proves its examples; every mistake in a file is told exactly."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btfcheck.lint.engine import example_facts, judge
from btfcheck.lint.expr import parse
from btfcheck.lint.rules import Rule, load
from btfcheck.lint.vocabulary import RETIRED, span
from btfcheck.model import UsageError
from btfcheck.release import parse as release

RULES = load()
CASES = [(r, e) for r in RULES.rules.values() if r.when for e in r.examples]


@pytest.mark.parametrize(("rule", "example"), CASES, ids=[f'{r.id}-{e["title"]}' for r, e in CASES])
def test_example(rule: Rule, example: Mapping[str, Any]) -> None:
    outcome = judge(rule, example_facts(example), RULES)
    assert outcome.status.value == example["expect"], (outcome.message, outcome.facts, outcome.missing)


@pytest.mark.parametrize("rule", RULES.rules.values(), ids=RULES.rules)
def test_every_rule_is_complete(rule: Rule) -> None:
    expected = {e["expect"] for e in rule.examples}
    # A rule about what cannot be read never finds anything: it does not know.
    assert "ok" in expected, f"{rule.id} needs an example that does not fire"
    assert expected & {"finding", "unknown"}, f"{rule.id} needs an example that fires"
    assert rule.evidence
    assert rule.id not in RETIRED
    hundred = {"config": "1", "toolchain": "2", "dwarf": "3", "btf": "4", "encode": "5"}[rule.stage]
    assert rule.id[3] == hundred
    for text in (rule.message, rule.why, rule.fix, *rule.evidence):
        assert text
        assert "lab/" not in text


def test_every_symbol_and_derived_fact_is_used() -> None:
    used = set()
    texts = [x for r in RULES.rules.values() for x in (r.when, r.applies) if x]
    texts += [d.value for d in RULES.derived.values()]
    for text in texts:
        for name in parse(text).symbols():
            used.add(name)
            used.add(name.partition("_")[2])
    for rule in RULES.rules.values():
        for example in rule.examples:
            used |= {n for name in example.get('facts', {}) for n in (name, name.partition("_")[2])}
    assert not (RULES.derived.keys() - used)


RULE = """
[BTF901]
name = "mine"
severity = "warning"
stage = "config"
when = "RUST && LTO"
message = "m"
why = "w"
fix = "f"
evidence = ["e"]
[[BTF901.example]]
title = "t"
expect = "finding"
facts = { RUST = "y" }
"""


def write(folder: Path, text: str, name: str = "mine.toml") -> list[str]:
    (folder / name).write_text(text)
    return [str(folder)]


def test_own_rules_are_added(tmp_path: Path) -> None:
    rules = load(write(tmp_path, RULE))
    assert rules.find("mine") is rules.rules["BTF901"]
    assert rules.find("btf901") is rules.rules["BTF901"]


def test_own_symbols(tmp_path: Path) -> None:
    write(tmp_path, '[MY_SYM]\nkind = "config"\nabout = "mine"\n', "symbols.toml")
    assert "MY_SYM" in load(write(tmp_path, RULE.replace("LTO", "MY_SYM"))).symbols


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('fix = "f"', "", "[BTF901] fix: missing"),
        ('fix = "f"', "fix = 1", "[BTF901] fix: str expected, not int"),
        ('fix = "f"', 'fix = "f"\nfixx = "g"', "[BTF901] fixx: unknown key"),
        ('severity = "warning"', 'severity = "fatal"', "[BTF901] severity: 'fatal' is not one of"),
        ('stage = "config"', 'stage = "x"', "[BTF901] stage: 'x' is not one of"),
        ('when = "RUST && LTO"', 'when = "RUST &&"', "[BTF901] when: bad expression"),
        ('when = "RUST && LTO"', 'when = "RUST && NOSUCH"', "nobody knows the symbol NOSUCH"),
        ('when = "RUST && LTO"', "", "exactly one of 'when' and 'check'"),
        ('name = "mine"', 'name = "Mine!"', "[BTF901] name:"),
        ('name = "mine"', 'name = "rust-arch"', "'rust-arch' is taken by"),
        ("BTF901", "BTF101", "'BTF101' is taken by"),
        ("BTF901", "XYZ1", "a rule id is BTF and three digits"),
        ('evidence = ["e"]', "evidence = [1]", "evidence: a list of strings"),
        ('expect = "finding"', 'expect = "maybe"', "example 1 expect"),
        ('facts = { RUST = "y" }', "facts = { RUST = true }", "facts.RUST: a string expected"),
        ('facts = { RUST = "y" }', 'facts = { RUSTY = "y" }', "nobody knows the symbol RUSTY"),
        ('message = "m"', 'message = "m"\nkernel = ["six"]', "bad kernel range 'six'"),
        ('message = "m"', 'message = "m"\nrelated = ["BTF999"]', "there is no rule BTF999"),
        ("[BTF901]\n", "[BTF901\n", "not TOML"),
        ("[BTF901]\n", "BTF902 = 1\n[BTF901]\n", "a table is expected"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(UsageError) as told:
        load(write(tmp_path, RULE.replace(old, new)))
    assert words in str(told.value)
    assert "mine.toml" in str(told.value)


def test_directory_mistakes(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        load([str(tmp_path / "no")])
    with pytest.raises(UsageError, match=r"no \*.toml"):
        load([str(tmp_path)])


@given(st.text(max_size=300))
def test_any_text_is_rules_or_a_clear_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("rules")
    (folder / "x.toml").write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        load([str(folder)])
    except UsageError as error:
        assert "x.toml" in str(error)


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("6.14..", ["6.14", "6.14.3", "7.3"], ["6.13.12", "6.14-rc1"]),
        ("..6.11", ["6.1", "6.11", "6.11.11"], ["6.12"]),
        ("6.12.117..6.12.*", ["6.12.117", "6.12.200"], ["6.12.116", "6.13", "6.12"]),
        ("6.2", ["6.2", "6.2.9"], ["6.3", "6.1.9"]),
        ("6.1..6.1.0", ["6.1"], ["6.1.1"]),
    ],
)
def test_span(text: str, inside: list[str], outside: list[str]) -> None:
    found = span("here", text)
    for one in inside:
        assert found.covers(release(one)), one
    for one in outside:
        assert not found.covers(release(one)), one


def test_rules_that_cannot_be_kept_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/more.toml").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    assert load([str(tmp_path / "rules")]).rules
    assert [p for p in (tmp_path / "cache").rglob("*") if p.is_file()] == []
