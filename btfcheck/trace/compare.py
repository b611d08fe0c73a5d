# SPDX-License-Identifier: MIT
"""BTF against the DWARF that it was made from: what leaked in from Rust, what of C's was lost, what clashes.

The kernel accepts a second `struct device` that came from Rust, and a hook that became `void *`; only the
origin of each name shows them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from btfcheck.btf import format as btf_format
from btfcheck.btf.format import Btf
from btfcheck.btf.kfuncs import SUFFIX, with_implicit_arguments
from btfcheck.btf.releases import NEWEST
from btfcheck.dwarf.abbrev import DwarfError
from btfcheck.dwarf.census import Census
from btfcheck.dwarf.constants import AT
from btfcheck.dwarf.entries import BIT_FIELD, Layout, Place, entry, layout, number
from btfcheck.dwarf.names import ENUM, FUNC, SIZED, STRUCT, TYPEDEF, UNION, Found, Key
from btfcheck.release import Release
from btfcheck.trace.arguments import X86_64, Arguments, settle
from btfcheck.trace.copies import referring, rust_ints
from btfcheck.trace.unencoded import ALL, AMBIGUOUS, Unencoded
from btfcheck.trace.void import voided

KINDS = {
    btf_format.STRUCT: STRUCT, btf_format.UNION: UNION, btf_format.ENUM: ENUM, btf_format.ENUM64: ENUM,
    btf_format.TYPEDEF: TYPEDEF, btf_format.FUNC: FUNC,
}  # fmt: skip
_COMPOSED = (STRUCT, UNION)
_PER_LINE = 4  # definitions


class Comparison(NamedTuple):
    """Names, each with its kind in front ("struct device"), sorted.

    `rust` came from Rust units, though C may have a type of that name and layout as well. `clashes` stand
    for a C type and for a Rust one of another layout, and the BTF has the Rust one. `lost_types` and
    `lost_functions` are C's and not in the BTF, for no reason that is known; `left_out` maps functions that
    pahole leaves out on purpose to its reason. `void` are members, parameters and results whose type was
    lost, `untraced` names that no unit defines. `several` stand for types of different layout that are all C's
    own, `unmatched` for some that no unit has; `doubled` are C's types that the BTF has twice because they lead
    to Rust ones. `arguments` are those by value that BTF alone does not settle. `unproven` tells that lost
    functions could not be told from those left out, `problems` what of the DWARF could not be read: then
    nothing is proven to be missing.
    """

    rust: tuple[str, ...] = ()
    clashes: tuple[str, ...] = ()
    lost_types: tuple[str, ...] = ()
    lost_functions: tuple[str, ...] = ()
    left_out: Mapping[str, str] = {}
    void: tuple[str, ...] = ()
    untraced: tuple[str, ...] = ()
    several: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()
    doubled: tuple[str, ...] = ()
    arguments: Arguments = Arguments()
    unproven: bool = True
    problems: tuple[str, ...] = ()

    @property
    def rust_types(self) -> tuple[str, ...]:
        return tuple(name for name in self.rust if not name.startswith(f"{FUNC} "))

    @property
    def rust_functions(self) -> tuple[str, ...]:
        return tuple(name for name in self.rust if name.startswith(f"{FUNC} "))


@lru_cache(2)
def indexed(btf: Btf) -> Mapping[Key, list[int]]:
    """(kind, name) -> ids, of the own types and functions that have a name."""
    words, strings, first = btf.words, btf.strings, btf.first
    found: dict[Key, list[int]] = {}
    for slot, kind in enumerate(btf.kinds):
        if kind in KINDS and (offset := words[btf.starts[slot]]):
            name = strings[offset : strings.index(0, offset)].decode("utf-8", "backslashreplace")
            found.setdefault((KINDS[kind], name), []).append(first + slot)
    return found


def names(btf: Btf) -> frozenset[Key]:
    """(kind, name) of every named type and function, those of the base included."""
    return frozenset(indexed(btf)) | (names(btf.base) if btf.base else frozenset())


def wanted(btf: Btf, below: frozenset[Key] = frozenset(), symbols: frozenset[str] | None = None) -> frozenset[Key]:
    """The names of which `compare` wants all definitions: those that the BTF has more than once, and functions
    that it does not have."""
    index = indexed(btf)
    several = (key for key, ids in index.items() if len(ids) > 1)
    missing = ((FUNC, name) for name in symbols or ())
    return frozenset(several) | {key for key in missing if key not in index and key not in below}


def compare(
    btf: Btf,
    census: Census,
    *,
    below: frozenset[Key] = frozenset(),
    symbols: frozenset[str] | None = None,
    ambiguous: frozenset[str] = frozenset(),
    left_out: Mapping[str, str] | None = None,
    silent: frozenset[str] = ALL,
    machine: int = X86_64,
    release: Release = NEWEST,
) -> Comparison:
    """Compare BTF (of a module: its own part) with the census of its file, which must still be open and know
    all definitions of the `wanted` names.

    `below` are the names of the base. `symbols` are the functions of the symbol table, without which nothing
    is said of functions: pahole takes only those; `ambiguous` are those of several addresses. `left_out` is what
    pahole says with -V, None when unknown; `silent` are the reasons that it may have without saying so, which
    then are looked for here. `machine` (e_machine) and `release` say how arguments by value are passed and
    looked for.
    """
    index = indexed(btf)
    owners = _Owners(btf, census, index)
    owners.sort()
    # Not in the union of the two: that would be made, and freed again, of 170,000 names for every module.
    missing = [key for key in census.c if key not in index and key not in below]
    functions = [key for key in missing if key[0] == FUNC and symbols is not None and key[1] in symbols]
    shown = Unencoded(census, machine)
    on_purpose = {}
    for _, name in functions:
        why = AMBIGUOUS if name in ambiguous and AMBIGUOUS in silent else shown.why(name)
        if (said := (left_out or {}).get(name)) or why in silent:
            on_purpose[name] = said or why
    return Comparison(
        _told(owners.rust), _told(owners.clashes),
        _told(key for key in missing if key[0] != FUNC),
        _told(key for key in functions if key[1] not in on_purpose),
        on_purpose,
        tuple(sorted(set(voided(btf, index, census.void, bool(owners.rust))))),
        _told(owners.untraced), _told(owners.several), _told(owners.unmatched), _told(owners.doubled),
        settle(btf, census, machine, release),
        left_out is None or not shown.knows(silent),
        tuple(census.problems),
    )  # fmt: skip


def _told(found: Iterable[Key]) -> tuple[str, ...]:
    return tuple(sorted(" ".join(key) for key in found))


class _Owners:
    """Whose each name is: C's, which nothing is to say of, or one of these sets of keys."""

    def __init__(self, btf: Btf, census: Census, index: Mapping[Key, list[int]]) -> None:
        self.btf = btf
        self.census = census
        self.index = index
        self.rust: set[Key] = set()
        self.clashes: set[Key] = set()
        self.untraced: set[Key] = set()
        self.several: set[Key] = set()
        self.unmatched: set[Key] = set()
        self.doubled: set[Key] = set()

    def sort(self) -> None:
        census, btf = self.census, self.btf
        for key, ids in self.index.items():
            kind, name = key
            ours = key in census.c or (kind == FUNC and name in census.called)
            if key in census.rust and not ours:
                self.rust.add(key)
            elif not ours and key not in census.asm:
                if kind != ENUM or any(btf.vlen(tid) for tid in ids):  # a declaration is an enum of no value
                    self.untraced.add(key)
            elif kind in SIZED and (key in census.rust or len(ids) > 1):
                self._whose(key, ids)
        if any(kind == FUNC and name.endswith(SUFFIX) for kind, name in self.untraced):
            self.untraced -= {(FUNC, name) for name in with_implicit_arguments(btf)}
        if self.rust or self.clashes:
            self._copies()

    def _whose(self, key: Key, ids: list[int]) -> None:
        """Each record of a name that both languages have, or that the BTF has more than once."""
        census = self.census
        by_size: dict[int, set[Layout]] = {}
        for tid in ids:
            by_size.setdefault(self.btf.third(tid), set()).add(_layout(self.btf, tid))
        clash = unmatched = False
        for size, layouts in by_size.items():
            ours = self._known(key, size, census.c, census.every_c)
            theirs = self._known(key, size, census.rust, census.every_rust)
            for found in layouts:
                if found not in ours:
                    rust = bool(theirs) and (not ours or found in theirs)
                    clash |= rust
                    unmatched |= not rust
        if clash:
            self.clashes.add(key)
        elif sum(map(len, by_size.values())) > 1:
            (self.unmatched if unmatched else self.several).add(key)

    def _known(self, key: Key, size: int, found: Found, every: dict[Key, dict[int, list[Place]]]) -> _Layouts:
        first = found.get(key, {}).get(size)
        others = every.get(key, {}).get(size, [])
        return _Layouts(([first] if first else []) + others)


    def _copies(self) -> None:
        """Names of both languages where a record leads to what only Rust has: such are bindgen's copies, which
        equal C's types in size and members. C's own types may lead there too, through declarations that libbpf
        resolved; so what is further away than a member counts only where the name stands there twice."""
        seeds = {tid for key in self.rust for tid in self.index[key]} | set(rust_ints(self.btf))
        near, _ = referring(self.btf, seeds)
        _, far = referring(self.btf, seeds.union(*(self.index[key] for key in self.clashes)))
        for key, ids in self.index.items():
            theirs = self.census.rust.get(key, {})
            if key in self.rust or key in self.clashes or key[0] == FUNC:
                continue
            fits = key[0] in _COMPOSED and any(self.btf.third(tid) in theirs for tid in ids)
            if fits and (not near.isdisjoint(ids) or (len(ids) > 1 and not far.isdisjoint(ids))):
                self.rust.add(key)
            elif len(ids) > 1 and not far.isdisjoint(ids):
                self.doubled.add(key)


