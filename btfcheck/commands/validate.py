# SPDX-License-Identifier: MIT
"""The kernel's own verdict on BTF, for any kernel release, without that kernel.

Takes raw BTF, vmlinux, modules (also .gz, .xz, .zst), boot images (/boot/vmlinuz-*), /sys/kernel/btf/*, and
directories of these. Tells whether the kernel accepts it, with errno and message, which type and member is
at fault, what usually causes that, and all further faults. Each file is judged for the release that it
names itself, else for the running kernel; --kernel takes others.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from btfcheck.btf import judge as judging
from btfcheck.btf import releases, source
from btfcheck.btf.format import Btf
from btfcheck.btf.outcomes import Judged, Kernel, shown, words
from btfcheck.btf.source import NoBtfError, Source
from btfcheck.btf.split import Base
from btfcheck.btf.verify import MODULE, PATHS, VMLINUX
from btfcheck.formats.style import printable
from btfcheck.model import InputError, Location, Outcome, Report, Severity, Status, UsageError
from btfcheck.release import Release, stated

if TYPE_CHECKING:
    from btfcheck.commands.console import Console
    from btfcheck.formats.style import Style

WORDS = "FILE|DIR..."
EXAMPLES = """\
  btfcheck validate vmlinux --kernel 6.1,6.12,7.3
  btfcheck validate /boot/vmlinuz-6.12.117+deb12-amd64
  btfcheck validate --installed 6.12.117+deb12-amd64
  btfcheck validate drivers/net/foo.ko --base vmlinux
  btfcheck validate prog.btf --kernel running --oracle
  btfcheck validate --diff old/vmlinux new/vmlinux
