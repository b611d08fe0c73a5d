# SPDX-License-Identifier: MIT
"""What a kernel takes without a word and its users stumble over.

Nothing here changes a verdict. Each check looks at the types of one blob (of split BTF: at its own) and
returns a Remark or None.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from btfcheck.btf.causes import RUST_INTS, is_bindgen_name, is_rust_name
from btfcheck.btf.declare import declare
from btfcheck.btf.format import (
    ARRAY,
    ELEMENT_WORDS,
    ENUM,
    ENUM64,
    FLOAT,
    FUNC,
    FUNC_PROTO,
    INT,
    KINDS,
    MODIFIERS,
    NAME_SHOWN,
    PTR,
    STRUCT,
    UNION,
    Btf,
    text,
)
from btfcheck.btf.tracing import LARGEST, refused
from btfcheck.model import Severity

_DEEPEST = 32
_MOST_NAMES = 1000
# Where a string may be Rust's; each is then looked at as a whole.
_RUST_MARK = re.compile(rb"::|<|\{[cvia]|__bindgen_|\0(?=_bitfield_|_R[A-Z]|_ZN|[&(\[]|\*(?:const|mut) |dyn )")


class Remark(NamedTuple):
    """One rule's remark on one blob: `names` are what it is about, the first thousand of `number`."""

    rule: str
    severity: Severity
    message: str
    names: tuple[str, ...]
    number: int


class _Names:
    """Counts names, and keeps the first thousand."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.number = 0

    def add(self, make: Callable[[], str]) -> None:
        self.number += 1
        if len(self.kept) < _MOST_NAMES:
            self.kept.append(make())

    def remark(self, rule: str, severity: Severity, message: str) -> Remark | None:
        if not self.number:
            return None
        return Remark(rule, severity, message.format(self.number), tuple(self.kept), self.number)


def remarks(btf: Btf, assumes_sorted: bool) -> list[Remark]:
    """All remarks on BTF whose records could be read; `assumes_sorted`: a vmlinux for 7.0 and later."""
    found = [duplicates(btf), rust_types(btf), int_twins(btf), by_value(btf)]
    if assumes_sorted:
        found.append(unsorted(btf))
    return [remark for remark in found if remark]


def _own(btf: Btf, *kinds: int) -> Iterator[tuple[int, int]]:
    """(id, first word) of the own types of these kinds."""
    for kind in kinds:
        slot = btf.kinds.find(kind)
        while slot >= 0:
            yield btf.first + slot, btf.starts[slot]
            slot = btf.kinds.find(kind, slot + 1)


def _name(btf: Btf, at: int) -> str:
    return text(btf.bytes_at(btf.words[at], NAME_SHOWN))


# -- names that stand for more than one thing -----------------------------------------------------------


def duplicates(btf: Btf) -> Remark | None:
    """BTF404: structs, unions or enums of one name whose layouts differ."""
    names = _Names()
    for kinds, word in (((STRUCT,), "struct"), ((UNION,), "union"), ((ENUM, ENUM64), "enum")):
        by_name: dict[int, list[int]] = {}
        for tid, at in sorted(_own(btf, *kinds)):
            if btf.words[at]:
                by_name.setdefault(btf.words[at], []).append(tid)
        for name, ids in by_name.items():
            if len(ids) > 1 and len({_layout(btf, tid) for tid in ids}) > 1:
                names.add(partial(_duplicate, btf, word, name, ids))
    return names.remark("BTF404", Severity.NOTE, "{} names stand for types of different layout")


def _duplicate(btf: Btf, word: str, name: int, ids: list[int]) -> str:
    shown = ", ".join(map(str, ids[:8]))
    return f"{word} {text(btf.bytes_at(name, NAME_SHOWN))} (ids {shown}{', ...' if len(ids) > 8 else ''})"


def _layout(btf: Btf, tid: int) -> tuple[int, ...]:
    """Size, and the name and place of every member."""
    words, at = btf.record(tid)
    width = ELEMENT_WORDS[btf.kind(tid)]
    end = at + 3 + width * (words[at + 1] & btf.vlen_mask)
    return words[at + 2], *words[at + 3 : end : width], *words[at + 2 + width : end : width]


def int_twins(btf: Btf) -> Remark | None:
    """BTF406: base types of one name and different sizes or encodings."""
    seen: dict[tuple[int, int], int] = {}
    names = _Names()
    for kind in (INT, FLOAT):
        for _, at in _own(btf, kind):
            name = btf.words[at]
            what = btf.words[at + 2] << 32 | (btf.words[at + 3] if kind == INT else 0)
            if name and seen.setdefault((kind, name), what) != what:
                sizes = f"{seen[kind, name] >> 32} and {what >> 32} bytes"
                names.add(partial("{} {}: {}".format, KINDS[kind], _name(btf, at), sizes))
    return names.remark("BTF406", Severity.WARNING, "base types of one name differ")


# -- Rust ------------------------------------------------------------------------------------------------


def rust_types(btf: Btf) -> Remark | None:
    """BTF405: types whose names, members or base types are Rust's."""
    names = _Names()
    for _, at in _own(btf, INT, FLOAT):
        if (name := _name(btf, at)) in RUST_INTS:
            names.add(partial("INT {}".format, name))
    rust, bindgen = _rust_strings(btf)
    for tid, at in sorted(_own(btf, STRUCT, UNION, ENUM, ENUM64, FUNC)) if rust or bindgen else ():
        if btf.words[at] in rust or _has_member(btf, tid, at, bindgen):
            names.add(partial(_labelled, btf, tid, at))
    return names.remark("BTF405", Severity.WARNING, "{} types came from Rust")


