# SPDX-License-Identifier: MIT
"""Judge a built kernel: one verdict on its configuration, its debug information and its BTF.

Takes a build directory, an unpacked debug package, or a vmlinux and the directory of its modules. Runs check
(configuration and tools, where a configuration is found), scan (Rust in C units), validate (does the kernel take
the BTF, of modules on that vmlinux), compares each file's BTF with its debug information, and encodes where
asked, or where a file has debug information and no BTF.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from btfcheck.btf import source
from btfcheck.btf.releases import rules_for
from btfcheck.btf.split import Base
from btfcheck.btf.verify import MODULE, VMLINUX, Checked, check
from btfcheck.commands import encode as encoding
from btfcheck.commands import scan as scanning
from btfcheck.commands import split_variables
from btfcheck.commands.validate import Judged, Kernel
from btfcheck.dwarf.leaks import scan
from btfcheck.formats.style import printable
from btfcheck.gate import judge
from btfcheck.gate.cache import Cache, Found
from btfcheck.gate.judge import About
from btfcheck.gate.pool import each, executor
from btfcheck.gate.subject import Subject
from btfcheck.image import DEBUG_ROOTS
from btfcheck.model import InputError, Location, Outcome, Report, Severity, Status, UsageError
from btfcheck.release import Release, stated
from btfcheck.release import parse as parse_release
from btfcheck.trace.compare import compare, names

if TYPE_CHECKING:
    from btfcheck.commands.console import Console
    from btfcheck.formats.style import Style

WORDS = "[BUILD_DIR | VMLINUX [MODULES_DIR]] [VAR=VALUE]..."
EXAMPLES = """\
  btfcheck gate                                   # the kernel built in this directory
  btfcheck gate ~/linux --output sarif:btf.sarif --output text
  btfcheck gate vmlinux lib/modules/6.12.117 --config .config --cache ~/.cache/btfcheck
  btfcheck gate /usr/lib/debug/boot/vmlinux-6.12.117 /usr/lib/debug/lib/modules/6.12.117
  btfcheck gate --installed 6.12.117+deb12-amd64
