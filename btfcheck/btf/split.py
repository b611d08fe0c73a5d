# SPDX-License-Identifier: MIT
"""Split BTF: bases parsed once, modules on them, blobs joined, and modules that do not fit."""

from __future__ import annotations

import struct
from typing import NamedTuple

from btfcheck.btf.fault import Refused
from btfcheck.btf.format import (
    ARRAY,
    DATASEC,
    DECL_TAG,
    ELEMENT_WORDS,
    FUNC,
    FUNC_PROTO,
    MODIFIERS,
    PTR,
    STRUCT,
    UNION,
    VAR,
    Btf,
    Machine,
)
from btfcheck.btf.header import MAGIC, read_sections
from btfcheck.btf.releases import Rules
from btfcheck.btf.verify import VMLINUX, Checked, check

_REFERS = MODIFIERS | {PTR, VAR, FUNC, FUNC_PROTO, DECL_TAG}
_ID_AT = {STRUCT: 1, UNION: 1, FUNC_PROTO: 1, DATASEC: 0}  # which word of an element is a type id


class Base:
    """The BTF of a vmlinux, checked once for each set of rules, however many modules stand on it."""

    def __init__(self, data: bytes, machine: Machine | None = None) -> None:
        self.data = data
        self.machine = machine or Machine()
        self._checked: dict[Rules, Checked] = {}

    def checked(self, rules: Rules) -> Checked:
        """The kernel's verdict on the base itself, as vmlinux, with its types."""
        if rules not in self._checked:
            self._checked[rules] = check(self.data, rules, VMLINUX, machine=self.machine)
        return self._checked[rules]


def flatten(base: bytes, split: bytes, rules: Rules, machine: Machine) -> bytes:
    """Both as one ordinary blob: all ids and offsets stay valid. Raises Refused when a header is bad."""
    below = read_sections(base, rules, VMLINUX, False, machine.byteorder)
    above = read_sections(split, rules, VMLINUX, True, machine.byteorder)
    types, strings = below.types + above.types, below.strings + above.strings
    sign = "<" if machine.byteorder == "little" else ">"
    header = struct.pack(f"{sign}HBBIIIII", MAGIC, 1, 0, 24, 0, len(types), len(types), len(strings))
    return header + types + strings


def is_standalone(data: bytes, rules: Rules, machine: Machine) -> bool:
    """Whether a blob given as split BTF is a whole one: split strings never begin with an empty one."""
    try:
        strings = read_sections(data, rules, VMLINUX, True, machine.byteorder).strings
    except Refused:
        return False
    return strings[:1] == b"\0"


class Misfit(NamedTuple):
    """Why a module cannot have been built with this base, though the kernel may take it."""

    number: int
    example: str


def misfit(btf: Btf) -> Misfit | None:
    """What no build writes: own references to ids that do not exist, or functions without a prototype.

    The kernel does not look at either in a module, so a module on the wrong base that passes its checks
    leads every user of the types astray.
    """
    bad = 0
    example = ""
    for slot, at in enumerate(btf.starts):
        if _leads_nowhere(btf, at, btf.kinds[slot]):
            bad += 1
            example = example or f"[{btf.first + slot}] {btf.name(btf.first + slot)}"
    return Misfit(bad, example) if bad else None


def _leads_nowhere(btf: Btf, at: int, kind: int) -> bool:
    words, count = btf.words, btf.count
    if kind in _REFERS and words[at + 2] >= count:
        return True
    if kind == FUNC:
        return btf.kind(words[at + 2]) != FUNC_PROTO
    if kind == ARRAY:
        return words[at + 3] >= count or words[at + 4] >= count
    if kind in _ID_AT:
        width = ELEMENT_WORDS[kind]
        end = at + 3 + width * (words[at + 1] & btf.vlen_mask)
        return max(words[at + 3 + _ID_AT[kind] : end : width], default=0) >= count
    return False