"""

_FEW = 20  # files, up to which each accepted one gets its line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", metavar="FILE | DIR", nargs="*")
    parser.add_argument("--kernel", metavar="RELEASE[,RELEASE]...", type=_kernels, default=[],
                        help="judge as these releases do, or as the `running` one (default: the file's own)")
    parser.add_argument("--as", dest="path", choices=PATHS,
                        help="who reads it: bpf(BPF_BTF_LOAD), the kernel itself, a module's insmod (default: by file)")
    parser.add_argument("--base", metavar="FILE", help="the vmlinux that split BTF continues (default: searched)")
    parser.add_argument("--installed", metavar="RELEASE", action="append", default=[],
                        help="an installed kernel, its image and all modules (repeatable)")
    parser.add_argument("--root", metavar="DIR", default="/", help="where --installed looks (default: /)")
    parser.add_argument("--first", action="store_true", help="stop at the first fault, as the kernel does")
    parser.add_argument("--oracle", action="store_true",
                        help="ask the running kernel as well, through bpf() (Linux, root), and compare")
    parser.add_argument("--big-endian", action="store_true", help="raw blobs are of a big-endian machine")
    parser.add_argument("--diff", nargs=2, metavar=("OLD", "NEW"),
                        help="tell what types, layouts and functions came, went or changed, and judge nothing")


def _kernels(text: str) -> list[str]:
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if word != "running":
            try:
                releases.rules_for(stated(word))
            except UsageError as error:
                raise argparse.ArgumentTypeError(str(error)) from None
    return words


def run(args: argparse.Namespace, console: Console) -> Report:
    if args.diff:
        return _diff(args)
    files = list(_files(args))
    if not files:
        raise UsageError("validate: name a file or a directory, or an --installed kernel")
    judges = Judges(args, [path for path, _ in files])
    report = Report("validate", data={"verdicts": []})
    few = len(files) <= _FEW
    size = sum(os.path.getsize(path) for path, _ in files if os.path.isfile(path))
    with console.progress("validating", size) as advance:
        for path, subject in files:
            outcomes, data = judges.file(path, subject)
            report.outcomes += outcomes
            report.data["verdicts"] += data
            console.part(outcomes, (line for d in data for line in verdict_lines(d, console.style, few)))
            advance(os.path.getsize(path) if os.path.isfile(path) else 0, os.path.basename(path))
    if not report.data["verdicts"] and not any(o.status is Status.ERROR for o in report.outcomes):
        report.nothing = f"no BTF in {', '.join([*args.words, *args.installed])}"
    console.part([], totals(report.data["verdicts"], console.style))
    return report


def _files(args: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """(path, stable name) of every file; those of a directory are named from there."""
    for word in args.words:
        if os.path.isdir(word):
            yield from ((path, os.path.relpath(path, word)) for path in source.files_below(word))
        else:
            yield word, os.path.basename(word)
    for name in args.installed:
        image, folder = source.installed(name, args.root)
        yield image, os.path.basename(image)
        yield from ((path, os.path.relpath(path, folder)) for path in source.files_below(folder)
                    if source.is_module_name(path))


class Judges:
    """Judges files one by one; every base is read and checked once."""

    def __init__(self, args: argparse.Namespace, paths: Sequence[str]) -> None:
        self.args = args
        self.byteorder = "big" if args.big_endian else "little"
        self.bases: dict[str, tuple[Base, Release | None]] = {}
        # A vmlinux among the files is the base of modules: the one that was named, before any that is searched.
        kernels = [p for p in paths if os.path.basename(p).startswith(("vmlinux", "vmlinuz"))]
        named = [p for p in kernels if p in args.words]
        self.named = named if len(named) == 1 else []
        self.kernels = kernels

    def file(self, path: str, subject: str) -> tuple[list[Outcome], list[dict[str, Any]]]:
        """What is to say of one file: outcomes, and an element of `verdicts` for each kernel."""
        try:
            read = source.read(path, self.byteorder)
            kind = self.args.path or read.kind
            base, release = self.base(read, kind)
        except NoBtfError as error:
            return [_plain("BTF401", Status.SKIP, subject, str(error), path)], []
        except InputError as error:
            return [_plain("BTF401", Status.ERROR, subject, str(error), path)], []
        found = Judged(read._replace(kind=kind), subject, base, first_only=self.args.first)
        for kernel in self._releases(read, release):
            found.judge(kernel)
        if self.args.oracle:
            found.ask()
        return found.outcomes, found.data

    def base(self, read: Source, kind: str) -> tuple[Base | None, Release | None]:
        """(base, its release) of split BTF; nothing where there is none or none is needed."""
        if self.args.base:
            return self._load(self.args.base) if kind != VMLINUX else (None, None)
        if kind != MODULE:
            return None, None
        places = [*self.named, *source.base_places(read), *self.kernels]
        own = os.path.realpath(read.path)
        place = next((p for p in places if os.path.isfile(p) and os.path.realpath(p) != own), "")
        return self._load(place) if place else (None, None)

    def _load(self, path: str) -> tuple[Base, Release | None]:
        if path not in self.bases:
            try:
                found = source.read(path, self.byteorder)
            except NoBtfError as error:
                raise InputError(f"as base: {error}") from None
            self.bases[path] = Base(found.data, found.machine), found.release
        return self.bases[path]

    def _releases(self, read: Source, of_base: Release | None) -> Iterator[Kernel]:
        if not self.args.kernel:
            # The base's banner tells the stable release, a module's vermagic often only the line.
            own = of_base or read.release
            yield Kernel(own) if own else Kernel(source.running(), True)
        for word in self.args.kernel:
            yield Kernel(source.running(), True) if word == "running" else Kernel(stated(word))


def _plain(rule: str, status: Status, subject: str, message: str, path: str) -> Outcome:
    return Outcome(rule, status, Severity.ERROR, subject, message, locations=(Location(path),))


# -- lines ---------------------------------------------------------------------------


def verdict_lines(data: dict[str, Any], style: Style, few: bool) -> Iterator[str]:
    """A line for each verdict; of many files, accepted ones only with -v."""
    if style.quiet or (data["accepted"] and not few and not style.verbose):
        return
    word = {True: "accepted", False: "refused", None: "not judged"}[data["accepted"]]
    kind = {True: "ok", False: "error", None: "warning"}[data["accepted"]]
    types = f", {data['types']} types" if data["types"] else ""
    path = printable(data["path"])
    yield f"{style.paint('bold', path)}: {style.paint(kind, word)} by Linux {data['kernel']} as {data['as']}{types}"
    if data["accepted"] is not False:
        yield from (f"  {printable(note)}" for note in data["notes"])
    if "oracle" in data:
        answer = data["oracle"]
        said = words(answer["accepted"], answer["errno"], answer["message"])
        same = "the same as expected" if answer["agrees"] else "not what was expected"
        yield f"  the running kernel through bpf(): {printable(said)}, {same}"


def totals(verdicts: Sequence[dict[str, Any]], style: Style) -> Iterator[str]:
    """One line for many verdicts."""
    if len(verdicts) <= _FEW or style.quiet:
        return
    accepted = sum(1 for v in verdicts if v["accepted"])
    refused = sum(1 for v in verdicts if v["accepted"] is False)
    yield f"{len(verdicts)} verdicts: {accepted} accepted, {refused} refused, {len(verdicts) - accepted - refused} open"


def body(report: Report, style: Style) -> Iterator[str]:
    if "diff" in report.data:
        yield from diff_lines(report.data["diff"], style)
        return
    verdicts = report.data["verdicts"]
    few = len(verdicts) <= _FEW
    for data in verdicts:
        yield from verdict_lines(data, style, few)
    yield from totals(verdicts, style)


# -- differences ------------------------------------------------------------------------------------------


def _diff(args: argparse.Namespace) -> Report:
    from btfcheck.btf.diff import compare

    load = partial(_types, args)
    old, new = (load(path) for path in args.diff)
    data = {"old": args.diff[0], "new": args.diff[1], **compare(old, new)}
    return Report("validate", data={"verdicts": [], "diff": data})


def _types(args: argparse.Namespace, path: str) -> Btf:
    """The types of a file, whatever a kernel would say of them."""
    judges = Judges(args, [])
    read = source.read(path, judges.byteorder)
    base, _ = judges.base(read, read.kind)
    rules = releases.rules_for(releases.NEWEST)
    if read.kind == MODULE and base is None and not read.distilled:
        raise InputError(f"{path}: split BTF needs its vmlinux (--base)")
    checked = judging.judge(read.data, rules, read.kind, base, read.machine, distilled=read.distilled)
    if checked.btf is None or not checked.complete:
        raise InputError(f"{path}: its types cannot be read: {shown(checked.verdict.message)}")
    return checked.btf


def diff_lines(data: dict[str, Any], style: Style) -> Iterator[str]:
    for title, kind, sign in (("removed", "error", "-"), ("added", "ok", "+")):
        for entry in data[title]:
            yield style.paint(kind, f"{sign} {entry['kind']} {printable(entry['name'])}")
            if style.verbose:
                yield from (f"      {printable(line)}" for line in entry["definition"])
    for entry in data["changed"]:
        yield style.paint("bold", f"~ {entry['kind']} {printable(entry['name'])}")
        for line in entry["lines"]:
            text = f"    {printable(line)}"
            yield style.paint({"-": "error", "+": "ok"}.get(line[:1], "dim"), text)
    if not style.quiet:
        counts = ", ".join(f"{len(data[key])} {key}" for key in ("added", "removed", "changed"))
        yield f"btfcheck validate --diff: {counts}"
