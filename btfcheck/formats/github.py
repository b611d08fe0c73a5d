# SPDX-License-Identifier: MIT
"""Workflow commands of GitHub Actions: one annotation for each finding, and for each rule that could not be judged.

Escaping is that of actions/toolkit (packages/core): % CR LF in the text, and : , as well in the properties.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from btfcheck.formats.style import printable
from btfcheck.model import Outcome, Report, Severity, Status

if TYPE_CHECKING:
    from btfcheck.formats import Body
    from btfcheck.formats.style import Style

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def render(report: Report, exit_code: int, style: Style, body: Body | None = None) -> str:  # noqa: ARG001
    return "".join(f"{line}\n" for line in _lines(report))


def _lines(report: Report) -> Iterator[str]:
    for outcome in report.outcomes:
        if outcome.status is Status.FINDING:
            yield _line(_COMMANDS[outcome.severity], outcome)
        elif outcome.status is Status.ERROR:
            yield _line("error", outcome)
        elif outcome.status is Status.UNKNOWN:
            yield _line("notice" if outcome.severity is Severity.NOTE else "warning", outcome)
    if report.nothing:
        yield f"::notice title=btfcheck {report.command}::{_data(report.nothing)}"


def _line(command: str, outcome: Outcome) -> str:
    properties = {"title": f"{outcome.rule} {outcome.subject}"}
    if outcome.locations:
        place = outcome.locations[0]
        properties = {"file": _path(place.path)} | ({"line": str(place.line)} if place.line else {}) | properties
    told = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    text = [outcome.message or outcome.status.value, *outcome.notes, *outcome.missing]
    if outcome.fix:
        text.append(f"fix: {outcome.fix}")
    return f"::{command} {told}::{_data(chr(10).join(text))}"


def _path(path: str) -> str:
    """As the repository has it: annotations show only at files that are named from its top, where steps run."""
    if os.path.isabs(path) and not (below := os.path.relpath(path)).startswith(".."):
        return below
    return path


def _data(text: str) -> str:
    lines = "\n".join(printable(line) for line in text.splitlines())
    return lines.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
