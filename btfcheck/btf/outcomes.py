# SPDX-License-Identifier: MIT
"""What is to say of one file's BTF: verdicts of kernel releases -> outcomes and plain data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from btfcheck.btf import judge as judging
from btfcheck.btf import releases, source
from btfcheck.btf.beyond import Remark, remarks
from btfcheck.btf.fault import ERRNO_NAMES, Fault, Verdict
from btfcheck.btf.releases import Rules
from btfcheck.btf.source import Source
from btfcheck.btf.split import Base, is_standalone, misfit
from btfcheck.btf.verify import MODULE, MOST_FAULTS, UNDECIDED, USER, VMLINUX, Checked
from btfcheck.model import InputError, Location, Outcome, Severity, Status
from btfcheck.release import Release

REMARKS = ("BTF404", "BTF405", "BTF406", "BTF407", "BTF408")
_PLACE = re.compile(r"\d+")  # what tells faults of one sort apart in their reason
_SHOWN = 3  # examples of one cause


class Kernel(NamedTuple):
    """A release to judge for, as it was asked for and as it is known."""

    release: Release
    running: bool = False

    @property
    def rules(self) -> Rules:
        return releases.rules_for(self.release)


class Judged:
    """The verdicts on one file, and the outcomes and data that come of them."""

    def __init__(self, read: Source, subject: str, base: Base | None, *, first_only: bool = False) -> None:
        self.read = read
        self.subject = subject
        self.base = base
        self.first_only = first_only
        self.outcomes: list[Outcome] = []
        self.data: list[dict[str, Any]] = []
        self.known: dict[tuple[Rules, bool], Checked] = {}

    def judge(self, kernel: Kernel) -> None:
        """One kernel's verdict. Those with the same rules are computed once."""
        needs_base = self.read.kind == MODULE and self.base is None
        if needs_base and not (self.read.distilled and kernel.rules.distilled_base):
            self._undecidable(kernel)
            return
        key = kernel.rules, kernel.running
        again = key in self.known
        if not again:
            self.known[key] = self._checked(kernel)
        checked = self.known[key]
        verdict = checked.verdict
        note = judging.newer_note(kernel.release)
        if note:
            verdict = verdict._replace(notes=(*verdict.notes, note))
        self._tell(kernel, verdict, checked)
        if checked.btf is not None and checked.complete and not again and self._fits(kernel, checked):
            self._remarks(kernel, checked)

    def _checked(self, kernel: Kernel) -> Checked:
        structs = judging.running_structs if kernel.running else None
        return judging.judge(
            self.read.data, kernel.rules, self.read.kind, self.base, self.read.machine,
            distilled=self.read.distilled, first_only=self.first_only, kernel_structs=structs,
        )  # fmt: skip

    def _outcome(self, rule: str, status: Status, severity: Severity, message: str, **more: Any) -> None:
        more.setdefault("locations", (Location(self.read.path),))
        self.outcomes.append(Outcome(rule, status, severity, self.subject, message, **more))

    def _undecidable(self, kernel: Kernel) -> None:
        message = "no vmlinux to judge this module on"
        missing = (f"the vmlinux of {self.read.vermagic or 'its kernel'}: give it with --base",)
        self._outcome("BTF402", Status.UNKNOWN, Severity.ERROR, message, missing=missing)
        self.data.append(_data(self.read, kernel, None, 0))

    def _tell(self, kernel: Kernel, verdict: Verdict, checked: Checked) -> None:
        self.data.append(_data(self.read, kernel, verdict, checked.btf.count - 1 if checked.btf else 0))
        name = f"Linux {kernel.release}"
        undecided = [note for note in verdict.notes if note.startswith(UNDECIDED)]
        if not verdict.accepted:
            first = verdict.faults[0]
            # Where the kernel is silent its last line is an ordinary one; the reason says more.
            said = shown(verdict.message if first.reason in verdict.message else first.reason)
            what = f"{ERRNO_NAMES[verdict.errno]}: {said}"
            place = f"BTF type {first.type_id}, {first.kind} {first.name}".rstrip() if first.type_id else ""
            self._outcome(
                "BTF401", Status.FINDING, Severity.ERROR, f"{name} refuses it as {self.read.kind}: {what}",
                locations=(Location(self.read.path, logical=place),),
                notes=(*_explanation(verdict), *verdict.notes),
                key=f"{kernel.release.line} {first.rule} {first.name} {first.member}",
            )  # fmt: skip
        elif undecided:
            self._outcome("BTF401", Status.UNKNOWN, Severity.NOTE, f"{name}: {undecided[0]}", notes=verdict.notes[1:])
        else:
            message = f"{name} accepts it as {self.read.kind}"
            self._outcome("BTF401", Status.OK, Severity.ERROR, message, notes=verdict.notes)

    def _fits(self, kernel: Kernel, checked: Checked) -> bool:
        """BTF402: whether split BTF was made for this base."""
        btf = checked.btf
        if btf is None or btf.base is None:
            return True
        if is_standalone(self.read.data, kernel.rules, self.read.machine):
            message = "standalone BTF in a module: the kernel takes its ids for those of vmlinux"
            self._outcome("BTF402", Status.FINDING, Severity.ERROR, message, key="standalone")
            return False
        if wrong := misfit(btf):
            message = f"built with another vmlinux: {wrong.number} types refer to what is not there, as {wrong.example}"
            self._outcome("BTF402", Status.FINDING, Severity.ERROR, message, key="misfit")
            return False
        if checked.verdict.accepted:
            self._outcome("BTF402", Status.OK, Severity.ERROR, "the module fits its vmlinux")
        return True

    def _remarks(self, kernel: Kernel, checked: Checked) -> None:
        assert checked.btf is not None
        vmlinux = self.read.kind == VMLINUX
        found: dict[str, Remark] = {r.rule: r for r in remarks(checked.btf, vmlinux and kernel.rules.sorted_base)}
        told = {(o.rule, o.status) for o in self.outcomes}
        for rule in REMARKS:
            remark = found.get(rule)
            if remark is None:
                applies = vmlinux or rule != "BTF407"
                if applies and not told & {(rule, Status.OK), (rule, Status.FINDING)}:
                    self._outcome(rule, Status.OK, Severity.NOTE, "nothing found")
                continue
            if (rule, Status.FINDING) in told:
                continue
            names = list(remark.names[:10])
            if remark.number > len(names):
                names.append(f"... and {remark.number - len(names)} more")
            self._outcome(rule, Status.FINDING, remark.severity, remark.message, notes=("\n".join(names),))

    def ask(self) -> None:
        """BTF409: the running kernel's answer, beside what this program says of the same question."""
        from btfcheck.btf.oracle import ask

        rules = Kernel(source.running(), True).rules
        try:
            data = judging.joined(self.read.data, self.base, rules, self.read.machine)
            answer = ask(data)
        except InputError as error:
            self._outcome("BTF409", Status.UNKNOWN, Severity.ERROR, str(error), missing=(str(error),))
            return
        own = judging.judge(data, rules, USER, first_only=True, kernel_structs=judging.running_structs).verdict
        agrees = (own.accepted, own.errno, own.message) == (answer.accepted, answer.errno, answer.message)
        said, expected = words(*answer), words(own.accepted, own.errno, own.message)
        for data_of in self.data:
            data_of["oracle"] = {**answer._asdict(), "agrees": agrees}
        if agrees:
            message = f"the running kernel says the same through bpf(): {said}"
            self._outcome("BTF409", Status.OK, Severity.ERROR, message)
            return
        message = f"the running kernel says {said} through bpf(), expected was {expected}"
        self._outcome("BTF409", Status.FINDING, Severity.ERROR, message, key=own.message)


