# SPDX-License-Identifier: MIT
"""What of C's has its type in a Rust unit, and in the BTF none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from btfcheck.btf import format as btf_format
from btfcheck.btf.format import MODIFIERS, PTR, Btf
from btfcheck.dwarf.names import FUNC, TYPEDEF, Key

_DEEP = 32


def voided(
    btf: Btf, index: Mapping[Key, Iterable[int]], void: Iterable[tuple[str, str, str]], encoded: bool
) -> Iterable[str]:
    """The names of what lost its type, of Census.void; `index` has the ids of each name, and `encoded` tells that
    Rust units were taken in after all, so that what refers to them kept its type."""
    for kind, name, part in void:
        ids = index.get((kind, name), ())
        if any(_lost(btf, tid, kind, part) for tid in ids) or (ids and not encoded):
            yield f"{kind} {name}{f'.{part}' if part else ''}"


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
