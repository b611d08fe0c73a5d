# SPDX-License-Identifier: MIT
"""Output: rustc-like text, JSON that the schema accepts, exit codes that no format changes."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from btfcheck.formats import FORMATS, render
from btfcheck.formats.style import Style, printable
from btfcheck.lint.policy import exit_code
from btfcheck.model import Fact, Location, Outcome, Report, Severity, Status

SCHEMA = json.loads((Path(__file__).parents[2] / "btfcheck/formats/report.schema.json").read_text())
PLAIN = Style(False)

FINDING = Outcome(
    "BTF101", Status.FINDING, Severity.ERROR, "RUST", "Kconfig drops CONFIG_RUST",
    facts=(Fact("LTO_CLANG_THIN", "y", Location(".config", 455, "CONFIG_LTO_CLANG_THIN=y")),),
    notes=("read in 6.14.0",), fix="choose two\nof the three", fragment=("CONFIG_LTO_NONE=y",),
)  # fmt: skip


def outcome(status: Status, severity: Severity = Severity.ERROR) -> Outcome:
    return Outcome("BTF901", status, severity, "s", "m", missing=("PAHOLE_VERSION: no tool was run",))


def test_a_finding_reads_like_rustc() -> None:
    text = render("text", Report("check", [FINDING]), 1, PLAIN)
    assert text == (
        "error[BTF101]: Kconfig drops CONFIG_RUST\n"
        "  --> .config:455  CONFIG_LTO_CLANG_THIN=y\n"
        "   = note: read in 6.14.0\n"
        "   = fix: choose two\n"
        "          of the three\n"
        "   |   CONFIG_LTO_NONE=y\n"
        "   = help: btfcheck explain BTF101\n"
        "\n"
        "btfcheck check: 1 error (0 passed, 0 did not apply)\n"
    )


def test_a_clean_report_is_one_line() -> None:
    text = render("text", Report("check", [outcome(Status.OK), outcome(Status.SKIP)]), 0, PLAIN)
    assert text == "btfcheck check: no findings (1 passed, 1 did not apply)\n"


def test_nothing_to_check_is_one_line() -> None:
    text = render("text", Report("check", [], nothing="no BTF is asked for"), 4, PLAIN)
    assert text == "btfcheck check: nothing to check: no BTF is asked for\n"


def test_unknowns_that_lack_the_same_are_told_once() -> None:
    report = Report("check", [outcome(Status.UNKNOWN) for _ in range(3)])
    assert render("text", report, 3, PLAIN).count("PAHOLE_VERSION") == 1


@pytest.mark.parametrize(
    ("statuses", "fail_on", "allow", "nothing", "expected"),
    [
        ([Status.OK], "error", False, "", 0),
        ([Status.FINDING], "error", False, "", 1),
        ([Status.FINDING], "never", False, "", 0),
        ([Status.UNKNOWN], "error", False, "", 3),
        ([Status.UNKNOWN], "error", True, "", 0),
        ([Status.UNKNOWN], "never", False, "", 0),
        ([Status.ERROR], "never", True, "", 3),
        ([Status.FINDING, Status.ERROR], "error", False, "", 1),
        ([Status.ERROR], "error", False, "nothing", 3),
        ([], "error", False, "nothing", 4),
        ([Status.SKIP], "error", False, "", 0),
    ],
)
def test_exit_codes(statuses: list[Status], fail_on: str, allow: bool, nothing: str, expected: int) -> None:
    report = Report("check", [outcome(s) for s in statuses], nothing=nothing)
    assert exit_code(report, fail_on, allow) == expected


@pytest.mark.parametrize(("severity", "fail_on", "expected"), [
    (Severity.WARNING, "error", 0), (Severity.WARNING, "warning", 1), (Severity.NOTE, "warning", 0),
    (Severity.NOTE, "note", 1), (Severity.ERROR, "note", 1),
])  # fmt: skip
def test_fail_on(severity: Severity, fail_on: str, expected: int) -> None:
    assert exit_code(Report("check", [outcome(Status.FINDING, severity)]), fail_on) == expected
    unknown = exit_code(Report("check", [outcome(Status.UNKNOWN, severity)]), fail_on)
    assert unknown == (3 if expected else 0)


names = st.text(max_size=20)


@given(names, names, st.none() | names, st.sampled_from(Status), st.sampled_from(Severity))
def test_any_text_renders_and_validates(
    subject: str, message: str, value: str | None, status: Status, severity: Severity
) -> None:
    fact = Fact("X", value, Location(message, 3, subject), True, message)
    item = Outcome("BTF999", status, severity, subject, message, facts=(fact,), notes=(subject,), fix=message)
    report = Report("check", [item], {"facts": {}})
    for fmt in FORMATS:
        text = render(fmt, report, exit_code(report), PLAIN)
        if fmt == "json":
            jsonschema.validate(json.loads(text), SCHEMA)
        else:
            assert all(printable(line) == line for line in text.split("\n"))


def test_fingerprint_is_free_of_places() -> None:
    moved = FINDING._replace(locations=(Location("/elsewhere/.config", 9),), message="other words")
    assert moved.fingerprint == FINDING.fingerprint
    assert FINDING._replace(subject="LTO").fingerprint != FINDING.fingerprint
