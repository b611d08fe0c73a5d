# SPDX-License-Identifier: MIT
"""The Rust types of a file by what BTF could hold, as plain data, text and Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from btfcheck.formats.markdown import escaped
from btfcheck.formats.style import Style, printable
from btfcheck.release import Release
from btfcheck.trace.representable import AS_IS, NOT, REASONS, RENAMED, VERDICTS, Item, Survey

_MARKS = {AS_IS: "ok", RENAMED: "warning", NOT: "error"}
_WIDTH = 160


def data(found: Survey, path: str, release: Release, first: int = 20) -> dict[str, Any]:
    """The JSON key `rust_types`: counts, and every type with its verdict and reasons; texts list `first` of each."""
    reasons = Counter(reason for item in found.types for reason in {r for r, _ in item.reasons})
    kinds: dict[str, dict[str, int]] = {}
    for item in found.types:
        row = kinds.setdefault(item.kind, dict.fromkeys(VERDICTS, 0))
        row[item.verdict] += 1
    return {
        "path": path,
        "kernel": str(release),
        "units": found.units,
        "total": len(found.types),
        "counts": {verdict: found.count(verdict) for verdict in VERDICTS},
        "kinds": kinds,
        "reasons": dict(sorted(reasons.items(), key=lambda row: -row[1])),
        "cut_by_bpf_linker": found.cut,
        "shared_names": found.shared,
        "types": [_item(item) for item in found.types],
        "problems": list(found.problems),
        "first": first,
    }


def _item(item: Item) -> dict[str, Any]:
    row: dict[str, Any] = {"kind": item.kind, "path": item.path, "size": item.size, "verdict": item.verdict}
    if item.verdict == RENAMED:
        row["new_name"] = item.new_name
    if item.reasons:
        row["reasons"] = [{"id": reason, "text": text} for reason, text in item.reasons]
    return row


def _why(row: dict[str, Any]) -> str:
    if "new_name" in row:
        return str(row["new_name"])
    return "; ".join(
        f"{REASONS[r['id']]}{f' ({r_text})' if (r_text := r['text']) else ''}" for r in row.get("reasons", ()))


def _short(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}..."


def _totals(found: dict[str, Any]) -> Iterator[str]:
    if found["cut_by_bpf_linker"]:
        yield f"{found['cut_by_bpf_linker']} of the new names have over 128 bytes: bpf-linker cuts them and adds a hash"
    if found["shared_names"]:
        yield f"{found['shared_names']} names would stand for several types: BTF has no namespaces"
    if found["problems"]:
        yield f"not all could be read: {found['problems'][0]}"


def page(found: dict[str, Any], style: Style) -> Iterator[str]:
    """As text: counts, and the first names of each verdict with the reason."""
    first = found["first"]
    if not found["total"]:
        yield from (printable(line) for line in _totals(found))
        return
    yield style.paint("bold", f"{found['total']} Rust types in {found['units']} units of {printable(found['path'])}, "
                      f"by what the BTF of Linux {found['kernel']} could hold")
    for verdict in VERDICTS:
        parts = ", ".join(f"{row[verdict]} {kind}" for kind, row in found["kinds"].items() if row[verdict])
        yield f"  {style.paint(_MARKS[verdict], f'{verdict:15}')} {found['counts'][verdict]:6}  ({parts or 'none'})"
    yield from (f"    {number:6}  {REASONS[reason]}" for reason, number in found["reasons"].items())
    yield from (f"  {printable(line)}" for line in _totals(found))
    for verdict in VERDICTS:
        rows = [row for row in found["types"] if row["verdict"] == verdict and row["kind"] != "base type"]
        if rows[:first]:
            yield from ("", style.paint("bold", f"{verdict[:1].upper()}{verdict[1:]}"))
        for row in rows[:first]:
            why = _why(row)
            yield printable(f"  {row['kind']} {_short(row['path'])}")
            if why:
                yield printable(f"      {'=> ' if verdict == RENAMED else ''}{_short(why)}")
        if len(rows) > first:
            yield f"  and {len(rows) - first} more (--first N, or --output json)"


def markdown_page(found: dict[str, Any]) -> str:
    """The same in Markdown."""
    first = found["first"]
    lines = [f"# Rust types and BTF: {escaped(found['path'])}", ""]
    if not found["total"]:
        lines += ["No Rust types.", *map(escaped, _totals(found))]
        return "".join(f"{line}\n" for line in lines)
    lines += [f"{found['total']} types in {found['units']} units, judged for Linux {found['kernel']}.", "",
              "| BTF could hold | types | " + " | ".join(found["kinds"]) + " |",
              "| --- | ---: | " + " | ".join("---:" for _ in found["kinds"]) + " |"]
    for verdict in VERDICTS:
        numbers = " | ".join(str(row[verdict]) for row in found["kinds"].values())
        lines.append(f"| {verdict} | {found['counts'][verdict]} | {numbers} |")
    lines += ["", *(f"* {number}: {escaped(REASONS[reason])}" for reason, number in found["reasons"].items())]
    lines += [f"* {escaped(line)}" for line in _totals(found)]
    for verdict in VERDICTS:
        rows = [row for row in found["types"] if row["verdict"] == verdict and row["kind"] != "base type"][:first]
        if rows:
            lines += ["", f"## {verdict[:1].upper()}{verdict[1:]}", "", "| type | |", "| --- | --- |"]
            cells = [(f"{row['kind']} {escaped(_short(row['path']))}", escaped(_short(_why(row)))) for row in rows]
            lines += [f"| {name} | {why} |" for name, why in cells]
    return "".join(f"{line}\n" for line in lines)
