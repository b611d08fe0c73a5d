# SPDX-License-Identifier: MIT
"""Ask the toolchain what it is, in Kconfig's names and integers.

Runs the tools that `make` with the same VAR=VALUE arguments would run (CC, LD, AR, NM,
RUSTC, BINDGEN, PAHOLE; LLVM=, LLVM_IAS=, CROSS_COMPILE= ...), each within a time limit,
and lets pahole encode three tiny files to see what it really does to Rust. A fact that
a tool does not give is unknown, with the reason; that alone is no failure (exit 0),
unless --fact asked for it (exit 3).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from btfcheck.commands import split_variables
from btfcheck.formats.style import printable
from btfcheck.model import Fact, Location, Outcome, Report, Severity, Status, UsageError

if TYPE_CHECKING:
    from btfcheck.commands.console import Console
    from btfcheck.formats.style import Style

WORDS = "[VAR=VALUE]..."
EXAMPLES = """\
  btfcheck probe                                 the tools that plain `make` would use
  btfcheck probe LLVM=-19 PAHOLE=~/bin/pahole    clang-19, ld.lld-19 ... and that pahole
  btfcheck probe --fact PAHOLE_VERSION           one fact; exit 3 when it cannot be had
  btfcheck probe --output json | jq .facts       all of them for a script
"""

RULE = "probe"
_ROOM = 80  # columns for the source of a fact; -v shows all of it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("variables", metavar="VAR=VALUE", nargs="*", help="what you would give to make")
    parser.add_argument("--fact", metavar="NAME", action="append", default=[],
                        help="only this fact, and exit 3 when it is unknown (repeatable)")
    parser.add_argument("--timeout", metavar="SECONDS", type=_seconds, default=10.0,
                        help="for each tool (default: 10)")


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value


def run(args: argparse.Namespace, console: Console) -> Report:
    from btfcheck.gate import behaviour
    from btfcheck.toolchain import probes, tools

    inputs, variables = split_variables(args.variables)
    if inputs:
        raise UsageError(f"probe: {inputs[0]!r} is not VAR=VALUE")
    known = (*probes.NAMES, *behaviour.NAMES)
    if strange := sorted(set(args.fact) - set(known)):
        raise UsageError(f"probe: no fact {strange[0]!r}; known: {', '.join(known)}")
    if args.no_probe:
        return Report("probe", data={"facts": {}}, nothing="--no-probe: no tool may be run")

    wanted = args.fact or known
    facts = probes.probe(variables, only=wanted, timeout=args.timeout)
    facts |= behaviour.behaviour(variables, only=wanted, timeout=args.timeout)
    for answer in tools.answers():
        console.detail(f"{answer.seconds:7.3f} s  {tools.show(answer.argv)}", level=2)

    groups = {probe.tool: probe.names for probe in probes.PROBES}
    groups["PAHOLE"] += behaviour.NAMES
    outcomes = [
        _outcome(tool, [facts[name] for name in names if name in facts], set(args.fact))
        for tool, names in groups.items() if facts.keys() & set(names)
    ]
    outcomes += [_unseen(name, value) for name, value in tools.resolve(variables).unseen_by_make.items()]
    data = {name: fact.data() for name, fact in facts.items()}
    return Report("probe", outcomes, {"facts": data})


def _outcome(tool: str, facts: list[Fact], asked: set[str]) -> Outcome:
    """ok, or unknown with every reason; of no consequence but for facts that were asked for."""
    # Kconfig records version 0 for a pahole or rustc that is not there.
    gaps = [f for f in facts if f.value is None or (f.value == "0" and f.reason)]
    if not gaps:
        return Outcome(RULE, Status.OK, Severity.WARNING, tool, f"{tool}: every fact is known")
    severity = Severity.ERROR if any(f.name in asked and f.value is None for f in gaps) else Severity.WARNING
    reasons = list(dict.fromkeys(f.reason for f in gaps))
    missing = tuple(f.name for f in gaps if f.value is None)
    return Outcome(
        RULE, Status.UNKNOWN, severity, tool, f"{tool}: {reasons[0]}", notes=tuple(reasons[1:]),
        missing=missing, fix=f"install it, or name it: btfcheck probe {tool}=/path/to/it",
    )


def _unseen(name: str, value: str) -> Outcome:
    return Outcome(
        RULE, Status.FINDING, Severity.NOTE, name,
        f"{name}={value} is taken from the environment, where the kernel's make does not look for it",
        (Location("environment", text=f"{name}={value}"),),
        fix=f"give {name}={value} to make, and here, as an argument",
    )


def body(report: Report, style: Style) -> Iterator[str]:
    facts: Mapping[str, Mapping[str, Any]] = report.data["facts"]
    width = max(map(len, facts), default=0)
    for name, fact in facts.items():
        value = fact["value"]
        if value is None:
            yield f"{name:{width}}  {style.paint('warning', 'unknown')}   {printable(fact['reason'])}"
            continue
        source, said = fact["source"]["path"], fact["source"].get("text", "")
        told = f"{source}: {said}" if style.verbose and said not in (value, "") else source
        if fact.get("reason"):
            told += f" ({fact['reason']})"
        if not style.verbose and len(told) > _ROOM:
            told = f"{told[:_ROOM]}..."
        yield f"{name:{width}}  {printable(value) or '(empty)':8}  {style.paint('dim', printable(told))}"
