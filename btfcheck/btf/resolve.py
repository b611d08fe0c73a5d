# SPDX-License-Identifier: MIT
"""Pass 2: where ids lead, whether members fit, prototypes (rules R and P; the user path only).

The kernel resolves ids in ascending order with a stack at most 32 deep, and what it refuses depends on that
order; so this is the same machine. Most types need none of it: they refer to what is resolved already, and
`check` settles those on the spot.

Words: a type is *sized* when the kernel can tell its size in bytes; following a reference ends at a *stop*,
which depends on the mode of the walk; a *tainted* type has a fault already, and nothing that refers to it is
faulted for that.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import reduce
from itertools import repeat
from operator import add, or_

from btfcheck.btf.fault import E2BIG, EEXIST, EINVAL, Fault, Refused, fault
from btfcheck.btf.format import (
    ARRAY,
    DATASEC,
    DECL_TAG,
    ENUM,
    ENUM64,
    FLOAT,
    FUNC,
    FUNC_PROTO,
    FWD,
    HAS_SIZE,
    INT,
    KINDS,
    MODIFIERS,
    NAME_SHOWN,
    NEEDS_RESOLVE,
    NO_SIZE,
    PTR,
    SOURCE_ONLY,
    STRUCT,
    TYPEDEF,
    UNION,
    VAR,
    VOID,
    Btf,
    text,
)
from btfcheck.btf.listing import entry_line, member_line, signed, type_line

_DEPTH = 32
_LONG_LINE = 4096
_NEW, _OPEN, _RESOLVED = range(3)
_UNDECIDED, _POINTER, _AGGREGATE = range(3)
_NOT_KNOWN = 1 << 62  # a width that fits nowhere
_REGULAR = frozenset((8, 16, 32, 64, 128))
_OF_THE_WALK = frozenset(("R.DEPTH", "R.LOOP"))  # faults of everything on the stack
_PLAIN_ENDS = frozenset((VOID, FWD, FUNC_PROTO))


def _table(kinds: frozenset[int]) -> bytes:
    return bytes(kind in kinds for kind in range(256))


_ALL = frozenset(range(len(KINDS)))
_STOP = (
    _table(_ALL - NEEDS_RESOLVE),
    _table(_ALL - MODIFIERS - {PTR}),
    _table(_ALL - MODIFIERS - {ARRAY, STRUCT, UNION}),
)
_NEEDS = _table(NEEDS_RESOLVE)
_SIZED_AT_ONCE = _table(frozenset((INT, ENUM, ENUM64, FLOAT)))
# What a pointer or modifier may lead to without a further look.
_END = _table(_PLAIN_ENDS | {INT, ENUM, ENUM64, FLOAT, STRUCT, UNION, ARRAY})
_END_OF_MODIFIER = _table(_PLAIN_ENDS | {INT, ENUM, ENUM64, FLOAT})
_INTEGERS = re.compile(bytes((0x5B, INT, ENUM, ENUM64, 0x5D)))  # a class of these three bytes


class _Tainted(Exception):  # noqa: N818
    """Raised where a type rests on one that has a fault already."""


class Resolver:
    """All state of pass 2 over one blob without base; `check` runs it."""

    def __init__(self, btf: Btf, report: Callable[[Fault], None], tainted: set[int]) -> None:
        self.btf = btf
        self.words = btf.words
        self.starts = btf.starts
        self.kinds = bytes(btf.kinds)
        self.count = btf.count
        self.report = report
        self.tainted = tainted
        self.pointer_bits = 8 * btf.machine.pointer
        self.state = bytearray(self.count)
        self.target = [0] * self.count
        self.totals: dict[int, int] = {}  # of arrays, in bytes
        self.line = 0, ""  # of the type that was last at fault
        self.stack: list[list[int]] = []  # [id, next member]
        self.mode = _UNDECIDED
        # Memos for types whose resolving is over: the bits that a member takes, and whether it is sized.
        self.width = list(map({PTR: self.pointer_bits}.get, self.kinds, [_NOT_KNOWN] * self.count))
        self.usable = bytearray(self.kinds.translate(_SIZED_AT_ONCE))
        # Of members of structs with bitfields: (bits without a bitfield, widest bitfield).
        self.bitfield_width: dict[int, tuple[int, int]] = {}
        for match in _INTEGERS.finditer(self.kinds):
            tid = match.start()
            if tid:
                self.width[tid] = self._plain_bits(tid)
        for tid in [tid for tid in tainted if tid < self.count]:
            self._mark_tainted(tid)

    # -- the loop over all types ---------------------------------------------------------------------------

    def check(self) -> None:
        """Resolve every type in the order of ids, and check prototypes at their turn."""
        state, kinds, tainted, target = self.state, self.kinds, self.tainted, self.target
        words, starts = self.words, self.starts
        whole = self._wholly_named()
        for tid in range(1, self.count):
            kind = kinds[tid]
            if kind == FUNC_PROTO:
                if not self._prototype_at_a_glance(tid) and tid not in tainted:
                    self._prototype(tid)
            elif state[tid] != _NEW or not _NEEDS[kind]:
                continue
            elif kind == FUNC and words[starts[tid] + 2] in whole:
                state[tid] = _RESOLVED
                target[tid] = words[starts[tid] + 2]
            elif tainted or not self._at_a_glance(tid, kind):
                self._resolve(tid)

    def _wholly_named(self) -> set[int]:
        """The prototypes whose parameters all have names: what a FUNC asks of its own."""
        words, starts, mask = self.words, self.starts, self.btf.vlen_mask
        found = set()
        tid = self.kinds.find(FUNC_PROTO)
        while tid >= 0:
            at = starts[tid]
            if 0 not in words[at + 3 : at + 3 + 2 * (words[at + 1] & mask) : 2]:
                found.add(tid)
            tid = self.kinds.find(FUNC_PROTO, tid + 1)
        return found

    def _at_a_glance(self, tid: int, kind: int) -> bool:
        """Resolve a type that refers only to what is settled; False when that takes the machine."""
        if kind in (STRUCT, UNION):
            if not self._members_fit(tid):
                return False
            self.usable[tid] = 1
            self.width[tid] = 8 * self.words[self.starts[tid] + 2]
            self.state[tid] = _RESOLVED
            return True
        other = self.words[self.starts[tid] + 2]
        if other >= self.count:
            return False
        if kind == PTR:
            end = other if _END[self.kinds[other]] else self._end_behind(other)
            self.usable[tid] = end >= 0
        elif kind in MODIFIERS:
            end = other if _END_OF_MODIFIER[self.kinds[other]] else self._end_behind(other)
            if end >= 0:
                self._settle_modifier(tid, end)
        else:
            return False
        if end < 0:
            return False
        self.state[tid] = _RESOLVED
        self.target[tid] = end
        return True

    def _end_behind(self, tid: int) -> int:
        """Where a reference to `tid` ends if that is resolved already, -1 if it takes the machine."""
        if self.state[tid] != _RESOLVED:
            return -1
        kind = self.kinds[tid]
        if kind in MODIFIERS:
            tid = self.target[tid]
            return tid if _END[self.kinds[tid]] else -1
        return tid if kind in (PTR, STRUCT, UNION, ARRAY) else -1

    def _members_fit(self, tid: int) -> bool:
        """Whether all members are settled types that fit, by the memos; False says nothing."""
        words, at = self.words, self.starts[tid]
        info = words[at + 1]
        end = at + 3 + 3 * (info & self.btf.vlen_mask)
        if end == at + 3:
            return True
        room = 8 * words[at + 2]
        offsets = words[at + 5 : end : 3]
        types = words[at + 4 : end : 3]
        try:
            if info >> 31:
                return all(map(self._bitfield_fits, types, offsets, repeat(room)))
            ends = map(add, offsets, map(self.width.__getitem__, types))
            return max(ends) <= room and not reduce(or_, offsets) & 7
        except (IndexError, KeyError):
            return False

    def _bitfield_fits(self, tid: int, offset: int, room: int) -> bool:
        """The same of one member where the kind flag is set; KeyError for types that were not placed yet."""
        plain, widest = self.bitfield_width[tid]
        field = offset >> 24
        offset &= 0xFFFFFF
        if field > widest or (not field and offset & 7) or field + (offset & 7) > 128:
            return False
        return offset + (field or plain) <= room

    def _member_fits(self, tid: int, offset: int, kflag: int, room: int) -> bool:
        if kflag:
            return tid in self.bitfield_width and self._bitfield_fits(tid, offset, room)
        return tid < self.count and not offset & 7 and offset + self.width[tid] <= room

    def _prototype_at_a_glance(self, tid: int) -> bool:
        words, at = self.words, self.starts[tid]
        end = at + 3 + 2 * (words[at + 1] & self.btf.vlen_mask)
        result = words[at + 2]
        try:
            return (not result or self.usable[result] == 1) and (
                end == at + 3
                or (
                    all(map(self.usable.__getitem__, words[at + 4 : end : 2]))
                    and all(map(self.btf.named.__getitem__, words[at + 3 : end : 2]))
                )
            )
        except IndexError:
            return False

    # -- what is known of a type ---------------------------------------------------------------------------

    def _third(self, tid: int) -> int:
        return self.words[self.starts[tid] + 2]

    def _vlen(self, tid: int) -> int:
        return self.words[self.starts[tid] + 1] & self.btf.vlen_mask

    def sized(self, tid: int) -> tuple[int, int] | None:
        """(id that has the size, bytes); None where the kernel knows no size."""
        kind = self.kinds[tid]
        if kind in MODIFIERS or kind == VAR:
            tid = self.target[tid]
            kind = self.kinds[tid]
            if kind in MODIFIERS or kind == VAR:
                return None
        if kind in NO_SIZE:
            return None
        if kind in HAS_SIZE:
            return tid, self._third(tid)
        return tid, self.totals.get(tid, 0) if kind == ARRAY else self.btf.machine.pointer

    def _is_regular_int(self, tid: int) -> bool:
        data = self.words[self.starts[tid] + 3]
        return data & 0xFF in _REGULAR and not data >> 16 & 0xFF

    def _plain_bits(self, tid: int) -> int:
        """Bits that a member of this type takes, at any byte, once the type is resolved."""
        kind = self.kinds[tid]
        if kind == INT:
            data = self.words[self.starts[tid] + 3]
            return _NOT_KNOWN if data >> 16 & 0xFF else data & 0xFF
        if kind in (ENUM, ENUM64, STRUCT, UNION):
            return 8 * self._third(tid)
        if kind == ARRAY:
            return 8 * self.totals[tid] if self.state[tid] == _RESOLVED else _NOT_KNOWN
        return self.pointer_bits if kind == PTR else _NOT_KNOWN

    def _settle_modifier(self, tid: int, end: int) -> None:
        if self.kinds[end] not in NO_SIZE:
            self.usable[tid] = 1
            self.width[tid] = self._plain_bits(end)

    def _mark_tainted(self, tid: int) -> None:
        self.tainted.add(tid)
        self.state[tid] = _RESOLVED
        # What may not be referred to at all stays so, whatever else is wrong with it.
        if self.kinds[tid] not in SOURCE_ONLY:
            self.usable[tid] = 1
            if self.kinds[tid] not in NO_SIZE:
                self.width[tid] = 0

    # -- the machine ---------------------------------------------------------------------------------------

    def _resolve(self, root: int) -> None:
        self.mode = _UNDECIDED
        self.stack.clear()
        try:
            self._push(root)
            while self.stack:
                tid, member = self.stack[-1]
                self._step(tid, member)
        except Refused as refused:
            self.report(refused.fault)
            for tid, _ in self.stack:
                self._mark_tainted(tid)

    def _step(self, tid: int, member: int) -> None:
        try:
            _STEPS[self.kinds[tid]](self, tid, member)
        except _Tainted:
            self._mark_tainted(self.stack.pop()[0])
        except Refused as refused:
            if refused.fault.rule in _OF_THE_WALK:
                raise
            # What lies below on the stack can still be judged.
            self.report(refused.fault)
            self._mark_tainted(self.stack.pop()[0])

    def _push(self, tid: int) -> None:
        root = self.stack[0][0] if self.stack else tid
        if len(self.stack) == _DEPTH:
            raise self._refuse(root, "R.DEPTH", f"Exceeded max resolving depth:{_DEPTH}", E2BIG)
        if self.state[tid] != _NEW:
            raise self._refuse(root, "R.LOOP", "Loop detected", EEXIST)
        self.state[tid] = _OPEN
        self.stack.append([tid, 0])
        if self.mode == _UNDECIDED:
            kind = self.kinds[tid]
            if kind == PTR:
                self.mode = _POINTER
            elif kind in (STRUCT, UNION, ARRAY):
                self.mode = _AGGREGATE

    def _pop(self, target: int) -> None:
        """The type on top is resolved, to `target`."""
        tid, _ = self.stack.pop()
        self.state[tid] = _RESOLVED
        self.target[tid] = target
        kind = self.kinds[tid]
        if kind in MODIFIERS:
            self._settle_modifier(tid, target)
        elif kind in (STRUCT, UNION, ARRAY, PTR):
            self.usable[tid] = 1
            self.width[tid] = self._plain_bits(tid)

    def _wants(self, tid: int) -> bool:
        """Follow `tid` if it must be: then it is on the stack now, and the step comes back later."""
        self._not_tainted(tid)
        if _STOP[self.mode][self.kinds[tid]] or self.state[tid] == _RESOLVED:
            return False
        self._push(tid)
        return True

    def _not_tainted(self, tid: int) -> None:
        if self.tainted and tid in self.tainted:
            raise _Tainted

    def _is_source_only(self, tid: int) -> bool:
        return tid >= self.count or self.kinds[tid] in SOURCE_ONLY

    def _is_no_member(self, tid: int) -> bool:
        return self._is_source_only(tid) or self.kinds[tid] in NO_SIZE

    def _refuse(self, tid: int, rule: str, message: str, errno: int = EINVAL) -> Refused:
        if self.line[0] != tid:
            # The line of a prototype can be a megabyte, and each of its parameters can be at fault: only the
            # verdict's own has to be whole.
            line = type_line(self.btf, tid, self.words, self.starts[tid])
            self.line = tid, line if not self.line[0] else line[:_LONG_LINE]
        line = self.line[1]
        return Refused(self._fault(tid, rule, line, message, errno))

    def _fault(self, tid: int, rule: str, line: str, reason: str, errno: int = EINVAL) -> Fault:
        kind = KINDS[self.kinds[tid]]
        name = text(self.btf.bytes_at(self.words[self.starts[tid]], NAME_SHOWN))
        return fault(rule, line, reason, errno, type_id=tid, kind=kind, name=name)

    # -- steps: what the type on top of the stack does -----------------------------------------------------

    def _step_reference(self, tid: int, _: int) -> None:
        """Modifiers, PTR and VAR."""
        kind = self.kinds[tid]
        rule = {PTR: "R.PTR", VAR: "R.VAR"}.get(kind, "R.MOD")
        other = self._third(tid)
        if self._is_source_only(other):
            raise self._refuse(tid, f"{rule}.1", "Invalid type_id")
        if self._wants(other):
            return
        if kind in (PTR, VAR) and self.kinds[other] in MODIFIERS:
            # An aggregate's walk may have stopped at this pointer; the loop could close behind it.
            end = self.target[other]
            if self.kinds[end] == PTR and self._wants(end):
                return
        sized = self.sized(other)
        if sized:
            other = sized[0]
        elif kind == VAR:
            raise self._refuse(tid, f"{rule}.2", "Invalid type_id")
        else:
            if self.state[other] == _RESOLVED:
                other = self.target[other]
            if self.kinds[other] not in _PLAIN_ENDS:
                raise self._refuse(tid, f"{rule}.2", "Invalid type_id")
        self._pop(other)

    def _step_struct(self, tid: int, member: int) -> None:
        at = self.starts[tid]
        vlen = self._vlen(tid)
        kflag, room = self.words[at + 1] >> 31, 8 * self.words[at + 2]
        if member:
            self._place(tid, at + 3 * member)
        for i in range(member, vlen):
            place = at + 3 + 3 * i
            other = self.words[place + 1]
            if self._member_fits(other, self.words[place + 2], kflag, room):
                continue
            if self._is_no_member(other):
                self.report(self._member_fault(tid, place, "R.STRUCT.1", "Invalid member"))
                continue
            try:
                self.stack[-1][1] = i + 1
                if self._wants(other):
                    return
            except _Tainted:
                continue
            self._place(tid, place)
        self._pop(0)

    def _step_array(self, tid: int, _: int) -> None:
        element, index, number = self.words[self.starts[tid] + 3 : self.starts[tid] + 6]
        if self._is_no_member(index):
            raise self._refuse(tid, "R.ARRAY.1", "Invalid index")
        if self._wants(index):
            return
        sized = self.sized(index)
        if not sized or self.kinds[sized[0]] != INT or not self._is_regular_int(sized[0]):
            raise self._refuse(tid, "R.ARRAY.2", "Invalid index")
        if self._is_no_member(element):
            raise self._refuse(tid, "R.ARRAY.3", "Invalid elem")
        if self._wants(element):
            return
        sized = self.sized(element)
        if not sized:
            raise self._refuse(tid, "R.ARRAY.4", "Invalid elem")
        if self.kinds[sized[0]] == INT and not self._is_regular_int(sized[0]):
            raise self._refuse(tid, "R.ARRAY.5", "Invalid array of int")
        if sized[1] * number > 0xFFFFFFFF:
            raise self._refuse(tid, "R.ARRAY.6", "Array size overflows U32_MAX")
        self.totals[tid] = sized[1] * number
        self._pop(sized[0])

    def _step_func(self, tid: int, _: int) -> None:
        proto = self._third(tid)
        if proto >= self.count or self.kinds[proto] != FUNC_PROTO:
            raise self._refuse(tid, "R.FUNC.1", "Invalid type_id")
        at = self.starts[proto]
        for i in range(self._vlen(proto)):
            name, other = self.words[at + 3 + 2 * i : at + 5 + 2 * i]
            if other and not name:
                raise self._refuse(tid, "R.FUNC.2", f"Invalid arg#{i + 1}")
        self._pop(proto)

    def _step_decl_tag(self, tid: int, _: int) -> None:
        other = self._third(tid)
        kind = self.kinds[other] if other < self.count else VOID
        if kind not in (FUNC, STRUCT, UNION, VAR, TYPEDEF):
            raise self._refuse(tid, "R.DTAG.1", "Invalid type_id")
        if self._wants(other):
            return
        component = signed(self.words[self.starts[tid] + 3])
        if component != -1:
            if kind in (VAR, TYPEDEF):
                raise self._refuse(tid, "R.DTAG.2", "Invalid component_idx")
            if component >= self._vlen(self._third(other) if kind == FUNC else other):
                raise self._refuse(tid, "R.DTAG.3", "Invalid component_idx")
        self._pop(other)

    def _step_datasec(self, tid: int, entry: int) -> None:
        self.mode = _UNDECIDED
        for i in range(entry, self._vlen(tid)):
            place = self.starts[tid] + 3 + 3 * i
            var, _, size = self.words[place : place + 3]
            line = entry_line(self.words, place)
            if var >= self.count or self.kinds[var] != VAR:
                self.report(self._fault(tid, "R.DATASEC.1", line, "Not a VAR kind member")._replace(position=i))
                continue
            if self.tainted and var in self.tainted:
                continue
            if self.state[var] != _RESOLVED:
                # The kernel goes on behind it: such an entry's size is never compared (R.DATASEC.4).
                self.stack[-1][1] = i + 1
                self._push(var)
                return
            sized = self.sized(self._third(var))
            if not sized:
                self.report(self._fault(tid, "R.DATASEC.2", line, "Invalid type")._replace(position=i))
            elif size < sized[1]:
                self.report(self._fault(tid, "R.DATASEC.3", line, "Invalid size")._replace(position=i))
        self._pop(0)

    # -- members -------------------------------------------------------------------------------------------

    def _member_fault(self, tid: int, at: int, rule: str, message: str, shown: int = 0) -> Fault:
        """`shown`: the id that the line names, where the kernel looked through modifiers."""
        member = list(self.words[at : at + 3])
        if shown:
            member[1] = shown
        line = member_line(self.btf, member, 0, self.words[self.starts[tid] + 1] >> 31)
        name = text(self.btf.bytes_at(member[0], NAME_SHOWN))
        position = (at - self.starts[tid] - 3) // 3
        return self._fault(tid, rule, line, message)._replace(member=name, position=position)

    def _place(self, tid: int, at: int) -> None:
        """Whether the member at word `at` fits into its struct."""
        start = self.starts[tid]
        kflag = self.words[start + 1] >> 31
        size = self.words[start + 2]
        other, offset = self.words[at + 1 : at + 3]
        if self.tainted and other in self.tainted:
            return
        end = other
        if self.kinds[other] in MODIFIERS:
            sized = self.sized(other)
            if not sized:
                self.report(self._member_fault(tid, at, "R.M.MOD", "Invalid member"))
                return
            end = sized[0]
            if self.tainted and end in self.tainted:
                return
        field = offset >> 24 if kflag else 0
        if kflag:
            offset &= 0xFFFFFF
        found = self._misfit(end, offset, field, kflag, size)
        if found:
            self.report(self._member_fault(tid, at, f"R.M.{found[0]}", found[1], end))
        elif kflag and other not in self.bitfield_width:
            self._remember_bitfield(other, end)

    def _remember_bitfield(self, tid: int, end: int) -> None:
        kind = self.kinds[end]
        if kind == INT:
            bits = self.words[self.starts[end] + 3] & 0xFF
            self.bitfield_width[tid] = bits, bits
        elif kind in (ENUM, ENUM64):
            self.bitfield_width[tid] = 32, 32
        elif kind != FLOAT and (bits := self._plain_bits(end)) != _NOT_KNOWN:
            self.bitfield_width[tid] = bits, 0

    def _misfit(self, end: int, offset: int, field: int, kflag: int, size: int) -> tuple[str, str] | None:
        """(rule, message) of a member of type `end`, or None when it fits."""
        kind = self.kinds[end]
        if kind == INT:
            return self._int_misfit(end, offset, field, kflag, size)
        if kind in (ENUM, ENUM64) and kflag:
            return _enum_misfit(offset, field, size)
        if field:
            return "K.1", "Invalid member bitfield_size"
        if kind == FLOAT:
            length = self._third(end)
            if offset % (8 * min(self.btf.machine.pointer, length)):
                return "FLOAT.1", "Member is not properly aligned"
            return ("FLOAT.2", "Member exceeds struct_size") if offset // 8 + length > size else None
        label = "ENUM" if kind == ENUM64 else "STRUCT" if kind == UNION else KINDS[kind]
        sized = self.sized(end)
        length = sized[1] if sized else 0
        if offset % 8:
            return f"{label}.1", "Member is not byte aligned"
        return (f"{label}.2", "Member exceeds struct_size") if size - offset // 8 < length else None

    def _int_misfit(self, end: int, offset: int, field: int, kflag: int, size: int) -> tuple[str, str] | None:
        data = self.words[self.starts[end] + 3]
        bits = data & 0xFF
        if kflag:
            if not self._is_regular_int(end):
                return "KINT.1", "Invalid member base type"
            if not field and offset % 8:
                return "KINT.2", "Invalid member offset"
            if field > bits:
                return "KINT.3", "Invalid member bitfield_size"
            bits = field or bits
        else:
            offset += data >> 16 & 0xFF
            if offset > 0xFFFFFFFF:
                return "INT.1", "bits_offset exceeds U32_MAX"
        if bits + offset % 8 > 128:
            return "INT.2", "nr_copy_bits exceeds 128"
        if size < offset // 8 or size - offset // 8 < (bits + offset % 8 + 7) // 8:
            return "INT.3", "Member exceeds struct_size"
        return None

    # -- prototypes ----------------------------------------------------------------------------------------

    def _prototype(self, tid: int) -> None:
        """Rules P; what it refers to is resolved on the way, each with an empty stack."""
        at = self.starts[tid]
        try:
            if result := self._third(tid):
                self._parameter(tid, result, "P.1", "P.2", "Invalid return type")
        except Refused as refused:
            self.report(refused.fault)
        vlen = self._vlen(tid)
        if vlen and not self.words[at + 2 + 2 * vlen]:
            if self.words[at + 1 + 2 * vlen]:
                self.report(self._refuse(tid, "P.3", f"Invalid arg#{vlen}").fault)
            vlen -= 1
        for i in range(vlen):
            name, other = self.words[at + 3 + 2 * i : at + 5 + 2 * i]
            try:
                self._parameter(tid, other, "P.4", "P.4", f"Invalid arg#{i + 1}", name)
            except Refused as refused:
                self.report(refused.fault)

    def _parameter(
        self, tid: int, other: int, missing: str, unsized: str, message: str, name: int = 0
    ) -> None:
        if self._is_source_only(other):
            raise self._refuse(tid, missing, message)
        if name and (name >= len(self.btf.strings) or not self.btf.named[name]):
            raise self._refuse(tid, "P.5", message)
        if self.state[other] != _RESOLVED and _NEEDS[self.kinds[other]]:
            self._resolve(other)
        if other not in self.tainted and not self.sized(other):
            raise self._refuse(tid, unsized, message)


def _enum_misfit(offset: int, field: int, size: int) -> tuple[str, str] | None:
    """Of a struct with the kind flag: four bytes, whatever the enum's own size."""
    if not field:
        if offset % 8:
            return "KENUM.1", "Member is not byte aligned"
        field = 32
    elif field > 32:
        return "KENUM.2", "Invalid member bitfield_size"
    return ("KENUM.3", "Member exceeds struct_size") if size < (offset + field + 7) // 8 else None


_STEPS: dict[int, Callable[[Resolver, int, int], None]] = {
    **dict.fromkeys((*MODIFIERS, PTR, VAR), Resolver._step_reference),
    STRUCT: Resolver._step_struct,
    UNION: Resolver._step_struct,
    ARRAY: Resolver._step_array,
    FUNC: Resolver._step_func,
    DECL_TAG: Resolver._step_decl_tag,
    DATASEC: Resolver._step_datasec,
}
