# SPDX-License-Identifier: MIT
"""Markdown, for the summary of a CI step or a merge request. Names come from untrusted files: nothing of them
is read as markup."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

from btfcheck.formats import text
from btfcheck.formats.style import Style, printable
from btfcheck.model import Outcome, Report, Status

if TYPE_CHECKING:
    from btfcheck.formats import Body

_MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|~@])")
_MARKS = {"error": "❌", "warning": "⚠️", "note": "ℹ️", "unknown": "❔", "failed": "❌"}
_MOST = 100  # findings that are shown; a step summary may have a megabyte


def render(report: Report, exit_code: int, style: Style, body: Body | None = None) -> str:
    if report.page:
        return report.page
    plain = Style(False, style.verbose)
    lines = [f"## btfcheck {report.command}", "", escaped(text.summary(report, exit_code, plain)), ""]
    shown = [o for o in report.outcomes if o.status in (Status.FINDING, Status.UNKNOWN, Status.ERROR)]
    if shown:
        lines += ["| | rule | subject | what |", "| --- | --- | --- | --- |"]
        lines += [_row(o) for o in shown[:_MOST]]
        if len(shown) > _MOST:
            lines.append(f"| | | | and {len(shown) - _MOST} more |")
        lines.append("")
    for outcome in [o for o in shown if o.notes or o.fix][:_MOST]:
        lines += _details(outcome)
    told = list(body(report, plain)) if body else []
    if told:
        lines += [*_fenced(told), ""]
    return "".join(f"{line}\n" for line in lines)


def _row(outcome: Outcome) -> str:
    word = outcome.severity.value if outcome.status is Status.FINDING else (
        "unknown" if outcome.status is Status.UNKNOWN else "failed")
    cells = (f"{_MARKS[word]} {word}", outcome.rule, escaped(outcome.subject), escaped(outcome.message))
    return f"| {' | '.join(cells)} |"


def _details(outcome: Outcome) -> Iterator[str]:
    yield f"<details><summary>{outcome.rule}: {escape(printable(outcome.subject))}</summary>"
    yield ""
    lines = [line for note in outcome.notes for line in note.splitlines()]
    yield from _fenced([*lines, *([f"fix: {outcome.fix}"] if outcome.fix else ())])
    yield ""
    yield "</details>"
    yield ""


def _fenced(lines: list[str]) -> list[str]:
    """A block of code whose fence is longer than any in it."""
    shown = [printable(one) for line in lines for one in (line.splitlines() or [""])]
    longest = max((len(run) for line in shown for run in re.findall(r"`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", *shown, fence]


def escaped(words: str) -> str:
    """One line of text with no markup in it."""
    return _MARKUP.sub(r"\\\1", escape(printable(" ".join(words.split())), quote=False))
