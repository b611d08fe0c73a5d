# SPDX-License-Identifier: MIT
"""Imports only go down: the rooms in the order of the architecture, checked on the syntax trees."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.layers import RANK, ROOT, imported_rooms, room_of


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
