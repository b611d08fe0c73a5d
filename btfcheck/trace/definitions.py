# SPDX-License-Identifier: MIT
"""What a file defines by a name: definitions of its units, alike ones taken together, and records of its BTF."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from itertools import groupby
from typing import Literal, NamedTuple

from btfcheck.btf import format as btf_format
from btfcheck.btf.declare import declare, definition
from btfcheck.btf.format import Btf
from btfcheck.dwarf.abbrev import DwarfError
from btfcheck.dwarf.constants import AT, TAG
from btfcheck.dwarf.find import FUNCTIONS, Found
from btfcheck.dwarf.names import ENUM, FUNC, STRUCT, TYPEDEF, UNION
from btfcheck.dwarf.names import KINDS as DWARF_KINDS
from btfcheck.dwarf.spell import THROUGH, Entry
from btfcheck.dwarf.tree import Tree
from btfcheck.dwarf.units import Unit
from btfcheck.dwarf.walk import Targets, walk
from btfcheck.trace.compare import KINDS as BTF_KINDS
from btfcheck.trace.copies import referring, rust_ints
from btfcheck.trace.ground import Ground

BASE = "base type"
POINTER = "pointer"
_KINDS = {**DWARF_KINDS, TAG["base_type"]: BASE, TAG["pointer_type"]: POINTER}
_RECORDS = {**BTF_KINDS, btf_format.INT: BASE, btf_format.FLOAT: BASE}
KINDS = (STRUCT, UNION, ENUM, TYPEDEF, FUNC, BASE, POINTER)
_SIZED = (STRUCT, UNION, ENUM, BASE)
_MEMBERS = frozenset({TAG["member"], TAG["enumerator"], TAG["variant_part"]})
_DEEP = 32
_MOST_MEMBERS = 4096  # that are looked at
_MOST_NAMED = 100  # users of a type that are named
_MOST_COPIED = 200  # units of a function that are searched for copies of it
_MOST_ALIKE = 5000  # definitions of one name that are read; Debian's vmlinux has 2,400 units

Key = tuple[str, str]  # kind and name


class Lost(NamedTuple):
    """A member, parameter or result ("" is the type itself) whose type stands in a Rust unit: `type` there."""

    part: str
    type: str
    unit: str


class Definition(NamedTuple):
    """A definition, and how many units have it.

    `language` is that of the unit; `hosted` tells that it is Rust's all the same: LLVM put it there. `size` is in
    bytes, `members` are (name, place in bits or None) of members, with the value 0 of enumerators; `data` tells of an
    enum that carries data. `text` is the prototype of a function or the meaning of a typedef. `code` tells of a
    function whether it stands in the file by itself ("out of line"), is only inlined, or is only declared.
    """

    kind: str
    name: str
    path: str
    language: str
    hosted: bool
    size: int
    text: str
    members: tuple[tuple[str, int | None], ...]
    data: bool
    lost: tuple[Lost, ...]
    code: str
    units: int
    unit: str
    producer: str
    source: str
    section: str
    offset: int
    entry: Entry

    @property
    def rust(self) -> bool:
        return self.hosted or self.language == "Rust"


class Record(NamedTuple):
    """A record of the BTF. `own` is false for one of the base, which a module stands on; `rust_ints` tells that it
    leads to base types that only Rust has, `void` names members, parameters and results that are void or point to it,
    `nothing` members that have no type at all."""

    id: int
    kind: str
    name: str
    size: int
    lines: tuple[str, ...]
    members: tuple[tuple[str, int], ...]
    rust_ints: bool
    void: tuple[str, ...]
    nothing: tuple[str, ...]
    own: bool


OUT_OF_LINE, INLINED = "out of line", "inlined at least in places"

# -- DWARF ------------------------------------------------------------------------------------------------


class Gathered(NamedTuple):
    """What the units of a file have by some names: definitions, how many units only declare it, and every entry that
    is not a declaration."""

    definitions: dict[Key, list[Definition]]
    declared: dict[Key, int]
    hits: dict[Key, list[Found]]


def gather(ground: Ground, found: Iterable[Found]) -> Gathered:
    """Read the entries that were found, and take alike ones together."""
    groups: dict[tuple[object, ...], Definition] = {}
    units: dict[tuple[object, ...], set[int]] = {}
    declared: dict[Key, int] = {}
    hits: dict[Key, list[Found]] = {}
    for number, hit in enumerate(found):
        if number >= _MOST_ALIKE:
            ground.problem(f"more than {_MOST_ALIKE} entries of that name: the others were not looked at")
            break
        kind = _KINDS[hit.tag]
        try:
            entry = ground.reader.entry(hit.unit, hit.offset)
            if entry.number(AT["declaration"]):
                declared[kind, hit.name] = declared.get((kind, hit.name), 0) + 1
                continue
            hits.setdefault((kind, hit.name), []).append(hit)
            where = _where(ground, hit, entry)
            text = _text(ground, entry, kind, hit.name)
            code = _code(entry) if kind == FUNC else ""
            size = (entry.number(AT["byte_size"]) or 0) if kind in _SIZED else 0
            key: tuple[object, ...] = (kind, hit.name, *where, size, text, code, entry.number(AT["decl_line"]))
            units.setdefault(key, set()).add(hit.unit.offset)
            if key not in groups:
                groups[key] = _definition(ground, entry, kind, hit, where, size, text, code)
        except (DwarfError, struct.error, IndexError) as error:
            ground.problem(str(error))
    result: dict[Key, list[Definition]] = {}
    for key, one in groups.items():
        result.setdefault((one.kind, one.name), []).append(one._replace(units=len(units[key])))
    for rows in result.values():
        rows.sort(key=lambda d: (d.rust, -d.units))
    return Gathered(result, declared, hits)


def _where(ground: Ground, hit: Found, entry: Entry) -> tuple[str, str, bool]:
    """(path, language, hosted) of an entry; one without a name of its own stands where what it completes stands."""
    language = "C" if hit.unit.language == "none" else hit.unit.language
    tree = ground.tree(hit.unit)
    if tree is None:
        return hit.name, language, False
    number = tree.numbers[hit.offset]
    named = number
    for _ in range(_DEEP):
        origin = None if AT["name"] in entry.values else ground.reader.target(entry, AT["specification"])
        if origin is None:
            break
        entry, named = origin, tree.numbers.get(origin.offset, named)
    path = tree.path(named)
    if language == "Rust":
        return path, language, False
    holds = ground.holdings(tree)
    own = number in holds.types or number in holds.functions or _in_namespace(tree, named)
    return path, language, own or holds.owns_reference(number)


def _in_namespace(tree: Tree, number: int) -> bool:
    """Does an entry stand in a namespace? What stands in a function or a struct may be C's."""
    while (number := tree.parents[number]) > 0:
        if tree.tag(number) == TAG["namespace"]:
            return True
    return False


