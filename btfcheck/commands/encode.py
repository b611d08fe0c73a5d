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
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from btfcheck.commands import split_variables
from btfcheck.commands.arguments import add_limits
from btfcheck.formats.style import printable
from btfcheck.gate.subject import Subject
from btfcheck.gate.work import Work
from btfcheck.image import DEBUG_ROOTS
from btfcheck.model import InputError, Report, UsageError
from btfcheck.release import Release, parse
from btfcheck.toolchain.tools import resolve, show, split

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
    if args.tree:
        _warn_of_release(args.tree, work.release, console)
    for command in [split(c) for c in args.pahole] or [resolve(variables).commands["PAHOLE"]]:
        console.info(f"btfcheck: {show(command)} encodes {subject.path}")
        before = len(report.outcomes)
        work.encode(command, report)
        lines = row_lines(report.data["encodings"][-1:], console.style)
        console.part(report.outcomes[before:], lines)
    return report


def _warn_of_release(tree: str, release: Release, console: Console) -> None:
    """Say so where the flags are another kernel's than the one that the BTF is judged for."""
    from btfcheck.kconfig.environment import kernel_version

    try:
        theirs = kernel_version(tree)
    except InputError:  # no Makefile; the flags have files of their own
        return
    if (of_tree := parse(theirs)) is None or of_tree.line != release.line:
        console.info(f"btfcheck: the flags are those of Linux {theirs} ({tree}), "
                     f"and the BTF is judged for Linux {release}")


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


