# SPDX-License-Identifier: MIT
"""Which combinations of Rust, BTF, LTO, module versions and pahole a kernel allows, and which are safe.

Two answers per combination, kept apart: whether Kconfig allows it (and if not, by which clause), and
whether the kernel would take the BTF that comes of it. Tools that no axis names are taken to be
sufficient, the architecture to be x86-64; the output lists what was assumed.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from btfcheck.commands import split_variables
from btfcheck.commands.check import ASKING
from btfcheck.model import Report, UsageError
from btfcheck.release import stated

if TYPE_CHECKING:
    from btfcheck.commands.console import Console
    from btfcheck.formats.style import Style
    from btfcheck.kconfig.dialect import KernelKconfig
    from btfcheck.kconfig.matrix import Cell

WORDS = "[VAR=VALUE]..."
EXAMPLES = """\
  btfcheck matrix --kernel 6.12.117,7.3.4
  btfcheck matrix --kernel 6.12 --axis RUST=y --axis DEBUG_INFO_BTF=y --pahole 1.25,1.28,1.30
  btfcheck matrix --tree ~/linux --write matrix.svg --write matrix.md
  btfcheck matrix --tree ~/linux --axis KASAN=n,y --output json
"""
_MOST_CHANGES = 24  # lines of differences between releases in text
_YES = "answers yes: "  # what is said of a tree's command that was not run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", metavar="VAR=VALUE", nargs="*")
    parser.add_argument("--kernel", metavar="RELEASE,...", action="append", default=[],
                        help="releases, by the built-in entries (default: the newest one read)")
    parser.add_argument("--tree", metavar="DIR", action="append", default=[],
                        help="a kernel source whose Kconfig files decide; repeatable")
    parser.add_argument("--axis", metavar="SYM=V1,V2", action="append", default=[],
                        help="another axis, or the values of one: RUST, DEBUG_INFO_BTF, LTO, MODVERSIONS")
    for tool, example in (("pahole", "1.25,1.30"), ("rustc", "1.85,1.95"), ("llvm", "19.1.7,22.1.8"),
                          ("bindgen", "0.65.1,0.71.1")):
        parser.add_argument(f"--{tool}", metavar="V1,V2", help=f"versions of {tool}, as {example}")
    parser.add_argument("--shell", action="store_true",
                        help="with --tree: ask the installed tools what no version answers, by the tree's own commands")
    parser.add_argument("--write", metavar="FILE", action="append", default=[],
                        help="also write the table to FILE.csv, FILE.md or FILE.svg; repeatable")


def run(args: argparse.Namespace, console: Console) -> Report:
    from btfcheck.kconfig.matrix import assumptions

    inputs, given = split_variables(args.words)
    if inputs:
        raise UsageError(f"{inputs[0]}: VAR=VALUE is expected; trees are named with --tree")
    files = [_writer(name) for name in args.write]
    wanted = _axes(args)
    rows: list[Cell] = []
    assumed: dict[str, None] = {}
    for kernel in _kernels(args, given, wanted.get("llvm", ()), console):
        axes = {**_known(kernel.texts[0], wanted), **kernel.at}
        rows += _cells(kernel, axes)
        arch = [f"ARCH={_arch(given)}"] if "ARCH" not in given else []
        assumed |= dict.fromkeys([*arch, *assumptions(kernel.texts[0], axes, {}), *kernel.notes])
    report = Report("matrix")
    report.data["rows"] = [row.data() for row in rows]
    report.data["assumed"] = list(assumed)
    report.data["changes"] = list(_changes(rows))
    for name, writer in files:
        _write(name, writer(report.data["rows"], list(_told(report.data["assumed"]))))
    return report


def _axes(args: argparse.Namespace) -> dict[str, tuple[str, ...]]:
    """The axes that the command line names, each with its values."""
    from btfcheck.kconfig.matrix import LTO, MODVERSIONS, TOOLS, number

    allowed = {"LTO": tuple(LTO), "MODVERSIONS": tuple(MODVERSIONS)}
    found = {}
    for word in args.axis:
        name, equals, values = word.removeprefix("CONFIG_").partition("=")
        found[name] = tuple(dict.fromkeys(values.split(",")))
        if not equals or not name or not all(found[name]):
            raise UsageError(f"--axis {word}: SYM=VALUE,VALUE is expected, as in LTO=none,thin")
        wrong = [v for v in found[name] if v not in allowed.get(name, ("y", "m", "n")) and not v.isdecimal()]
        if wrong or (name in allowed and any(v.isdecimal() for v in found[name])):
            raise UsageError(f"--axis {word}: {name} takes {', '.join(allowed.get(name, ('y', 'm', 'n')))}")
    for tool in TOOLS:
        if getattr(args, tool):
            found[tool] = tuple(dict.fromkeys(getattr(args, tool).split(",")))
            for version in found[tool]:
                number(tool, version)
    return found


def _known(kconf: KernelKconfig, wanted: dict[str, tuple[str, ...]]) -> dict[str, Sequence[str]]:
    """All axes for one Kconfig, pahole last: it runs across."""
    from btfcheck.kconfig.matrix import default_axes

    axes: dict[str, Sequence[str]] = {**default_axes(kconf), **wanted}
    for name in [n for n in wanted if n.isupper() and n not in ("LTO", "MODVERSIONS")]:
        if name not in kconf.syms or not kconf.syms[name].nodes:
            raise UsageError(f"--axis {name}: {kconf.origin.trees[0]} has no such symbol, or does not model it")
    across = axes.pop("pahole")
    return {**axes, "pahole": across}


class _Kernel(NamedTuple):
    """A kernel whose cells are wanted: its text or candidate texts, what was assumed, the least versions of
    tools that it takes, and the axes that it was read for."""

    name: str
    texts: Sequence[KernelKconfig]
    notes: Sequence[str]
    minimums: Mapping[str, str]
    at: dict[str, Sequence[str]]


def _kernels(
    args: argparse.Namespace, given: dict[str, str], llvms: Sequence[str], console: Console
) -> Iterator[_Kernel]:
    from btfcheck.kconfig.tables import history, minimum_tools, models

    for root in args.tree:
        console.info(f"btfcheck: reading {root}")
        for llvm in llvms or ("",):  # which options a compiler takes is asked while a tree is read
            yield _read(root, llvm, args.shell and not args.no_probe, given, console)
    releases = [r for word in args.kernel for r in word.split(",") if r]
    for release in releases or ([] if args.tree else [history()["trees"][-1][1]]):
        arch = _arch(given)
        found = models(stated(release), arch)
        least = minimum_tools(stated(release), arch)
        agreed = {tool: v for tool, v in least[0].items() if all(table.get(tool) == v for table in least)}
        yield _Kernel(release, [m.load() for m in found], [m.assumed for m in found if m.assumed], agreed, {})


def _arch(given: Mapping[str, str]) -> str:
    return given.get("ARCH") or os.environ.get("ARCH") or "x86_64"


def _read(root: str, llvm: str, shell: bool, given: dict[str, str], console: Console) -> _Kernel:
    """A tree, for one LLVM where versions of it are an axis."""
    from btfcheck.kconfig.answers import SUFFICIENT
    from btfcheck.kconfig.matrix import as_facts
    from btfcheck.kconfig.tree import open_tree

    facts = {**SUFFICIENT, **(as_facts("llvm", llvm) if llvm else {})}
    tree = open_tree(root, {"LLVM": "1", **given}, _arch(given), facts=facts, shell=shell,
                     watching=lambda: console.counter(ASKING))  # fmt: skip
    name = f"{tree.environment['KERNELVERSION']} ({root})"
    notes = [f"{_YES}{c}" for c in tree.assumed]
    return _Kernel(name, [tree], notes, tree.minimums(), {"llvm": (llvm,)} if llvm else {})


def _cells(kernel: _Kernel, axes: dict[str, Sequence[str]]) -> list[Cell]:
    from btfcheck.kconfig.matrix import cells, merge

    several = [list(cells(k, axes, kernel=kernel.name, minimums=kernel.minimums)) for k in kernel.texts]
    return [merge(same) for same in zip(*several, strict=True)]


def _changes(rows: Sequence[Cell]) -> Iterator[dict[str, Any]]:
    """Where a kernel allows or forbids what the one named before it did not; what that one lacks it does not allow."""
    kernels = list(dict.fromkeys(row.axes["kernel"] for row in rows))
    known = {(row.axes["kernel"], _place(row)): row.allowed for row in rows}
    for row in rows:
        number = kernels.index(row.axes["kernel"])
        if number and (was := known.get((kernels[number - 1], _place(row)), False)) is not row.allowed:
            yield {"axes": dict(_place(row)), "kernel": kernels[number], "before": kernels[number - 1],
                   "allowed": row.allowed, "was": was}


def _place(row: Cell) -> tuple[tuple[str, str], ...]:
    return tuple((n, v) for n, v in row.axes.items() if n != "kernel")


def _writer(name: str) -> tuple[str, Any]:
    from btfcheck.formats.grid import WRITERS

    suffix = os.path.splitext(name)[1][1:]
    if suffix not in WRITERS:
        raise UsageError(f"--write {name}: the name must end in {', '.join('.' + s for s in WRITERS)}")
    return name, WRITERS[suffix]


def _write(name: str, text: str) -> None:
    try:
        with open(name, "w", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise UsageError(f"--write: cannot write {name}: {error.strerror}") from error


# (was, is allowed)
_WORDS = {
    (False, True): "allows what {} does not", (True, False): "forbids what {} allows",
    (None, True): "allows what {} may forbid", (None, False): "forbids what {} may allow",
    (False, None): "may allow what {} does not", (True, None): "may forbid what {} allows",
}  # fmt: skip


def body(report: Report, style: Style) -> Iterator[str]:
    from btfcheck.formats.grid import text

    yield from text(report.data["rows"])
    changes = list(_folded(report.data["changes"]))
    yield from changes[:_MOST_CHANGES]
    if len(changes) > _MOST_CHANGES:
        yield f"and {len(changes) - _MOST_CHANGES} more differences between these kernels (--output json)"
    for line in _told(report.data["assumed"]):
        yield f"assumed: {line}"
    if style.verbose:
        yield from (f"assumed: {a}" for a in report.data["assumed"] if a.startswith(_YES))


def _folded(changes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The changes in words, those that differ in the values of one axis in one line."""
    lines: dict[tuple[str, ...], list[dict[str, tuple[str, ...]]]] = {}
    for change in changes:
        words = _WORDS[change["was"], change["allowed"]].format(change["before"])
        key = (f"Linux {change['kernel']} {words}: ", *change["axes"])
        lines.setdefault(key, []).append({n: (v,) for n, v in change["axes"].items()})
    for (words, *names), cells in lines.items():
        for name in reversed(names):
            joined: dict[tuple[Any, ...], dict[str, tuple[str, ...]]] = {}
            for cell in cells:
                rest = tuple(v for n, v in cell.items() if n != name)
                joined[rest] = {**cell, name: (*joined[rest][name], *cell[name])} if rest in joined else cell
            cells = list(joined.values())
        yield from (words + " ".join(f"{n}={','.join(v)}" for n, v in cell.items()) for cell in cells)


def _told(assumed: Sequence[str]) -> Iterator[str]:
    """What was assumed, in lines: of the tools, of the configuration, and the rest."""
    from btfcheck.kconfig.answers import SUFFICIENT

    settings = [a for a in assumed if "=" in a and a.partition("=")[0].isidentifier()]
    tools = [a for a in settings if a.partition("=")[0] in SUFFICIENT]
    yield from filter(None, (", ".join(tools), ", ".join(a for a in settings if a not in tools)))
    yield from (a for a in assumed if a not in settings and not a.startswith(_YES))
    if commands := sum(a.startswith(_YES) for a in assumed):
        yield f"{commands} commands of the tree succeed (-v and --output json list them)"
