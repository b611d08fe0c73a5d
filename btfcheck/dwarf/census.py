# SPDX-License-Identifier: MIT
"""Who defines what: every named struct, union, enum, typedef and function, by the language it belongs to.

One walk over all entries finds those of the five tags; most are then understood by two reads at places
that their shape tells. Names stay numbers (offsets of the string section) until the end: a vmlinux has two
million such entries and 100,000 names.

What LLVM put into a C unit is Rust's all the same: below a namespace, with a variant part, or reached only
from there (see holdings.Holdings).
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from btfcheck.dwarf.abbrev import DwarfError, Shape, leb, step_of
from btfcheck.dwarf.constants import AT, FORM, RUST_TAGS, TAG
from btfcheck.dwarf.holdings import Holdings
from btfcheck.dwarf.partial import label_partial_units
from btfcheck.dwarf.tree import Tree
from btfcheck.dwarf.units import STRING_LIMIT, Debug, Unit
from btfcheck.dwarf.walk import Targets, skip_entry, walk

STRUCT, UNION, ENUM, TYPEDEF, FUNC = "struct", "union", "enum", "typedef", "function"
KINDS = {
    TAG["structure_type"]: STRUCT, TAG["class_type"]: STRUCT, TAG["union_type"]: UNION,
    TAG["enumeration_type"]: ENUM, TAG["typedef"]: TYPEDEF, TAG["subprogram"]: FUNC,
}  # fmt: skip
_TAGS = frozenset(KINDS)
_BYTE_SIZE = 0x0B
_INDEXED = frozenset(FORM[n] for n in ("strx1", "strx2", "strx3", "strx4"))
_ORIGINS = (AT["abstract_origin"], AT["specification"])
_THROUGH = frozenset(
    TAG[t] for t in ("pointer_type", "const_type", "volatile_type", "restrict_type", "array_type", "typedef")
)

Key = tuple[str, str]  # kind and name


class Place(NamedTuple):
    """A definition: its unit and the offset of its entry."""

    unit: Unit
    offset: int


@dataclass
class Census:
    """`c`, `rust` and `asm`: (kind, name) -> size in bytes (0 for typedefs and functions) -> the first definition.

    `void` names what of C's has its type in a Rust unit, which pahole loses: (kind, name, member or
    parameter; "" for a function's own type). `problems` say what could not be
    read; then a name that is missing proves nothing. `units` counts units by language.
    """

    c: dict[Key, dict[int, Place]] = field(default_factory=dict)
    rust: dict[Key, dict[int, Place]] = field(default_factory=dict)
    asm: dict[Key, dict[int, Place]] = field(default_factory=dict)
    void: list[tuple[str, str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    units: dict[str, int] = field(default_factory=dict)


def census(debug: Debug) -> Census:
    """Take it for one file. Never raises for what the file holds: see Census.problems."""
    result = Census()
    units = debug.units
    sound = [u for u in units if not u.problem]
    result.problems += [u.problem for u in units if u.problem]
    result.problems += [f"{u.name}: its content stands in a .dwo file" for u in sound if u.skeleton]
    try:
        label_partial_units(sound)
    except DwarfError as error:
        result.problems.append(str(error))
    result.units = dict(Counter(u.language for u in sound))
    rust = [u for u in sound if u.language == "Rust"]
    targets = {id(info): _targets([u for u in rust if u.info is info], len(info.data)) for info in debug.infos}
    found = {language: _Names() for language in ("C", "Rust", "asm")}
    for unit in sound:
        if problem := _counted(unit, targets[id(unit.info)], found, result):
            result.problems.append(problem)
    result.c, result.rust, result.asm = (names.resolved() for names in found.values())
    return result


def _targets(units: list[Unit], size: int) -> Targets | None:
    return Targets(size, [(u.offset, u.end) for u in units]) if units else None


class _Names:
    """Definitions by raw name. `rows`: (kind, section or "", number or text, size) -> place."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, int | str, int], Place] = {}

    def resolved(self) -> dict[Key, dict[int, Place]]:
        strings: dict[str, bytes] = {}
        known: dict[tuple[str, int | str], str] = {}
        merged: dict[Key, dict[int, Place]] = {}
        for (kind, section, raw, size), place in self.rows.items():
            name = raw if isinstance(raw, str) else known.get((section, raw))
            if name is None:
                if section not in strings:
                    strings[section] = bytes(place.unit.info.debug.image.contents(section))
                name = known[section, raw] = _string(strings[section], raw)
            if name:
                merged.setdefault((kind, name), {}).setdefault(size, place)
        return merged


def _string(strings: bytes, at: int | str) -> str:
    """The string at an offset, as Debug.string reads it."""
    assert isinstance(at, int)
    end = strings.find(0, at, at + STRING_LIMIT)
    return strings[at : end if end >= 0 else at + STRING_LIMIT].decode("utf-8", "backslashreplace")


