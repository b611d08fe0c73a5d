# SPDX-License-Identifier: MIT
"""The kernel's verdict: all checks of a path, in the kernel's order."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from btfcheck.btf import chains, meta
from btfcheck.btf.fault import E2BIG, Fault, Refused, Verdict
from btfcheck.btf.format import Btf, Machine, to_words
from btfcheck.btf.header import read_sections
from btfcheck.btf.listing import last_line
from btfcheck.btf.names import identifier_flags
from btfcheck.btf.releases import Rules
from btfcheck.btf.resolve import Resolver
from btfcheck.btf.special import Special

PATHS = USER, VMLINUX, MODULE = ("user", "vmlinux", "module")
MOST_FAULTS = 100_000
_MOST_MESSAGE = 4096  # characters of a message behind the first
_MOST_BYTES = 16 << 20  # of a blob given to the syscall
UNDECIDED = "depends on the kernel that runs:"  # how a note begins that leaves the verdict open
_TOO_MANY = "Exceeded max num of types"


class _Enough(Exception):  # noqa: N818
    """The first fault was all that was asked for."""


class _Faults:
    """Collects faults: the first is the verdict. One of each rule and type is kept, the others counted.

    Raises _Enough once there are as many as are asked for.
    """

    def __init__(self, first_only: bool) -> None:
        self.first_only = first_only
        self.found: dict[tuple[int, str], Fault] = {}
        self.more: dict[tuple[int, str], int] = {}
        self.truncated = False
        self.tainted: set[int] = set()

    def __call__(self, fault: Fault) -> None:
        key = fault.type_id, fault.rule
        if fault.type_id and not meta.is_name_only(fault.rule):
            self.tainted.add(fault.type_id)
        if key in self.found:
            self.more[key] = self.more.get(key, 0) + 1
        elif len(self.found) < MOST_FAULTS:
            self.found[key] = fault._replace(message=fault.message[:_MOST_MESSAGE]) if self.found else fault
        else:
            self.truncated = True
            raise _Enough
        if self.first_only:
            raise _Enough

    def verdict(self, notes: tuple[str, ...] = ()) -> Verdict:
        for key, count in self.more.items():
            self.found[key] = self.found[key]._replace(more=count)
        faults = tuple(self.found.values())
        if not faults:
            return Verdict(True, 0, "", notes=notes)
        return Verdict(False, faults[0].errno, faults[0].message, faults, self.truncated, notes)


class Checked(NamedTuple):
    """A verdict, and the types as far as they could be read; None where the header is refused already."""

    verdict: Verdict
    btf: Btf | None
    complete: bool  # every record could be read


def check(
    data: bytes,
    rules: Rules,
    path: str = USER,
    *,
    base: Btf | None = None,
    machine: Machine | None = None,
    first_only: bool = False,
    kernel_structs: Callable[[], frozenset[bytes]] | None = None,
) -> Checked:
    """All checks of one path on one blob.

    `path` is who asks: "user" (the syscall: everything), "vmlinux", or "module" (split BTF on `base`). A
    base makes the blob split BTF; the syscall takes none, so for the user path join the two first.
    `kernel_structs` gives the names of all structs of the kernel in question, which rule F.13 needs.
    """
    machine = machine or (base.machine if base else Machine())
    faults = _Faults(first_only)
    btf: Btf | None = None
    complete = False
    notes: tuple[str, ...] = ()
    try:
        if path == USER and len(data) > _MOST_BYTES:
            reason = "larger than 16 MiB, the most that the system call takes"
            faults(Fault("S3", E2BIG, "", reason=reason, stream=True))
        sections = read_sections(data, rules, path, base is not None, machine.byteorder)
        btf = _open(sections.types, sections.strings, rules, base, machine)
        complete = meta.check(btf, rules, len(sections.types), faults)
        if complete:
            notes = _whole(btf, rules, path, faults, kernel_structs)
    except Refused as refused:
        faults.first_only = False
        faults(refused.fault)
    except _Enough:
        complete = complete and btf is not None
    return Checked(faults.verdict(notes), btf, complete)


def _open(types: bytes, strings: bytes, rules: Rules, base: Btf | None, machine: Machine) -> Btf:
    named = identifier_flags(strings, rules.dots)
    return Btf(
        to_words(types, machine.byteorder),
        base.strings + strings if base else strings,
        base.named + named if base else b"\1" + named[1:],
        0xFFFFFF if rules.wide_vlen else 0xFFFF,
        machine,
        base,
    )


def _whole(
    btf: Btf, rules: Rules, path: str, faults: _Faults, kernel_structs: Callable[[], frozenset[bytes]] | None
) -> tuple[str, ...]:
    """What comes after pass 1; returns notes for the verdict."""

    def report(fault: Fault) -> None:
        if btf.dropped and not fault.message.startswith("\t"):
            # The kernel says so without ending the line.
            fault = fault._replace(message=_TOO_MANY + fault.message)
        faults(fault)

    if path == USER:
        Resolver(btf, report, faults.tainted).check()
    chains.check(btf, rules, report, faults.tainted)
    if path != USER or not rules.special_fields or faults.tainted:
        return ()
    special = Special(btf, rules, faults, kernel_structs)
    special.check(lru_cache(lambda: _TOO_MANY if btf.dropped else last_line(btf)))
    return tuple(
        f"{UNDECIDED} a kptr to struct {name}: it needs a destructor if that kernel has such a struct (rule F.13)"
        for name in sorted(special.undecided)
    )
