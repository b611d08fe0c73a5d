# SPDX-License-Identifier: MIT
"""The rows of a matrix as csv, markdown, an SVG picture, or aligned text.

A row is {"axes": {...}, "allowed", "blocked_by", "safe", "why"}; the last axis runs across.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from string import ascii_lowercase
from textwrap import wrap
from typing import Any, NamedTuple

from btfcheck.formats.style import printable

Row = Mapping[str, Any]
LEGEND = (". allowed   N forbidden by clause N   ? not known",
          "+ safe   letter: not safe, or not known to be")  # fmt: skip
_LONG = 8  # letters of a head that stays in one line
_COLORS = {"good": "#b7e1b0", "bad": "#f4a6a0", "maybe": "#fbe3a1", "forbidden": "#d9d9d9"}


class Grid(NamedTuple):
    """One kernel's cells laid out. `lines` are (values of the other axes, marks, colours)."""

    kernel: str
    heads: tuple[str, ...]
    across: str
    columns: tuple[str, ...]
    lines: tuple[tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]], ...]


class Notes(NamedTuple):
    """What numbers and letters in the cells mean."""

    clauses: dict[str, int]
    reasons: dict[str, str]


def notes(rows: Sequence[Row]) -> Notes:
    clauses = dict.fromkeys(text for row in rows for text in row["blocked_by"])
    reasons = dict.fromkeys(f"{row['safe']}: {row['why']}" for row in rows if row["safe"] != "yes")
    return Notes(
        {text: number for number, text in enumerate(clauses, 1)},
        {text: _letter(number) for number, text in enumerate(reasons)},
    )