class _Layouts:
    """The layouts of some definitions, read as far as they are asked for. One that cannot be read has any.

    Two thousand units have the same struct from one header: of definitions on lines of one number only the first
    few are read.
    """

    def __init__(self, places: list[Place]) -> None:
        self._places = iter(places)
        self._there = bool(places)
        self._lines: dict[int | None, int] = {}
        self._read: set[Layout] = set()
        self._any = False

    def __bool__(self) -> bool:
        return self._there

    def __contains__(self, found: Layout) -> bool:
        while found not in self._read and not self._any:
            place = next(self._places, None)
            if place is None:
                return False
            self._take(place)
        return True

    def _take(self, place: Place) -> None:
        try:
            line = number(entry(place), AT["decl_line"])
            self._lines[line] = self._lines.get(line, 0) + 1
            if self._lines[line] <= _PER_LINE:
                self._read.add(layout(place))
        except DwarfError:
            self._any = True


def _layout(btf: Btf, tid: int) -> Layout:
    """(name, place) of each member or enumerator, as entries.layout has them."""
    kind, kflag = btf.kind(tid), btf.kflag(tid)
    found = []
    for name, *rest in btf.elements(tid):
        where = rest[-1]
        if kind in (btf_format.STRUCT, btf_format.UNION):
            where = BIT_FIELD if kflag and where >> 24 else where & 0xFFFFFF if kflag else where
        elif kind == btf_format.ENUM64:
            where = rest[0]
        found.append((btf_format.text(btf.bytes_at(name)), where))
    return tuple(sorted(found))
