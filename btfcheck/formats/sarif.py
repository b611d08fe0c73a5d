# SPDX-License-Identifier: MIT
"""SARIF 2.1.0 (OASIS), as code hosts read it. Fingerprints are those of the outcomes, so that they stay the same
from build to build; what stands inside an ELF file is a logical location.

A result is a finding, or what could not be judged. Rules that passed or did not apply stand among the rules only:
code hosts make an alert of every result, of one with `kind: pass` too, and take 25,000 of them at most.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from btfcheck import __version__
from btfcheck.model import Location, Outcome, Report, Severity, Status

if TYPE_CHECKING:
    from btfcheck.formats import Body
    from btfcheck.formats.style import Style
    from btfcheck.lint.rules import Rule

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}
# SARIF 3.27.9: a result without a level is not a failure, and its kind says what it is.
_KINDS = {Status.FINDING: "fail", Status.UNKNOWN: "open", Status.ERROR: "review"}
_UNFIT = re.compile("[\ud800-\udfff]")


def render(report: Report, exit_code: int, style: Style, body: Body | None = None) -> str:  # noqa: ARG001
    from json import dumps

    return dumps(document(report, exit_code), indent=2, ensure_ascii=True) + "\n"


def document(report: Report, exit_code: int) -> dict[str, Any]:
    """The whole log as plain data: one run, with every rule that was asked."""
    known = _rules()
    used = sorted({o.rule for o in report.outcomes})
    number = {rule: i for i, rule in enumerate(used)}
    run: dict[str, Any] = {
        "tool": {"driver": {
            "name": "btfcheck", "version": __version__, "semanticVersion": __version__,
            "rules": [_rule(rule, known.get(rule)) for rule in used],
        }},
        "automationDetails": {"id": f"btfcheck/{report.command}/"},
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(report, exit_code)],
        "results": [_result(o, number[o.rule]) for o in report.outcomes if o.status in _KINDS],
    }  # fmt: skip
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


@cache
def _rules() -> Mapping[str, Rule]:
    from btfcheck.lint.rules import load

    return load().rules


def _invocation(report: Report, exit_code: int) -> dict[str, Any]:
    found: dict[str, Any] = {"executionSuccessful": exit_code in (0, 1, 4), "exitCode": exit_code}
    notes = [_message(o) for o in report.outcomes if o.status in (Status.ERROR, Status.UNKNOWN)]
    if report.nothing:
        notes.append(report.nothing)
    if notes:
        found["toolExecutionNotifications"] = [
            {"level": "warning", "message": {"text": _text(note)}} for note in notes
        ]
    return found


def _rule(name: str, rule: Rule | None) -> dict[str, Any]:
    if rule is None:
        return {"id": name}
    return {
        "id": name,
        "name": rule.name,
        "shortDescription": {"text": _text(rule.message)},
        "fullDescription": {"text": _text(rule.why.strip())},
        "help": {"text": _text(f"{rule.why.strip()}\n\nFix: {rule.fix.strip()}")},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"stage": rule.stage},
    }


def _result(outcome: Outcome, rule_index: int) -> dict[str, Any]:
    failed = outcome.status is Status.FINDING
    text = "\n".join([_message(outcome), *outcome.notes, *([f"Fix: {outcome.fix}"] if outcome.fix else ())])
    return {
        "ruleId": outcome.rule,
        "ruleIndex": rule_index,
        "kind": _KINDS[outcome.status],
        "level": _LEVELS[outcome.severity] if failed else "none",
        "message": {"text": _text(text)},
        # Code hosts refuse the whole log for one result without a file.
        "locations": [_location(p, outcome.subject) for p in outcome.locations[:10] or (Location(outcome.subject),)],
        "partialFingerprints": {"btfcheck/v1": outcome.fingerprint},
        "properties": {"subject": _text(outcome.subject), "status": outcome.status.value,
                       "confidence": outcome.confidence},
    }


def _message(outcome: Outcome) -> str:
    return outcome.message or f"{outcome.subject}: {outcome.status.value}"


def _location(place: Location, subject: str) -> dict[str, Any]:
    found: dict[str, Any] = {"physicalLocation": {"artifactLocation": {"uri": _uri(place.path)}}}
    if place.line:
        region: dict[str, Any] = {"startLine": place.line}
        if place.text:
            region["snippet"] = {"text": _text(place.text)}
        found["physicalLocation"]["region"] = region
    found["logicalLocations"] = [_logical(place.logical or subject)]
    return found


def _logical(name: str) -> dict[str, str]:
    return {"fullyQualifiedName": _text(name) or "-"}


def _bytes(path: str) -> bytes:
    """The bytes of a file's name; of text that never was one, something that stands for it."""
    try:
        return os.fsencode(path)
    except UnicodeEncodeError:
        return path.encode("utf-8", "surrogatepass")


def _uri(path: str) -> str:
    """A relative reference for what lies below the working directory, as code hosts want it, else file:."""
    if os.path.isabs(path):
        below = os.path.relpath(path)
        if below.startswith(".."):
            return "file://" + quote(_bytes(path))
        path = below
    return quote(_bytes(path)) or "-"


def _text(text: str) -> str:
    """Text that every JSON reader takes: no lone surrogates."""
    return _UNFIT.sub("\N{REPLACEMENT CHARACTER}", text)
