# SPDX-License-Identifier: MIT
"""JUnit XML: a test case for every rule and subject, passed and skipped ones included.

Findings below --fail-on pass, with their text in system-out, and what could not be told there is skipped, so that a
CI server goes red exactly when the exit code is not 0. Control characters, which XML cannot write, are shown as \\xNN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from btfcheck.formats.style import printable
from btfcheck.model import Outcome, Report, Severity, Status

if TYPE_CHECKING:
    from btfcheck.formats import Body
    from btfcheck.formats.style import Style


def render(report: Report, exit_code: int, style: Style, body: Body | None = None) -> str:  # noqa: ARG001
    cases = [(outcome, _kind(outcome, report)) for outcome in report.outcomes]
    counts = {kind: sum(k == kind for _, k in cases) for kind in ("failure", "error", "skipped")}
    numbers = f'tests="{len(cases)}" failures="{counts["failure"]}" errors="{counts["error"]}"'
    skipped = f'skipped="{counts["skipped"]}"'  # an attribute of testsuite only
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f'<testsuites name="btfcheck" {numbers}>',
             f'  <testsuite name={_attribute("btfcheck " + report.command)} {numbers} {skipped}>']
    if report.nothing:
        lines.append(f"    <system-out>{_text(report.nothing)}</system-out>")
    for outcome, kind in cases:
        lines += _case(outcome, kind)
    return "\n".join([*lines, "  </testsuite>", "</testsuites>", ""])


def _kind(outcome: Outcome, report: Report) -> str:
    counts = report.fail_on != "never" and outcome.severity.rank >= Severity(report.fail_on).rank
    if outcome.status is Status.FINDING:
        return "failure" if counts else "note"
    if outcome.status is Status.UNKNOWN:  # never passed, and an error where the exit code says so
        return "error" if counts and not report.allow_unknown else "skipped"
    return {Status.SKIP: "skipped", Status.ERROR: "error"}.get(outcome.status, "passed")


def _case(outcome: Outcome, kind: str) -> list[str]:
    head = f'    <testcase classname={_attribute(f"btfcheck.{outcome.rule}")} name={_attribute(_name(outcome))}'
    if kind == "passed":
        return [head + "/>"]
    message = _attribute(outcome.message or outcome.status.value)
    text = _text("\n".join(_details(outcome)))
    inner = {
        "failure": f"<failure type={_attribute(outcome.severity.value)} message={message}>{text}</failure>",
        "error": f"<error type={_attribute(outcome.status.value)} message={message}>{text}</error>",
        "skipped": f"<skipped message={message}/>",
        "note": f"<system-out>{_text(outcome.message)}\n{text}</system-out>",
    }[kind]
    return [head + ">", "      " + inner, "    </testcase>"]


def _name(outcome: Outcome) -> str:
    return f"{outcome.subject} ({outcome.key})" if outcome.key else outcome.subject


def _details(outcome: Outcome) -> list[str]:
    lines = [f"{outcome.severity.value}[{outcome.rule}]: {outcome.message}"]
    lines += [f"  --> {place}" for place in outcome.locations[:10]]
    lines += [f"  note: {note}" for note in outcome.notes]
    lines += [f"  missing: {one}" for one in outcome.missing]
    return lines + ([f"  fix: {outcome.fix}"] if outcome.fix else [])


def _text(text: str) -> str:
    return escape("\n".join(printable(line) for line in text.splitlines()))


def _attribute(text: str) -> str:
    return quoteattr(printable(" ".join(text.splitlines())))
