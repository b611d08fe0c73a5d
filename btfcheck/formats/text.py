# SPDX-License-Identifier: MIT
"""Text: findings as rustc prints them, then one line of summary."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from btfcheck.formats.style import printable
from btfcheck.lint.policy import KNOWN, WAIVED
from btfcheck.model import Fact, Location, Outcome, Report, Severity, Status

if TYPE_CHECKING:
    from btfcheck.formats import Body
    from btfcheck.formats.style import Style

_HEADS = {Status.UNKNOWN: "unknown", Status.ERROR: "error", Status.SKIP: "skipped", Status.OK: "ok"}


def block(item: Outcome, style: Style) -> Iterator[str]:
    """One outcome, several lines."""
    word = item.severity.value if item.status is Status.FINDING else _HEADS[item.status]
    kind = word if word in ("error", "warning", "note", "ok") else "warning" if word == "unknown" else "dim"
    yield style.paint(kind, f"{word}[{item.rule}]") + style.paint("bold", f": {printable(item.message)}")
    for place in item.locations:
        yield f"  --> {_place(place)}"
    shown = {(p.path, p.line) for p in item.locations}
    for fact in item.facts:
        if item.missing and fact.value is None:
            continue  # told below, with what would supply it
        if (fact.source.path, fact.source.line) not in shown or fact.source.line is None:
            yield f"  --> {_fact(fact)}"
    for note in item.notes:
        yield from _wrapped("note", note)
    for missing in item.missing:
        yield from _wrapped("missing", missing)
    if item.fix:
        yield from _wrapped("fix", item.fix)
    for line in item.fragment:
        yield f"   |   {line}"
    if item.status is Status.FINDING and item.rule.startswith("BTF"):
        yield style.paint("dim", f"   = help: btfcheck explain {item.rule}")


def _wrapped(word: str, text: str) -> Iterator[str]:
    first, *rest = printable_lines(text)
    yield f"   = {word}: {first}"
    for line in rest:
        yield " " * (7 + len(word)) + line


def printable_lines(text: str) -> list[str]:
    return [printable(line) for line in text.splitlines()] or [""]


def _place(place: Location) -> str:
    text = printable(str(place))
    return f"{text}  {printable(place.text)}" if place.text else text


def _fact(fact: Fact) -> str:
    value = "unknown" if fact.value is None else fact.value
    text = fact.source.text or f"{fact.name}={value}"
    tail = f"  ({fact.reason})" if fact.reason else ""
    return printable(f"{Location(fact.source.path, fact.source.line)}  {text}{tail}")


def summary(report: Report, exit_code: int, style: Style) -> str:
    """The one line at the end."""
    found = [
        f"{n} {s.value}{'s' if n > 1 else ''}"
        for s in reversed(Severity)
        if (n := report.count(Status.FINDING, s))
    ]
    open_ends = [
        f"{n} {words}" for s, words in ((Status.UNKNOWN, "could not be told"), (Status.ERROR, "failed"))
        if (n := report.count(s))
    ]
    excused = {
        word: sum(o.status is Status.SKIP and o.message.startswith(prefix) for o in report.outcomes)
        for word, prefix in (("waived", WAIVED), ("in the baseline", KNOWN))
    }
    tail = f"{report.count(Status.OK)} passed, {report.count(Status.SKIP) - sum(excused.values())} did not apply"
    tail += "".join(f", {n} {word}" for word, n in excused.items() if n)
    if report.nothing and not found and not open_ends:
        return f"btfcheck {report.command}: {style.paint('warning', 'nothing to check')}: {report.nothing}"
    if not found and not open_ends:
        return f"btfcheck {report.command}: {style.paint('ok', 'no findings')} ({tail})"
    kind = "error" if exit_code else "warning"
    return f"btfcheck {report.command}: {style.paint(kind, ', '.join(found + open_ends))} ({tail})"


def blocks(outcomes: list[Outcome], style: Style) -> Iterator[str]:
    """What is shown by default: findings, unknowns, errors; with -v also what was skipped and why."""
    shown = {Status.FINDING, Status.UNKNOWN, Status.ERROR} | ({Status.SKIP} if style.verbose else set())
    told: set[tuple[str, ...]] = set()
    for item in outcomes:
        if item.status not in shown or (item.status is Status.UNKNOWN and item.missing in told):
            continue
        alike = [o for o in outcomes if o.status is item.status is Status.UNKNOWN and o.missing == item.missing]
        if item.missing and len(alike) > 1:
            told.add(item.missing)
            yield from _shared_gap(alike, style)
        else:
            yield from block(item, style)
        yield ""


def _shared_gap(alike: list[Outcome], style: Style) -> Iterator[str]:
    """Unknown outcomes that lack the same facts, told once."""
    head = f": {len(alike)} rules could not be judged"
    yield style.paint("warning", f"unknown[{alike[0].rule} ...]") + style.paint("bold", head)
    for item in alike:
        yield f"  {item.rule}  {printable(item.message).removeprefix('could not tell: ')}"
    for missing in alike[0].missing:
        yield from _wrapped("missing", missing)


def render(report: Report, exit_code: int, style: Style, body: Body | None = None) -> str:
    lines = list(body(report, style)) if body else []
    if lines and report.outcomes:
        lines.append("")
    lines += blocks(report.outcomes, style)
    if not style.quiet and (report.outcomes or report.nothing):
        lines.append(summary(report, exit_code, style))
    return "".join(f"{line}\n" for line in lines)


def render_rest(report: Report, exit_code: int, style: Style, shown: set[int]) -> str:
    """What is left to print after `Console.part` showed the outcomes with these ids."""
    lines = list(blocks([o for o in report.outcomes if id(o) not in shown], style))
    lines = ["", *lines] if lines else []
    if not style.quiet:
        lines.append(summary(report, exit_code, style))
    return "".join(f"{line}\n" for line in lines)
