# SPDX-License-Identifier: MIT
"""The matrix as text, csv, markdown and a picture."""

from __future__ import annotations

import csv
import io
from itertools import pairwise
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
    assert lines[:4] == [
        "Linux 6.12",
        "              pahole",
        "  RUST  LTO   1.22  1.25  1.28  1.30",
        "  y     thin  1a    .a    ?1b   .+",
    ]
    assert "  1  init/Kconfig:9: depends on X" in lines
    assert "  a  no: no!" in lines
    assert "  b  unknown: unknown!" in lines


def test_a_long_name_is_broken_and_a_kernel_fits_80_columns() -> None:
    axes = {"kernel": "7.3", "RUST": "y", "DEBUG_INFO_BTF": "y", "LTO": "thin-dist", "MODVERSIONS": "gendwarfksyms"}
    rows = [ROWS[0] | {"axes": {**axes, "pahole": p}, "blocked_by": ["a", "b", *(["c"] if p == "1.28" else [])]}
            for p in ("1.22", "1.24", "1.25", "1.28", "1.30", "1.32")]  # fmt: skip
    _, over, heads, *lines = list(grid.text(rows))
    assert over.split() == ["DEBUG_", "pahole"]
    assert over.index("DEBUG_") == heads.index("INFO_BTF")
    assert max(len(line) for line in lines) <= 80


def test_no_clause_of_a_tree_steers_a_terminal_or_breaks_a_picture() -> None:
    rows = [row("1.30", False, "no", kernel="\x1b[31m7.3", blocked='K:1: depends on A = "\x1b[31mred"')]
    for text in ("\n".join(grid.text(rows)), grid.as_markdown(rows), grid.as_svg(rows)):
        assert "\x1b" not in text
        assert "\\x1b[31mred" in text
    ElementTree.fromstring(grid.as_svg(rows))


def test_files_tell_what_was_assumed() -> None:
    assumed = ["ARCH=x86_64, " + ", ".join(f"SYMBOL_{n}=y" for n in range(40)), "no tree was read"]
    assert "Assumed: no tree was read" in grid.as_markdown(ROWS, assumed)
    tree = ElementTree.fromstring(grid.as_svg(ROWS, assumed))
    words = [element.text or "" for element in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert "assumed: no tree was read" in words
    assert sum("SYMBOL_" in word for word in words) > 1
    assert max(map(len, words)) <= 120


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
    letter = 7.22  # pixels in monospace of 12
    assert int(tree.attrib["width"]) >= letter * max(len(w or "") for w in words)
    assert "pahole" in words


def test_no_word_of_the_picture_runs_into_the_next() -> None:
    wide = row("1.30", True, "yes")
    wide["axes"] = {"kernel": "7.3", "DEBUG_INFO_BTF_MODULES": "y", "MODVERSIONS": "gendwarfksyms", "pahole": "1.30"}
    lines: dict[str, list[tuple[float, str]]] = {}
    for element in ElementTree.fromstring(grid.as_svg([wide])).iter("{http://www.w3.org/2000/svg}text"):
        lines.setdefault(element.attrib["y"], []).append((float(element.attrib["x"]), element.text or ""))
    for words in lines.values():
        for (x, word), (following, _) in pairwise(words):
            assert x + 7.22 * len(word) < following


def test_letters_go_on_after_z() -> None:
    rows = [row("1.30", True, "no") | {"why": f"reason {i}"} for i in range(60)]
    letters = list(grid.notes(rows).reasons.values())
    assert len(set(letters)) == 60
    assert letters[25:28] == ["z", "aa", "bb"]