def _labelled(btf: Btf, tid: int, at: int) -> str:
    return f"{KINDS[btf.kind(tid)]} {_name(btf, at) or f'(anonymous, id {tid})'}"


def _rust_strings(btf: Btf) -> tuple[set[int], set[int]]:
    """(offsets of names that are Rust's, of members that bindgen made up)."""
    rust: set[int] = set()
    bindgen: set[int] = set()
    strings = btf.strings
    done = len(btf.base.strings) if btf.base else 0
    for mark in _RUST_MARK.finditer(strings, max(done - 1, 0)):
        if mark.start() < done:
            continue
        start = strings.rfind(0, 0, max(mark.end(), 1)) + 1
        done = strings.index(0, start)
        name = text(strings[start : min(done, start + NAME_SHOWN)])
        if is_rust_name(name):
            rust.add(start)
        elif is_bindgen_name(name):
            bindgen.add(start)
    return rust, bindgen


def _has_member(btf: Btf, tid: int, at: int, names: set[int]) -> bool:
    if not names or btf.kind(tid) not in (STRUCT, UNION):
        return False
    return not names.isdisjoint(btf.words[at + 3 : at + 3 + 3 * btf.vlen(tid) : 3])


# -- order ------------------------------------------------------------------------------------------------


def unsorted(btf: Btf) -> Remark | None:
    """BTF407: anonymous types come first, then the others by name, as strcmp compares."""
    last = b""
    for tid, at in enumerate(btf.starts[1:], 1):
        name = btf.bytes_at(btf.words[at])
        if name < last:
            message = "the types are not sorted by name, and this kernel searches them as if they were"
            names = _Names()
            names.add(partial("[{}] {} stands behind {}".format, tid, text(name), text(last)))
            return names.remark("BTF407", Severity.WARNING, message)
        last = name
    return None


# -- arguments --------------------------------------------------------------------------------------------


def by_value(btf: Btf) -> Remark | None:
    """BTF408: functions that take __int128, or a struct whose packing or alignment BTF cannot say, by value; those
    left out for which the kernel makes no trampoline anyway."""
    words, mask = btf.words, btf.vlen_mask
    lists = {tid: words[at + 4 : at + 3 + 2 * (words[at + 1] & mask) : 2] for tid, at in _own(btf, FUNC_PROTO)}
    taken: set[int] = set().union(*lists.values())
    layouts = Layouts(btf)
    odd = {tid: why for tid in taken if (why := layouts.oddity(tid))}
    protos = {
        tid: next(p for p in params if p in odd)
        for tid, params in lists.items()
        if not odd.keys().isdisjoint(params) and not refused(btf, tid)
    }
    names = _Names()
    for _, at in _own(btf, FUNC) if protos else ():
        if words[at + 2] in protos:
            names.add(partial(_taking, btf, at, protos[words[at + 2]], odd))
    message = "{} functions take arguments by value whose place in registers BTF cannot tell"
    return names.remark("BTF408", Severity.NOTE, message)


