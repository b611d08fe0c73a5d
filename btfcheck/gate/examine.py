# SPDX-License-Identifier: MIT
"""What the gate does with one file, in a worker process."""

from __future__ import annotations

import argparse
import os
from functools import lru_cache
from typing import Any, NamedTuple

from btfcheck.btf import source
from btfcheck.btf.outcomes import Judged, Kernel
from btfcheck.btf.releases import rules_for
from btfcheck.btf.split import Base
from btfcheck.btf.verify import MODULE, VMLINUX, Checked
from btfcheck.dwarf.leaks import scan
from btfcheck.files import Stamp, stamp_of
from btfcheck.gate import differences, judge
from btfcheck.gate.cache import Found
from btfcheck.gate.judge import About
from btfcheck.gate.scanned import Against, file_data
from btfcheck.gate.subject import Subject
from btfcheck.gate.work import Work
from btfcheck.image import debug_file_candidates, open_image
from btfcheck.model import InputError, Outcome, Report, Severity, Status
from btfcheck.release import Release
from btfcheck.release import parse as parse_release
from btfcheck.trace.compare import names


class Task(NamedTuple):
    """One file, and all that its result depends on; it travels to worker processes.

    `base` is the vmlinux or boot image of a module, `refused` that the kernel refuses that one's BTF, `uname` what it
    calls itself, `btf` whether it has BTF; `wants_btf` tells that the configuration asks for BTF. `debug` is the
    vmlinux that a boot image was made from, "" where there is none or vmlinux is at hand itself. `boot` marks a boot
    image.
    """

    path: str
    name: str
    base: str
    release: str
    uname: str
    btf: bool
    refused: bool
    wants_btf: bool
    boot: bool
    debug: str
    roots: tuple[str, ...]
    paholes: tuple[tuple[str, ...], ...]
    variables: tuple[tuple[str, str], ...]
    options: tuple[tuple[str, Any], ...]

    @property
    def args(self) -> argparse.Namespace:
        return argparse.Namespace(**dict(self.options))


def examine(task: Task) -> Found:
    """Everything that is to say of one file. Never raises for what the file holds."""
    try:
        return _Examination(task).run()
    except InputError as error:
        return Found((Outcome("BTF401", Status.ERROR, Severity.ERROR, task.name, str(error)),))


@lru_cache(2)
def _base(path: str, stamp: Stamp | None) -> Base:  # noqa: ARG001 (a changed vmlinux is another one)
    read = source.read(path)
    return Base(read.data, read.machine)


@lru_cache(2)
def _names(path: str, stamp: Stamp | None, release: Release) -> frozenset[tuple[str, str]]:
    btf = _base(path, stamp).checked(rules_for(release)).btf
    return names(btf) if btf else frozenset()


@lru_cache(1)
def fixes() -> dict[str, str]:
    """Rule -> its advice."""
    from btfcheck.lint.rules import load

    return {rule.id: rule.fix for rule in load(stages=("encode", "dwarf", "btf")).rules.values()}


@lru_cache(4)
def _against(
    config: str | None, no_probe: bool, kernel: str, variables: tuple[tuple[str, str], ...], vmlinux: str
) -> Against:
    """The pahole and the release that scans are judged for: those of the configuration, if there is one."""
    return Against([vmlinux], dict(variables), kernel=kernel, config=config, probe=not no_probe)


