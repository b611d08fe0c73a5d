# SPDX-License-Identifier: MIT
"""Relocating a module from its distilled base (.BTF.base) to the running vmlinux (6.11 and later).

Rules B, read in tools/lib/bpf/btf_relocate.c, which the kernel builds too; messages are its warnings. Not
measured on a running kernel.
"""

from __future__ import annotations

from collections.abc import Callable

from btfcheck.btf.fault import EINVAL, ENOENT, Fault, fault
from btfcheck.btf.format import (
    ARRAY,
    DATASEC,
    ELEMENT_WORDS,
    ENUM,
    ENUM64,
    FLOAT,
    FWD,
    INT,
    KINDS,
    MODIFIERS,
    STRUCT,
    UNION,
    Btf,
)

_DISTILLED = frozenset((INT, FLOAT, ENUM, STRUCT, UNION, FWD))
_MATCHED = _DISTILLED | {ENUM64}
_BY_SIZE = frozenset((INT, FLOAT, ENUM, ENUM64))
_LONGEST = 256  # modifiers and arrays in a row; more is mischief
_COMPOSITE = frozenset((STRUCT, UNION))


def relocate(btf: Btf, vmlinux: Btf, report: Callable[[Fault], None]) -> None:
    """Report what keeps `btf`, a module on its distilled base, from being moved to `vmlinux`."""
    distilled = btf.base
    assert distilled is not None
    faulty = list(_bad_kinds(distilled))
    for bad in faulty:
        report(bad)
    if faulty:
        return
    found, several = _matches(btf, distilled, vmlinux)
    for tid, others in several.items():
        report(_fault(distilled, tid, "B.2", EINVAL, f"distilled base BTF type '{distilled.name(tid)}' [{tid}], size "
                      f"{distilled.third(tid)} has multiple candidates of the same size (ids {others}) in base BTF"))
    for tid in range(1, distilled.count) if not several else ():
        if tid not in found:
            message = f"distilled base BTF type '{distilled.name(tid)}' [{tid}] is not mapped to base BTF id"
            report(_fault(distilled, tid, "B.3", EINVAL, message))
    if len(found) == distilled.count - 1 and not several:
        _strings(btf, distilled, found, report)


def _fault(btf: Btf, tid: int, rule: str, errno: int, message: str) -> Fault:
    return fault(rule, "", message, errno, type_id=tid, kind=KINDS[btf.kind(tid)], name=btf.name(tid))


def _bad_kinds(distilled: Btf) -> list[Fault]:
    """B.1: named INT, FLOAT, ENUM, STRUCT, UNION and FWD only."""
    faults = []
    for tid in range(1, distilled.count):
        kind = distilled.kind(tid)
        words, at = distilled.record(tid)
        if kind not in _DISTILLED:
            message = f"type [{tid}] in distilled based BTF has unexpected kind [{kind}]"
        elif not words[at]:
            message = f"type [{tid}], kind [{kind}] is invalid for distilled base BTF; it is anonymous"
        else:
            continue
        faults.append(_fault(distilled, tid, "B.1", EINVAL, message))
    return faults


def _matches(btf: Btf, distilled: Btf, vmlinux: Btf) -> tuple[set[int], dict[int, list[int]]]:
    """(distilled ids with a match in vmlinux, {the first one with two: those})."""
    embedded = _embedded(btf, distilled)
    by_name: dict[bytes, list[int]] = {}
    for tid in range(1, distilled.count):
        words, at = distilled.record(tid)
        by_name.setdefault(distilled.bytes_at(words[at]), []).append(tid)
    candidates = [
        (tid, name)
        for tid in range(1, vmlinux.count)
        if vmlinux.kinds[tid] in _MATCHED and (name := _name(vmlinux, tid)) in by_name and name
    ]
    composites: dict[int, int] = {}
    for tid, _ in candidates:
        if vmlinux.kinds[tid] in _COMPOSITE:
            words, at = vmlinux.record(tid)
            composites[words[at]] = composites.get(words[at], 0) + 1
    found: dict[int, int] = {}
    for tid, name in candidates:
        words, at = vmlinux.record(tid)
        kind = vmlinux.kinds[tid]
        sized = kind in _BY_SIZE or (kind in _COMPOSITE and composites[words[at]] > 1)
        for other in by_name[name]:
            if (not sized or words[at + 2] == distilled.third(other)) and _is_alike(
                distilled, other, vmlinux, tid, other in embedded
            ):
                if other in found:  # here the kernel gives up
                    return set(found), {other: [found[other], tid]}
                found[other] = tid
    return set(found), {}


def _name(btf: Btf, tid: int) -> bytes:
    words, at = btf.record(tid)
    return btf.bytes_at(words[at]) if words[at] else b""


def _is_alike(distilled: Btf, one: int, vmlinux: Btf, two: int, embedded: bool) -> bool:
    kind, other = distilled.kind(one), vmlinux.kind(two)
    if kind == FWD:
        # A STRUCT matches only without the kind flag and a UNION only with it: so the source has it.
        return other in (FWD, STRUCT, UNION) and vmlinux.kflag(two) == (
            distilled.kflag(one) if other == FWD else other == UNION
        )
    if kind == INT:
        return other == INT and _encoding(distilled, one) == _encoding(vmlinux, two)
    if kind in _COMPOSITE:
        return not embedded or distilled.third(one) == vmlinux.third(two)
    return other == kind or (kind == ENUM and other == ENUM64)


def _encoding(btf: Btf, tid: int) -> int:
    words, at = btf.record(tid)
    return words[at + 3] >> 24 & 0xF


def _embedded(btf: Btf, distilled: Btf) -> set[int]:
    """Distilled structs that the module's own structs hold by value.

    The kernel's loop ends at the number of own types instead of the last id, so it misses the latest ones.
    """
    found = set()
    for tid in range(distilled.count, btf.count - distilled.count):
        if btf.kind(tid) not in _COMPOSITE:
            continue
        for _, other, _ in btf.elements(tid):
            for _ in range(_LONGEST):
                if other >= btf.count:
                    break
                kind = btf.kind(other)
                if kind in MODIFIERS:
                    other = btf.third(other)
                elif kind == ARRAY:
                    words, at = btf.record(other)
                    other = words[at + 3]
                else:
                    if kind in _COMPOSITE and other < distilled.count:
                        found.add(other)
                    break
    return found


def _strings(btf: Btf, distilled: Btf, found: set[int], report: Callable[[Fault], None]) -> None:
    """B.4: own records may use only strings of the distilled base that are names of matched types."""
    limit = len(distilled.strings)
    mapped = {0}
    for tid in found:
        words, at = distilled.record(tid)
        mapped.add(words[at])
    for tid in btf.own_ids():
        words, at = btf.record(tid)
        offsets = [words[at]]
        kind = btf.kind(tid)
        if kind in ELEMENT_WORDS and kind != DATASEC:
            offsets += [element[0] for element in btf.elements(tid)]
        for offset in offsets:
            if offset < limit and offset not in mapped:
                # The kernel prints the string that the offset was mapped to: none.
                message = f"string '' [offset {offset}] is not mapped to base BTF"
                report(_fault(btf, tid, "B.4", ENOENT, message))

