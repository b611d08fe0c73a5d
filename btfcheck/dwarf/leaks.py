# SPDX-License-Identifier: MIT
"""What Rust in a file's debug information means: the kinds M1, M2 and L1 to L7, counted and shown.

    M1   pahole would merge the file's units, and there are Rust units
    M2   it would merge them, and the first one is Rust: the merged unit counts as Rust
    L1   a C unit refers to a Rust unit for code: an inlined function, its variables, a call
    L2   a C entity has its type in a Rust unit
    L3n  a Rust namespace in a C unit that holds no type
    L3t  Rust types in a C unit
    L3f  a Rust function with code in a C unit
    L4   C entities in a Rust unit
    L5   a type unit with Rust in it that is labelled C
    L6   a unit without a language that holds Rust
    L7   a Rust unit that only DW_AT_language_name marks, which pahole does not read

Only what no C compiler can write counts as proof: tags that only Rust has, and references by offset
into a unit that is Rust's. Names, `.rs` strings and base types prove nothing and are not looked at.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field

from btfcheck.dwarf import split
from btfcheck.dwarf.abbrev import DwarfError
from btfcheck.dwarf.constants import (
    AT,
    C_TAGS,
    RUST_TAGS,
    TAG,
    attribute_name,
    tag_name,
)
from btfcheck.dwarf.holdings import Holdings
from btfcheck.dwarf.partial import label_partial_units
from btfcheck.dwarf.tree import Tree
from btfcheck.dwarf.units import Debug, Info, Unit
from btfcheck.dwarf.walk import Hit, Targets, walk
from btfcheck.image import DEBUG_ROOTS, Image, find_alt_file, find_debug_file, open_image
from btfcheck.model import InputError

KINDS = ("M1", "M2", "L1", "L2", "L3n", "L3t", "L3f", "L4", "L5", "L6", "L7")

_C_LIKE = ("C", "asm", "none")
_CODE_REFERENCES = (AT["abstract_origin"], AT["call_origin"])
_PROBLEMS = 20  # how many broken units are named


@dataclass(frozen=True)
class Example:
    """One place of a finding, in `file`. `offset` and `target` count from the start of `section`.

    `name` is the Rust name with its namespaces, `source` the .rs file and line that the line table gives
    for it: an explanation, not the proof (LLVM 14 gives wrong ones).
    """

    file: str
    unit: str
    producer: str
    section: str
    offset: int
    tag: str
    attribute: str = ""
    name: str = ""
    target: int | None = None
    target_unit: str = ""
    source: str = ""


@dataclass
class ScanResult:
    """What a scan of one file found.

    `status` is "ok" (everything was understood), "unknown" (`problems` say what could not be verified)
    or "error" (the file cannot be read). `units` counts units by language; `first` is (language, name)
    of the first unit, which decides what pahole makes of merged units; `lto_note` the kernel's ELF note,
    None without one. `merged` is whether pahole up to 1.31 would merge the units, `merged_132` whether
    1.32 would. `kinds` leaves out what is 0. `generated` tells that no C unit is there but what modpost
    generates, as in a module written in Rust. `skipped` counts units that were not walked because their
    abbreviations rule out any finding. `missing` are the split files that were not found, each with the
    places searched.
    """

    path: str
    status: str = "ok"
    problems: list[str] = field(default_factory=list)
    debug_path: str = ""
    units: dict[str, int] = field(default_factory=dict)
    first: tuple[str, str] = ("none", "")
    lto_note: int | None = None
    merged: bool = False
    merged_132: bool = False
    generated: bool = False
    walked_units: int = 0
    walked_dies: int = 0
    skipped: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[Example]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    size: int = 0

    @property
    def empty(self) -> bool:
        """Is there no debug information at all?"""
        return not self.units and self.status != "error"

    @property
    def rust(self) -> int:
        return self.units.get("Rust", 0)


def scan(path: str | os.PathLike[str], *, walk_all: bool = False, examples: int = 5,
         roots: tuple[str, ...] = DEBUG_ROOTS) -> ScanResult:
    """Scan one ELF file, also a compressed one; when it has no debug information, its separate debug file.

    Never raises for what the file holds: see ScanResult.status.
    """
    result = ScanResult(os.fsdecode(path))
    try:
        with open_image(path) as image:
            result.size = image.size
            work = _Scan(result, walk_all, examples, roots)
            try:
                work.run(image)
            finally:
                work.close()
    except InputError as error:
        result.status = "error"
        result.problems = [str(error)]
    return result


class _Scan:
    """The scan of one file: units first, then what they hold."""

    def __init__(self, result: ScanResult, walk_all: bool, examples: int, roots: tuple[str, ...]) -> None:
        self.result = result
        self.walk_all = walk_all
        self.examples = examples
        self.roots = roots
        self.kinds: Counter[str] = Counter()
        self.tree: tuple[Unit, Tree] | None = None
        self.opened: set[Debug] = set()

    def close(self) -> None:
        """Let go of the files now: units and what they belong to refer to each other."""
        self.tree = None
        for debug in self.opened:
            debug.close()

    def run(self, image: Image) -> None:
        result = self.result
        debug = Debug(image)
        if not debug.infos:
            found = find_debug_file(image, self.roots)
            if found is None:
                return
            debug = Debug(found)
            result.debug_path = found.path
        note = image.lto_note
        result.lto_note = debug.image.lto_note if note is None else note
        self.opened.add(debug)
        units = debug.units
        for unit in units:
            if unit.problem:
                self.problem(unit.problem)
        self.find_alternate(debug)
        units = self.replace_skeletons(units, debug.image.path)
        shared = debug.alternate.units if debug.alternate else []
        sound = [unit for unit in [*units, *shared] if not unit.problem]
        try:
            label_partial_units(sound)
        except DwarfError as error:
            self.problem(str(error))
        self.summarise(debug.units, units)
        groups: dict[int, list[Unit]] = {}
        for unit in sound:
            groups.setdefault(id(unit.info), []).append(unit)
        for group in groups.values():
            self.check(group)
        result.kinds = {kind: self.kinds[kind] for kind in KINDS if self.kinds[kind]}

    def problem(self, text: str) -> None:
        """Something could not be verified."""
        self.result.status = "unknown"
        if len(self.result.problems) < _PROBLEMS:
            self.result.problems.append(text)
        elif len(self.result.problems) == _PROBLEMS:
            self.result.problems.append("and more")

    # -- which units there are --------------------------------------------------------------------------

    def find_alternate(self, debug: Debug) -> None:
        image = find_alt_file(debug.image, self.roots)
        if image is not None:
            debug.alternate = Debug(image)
            self.opened.add(debug.alternate)
        elif debug.image.altlink is not None:
            self.problem(f"{debug.image.altlink[0]}, which dwz moved entries to, was not found with its build id "
                         f"{debug.image.altlink[1] or '(none)'}")
        elif any(unit.table.elsewhere for unit in debug.units if unit.table and not unit.problem):
            self.problem("entries refer into another file, which nothing names")

    def replace_skeletons(self, units: list[Unit], path: str) -> list[Unit]:
        """The units, each skeleton replaced by its other half where that is found."""
        if not any(unit.skeleton for unit in units):
            return units
        whole: list[Unit] = []
        opened: dict[str, Debug | None] = {}
        seen: set[int] = set()
        for unit in units:
            halves = split.find(unit, path, opened) if unit.skeleton else [unit]
            if not halves:
                self.result.status = "unknown"
                places = ", ".join(split.candidates(unit, path))
                self.result.missing.append(f"{unit.name or 'a skeleton unit'}: not found in {places}")
                halves = [unit]
            self.opened.update(half.info.debug for half in halves)
            whole += [half for half in halves if id(half) not in seen]
            seen.update(id(half) for half in halves)
        return whole

    def summarise(self, own: list[Unit], units: list[Unit]) -> None:
        """Languages, order, merging: what needs no walk. `own` are the units of the file itself."""
        result = self.result
        result.units = dict(Counter(unit.language for unit in units))
        first = next((u for u in own if not u.type_unit), None)
        if first is not None:
            result.first = first.language, first.name
        by_form = any(u.table.refs for u in own if u.table and not u.problem)
        result.merged = result.lto_note != 0 if result.lto_note is not None else by_form
        result.merged_132 = by_form or bool(result.lto_note)
        rust = [u for u in units if u.language == "Rust"]
        if rust:
            result.generated = all(_generated(u) for u in units if u.language == "C")
            if result.merged:
                self.kinds["M1"] = 1
            if (result.merged or result.merged_132) and first is not None and first.language == "Rust":
                self.kinds["M2"] = 1
        for unit in rust:
            if unit.code is None and not unit.partial:
                self.found("L7", unit, unit.die, unit.tag)

    # -- what they hold ---------------------------------------------------------------------------------

    def check(self, units: list[Unit]) -> None:
        """Walk the units of one section, as far as they can hold anything."""
        info = units[0].info
        targets = _targets(info, units)
        alternate = None
        if info.debug.alternate and (infos := info.debug.alternate.infos):
            alternate = _targets(infos[0], [u for u in info.debug.alternate.units if not u.problem])
        for unit in units:
            wanted = _interest(unit, targets is not None, alternate is not None)
            if wanted is None and not self.walk_all:
                self.result.skipped += 1
                continue
            tags, refs = wanted or (frozenset(), False)
            try:
                count, hits, tagged = walk(unit, tags, targets if refs else None, alternate if refs else None)
                self.result.walked_units += 1
                self.result.walked_dies += count
                if unit.language == "Rust":
                    self.c_in_rust(unit, tagged)
                elif hits or tagged:
                    self.rust_in_c(unit, hits, bool(tagged))
            except DwarfError as error:
                self.problem(str(error))

    def c_in_rust(self, unit: Unit, tagged: list[int]) -> None:
        """L4: C entities in a unit labelled Rust."""
        if not tagged:
            return
        self.kinds["L4"] += len(tagged)
        tree = self.tree_of(unit)
        for offset in tagged[: self.room("L4")]:
            number = tree.numbers[offset]
            self.example("L4", unit, offset, tree.tag(number), name=tree.path(number))

    def rust_in_c(self, unit: Unit, hits: list[Hit], tagged: bool) -> None:
        """What a unit labelled C refers to in Rust units, and what of Rust it holds itself."""
        hits = [hit for hit in hits if hit.tag != TAG["imported_unit"]]
        if tagged:
            tree = self.tree_of(unit)
            holds = Holdings(tree)
            hits = [hit for hit in hits if hit.attribute in _CODE_REFERENCES
                    or not holds.owns_reference(tree.numbers[hit.die])]
            self.holdings(unit, tree, holds)
        for hit in hits:
            self.crossing(unit, hit)

    def crossing(self, unit: Unit, hit: Hit) -> None:
        kind = "L1" if hit.attribute in _CODE_REFERENCES else "L2"
        self.kinds[kind] += 1
        if not self.room(kind):
            return
        debug = unit.info.debug.alternate if hit.alternate else unit.info.debug
        target = None
        if debug is not None:
            info = debug.infos[0] if hit.alternate else unit.info
            target = next((u for u in debug.units if u.info is info and u.offset <= hit.target < u.end), None)
        name = source = ""
        if target is not None:
            name, source = self.describe(target, hit.target)
        self.example(kind, unit, hit.die, hit.tag, attribute_name(hit.attribute), name, hit.target,
                     target.name if target else "", source)

    def describe(self, unit: Unit, offset: int) -> tuple[str, str]:
        """(name, source) of the entry at `offset`, "" for what is not told."""
        from btfcheck.dwarf.lines import source_of

        try:
            tree = self.tree_of(unit)
        except DwarfError as error:
            self.problem(str(error))
            return "", ""
        number = tree.numbers.get(offset)
        return ("", "") if number is None else (tree.path(number), source_of(tree, number))

    def holdings(self, unit: Unit, tree: Tree, holds: Holdings) -> None:
        """L3n, L3t, L3f; L5 for type units, L6 for units without a language."""
        if unit.type_unit:
            self.found("L5", unit, unit.die, unit.tag)
        if unit.language == "none":
            self.found("L6", unit, unit.die, unit.tag)
            return
        for kind, numbers in (("L3n", holds.empty_namespaces), ("L3t", holds.types), ("L3f", holds.functions)):
            self.kinds[kind] += len(numbers)
            for number in numbers[: self.room(kind)]:
                offset = tree.offsets[number]
                name, source = self.describe(unit, offset)
                self.example(kind, unit, offset, tree.tag(number), name=name, source=source)

    # -- examples ---------------------------------------------------------------------------------------

    def found(self, kind: str, unit: Unit, offset: int, tag: int) -> None:
        self.kinds[kind] += 1
        if self.room(kind):
            self.example(kind, unit, offset, tag)

    def room(self, kind: str) -> int:
        return max(0, self.examples - len(self.result.examples.get(kind, ())))

    def example(self, kind: str, unit: Unit, offset: int, tag: int, attribute: str = "", name: str = "",
                target: int | None = None, target_unit: str = "", source: str = "") -> None:
        self.result.examples.setdefault(kind, []).append(Example(
            unit.info.debug.image.path, unit.name, unit.producer, unit.info.name, offset, tag_name(tag),
            attribute, name, target, target_unit, source,
        ))

    def tree_of(self, unit: Unit) -> Tree:
        """The tree of a unit; only the last one is kept."""
        if self.tree is None or self.tree[0] is not unit:
            self.tree = unit, Tree(unit)
        return self.tree[1]


def _targets(info: Info, units: list[Unit]) -> Targets | None:
    ranges = [(u.offset, u.end) for u in units if u.info is info and u.language == "Rust"]
    return Targets(len(info.data), ranges) if ranges else None


def _interest(unit: Unit, rust_here: bool, rust_there: bool) -> tuple[frozenset[int], bool] | None:
    """(tags to look for, whether to look at references) in a unit, or None when its abbreviations show
    that neither can be there. Sound: no entry can have a tag or form that its table has not."""
    table = unit.table
    assert table is not None
    if unit.language in _C_LIKE:
        if table.plain:
            return None
        tags = RUST_TAGS if table.rust else frozenset()
        refs = unit.language != "none" and (rust_here or rust_there) and table.leaving
        return (tags, refs) if tags or refs else None
    # rustc's units only: another Rust compiler may well write const_type.
    if unit.language == "Rust" and table.c_tags and "rustc" in unit.producer:
        return C_TAGS, False
    return None


def _generated(unit: Unit) -> bool:
    """Is it what modpost and the module's common part are compiled to?"""
    name = unit.name
    return name.endswith((".mod.c", "/module-common.c")) or name == "module-common.c"
