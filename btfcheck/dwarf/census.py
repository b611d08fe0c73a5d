# SPDX-License-Identifier: MIT
"""Who defines what: every named struct, union, enum, typedef and function, by the language it belongs to.

One walk over all entries finds those of the five tags, and names.Names reads them.

What LLVM put into a C unit is Rust's all the same: below a namespace, with a variant part, or reached only
from there (see holdings.Holdings).
"""

from __future__ import annotations

import gc
import struct
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from btfcheck.dwarf.abbrev import DwarfError, Sizes
from btfcheck.dwarf.constants import AT, RUST_TAGS, TAG
from btfcheck.dwarf.entries import Place, References, entry, name_of
from btfcheck.dwarf.holdings import Holdings
from btfcheck.dwarf.names import FUNC, KINDS, Found, Key, Names, Readers, readers_key
from btfcheck.dwarf.partial import label_partial_units
from btfcheck.dwarf.tree import Tree
from btfcheck.dwarf.units import Debug, Unit
from btfcheck.dwarf.walk import Targets, walk

_TAGS = frozenset(KINDS)
_THROUGH = frozenset(
    TAG[t] for t in ("pointer_type", "const_type", "volatile_type", "restrict_type", "array_type", "typedef")
)


@dataclass
class Census:
    """`c`, `rust` and `asm`: (kind, name) -> size in bytes (0 for typedefs and functions) -> the first definition.

    `every_c` and `every_rust` have all definitions of the names that were asked for. `called` are the functions
    that C units name only where they are declared, as GCC's LTO does with those of other languages.
    `void` names what of C's has its type in a Rust unit, which pahole loses: (kind, name, member or
    parameter; "" for a function's own type). `problems` say what could not be
    read; then a name that is missing proves nothing. `units` counts units by language.
    """

    c: Found = field(default_factory=dict)
    rust: Found = field(default_factory=dict)
    asm: Found = field(default_factory=dict)
    every_c: dict[Key, dict[int, list[Place]]] = field(default_factory=dict)
    every_rust: dict[Key, dict[int, list[Place]]] = field(default_factory=dict)
    called: set[str] = field(default_factory=set)
    void: list[tuple[str, str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    units: dict[str, int] = field(default_factory=dict)
    references: References | None = None


def census(debug: Debug, wanted: Collection[Key] = frozenset()) -> Census:
    """Take it for one file; of the `wanted` names all definitions are kept.

    Never raises for what the file holds: see Census.problems.
    """
    collecting = gc.isenabled()
    gc.disable()  # nothing here is garbage: looking for it takes a tenth of the time
    try:
        return _Count(debug, wanted).result
    finally:
        if collecting:
            gc.enable()


class _Count:
    def __init__(self, debug: Debug, wanted: Collection[Key]) -> None:
        self.result = Census(references=References(debug))
        self.names = {language: Names(wanted) for language in ("C", "Rust", "asm")}
        self.readers: dict[tuple[Sizes, str, bool], Readers] = {}
        self.foreign: dict[tuple[int, int], frozenset[int]] = {}  # of a unit: entries that are Rust's
        units = debug.units
        sound = [u for u in units if not u.problem]
        problems = self.result.problems
        problems += [u.problem for u in units if u.problem]
        problems += [f"{u.name}: its content stands in a .dwo file" for u in sound if u.skeleton]
        try:
            label_partial_units(sound)
        except DwarfError as error:
            problems.append(str(error))
        self.result.units = dict(Counter(u.language for u in sound))
        rust = [u for u in sound if u.language == "Rust"]
        self.targets = {id(info): _targets([u for u in rust if u.info is info], len(info.data)) for info in debug.infos}
        for unit in sound:
            if problem := self.counted(unit):
                problems.append(problem)
        self.result.c, self.result.rust, self.result.asm = (names.found for names in self.names.values())
        self.result.every_c, self.result.every_rust = self.names["C"].every, self.names["Rust"].every
        for place in [p for names in self.names.values() for places in names.origins.values() for p in places]:
            self.origin(place)

    def counted(self, unit: Unit) -> str:
        """Take one unit in; what was wrong with it, or ""."""
        try:
            self.unit(unit)
        except DwarfError as error:
            return str(error)
        except (struct.error, IndexError) as error:
            return f"unit at 0x{unit.offset:x}: {error}"
        return ""

    def unit(self, unit: Unit) -> None:
        """Take one unit in. Raises DwarfError, struct.error or IndexError when it cannot be read."""
        language = "C" if unit.language == "none" else unit.language
        if language not in self.names or unit.table is None:
            return
        table = unit.table
        mixed = unit.language != "Rust" and table.rust
        looks = self.targets[id(unit.info)] if unit.language != "Rust" and table.leaving else None
        if (key := readers_key(unit)) not in self.readers:
            self.readers[key] = Readers(*key)
        readers = self.readers[key]
        _, hits, tagged = walk(unit, _TAGS | RUST_TAGS if mixed else _TAGS, looks, pick=readers.pick)
        hits = [hit for hit in hits if hit.attribute == AT["type"]]
        foreign: frozenset[int] = frozenset()
        if mixed or hits:
            tree = Tree(unit)
            holds = Holdings(tree)
            if mixed and any(tree.tag(tree.numbers[at]) in RUST_TAGS for at in tagged):
                types = frozenset(holds.types)
                numbers = ((at, tree.numbers[at]) for at in tagged)
                foreign = frozenset(at for at, n in numbers if n in types or holds.owns_reference(n))
                self.foreign[id(unit.info), unit.offset] = foreign
            _void(tree, holds, [hit.die for hit in hits], self.result)
        self.names[language].read(unit, [at for at in tagged if at not in foreign] if foreign else tagged, readers)
        if foreign:
            self.names["Rust"].read(unit, sorted(foreign), readers)

    def origin(self, place: Place) -> None:
        """A function that is named elsewhere belongs to the language of that place."""
        assert self.result.references is not None
        try:
            origin = self.result.references.origin(place)
            name = name_of(origin, entry(origin))
        except DwarfError:
            return  # a reference that leads nowhere names nothing
        unit = origin.unit
        if not name:
            return
        if unit.language == "Rust" or origin.offset in self.foreign.get((id(unit.info), unit.offset), ()):
            self.result.rust.setdefault((FUNC, name), {}).setdefault(0, place)
        else:
            self.result.called.add(name)


def _targets(units: list[Unit], size: int) -> Targets | None:
    return Targets(size, [(u.offset, u.end) for u in units]) if units else None


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
