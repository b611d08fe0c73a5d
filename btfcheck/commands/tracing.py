# SPDX-License-Identifier: MIT
"""`explain TYPE FILE` and `explain --rust-types FILE`: what is asked of a built file."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from btfcheck.btf import source
from btfcheck.btf.releases import NEWEST, rules_for
from btfcheck.btf.split import Base
from btfcheck.btf.verify import MODULE, VMLINUX, check
from btfcheck.gate.subject import Subject
from btfcheck.image import DEBUG_ROOTS
from btfcheck.model import InputError, Outcome, Report, Severity, Status
from btfcheck.release import Release, stated
from btfcheck.trace.ground import Ground

if TYPE_CHECKING:
    from btfcheck.btf.format import Btf
    from btfcheck.btf.source import Source
    from btfcheck.commands.console import Console
    from btfcheck.formats.style import Style
    from btfcheck.trace.lookup import Traced

EMBEDDED = "embedded"


class Case:
    """One file, opened: its debug information and its BTF. Raises InputError when it cannot be read."""

    def __init__(self, path: str, args: argparse.Namespace) -> None:
        self.path = path
        self.args = args
        self.subject: Subject | None = None
        self.source: Source | None = None
        self.problem = ""
        try:
            self.subject = Subject(path, roots=(*args.debug_root, *DEBUG_ROOTS))
        except InputError:
            if not os.path.isfile(path):
                raise
            self.source = source.read(path)  # a raw blob, or a kernel image
            if self.source.data[:2] not in (b"\x9f\xeb", b"\xeb\x9f"):
                raise InputError(f"{path}: neither an ELF file nor BTF; a configuration goes with a SYMBOL, as in "
                                 f"`btfcheck explain RUST {path}`") from None
        try:
            if args.btf not in (None, EMBEDDED):
                self.source = source.read(args.btf)
            elif self.source is None:
                self.source = source.read(path)
        except source.NoBtfError as error:
            if args.btf:
                raise
            self.problem = str(error)
        self.btf = self._types()

    @property
    def release(self) -> Release:
        """The kernel's, as far as it is known; else the newest one whose rules are known."""
        if self.args.kernel:
            return stated(self.args.kernel)
        found = self.subject.release if self.subject else None
        return found or (self.source.release if self.source else None) or NEWEST

    @property
    def module(self) -> bool:
        if self.subject is not None:
            return self.subject.module
        return self.source is not None and self.source.kind == MODULE

    def _types(self) -> Btf | None:
        if self.source is None:
            return None
        rules = rules_for(self.release)
        base = self._base(self.source) if self.module else None
        below = base.checked(rules).btf if base else None
        if self.module and below is None:
            self.problem = (f"{self.source.path}: the BTF of a module stands on that of its vmlinux, which was not "
                            "found: give it with --base")
            return None
        checked = check(self.source.data, rules, MODULE if below else VMLINUX, base=below, machine=self.source.machine)
        if checked.btf is None or not checked.complete:
            self.problem = f"{self.source.path}: its BTF cannot be read: {checked.verdict.message}"
            return None
        return checked.btf

    def _base(self, split: Source) -> Base | None:
        """The BTF of the vmlinux that a module stands on."""
        place = self._base_path(split)
        if place is None:
            return None
        read = source.read(place)
        return Base(read.data, read.machine)

    def _base_path(self, split: Source | None) -> str | None:
        if self.args.base:
            return str(self.args.base)
        vermagic = (split.vermagic if split else "") or (self.subject.vermagic if self.subject else "")
        own = os.path.realpath(self.path)
        for place in source.base_places(source.Source(self.path, b"", MODULE, vermagic=vermagic)):
            if os.path.isfile(place) and os.path.realpath(place) != own:
                return place
        return None

    def encode(self, command: str, console: Console) -> tuple[int, dict[str, str] | None]:
        """Run a pahole on the file as Kbuild would: its BTF is what is explained. Returns its version, and what it
        says of the functions that it left out.

        Raises InputError when it does not run.
        """
        from btfcheck.gate import encode as encoding
        from btfcheck.toolchain.pahole import flags
        from btfcheck.toolchain.probes import probe
        from btfcheck.toolchain.tools import split

        if self.subject is None or self.subject.debug is None:
            raise InputError(f"{self.path}: no debug information, so there is nothing for {command} to encode")
        fact = probe({"PAHOLE": command}, only=("PAHOLE_VERSION",))["PAHOLE_VERSION"]
        if not fact.value or fact.value == "0":
            raise InputError(f"--pahole {command}: {fact.reason or 'no pahole'}")
        version = int(fact.value)
        console.info(f"btfcheck: {command} encodes {self.path}")
        base = self._base_path(self.source) if self.module else None
        path = self.subject.debug_path or self.path
        chosen = flags(self.release, version, module=self.module)
        made = encoding.encode(path, split(command), version, self.release, chosen=chosen, base=base)
        if made.out != encoding.WHOLE:
            text = next((m.example for m in made.messages), made.done.problem)
            self.problem = f"{made.label} made none of {self.path}{f': {text}' if text else ', and exited 0'}"
            self.btf = None
            return version, None
        kind = MODULE if self.module else VMLINUX
        self.source = source.Source(made.label, made.btf, kind, vermagic=self.subject.vermagic)
        self.btf = self._types()
        return version, encoding.left_out(made, path, self.release, base=base)

    def ground(self, said: dict[str, str] | None = None) -> Ground:
        subject = self.subject
        if subject is None:
            return Ground(None, self.btf, btf_problem=self.problem)
        return Ground(subject.debug, self.btf, symbols=subject.symbols, said=said, btf_problem=self.problem,
                      machine=subject.image.machine, symbol_image=subject.symbol_image)

    def close(self) -> None:
        if self.subject is not None:
            self.subject.close()


