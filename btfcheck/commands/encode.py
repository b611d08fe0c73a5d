# SPDX-License-Identifier: MIT
"""Encode BTF as a kernel's build would, and judge what comes out: is it there, whole, accepted, complete.

FILE is a vmlinux or a module with debug information; it is never written to. Each --pahole runs with the flags
that the kernel release's Kbuild passes to that version; from 7.0 on the resolve_btfids that RESOLVE_BTFIDS=PATH
names then finishes the BTF, as in the build. The output is validated for that release and compared with the debug
information: what leaked in from Rust, what of C's was lost. With --btf nothing is encoded, and the BTF that is
there is judged.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from btfcheck.btf import judge as judging
from btfcheck.btf import source
from btfcheck.btf.format import Btf, Machine
from btfcheck.btf.releases import rules_for
from btfcheck.btf.split import Base
from btfcheck.btf.verify import MODULE, VMLINUX, Checked
from btfcheck.commands import split_variables
from btfcheck.files import write_whole
from btfcheck.formats.style import printable
from btfcheck.gate import differences, judge
from btfcheck.gate import encode as encoding
from btfcheck.gate.encode import WHOLE, Encoding
from btfcheck.gate.finish import Finished, applies, finish
from btfcheck.gate.judge import About
from btfcheck.gate.subject import Subject
from btfcheck.image import DEBUG_ROOTS
from btfcheck.model import Fact, InputError, Outcome, Report, Severity, Status, UsageError
from btfcheck.release import Release, stated
from btfcheck.toolchain.pahole import Flags, flags
from btfcheck.toolchain.probes import probe
from btfcheck.toolchain.tools import DEFAULT, resolve, show, split
from btfcheck.trace.compare import Comparison, names
from btfcheck.trace.unencoded import NO_NAME, REGISTER

if TYPE_CHECKING:
    from btfcheck.commands.console import Console
    from btfcheck.formats.style import Style

WORDS = "FILE [VAR=VALUE]..."
EXAMPLES = """\
  btfcheck encode vmlinux --pahole pahole --pahole ~/pahole-1.30/pahole
  btfcheck encode drivers/net/foo.ko --base vmlinux --kernel 6.12
  btfcheck encode vmlinux RESOLVE_BTFIDS=tools/bpf/resolve_btfids/resolve_btfids
  btfcheck encode vmlinux --btf embedded
  btfcheck encode vmlinux --btf vmlinux.btf --kernel 6.12 --output json | jq .encodings
"""

EMBEDDED = "embedded"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", metavar="FILE | VAR=VALUE", nargs="+")
    parser.add_argument("--pahole", metavar="CMD", action="append", default=[],
                        help="the pahole to run (repeatable; default: PAHOLE, as make would)")
    parser.add_argument("--kernel", metavar="RELEASE", help="the release that FILE belongs to (default: what it says)")
    parser.add_argument("--config", metavar="FILE", help="take PAHOLE_HAS_LANG_EXCLUDE from this .config")
    parser.add_argument("--tree", metavar="DIR",
                        help="take the flags from this kernel tree's own scripts, which are executed")
    parser.add_argument("--base", metavar="VMLINUX", help="the vmlinux of a module (default: searched)")
    parser.add_argument("--external", action="store_true", help="FILE is an out-of-tree module")
    parser.add_argument("--btf", metavar="FILE|embedded", help="encode nothing, judge this BTF")
    parser.add_argument("--debug-root", metavar="DIR", action="append", default=[],
                        help="look for separate debug files below DIR too (repeatable)")
    add_limits(parser)


def add_limits(parser: argparse.ArgumentParser) -> None:
    """What bounds a pahole, and where its work is kept."""
    parser.add_argument("--timeout", metavar="S", type=_positive, default=encoding.TIMEOUT,
                        help=f"seconds that one pahole may take (default: {encoding.TIMEOUT:g})")
    parser.add_argument("--memory", metavar="GIB", type=_positive, default=encoding.MEMORY / (1 << 30),
                        help=f"GiB of memory that it may map (default: {encoding.MEMORY >> 30})")
    parser.add_argument("--keep", metavar="DIR", help="keep each BTF that was made in DIR")


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def run(args: argparse.Namespace, console: Console) -> Report:
    inputs, variables = split_variables(args.words)
    if len(inputs) != 1:
        raise UsageError(f"encode: one file at a time, not {len(inputs)}")
    if args.no_probe and not args.btf:
        raise UsageError("encode: --no-probe runs no pahole; with --btf none is needed")
    report = Report("encode", data={"encodings": []})
    subject = Subject(inputs[0], roots=(*args.debug_root, *DEBUG_ROOTS))
    if subject.debug is None and not args.btf:
        report.nothing = f"no debug information (CONFIG_DEBUG_INFO) in {subject.path}: there is nothing to encode"
        return report
    work = Work(args, variables, subject)
    if args.btf:
        work.judge_present(args.btf, report)
        return report
    for command in [split(c) for c in args.pahole] or [resolve(variables).commands["PAHOLE"]]:
        console.info(f"btfcheck: {show(command)} encodes {subject.path}")
        before = len(report.outcomes)
        work.encode(command, report)
        lines = row_lines(report.data["encodings"][-1:], console.style)
        console.part(report.outcomes[before:], lines)
    return report


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


def row_lines(rows: list[dict[str, Any]], style: Style) -> Iterator[str]:
    """One line for each encoding."""
    for row in rows:
        result = row.get("result") or ("accepted" if row["accepted"] else "refused")
        kind = "ok" if result == "accepted" else "error"
        parts = [f"Linux {row['kernel']}"]
        if "rust_types" in row:
            counts = (("from Rust", "rust_types"), ("clash", "clashes"), ("types lost", "lost_types"),
                      ("became void", "void"), ("functions lost", "lost_functions"),
                      ("left out on purpose", "left_out"), ("with misplaced arguments", "misplaced_arguments"))
            parts += [f"{row[key]} {words}" for words, key in counts if row[key]] or ["nothing leaked, nothing lost"]
        if "resolve_btfids" in row:
            parts.append("finished by resolve_btfids")
        if row.get("cpu") is not None:
            parts.append(f"{row['cpu']} s CPU")
        name = printable(row["pahole"])
        yield f"{style.paint('bold', name)}: {style.paint(kind, result)}  ({', '.join(parts)})"


def body(report: Report, style: Style) -> Iterator[str]:
    yield from row_lines(report.data["encodings"], style)


