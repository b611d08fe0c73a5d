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
import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from btfcheck.btf import judge as judging
from btfcheck.btf import releases, source
from btfcheck.btf.beyond import Remark, remarks
from btfcheck.btf.fault import ERRNO_NAMES, Fault, Verdict
from btfcheck.btf.format import Btf
from btfcheck.btf.releases import Rules
from btfcheck.btf.source import NoBtfError, Source
from btfcheck.btf.split import Base, is_standalone, misfit
from btfcheck.btf.verify import MODULE, MOST_FAULTS, PATHS, UNDECIDED, USER, VMLINUX, Checked
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

REMARKS = ("BTF404", "BTF405", "BTF406", "BTF407", "BTF408")
_FEW = 20  # files, up to which each accepted one gets its line
_PLACE = re.compile(r"\d+")  # what tells faults of one sort apart in their reason
_SHOWN = 3  # examples of one cause


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


class Kernel(NamedTuple):
    """A release to judge for, as it was asked for and as it is known."""

    release: Release
    running: bool = False

    @property
    def rules(self) -> Rules:
        return releases.rules_for(self.release)


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
        found = Judged(read._replace(kind=kind), subject, base, self.args)
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


class Judged:
    """The verdicts on one file, and the outcomes and data that come of them."""

    def __init__(self, read: Source, subject: str, base: Base | None, args: argparse.Namespace) -> None:
        self.read = read
        self.subject = subject
        self.base = base
        self.first_only = args.first
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
        said, expected = _words(*answer), _words(own.accepted, own.errno, own.message)
        for data_of in self.data:
            data_of["oracle"] = {**answer._asdict(), "agrees": agrees}
        if agrees:
            message = f"the running kernel says the same through bpf(): {said}"
            self._outcome("BTF409", Status.OK, Severity.ERROR, message)
            return
        message = f"the running kernel says {said} through bpf(), expected was {expected}"
        self._outcome("BTF409", Status.FINDING, Severity.ERROR, message, key=own.message)


def _plain(rule: str, status: Status, subject: str, message: str, path: str) -> Outcome:
    return Outcome(rule, status, Severity.ERROR, subject, message, locations=(Location(path),))


def _words(accepted: bool, errno: int, message: str) -> str:
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


# -- plain data and its lines ---------------------------------------------------------------------------


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
        said = _words(answer["accepted"], answer["errno"], answer["message"])
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
