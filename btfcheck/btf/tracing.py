# SPDX-License-Identifier: MIT
"""For which functions the kernel makes a BPF trampoline at all, as far as BTF tells.

Source: btf_distill_func_proto and __get_type_size in kernel/bpf/btf.c, 6.1 to 7.3.
"""

from __future__ import annotations

from btfcheck.btf.format import ENUM, ENUM64, INT, MODIFIERS, PTR, STRUCT, UNION, Btf

MOST_ARGUMENTS = 12
LARGEST = 16  # bytes of an argument
_DEEPEST = 32
_PASSED = frozenset((PTR, INT, ENUM, ENUM64, STRUCT, UNION))


def resolved(btf: Btf, tid: int) -> int:
    """The type behind typedefs and qualifiers; 0 for void and for what is not there."""
    for _ in range(_DEEPEST):
        if not 0 < tid < btf.count or btf.kind(tid) not in MODIFIERS:
            break
        tid = btf.third(tid)
    return tid if 0 < tid < btf.count else 0


def size_of(btf: Btf, tid: int) -> int:
    """Bytes of an argument of a resolved type; -1 for a kind that is none."""
    kind = btf.kind(tid) if tid else 0
    if kind not in _PASSED:
        return -1
    return btf.machine.pointer if kind == PTR else btf.third(tid)


def refused(btf: Btf, proto: int, unions: bool = True) -> str:
    """Why no trampoline is made for functions of this prototype; "" when one is. `unions`: whether unions may be
    passed, as from 6.18 on."""
    parameters = [tid for _, tid in btf.elements(proto)]
    if len(parameters) > MOST_ARGUMENTS:
        return "too many arguments"
    result = btf.third(proto)
    if result and (not (end := resolved(btf, result)) or btf.kind(end) in (STRUCT, UNION) or size_of(btf, end) < 0):
        return "its result"
    for tid in parameters:
        end = resolved(btf, tid)
        size = size_of(btf, end)
        if not 0 < size <= LARGEST:
            return f"an argument of {size} bytes" if size > 0 else "an argument of no such kind"
        if btf.kind(end) == UNION and not unions:
            return "a union"
    return ""
