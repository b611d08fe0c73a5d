# SPDX-License-Identifier: MIT
"""Split DWARF: from a skeleton unit to the .dwo or .dwp file that holds the rest.

Layouts: DWARF 5 section 7.3.5 and, for version 2 of the index, the GNU DebugFission documents.
"""

from __future__ import annotations

import os
import struct

from btfcheck.dwarf.constants import AT
from btfcheck.dwarf.units import Debug, Unit
from btfcheck.image import Image, open_image
from btfcheck.model import InputError

_COLUMNS = {1: "info", 2: "info", 3: "abbrev", 6: "str_offsets"}  # 2: types, of version 2


def dwo_id(unit: Unit) -> int:
    """The number that a skeleton unit and its other half share."""
    value = unit.number(AT["GNU_dwo_id"])
    return unit.signature if value is None else value


def candidates(unit: Unit, path: str) -> list[str]:
    """Where the .dwo or .dwp of a skeleton unit may lie; `path` is the file that has the skeleton."""
    debug = unit.info.debug
    name = debug.string(unit, unit.root.get(AT["dwo_name"]) or unit.root.get(AT["GNU_dwo_name"]))
    folder = os.path.dirname(os.path.abspath(path))
    places = [path + ".dwp"]
    if name:
        build = debug.string(unit, unit.root.get(AT["comp_dir"]))
        places += [os.path.join(build, name) if build else name, os.path.join(folder, name),
                   os.path.join(folder, os.path.basename(name))]
    return [p for p in dict.fromkeys(places) if "\0" not in p]


def find(unit: Unit, path: str, opened: dict[str, Debug | None]) -> list[Unit]:
    """The other half of a skeleton unit and the type units beside it; empty when it is not found.

    `opened` remembers a .dwp, which all units share.
    """
    for place in candidates(unit, path):
        debug = opened[place] if place in opened else _open(place)
        if place.endswith(".dwp"):
            opened[place] = debug
        if debug is None:
            continue
        halves = [u for u in debug.units if not u.type_unit and dwo_id(u) == dwo_id(unit)]
        if halves:
            return halves + [u for u in debug.units if u.type_unit]
    return []


def _open(place: str) -> Debug | None:
    try:
        image = open_image(place)
        debug = Debug(image)
        _apply_index(image, debug)
    except InputError:
        return None
    return debug if debug.infos else None


def _apply_index(image: Image, debug: Debug) -> None:
    """Tell each unit of a .dwp where its abbreviations and string offsets start."""
    for name in (".debug_cu_index", ".debug_tu_index"):
        data = image.contents(name)
        if not len(data):
            continue
        try:
            rows = _rows(bytes(data), image.order)
        except struct.error:
            raise InputError(f"{image.path}: {name} is cut off") from None
        for info in debug.infos:
            for row in rows:
                info.bases[row["info"]] = row.get("abbrev", 0), row.get("str_offsets", 0)


def _rows(data: bytes, order: str) -> list[dict[str, int]]:
    """One dictionary for each unit: column -> offset."""
    columns, units, slots = struct.unpack_from(order + "III", data, 4)
    if (columns + units * columns) * 4 + slots * 12 + 16 > len(data):
        raise struct.error
    at = 16 + slots * 12
    names = [_COLUMNS.get(n, "") for n in struct.unpack_from(f"{order}{columns}I", data, at)]
    at += 4 * columns
    rows = []
    for row in range(units):
        offsets = struct.unpack_from(f"{order}{columns}I", data, at + 4 * columns * row)
        rows.append(dict(zip(names, offsets, strict=True)))
    return [row for row in rows if "info" in row]
