# SPDX-License-Identifier: MIT
"""Arguments by value: where a function finds them, and where a BPF trampoline looks for them.

A trampoline knows sizes only, from BTF. A struct with a misaligned member is passed on the stack by the x86-64
convention, whatever registers are free; what is aligned to 16 bytes leaves a gap on the stack there, and a register
out on arm64. DWARF says both. Sources: System V AMD64 ABI 3.2.3, AAPCS64 6.8.2; save_args and get_nr_used_regs in
arch/x86/net/bpf_jit_comp.c, calc_arg_aux in arch/arm64/net/bpf_jit_comp.c, 6.1 to 7.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from btfcheck.btf import format as btf_format
from btfcheck.btf.beyond import Layouts
from btfcheck.btf.declare import declare
from btfcheck.btf.format import MODIFIERS, STRUCT, TYPEDEF, UNION, Btf
from btfcheck.btf.tracing import LARGEST, MOST_ARGUMENTS, refused, resolved, size_of
from btfcheck.dwarf import names
from btfcheck.dwarf.abbrev import DwarfError
from btfcheck.dwarf.census import Census
from btfcheck.dwarf.sizes import Measure, Measures
from btfcheck.release import Release

X86_64, ARM64 = 62, 183  # e_machine
_REGISTERS = {X86_64: 6, ARM64: 8}
_UNIONS_SINCE = (6, 18)
_STRUCTS_SINCE = {X86_64: (6, 1), ARM64: (6, 4)}
_STACK_SINCE = {X86_64: (6, 6), ARM64: (6, 17)}
_DEEP = 32

REGISTERS, STACK, VECTOR = "in registers", "on the stack", "in vector registers"


class Arguments(NamedTuple):
    """Functions of the BTF that take what is packed, aligned or floating by value, each with what it takes.

    `right`: a trampoline looks in the right place, or none is made. `wrong`: it looks elsewhere. `open`: the
    debug information does not tell.
    """

    right: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    open: tuple[str, ...] = ()


class _Passed(NamedTuple):
    """An argument as a convention sees it; `spared` are the words at its end that take no register."""

    size: int
    align: int = 8
    memory: bool = False
    vector: bool = False
    spared: int = 0


def settle(btf: Btf, census: Census, machine: int, release: Release) -> Arguments:
    """Settle them all for a kernel of that release on that machine (e_machine)."""
    settler = _Settler(btf, census, machine, release)
    found: dict[str, list[str]] = {"right": [], "wrong": [], "open": []}
    for tid, proto in settler.functions():
        how, what = settler.function(tid, proto)
        found[how].append(what)
    return Arguments(*(tuple(sorted(found[how])) for how in ("right", "wrong", "open")))


class _Settler:
    def __init__(self, btf: Btf, census: Census, machine: int, release: Release) -> None:
        self.btf = btf
        self.census = census
        self.machine = machine
        self.line = release.line
        self.measures = Measures(census.references) if census.references else None
        self.layouts = Layouts(btf)
        self.odd: dict[int, bool] = {}
        self.of_type = lru_cache(None)(self._of_type)

    def functions(self) -> Iterator[tuple[int, int]]:
        """(function, prototype) of those with an argument that is out of the ordinary."""
        btf = self.btf
        odd: dict[int, bool] = {}
        for slot, kind in enumerate(btf.kinds):
            if kind != btf_format.FUNC:
                continue
            proto = btf.words[btf.starts[slot] + 2]
            if proto not in odd:
                odd[proto] = any(self._is_odd(tid) for tid in self._parameters(proto))
            if odd[proto]:
                yield btf.first + slot, proto

    def _parameters(self, proto: int) -> list[int]:
        btf = self.btf
        if not 0 < proto < btf.count or btf.kind(proto) != btf_format.FUNC_PROTO:
            return []
        words, at = btf.record(proto)
        return words[at + 4 : at + 3 + 2 * (words[at + 1] & btf.vlen_mask) : 2]

    def _is_odd(self, tid: int) -> bool:
        """Is it more than a number or a pointer, and not passed like any other?"""
        if tid not in self.odd:
            how = self.of_type(tid)
            self.odd[tid] = how is None or any(one != _Passed(one.size) for one in how)
        return self.odd[tid]

    def _of_type(self, tid: int) -> tuple[_Passed, ...] | None:
        """How an argument is passed: one way, two where the debug information leaves that open, None where it
        says nothing of the type."""
        btf = self.btf
        end = resolved(btf, tid)
        kind, size = btf.kind(end) if end else 0, size_of(btf, end)
        if kind not in (STRUCT, UNION):
            return (_Passed(size, 16 if size == 16 else 8),)
        if size > LARGEST:
            return (_Passed(size),)
        found = self._measured(tid, size)
        if found is None:
            return None if self.layouts.oddity(tid) else (_Passed(size),)
        return _ways(found, self.machine)

    def _measured(self, tid: int, size: int) -> Measure | None:
        """The type by the name that stands first among its typedefs, or its own."""
        btf = self.btf
        for _ in range(_DEEP):
            kind = btf.kind(tid)
            if kind in (STRUCT, UNION, TYPEDEF) and btf.name(tid):
                key = {STRUCT: names.STRUCT, UNION: names.UNION, TYPEDEF: names.TYPEDEF}[kind], btf.name(tid)
                place = self.census.c.get(key, {}).get(0 if kind == TYPEDEF else size)
                if place is None or self.measures is None:
                    return None
                try:
                    found = self.measures.of(place)
                except DwarfError:
                    return None
                return found if found.size == size else None
            if kind not in MODIFIERS:
                break
            tid = btf.third(tid)
        return None

    def function(self, tid: int, proto: int) -> tuple[str, str]:
        """("right", "wrong" or "open", the function with the argument and why)"""
        btf = self.btf
        parameters = self._parameters(proto)
        odd = next(n for n, other in enumerate(parameters) if self._is_odd(other))
        name = f"{btf.name(tid)}({declare(btf, parameters[odd])})"
        if why := self._refused(proto, parameters):
            return "right", f"{name}: the kernel traces no function with {why}"
        if self.machine not in _REGISTERS:
            return "open", f"{name}: the calling convention of this machine is not known"
        ways = [self.of_type(other) for other in parameters]
        if None in ways:
            return "open", f"{name}: its type is not in the debug information"
        known = [way for way in ways if way is not None]
        looked = places([_Passed(way[0].size) for way in known], self.machine)
        actual = [places([way[min(n, len(way) - 1)] for way in known], self.machine) for n in (0, 1)]
        if actual[0] != actual[1] and looked in actual:
            return "open", f"{name}: packed or not, which the debug information does not tell"
        if looked in actual:
            return "right", f"{name}: where a trampoline looks"
        at = next(n for n, (one, other) in enumerate(zip(actual[0], looked, strict=True)) if one != other)
        where, there = actual[0][at][0], looked[at][0]
        told = f"in other {there.removeprefix('in ')}" if where == there == REGISTERS else there
        return "wrong", (f"{name}: argument {at + 1} is passed {where}, a trampoline looks "
                         f"{'elsewhere there' if where == there == STACK else told}")

    def _refused(self, proto: int, parameters: list[int]) -> str:
        """Why the kernel makes no trampoline; "" when it makes one."""
        if why := refused(self.btf, proto, unions=self.line >= _UNIONS_SINCE):
            return why
        ends = [resolved(self.btf, other) for other in parameters]
        composed = any(self.btf.kind(end) in (STRUCT, UNION) for end in ends)
        if composed and self.line < _STRUCTS_SINCE.get(self.machine, (0, 0)):
            return "a struct as argument before " + ".".join(map(str, _STRUCTS_SINCE[self.machine]))
        slots = sum(-(-size_of(self.btf, end) // 8) for end in ends)
        few = self.machine in _REGISTERS and self.line < _STACK_SINCE[self.machine]
        if slots > (_REGISTERS[self.machine] if few else MOST_ARGUMENTS):
            return f"arguments of {slots} words"
        return ""


def _ways(found: Measure, machine: int) -> tuple[_Passed, ...]:
    """How a struct or union is passed."""
    if machine == ARM64:  # all of one floating type, or none counts
        vector = all(s.floating for s in found.scalars) and len({s.size for s in found.scalars}) == 1
    else:  # each word by itself, and a whole number in it decides
        words = [[s.floating for s in found.scalars if s.offset // 8 <= word <= (s.offset + s.size - 1) // 8]
                 for word in (0, 1)]
        vector = any(word and all(word) for word in words)
    align = found.natural if machine == ARM64 else found.align  # AAPCS64: the members count, not the whole
    # A struct that is not aligned as its numbers want is memory to x86-64; elsewhere it may be anything.
    # Whether a struct of a 16-byte number is packed does not show.
    unsure = not found.stated and align > 8
    memory = machine != ARM64 and any(s.offset % s.size for s in found.scalars if s.size)
    # Padding has no class: a struct of one number that is aligned to 16 bytes takes one register of two.
    spared = int(machine == X86_64 and found.size > 8 and all(s.offset + max(s.size, 1) <= 8 for s in found.scalars))
    first = _Passed(found.size, 16 if align > 8 else 8, memory, vector, spared)
    return (first, first._replace(align=8)) if unsure else (first,)


def places(arguments: list[_Passed], machine: int) -> list[tuple[str, int]]:
    """(where, number of the register or bytes above the first on the stack) of each argument."""
    registers = stack = 0
    found = []
    for one in arguments:
        slots = -(-one.size // 8)
        if machine == ARM64 and one.align > 8 and registers < _REGISTERS[machine]:
            registers += registers % 2
        if one.vector:
            found.append((VECTOR, 0))
        elif not one.memory and registers + slots - one.spared <= _REGISTERS[machine]:
            found.append((REGISTERS, registers))
            registers += slots - one.spared
        else:
            if machine == ARM64:  # what comes later goes there too
                registers = _REGISTERS[machine]
            stack = -(-stack // one.align) * one.align
            found.append((STACK, stack))
            stack += 8 * slots
    return found