def _text(ground: Ground, entry: Entry, kind: str, name: str) -> str:
    if kind == FUNC:
        return ground.reader.prototype(entry, name)
    if kind == TYPEDEF:
        return ground.reader.spell(ground.reader.target(entry), name)
    return ""


def _code(entry: Entry) -> str:
    if AT["low_pc"] in entry.values or AT["ranges"] in entry.values:
        return OUT_OF_LINE
    return INLINED


def _definition(
    ground: Ground, entry: Entry, kind: str, hit: Found, where: tuple[str, str, bool], size: int, text: str, code: str
) -> Definition:
    members: list[tuple[str, int | None]] = []
    lost: list[Lost] = []
    data = False
    crossing = hit.unit.language != "Rust" and hit.unit.table is not None and hit.unit.table.leaving
    if kind in (STRUCT, UNION, ENUM):
        for part in ground.reader.children(entry, _MEMBERS):
            if part.tag == TAG["variant_part"]:
                data = True
            elif len(members) < _MOST_MEMBERS:
                members.append((part.name(), _place(part) if part.tag == TAG["member"] else 0))
                if crossing and not where[2]:
                    lost += _lost(ground, part, part.name())
    elif crossing and not where[2]:
        lost += _lost(ground, ground.reader.origin(entry), "")
        for part in ground.reader.children(entry, frozenset({TAG["formal_parameter"]})) if kind == FUNC else ():
            whole = ground.reader.origin(part)
            lost += _lost(ground, whole, whole.name())
    unit = hit.unit
    return Definition(
        kind, hit.name, *where, size, text, tuple(members), data, tuple(lost), code, 1, _below(unit, unit.name),
        unit.producer, _below(unit, ground.reader.source(ground.reader.origin(entry))), unit.info.name, hit.offset,
        entry,
    )  # fmt: skip


def _below(unit: Unit, path: str) -> str:
    """A path as seen from the directory in which the unit was compiled; rustc adds names of its own to that of a
    unit."""
    value = unit.root.get(AT["comp_dir"])
    folder = unit.info.debug.string(unit, value) if value is not None else ""
    return path.removeprefix(f"{folder}/" if folder else "").partition("/@/")[0]


