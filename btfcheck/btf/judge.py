# SPDX-License-Identifier: MIT
"""One call from bytes to a verdict that explains itself; what `btfcheck.validate` and the verb use."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

from btfcheck.btf import releases, source
from btfcheck.btf.causes import cause
from btfcheck.btf.declare import definition
from btfcheck.btf.distilled import relocate
from btfcheck.btf.fault import Fault, Refused, Verdict
from btfcheck.btf.format import STRUCT, Btf, Machine
from btfcheck.btf.releases import Rules
from btfcheck.btf.split import Base, flatten
from btfcheck.btf.verify import MODULE, PATHS, USER, VMLINUX, Checked, check
from btfcheck.model import InputError, UsageError
from btfcheck.release import Release, parse

KernelStructs = Callable[[], frozenset[bytes]]
_EXPLAINED = 2_000  # faults that get their definition; the rest say no less in their message


def validate(
    data: bytes,
    *,
    base: bytes | Base | None = None,
    kernel: str = "running",
    path: str = "user",
    machine: Machine | None = None,
    first_only: bool = False,
) -> Verdict:
    """The verdict that a Linux kernel gives on BTF.

    `data` is a raw blob, as in a .BTF section or /sys/kernel/btf/vmlinux. `kernel` is a release ("6.12",
    "6.1.0-56-amd64", "7.3-rc7") or "running". `path` says who asks: "user" is bpf(BPF_BTF_LOAD) with every
    check, "vmlinux" the kernel's own BTF, "module" split BTF on `base`, the raw BTF of that vmlinux (or a
    `btf.split.Base`, which is parsed only once). With a base, "user" judges both joined. `machine` is that
    of the kernel: 64-bit little-endian unless given. `first_only` stops at the first fault, as kernels do.

    Raises UsageError for an unknown path or release, releases before 6.1, or a missing base.
    """
    if path not in PATHS:
        raise UsageError(f"path {path!r}: known are {', '.join(PATHS)}")
    if path == MODULE and base is None:
        raise UsageError("path 'module': split BTF needs its base, the BTF of its vmlinux")
    if path == VMLINUX and base is not None:
        raise UsageError("path 'vmlinux': has no base")
    running = kernel == "running"
    release = source.running() if running else parse(kernel)
    below = Base(base, machine) if isinstance(base, bytes) else base
    structs = running_structs if running else None
    rules = releases.rules_for(release)
    verdict = judge(data, rules, path, below, machine, first_only=first_only, kernel_structs=structs).verdict
    note = newer_note(release)
    return verdict._replace(notes=(*verdict.notes, note)) if note else verdict


def newer_note(release: Release) -> str:
    """What to say of a release that the table does not reach, else nothing."""
    if not releases.is_newer_than_known(release):
        return ""
    return f"{release} is newer than what is known; judged as {releases.NEWEST}"


def judge(
    data: bytes,
    rules: Rules,
    path: str,
    base: Base | None = None,
    machine: Machine | None = None,
    *,
    distilled: bytes | None = None,
    first_only: bool = False,
    kernel_structs: KernelStructs | None = None,
) -> Checked:
    """The verdict on one blob, its faults with their definitions and causes.

    `distilled` is a module's .BTF.base, which counts from 6.11 on. A module needs `base`, or a distilled
    one; then what needs the vmlinux is left open, and a note says so.
    """
    machine = machine or (base.machine if base else Machine())
    run = partial(check, rules=rules, machine=machine, first_only=first_only)
    if path == MODULE:
        if distilled and rules.distilled_base:
            checked = _on_distilled(data, rules, base, distilled, machine)
        elif base is None:
            raise UsageError("a module needs the BTF of its vmlinux")
        else:
            checked = _on_base(data, rules, base, machine, first_only)
    elif base is not None and path == USER:
        try:
            data = flatten(base.data, data, rules, machine)
        except Refused as refused:
            fault = refused.fault
            return Checked(Verdict(False, fault.errno, fault.message, (_explained(fault, None),)), None, False)
        checked = run(data, path=path, kernel_structs=kernel_structs)
    else:
        checked = run(data, path=path, kernel_structs=kernel_structs)
    faults = checked.verdict.faults
    if not faults:
        return checked
    explained = tuple(_explained(fault, checked.btf) for fault in faults[:_EXPLAINED]) + faults[_EXPLAINED:]
    return checked._replace(verdict=checked.verdict._replace(faults=explained))


def joined(data: bytes, base: Base | None, rules: Rules, machine: Machine) -> bytes:
    """What the syscall can be asked of split BTF: it and its base as one blob.

    Raises InputError where the two cannot be joined.
    """
    if base is None:
        return data
    try:
        return flatten(base.data, data, rules, machine)
    except Refused as refused:
        raise InputError(f"cannot be joined with its base: {refused.fault.message}") from None


def _explained(fault: Fault, btf: Btf | None) -> Fault:
    fault = fault._replace(cause=cause(fault, btf))
    known = btf is not None and 0 < fault.type_id < btf.count and not fault.rule.startswith("B.")
    if not known or btf is None:
        return fault
    return fault._replace(declaration="\n".join(definition(btf, fault.type_id, fault.position)))


def _on_base(data: bytes, rules: Rules, base: Base, machine: Machine, first_only: bool) -> Checked:
    below = base.checked(rules)
    if not below.verdict.accepted or below.btf is None:
        note = "the kernel refuses the BTF of its own vmlinux, and with it that of every module"
        return below._replace(verdict=below.verdict._replace(notes=(note,)))
    return check(data, rules, MODULE, base=below.btf, machine=machine, first_only=first_only)


def _on_distilled(data: bytes, rules: Rules, base: Base | None, distilled: bytes, machine: Machine) -> Checked:
    below = check(distilled, rules, VMLINUX, machine=machine)
    if not below.verdict.accepted or below.btf is None:
        return below._replace(verdict=below.verdict._replace(notes=("in .BTF.base",)))
    checked = check(data, rules, MODULE, base=below.btf, machine=machine)
    if not checked.verdict.accepted or checked.btf is None:
        return checked
    if base is None:
        note = "depends on the kernel that runs: whether its vmlinux has what .BTF.base names; give it with --base"
        return checked._replace(verdict=checked.verdict._replace(notes=(note,)))
    vmlinux = base.checked(rules)
    if not vmlinux.verdict.accepted or vmlinux.btf is None:
        return _on_base(data, rules, base, machine, True)
    faults: list[Fault] = []
    relocate(checked.btf, vmlinux.btf, faults.append)
    if not faults:
        return checked
    verdict = Verdict(False, faults[0].errno, faults[0].message, tuple(faults), notes=("relocating from .BTF.base",))
    return checked._replace(verdict=verdict)


@lru_cache(maxsize=1)
def running_structs() -> frozenset[bytes]:
    """The names of the running kernel's structs; empty where it has no BTF."""
    try:
        data = source.read(f"{source.SYSFS}/vmlinux").data
    except InputError:
        return frozenset()
    btf = check(data, releases.rules_for(source.running()), VMLINUX, first_only=True).btf
    if btf is None:
        return frozenset()
    offsets = {btf.words[btf.starts[tid]] for tid in range(1, btf.count) if btf.kinds[tid] == STRUCT}
    return frozenset(btf.bytes_at(offset) for offset in offsets)