def words(accepted: bool, errno: int, message: str) -> str:
    return "accepted" if accepted else f"{ERRNO_NAMES.get(errno, errno)}: {shown(message)}"


def shown(message: str) -> str:
    """A kernel message for people: its bytes as UTF-8 where they are that."""
    return message.encode("latin-1", "replace").decode("utf-8", "backslashreplace").strip()


def _explanation(verdict: Verdict) -> Iterator[str]:
    """The failing type, the usual cause, then all other faults, those of one cause together."""
    first, *others = verdict.faults
    if first.declaration:
        yield first.declaration
    if first.more:
        yield f"{first.more} more of the same in this type"
    if first.cause:
        yield f"usually: {first.cause}"
    groups: dict[tuple[str, str], list[Fault]] = {}
    for fault in others:
        groups.setdefault((_PLACE.sub("", fault.reason).rstrip(":"), fault.cause), []).append(fault)
    for (reason, cause), faults in sorted(groups.items(), key=lambda item: -len(item[1])):
        examples = ", ".join(_subject(fault) for fault in faults[:_SHOWN])
        dots = ", ..." if len(faults) > _SHOWN else ""
        yield f"{len(faults)} more: {reason}: {examples}{dots}" + (f"\nusually: {cause}" if cause else "")
    if verdict.truncated:
        yield f"more than {MOST_FAULTS} faults; the search ended there"


def _subject(fault: Fault) -> str:
    name = f" {fault.name}" if fault.name else ""
    member = f", member {fault.member}" if fault.member else ""
    return f"[{fault.type_id}] {fault.kind}{name}{member}"


def _data(read: Source, kernel: Kernel, verdict: Verdict | None, types: int) -> dict[str, Any]:
    """One element of the JSON key `verdicts`; `accepted` is null where it could not be told."""
    open_question = verdict is None or any(note.startswith(UNDECIDED) for note in verdict.notes)
    return {
        "path": read.path,
        "kernel": str(kernel.release),
        "as": read.kind,
        "accepted": None if verdict is None or (open_question and verdict.accepted) else verdict.accepted,
        "errno": None if verdict is None else verdict.errno,
        "message": "" if verdict is None else verdict.message,
        "faults": [] if verdict is None else [_fault_data(fault) for fault in verdict.faults],
        "truncated": verdict is not None and verdict.truncated,
        "notes": [] if verdict is None else list(verdict.notes),
        "types": types,
    }


def _fault_data(fault: Fault) -> dict[str, Any]:
    data = fault._asdict()
    del data["stream"]
    return data