def _place(part: Entry) -> int | None:
    """Where a member lies, in bits from the start; None for what older DWARF says of bit fields."""
    if (bits := part.number(AT["data_bit_offset"])) is not None:
        return bits
    if AT["bit_size"] in part.values:
        return None
    at = part.values.get(AT["data_member_location"])
    if at is not None and not isinstance(at.raw, int):
        return None
    return 8 * at.raw if at is not None and isinstance(at.raw, int) else 0


def _lost(ground: Ground, entry: Entry, part: str) -> Iterator[Lost]:
    """Does the type of an entry in a C unit stand in a Rust unit, itself or what it points to?"""
    for _ in range(_DEEP):
        target = ground.reader.target(entry)
        if target is None:
            return
        if target.unit.language == "Rust":
            yield Lost(part, ground.reader.spell(target), _below(target.unit, target.unit.name))
            return
        if target.tag not in THROUGH:
            return
        entry = target


def completed(ground: Ground, hits: Iterable[Found]) -> Iterator[Found]:
    """The hits, and after declarations of functions in Rust units the definitions that complete them elsewhere in
    their unit: rustc declares methods inside their type."""
    for _, group in groupby(hits, key=lambda hit: id(hit.unit)):
        rows = list(group)
        yield from rows
        names = {hit.offset: hit.name for hit in rows if hit.tag in FUNCTIONS}
        unit = rows[0].unit
        if names and ground.tree(unit) is not None:
            for entry, origin in _referring(ground, unit, names, "specification"):
                yield Found(unit, entry.offset, entry.tag, names[origin])


def copies(ground: Ground, hits: Iterable[Found]) -> list[Entry]:
    """Out-of-line copies of functions that are inlined elsewhere in their unit: they name only what they copy."""
    by_unit: dict[int, tuple[Unit, set[int]]] = {}
    for hit in hits:
        if len(by_unit) < _MOST_COPIED:
            by_unit.setdefault(id(hit.unit), (hit.unit, set()))
        if id(hit.unit) in by_unit:
            by_unit[id(hit.unit)][1].add(hit.offset)
    return [
        entry for unit, origins in by_unit.values()
        for entry, _ in _referring(ground, unit, origins, "abstract_origin") if _code(entry) == OUT_OF_LINE
    ]


def _referring(
    ground: Ground, unit: Unit, origins: Collection[int], attribute: str
) -> Iterator[tuple[Entry, int]]:
    """The functions of a unit that refer to one of these entries of it, with that."""
    try:
        for at in walk(unit, FUNCTIONS)[2]:
            entry = ground.reader.entry(unit, at)
            value = entry.values.get(AT[attribute])
            if value is None or not isinstance(value.raw, int):
                continue
            target = ground.reader.target(entry, AT[attribute])
            if target is not None and target.offset in origins:
                yield entry, target.offset
    except (DwarfError, struct.error, IndexError) as error:
        ground.problem(str(error))


def referrers(ground: Ground, wanted: Collection[Definition]) -> list[str]:
    """What of C's has its type in one of these entries of Rust units: "struct pair.flag", "function f"."""
    places = {one.offset for one in wanted}
    found: dict[str, None] = {}
    for unit in ground.units if places else ():
        if unit.language == "Rust" or unit.table is None or not unit.table.leaving or len(found) >= _MOST_NAMED:
            continue
        sections = [one for one in wanted if one.entry.unit.info is unit.info]
        if not sections:
            continue
        order: Literal["little", "big"] = "little" if unit.info.order == "<" else "big"
        body = unit.info.body(unit) if unit.info.relocations is None else b""
        if body and not any(one.offset.to_bytes(unit.sizes.ref_addr, order) in body for one in sections):
            continue
        try:
            targets = Targets(len(unit.info.data), [(one.offset, one.offset + 1) for one in sections])
            hits = [hit for hit in walk(unit, frozenset(), targets)[1] if hit.attribute == AT["type"]]
            tree = ground.tree(unit, all_units=True) if hits else None
            if tree is not None:
                holds = ground.holdings(tree)
                numbers = [tree.numbers[hit.die] for hit in hits]
                found |= dict.fromkeys(_named(tree, n) for n in numbers if not holds.owns_reference(n))
        except (DwarfError, struct.error, IndexError) as error:
            ground.problem(str(error))
    return list(found)


