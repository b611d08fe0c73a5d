# SPDX-License-Identifier: MIT
"""One file, encoded by one pahole after the other: each output finished, validated and compared.

A class and not a function, because release, base and debug information are needed for every pahole and read once.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from btfcheck.btf import judge as judging
from btfcheck.btf import source
from btfcheck.btf.format import Btf, Machine
from btfcheck.btf.releases import rules_for
from btfcheck.btf.split import Base
from btfcheck.btf.verify import MODULE, VMLINUX, Checked
from btfcheck.files import write_whole
from btfcheck.gate import differences, judge
from btfcheck.gate import encode as encoding
from btfcheck.gate.encode import WHOLE, Encoding
from btfcheck.gate.finish import Finished, applies, finish
from btfcheck.gate.judge import About
from btfcheck.gate.subject import Subject
from btfcheck.model import Fact, InputError, Outcome, Report, Severity, Status, UsageError
from btfcheck.release import Release, stated
from btfcheck.toolchain.pahole import Flags, flags
from btfcheck.toolchain.probes import probe
from btfcheck.toolchain.tools import DEFAULT, resolve, show
from btfcheck.trace.compare import Comparison, names
from btfcheck.trace.unencoded import NO_NAME, REGISTER

EMBEDDED = "embedded"


class Work:
    """One file, its release and base, judged for one pahole after the other."""

    def __init__(self, args: argparse.Namespace, variables: dict[str, str], subject: Subject) -> None:
        self.args = args
        self.variables = variables
        self.subject = subject

    # -- what is needed once ------------------------------------------------------------------------------

    @cached_property
    def base_path(self) -> str | None:
        """The vmlinux of a module. Raises InputError when there is none."""
        if not self.subject.module:
            return None
        if self.args.base:
            return str(self.args.base)
        stub = source.Source(self.subject.path, b"", MODULE, vermagic=self.subject.vermagic)
        own = os.path.realpath(self.subject.path)
        for place in source.base_places(stub):
            if os.path.isfile(place) and os.path.realpath(place) != own:
                return place
        raise InputError(f"{self.subject.path}: a module, and its vmlinux was not found: give it with --base")

    @cached_property
    def base(self) -> Base | None:
        if self.base_path is None:
            return None
        read = source.read(self.base_path)
        return Base(read.data, read.machine)

    @cached_property
    def release(self) -> Release:
        if self.args.kernel:
            return stated(self.args.kernel)
        found = None
        if self.base_path is not None:
            vmlinux = Subject(self.base_path)
            found = vmlinux.release  # a module's vermagic often tells only the line
            vmlinux.close()
        found = found or self.subject.release
        if found is None:
            raise InputError(f"{self.subject.path}: which kernel release it belongs to is not known: give --kernel")
        return found

    @cached_property
    def below(self) -> frozenset[tuple[str, str]]:
        if self.base is None:
            return frozenset()
        btf = self.base.checked(rules_for(self.release)).btf
        return names(btf) if btf else frozenset()

    @cached_property
    def fixes(self) -> dict[str, str]:
        from btfcheck.lint.rules import load

        return {rule.id: rule.fix for rule in load(stages=("encode",)).rules.values()}

    def setting(self, name: str) -> bool | None:
        """Whether --config has CONFIG_name=y, None without one."""
        if not self.args.config:
            return None
        from btfcheck.config import read

        fact = read(self.args.config).get(name)
        return fact is not None and fact.value == "y"

    @cached_property
    def lang_exclude(self) -> bool | None:
        return self.setting("PAHOLE_HAS_LANG_EXCLUDE")

    def about(self, label: str, facts: tuple[Fact, ...] = ()) -> About:
        return About(self.subject.path, self.subject.name, self.release, label, self.fixes, facts)

    # -- the work -----------------------------------------------------------------------------------------

    def encode(self, command: tuple[str, ...], report: Report) -> Encoding | None:
        """Run one pahole; its outcomes and its row go to the report."""
        fact = probe({**self.variables, "PAHOLE": show(command)}, only=("PAHOLE_VERSION",))["PAHOLE_VERSION"]
        if fact.value in (None, "0"):
            about = self.about(show(command))
            missing = ("a pahole that runs (Debian's package is dwarves): --pahole CMD or PAHOLE=CMD names one",)
            report.outcomes.append(about.outcome(
                "BTF519", Status.UNKNOWN, Severity.ERROR, f"nothing was encoded: {fact.reason or 'no pahole'}",
                missing=missing, facts=(fact,)))
            row = judge.data(self.subject.path, about, None, None, None)
            report.data["encodings"].append(row | {"written": False, "result": "not-run"})
            return None
        limits: dict[str, Any] = {
            "jobs": self.args.jobs, "timeout": self.args.timeout, "memory": int(self.args.memory * (1 << 30)),
        }  # fmt: skip
        version = int(fact.value or 0)
        made = encoding.encode(
            self.subject.debug_path or self.subject.path, command, version, self.release, base=self.base_path,
            chosen=self.flags(command, version), **limits,
        )  # fmt: skip
        about = self.about(made.label, (fact,))
        outcomes = judge.of_run(about, made)
        verdict = found = finished = None
        if made.out == WHOLE and made.done.ok:
            checked = self.checked(made.btf)
            finished = self.finished(made, limits)
            if isinstance(finished, Finished) and finished.ok:
                verdict = self.checked(finished.btf, finished.base).verdict
            else:
                verdict = checked.verdict
            outcomes += judge.of_finish(about, finished)
            outcomes.append(judge.of_verdict(about, verdict, finished))
            found = self.compared(checked, made, limits)
            outcomes += differences.of_comparison(about, found) if found else []
        report.outcomes += outcomes
        report.data["encodings"].append(judge.data(self.subject.path, about, made, verdict, found, finished))
        if self.args.keep:
            self.keep(made, finished)
        return made

    def keep(self, made: Encoding, finished: Finished | str | None) -> None:
        """--keep: what came out, under names that tell by what."""
        number = made.label.partition(" (")[0].replace(" ", "-")
        parts = {"btf": made.btf}
        if isinstance(finished, Finished):
            parts |= {"finished.btf": finished.btf, "finished.base.btf": finished.base or b""}
        for ending, data in parts.items():
            if data:
                self.keep_one(f"{self.subject.name}.{number}.{ending}", data)

    def keep_one(self, name: str, data: bytes) -> None:
        path = os.path.join(self.args.keep, name)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)  # modules are named with their directories
            write_whole(path, data)
        except OSError as error:
            raise UsageError(f"--keep {path}: {error.strerror or error}") from error

    def finished(self, made: Encoding, limits: Mapping[str, Any]) -> Finished | str | None:
        """What the RESOLVE_BTFIDS that was given makes of it, or why that cannot be told; None where that release's
        build lets it change no BTF. Without one it is "", which is no error."""
        if not applies(self.release):
            return None
        tools = resolve(self.variables)
        if tools.origins["RESOLVE_BTFIDS"] == DEFAULT:
            return ""
        words = (*made.flags.resolve_btfids, *(("--fatal_warnings",) if self.setting("WERROR") else ()))
        try:
            return finish(
                self.subject.image, made.btf, tools.commands["RESOLVE_BTFIDS"], words, base=self.base_path,
                own=self.own, timeout=limits["timeout"], memory=limits["memory"],
            )  # fmt: skip
        except InputError as error:
            return str(error)

    def own(self) -> Btf | None:
        """The types of the BTF that the file has already."""
        try:
            read = source.read(self.subject.path)
        except InputError:
            return None
        return self.checked(read.data, read.distilled).btf

    def flags(self, command: tuple[str, ...], version: int) -> Flags:
        """Those of the tree, where one is given, else those of the release."""
        external = self.subject.module and self.args.external
        if self.args.tree:
            from btfcheck.toolchain.treeflags import flags_of_tree

            return flags_of_tree(self.args.tree, command, version, external=external, lang_exclude=self.lang_exclude)
        return flags(self.release, version, module=self.subject.module, external=external,
                     lang_exclude=self.lang_exclude)

    def checked(self, btf: bytes, distilled: bytes | None = None) -> Checked:
        """The kernel's verdict on BTF that was made for this file, perhaps on a distilled base."""
        path = MODULE if self.subject.module else VMLINUX
        image = self.subject.image
        machine = Machine("little" if image.little else "big", image.bits // 8)
        return judging.judge(btf, rules_for(self.release), path, self.base, machine, distilled=distilled)

    def compared(self, checked: Checked, made: Encoding | None, limits: dict[str, Any]) -> Comparison | None:
        """BTF against DWARF. What pahole says with -V is asked for only when functions are missing."""
        if checked.btf is None or not checked.complete:
            return None
        if made is None:
            return self.subject.compare(checked.btf, self.release, self.below)
        found = self.subject.compare(checked.btf, self.release, self.below, silent=frozenset((NO_NAME,)))
        if found is not None and found.lost_functions:
            path = self.subject.debug_path or self.subject.path
            said = encoding.left_out(made, path, self.release, base=self.base_path, **limits)
            silent = (NO_NAME, REGISTER) if made.version in encoding.SILENT else (NO_NAME,)
            found = self.subject.compare(checked.btf, self.release, self.below, said, frozenset(silent))
        return found

    def judge_present(self, place: str, report: Report) -> None:
        """The BTF that is there: in the file itself, or in another one."""
        read = source.read(self.subject.path if place == EMBEDDED else place)
        about = self.about("the BTF in the file" if place == EMBEDDED else f"BTF {os.path.basename(place)}")
        checked = self.checked(read.data)
        found = self.compared(checked, None, {})
        report.outcomes.append(judge.of_verdict(about, checked.verdict))
        if found:
            report.outcomes += differences.of_comparison(about, found)
        else:
            report.outcomes.append(no_comparison(about, checked))
        report.data["encodings"].append(judge.data(self.subject.path, about, None, checked.verdict, found))


def no_comparison(about: About, checked: Checked) -> Outcome:
    """BTF514: nothing to compare with, or nothing that can be compared."""
    if not checked.complete:
        return about.outcome("BTF514", Status.SKIP, Severity.NOTE, "the BTF cannot be read as a whole")
    return about.outcome("BTF514", Status.UNKNOWN, Severity.NOTE, "not compared: there is no debug information",
                         missing=("the debug information of this file: --debug-root",))


# -- text ----------------------------------------------------------------------------------------------------
