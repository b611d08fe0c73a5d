# SPDX-License-Identifier: MIT
"""Judge a built kernel: one verdict on its configuration, its debug information and its BTF.

Takes a build directory, an unpacked debug package, a vmlinux and the directory of its modules, or an installed
kernel, whose boot image and stripped modules are paired with their debug files by build id. Runs check (configuration
and tools, where a configuration is found; the tools of this machine count for a build directory, or with VAR=VALUE),
scan (Rust in C units), validate (does the kernel take the BTF, of modules on that vmlinux), compares each file's BTF
with its debug information, and encodes where asked, or where a file has debug information and no BTF.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from btfcheck.btf import source
from btfcheck.btf.releases import rules_for
from btfcheck.btf.verify import VMLINUX, check
from btfcheck.commands import split_variables
from btfcheck.commands.arguments import add_limits
from btfcheck.formats.style import printable
from btfcheck.gate.cache import Cache, Found
from btfcheck.gate.examine import Task, examine, fixes
from btfcheck.gate.places import Kernel, Place, debug_vmlinux, find_config, kernel, locate
from btfcheck.gate.pool import each, executor
from btfcheck.gate.stale import is_build, staleness
from btfcheck.gate.subject import released
from btfcheck.model import InputError, Location, Outcome, Report, Severity, Status, UsageError
from btfcheck.release import Release, stated

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

_SHOWN = 10  # names that stand for many
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
    add_limits(parser)


# -- the whole build --------------------------------------------------------------------------------------------


def run(args: argparse.Namespace, console: Console) -> Report:
    if args.show_policy:
        rows = [{"setting": name, "value": value, "source": place} for name, value, place in args.settings]
        return Report("gate", data={"policy": rows})
    inputs, variables = split_variables(args.words)
    if args.no_probe and args.encode:
        raise UsageError("gate: --encode runs pahole, --no-probe forbids it")
    report = Report("gate", data={"files": [], "verdicts": [], "encodings": [], "build": {}})
    tasks, strangers = _tasks(inputs, args, variables, report, console)
    cache = Cache(args.cache, args.rehash) if args.cache else None
    bare: list[str] = []
    keys, known = _known(tasks, cache)
    todo = [task for task in tasks if task not in known]
    with console.progress("gating", sum(map(_weight, todo))) as advance:
        for task, found in _examined(tasks, known, args):
            if cache and task not in known and not any(o.status is Status.ERROR for o in found.outcomes):
                cache.put(keys[task], found)
            report.outcomes += found.outcomes
            for key in ("files", "verdicts", "encodings"):
                report.data[key] += getattr(found, key)
            report.data["build"]["compared"] += found.compared
            strangers += found.strangers
            bare += [task.name for o in found.outcomes if o.rule == "BTF514" and o.status is Status.SKIP]
            console.part(found.outcomes)
            advance(0 if task in known else _weight(task), task.name)
    if cache and cache.problem:
        console.info(f"btfcheck: results are not kept: {cache.problem}")
    if cache:
        report.data["build"]["cached"] = cache.hits
    unseen = _without_debug(bare, strangers, len(tasks), tasks[0].roots)
    report.outcomes += unseen
    console.part(unseen)
    console.part([], body(report, console.style))
    if not report.data["verdicts"] and not report.data["encodings"] and not any(
        o.status in (Status.FINDING, Status.ERROR) for o in report.outcomes
    ):
        report.nothing = f"{tasks[0].path} has no BTF, and nothing asks for it"
    return report


def _tasks(
    inputs: list[str], args: argparse.Namespace, variables: dict[str, str], report: Report, console: Console
) -> tuple[list[Task], list[str]]:
    """(what is to be done, debug files of other builds); the report gets what is known of the build before that."""
    place = locate(inputs, args.installed, args.root, args.debug_root)
    vmlinux = place.vmlinux
    about, release = identity(vmlinux, args.kernel, args.config)
    config = args.config or find_config(vmlinux, place.root, about.uname) or _inside(vmlinux)
    foreign = not (is_build(vmlinux) or variables)
    wants = _check(config, args, variables, foreign, report, console)
    report.outcomes += staleness(vmlinux, config, about, place.modules, fixes().get("BTF530", ""))
    console.part(report.outcomes)
    debug, strangers = debug_vmlinux(vmlinux, about, place.roots) if about.bare else ("", [])
    first = _task(place, about, release, debug, args, variables, config, wants, foreign)
    modules = [first._replace(path=path, name=os.path.relpath(path, place.root), base=vmlinux, boot=False)
               for path in place.modules]  # fmt: skip
    report.data["build"] = {
        "vmlinux": vmlinux, "modules": len(modules), "release": str(release), "config": config or "",
        "uname": about.uname, "debug": debug, "compared": 0,
    }  # fmt: skip
    return [first, *modules], strangers


def _weight(task: Task) -> int:
    """What the bar counts: bytes, which is what the work depends on."""
    try:
        return os.path.getsize(task.path)
    except OSError:
        return 0


def _known(tasks: list[Task], cache: Cache | None) -> tuple[dict[Task, str], dict[Task, Found]]:
    """(the name of each result in the cache, the results that it has)"""
    if cache is None:
        return {}, {}
    tools = _tools(tasks[0])
    keys = {task: cache.key([*_files(task), *tools], task) for task in tasks}
    return keys, {task: found for task, key in keys.items() if (found := cache.get(key))}


def _examined(
    tasks: list[Task], known: dict[Task, Found], args: argparse.Namespace
) -> Iterator[tuple[Task, Found]]:
    """The results in the order of the tasks; those that are known are not computed."""
    todo = [task for task in tasks if task not in known]
    with executor(args.executor, min(args.jobs, len(todo))) as pool:
        fresh = each(pool, examine, todo)
        for task in tasks:
            yield (task, known[task]) if task in known else next(fresh)


def _files(task: Task) -> list[str]:
    """The files of the kernel that a result depends on."""
    return [path for path in (task.path, task.base, task.debug, task.args.config) if path]


def _tools(task: Task) -> list[str]:
    """The programs and scripts that may have a part in every result."""
    from btfcheck.toolchain.tools import find, split

    programs = [] if task.args.no_probe else [command[0] for command in task.paholes if command]
    programs += split(dict(task.variables).get("RESOLVE_BTFIDS", ""))[:1]
    tree = task.args.tree
    scripts = [os.path.join(tree, "scripts", name) for name in ("pahole-flags.sh", "Makefile.btf")] if tree else []
    return scripts + [os.path.realpath(place) if (place := find(name)[0]) else name for name in programs]


def _task(
    place: Place, about: Kernel, release: Release, debug: str, args: argparse.Namespace, variables: dict[str, str],
    config: str | None, wants: bool, foreign: bool,
) -> Task:
    """The task for vmlinux itself; those of the modules differ in path, name and base."""
    from btfcheck.toolchain.tools import DEFAULT, resolve, show, split

    tools = resolve(variables)
    if tools.origins["RESOLVE_BTFIDS"] != DEFAULT:  # the environment does not travel to a farm
        variables = {**variables, "RESOLVE_BTFIDS": show(tools.commands["RESOLVE_BTFIDS"])}
    btf, refused = _own_btf(place.vmlinux, release)
    options = {name: getattr(args, name) for name in _OPTIONS}
    options |= {"config": config, "jobs": 1, "external": False, "debug_root": place.roots,
                "foreign": foreign and not (args.encode or args.pahole)}  # fmt: skip
    return Task(
        place.vmlinux, os.path.basename(place.vmlinux), "", str(release), about.uname, btf, refused, wants,
        about.boot or bool(debug), debug, place.roots,
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


def identity(vmlinux: str, wanted: str | None, config: str | None) -> tuple[Kernel, Release]:
    """(what vmlinux says of itself, the release to judge for). Raises InputError when nothing tells."""
    from btfcheck.config import read

    about = kernel(vmlinux)
    release = stated(wanted) if wanted else about.release
    if release is None and config:
        release = released(read(config).release)
    if release is None:
        raise InputError(f"{vmlinux}: which kernel release it is is not known: give --kernel")
    return about, release


def _inside(vmlinux: str) -> str | None:
    """vmlinux itself, where it has its configuration inside (CONFIG_IKCONFIG)."""
    from btfcheck.config import read

    try:
        read(vmlinux)
    except InputError:
        return None
    return vmlinux


def _without_debug(bare: list[str], strangers: list[str], files: int, roots: tuple[str, ...]) -> list[Outcome]:
    """BTF534 and BTF535: what was not compared, told once for all files."""
    name, note, warning = "debug information", Severity.NOTE, Severity.WARNING
    gone, other = Outcome("BTF534", Status.OK, note, name), Outcome("BTF535", Status.OK, warning, name)
    if bare:
        gone = gone._replace(
            status=Status.UNKNOWN, notes=_few(bare),
            message=f"{len(bare)} of {files} files have no debug information: whether Rust's types are in their BTF, "
                    "and all of C's, was not looked at",
            missing=(f"the debug package of this very build, below {', '.join(roots)} or --debug-root DIR",),
        )  # fmt: skip
    if strangers:
        other = other._replace(
            status=Status.FINDING, notes=_few(strangers), locations=(Location(strangers[0]),),
            message=f"{len(strangers)} debug files are of another build: their build ids are not those of the files",
            fix=fixes().get("BTF535", ""),
        )  # fmt: skip
    return [gone, other]


def _few(names: list[str]) -> tuple[str, ...]:
    more = (f"and {len(names) - _SHOWN} more",) if len(names) > _SHOWN else ()
    return (", ".join(names[:_SHOWN]), *more)


def _check(
    config: str | None, args: argparse.Namespace, variables: dict[str, str], foreign: bool, report: Report,
    console: Console,
) -> bool:
    """The verb check, where there is a configuration; does that one ask for BTF?

    What was built elsewhere (`foreign`) owes nothing to the compilers of this machine: only what it recorded counts.
    """
    if config is None:
        console.detail("no configuration was found; --config names one")
        return False
    from btfcheck.commands.check import check_config
    from btfcheck.config import read

    probe = not (args.no_probe or foreign)
    found = check_config(config, kernel=args.kernel, variables=variables, probe=probe)
    report.outcomes += found.outcomes
    fact = read(config).get("DEBUG_INFO_BTF")
    return fact is not None and fact.value == "y"


# -- text --------------------------------------------------------------------------------------------------------


def body(report: Report, style: Style) -> Iterator[str]:
    """The summary table, or the policy."""
    if "policy" in report.data:
        yield from (f"{row['setting']} = {printable(row['value'])}  ({printable(row['source'])})"
                    for row in report.data["policy"])
        return
    build = report.data["build"]
    modules = _number(build["modules"], "module")
    yield style.paint("bold", f"Linux {build['release']}") + f": {build['vmlinux']}, {modules}"
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
    yield "scan", f"{_number(len(data['files']), 'file')}; units: {told}"
    verdicts = [v["accepted"] is True for v in data["verdicts"]]
    yield "validate", f"{sum(verdicts)} of {len(verdicts)} with BTF accepted" if verdicts else "no file has BTF"
    rows = [row for row in data["encodings"] if "result" not in row and "rust_types" in row]
    counts = (("from Rust", "rust_types"), ("clashes", "clashes"), ("types lost", "lost_types"),
              ("became void", "void"), ("functions lost", "lost_functions"))  # fmt: skip
    lost = ", ".join(f"{n} {words}" for words, key in counts if (n := sum(row[key] for row in rows)))
    compared = f"{_number(len(rows), 'file')} with their debug information" + (f": {lost}" if lost else "")
    yield "compare", compared if rows else "no file has both BTF and debug information"
    encoded = [row for row in data["encodings"] if "result" in row]
    if encoded:
        results: dict[str, int] = {}
        for row in encoded:
            results[row["result"]] = results.get(row["result"], 0) + 1
        yield "encode", ", ".join(f"{n} {result}" for result, n in results.items())


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
