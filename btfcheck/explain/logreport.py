# SPDX-License-Identifier: MIT
"""The causes that a log shows, as outcomes and as the plain data of JSON's `causes`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from btfcheck.explain.symptoms import POSSIBLE, PROVEN, Group, Hit, Symptoms, Unknown
from btfcheck.model import Location, Outcome, Report, Severity, Status

_NAMES = 6  # subjects named in text


def report(symptoms: Symptoms, path: str) -> Report:
    """Findings for harmful causes (error), doubtful (warning) and harmless ones (note).

    A refusal by the kernel that nobody knows is unknown at severity error, another unknown message
    at warning. A log without a word about BTF or Rust is nothing to check.
    """
    found = Report("explain", data={"causes": [d for g in symptoms.groups for d in _data(g)]})
    found.outcomes = [*(_outcome(g, path) for g in symptoms.groups), *(_strange(u, path) for u in symptoms.unknown)]
    found.data["unknown"] = [u._asdict() for u in symptoms.unknown]
    if not found.outcomes and symptoms.about:
        message = "the log speaks of BTF or Rust, and no line of it is a message of trouble"
        found.outcomes = [Outcome("log", Status.OK, Severity.NOTE, "log", message)]
    elif not found.outcomes:
        found.nothing = f"{path} holds nothing about BTF or Rust"
    return found


def _data(group: Group) -> Iterator[dict[str, Any]]:
    first = group.first
    for cause in group.causes:
        yield {
            "id": cause.id,
            "certainty": group.certainty,
            "severity": cause.severity.value,
            "lines": group.lines,
            "example": first.example,
            "line": first.number,
            "cause": f"{cause.title}. {_flat(cause.how)}",
            "fix": cause.fix,
            "prove": cause.prove,
            "reasons": list(group.reasons),
            "alternatives": [c.id for c in group.causes if c is not cause],
            "rules": list(cause.rules),
            "messages": [_message_data(h) for h in group.hits],
        }


def _message_data(hit: Hit) -> dict[str, Any]:
    message = hit.message
    data = {
        "id": message.id, "program": message.program, "lines": hit.lines, "line": hit.number, "example": hit.example,
        "means": message.means, "apart": message.apart, "versions": message.versions, "subjects": list(hit.subjects),
    }  # fmt: skip
    return {key: value for key, value in data.items() if value not in ("", [])}


def _outcome(group: Group, path: str) -> Outcome:
    top = group.causes[0]
    message = top.title
    if group.certainty == POSSIBLE:
        message = f"one of {len(group.causes)} causes; the likeliest: {top.title}"
    hits = sorted(group.hits, key=lambda h: h.number)
    return Outcome(
        top.id, Status.FINDING, top.severity, top.id, message,
        locations=tuple(Location(path, h.number, h.example) for h in hits[:4]),
        notes=(*_how_sure(group), *(_counted(h) for h in hits), top.how, *_others(group), *_next(group)),
        fix=top.fix,
        confidence=group.certainty,
        key=" ".join(c.id for c in group.causes),
    )  # fmt: skip


def _how_sure(group: Group) -> Iterator[str]:
    yield f"{group.certainty}: {'; '.join(group.reasons)}"
    for hit in group.hits:
        if hit.message.apart and group.certainty != PROVEN:
            yield f"what tells it apart: {hit.message.apart}"
        if hit.message.versions:
            yield f"printed by: {hit.message.program}, {hit.message.versions}"


def _counted(hit: Hit) -> str:
    lines = f"{hit.lines} line{'s' if hit.lines > 1 else ''} from {hit.message.program} ({hit.message.id})"
    names = list(hit.subjects)
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return f"{lines}: {', '.join(names[:_NAMES])}{more}" if names else lines


def _others(group: Group) -> Iterator[str]:
    for cause in group.causes[1:]:
        yield f"or: {cause.title}\nproof: {cause.prove}\nfix: {cause.fix}"


def _next(group: Group) -> Iterator[str]:
    yield f"to prove it: {group.causes[0].prove}"
    if rules := group.causes[0].rules:
        yield f"more: {', '.join(f'btfcheck explain {r}' for r in rules)}"


def _strange(unknown: Unknown, path: str) -> Outcome:
    severity = Severity.ERROR if unknown.refusal else Severity.WARNING
    said = "the kernel refused BTF with a message" if unknown.refusal else "a message about BTF"
    return Outcome(
        "unknown-message", Status.UNKNOWN, severity, "log", f"{said} that btfcheck does not know",
        locations=(Location(path, unknown.number, unknown.text),),
        notes=(f"{unknown.lines} line{'s' if unknown.lines > 1 else ''} like this",),
        key=unknown.shape,
    )  # fmt: skip


def _flat(text: str) -> str:
    return " ".join(text.split())
