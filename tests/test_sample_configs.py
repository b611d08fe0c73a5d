# SPDX-License-Identifier: MIT
"""Real configurations, and the report that each must get; the expectations were derived by hand from Kconfig."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from btfcheck import cli
from btfcheck.config import read

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "sample_configs"
ORIGIN = tomllib.loads((SAMPLES / "origin.toml").read_text(encoding="utf-8"))


def runs() -> list[Any]:
    """(configuration, run) for every [[run]] of every *.expected.toml."""
    return [
        pytest.param(name, run, id=" ".join([name, *run["args"]]))
        for name in sorted(ORIGIN)
        for run in tomllib.loads((SAMPLES / f"{name}.expected.toml").read_text(encoding="utf-8"))["run"]
    ]


def words(outcome: dict[str, Any]) -> str:
    """Everything that a user can read in an outcome."""
    facts = [f"{f['name']}={f['value']} {f['source'].get('text', '')}" for f in outcome["facts"]]
    texts = [place.get("text", "") for place in outcome["locations"]]
    lists = [line for key in ("notes", "fragment", "missing") for line in outcome.get(key, [])]
    return "\n".join([outcome["message"], outcome["fix"], *facts, *texts, *lists])


@pytest.mark.parametrize(("name", "run"), runs())
def test_the_report_is_the_expected_one(
    name: str, run: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)  # --want-file names files from there
    code = cli.main(["check", f"sample_configs/{name}.config", "--no-probe", "--output", "json", *run["args"]])
    printed = capsys.readouterr()
    assert printed.out, printed.err
    report = json.loads(printed.out)

    def key(row: dict[str, Any], status: str) -> tuple[str, ...]:
        return status, row["severity"], row["rule"], row["subject"]

    wanted = {key(row, status): row.get("says", []) for status in ("finding", "unknown") for row in run.get(status, [])}
    got = [(key(o, o["status"]), words(o)) for o in report["outcomes"] if o["status"] not in ("ok", "skip")]
    if run.get("more"):  # a fragment leaves much open; only what is listed is asked for
        got = [(k, text) for k, text in got if k in wanted]
    assert sorted(k for k, _ in got) == sorted(wanted)
    assert [(k, says) for k, text in got for says in wanted[k] if says not in text] == []
    assert code == run["exit"]


def test_every_sample_has_an_origin_and_an_expected_report() -> None:
    names = {path.name.removesuffix(".config") for path in SAMPLES.glob("*.config")}
    assert names == set(ORIGIN)
    assert names == {path.name.removesuffix(".expected.toml") for path in SAMPLES.glob("*.expected.toml")}
    assert len({entry["maker"].split(" (")[0].split(" 1")[0] for entry in ORIGIN.values()}) >= 12
    assert len({entry["architecture"] for entry in ORIGIN.values()}) >= 8


@pytest.mark.parametrize("name", sorted(ORIGIN))
def test_the_header_is_what_origin_says(name: str) -> None:
    config = read(str(SAMPLES / f"{name}.config"))
    entry = ORIGIN[name]
    assert config.complete is (entry["kind"] == "complete")
    if config.complete:
        assert (config.arch, config.release) == (entry["architecture"], entry["release"])
