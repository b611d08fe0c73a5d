# SPDX-License-Identifier: MIT
"""BTF against the DWARF that it was made from: what leaked in from Rust, what of C's was lost, what clashes.

The kernel accepts a second `struct device` that came from Rust, and a hook that became `void *`; only the
origin of each name shows them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from btfcheck.btf import format as btf_format
from btfcheck.btf.causes import RUST_INTS
from btfcheck.btf.format import MODIFIERS, PTR, Btf
from btfcheck.dwarf.abbrev import DwarfError
from btfcheck.dwarf.census import ENUM, FUNC, STRUCT, TYPEDEF, UNION, Census, Key, Place, layout, nameless_parameters

KINDS = {
    btf_format.STRUCT: STRUCT, btf_format.UNION: UNION, btf_format.ENUM: ENUM, btf_format.ENUM64: ENUM,
    btf_format.TYPEDEF: TYPEDEF, btf_format.FUNC: FUNC,
}  # fmt: skip
_SIZED = (STRUCT, UNION, ENUM)
_COMPOSED = (btf_format.STRUCT, btf_format.UNION)
_THROUGH = frozenset((PTR, btf_format.VOLATILE, btf_format.CONST, btf_format.RESTRICT, btf_format.TYPE_TAG))
_DEEP = 32
NO_NAME = "a parameter without a name"


class Comparison(NamedTuple):
    """Names, each with its kind in front ("struct device"), sorted.

    `rust` came from Rust units, though C may have a type of that name and layout as well. `clashes` stand
    for a C type and for a Rust one of another layout, and the BTF has the Rust one. `lost_types` and
    `lost_functions` are C's and not in the BTF, for no reason that is known; `left_out` maps functions that
    pahole leaves out on purpose to its reason. `void` are members, parameters and results whose type was
    lost, `untraced` names that no unit defines. `unproven` tells that lost functions could not be told from
    those left out, `problems` what of the DWARF could not be read: then nothing is proven to be missing.
    """

    rust: tuple[str, ...] = ()
    clashes: tuple[str, ...] = ()
    lost_types: tuple[str, ...] = ()
    lost_functions: tuple[str, ...] = ()
    left_out: Mapping[str, str] = {}
    void: tuple[str, ...] = ()
    untraced: tuple[str, ...] = ()
    unproven: bool = True
    problems: tuple[str, ...] = ()

    @property
    def rust_types(self) -> tuple[str, ...]:
        return tuple(name for name in self.rust if not name.startswith(f"{FUNC} "))

    @property
    def rust_functions(self) -> tuple[str, ...]:
        return tuple(name for name in self.rust if name.startswith(f"{FUNC} "))


def names(btf: Btf) -> frozenset[Key]:
    """(kind, name) of every named type and function, those of the base included."""
    own = {(KINDS[kind], name) for kind, name, _ in _records(btf)}
    return frozenset(own) | (names(btf.base) if btf.base else frozenset())


def _records(btf: Btf) -> Iterable[tuple[int, str, int]]:
    """(kind, name, id) of the own records that have a name."""
    words, strings, first = btf.words, btf.strings, btf.first
    for slot, kind in enumerate(btf.kinds):
        if kind in KINDS and (offset := words[btf.starts[slot]]):
            yield kind, strings[offset : strings.index(0, offset)].decode("utf-8", "backslashreplace"), first + slot


def compare(
    btf: Btf,
    census: Census,
    *,
    below: frozenset[Key] = frozenset(),
    symbols: frozenset[str] | None = None,
    left_out: Mapping[str, str] | None = None,
    complete: bool = True,
) -> Comparison:
    """Compare BTF (of a module: its own part) with the census of its file, which must still be open.

    `below` are the names of the base. `symbols` are the functions of the symbol table, without which nothing
    is said of functions: pahole takes only those. `left_out` is what pahole says with -V, None when unknown;
    `complete` tells that this version gives a reason for every function that it leaves out.
    """
    rust: set[str] = set()
    clashes: set[str] = set()
    untraced: set[str] = set()
    seen: set[Key] = set(below)
    for kind, name, tid in _records(btf):
        key = KINDS[kind], name
        seen.add(key)
        ours, theirs = census.c.get(key), census.rust.get(key)
        if theirs and not ours:
            rust.add(" ".join(key))
        elif theirs and ours and key[0] in _SIZED:
            if _is_theirs(btf, tid, ours, theirs):
                clashes.add(" ".join(key))
            elif btf.third(tid) in theirs and kind in _COMPOSED and _made_of_rust(btf, tid, census):
                rust.add(" ".join(key))
        elif not ours and key not in census.asm and not (key[0] == ENUM and not btf.vlen(tid)):
            untraced.add(" ".join(key))
    missing = [key for key in census.c if key not in seen]
    functions = [key for key in missing if key[0] == FUNC and symbols is not None and key[1] in symbols]
    on_purpose = dict(_on_purpose(functions, census, left_out or {}))
    return Comparison(
        _sorted(rust), _sorted(clashes),
        _sorted(" ".join(key) for key in missing if key[0] != FUNC),
        _sorted(" ".join(key) for key in functions if key[1] not in on_purpose),
        on_purpose,
        _void(btf, census, bool(rust)),
        _sorted(untraced),
        left_out is None or not complete,
        tuple(census.problems),
    )  # fmt: skip


def _sorted(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(found))


def _on_purpose(functions: list[Key], census: Census, said: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    for key in functions:
        if key[1] in said:
            yield key[1], said[key[1]]
        elif any(_nameless(place) for place in census.c[key].values()):
            yield key[1], NO_NAME


def _nameless(place: Place) -> bool:
    try:
        return nameless_parameters(place)
    except DwarfError:
        return False


def _is_theirs(btf: Btf, tid: int, ours: Mapping[int, Place], theirs: Mapping[int, Place]) -> bool:
    """Is this record the Rust type of that name, and not (also) a C one?"""
    size = btf.third(tid)
    if size not in theirs:
        return False
    if size not in ours:
        return True
    try:
        c, other = sorted(layout(ours[size])), sorted(layout(theirs[size]))
    except DwarfError:
        return False
    members = sorted(n for n, _ in c)
    return c != other and members != (found := _members(btf, tid)) and found == sorted(n for n, _ in other)


def _made_of_rust(btf: Btf, tid: int, census: Census) -> bool:
    """Is a member's type one that only Rust has? So are those of bindgen's copies, equal in all else to C's."""
    for _, other, *_ in btf.elements(tid):
        for _ in range(_DEEP):
            kind = btf.kind(other) if 0 < other < btf.count else 0
            if kind in _THROUGH:
                other = btf.third(other)
            elif kind == btf_format.ARRAY:
                words, at = btf.record(other)
                other = words[at + 3]
            else:
                break
        if kind in (btf_format.INT, btf_format.FLOAT) and btf.name(other) in RUST_INTS:
            return True
        if kind in KINDS and (key := (KINDS[kind], btf.name(other))) in census.rust and key not in census.c:
            return True
    return False


