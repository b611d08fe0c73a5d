# SPDX-License-Identifier: MIT
"""Imports only go down: the rooms in the order of the architecture, checked on the syntax trees."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "btfcheck"

# From the top down. A room may import rooms further down, and itself. Rooms in one
# set do not know each other.
LAYERS: list[set[str]] = [
    {"__main__"},
    {"cli"},
    {"commands"},
    {"gate"},
    {"explain"},
    {"trace"},
    {"formats"},
    {"lint"},
    {"kconfig", "btf", "dwarf"},
    {"toolchain"},
    {"config"},
    {"image"},
    {"files", "payload", "release"},
    {"model"},
]
RANK = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            found |= {f"{module}.{a.name}" for a in node.names} if module == "btfcheck" else {module}
    return {name.split(".")[1] for name in found if name.startswith("btfcheck.")} & set(RANK)


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":  # the library face: imports lazily what it offers
        return
    assert room in RANK, f"{room} has no place in the order of rooms"
    for other in imported_rooms(path) - {room}:
        assert RANK[other] > RANK[room], f"{path.relative_to(ROOT)} imports {other}, which is not below it"


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_spdx_line(path: Path) -> None:
    assert path.read_text().startswith("# SPDX-License-Identifier: MIT\n")
