# SPDX-License-Identifier: MIT
"""JSON: one document, schema 1 (tests/data/report.schema.json); fields are only ever added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from btfcheck import __version__
from btfcheck.model import Outcome, Report, Severity, Status

if TYPE_CHECKING:
    from btfcheck.formats import Body
    from btfcheck.formats.style import Style

SCHEMA = 1


def outcome(item: Outcome) -> dict[str, Any]:
    data: dict[str, Any] = {
        "rule": item.rule,
        "status": item.status.value,
        "severity": item.severity.value,
        "subject": item.subject,
        "message": item.message,
        "locations": [p.data() for p in item.locations],
        "facts": [{"name": f.name} | f.data() for f in item.facts],
        "fix": item.fix,
        "fingerprint": item.fingerprint,
        "confidence": item.confidence,
    }
    for name in ("notes", "fragment", "missing"):
        if value := getattr(item, name):
            data[name] = list(value)
    return data


def document(report: Report, exit_code: int) -> dict[str, Any]:
    """The whole document as plain data."""
    summary: dict[str, Any] = {s.value: report.count(s) for s in Status}
    summary |= {f"{s.value}s": report.count(Status.FINDING, s) for s in Severity}
    summary["exit"] = exit_code
    if report.nothing:
        summary["nothing"] = report.nothing
    return {
        "schema": SCHEMA,
        "tool": {"name": "btfcheck", "version": __version__},
        "command": report.command,
        "outcomes": [outcome(o) for o in report.outcomes],
        "summary": summary,
    } | report.data


def render(report: Report, exit_code: int, style: Style, body: Body | None = None) -> str:  # noqa: ARG001
    from json import dumps

    # ensure_ascii keeps undecodable names (surrogates) valid JSON.
    return dumps(document(report, exit_code), indent=2, ensure_ascii=True) + "\n"
