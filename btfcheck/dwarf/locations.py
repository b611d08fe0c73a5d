# SPDX-License-Identifier: MIT
"""Where a variable lies, as far as it takes to know the register that a parameter arrives in."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

from btfcheck.dwarf.abbrev import DwarfError, leb
from btfcheck.dwarf.constants import AT, FORM
from btfcheck.dwarf.entries import Place, entry
from btfcheck.dwarf.units import Unit, Value

# The registers of the first arguments, as DWARF numbers them, by e_machine.
ARGUMENTS: Mapping[int, tuple[int, ...]] = {
    62: (5, 4, 1, 2, 8, 9), 183: tuple(range(8)), 243: tuple(range(10, 18)), 22: (2, 3, 4, 5, 6),
    21: tuple(range(3, 11)), 20: tuple(range(3, 11)), 8: tuple(range(4, 12)), 258: tuple(range(4, 12)),
}  # fmt: skip
_NAMES = {
    62: ("rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", *(f"r{n}" for n in range(8, 16))),
    183: tuple(f"x{n}" for n in range(31)),
}
_BLOCKS = frozenset(FORM[n] for n in ("exprloc", "block", "block1", "block2", "block4"))
_MOST = 256  # entries of one list; what comes later says nothing of a function's beginning
_REG0, _REG31, _STACK_VALUE = 0x50, 0x6F, 0x9F
_ENTRY_VALUES = (0xA3, 0xF3)  # DW_OP_entry_value, DW_OP_GNU_entry_value
# DW_LLE_*: what stands before the expression, "a" an address, "u" a LEB128 number; None for no expression.
_KINDS: dict[int, tuple[str, bool]] = {
    1: ("u", False), 2: ("uu", True), 3: ("uu", True), 4: ("uu", True), 5: ("", True), 6: ("a", False),
    7: ("aa", True), 8: ("au", True), 9: ("uu", False),
}  # fmt: skip


def register_name(machine: int, number: int) -> str:
    """What people call a register that DWARF numbers."""
    names = _NAMES.get(machine, ())
    return names[number] if number < len(names) else f"register {number}"


def register(place: Place, expected: int) -> int | None:
    """The register that a parameter arrives in: `expected` when one of its places says so, else that of the first
    place or of an entry value; None when no register is named. Raises DwarfError.

    These are the steps of pahole's parameter__reg (1.28 and later).
    """
    value = entry(place).get(AT["location"])
    found: int | None = None
    if value is None:
        return None
    for count, expression in enumerate(_expressions(place.unit, value)):
        plain = expression[:-1] if len(expression) > 1 and expression[-1] == _STACK_VALUE else expression
        found = None
        if len(plain) == 1 and _REG0 <= plain[0] <= _REG31:
            if count == 0:
                found = plain[0] - _REG0
                if found == expected:
                    return found
        elif len(plain) > 2 and plain[0] in _ENTRY_VALUES:
            size, at = leb(plain + b"\0", 1)
            if size == 1 and at + 1 == len(plain) and _REG0 <= plain[at] <= _REG31:
                return plain[at] - _REG0
    return found


def _expressions(unit: Unit, value: Value) -> Iterator[bytes]:
    """The expressions of a location, one, or those of its list."""
    if value.form in _BLOCKS:
        assert isinstance(value.raw, bytes)
        if value.raw:
            yield value.raw
        return
    if not isinstance(value.raw, int):
        return
    image = unit.info.debug.image
    number = unit.info.relocated(value, unit)
    data = image.contents(".debug_loclists" if unit.version >= 5 else ".debug_loc")
    try:
        if value.form == FORM["loclistx"]:
            base, width = unit.number(AT["loclists_base"]) or 0, unit.sizes.offset
            at = base + number * width
            number = base + int.from_bytes(data[at : at + width], "little" if image.little else "big")
        yield from _listed(unit, data, number) if unit.version >= 5 else _old_listed(unit, data, number)
    except (IndexError, struct.error) as error:
        raise DwarfError(f"the location list at 0x{number:x} is cut off") from error


def _listed(unit: Unit, data: memoryview, at: int) -> Iterator[bytes]:
    """DWARF 5's lists."""
    for _ in range(_MOST):
        kind, at = data[at], at + 1
        if kind == 0:
            return
        if kind not in _KINDS:
            raise DwarfError(f"a location list has an entry of kind {kind}")
        words, expression = _KINDS[kind]
        for word in words:
            at = at + unit.sizes.address if word == "a" else leb(data, at)[1]
        if expression:
            size, at = leb(data, at)
            yield bytes(data[at : at + size])
            at += size


def _old_listed(unit: Unit, data: memoryview, at: int) -> Iterator[bytes]:
    """Lists up to DWARF 4; where the linker fills addresses in, an end of two zeros has no relocation, and a range
    does not begin with itself."""
    width = unit.sizes.address
    bytes_of = struct.Struct(unit.info.order + "H")
    relocated = unit.info.debug.image.relocations(unit.info.debug.image.section(".debug_loc"))
    for _ in range(_MOST):
        first, last = data[at : at + width], data[at + width : at + 2 * width]
        if len(last) < width:
            raise IndexError
        if not any(first) and not any(last) and (
            relocated is None or not (relocated.value(at, 0, width) or relocated.value(at + width, 0, width))
        ):
            return
        at += 2 * width
        if all(byte == 0xFF for byte in first):
            continue
        (size,) = bytes_of.unpack_from(data, at)
        yield bytes(data[at + 2 : at + 2 + size])
        at += 2 + size
