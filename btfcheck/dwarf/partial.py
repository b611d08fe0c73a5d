# SPDX-License-Identifier: MIT
"""Partial units of dwz: which language they are of."""

from __future__ import annotations

from collections.abc import Iterator

from btfcheck.dwarf.abbrev import ALT_SIZES
from btfcheck.dwarf.constants import AT, FORM, TAG
from btfcheck.dwarf.units import Unit
from btfcheck.dwarf.walk import walk

_IMPORTS = frozenset({TAG["imported_unit"]})


def label_partial_units(units: list[Unit]) -> None:
    """Give units of dwz, which have no language, that of the units that import them, also by way of
    others; C when any of these is C.

    Raises DwarfError when a unit cannot be walked for its imports.
    """
    waiting = [u for u in units if u.partial and u.language == "none"]
    if not waiting:
        return
    if not any(u.language == "Rust" for u in units):
        for unit in waiting:  # nobody but C can have imported them
            unit.language = "C"
        return
    places = {(id(u.info), u.die): u for u in units}
    imports = {id(u): [places[p] for p in _imports(u) if p in places] for u in units}
    languages: dict[int, set[str]] = {}
    todo = [(u, u.language) for u in units if u.language != "none"]
    while todo:
        unit, language = todo.pop()
        for imported in imports[id(unit)]:
            known = languages.setdefault(id(imported), set())
            if language not in known:
                known.add(language)
                todo.append((imported, language))
    for unit in waiting:
        known = languages.get(id(unit), set())
        unit.language = "C" if known & {"C", "asm"} else min(known, default="none")


def _imports(unit: Unit) -> Iterator[tuple[int, int]]:
    """(section, offset of the first entry) of the units that this one imports."""
    table, info = unit.table, unit.info
    if table is None or not table.imports:
        return
    for offset in walk(unit, _IMPORTS)[2]:
        value = info.entry(unit, offset).get(AT["import"])
        if value is None or not isinstance(value.raw, int):
            continue
        if value.form in ALT_SIZES:
            if info.debug.alternate and info.debug.alternate.infos:
                yield id(info.debug.alternate.infos[0]), value.raw
        elif value.form == FORM["ref_addr"]:
            yield id(info), info.relocated(value, unit)
        else:
            yield id(info), unit.offset + value.raw