def _taking(btf: Btf, at: int, argument: int, odd: dict[int, str]) -> str:
    return f"{_name(btf, at)}({declare(btf, argument)}): {odd[argument]}"


class Layouts:
    """Natural sizes and alignments, in bytes; (0, 1) where they cannot be told."""

    def __init__(self, btf: Btf) -> None:
        self.btf = btf
        # What is being worked out counts as unknown, so that circles end.
        self.known: dict[int, tuple[int, int]] = {0: (0, 1)}
        self._floating: dict[int, bool] = {}

    def oddity(self, tid: int) -> str:
        """Why a trampoline may look for such an argument in the wrong place; empty when it will not."""
        btf = self.btf
        for _ in range(_DEEPEST):
            if not 0 < tid < btf.count or btf.kind(tid) not in MODIFIERS:
                break
            tid = btf.third(tid)
        if not 0 < tid < btf.count:
            return ""
        kind = btf.kind(tid)
        if kind == INT:
            words, at = btf.record(tid)
            return "__int128" if words[at + 3] & 0xFF == 128 else ""
        if kind not in (STRUCT, UNION) or not btf.vlen(tid):
            return ""
        return self._of_struct(tid)

    def floats(self, tid: int, depth: int = 0) -> bool:
        """Is there a floating point number in it? Such arguments have registers of their own."""
        if tid not in self._floating:
            self._floating[tid] = False  # ends circles
            if depth <= _DEEPEST and 0 < tid < self.btf.count:
                self._floating[tid] = self._has_float(tid, depth + 1)
        return self._floating[tid]

    def _has_float(self, tid: int, depth: int) -> bool:
        btf = self.btf
        kind = btf.kind(tid)
        if kind in MODIFIERS:
            return self.floats(btf.third(tid), depth)
        if kind == ARRAY:
            words, at = btf.record(tid)
            return self.floats(words[at + 3], depth)
        if kind in (STRUCT, UNION) and btf.third(tid) <= LARGEST:
            return any(self.floats(other, depth) for _, other, _ in btf.elements(tid))
        return kind == FLOAT

    def _of_struct(self, tid: int) -> str:
        if self.floats(tid):
            return "floating point"
        kflag, size = self.btf.kflag(tid), self.btf.third(tid)
        end, align = 0, 1
        for _, other, offset in self.btf.elements(tid):
            field, offset = (offset >> 24, offset & 0xFFFFFF) if kflag else (0, offset)
            own_size, own_align = self.of(other)
            if not field and offset % (8 * own_align):
                return "packed"
            end = max(end, offset // 8 + own_size)
            align = max(align, own_align)
        if size % align:
            return "packed"
        return "aligned beyond its members" if size >= -(-end // align) * align + align else ""

    def of(self, tid: int, depth: int = 0) -> tuple[int, int]:
        """(size, alignment) of a type."""
        if tid not in self.known:
            self.known[tid] = 0, 1
            if depth <= _DEEPEST and tid < self.btf.count:
                self.known[tid] = self._measure(tid, depth + 1)
        return self.known[tid]

    def _measure(self, tid: int, depth: int) -> tuple[int, int]:
        btf = self.btf
        words, at = btf.record(tid)
        kind = btf.kind(tid)
        if kind in MODIFIERS:
            return self.of(words[at + 2], depth)
        if kind == ARRAY:
            size, align = self.of(words[at + 3], depth)
            return size * words[at + 5], align
        if kind == PTR:
            return btf.machine.pointer, btf.machine.pointer
        if kind in (STRUCT, UNION):
            return words[at + 2], max((self.of(other, depth)[1] for _, other, _ in btf.elements(tid)), default=1)
        if kind in (INT, ENUM, ENUM64, FLOAT):
            size = words[at + 2]
            return size, size if size in (1, 2, 4, 8, 16) else 1
        return 0, 1
