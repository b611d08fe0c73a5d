# SPDX-License-Identifier: MIT
"""Files made to waste time or memory: a clear end within seconds, and never a pass."""

from __future__ import annotations

import random
import struct
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from time import process_time

import pytest

from btfcheck.dwarf import abbrev, tree, units, walk
from btfcheck.dwarf.leaks import ScanResult, scan
from btfcheck.dwarf.writer import build, parse


@pytest.fixture(autouse=True)
def _bounded() -> Iterator[None]:
    tracemalloc.start()
    start = process_time()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert process_time() - start < 20  # tracing makes it some four times slower
    assert peak < 256 << 20


def scanned(tmp_path: Path, info: bytes, abbreviations: bytes, **more: bytes) -> ScanResult:
    file = parse("file\n")
    path = tmp_path / "vmlinux"
    data = build(file)
    file.sections = {".debug_inf2": info, ".debug_abbre2": abbreviations}
    data = build(file).replace(b".debug_info\0", b".debug_infX\0").replace(b".debug_abbrev\0", b".debug_abbreX\0")
    data = data.replace(b".debug_inf2\0", b".debug_info\0").replace(b".debug_abbre2\0", b".debug_abbrev\0")
    path.write_bytes(data)
    assert not more
    return scan(str(path), walk_all=True)


def unit(table: int, body: bytes) -> bytes:
    return struct.pack("<IHBBI", len(body) + 8, 5, 1, 8, table) + body


C_UNIT = b"\1\x11\1\x13\5\0\0"  # code 1: compile_unit with DW_AT_language, DW_FORM_data2
LANGUAGE = b"\1\x1d\0"


def test_the_frame_of_these_tests(tmp_path: Path) -> None:
    result = scanned(tmp_path, unit(0, LANGUAGE + b"\0"), C_UNIT + b"\0")
    assert (result.status, result.units, result.walked_dies) == ("ok", {"C": 1}, 1)


def test_tables_that_overlap(tmp_path: Path) -> None:
    """A table at every declaration of a long one: quadratic, were each read to its end."""
    table = C_UNIT + b"".join(bytes([2]) + b"\x39\0\3\x0b\0\0" for _ in range(20_000)) + b"\0"
    info = b"".join(unit(7 * n, LANGUAGE + b"\0") for n in range(5_000))
    result = scanned(tmp_path, info, table)
    assert result.status == "unknown"
    assert any("overlap" in p or "not in the table" in p for p in result.problems)


@pytest.mark.parametrize("byte", [b"\xff", b"\x80"])
def test_numbers_without_end(byte: bytes, tmp_path: Path) -> None:
    assert scanned(tmp_path, unit(0, LANGUAGE), byte * 1_000_000).status == "unknown"
    assert scanned(tmp_path, unit(0, byte * 1_000_000), C_UNIT + b"\0").status == "unknown"
    sdata = C_UNIT + b"\2\x34\0\3\x0d\0\0\0"
    assert scanned(tmp_path, unit(0, LANGUAGE + b"\2" + byte * 1_000_000), sdata).status == "unknown"


def test_a_table_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(abbrev, "_TABLE_LIMIT", 1000)
    dice = random.Random(1)
    table = C_UNIT + b"".join(b"\2\x39\0" + bytes([dice.randrange(1, 99), 0x0B]) * 2 + b"\0\0" for _ in range(5000))
    result = scanned(tmp_path, unit(0, LANGUAGE + b"\0"), table)
    assert "has no end" in result.problems[0]


def test_more_units_than_there_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "_UNIT_LIMIT", 100)
    result = scanned(tmp_path, unit(0, LANGUAGE + b"\0") * 200, C_UNIT + b"\0")
    assert result.status == "unknown"
    assert "more than 100 units" in result.problems[0]


def test_more_finds_than_can_be_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = C_UNIT + b"\2\x39\0\0\0\0"
    info = unit(0, LANGUAGE + b"\2" * 5000 + b"\0")
    assert scanned(tmp_path, info, table).kinds == {"L3n": 5000}
    monkeypatch.setattr(tree, "_MOST_ENTRIES", 1000)
    result = scanned(tmp_path, info, table)
    assert (result.status, result.kinds) == ("unknown", {})
    monkeypatch.setattr(walk, "_MOST", 1000)
    assert "million" in scanned(tmp_path, info, table).problems[0]


def test_children_without_end(tmp_path: Path) -> None:
    """300,000 namespaces, each the child of the one before, and no end of any."""
    table = C_UNIT + b"\2\x39\1\0\0\0"
    result = scanned(tmp_path, unit(0, LANGUAGE + b"\2" * 300_000), table)
    assert result.status == "ok"
    assert result.kinds == {"L3n": 300_000}


def test_nothing_but_ends(tmp_path: Path) -> None:
    result = scanned(tmp_path, unit(0, LANGUAGE + b"\0" * 3_000_000), C_UNIT + b"\0")
    assert result.walked_dies == 1


@pytest.mark.parametrize("length", [0, 1, 7, 0xFFFFFFF0, 0xFFFFFFFE, 0x7FFFFFFF])
def test_unit_lengths_that_cannot_be(length: int, tmp_path: Path) -> None:
    info = struct.pack("<I", length) + unit(0, LANGUAGE)[4:]
    result = scanned(tmp_path, info, C_UNIT + b"\0")
    assert result.status == "unknown"
    assert len(result.problems) == 1


def test_padding_between_units_is_no_problem_at_the_end(tmp_path: Path) -> None:
    result = scanned(tmp_path, unit(0, LANGUAGE + b"\0") + bytes(16), C_UNIT + b"\0")
    assert (result.status, result.units) == ("ok", {"C": 1})


def test_tables_are_forgotten_and_taken_apart_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(abbrev, "_KEPT_LIMIT", 3)
    table = C_UNIT + b"\2\x39\0\0\0\0"
    info = b"".join(unit(len(table) * n, LANGUAGE + b"\2\0") for n in (0, 1, 2, 0, 1, 2))
    result = scanned(tmp_path, info, table * 3)
    assert result.kinds == {"L3n": 6}
