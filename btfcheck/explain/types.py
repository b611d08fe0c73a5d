# SPDX-License-Identifier: MIT
"""What was found out about a type or function, as plain data, and as text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from btfcheck.formats.style import Style, printable
from btfcheck.trace.definitions import Definition, Record
from btfcheck.trace.lookup import Member, Traced
from btfcheck.trace.types import NOBODY, Answer, Reason

_SHOWN = 8  # definitions and records of one name that text shows
_MARKS = {"proven": "ok", "likely": "warning", "unknown": "warning"}
_WIDTH = 150  # characters of a prototype that text shows


def data(traced: Traced, path: str, no_btf: str = "") -> dict[str, Any]:
    """The JSON key `traced`: what was asked, and every answer with definitions, records, reasons and next steps.

    `no_btf` says why there is no BTF to look into.
    """
    return {
        "asked": traced.asked,
        "path": path,
        "notes": list(traced.notes),
        "no_btf": no_btf,
        "answers": [_answer(one, path) for one in traced.answers],
        "total": traced.total,
        "members": [_member(one) for one in traced.members],
        "similar": list(traced.similar),
        "problems": list(traced.problems),
    }


def _answer(one: Answer, path: str) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "name": one.name,
        "state": one.state,
        "records": [_record(r, o) for r, o in zip(one.records, one.owners, strict=True)],
        "definitions": [_definition(d) for d in one.definitions],
        "declared": one.declared,
        "reasons": [_reason(r) for r in one.reasons],
        "next": [step.format(file=path) for step in one.next],
    }


def _record(record: Record, owner: str) -> dict[str, Any]:
    return {"id": record.id, "kind": record.kind, "size": record.size, "layout_of": owner, "own": record.own,
            "lines": list(record.lines)}


def _definition(one: Definition) -> dict[str, Any]:
    found = {
        "language": one.language, "rust": one.rust, "path": one.path, "size": one.size, "units": one.units,
        "unit": one.unit, "producer": one.producer, "source": one.source, "section": one.section, "offset": one.offset,
        "text": one.text, "code": one.code, "carries_data": one.data,
    }  # fmt: skip
    return {key: value for key, value in found.items() if value not in ("", False) or key in ("rust", "language")}


def _reason(one: Reason) -> dict[str, Any]:
    return {"id": one.id, "certainty": one.certainty, "text": one.text, "rule": one.rule,
            "pahole": [str(fate) for fate in one.fates]}


def _member(one: Member) -> dict[str, Any]:
    return {"kind": one.kind, "of": one.of, "name": one.name, "btf": one.btf, "dwarf": one.dwarf,
            "reasons": [_reason(r) for r in one.reasons]}


# -- text ---------------------------------------------------------------------------------------------------


def page(found: dict[str, Any], style: Style) -> Iterator[str]:
    """The answers as text, from what `data` made."""
    for note in found["notes"]:
        yield printable(note)
    alone = found["no_btf"] and (found["answers"] or found["members"])
    if alone:
        yield printable(f"no BTF: {found['no_btf']}; what each pahole would make of it is told")
    if found["notes"] or alone:
        yield ""
    for number, answer in enumerate(found["answers"]):
        if number:
            yield ""
        yield from _answer_lines(answer, style)
    if found["total"] > len(found["answers"]):
        yield f"and {found['total'] - len(found['answers'])} more of that name: name the kind, as in `struct NAME`"
    if found["members"] and "." not in found["asked"]:
        yield printable(f"no type or function is named {found['asked']}; members and parameters of that name:")
        yield ""
    for number, member in enumerate(found["members"]):
        yield from [""] if number else []
        yield from _member_lines(member, style)
    for problem in found["problems"][:5]:
        yield printable(f"  not read: {problem}")


def _answer_lines(answer: dict[str, Any], style: Style) -> Iterator[str]:
    yield style.paint("bold", printable(f"{answer['kind']} {answer['name']}")) + f": {answer['state']}"
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for record in answer["records"]:
        groups.setdefault((record["kind"], record["size"], record["layout_of"], record["own"]), []).append(record)
    for (kind, size, whose, own), rows in list(groups.items())[:_SHOWN]:
        ids = ", ".join(str(row["id"]) for row in rows[:_SHOWN])
        more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
        layout = f", {size} bytes" if size else ""
        layout += f", the layout of {whose}" if size and whose != NOBODY else ""
        yield f"  BTF    type{'s' if len(rows) > 1 else ''} {ids}{more}: {kind}{layout}{'' if own else ', of the base'}"
        yield from (f"           {printable(line)}" for line in rows[0]["lines"])
    for one in answer["definitions"][:_SHOWN]:
        yield from _definition_lines(one)
    if len(answer["definitions"]) > _SHOWN:
        yield f"  DWARF  and {len(answer['definitions']) - _SHOWN} more definitions"
    if answer["declared"]:
        yield f"  DWARF  units that only declare it: {answer['declared']}"
    yield from _reason_lines(answer["reasons"], style)
    for number, step in enumerate(answer["next"]):
        yield printable(f"  {'next   ' if not number else '       '}{step}")


def _definition_lines(one: dict[str, Any]) -> Iterator[str]:
    hosted = one["rust"] and one["language"] != "Rust"
    language = f"Rust in a unit labelled {one['language']}" if hosted else one["language"]
    size = f", {one['size']} bytes" if one.get("size") else ""
    data = ", an enum that carries data" if one.get("carries_data") else ""
    code = f", {one['code']}" if one.get("code") else ""
    units = one["units"]
    where = f"{units} units, the first " if units > 1 else ""
    yield printable(f"  DWARF  {language}: {one['path']}{size}{data}{code}")
    yield printable(f"           {where}{one.get('unit') or '(a unit without a name)'}")
    if one.get("source"):
        yield printable(f"           declared at {one['source']}")
    if one.get("text"):
        text = f"{'' if one.get('code') else 'typedef '}{one['text']}"
        text = text if len(text) <= _WIDTH else f"{text[:_WIDTH]}..."
        yield printable(f"           {text}")
    if one.get("producer"):
        yield printable(f"           made by {_short(one['producer'])}")


def _short(producer: str) -> str:
    """A producer without the options that GCC lists behind its version."""
    rustc = re.search(r"rustc version \d[\w.+-]*", producer)
    return rustc[0] if rustc else producer.partition(" -")[0][:80]


def _reason_lines(reasons: list[dict[str, Any]], style: Style) -> Iterator[str]:
    for number, one in enumerate(reasons):
        sure = style.paint(_MARKS[one["certainty"]], f"{one['certainty']}:")
        rule = f" [{one['rule']}]" if one["rule"] else ""
        yield f"  {'why    ' if not number else '       '}{sure} {printable(one['text'])}{rule}"
        yield from (printable(f"           {line}") for line in one["pahole"])


def _member_lines(member: dict[str, Any], style: Style) -> Iterator[str]:
    yield style.paint("bold", printable(f"{member['kind']} {member['of']}: {member['name']}"))
    yield printable(f"  BTF    {member['btf'] or '(it has none)'}")
    yield printable(f"  DWARF  {member['dwarf'] or '(no debug information has it)'}")
    yield from _reason_lines(member["reasons"], style)