"""

_OPTIONS = ("kernel", "config", "no_probe", "encode", "timeout", "memory", "keep", "jobs", "debug_root", "tree")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", metavar="BUILD_DIR | VMLINUX [MODULES_DIR]", nargs="*")
    parser.add_argument("--config", metavar="FILE", help="the kernel's configuration (default: searched beside it)")
    parser.add_argument("--kernel", metavar="RELEASE", help="judge for this release (default: vmlinux says it)")
    parser.add_argument("--installed", metavar="RELEASE", help="an installed kernel and its modules")
    parser.add_argument("--root", metavar="DIR", default="/", help="where --installed looks (default: /)")
    parser.add_argument("--encode", action="store_true", help="also run pahole on every file, as the build would")
    parser.add_argument("--pahole", metavar="CMD", action="append", default=[],
                        help="the pahole to encode with (repeatable; default: PAHOLE, as make would)")
    parser.add_argument("--tree", metavar="DIR",
                        help="take pahole's flags from this kernel tree's own scripts, which are executed")
    parser.add_argument("--cache", metavar="DIR", help="keep results in DIR, and take those of unchanged files")
    parser.add_argument("--rehash", action="store_true", help="--cache goes by contents, not by inode and times")
    parser.add_argument("--executor", metavar="ENTRY",
                        help="do the work elsewhere: MODULE:NAME of a concurrent.futures executor, or dask:ADDRESS")
    parser.add_argument("--debug-root", metavar="DIR", action="append", default=[],
                        help="look for separate debug files below DIR too (repeatable)")
    parser.add_argument("--show-policy", action="store_true",
                        help="print what decides over the exit code and where that comes from, and judge nothing")
    encoding.add_limits(parser)


class Task(NamedTuple):
    """One file, and all that its result depends on; it travels to worker processes.

    `base` is the vmlinux of a module, `refused` that the kernel refuses that one's BTF, `uname` what it calls
    itself, `btf` whether it has BTF; `wants_btf` tells that the configuration asks for BTF.
    """

    path: str
    name: str
    base: str
    release: str
    uname: str
    btf: bool
    refused: bool
    wants_btf: bool
    paholes: tuple[tuple[str, ...], ...]
    variables: tuple[tuple[str, str], ...]
    options: tuple[tuple[str, Any], ...]

    @property
    def args(self) -> argparse.Namespace:
        return argparse.Namespace(**dict(self.options))


# -- one file, in a worker ------------------------------------------------------------------------------------


def examine(task: Task) -> Found:
    """Everything that is to say of one file. Never raises for what the file holds."""
    try:
        return _Examination(task).run()
    except InputError as error:
        return Found((Outcome("BTF401", Status.ERROR, Severity.ERROR, task.name, str(error)),))


@lru_cache(2)
def _base(path: str, stamp: tuple[int, ...]) -> Base:  # noqa: ARG001 (a changed vmlinux is another one)
    read = source.read(path)
    return Base(read.data, read.machine)


@lru_cache(2)
def _names(path: str, stamp: tuple[int, ...], release: Release) -> frozenset[tuple[str, str]]:
    btf = _base(path, stamp).checked(rules_for(release)).btf
    return names(btf) if btf else frozenset()


def _stamp(path: str) -> tuple[int, ...]:
    found = os.stat(path)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


@lru_cache(1)
def _fixes() -> dict[str, str]:
    from btfcheck.lint.rules import load

    return {rule.id: rule.fix for rule in load(stages=("encode", "dwarf", "btf")).rules.values()}


@lru_cache(4)
def _against(
    config: str | None, no_probe: bool, kernel: str, variables: tuple[tuple[str, str], ...], vmlinux: str
) -> scanning.Against:
    """The pahole and the release that scans are judged for: those of the configuration, if there is one."""
    args = argparse.Namespace(pahole_version=[], config=config, no_probe=no_probe, kernel=kernel)
    return scanning.Against(args, dict(variables), [vmlinux])


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

    def run(self) -> Found:
        task = self.task
        self.scan()
        subject: Subject | None = None
        try:
            subject = Subject(task.path, task.name, roots=(*self.args.debug_root, *DEBUG_ROOTS))
        except InputError:
            subject = None  # a boot image: its BTF can be judged, not more
        if subject is not None:
            self.belongs(subject)
        checked = self.validate()
        if subject is not None and checked is not None:
            self.compare(subject, checked)
        if subject is not None and (self.args.encode or (checked is None and task.wants_btf)):
            self.encode(subject, asked=self.args.encode)
        if subject is not None:
            subject.close()
        return Found(tuple(self.outcomes), tuple(self.files), tuple(self.verdicts), tuple(self.encodings),
                     self.compared)

    def about(self, label: str) -> About:
        return About(self.task.path, self.task.name, self.release, label, _fixes())

    def scan(self) -> None:
        task = self.task
        result = scan(task.path, roots=(*self.args.debug_root, *DEBUG_ROOTS))
        if result.status == "error" and not task.base and not source.is_module_name(task.path):
            return  # a boot image has no debug information
        against = _against(self.args.config, self.args.no_probe, task.release, task.variables,
                           task.base or task.path)
        self.outcomes += against.outcomes(result, task.name)
        self.files.append(scanning.file_data(result, against.cases if result.rust else ()))

    def belongs(self, subject: Subject) -> None:
        """BTF531: is a module of the same build as vmlinux?"""
        task = self.task
        if not task.base:
            return
        about = self.about("the module")
        if subject.vermagic and task.uname and subject.vermagic != task.uname:
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
        base = _base(task.base, _stamp(task.base)) if task.base else None
        judged = Judged(read, task.name, base, argparse.Namespace(first=False))
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

    def compare(self, subject: Subject, checked: Checked) -> None:
        about = self.about("the BTF in the file")
        census = subject.census
        if checked.btf is None or not checked.complete or census is None or not (census.c or census.problems):
            why = "no debug information to compare with" if checked.complete else "its BTF cannot be read as a whole"
            self.outcomes.append(about.outcome("BTF514", Status.SKIP, Severity.NOTE, why))
            return
        task = self.task
        below = _names(task.base, _stamp(task.base), self.release) if task.base else frozenset()
        found = compare(checked.btf, census, below=below, symbols=subject.functions)
        self.compared = True
        self.outcomes += judge.of_comparison(about, found)
        self.encodings.append(judge.data(task.path, about, None, checked.verdict, found))

    def encode(self, subject: Subject, asked: bool) -> None:
        """With every pahole; unasked only where pahole may be run and there is something to encode."""
        task = self.task
        if subject.debug is None or (self.args.no_probe and not asked):
            return
        if task.base and not task.btf:
            return  # no base to encode on
        args = argparse.Namespace(**{**vars(self.args), "kernel": task.release, "base": task.base or None})
        work = encoding.Work(args, dict(task.variables), subject)
        report = Report("gate", data={"encodings": []})
        for command in task.paholes:
            work.encode(command, report)
        self.outcomes += report.outcomes
        self.encodings += report.data["encodings"]


# -- the whole build --------------------------------------------------------------------------------------------


def run(args: argparse.Namespace, console: Console) -> Report:
    if args.show_policy:
        rows = [{"setting": name, "value": value, "source": place} for name, value, place in args.settings]
        return Report("gate", data={"policy": rows})
    inputs, variables = split_variables(args.words)
    if args.no_probe and args.encode:
        raise UsageError("gate: --encode runs pahole, --no-probe forbids it")
    vmlinux, modules, root = locate(inputs, args)
    release, uname = identity(vmlinux, args.kernel)
    report = Report("gate", data={"files": [], "verdicts": [], "encodings": [], "build": {"vmlinux": vmlinux}})
    config = args.config or find_config(vmlinux, root)
    wants = _check(config, args, variables, report, console)
    if config:
        report.outcomes += stale(vmlinux, config)
    first = _task(vmlinux, release, uname, args, variables, config, wants)
    tasks = [first, *(first._replace(path=path, name=os.path.relpath(path, root), base=vmlinux) for path in modules)]
    report.data["build"] |= {
        "modules": len(modules), "release": str(release), "config": config or "", "uname": uname,
    }  # fmt: skip
    cache = Cache(args.cache, args.rehash) if args.cache else None
    with console.progress("gating", sum(_weight(t) for t in tasks)) as advance:
        for task, found in _examined(tasks, cache, args):
            report.outcomes += found.outcomes
            report.data["files"] += found.files
            report.data["verdicts"] += found.verdicts
            report.data["encodings"] += found.encodings
            report.data["build"]["compared"] = report.data["build"].get("compared", 0) + found.compared
            console.part(found.outcomes)
            advance(_weight(task), task.name)
    if cache and cache.problem:
        console.info(f"btfcheck: results are not kept: {cache.problem}")
    if cache:
        report.data["build"]["cached"] = cache.hits
    console.part([], body(report, console.style))
    if not report.data["verdicts"] and not report.data["encodings"] and not any(
        o.status in (Status.FINDING, Status.ERROR) for o in report.outcomes
    ):
        report.nothing = f"{vmlinux} has no BTF, and nothing asks for it"
    return report


def _weight(task: Task) -> int:
    """What the bar counts: bytes, which is what the work depends on."""
    try:
        return os.path.getsize(task.path)
    except OSError:
        return 0


def _examined(tasks: list[Task], cache: Cache | None, args: argparse.Namespace) -> Iterator[tuple[Task, Found]]:
    """The results in the order of the tasks; those that the cache has are not computed."""
    keys = {task: cache.key(_inputs(task), task) for task in tasks} if cache else {}
    known = {task: found for task, key in keys.items() if cache and (found := cache.get(key))}
    todo = [task for task in tasks if task not in known]
    with executor(args.executor, min(args.jobs, len(todo))) as pool:
        fresh = each(pool, examine, todo)
        for task in tasks:
            if task in known:
                yield task, known[task]
                continue
            _, found = next(fresh)
            if cache and not any(o.status is Status.ERROR for o in found.outcomes):
                cache.put(keys[task], found)
            yield task, found


def _inputs(task: Task) -> list[str]:
    """The files that a result depends on."""
    return [path for path in (task.path, task.base, task.args.config or "") if path]


def _task(
    vmlinux: str, release: Release, uname: str, args: argparse.Namespace, variables: dict[str, str],
    config: str | None, wants: bool,
) -> Task:
    """The task for vmlinux itself; those of the modules differ in path, name and base."""
    from btfcheck.toolchain.tools import DEFAULT, resolve, show, split

    tools = resolve(variables)
    if tools.origins["RESOLVE_BTFIDS"] != DEFAULT:  # the environment does not travel to a farm
        variables = {**variables, "RESOLVE_BTFIDS": show(tools.commands["RESOLVE_BTFIDS"])}
    btf, refused = _own_btf(vmlinux, release)
    options = {name: getattr(args, name) for name in _OPTIONS}
    options |= {"config": config, "jobs": 1, "external": False, "debug_root": tuple(args.debug_root)}
    return Task(
        vmlinux, os.path.basename(vmlinux), "", str(release), uname, btf, refused, wants,
        tuple(split(c) for c in args.pahole) or (tools.commands["PAHOLE"],),
        tuple(sorted(variables.items())), tuple(sorted(options.items())),
    )  # fmt: skip


def _own_btf(vmlinux: str, release: Release) -> tuple[bool, bool]:
    """(has vmlinux BTF, does the kernel refuse it)"""
    try:
        read = source.read(vmlinux)
    except InputError:
        return False, False
    verdict = check(read.data, rules_for(release), VMLINUX, machine=read.machine, first_only=True).verdict
    return True, not verdict.accepted


def identity(vmlinux: str, kernel: str | None) -> tuple[Release, str]:
    """(the release to judge for, what vmlinux calls itself). Raises InputError when nothing tells."""
    release: Release | None = None
    uname = ""
    try:
        subject = Subject(vmlinux)
        release, uname = subject.release, subject.uname
        subject.close()
    except InputError:
        release = source.read(vmlinux).release
    if kernel:
        release = stated(kernel)
    if release is None:
        raise InputError(f"{vmlinux}: which kernel release it is is not known: give --kernel")
    return release, uname


def locate(inputs: Sequence[str], args: argparse.Namespace) -> tuple[str, list[str], str]:
    """(vmlinux, its modules, the directory that they are named from). Raises UsageError and InputError."""
    if args.installed:
        if inputs:
            raise UsageError("gate: --installed or a build, not both")
        vmlinux, folder = source.installed(args.installed, args.root)
        return vmlinux, _modules(folder), folder
    if len(inputs) > 2:
        raise UsageError(f"gate: a build directory, or vmlinux and the directory of its modules: {' '.join(inputs)}")
    first = inputs[0] if inputs else "."
    if not os.path.isdir(first):
        folder = inputs[1] if len(inputs) == 2 else ""
        if folder and not os.path.isdir(folder):
            raise InputError(f"{folder}: no directory of modules")
        return first, _modules(folder) if folder else [], folder
    if len(inputs) == 2:
        raise UsageError(f"gate: {first} is a directory; with a directory of modules, vmlinux is to be named")
    return _vmlinux_below(first), _modules(first), first


def _modules(folder: str) -> list[str]:
    return [path for path in source.files_below(folder) if source.is_module_name(path)]


def _vmlinux_below(folder: str) -> str:
    """The vmlinux of a build directory, or the only one of an unpacked package."""
    own = os.path.join(folder, "vmlinux")
    if os.path.isfile(own):
        return own
    found = [p for p in source.files_below(folder) if os.path.basename(p).startswith("vmlinux") and _is_elf(p)]
    if len(found) != 1:
        told = "several: " + ", ".join(found[:4]) if found else "none"
        raise InputError(f"{folder}: one vmlinux is wanted, there is {told}" if not found
                         else f"{folder}: one vmlinux is wanted, there are {told}; name it")
    return found[0]


def _is_elf(path: str) -> bool:
    try:
        with open(path, "rb") as stream:
            return stream.read(4) == b"\x7fELF"
    except OSError:
        return False


def find_config(vmlinux: str, root: str) -> str | None:
    """The configuration beside a build, or of the installed release."""
    folder, name = os.path.split(vmlinux)
    release = name.partition("-")[2]
    places = [os.path.join(folder, ".config"), os.path.join(root or folder, ".config")]
    if release:
        places += [os.path.join(folder, f"config-{release}"), f"/boot/config-{release}"]
    return next((p for p in places if os.path.isfile(p)), None)


def _check(
    config: str | None, args: argparse.Namespace, variables: dict[str, str], report: Report, console: Console
) -> bool:
    """The verb check, where there is a configuration; does that one ask for BTF?"""
    if config is None:
        console.detail("no configuration was found; --config names one")
        return False
    from btfcheck.commands.check import check_config
    from btfcheck.config import read

    found = check_config(config, kernel=args.kernel, variables=variables, probe=not args.no_probe)
    report.outcomes += found.outcomes
    fact = read(config).get("DEBUG_INFO_BTF")
    return fact is not None and fact.value == "y"


def stale(vmlinux: str, config: str) -> list[Outcome]:
    """BTF530, for a build directory: make reads .config again before it links."""
    folder = os.path.dirname(os.path.abspath(vmlinux))
    if os.path.abspath(config) != os.path.join(folder, ".config"):
        return []
    outcome = Outcome("BTF530", Status.OK, Severity.ERROR, os.path.basename(vmlinux))
    newer = [p for p in (config, os.path.join(folder, "include/config/auto.conf"))
             if os.path.isfile(p) and os.stat(p).st_mtime_ns > os.stat(vmlinux).st_mtime_ns]
    if not newer:
        return [outcome]
    return [outcome._replace(
        status=Status.FINDING, message=f"vmlinux is older than {', '.join(os.path.relpath(p, folder) for p in newer)}",
        locations=(Location(vmlinux), Location(newer[0])), fix=_fixes().get("BTF530", ""),
    )]  # fmt: skip


# -- text --------------------------------------------------------------------------------------------------------


def body(report: Report, style: Style) -> Iterator[str]:
    """The summary table, or the policy."""
    if "policy" in report.data:
        yield from (f"{row['setting']} = {printable(row['value'])}  ({printable(row['source'])})"
                    for row in report.data["policy"])
        return
    build = report.data["build"]
    yield style.paint("bold", f"Linux {build['release']}") + f": {build['vmlinux']}, {build['modules']} modules"
    yield from (f"  {name:10}{text}" for name, text in _rows(report, build))
    if build.get("cached"):
        yield f"  {build['cached']} results were taken from the cache"


def _rows(report: Report, build: dict[str, Any]) -> Iterator[tuple[str, str]]:
    data = report.data
    yield "config", build["config"] or "none found (--config)"
    units: dict[str, int] = {}
    for file in data["files"]:
        for language, n in file["units"].items():
            units[language] = units.get(language, 0) + n
    told = ", ".join(f"{n} {language}" for language, n in units.items()) or "no debug information"
    yield "scan", f"{len(data['files'])} files; units: {told}"
    accepted = sum(v["accepted"] is True for v in data["verdicts"])
    yield "validate", f"{accepted} of {len(data['verdicts'])} with BTF accepted"
    rows = [row for row in data["encodings"] if "result" not in row and "rust_types" in row]
    counts = (("from Rust", "rust_types"), ("clashes", "clashes"), ("types lost", "lost_types"),
              ("functions lost", "lost_functions"))  # fmt: skip
    lost = ", ".join(f"{n} {words}" for words, key in counts if (n := sum(row[key] for row in rows)))
    yield "compare", f"{len(rows)} files with their debug information" + (f": {lost}" if rows and lost else "")
    encoded = [row for row in data["encodings"] if "result" in row]
    if encoded:
        results: dict[str, int] = {}
        for row in encoded:
            results[row["result"]] = results.get(row["result"], 0) + 1
        yield "encode", ", ".join(f"{n} {result}" for result, n in results.items())
