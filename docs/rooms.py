# SPDX-License-Identifier: MIT
"""The picture of the rooms, drawn from the imports themselves."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests import layers


def svg() -> str:
    """The rooms from the top down, as tests/layers.py has their order, and who imports whom.

    Only arrows that no longer way implies are drawn.
    """
    below: dict[str, set[str]] = {room: set() for rooms in layers.LAYERS for room in rooms}
    for path in layers.ROOT.rglob("*.py"):
        room = layers.room_of(path)
        if room in below:
            below[room] |= layers.imported_rooms(path) - {room}
    arrows = [(a, b) for a in below for b in sorted(below[a])
              if not any(b in reached(c, below) for c in below[a] if c != b)]
    about = {room: doc(layers.ROOT, room) for room in below}
    return "\n".join(picture([sorted(rooms) for rooms in layers.LAYERS], arrows, about))


def reached(room: str, below: dict[str, set[str]]) -> set[str]:
    return below[room] | {far for near in below[room] for far in reached(near, below)}


def doc(package: Path, room: str) -> str:
    path = package / room / "__init__.py" if (package / room).is_dir() else package / f"{room}.py"
    text = path.read_text().split('"""')[1]
    return text.split("\n")[0].partition(". ")[0].rstrip(".")


WIDTH, BOX, ROW, LEFT = 1000, 40, 74, 150


def picture(rows: list[list[str]], arrows: list[tuple[str, str]], about: dict[str, str]) -> Iterator[str]:
    height = ROW * len(rows) + 20
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
           'role="img" aria-label="The rooms of btfcheck and what they import">')
    yield ('<defs><marker id="a" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
           '<path d="M0 0L8 4L0 8z" fill="#666"/></marker></defs>')
    yield f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>'
    place: dict[str, tuple[float, float, float]] = {}  # room -> left, top, width
    for number, rooms in enumerate(rows):
        width = (WIDTH - 2 * LEFT - 20 * (len(rooms) - 1)) / len(rooms)
        for column, room in enumerate(rooms):
            place[room] = LEFT + column * (width + 20), 12 + number * ROW, width
    order = {room: number for number, rooms in enumerate(rows) for room in rooms}
    far = sorted(arrows, key=lambda pair: (order[pair[1]] - order[pair[0]] > 1, order[pair[1]] - order[pair[0]], pair))
    near = sum(order[b] - order[a] == 1 for a, b in far)
    for number, (a, b) in enumerate(far, -near):
        yield arrow(place[a], place[b], order[b] - order[a], number)
    for room, (left, top, width) in place.items():
        middle = left + width / 2
        yield (f'<rect x="{left:.0f}" y="{top}" width="{width:.0f}" height="{BOX}" rx="5" fill="#eef3f8" '
               'stroke="#47617a"/>')
        yield (f'<text x="{middle:.0f}" y="{top + 16}" font-size="14" font-weight="bold" '
               f'text-anchor="middle">{room}</text>')
        yield from caption(about[room], middle, top + 31, int(width / 5.6))
    yield "</svg>\n"


def arrow(a: tuple[float, float, float], b: tuple[float, float, float], rows: int, number: int) -> str:
    """Straight to the next row; to one further down through the gap below, a lane of its own, and the gap above."""
    top, bottom = a[1] + BOX, b[1]
    if rows == 1:
        x = (b if a[2] > b[2] else a)[0] + min(a[2], b[2]) / 2
        path = f"M{x:.0f} {top}V{bottom}"
    else:
        right = number % 2
        lane = WIDTH - LEFT + 12 + 5 * number if right else LEFT - 12 - 5 * number
        inset = 14 + 7 * number
        start, end = (room[0] + (room[2] - inset if right else inset) for room in (a, b))
        low, high = top + 6 + number % 5 * 3, bottom - 12 - number % 5 * 3
        path = f"M{start:.0f} {top}V{low}H{lane:.0f}V{high}H{end:.0f}V{bottom}"
    return f'<path d="{path}" fill="none" stroke="#888" marker-end="url(#a)"/>'


def caption(text: str, x: float, y: float, most: int) -> Iterator[str]:
    text = text if len(text) <= most else text[: most - 1].rpartition(" ")[0] + " ..."
    text = text.replace("`", "").replace("&", "&amp;").replace("<", "&lt;")
    yield f'<text x="{x:.0f}" y="{y:.0f}" font-size="10.5" fill="#333" text-anchor="middle">{text}</text>'