def explain_type(words: list[str], path: str, args: argparse.Namespace, console: Console) -> Report:
    """Why a type or function is in the BTF of a file, or void, or missing.

    Raises InputError when the file cannot be read.
    """
    from btfcheck.explain import types
    from btfcheck.trace.lookup import asked_kind, trace

    case = Case(path, args)
    try:
        kind, name = asked_kind(words)
        versions_asked, said = list(args.pahole_version), None
        if args.pahole:
            version, said = case.encode(args.pahole, console)
            versions_asked = [version]
        ground = case.ground(said)
        if ground.debug is None and ground.btf is None:
            raise InputError(case.problem or f"{path}: neither debug information nor BTF")
        total = sum(len(info.data) for info in ground.debug.infos) if ground.debug else None
        with console.progress(f"looking for {name}", total) as advance:
            traced = trace(ground, name, kind, versions=versions_asked, dots=rules_for(case.release).dots,
                           advance=lambda unit: advance(unit.end - unit.offset, ""))
        no_btf = ground.btf_problem if ground.btf is None else ""
        report = Report("explain", data={"traced": types.data(traced, path, no_btf)})
        _judge(report, traced, ground, path)
        return report
    finally:
        case.close()


def _judge(report: Report, traced: Traced, ground: Ground, path: str) -> None:
    """What the exit code says: nothing of that name (4), or no answer (3)."""
    missing = []
    if ground.debug is None:
        missing.append("debug information: --debug-root, or the file with it (vmlinux of a -dbg package)")
    if ground.btf is None:
        missing.append(f"BTF: {ground.btf_problem or 'none in the file'}; --btf names one")
    if not traced.answers and not traced.members:
        text = f"{path} has nothing named {traced.asked}"
        if traced.similar:
            text += f"; it has {', '.join(traced.similar)}"
        if not traced.problems:
            report.nothing = text
            return
        report.outcomes.append(_open(traced.asked, f"{text}, but not all of it could be read", missing))
    elif traced.answers and not any(a.known for a in traced.answers):
        report.outcomes.append(_open(traced.asked, f"could not tell why {traced.asked} is as it is", missing))


def _open(subject: str, message: str, missing: list[str]) -> Outcome:
    needed = tuple(missing) or ("what pahole says with -V: --pahole CMD asks it",)
    return Outcome("type-origin", Status.UNKNOWN, Severity.ERROR, subject, message, missing=needed)


def rust_types(path: str, args: argparse.Namespace, console: Console) -> Report:
    """Which Rust types of a file BTF could hold. Raises InputError when it cannot be read."""
    from btfcheck.explain import representable as pages
    from btfcheck.trace.representable import survey

    subject = Subject(path, roots=(*args.debug_root, *DEBUG_ROOTS))
    try:
        if subject.debug is None:
            raise InputError(f"{path}: no debug information, which alone has the Rust types")
        release = stated(args.kernel) if args.kernel else subject.release or NEWEST
        rust = [u for u in subject.debug.units if u.language == "Rust" or (u.table is not None and u.table.rust)]
        with console.progress("reading Rust types", sum(u.end - u.offset for u in rust)) as advance:
            found = survey(Ground(subject.debug), rules_for(release),
                           advance=lambda unit: advance(unit.end - unit.offset, unit.name))
        report = Report("explain", data={"rust_types": pages.data(found, path, release, args.first)})
        report.page = pages.markdown_page(report.data["rust_types"])
        if not found.types and not found.problems:
            report.nothing = f"no Rust types in {path}"
        return report
    finally:
        subject.close()


def body(report: Report, style: Style) -> Iterator[str]:
    if "traced" in report.data:
        from btfcheck.explain.types import page

        yield from page(report.data["traced"], style)
    if "rust_types" in report.data:
        from btfcheck.explain.representable import page as table

        yield from table(report.data["rust_types"], style)
