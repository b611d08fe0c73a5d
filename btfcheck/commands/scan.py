# SPDX-License-Identifier: MIT
"""Look for Rust in the debug information of C units, after the build.

Takes vmlinux, vmlinux.o, modules (also .gz, .xz, .zst), objects, separate debug files, and
directories of these. Tells which kind of leak there is (M0 to M2, L1 to L7; `btfcheck explain
BTF306` and so on), where, and what it does to BTF with the pahole at hand.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from btfcheck.commands import split_variables
from btfcheck.commands.arguments import count, versions
from btfcheck.dwarf.judge import KINDS
from btfcheck.dwarf.leaks import ScanResult, scan
from btfcheck.formats.style import printable
from btfcheck.gate.scanned import Against, file_data
from btfcheck.image import DEBUG_ROOTS
from btfcheck.model import Outcome, Report, Status, UsageError

if TYPE_CHECKING:
    from btfcheck.commands.console import Console
    from btfcheck.formats.style import Style

WORDS = "FILE|DIR... [VAR=VALUE]..."
EXAMPLES = """\
  btfcheck scan vmlinux
  btfcheck scan vmlinux drivers/ --pahole-version 1.25,1.28,1.32
  btfcheck scan /usr/lib/debug/lib/modules/6.12.117+deb12-amd64
  btfcheck scan vmlinux.o PAHOLE=~/bin/pahole --kernel 6.12
  btfcheck scan module.ko.zst --output json | jq .files
"""

# Below this the start of a pool costs more than it saves.
_POOL_FROM = 64 << 20
_PACKED = re.compile(r"(\.ko|\.debug|^vmlinux.*|\.o)\.(gz|xz|zst|bz2|lzma|lz4|lzo)$")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", metavar="FILE | DIR | VAR=VALUE", nargs="+")
    parser.add_argument("--pahole-version", metavar="V[,V]...", type=versions, default=[],
                        help="judge for these versions of pahole (default: ask the one that make would run)")
    parser.add_argument("--kernel", metavar="RELEASE", help="the release that the files belong to")
    parser.add_argument("--config", metavar="FILE", help="take the recorded pahole version from this .config")
    parser.add_argument("--examples", metavar="N", type=count, default=5,
                        help="places to show for each kind and file (default: 5)")
    parser.add_argument("--walk-all", action="store_true",
                        help="walk every unit, also those that can hold nothing")
    parser.add_argument("--debug-root", metavar="DIR", action="append", default=[],
                        help="look for separate debug files below DIR too (repeatable)")


def run(args: argparse.Namespace, console: Console) -> Report:
    inputs, variables = split_variables(args.words)
    if not inputs:
        raise UsageError("scan: name a file or a directory")
    subjects = list(_files(inputs))
    paths = [path for path, _ in subjects]
    roots = (*args.debug_root, *DEBUG_ROOTS)
    work = partial(scan, walk_all=args.walk_all, examples=args.examples, roots=roots)
    against = Against(paths, variables, versions=args.pahole_version, kernel=args.kernel, config=args.config,
                      probe=not args.no_probe)
    report = Report("scan", data={"files": []})
    with console.progress("scanning", _size(paths)) as advance:
        for (path, subject), result in zip(subjects, _scanned(work, paths, args.jobs), strict=True):
            outcomes = against.outcomes(result, subject)
            if args.verbose:
                outcomes = [_detailed(outcome, result) for outcome in outcomes]
            data = file_data(result, against.cases if result.rust else ())
            report.outcomes += outcomes
            report.data["files"].append(data)
            console.part(outcomes, file_lines(data, console.style))
            advance(result.size, os.path.basename(path))
    if not report.data["files"]:
        report.nothing = f"no ELF file in {', '.join(inputs)}"
    elif not any(f["units"] or f["status"] == "error" for f in report.data["files"]):
        report.nothing = "no debug information (CONFIG_DEBUG_INFO) in what was scanned"
    return report


def _detailed(outcome: Outcome, result: ScanResult) -> Outcome:
    """With -v, all attributes of the entries that are shown."""
    kind = next((name for name, about in KINDS.items() if about.rule == outcome.rule), "")
    examples = [e for e in result.examples.get(kind, ()) if outcome.status is Status.FINDING]
    if not examples:
        return outcome
    from btfcheck.dwarf.details import entries

    first = examples[0]
    offsets = [e.offset for e in examples if (e.file, e.section) == (first.file, first.section)]
    told = [
        "\n".join([f"{first.section}+0x{offset:x}", *lines])
        for offset, lines in entries(first.file, first.section, offsets)
    ]
    return outcome._replace(notes=(*outcome.notes, *told))


def _files(inputs: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(path, stable name) of every file to scan; those of a directory are named from there."""
    for word in inputs:
        if not os.path.isdir(word):
            yield word, os.path.basename(word)
            continue
        for folder, folders, names in os.walk(word):
            folders.sort()
            for name in sorted(names):
                path = os.path.join(folder, name)
                if not os.path.islink(path) and (_PACKED.search(name) or _is_elf(path)):
                    yield path, os.path.relpath(path, word)


def _is_elf(path: str) -> bool:
    if not os.path.isfile(path):  # never open a fifo
        return False
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read(4) == b"\x7fELF"
    except OSError:
        return False


def _size(paths: Sequence[str]) -> int:
    return sum(os.path.getsize(path) for path in paths if os.path.isfile(path))


def _scanned(work: partial[ScanResult], paths: Sequence[str], jobs: int) -> Iterator[ScanResult]:
    """The results in the order of the paths, from several processes where that pays."""
    jobs = min(jobs, len(paths))
    if jobs < 2 or _size(paths) < _POOL_FROM:
        yield from map(work, paths)
        return
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(jobs) as pool:
        try:
            yield from pool.map(work, paths, chunksize=max(1, min(16, len(paths) // (4 * jobs))))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def file_lines(data: dict[str, Any], style: Style) -> Iterator[str]:
    """What is told of a file that has Rust units, or of every file with -v."""
    if style.quiet or not data["units"] or not (style.verbose or data["kinds"] or data["units"].get("Rust")):
        return
    units = ", ".join(f"{n} {language}" for language, n in data["units"].items())
    yield style.paint("bold", printable(data["path"])) + f": units: {units}"
    if "debug_file" in data:
        yield f"  debug information from {printable(data['debug_file'])}"
    if data["kinds"]:
        yield f"  found: {', '.join(f'{kind} {n}' for kind, n in data['kinds'].items())}"
    note = {None: "no LTO note", 0: "LTO note 0"}.get(data["lto_note"], f"LTO note {data['lto_note']}")
    old, new = ("merges" if data[key] else "does not merge" for key in ("merged", "merged_from_1_32"))
    verdict = f"pahole {old} the units" if old == new else f"pahole {old} the units up to 1.31, {new} them from 1.32"
    first = data["first_unit"]
    language = "of no language" if first["language"] == "none" else first["language"]
    yield f"  {verdict} ({note}); the first unit is {language}: {printable(first['name']) or 'no name'}"
    if style.verbose:
        yield (f"  walked {data['walked_units']} units ({data['walked_dies']} entries); "
               f"left out {data['skipped_units']}, whose abbreviations rule out any finding")


def body(report: Report, style: Style) -> Iterator[str]:
    for data in report.data["files"]:
        yield from file_lines(data, style)