class _Reader(NamedTuple):
    """How to read one shape: where its name and its size stand among the attributes, by (place, width).

    `indexed` names are numbers of entries in the table of string offsets; `slow` shapes are read attribute by
    attribute; `size` is the constant when it stands in the table.
    """

    kind: str
    name_at: int
    width: int
    section: str
    size_at: int
    size_width: int
    size: int
    indexed: bool = False
    slow: bool = False


def _counted(unit: Unit, targets: Targets | None, found: dict[str, _Names], result: Census) -> str:
    """Take one unit in; what was wrong with it, or ""."""
    try:
        _count(unit, targets, found, result)
    except DwarfError as error:
        return str(error)
    except (struct.error, IndexError) as error:
        return f"unit at 0x{unit.offset:x}: {error}"
    return ""


def _count(unit: Unit, targets: Targets | None, found: dict[str, _Names], result: Census) -> None:
    language = "C" if unit.language == "none" else unit.language
    if language not in found or unit.table is None:
        return
    table = unit.table
    mixed = unit.language != "Rust" and table.rust
    looks = targets if unit.language != "Rust" and table.leaving else None
    _, hits, tagged = walk(unit, _TAGS | RUST_TAGS if mixed else _TAGS, looks)
    hits = [hit for hit in hits if hit.attribute == AT["type"]]
    foreign: frozenset[int] = frozenset()
    if mixed or hits:
        tree = Tree(unit)
        holds = Holdings(tree)
        if mixed and any(tree.tag(tree.numbers[at]) in RUST_TAGS for at in tagged):
            foreign = frozenset(at for at in tagged if _is_rust(holds, tree.numbers[at]))
        _void(tree, holds, [hit.die for hit in hits], result)
    _read(unit, [at for at in tagged if at not in foreign] if foreign else tagged, found[language])
    _read(unit, sorted(foreign), found["Rust"])


def _is_rust(holds: Holdings, number: int) -> bool:
    return number in holds.types or holds.owns_reference(number)


def _read(unit: Unit, offsets: list[int], names: _Names) -> None:
    """The definitions among the entries at these offsets."""
    info, rows = unit.info, names.rows
    data, little = info.data, info.order == "<"
    readers = _readers(unit)
    order: Literal["little", "big"] = "little" if little else "big"
    relocations = info.relocations
    offset_width, base = unit.sizes.offset, unit.number(AT["str_offsets_base"]) or 0
    table = info.debug.image.contents(".debug_str_offsets") if base else memoryview(b"")
    for at in offsets:
        code = data[at]
        start = at + 1
        if code > 127:
            code, start = leb(data, at)
        reader = readers[code]
        if reader is None:
            continue
        if reader.slow:
            _read_slowly(unit, at, reader.kind, names)
            continue
        name_at = start + reader.name_at
        raw = int.from_bytes(data[name_at : name_at + reader.width], order)
        if reader.indexed:
            place = base + raw * offset_width
            if place + offset_width > len(table):
                raise DwarfError(f"the entry at 0x{at:x} names a string that is not there")
            raw = int.from_bytes(table[place : place + offset_width], order)
        elif relocations is not None:
            raw = relocations.value(name_at, raw, reader.width)
        size = reader.size
        if reader.size_width:
            size_at = start + reader.size_at
            size = int.from_bytes(data[size_at : size_at + reader.size_width], order)
        key = reader.kind, reader.section, raw, size
        if key not in rows:
            rows[key] = Place(unit, at)


def _readers(unit: Unit) -> dict[int, _Reader | None]:
    """Code -> how to read it; None for what defines nothing that has a name. Made once for each table."""
    assert unit.table is not None
    plans = unit.table.plans
    key = "census", unit.number(AT["str_offsets_base"]) is not None
    found = plans.get(key)
    if not isinstance(found, dict):
        suffix = ".dwo" if unit.info.name.endswith(".dwo") else ""
        found = plans[key] = {code: _reader(shape, unit, suffix) for code, shape in unit.table.shapes.items()}
    return found


def _reader(shape: Shape, unit: Unit, suffix: str) -> _Reader | None:
    kind = KINDS.get(shape.tag)
    forms = {attribute: form for attribute, form, _ in shape.attributes}
    if kind is None or AT["name"] not in forms:
        return None
    if forms.get(AT["declaration"]) in (FORM["flag_present"], FORM["implicit_const"]):
        return None
    slow = _Reader(kind, 0, 0, "", 0, 0, 0, slow=True)
    sections = {FORM["strp"]: ".debug_str" + suffix, FORM["line_strp"]: ".debug_line_str" + suffix}
    form = forms[AT["name"]]
    indexed = form in _INDEXED and not suffix and unit.info.relocations is None
    indexed = indexed and unit.number(AT["str_offsets_base"]) is not None
    if (form not in sections and not indexed) or AT["declaration"] in forms:
        return slow
    sized = kind in (STRUCT, UNION, ENUM)
    place, name_at, name_width, size_at, size_width, size = 0, -1, 0, 0, 0, 0
    for attribute, form, constant in shape.attributes:
        step, width = step_of(form, unit.sizes)
        if attribute == AT["name"]:
            name_at, name_width = place, width
        elif attribute == _BYTE_SIZE and sized:
            if step != -1:
                return slow
            size_at, size_width, size = place, width, constant
        if step != -1 and width == 0:  # its size differs: what follows has no fixed place
            if name_at < 0 or (sized and _BYTE_SIZE in forms and not size_width):
                return slow
            break
        place += width
    section = ".debug_str" if indexed else sections[forms[AT["name"]]]
    return _Reader(kind, name_at, name_width, section, size_at, size_width, size, indexed)


