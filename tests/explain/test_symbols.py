# SPDX-License-Identifier: MIT
"""`explain SYMBOL`: value, clauses, what selects it, who goes off with it, and ways out that hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from btfcheck import cli

ROOT = Path(__file__).parents[2]
THIN = ROOT / "sample_configs/btfcheck-6.12.117-x86_64-thinlto.config"
ARCH = ROOT / "sample_configs/arch-6.17.5-x86_64-generic.config"
DEBIAN = ROOT / "sample_configs/debian-6.12.117-amd64-generic.config"


def asked(capsys: pytest.CaptureFixture[str], *words: object, code: int = 0) -> dict[str, Any]:
    assert cli.main(["explain", *map(str, words), "--no-probe", "--output", "json"]) == code
    data: dict[str, Any] = json.loads(capsys.readouterr().out)
    return data


def test_the_clause_that_blocks_and_each_leaf(capsys: pytest.CaptureFixture[str]) -> None:
    data = asked(capsys, "RUST", THIN)
    (blocking,) = [c for c in data["clauses"] if c["value"] == "n"]
    assert blocking["expr"] == "!DEBUG_INFO_BTF || (PAHOLE_HAS_LANG_EXCLUDE && !LTO)"
    leaves = {leaf["name"]: leaf for leaf in blocking["leaves"]}
    assert leaves["LTO"]["via"] == "selected by LTO_CLANG"
    assert [leaf["name"] for leaf in leaves["PAHOLE_HAS_LANG_EXCLUDE"]["sources"]] == ["PAHOLE_VERSION"]
    assert data["symbol"]["value"] == "n"
    assert data["recorded"]["value"] == "y"


def test_every_way_out_holds_when_it_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ways = asked(capsys, "RUST", THIN)["ways_out"]
    assert {e["name"] for w in ways for e in w["edits"]} == {"DEBUG_INFO_BTF", "LTO_NONE"}
    for number, way in enumerate(ways):
        assert not any(e["tool"] for e in way["edits"])
        lines = THIN.read_text().splitlines()
        for edit in way["edits"]:
            lines = [x for x in lines if f"CONFIG_{edit['name']}=" not in x and f"CONFIG_{edit['name']} " not in x]
            lines.append(edit["text"])
        if way["edits"][0]["name"] == "LTO_NONE":
            lines = [x for x in lines if not x.startswith("CONFIG_LTO_CLANG_THIN=")]
        changed = tmp_path / f"{number}.config"
        changed.write_text("\n".join(lines) + "\n")
        assert [a["granted"] for a in asked(capsys, "RUST", changed)["symbol"]["answers"]] == [True]


def test_what_cannot_all_be_had_is_proven_by_the_clash(capsys: pytest.CaptureFixture[str]) -> None:
    data = asked(capsys, "RUST", ARCH, "--want", "DEBUG_INFO_BTF", "--want", "LTO_CLANG_THIN")
    (clash,) = data["clashes"]
    assert sorted(clash["goals"]) == ["DEBUG_INFO_BTF", "LTO_CLANG_THIN", "RUST"]
    assert "!LTO" in clash["clause"]["text"]
    assert all(way["given_up"] for way in data["ways_out"])
    refused = {a["symbol"] for a in data["symbol"]["answers"] if a["granted"] is not True}
    assert refused == {"LTO_CLANG_THIN"}


def test_text_does_not_call_all_granted_when_one_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["explain", "RUST", str(ARCH), "--no-probe", "--want", "DEBUG_INFO_BTF", "--want", "LTO_CLANG_THIN"]
    assert cli.main(words) == 0
    out = capsys.readouterr().out
    assert "granted, but not all of these with it" in out
    assert "What keeps LTO_CLANG_THIN off" in out
    assert "cannot all be had" in out


def test_who_goes_off_with_it_and_what_selects_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert "DEBUG_INFO_BTF_MODULES" in asked(capsys, "DEBUG_INFO_BTF", DEBIAN)["symbol"]["losers"]
    selected = asked(capsys, "CONFIG_LTO", THIN)["symbol"]["selected_by"]
    assert [(s["name"], s["value"]) for s in selected] == [("LTO_CLANG", "y")]


def test_a_number_is_told_and_not_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    data = asked(capsys, "PAHOLE_VERSION", ARCH)
    assert data["symbol"]["value"] == "130"
    assert data["symbol"]["wanted"] == {}
    assert data["ways_out"] == []


def test_what_the_tools_decide_is_told_and_not_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    data = asked(capsys, "CC_IS_CLANG", DEBIAN)
    assert (data["symbol"]["value"], data["symbol"]["wanted"], data["ways_out"]) == ("n", {}, [])
    assert cli.main(["explain", "CC_IS_CLANG", str(DEBIAN), "--no-probe"]) == 0
    assert "the tools decide it; no configuration sets it" in capsys.readouterr().out


def test_a_way_without_another_change_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    data = asked(capsys, "RUST", ARCH, "--want", "RUST=n")
    assert data["ways_out"][0]["edits"] == []
    assert data["ways_out"][0]["text"].startswith("ask for it, and change nothing else")


def test_what_is_wanted_off(capsys: pytest.CaptureFixture[str]) -> None:
    data = asked(capsys, "RUST", ARCH, "--want", "RUST=n")
    assert [a["granted"] for a in data["symbol"]["answers"]] == [True]
    assert data["ways_out"]


def test_what_cannot_be_told_is_exit_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fragment = tmp_path / "fragment.config"
    fragment.write_text("CONFIG_RUST=y\n")
    data = asked(capsys, "RUST", fragment, "--kernel", "6.14", code=3)
    (unknown,) = data["outcomes"]
    assert unknown["status"] == "unknown"
    assert "RUST_IS_AVAILABLE" in unknown["missing"]


@pytest.mark.parametrize(("words", "said"), [
    (["NO_SUCH_SYMBOL", str(ARCH)], "no symbol NO_SUCH_SYMBOL"),
    (["RUST", str(ARCH), str(DEBIAN)], "one configuration"),
    (["BTF101", str(ARCH)], "nothing follows a RULE"),
    (["BTF999"], "no rule 'BTF999'"),
    ([], "is expected"),
], ids=lambda w: " ".join(w)[:20] if isinstance(w, list) else "")  # fmt: skip
def test_wrong_usage(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", *words, "--no-probe"]) == 2
    assert said in capsys.readouterr().err