def _letter(number: int) -> str:
    return ascii_lowercase[number % 26] * (1 + number // 26)


def mark(row: Row, told: Notes) -> str:
    """A cell in two parts: allowed or by what forbidden, then safe or why not."""
    blocked = ",".join(str(told.clauses[text]) for text in row["blocked_by"])
    left = "." if row["allowed"] else blocked or "n"
    left = f"?{blocked}" if row["allowed"] is None else left
    return left + ("+" if row["safe"] == "yes" else told.reasons[f"{row['safe']}: {row['why']}"])


def _color(row: Row) -> str:
    if row["allowed"] is False:
        return "forbidden"
    if row["allowed"] is None or row["safe"] == "unknown":
        return "maybe"
    return "good" if row["safe"] == "yes" else "bad"


def grids(rows: Sequence[Row], told: Notes) -> Iterator[Grid]:
    """One grid per kernel, in the order of the rows."""
    for kernel in dict.fromkeys(row["axes"]["kernel"] for row in rows):
        mine = [row for row in rows if row["axes"]["kernel"] == kernel]
        *heads, across = (name for name in mine[0]["axes"] if name != "kernel")
        columns = tuple(dict.fromkeys(row["axes"][across] for row in mine))
        lines: dict[tuple[str, ...], list[Row]] = {}
        for row in mine:
            lines.setdefault(tuple(row["axes"][h] for h in heads), []).append(row)
        yield Grid(
            kernel, tuple(heads), across, columns,
            tuple((at, tuple(mark(r, told) for r in cells), tuple(map(_color, cells))) for at, cells in lines.items()),
        )  # fmt: skip


def text(rows: Sequence[Row]) -> Iterator[str]:
    """Aligned text, with the legend."""
    told = notes(rows)
    for grid in grids(rows, told):
        heads = [_broken(head) for head in grid.heads]
        table = [
            (*(first for first, _ in heads), grid.across, *("" for _ in grid.columns[1:])),
            (*(second for _, second in heads), *grid.columns),
            *((*at, *marks) for at, marks, _ in grid.lines),
        ]
        measured = [(*table[0][: len(heads)], *("" for _ in grid.columns)), *table[1:]]
        widths = [max(len(line[i]) for line in measured) for i in range(len(table[0]))]
        yield f"Linux {printable(grid.kernel)}"
        for line in table:
            yield "  " + "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip()
        yield ""
    yield from LEGEND
    yield from (f"  {number}  {printable(clause)}" for clause, number in told.clauses.items())
    yield from (f"  {letter}  {reason}" for reason, letter in told.reasons.items())


def _broken(head: str) -> tuple[str, str]:
    """A long name in two lines, so that a table of a kernel fits 80 columns."""
    cut = head.find("_") + 1
    return (head[:cut], head[cut:]) if len(head) > _LONG and cut else ("", head)


def as_csv(rows: Sequence[Row], _: Sequence[str] = ()) -> str:
    """One line per cell; what was assumed has no place in it."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    heads = list(dict.fromkeys(name for row in rows for name in row["axes"]))
    writer.writerow([*heads, "allowed", "blocked_by", "safe", "why"])
    for row in rows:
        allowed = "unknown" if row["allowed"] is None else "yes" if row["allowed"] else "no"
        at = [row["axes"].get(name, "") for name in heads]
        writer.writerow([*at, allowed, "; ".join(row["blocked_by"]), row["safe"], row["why"]])
    return stream.getvalue()


def as_markdown(rows: Sequence[Row], assumed: Sequence[str] = ()) -> str:
    told = notes(rows)
    lines = []
    for grid in grids(rows, told):
        heads = [*grid.heads, *(f"{grid.across} {c}" for c in grid.columns)]
        lines += [f"### Linux {_plain(grid.kernel)}", "", _bar(heads), _bar(["---"] * len(heads))]
        lines += [_bar([*at, *marks]) for at, marks, _ in grid.lines]
        lines.append("")
    lines += ["; ".join(LEGEND).replace("   ", "; "), ""]
    lines += [f"* {number}: `{printable(clause)}`" for clause, number in told.clauses.items()]
    lines += [f"* {letter}: {reason}" for reason, letter in told.reasons.items()]
    lines += ["", *(f"Assumed: {_plain(line)}  " for line in assumed)] if assumed else []
    return "\n".join(lines) + "\n"


def _bar(words: Sequence[str]) -> str:
    return "| " + " | ".join(_plain(word) for word in words) + " |"


def _plain(word: str) -> str:
    return printable(word).replace("|", "\\|").replace("<", "&lt;")


_ROW, _LETTER, _EDGE = 20, 7.3, 12  # pixels


def as_svg(rows: Sequence[Row], assumed: Sequence[str] = ()) -> str:
    """One self-contained picture."""
    told = notes(rows)
    parts: list[str] = []
    y, widest = _EDGE, 0
    for grid in grids(rows, told):
        y = _title(parts, f"Linux {grid.kernel}", y)
        lines = [(*grid.heads, *grid.columns), *((*at, *marks) for at, marks, _ in grid.lines)]
        widths = [round(_LETTER * (max(len(line[i]) for line in lines) + 2)) for i in range(len(lines[0]))]
        at = [_EDGE + sum(widths[:i]) for i in range(len(widths) + 1)]
        widest = max(widest, at[-1])
        parts.append(_word(at[len(grid.heads)] + 4, y - _ROW, grid.across, "bold"))
        for x, word in zip(at, lines[0], strict=False):
            parts.append(_word(x + 4 if x >= at[len(grid.heads)] else x, y, word, "bold"))
        for names, marks, colors in grid.lines:
            y += _ROW
            parts += [_word(x, y, word) for x, word in zip(at, names, strict=False)]
            cells = list(zip(at, widths, strict=False))[len(grid.heads):]
            for (x, width), word, color in zip(cells, marks, colors, strict=True):
                parts.append(f'<rect x="{x}" y="{y - 14}" width="{width - 2}" height="{_ROW - 2}" '
                             f'fill="{_COLORS[color]}"/>' + _word(x + 4, y, word))  # fmt: skip
        y += 2 * _ROW
    words = [*LEGEND, "green: allowed and safe; red: allowed, not safe; yellow: not known; grey: forbidden"]
    words += [f"{number}  {clause}" for clause, number in told.clauses.items()]
    words += [f"{letter}  {reason}" for reason, letter in told.reasons.items()]
    words += [part for line in assumed for part in wrap(f"assumed: {line}", _WORDS, break_long_words=False)]
    for word in words:
        parts.append(_word(_EDGE, y, word))
        y += _ROW
    width = 2 * _EDGE + max(widest, *(round(_LETTER * len(word)) for word in words))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y}" font-family="monospace" '
        f'font-size="12"><rect width="100%" height="100%" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


_WORDS = 120  # letters of a line


def _title(parts: list[str], word: str, y: int) -> int:
    parts.append(_word(_EDGE, y + 8, word, "bold"))
    return y + 8 + _ROW


def _word(x: int, y: int, word: str, weight: str = "normal") -> str:
    return f'<text x="{x}" y="{y}" font-weight="{weight}">{escape(printable(word))}</text>'


WRITERS = {"csv": as_csv, "md": as_markdown, "svg": as_svg}
