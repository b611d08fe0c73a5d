# SPDX-License-Identifier: MIT
"""The matrix as text, csv, markdown and a picture."""

from __future__ import annotations

import csv
import io
from typing import Any
from xml.etree import ElementTree

from btfcheck.formats import grid

HOSTILE = '</text><script>alert("x")</script>&|'


def row(pahole: str, allowed: bool | None, safe: str, *, kernel: str = "6.12", blocked: str = "") -> dict[str, Any]:
    axes = {"kernel": kernel, "RUST": "y", "LTO": "thin", "pahole": pahole}
    texts = [blocked] if blocked else []
    return {"axes": axes, "allowed": allowed, "blocked_by": texts, "safe": safe, "why": safe + "!"}


ROWS = [
    row("1.22", False, "no", blocked="init/Kconfig:9: depends on X"),
    row("1.25", True, "no"),
    row("1.28", None, "unknown", blocked="init/Kconfig:9: depends on X"),
    row("1.30", True, "yes"),
]


def test_text_has_two_marks_in_a_cell_and_tells_what_they_mean() -> None:
    lines = list(grid.text(ROWS))
    assert lines[:3] == [
        "Linux 6.12",
        "  RUST  LTO   pahole 1.22  1.25  1.28  1.30",
        "  y     thin  1a           .a    ?1b   .+",
    ]
    assert "  1  init/Kconfig:9: depends on X" in lines
    assert "  a  no: no!" in lines
    assert "  b  unknown: unknown!" in lines


def test_csv_has_one_line_per_cell() -> None:
    found = list(csv.DictReader(io.StringIO(grid.as_csv(ROWS))))
    assert [(r["pahole"], r["allowed"], r["safe"]) for r in found] == [
        ("1.22", "no", "no"), ("1.25", "yes", "no"), ("1.28", "unknown", "unknown"), ("1.30", "yes", "yes"),
    ]  # fmt: skip
    assert found[0]["blocked_by"] == "init/Kconfig:9: depends on X"


def test_markdown_keeps_its_columns_whatever_is_in_them() -> None:
    text = grid.as_markdown([row("1.30", True, "yes", kernel=HOSTILE)])
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in table} == {4}
    assert "<script>" not in text


def test_svg_is_one_well_formed_picture() -> None:
    tree = ElementTree.fromstring(grid.as_svg([*ROWS, row("1.30", True, "yes", kernel=HOSTILE)]))
    space = "{http://www.w3.org/2000/svg}"
    assert {element.tag for element in tree.iter()} == {f"{space}{tag}" for tag in ("svg", "rect", "text")}
    words = [element.text for element in tree.iter(f"{space}text")]
    assert f"Linux {HOSTILE}" in words
    colours = [e.attrib["fill"] for e in tree.iter(f"{space}rect")][1:]
    assert len(colours) == 5
    assert len(set(colours)) == 4
    assert int(tree.attrib["width"]) >= 7 * max(len(w or "") for w in words)


def test_letters_go_on_after_z() -> None:
    rows = [row("1.30", True, "no") | {"why": f"reason {i}"} for i in range(60)]
    letters = list(grid.notes(rows).reasons.values())
    assert len(set(letters)) == 60
    assert letters[25:28] == ["z", "aa", "bb"]
