# SPDX-License-Identifier: MIT
"""The rooms of the package, in the order of the architecture. The tests hold it, and the site's picture shows it."""

from __future__ import annotations

import ast
from pathlib import Path

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
