# SPDX-License-Identifier: MIT
"""What refers to Rust's types: a second `struct Qdisc` that equals C's in all but what its pointers lead to."""

from __future__ import annotations

from collections.abc import Iterable

from btfcheck.btf import format as btf_format
from btfcheck.btf.causes import RUST_INTS
from btfcheck.btf.format import MODIFIERS, PTR, Btf

_REFERRING = frozenset((*MODIFIERS, PTR, btf_format.FUNC))
_LISTS = {btf_format.STRUCT: (1, 3), btf_format.UNION: (1, 3), btf_format.FUNC_PROTO: (1, 2)}  # (word, of how many)


def rust_ints(btf: Btf) -> list[int]:
    """Base types that only Rust has: C's u8 is a typedef, its char has one byte, and its bool is called _Bool
    wherever the two differ (before C23)."""
    ids: dict[str, list[int]] = {}
    for slot, kind in enumerate(btf.kinds):
        if kind in (btf_format.INT, btf_format.FLOAT):
            ids.setdefault(btf.name(btf.first + slot), []).append(btf.first + slot)
    found = [tid for name in ids.keys() & RUST_INTS for tid in ids[name]]
    found += [tid for tid in ids.get("char", []) if btf.third(tid) == 4]
    return found + (ids.get("bool", []) if "_Bool" in ids else [])


def referring(btf: Btf, seeds: Iterable[int]) -> tuple[set[int], set[int]]:
    """(types that lead to one of the seeds by pointers, arrays and the like; those that do so by any way).

    Of split BTF its own types only, which is where all is that refers to an own type.
    """
    referrers: dict[int, list[int]] = {}
    for slot, kind in enumerate(btf.kinds):
        for target in _targets(btf, slot, kind):
            if target >= btf.first:
                referrers.setdefault(target, []).append(btf.first + slot)
    near = _closure(btf, referrers, seeds, through_members=False)
    return near, _closure(btf, referrers, near, through_members=True)


def _targets(btf: Btf, slot: int, kind: int) -> Iterable[int]:
    words, at = btf.words, btf.starts[slot]
    if kind in _REFERRING:
        return (words[at + 2],)
    if kind == btf_format.ARRAY:
        return (words[at + 3],)
    if kind in _LISTS:
        word, width = _LISTS[kind]
        end = at + 3 + width * (words[at + 1] & btf.vlen_mask)
        result = (words[at + 2],) if kind == btf_format.FUNC_PROTO else ()
        return (*result, *words[at + 3 + word : end : width])
    return ()


def _closure(btf: Btf, referrers: dict[int, list[int]], seeds: Iterable[int], through_members: bool) -> set[int]:
    found = set(seeds)
    todo = list(found)
    while todo:
        tid = todo.pop()
        for other in referrers.get(tid, ()):
            if other in found:
                continue
            found.add(other)
            if through_members or btf.kind(other) not in _LISTS:
                todo.append(other)
    return found
