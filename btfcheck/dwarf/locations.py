# SPDX-License-Identifier: MIT
"""In which registers a function finds its parameters: the beginnings of location expressions.

Layouts: DWARF 5 section 2.6.2 and 7.7.3 (lists in .debug_loclists), DWARF 4 section 2.6.2 (in .debug_loc).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from btfcheck.dwarf.abbrev import DwarfError, leb
from btfcheck.dwarf.constants import AT, FORM
from btfcheck.dwarf.spell import Entry
from btfcheck.dwarf.units import Unit

_REG0, _REG31, _STACK_VALUE = 0x50, 0x6F, 0x9F
_ENTRY_VALUES = (0xA3, 0xF3)  # DW_OP_entry_value and its GNU form
_MOST_LOCATIONS = 1000
_LOCLISTS_BASE = 0x8C
_EXPRESSIONS = frozenset(FORM[n] for n in ("exprloc", "block", "block1"))
# Calling conventions by ELF machine: DWARF numbers of the registers that hold the first arguments.
ARGUMENTS = {62: (5, 4, 1, 2, 8, 9), 183: (0, 1, 2, 3, 4, 5, 6, 7), 243: (10, 11, 12, 13, 14, 15, 16, 17)}

_NAMES = {
    62: ("rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", *(f"r{n}" for n in range(8, 16))),
    183: tuple(f"x{n}" for n in range(31)),
}


def register_name(machine: int, number: int) -> str:
    """What people call a register that DWARF numbers."""
    names = _NAMES.get(machine, ())
    return names[number] if number < len(names) else f"register {number}"


def register(entry: Entry, expected: int) -> int | None:
    """The register in which a parameter comes, as pahole 1.28 and later read it; None where nothing says.

    The first location counts, if it is a register; a value at entry counts wherever it stands. Raises DwarfError.
    """
    found = None
    try:
        for number, expression in enumerate(_locations(entry)):
            if expression[-1:] == bytes([_STACK_VALUE]) and len(expression) > 1:
                expression = expression[:-1]
            if len(expression) == 1 and _REG0 <= expression[0] <= _REG31 and number == 0:
                found = expression[0] - _REG0
            elif len(expression) == 3 and expression[0] in _ENTRY_VALUES and _REG0 <= expression[2] <= _REG31:
                found = expression[2] - _REG0
            if found == expected or number >= _MOST_LOCATIONS:
                break
    except (IndexError, struct.error) as error:
        raise DwarfError("a location list is cut off") from error
    return found


def _locations(entry: Entry) -> Iterator[bytes]:
    value = entry.values.get(AT["location"])
    if value is None:
        return
    unit = entry.unit
    if value.form in _EXPRESSIONS:
        data = unit.info.data
        yield bytes(data[value.at : value.at + data[value.at - 1]])  # longer ones are of no interest
        return
    if not isinstance(value.raw, int):
        return
    if unit.version >= 5:
        yield from _lists(unit, value.raw if value.form != FORM["loclistx"] else _indexed(unit, value.raw))
    else:
        yield from _old_lists(unit, unit.info.relocated(value, unit))


def _indexed(unit: Unit, index: int) -> int:
    base = unit.number(_LOCLISTS_BASE)
    if base is None:
        raise DwarfError("a location list without a base")
    table = unit.info.debug.image.contents(".debug_loclists")
    (offset,) = struct.unpack_from(unit.info.order + ("I" if unit.sizes.offset == 4 else "Q"), table,
                                   base + index * unit.sizes.offset)
    return base + int(offset)


# What stands before the expression of each kind of entry: L a LEB128 number, A an address; no expression: "-".
_KINDS = {1: "L-", 2: "LL", 3: "LL", 4: "LL", 5: "", 6: "A-", 7: "AA", 8: "AL", 9: "LL-"}


def _lists(unit: Unit, at: int) -> Iterator[bytes]:
    data = unit.info.debug.image.contents(".debug_loclists")
    while (kind := data[at]) != 0:
        at += 1
        if kind not in _KINDS:
            raise DwarfError(f"a location list has an entry of kind {kind}")
        for word in _KINDS[kind].rstrip("-"):
            at = leb(data, at)[1] if word == "L" else at + unit.sizes.address
        if not _KINDS[kind].endswith("-"):
            size, at = leb(data, at)
            yield bytes(data[at : at + min(size, 16)])
            at += size


def _old_lists(unit: Unit, at: int) -> Iterator[bytes]:
    data = unit.info.debug.image.contents(".debug_loc")
    width = unit.sizes.address
    while any(pair := bytes(data[at : at + 2 * width])):
        at += 2 * width
        if pair[:width] == b"\xff" * width:
            continue
        (size,) = struct.unpack_from(unit.info.order + "H", data, at)
        yield bytes(data[at + 2 : at + 2 + min(size, 16)])
        at += 2 + size
