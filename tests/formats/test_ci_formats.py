# SPDX-License-Identifier: MIT
"""SARIF, JUnit, GitHub and Markdown: well formed whatever the names are, and complete."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
import xmlschema
from hypothesis import given
from hypothesis import strategies as st

from btfcheck.cli import main
from btfcheck.formats import github, junit, markdown, sarif
from btfcheck.formats.style import Style
from btfcheck.lint.policy import exit_code
from btfcheck.model import Location, Outcome, Report, Severity, Status

PLAIN = Style(False)
DATA = Path(__file__).parents[1] / "data/formats"
SARIF = jsonschema.Draft4Validator(json.loads((DATA / "sarif-schema-2.1.0.json").read_text()))
JUNIT = xmlschema.XMLSchema(str(DATA / "junit-10.xsd"))
TOLD = (Status.FINDING, Status.UNKNOWN, Status.ERROR)
texts = st.text(st.characters(codec=None, categories=None), max_size=40)
locations = st.builds(
    Location, texts.filter(bool), st.none() | st.integers(1, 9), texts, texts
)
outcomes = st.builds(
    Outcome, st.sampled_from(["BTF101", "BTF507", "X1"]), st.sampled_from(Status), st.sampled_from(Severity),
    texts, texts, st.lists(locations, max_size=2).map(tuple), st.just(()), st.lists(texts, max_size=2).map(tuple),
    texts, st.just(()), st.lists(texts, max_size=1).map(tuple),
)  # fmt: skip
reports = st.builds(Report, st.just("gate"), st.lists(outcomes, max_size=5), st.just({}), texts,
                    st.sampled_from(["error", "warning", "note", "never"]))
ONE = Outcome("BTF507", Status.FINDING, Severity.ERROR, "vmlinux", "50%: bad, worse", (Location("a,b:c", 3),),
              notes=("one\ntwo",), fix="mend it")  # fmt: skip


@given(reports)
def test_any_report_is_sarif(report: Report) -> None:
    document = json.loads(sarif.render(report, 1, PLAIN))
    SARIF.validate(document)
    (run,) = document["runs"]
    ids = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert set(ids) == {o.rule for o in report.outcomes}
    told = [o for o in report.outcomes if o.status in TOLD]
    for result, outcome in zip(run["results"], told, strict=True):
        assert ids[result["ruleIndex"]] == result["ruleId"] == outcome.rule
        assert (result["kind"] == "fail") == (outcome.status is Status.FINDING)
        assert (result["level"] == "none") == (outcome.status is not Status.FINDING)
        for place in result["locations"]:
            uri = place["physicalLocation"]["artifactLocation"]["uri"]
            assert re.fullmatch(r"[\w.~!$&'()*+,;=:@/%-]+", uri, re.ASCII), uri
        assert result["partialFingerprints"] == {"btfcheck/v1": outcome.fingerprint}
    sarif.render(report, 1, PLAIN).encode("ascii")


def test_sarif_says_where_inside_an_elf_file() -> None:
    place = Location("vmlinux", logical="BTF type 6, STRUCT Option<u32>")
    (result,) = sarif.document(Report("gate", [ONE._replace(locations=(place,))]), 1)["runs"][0]["results"]
    (found,) = result["locations"]
    assert found["logicalLocations"] == [{"fullyQualifiedName": "BTF type 6, STRUCT Option<u32>"}]
    assert found["physicalLocation"]["artifactLocation"]["uri"] == "vmlinux"


def test_sarif_uris_are_relative_below_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert sarif._uri(str(tmp_path / "a b")) == "a%20b"
    assert sarif._uri("/elsewhere/x") == "file:///elsewhere/x"


@given(reports)
def test_any_report_is_junit(report: Report) -> None:
    text = junit.render(report, 1, PLAIN)
    root = ElementTree.fromstring(text.encode("utf-8"))
    JUNIT.validate(root)
    cases = root.findall("./testsuite/testcase")
    assert len(cases) == len(report.outcomes) == int(root.attrib["tests"])
    found = {tag: len(root.findall(f".//testcase/{tag}")) for tag in ("failure", "error", "skipped")}
    assert found["failure"] == int(root.attrib["failures"])
    assert found["error"] == int(root.attrib["errors"])
    assert found["skipped"] == int(root[0].attrib["skipped"])
    assert sum(found.values()) >= len(report.outcomes) - report.count(Status.OK) - report.count(Status.FINDING)
    assert bool(found["failure"] or found["error"]) == (exit_code(report, report.fail_on) in (1, 3))


@pytest.mark.parametrize(("fail_on", "failures"), [("error", 0), ("warning", 1), ("note", 1), ("never", 0)])
def test_junit_fails_as_the_exit_code_does(fail_on: str, failures: int) -> None:
    report = Report("gate", [ONE._replace(severity=Severity.WARNING)], fail_on=fail_on)
    assert f'failures="{failures}"' in junit.render(report, 0, PLAIN)


@pytest.mark.parametrize(("severity", "allow", "tag"), [("error", False, "error"), ("note", False, "skipped"),
                                                        ("error", True, "skipped")])  # fmt: skip
def test_junit_errs_as_the_exit_code_does(severity: str, allow: bool, tag: str) -> None:
    report = Report("gate", [ONE._replace(status=Status.UNKNOWN, severity=Severity(severity))])
    report.allow_unknown = allow
    assert f"<{tag} " in junit.render(report, 0, PLAIN)


@given(reports)
def test_any_report_is_one_workflow_command_a_line(report: Report) -> None:
    text = github.render(report, 1, PLAIN)
    for line in text.split("\n")[:-1]:
        assert re.fullmatch(r"::(error|warning|notice) (\w+=[^,:\r\n]*)(,\w+=[^,:\r\n]*)*::[^\r\n]*", line), line
    told = sum(o.status in TOLD for o in report.outcomes)
    assert text.count("\n") == told + bool(report.nothing)


def test_github_escapes() -> None:
    assert github.render(Report("gate", [ONE]), 1, PLAIN) == (
        "::error file=a%2Cb%3Ac,line=3,title=BTF507 vmlinux::50%25: bad, worse%0Aone%0Atwo%0Afix: mend it\n"
    )


def test_github_files_are_named_from_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for path, shown in ((str(tmp_path / "sub/.config"), "sub/.config"), ("/elsewhere/x", "/elsewhere/x"), ("a", "a")):
        line = github.render(Report("gate", [ONE._replace(locations=(Location(path),))]), 1, PLAIN)
        assert line.startswith(f"::error file={shown},title=")


@given(reports)
def test_any_report_is_markdown(report: Report) -> None:
    text = markdown.render(report, 1, PLAIN, None)
    assert text.startswith("## btfcheck gate\n")
    table = [line for line in text.split("\n") if line.startswith("| ") and "---" not in line]
    for row in table:
        assert len(re.findall(r"(?<!\\)\|", row)) == 5, row


def test_markdown_reads_no_markup() -> None:
    report = Report("gate", [ONE._replace(subject="<img src=x>", message="a | b [x](y)", notes=("```\nevil",))])
    text = markdown.render(report, 1, PLAIN, None)
    assert "<img" not in text
    assert "a \\| b \\[x\\]\\(y\\)" in text
    assert "````text\n```\nevil" in text


def test_several_formats_in_one_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / ".config"
    config.write_text("# Linux/x86 6.12.0 Kernel Configuration\nCONFIG_DEBUG_INFO_BTF=y\nCONFIG_RUST=y\n")
    names = {fmt: tmp_path / fmt for fmt in ("json", "sarif", "junit", "github", "markdown")}
    outputs = [w for fmt, path in names.items() for w in ("--output", f"{fmt}:{path}")]
    code = main(["check", str(config), "--no-probe", *outputs, "--output", "text"])
    assert capsys.readouterr().out
    count = len(json.loads(names["json"].read_text())["outcomes"])
    (run,) = json.loads(names["sarif"].read_text())["runs"]
    assert 0 < len(run["results"]) < count
    assert len(ElementTree.parse(names["junit"]).findall(".//testcase")) == count
    assert names["markdown"].read_text().startswith("## btfcheck check")
    assert code == main(["check", str(config), "--no-probe", "--output", "sarif"])
