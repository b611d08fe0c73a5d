# SPDX-License-Identifier: MIT
"""Chains of modifiers (rules G), on every path."""

from __future__ import annotations

from collections.abc import Callable

from btfcheck.btf.fault import EINVAL, ELOOP, Fault, fault
from btfcheck.btf.format import KINDS, MODIFIERS, TYPE_TAG, Btf
from btfcheck.btf.releases import Rules

_LONGEST = 32
_IS_MODIFIER = bytes(kind in MODIFIERS for kind in range(256))


def check(btf: Btf, rules: Rules, report: Callable[[Fault], None], tainted: set[int]) -> None:
    """Walk from every own modifier; report chains that are too long, and tags behind other modifiers.

    `tainted` marks types that have a fault already; what leads to them is not reported once more.
    """
    words, starts, kinds, first = btf.words, btf.starts, btf.kinds, btf.first
    modifier = kinds.translate(_IS_MODIFIER)
    good = first - 1 if btf.base else 0  # chains from here down have been walked
    slot = modifier.find(1)
    while slot >= 0:
        target = words[starts[slot] + 2] - first
        # Most chains end at once, and one link can neither be too long nor out of order.
        if target >= len(kinds) or (target < 0 and btf.base) or modifier[target] or kinds[slot] == TYPE_TAG:
            found = _walk(btf, rules, first + slot, good, tainted)
            if found:
                report(found)
        good = first + slot
        slot = modifier.find(1, slot + 1)


def _walk(btf: Btf, rules: Rules, start: int, good: int, tainted: set[int]) -> Fault | None:
    current = start
    only_tags = True
    for _ in range(_LONGEST):
        if current in tainted:
            return None
        kind = btf.kind(current)
        if kind not in MODIFIERS:
            return None
        if kind != TYPE_TAG:
            only_tags = False
        elif not only_tags and rules.tag_order:
            return _fault(btf, "G.2", EINVAL, "Type tags don't precede modifiers", start)
        if current <= good:
            return None
        current = btf.third(current)
        if current >= btf.count:
            found = _fault(btf, "G.3", EINVAL, "", start)
            return found._replace(reason="leads to a type that does not exist")
    if btf.kind(current) not in MODIFIERS:
        return None
    return _fault(btf, "G.1", ELOOP, "Max chain length or cycle detected", start)


def _fault(btf: Btf, rule: str, errno: int, message: str, tid: int) -> Fault:
    return fault(rule, "", message, errno, type_id=tid, kind=KINDS[btf.kind(tid)], name=btf.name(tid))
