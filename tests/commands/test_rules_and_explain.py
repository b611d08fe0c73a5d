# SPDX-License-Identifier: MIT
"""`rules` and `explain`: every rule has a page; every verb's JSON keeps to the published schema."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from btfcheck import cli
from btfcheck.lint.rules import load

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "btfcheck/formats/report.schema.json").read_text())


def run(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = cli.main(list(words))
    return code, capsys.readouterr().out


def test_rules_lists_every_rule(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run("rules", capsys=capsys)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == list(load().rules)
    code, out = run("rules", "--stage", "toolchain", capsys=capsys)
    assert all(line.startswith("BTF2") for line in out.splitlines())


@pytest.mark.parametrize("rule", load().rules.values(), ids=load().rules)
def test_every_rule_has_a_page(rule: object, capsys: pytest.CaptureFixture[str]) -> None:
    for word in (rule.id.lower(), rule.name):  # type: ignore[attr-defined]
        code, out = run("explain", word, capsys=capsys)
        assert code == 0
        for head in ("Why it matters", "How to mend it", "When", "Examples", "Evidence"):
            assert head in out
        assert rule.evidence[0] in out  # type: ignore[attr-defined]
        for example in rule.examples:  # type: ignore[attr-defined]
            assert example["title"] in out


def test_an_unknown_rule_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "rust-btf-lto-block"]) == 2
    assert "did you mean rust-btf-lto-blocked" in capsys.readouterr().err


SAMPLE = "sample_configs/btfcheck-6.12.117-x86_64-thinlto.config"


@pytest.mark.parametrize("words", [
    ["rules"], ["explain", "BTF101"], ["check", SAMPLE, "--no-probe"],
    ["check", SAMPLE, "--no-probe", "--want", "GENDWARFKSYMS"], ["check", SAMPLE, "--no-probe", "--kernel", "6.12.50"],
    ["probe"], ["probe", "--no-probe"], ["explain", "--log", "README.md"],
    ["explain", "rust-types-in-btf"], ["explain", "kernel-rust-name"], ["explain", "unknown-message"],
    ["explain", "RUST", SAMPLE, "--no-probe", "--want", "SCHED_CLASS_EXT"],
], ids=" ".join)  # fmt: skip
def test_json_keeps_to_the_schema(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    code, out = run(*words, "--output", "json", capsys=capsys)
    data = json.loads(out)
    jsonschema.validate(data, SCHEMA)
    assert data["summary"]["exit"] == code
    assert data["command"] == words[0]