def _read_slowly(unit: Unit, at: int, kind: str, names: _Names) -> None:
    values = _attributes(unit, at)
    if values.get("declaration"):
        return
    size = values.get("size", 0) if kind in (STRUCT, UNION, ENUM) else 0
    name = values.get("name", "")
    if isinstance(size, int) and isinstance(name, str) and name:
        names.rows.setdefault((kind, "", name, size), Place(unit, at))


def _attributes(unit: Unit, at: int) -> dict[str, int | str]:
    """Name, size, declaration and place of an entry, as far as they are plain numbers and texts."""
    try:
        entry = unit.info.entry(unit, at)
    except (struct.error, IndexError) as error:
        raise DwarfError(f"the entry at 0x{at:x} is cut off") from error
    found: dict[str, int | str] = {}
    for word, number in (("size", _BYTE_SIZE), ("declaration", AT["declaration"]), ("at", 0x38), ("bits", 0x6B)):
        if number in entry and isinstance(raw := entry[number].raw, int):
            found[word] = 1 if entry[number].form == FORM["flag_present"] else raw
    if AT["name"] in entry:
        found["name"] = unit.info.debug.string(unit, entry[AT["name"]])
    return found


# -- layouts ---------------------------------------------------------------------------------------------


def children(place: Place) -> Iterator[tuple[int, int]]:
    """(tag, offset) of the direct children of an entry. Raises DwarfError for what cannot be decoded."""
    unit = place.unit
    body = unit.info.body(unit)
    at = place.offset - unit.offset
    try:
        shape, _, at = skip_entry(unit, body, at)
        depth = 1 if shape is not None and shape.children else 0
        while depth:
            start = at
            shape, _, at = skip_entry(unit, body, at)
            if shape is None:
                depth -= 1
                continue
            if depth == 1:
                yield shape.tag, unit.offset + start
            depth += shape.children
    except (IndexError, ValueError, struct.error) as error:
        raise DwarfError(f"the entry at 0x{place.offset:x} is cut off") from error


def layout(place: Place) -> tuple[tuple[str, int], ...]:
    """(name, place) of each member or enumerator, in the order of the entries; the place of a bit field in
    bits from 1 << 32 on, of an enumerator 0. Raises DwarfError."""
    wanted = (TAG["member"], TAG["enumerator"])
    found = []
    for tag, offset in children(place):
        if tag in wanted:
            values = _attributes(place.unit, offset)
            where = values.get("at", (1 << 32) + int(values["bits"]) if "bits" in values else 0)
            found.append((str(values.get("name", "")), int(where)))
    return tuple(found)


def nameless_parameters(place: Place) -> bool:
    """Has a function a parameter without a name? pahole leaves such functions out. Raises DwarfError."""
    for tag, offset in children(place):
        if tag == TAG["formal_parameter"]:
            entry = place.unit.info.entry(place.unit, offset)
            if AT["name"] not in entry and not any(a in entry for a in _ORIGINS):
                return True
    return False


# -- types that a C unit takes from a Rust one --------------------------------------------------------------


def _void(tree: Tree, holds: Holdings, dies: list[int], result: Census) -> None:
    """What of C's leads, by pointers and the like, to an entry whose type stands in a Rust unit."""
    lost = {tree.numbers[die] for die in dies if not holds.owns_reference(tree.numbers[die])}
    if not lost:
        return
    referrers: dict[int, list[int]] = {}
    for number in range(len(tree.offsets)):
        if (target := tree.type_of(number)) is not None:
            referrers.setdefault(target, []).append(number)
    todo = list(lost)
    while todo:
        number = todo.pop()
        if found := _named(tree, number):
            result.void.append(found)
        if tree.tag(number) not in _THROUGH:
            continue
        fresh = [n for n in referrers.get(number, ()) if n not in lost]
        lost.update(fresh)
        todo += fresh


def _named(tree: Tree, number: int) -> tuple[str, str, str] | None:
    """What people call it, when it is a function, a typedef, a member or a parameter."""
    tag, parent = tree.tag(number), tree.parents[number]
    if tag in (TAG["typedef"], TAG["subprogram"]):
        return KINDS[tag], tree.name(number), ""
    if tag in (TAG["member"], TAG["formal_parameter"]) and parent > 0 and tree.tag(parent) in KINDS:
        return KINDS[tree.tag(parent)], tree.name(parent), tree.name(number)
    return None