def _named(tree: Tree, number: int) -> str:
    """What people call an entry: a member with its struct, a parameter with its function."""
    name = tree.name(number)
    while number > 0 and tree.tag(number) not in _KINDS:
        number = tree.parents[number]
    if number <= 0:
        return name or "an entry without a name"
    kind, whole = _KINDS[tree.tag(number)], tree.name(number)
    return f"{kind} {whole}" if whole == name or not name else f"{kind} {whole}.{name}"


# -- BTF --------------------------------------------------------------------------------------------------


def records(btf: Btf, names: Collection[str]) -> dict[Key, list[Record]]:
    """(kind, name) -> the records of that name, those of the base as well."""
    found: dict[Key, list[Record]] = {}
    part: Btf | None = btf
    while part is not None:
        offsets = string_offsets(part, names)
        for slot, at in enumerate(part.starts) if offsets else ():
            name = offsets.get(part.words[at]) if slot + part.first else None
            if name is not None and (kind := _kind_of(part, slot)):
                found.setdefault((kind, name), []).append(_record(btf, part.first + slot, kind, part is btf))
        part = part.base
    return {key: sorted(rows) for key, rows in found.items()}


def string_offsets(btf: Btf, names: Collection[str]) -> dict[int, str]:
    """Where the strings have these names, also at the end of others."""
    found = {}
    for name in names:
        text = name.encode("utf-8", "surrogateescape") + b"\0"
        at = btf.strings.find(text) if name else -1
        while at >= 0:
            found[at] = name
            at = btf.strings.find(text, at + 1)
    return found


def _kind_of(btf: Btf, slot: int) -> str:
    kind = btf.kinds[slot]
    if kind == btf_format.FWD:
        return UNION if btf.words[btf.starts[slot] + 1] >> 31 else STRUCT
    return _RECORDS.get(kind, "")


def _record(btf: Btf, tid: int, kind: str, own: bool) -> Record:
    number = btf.kind(tid)
    members: list[tuple[str, int]] = []
    void: list[str] = []
    nothing: list[str] = []
    if number in (btf_format.STRUCT, btf_format.UNION):
        kflag = btf.kflag(tid)
        for name, other, place in btf.elements(tid):
            part = btf_format.text(btf.bytes_at(name))
            members.append((part, place & 0xFFFFFF if kflag else place))
            if _ends_in_void(btf, other):
                void.append(part)
            if not other:
                nothing.append(part)
    elif number in (btf_format.ENUM, btf_format.ENUM64):
        members = [(btf_format.text(btf.bytes_at(words[0])), 0) for words in btf.elements(tid)]
    elif number == btf_format.FUNC:
        proto = btf.third(tid)
        if proto < btf.count and btf.kind(proto) == btf_format.FUNC_PROTO:
            void += [""] if _ends_in_void(btf, btf.third(proto)) else []
            void += [btf_format.text(btf.bytes_at(n)) for n, other in btf.elements(proto) if _ends_in_void(btf, other)]
    elif number == btf_format.TYPEDEF and _ends_in_void(btf, btf.third(tid)):
        void.append("")
    size = btf.third(tid) if kind in _SIZED and number != btf_format.FWD else 0
    shown = btf_format.KINDS[number]
    return Record(tid, shown, btf.name(tid), size, definition(btf, tid), tuple(members), tid in _of_rust(btf),
                  tuple(void), tuple(nothing), own)


def _through(btf: Btf, tid: int, kinds: Collection[int]) -> int:
    for _ in range(_DEEP):
        if not 0 < tid < btf.count or btf.kind(tid) not in kinds:
            break
        tid = btf.third(tid)
    return tid


_QUALIFIERS = (btf_format.VOLATILE, btf_format.CONST, btf_format.RESTRICT, btf_format.TYPE_TAG)


@lru_cache(2)
def _of_rust(btf: Btf) -> frozenset[int]:
    """Types of which a member leads to a base type that only Rust has."""
    seeds = rust_ints(btf)
    return frozenset(referring(btf, seeds)[0]) if seeds else frozenset()


def _ends_in_void(btf: Btf, tid: int) -> bool:
    return not _through(btf, tid, (*_QUALIFIERS, btf_format.PTR))


def member_type(btf: Btf, tid: int, part: str) -> str:
    """A member or parameter of a type as C declares it, "" when there is none of that name."""
    if btf.kind(tid) == btf_format.FUNC:
        tid = btf.third(tid)
    if 0 < tid < btf.count and btf.kind(tid) in (btf_format.STRUCT, btf_format.UNION, btf_format.FUNC_PROTO):
        for name, other, *_ in btf.elements(tid):
            if btf_format.text(btf.bytes_at(name)) == part:
                return declare(btf, other, part)
    return ""
