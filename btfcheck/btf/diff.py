# SPDX-License-Identifier: MIT
"""What came, went and changed between two BTFs: types, layouts, functions, variables.

Ids mean nothing across builds, so everything is compared by name; types without a name are spelled out where
they are used. A name that stands for several types is compared as the set of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from btfcheck.btf.format import (
    ARRAY,
    CONST,
    DECL_TAG,
    ENUM,
    ENUM64,
    FLOAT,
    FUNC,
    FUNC_PROTO,
    FWD,
    INT,
    PTR,
    RESTRICT,
    STRUCT,
    TYPE_TAG,
    TYPEDEF,
    UNION,
    VAR,
    VOLATILE,
    Btf,
    text,
)
from btfcheck.btf.listing import signed
from btfcheck.model import InputError

_DEEPEST = 16
_LEAST_BUDGET, _SHARE = 16 << 20, 8  # characters, and characters for each byte of the input
_MOST_LINES = 4000  # of a definition that is compared line by line: that takes the square of it
_LONGEST = 4096  # characters of a type spelled out; only mischief nests that far
_WORDS = {
    STRUCT: "struct", UNION: "union", ENUM: "enum", ENUM64: "enum", FWD: "declaration", TYPEDEF: "typedef",
    INT: "base type", FLOAT: "base type", FUNC: "function", VAR: "variable",
}  # fmt: skip
_PREFIX = {CONST: "const", VOLATILE: "volatile", RESTRICT: "restrict"}
_AGGREGATE = {STRUCT: "struct", UNION: "union", ENUM: "enum", ENUM64: "enum"}

Lines = tuple[str, ...]


def compare(old: Btf, new: Btf) -> dict[str, Any]:
    """{"added", "removed": [{"kind", "name", "definition"}], "changed": [{"kind", "name", "lines"}]}.

    A line of `lines` begins with "-" or "+", or with a blank where both have it; of what did not change
    only the neighbours of changes are there.
    """
    before, after = _named(old), _named(new)
    added = [_entry(key, after[key]) for key in sorted(after.keys() - before.keys())]
    removed = [_entry(key, before[key]) for key in sorted(before.keys() - after.keys())]
    changed = [
        {"kind": kind, "name": name, "lines": _changes(before[kind, name], after[kind, name])}
        for kind, name in sorted(before.keys() & after.keys())
        if before[kind, name] != after[kind, name]
    ]
    return {"added": added, "removed": removed, "changed": changed}


def _entry(key: tuple[str, str], definitions: set[Lines]) -> dict[str, Any]:
    return {"kind": key[0], "name": key[1], "definition": [line for lines in sorted(definitions) for line in lines]}


def _changes(before: set[Lines], after: set[Lines]) -> list[str]:
    from difflib import unified_diff

    one = [line for lines in sorted(before) for line in lines]
    two = [line for lines in sorted(after) for line in lines]
    if len(one) + len(two) > _MOST_LINES:
        gone, come = set(one), set(two)
        return [f"-{line}" for line in one if line not in come] + [f"+{line}" for line in two if line not in gone]
    return [line for line in unified_diff(one, two, n=1, lineterm="") if not line.startswith(("---", "+++", "@@"))]


def _named(btf: Btf) -> dict[tuple[str, str], set[Lines]]:
    """(kind, name) -> the definitions that go by it."""
    spelled = Spelling(btf)
    found: dict[tuple[str, str], set[Lines]] = {}
    for tid in btf.own_ids():
        kind = btf.kind(tid)
        name = btf.name(tid)
        if name and kind in _WORDS:
            lines = tuple(spelled.definition(tid))
            spelled.spend(sum(map(len, lines)))
            found.setdefault((_WORDS[kind], name), set()).add(lines)
    return found


class Spelling:
    """Types of one BTF as text that is the same in every build."""

    def __init__(self, btf: Btf) -> None:
        self.btf = btf
        self.known: dict[int, str] = {}
        self.budget = _LEAST_BUDGET + _SHARE * (4 * len(btf.words) + len(btf.strings))

    def definition(self, tid: int) -> Iterator[str]:
        """The lines that define a named type."""
        kind = self.btf.kind(tid)
        third = self.btf.third(tid)
        if kind in _AGGREGATE:
            yield f"{_AGGREGATE[kind]} {self.btf.name(tid)} {{  /* {third} bytes */"
            yield from (f"    {line}" for line in self._elements(tid, kind, 0))
            yield "};"
        elif kind == FWD:
            yield f"{'union' if self.btf.kflag(tid) else 'struct'} {self.btf.name(tid)};"
        elif kind in (INT, FLOAT):
            words, at = self.btf.record(tid)
            bits = f", {words[at + 3] & 0xFF} bits, encoding {words[at + 3] >> 24 & 0xF}" if kind == INT else ""
            yield f"{self.btf.name(tid)}  /* {third} bytes{bits} */"
        else:
            yield f"{self.btf.name(tid)}: {self.spell(third)}"

    def spell(self, tid: int, depth: int = 0) -> str:
        """A type as it is used: named ones by name, all others spelled out."""
        if tid in self.known:
            return self.known[tid]
        if depth > _DEEPEST:
            return "..."
        found = self._spell(tid, depth)[:_LONGEST]
        self.known[tid] = found
        self.spend(len(found))
        return found

    def spend(self, characters: int) -> None:
        """Text must not outgrow the input: types that fan out without a name end here."""
        self.budget -= characters
        if self.budget < 0:
            raise InputError("too large to compare once its types are spelled out")

    def _spell(self, tid: int, depth: int) -> str:
        btf = self.btf
        if not tid:
            return "void"
        if tid >= btf.count:
            return "<does not exist>"
        kind = btf.kind(tid)
        words, at = btf.record(tid)
        name = btf.name(tid)
        if kind in _AGGREGATE:
            if name:
                return f"{_AGGREGATE[kind]} {name}"
            return f"{_AGGREGATE[kind]} {{ {' '.join(self._elements(tid, kind, depth + 1))} }}"
        if kind == FWD:
            return f"{'union' if words[at + 1] >> 31 else 'struct'} {name}"
        if kind == PTR:
            return f"{self.spell(words[at + 2], depth + 1)} *"
        if kind in _PREFIX:
            return f"{_PREFIX[kind]} {self.spell(words[at + 2], depth + 1)}"
        if kind in (TYPE_TAG, DECL_TAG):
            return f"{self.spell(words[at + 2], depth + 1)} tag({name})"
        if kind == ARRAY:
            return f"{self.spell(words[at + 3], depth + 1)}[{words[at + 5]}]"
        if kind == FUNC_PROTO:
            last = btf.vlen(tid) - 1
            params = [
                "..." if i == last and not other else f"{self.spell(other, depth + 1)} {self._string(offset)}".rstrip()
                for i, (offset, other) in enumerate(btf.elements(tid))
            ]
            return f"{self.spell(words[at + 2], depth + 1)} ({', '.join(params) or 'void'})"
        return name or f"<kind {kind}>"

    def _string(self, offset: int) -> str:
        return text(self.btf.bytes_at(offset))

    def _elements(self, tid: int, kind: int, depth: int) -> Iterator[str]:
        kflag = self.btf.kflag(tid)
        if kind == ENUM:
            for offset, value in self.btf.elements(tid):
                yield f"{self._string(offset)} = {signed(value) if kflag else value},"
            return
        if kind == ENUM64:
            for offset, low, high in self.btf.elements(tid):
                value = high << 32 | low
                yield f"{self._string(offset)} = {value - (value >> 63 << 64) if kflag else value},"
            return
        for offset, other, place in self.btf.elements(tid):
            width = place >> 24 if kflag else 0
            place = place & 0xFFFFFF if kflag else place
            field = f" : {width}" if width else ""
            where = f"{place // 8}" if not place % 8 else f"{place // 8} bit {place % 8}"
            yield f"{self.spell(other, depth + 1)} {self._string(offset)}{field};  /* at {where} */"