class _Examination:
    """The stages of one file."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.args = task.args
        self.release = parse_release(task.release)
        self.outcomes: list[Outcome] = []
        self.files: list[dict[str, Any]] = []
        self.verdicts: list[dict[str, Any]] = []
        self.encodings: list[dict[str, Any]] = []
        self.compared = False
        self.seen: tuple[str, ...] = ()
        self.strangers: tuple[str, ...] = ()

    def run(self) -> Found:
        task = self.task
        origin = task.path if not task.boot else task.debug
        subject: Subject | None = None
        if origin:
            self.scan(origin)
            subject = Subject(origin, task.name, roots=task.roots)
            self.pair(subject)
            self.belongs(subject)
        checked = self.validate()
        if checked is not None:
            self.compare(subject, checked)
        if subject is not None:
            if self.args.encode or (checked is None and task.wants_btf):
                self.encode(subject, asked=self.args.encode)
            subject.close()
        return Found(tuple(self.outcomes), tuple(self.files), tuple(self.verdicts), tuple(self.encodings),
                     self.compared, self.seen, self.strangers)

    def about(self, label: str) -> About:
        return About(self.task.path, self.task.name, self.release, label, fixes())

    def scan(self, path: str) -> None:
        task = self.task
        result = scan(path, roots=task.roots)
        against = _against(self.args.config, self.args.no_probe or self.args.foreign, task.release, task.variables,
                           task.base or task.path)
        self.outcomes += against.outcomes(result, task.name)
        self.files.append(file_data(result, against.cases if result.rust else ()))

    def pair(self, subject: Subject) -> None:
        """A stripped file depends on what lies, or does not lie, where its debug file would be."""
        if subject.image.section(".debug_info") is not None:
            return
        places = debug_file_candidates(subject.image, self.task.roots)
        self.seen = tuple(places)
        if subject.debug is None and subject.image.build_id:
            self.strangers = tuple(p for p in places if os.path.isfile(p) and _build_id(p) != subject.image.build_id)

    def belongs(self, subject: Subject) -> None:
        """BTF531: is a module of the same build as vmlinux?"""
        task = self.task
        if not task.base:
            return
        about = self.about("the module")
        if not (subject.vermagic and task.uname):
            silent = "the module" if not subject.vermagic else "vmlinux"
            self.outcomes.append(about.outcome("BTF531", Status.SKIP, Severity.ERROR, f"{silent} names no release"))
        elif subject.vermagic != task.uname:
            self.outcomes.append(about.outcome(
                "BTF531", Status.FINDING, Severity.ERROR, f"built for {subject.vermagic}, vmlinux is {task.uname}"))
        else:
            self.outcomes.append(about.ok("BTF531"))

    def validate(self) -> Checked | None:
        """The kernel's verdict on the BTF in the file; None when there is none, or none that counts."""
        task = self.task
        try:
            read = source.read(task.path)
        except source.NoBtfError:
            self.without_btf()
            return None
        rule = "BTF532" if task.base else "BTF533"
        self.outcomes.append(self.about("BTF").ok(rule, Severity.WARNING if task.base else Severity.ERROR))
        if task.refused and task.base:
            message = "the kernel refuses the BTF of vmlinux, and with it that of every module"
            self.outcomes.append(Outcome("BTF401", Status.SKIP, Severity.ERROR, task.name, message))
            return None
        read = read._replace(kind=MODULE if task.base else VMLINUX)
        base = _base(task.base, stamp_of(task.base)) if task.base and task.btf else None
        judged = Judged(read, task.name, base)
        judged.judge(Kernel(self.release))
        self.outcomes += judged.outcomes
        self.verdicts += judged.data
        return next(iter(judged.known.values()), None)

    def without_btf(self) -> None:
        """BTF532, BTF533."""
        task, about = self.task, self.about("BTF")
        if task.base and task.btf:
            message = "vmlinux has BTF and this module has none"
            self.outcomes.append(about.outcome("BTF532", Status.FINDING, Severity.WARNING, message))
        elif not task.base and task.wants_btf:
            message = "CONFIG_DEBUG_INFO_BTF=y, and vmlinux has none"
            self.outcomes.append(about.outcome("BTF533", Status.FINDING, Severity.ERROR, message))

    def compare(self, subject: Subject | None, checked: Checked) -> None:
        about = self.about("the BTF in the file")
        task = self.task
        below = _names(task.base, stamp_of(task.base), self.release) if task.base else frozenset()
        found = None
        if subject is not None and checked.btf is not None and checked.complete:
            found = subject.compare(checked.btf, self.release, below)
        if found is None:
            why = "no debug information to compare with" if checked.complete else "its BTF cannot be read as a whole"
            self.outcomes.append(about.outcome("BTF514", Status.SKIP, Severity.NOTE, why))
            return
        self.compared = True
        self.outcomes = differences.settled(self.outcomes, found)
        self.outcomes += differences.of_comparison(about, found)
        self.encodings.append(judge.data(task.path, about, None, checked.verdict, found))

    def encode(self, subject: Subject, asked: bool) -> None:
        """With every pahole; unasked only where pahole may be run and there is something to encode."""
        task = self.task
        if subject.debug is None or (self.args.no_probe and not asked):
            return
        if task.base and not task.btf:
            return  # no base to encode on
        base = task.debug or task.base or None  # pahole reads no boot image
        args = argparse.Namespace(**{**vars(self.args), "kernel": task.release, "base": base if task.base else None})
        work = Work(args, dict(task.variables), subject)
        report = Report("gate", data={"encodings": []})
        for command in task.paholes:
            work.encode(command, report)
        self.outcomes += report.outcomes
        self.encodings += report.data["encodings"]


def _build_id(path: str) -> str:
    try:
        with open_image(path) as image:
            return image.build_id
    except InputError:
        return ""