def _members(btf: Btf, tid: int) -> list[str]:
    return sorted(btf_format.text(btf.bytes_at(element[0])) for element in btf.elements(tid))


# -- types that became void ---------------------------------------------------------------------------------


def _void(btf: Btf, census: Census, encoded: bool) -> tuple[str, ...]:
    """What has its type in a Rust unit, and in the BTF none; `encoded`: Rust units were taken in after all."""
    if not census.void:
        return ()
    wanted = {(kind, name) for kind, name, _ in census.void}
    ids: dict[Key, list[int]] = {}
    for number, name, tid in _records(btf):
        if (key := (KINDS[number], name)) in wanted:
            ids.setdefault(key, []).append(tid)
    found = set()
    for kind, name, part in census.void:
        records = ids.get((kind, name), [])
        if any(_lost(btf, tid, kind, part) for tid in records) or (records and not encoded):
            found.add(f"{kind} {name}{f'.{part}' if part else ''}")
    return _sorted(found)


def _lost(btf: Btf, tid: int, kind: str, part: str) -> bool:
    if kind == TYPEDEF:
        return _ends_in_void(btf, btf.third(tid))
    if kind == FUNC:
        tid = btf.third(tid)
        if not part:
            return _ends_in_void(btf, btf.third(tid))
    return any(
        btf_format.text(btf.bytes_at(name)) == part and _ends_in_void(btf, other)
        for name, other, *_ in btf.elements(tid)
    )


def _ends_in_void(btf: Btf, tid: int) -> bool:
    for _ in range(_DEEP):
        if not tid:
            return True
        if tid >= btf.count or btf.kind(tid) not in (*MODIFIERS, PTR):
            return False
        tid = btf.third(tid)
    return False
