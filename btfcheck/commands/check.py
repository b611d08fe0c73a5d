# SPDX-License-Identifier: MIT
"""Judge a kernel configuration and the toolchain, before the build.

CONFIG is a .config, a fragment or defconfig, any of them compressed, a kernel image with
IKCONFIG, or - for standard input. Without it the usual places are tried: $O/.config,
./.config, that of --tree, and where none of these is named the running kernel's:
/proc/config.gz, /boot, /lib/modules. VAR=VALUE means what it means to make (ARCH, LLVM,
CC, LD, RUSTC, BINDGEN, PAHOLE, O, CROSS_COMPILE, M ...).
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from btfcheck.commands import split_variables
from btfcheck.config import Config, read, usual_places
from btfcheck.lint.checks import computed_facts, kconfig_checks, known_kernel, release_facts, rust_is_available
from btfcheck.lint.engine import Facts, judge
from btfcheck.lint.expr import Result
from btfcheck.lint.rules import RuleSet, load
from btfcheck.model import Fact, InputError, Location, Outcome, Report, Severity, Status, UsageError
from btfcheck.release import Release, stated
from btfcheck.release import parse as parse_release

if TYPE_CHECKING:
    from btfcheck.commands.console import Console
    from btfcheck.formats.style import Style
    from btfcheck.kconfig.tree import Tree
    from btfcheck.lint.checks import Kernel

WORDS = "[CONFIG] [VAR=VALUE]..."
EXAMPLES = """\
  btfcheck check
  btfcheck check .config --want RUST=y --want DEBUG_INFO_BTF=y LLVM=1
  btfcheck check /boot/config-6.12.117+deb12-amd64 --no-probe
  btfcheck check .config --tree ~/linux --want RUST=y LLVM=1
  btfcheck check myfragment.config --kernel 6.14 --want-file wishes.config
  zcat /proc/config.gz | btfcheck check - --output json:report.json --output text
"""

# A complete configuration without these has nothing that could go wrong with BTF.
_ABOUT_BTF = "DEBUG_INFO_BTF"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", metavar="CONFIG | VAR=VALUE", nargs="*")
    add_config_arguments(parser)


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """What a verb that judges a configuration takes."""
    parser.add_argument("--want", metavar="SYM[=VAL]", action="append", default=[],
                        help="a symbol that must be in the result (=y unless said); repeatable")
    parser.add_argument("--want-file", metavar="FRAGMENT", action="append", default=[],
                        help="symbols that must be in the result, as a configuration fragment")
    parser.add_argument("--kernel", metavar="RELEASE",
                        help="judge for this kernel release (default: the configuration's header line)")
    parser.add_argument("--tree", metavar="DIR",
                        help="ask the Kconfig files of this kernel source, with file and line")
    parser.add_argument("--no-shell", action="store_true",
                        help="with --tree: run none of the commands that its Kconfig files name")
    parser.add_argument("--rules", metavar="DIR", action="append", default=[], help="also the rules in DIR")


def run(args: argparse.Namespace, console: Console) -> Report:
    inputs, given = split_variables(args.words)
    if len(inputs) > 1:
        raise UsageError(f"one configuration at a time, not {len(inputs)}: {' '.join(inputs)}")
    return check_config(
        inputs[0] if inputs else None,
        wants=wishes(args),
        kernel=args.kernel,
        variables=given,
        probe=not args.no_probe,
        rules=args.rules,
        tree=args.tree,
        shell=not args.no_shell,
        console=console,
    )


def check_config(
    path: str | None = None,
    *,
    wants: Sequence[Fact] = (),
    kernel: str | None = None,
    variables: Mapping[str, str] | None = None,
    probe: bool = True,
    rules: Sequence[str] = (),
    tree: str | None = None,
    shell: bool = True,
    console: Console | None = None,
) -> Report:
    """Check one configuration (None: the usual places) and the toolchain that `variables` choose.

    `wants` are facts with the values asked for. With `tree`, a kernel's source, its own Kconfig files
    are asked in place of the built-in ones; their $(shell,...) is run only with `shell` and `probe`.
    Raises UsageError and InputError.
    """
    ground = lay(path, wants=wants, kernel=kernel, variables=variables, probe=probe, rules=rules, tree=tree,
                 shell=shell, console=console)
    facts, entries, ruleset = ground.facts, ground.entries, ground.ruleset
    report = Report("check", nothing=ground.nothing)
    for rule in ruleset.rules.values():
        found = [judge(rule, facts, ruleset)] if rule.when else kconfig_checks(rule, entries, facts, ruleset)
        report.outcomes += found
    if report.nothing:
        report.outcomes = [_moot(o) for o in report.outcomes]
    report.outcomes.sort(key=lambda o: (o.status is not Status.FINDING, -o.severity.rank, o.rule))
    report.data["facts"] = _fact_data(facts, ruleset)
    if entries is not None and entries.tree is not None:
        report.data["assumed"] = list(entries.tree.assumed)
        report.data["missing"] = list(entries.tree.missing)
        report.data["not_granted"] = _not_granted(entries.tree, entries.values(live=True))
    return report


class Ground(NamedTuple):
    """What judgements stand on: the facts, the Kconfig entries (None: not known) and the rules.

    `nothing` says why there is nothing to check, else it is empty.
    """

    facts: Facts
    entries: Kernel | None
    ruleset: RuleSet
    nothing: str


def lay(
    path: str | None, *, wants: Sequence[Fact], kernel: str | None, variables: Mapping[str, str] | None, probe: bool,
    rules: Sequence[str], tree: str | None, shell: bool, console: Console | None,
) -> Ground:  # fmt: skip
    """Read the configuration, ask the tools and load the Kconfig entries; arguments as for check_config."""
    given = dict(variables or {})
    ruleset = load(rules, ("config", "toolchain"))
    config = _find(path, given, tree or "", console)
    if tree is not None:
        kernel = _release_of_tree(tree, kernel)
    elif kernel is None and console:
        _warn_of_source(config, console)
    facts = _facts(config, wants, kernel, given)
    nothing = ""
    if _nothing(facts):
        fact = config.get(_ABOUT_BTF)
        where = f"{fact.source}: {fact.source.text}" if fact else f"no CONFIG_{_ABOUT_BTF} in {config.path}"
        nothing = f"this configuration asks for no BTF ({where}); --want DEBUG_INFO_BTF=y asks for it"
    elif probe:
        _probe(facts, given, ruleset, console)
    source = _open_tree(tree, facts, given, shell and probe, console) if tree is not None else None
    entries = known_kernel(facts, parse_release(config.release) if config.release else None, source)
    facts.computed = computed_facts(facts, entries)
    facts.context |= {**release_facts(facts, entries), **dict(_majors(facts, ruleset))}
    if facts.probed:
        rust = facts.live["RUST_IS_AVAILABLE"] = rust_is_available(facts, ruleset)
        if source is not None and not shell:  # its own script was not asked
            source.measured = {**source.measured, "RUST_IS_AVAILABLE": rust.value or "n"}
    return Ground(facts, entries, ruleset, nothing)


def _not_granted(tree: Tree, values: Mapping[str, str | None]) -> list[dict[str, Any]]:
    """What the configuration asks of the tree in vain, by cause."""
    from btfcheck.kconfig.asked import not_granted

    return [
        {
            "symbols": [{"name": name, "asked": asked, "gets": gets} for name, asked, gets in group.symbols],
            "clause": {"file": clause.file, "line": clause.line, "text": clause.text, "part": clause.expr,
                       "symbols": {leaf.name: leaf.value for leaf in clause.leaves}} if clause else None,
            "why": group.why,
        }
        for group in not_granted(tree, values)
        for clause in [group.clause]
    ]  # fmt: skip


def _release_of_tree(tree: str, kernel: str | None) -> str:
    from btfcheck.kconfig.environment import kernel_version

    release = kernel_version(tree)
    if kernel not in (None, release):
        raise UsageError(f"--kernel {kernel}: the tree {tree} is Linux {release}; give one of the two")
    return release


def _warn_of_source(config: Config, console: Console) -> None:
    """Say so where a configuration lies in the source of another release than the one that wrote it."""
    folder = os.path.dirname(config.path) or "."
    if not os.path.exists(os.path.join(folder, "Kconfig")):
        return
    from btfcheck.kconfig.environment import kernel_version

    try:
        release = kernel_version(folder)
    except InputError:
        return
    if config.release not in ("", release):
        console.info(f"btfcheck: judging for Linux {config.release}, which wrote {config.path}; the source there is "
                     f"Linux {release}: --tree {folder} judges for that")


def _open_tree(
    tree: str, facts: Facts, given: Mapping[str, str], shell: bool, console: Console | None
) -> Tree:
    from btfcheck.kconfig.tree import open_tree

    said = None if shell else {n: f.value for n in _TOOL_FACTS if (f := facts.live.get(n) or facts.recorded.get(n))}
    if said is not None and facts.complete and not facts.probed:
        said.setdefault("RUST_IS_AVAILABLE", "n")  # absent from a .config that conf wrote
    if console is None:
        return open_tree(tree, given, facts.arch, facts=said)
    loaded = open_tree(tree, given, facts.arch, facts=said, watching=lambda: console.counter(ASKING))
    for text in loaded.missing:
        console.info(f"btfcheck: {text}")
    if loaded.assumed:
        console.info(f"btfcheck: {len(loaded.assumed)} commands of {tree} were not run and taken to succeed")
        for command in loaded.assumed:
            console.detail(f"taken to succeed: {command}")
    return loaded


ASKING = "asking the tools, this once"  # as a tree's Kconfig files do, a hundred times

# What the commands of a tree that is not to be trusted are answered from.
_TOOL_FACTS = (
    "CC_VERSION_TEXT", "CC_IS_CLANG", "CLANG_VERSION", "CC_IS_GCC", "GCC_VERSION", "AS_IS_LLVM", "AS_IS_GNU",
    "AS_VERSION", "LD_IS_LLD", "LLD_VERSION", "LD_IS_BFD", "LD_VERSION", "PAHOLE_VERSION", "RUSTC_VERSION",
    "RUSTC_LLVM_VERSION", "RUSTC_VERSION_TEXT", "RUST_IS_AVAILABLE",
)  # fmt: skip


def _moot(outcome: Outcome) -> Outcome:
    """Where nothing asks for BTF, what could not be told does not matter."""
    if outcome.status is not Status.UNKNOWN:
        return outcome
    return outcome._replace(status=Status.SKIP, message="no BTF is asked for", missing=())


def wishes(args: argparse.Namespace) -> list[Fact]:
    """What --want and --want-file ask for. Raises UsageError and InputError."""
    return [*_want_arguments(args.want), *_want_files(args.want_file)]


def _want_arguments(words: Sequence[str]) -> Iterator[Fact]:
    for word in words:
        name, equals, value = word.removeprefix("CONFIG_").partition("=")
        value = value.strip('"') if equals else "y"
        if not name.isascii() or not name.replace("_", "a").isalnum() or not value:
            raise UsageError(f"--want {word}: SYM or SYM=VALUE is expected, as in RUST=y")
        yield Fact(name, value, Location("command line", text=f"--want {word}"))


def _want_files(paths: Sequence[str]) -> Iterator[Fact]:
    for path in paths:
        wishes = read(path)
        yield from wishes.values()


def _find(path: str | None, given: Mapping[str, str], tree: str, console: Console | None) -> Config:
    if path is not None:
        return read(path)
    uname = os.uname().release
    places = usual_places({**os.environ, **given}, uname, tree)
    for place in places:
        if os.path.exists(place):
            if console:
                console.info(f"btfcheck: judging {place}")
            return read(place)
    raise InputError(f"no configuration is named, and there is no {' or '.join(places)}")


def _facts(config: Config, wants: Sequence[Fact], kernel: str | None, given: Mapping[str, str]) -> Facts:
    wanted = {fact.name: fact for fact in wants}
    if not config.complete:
        # A fragment is a wish list itself.
        wanted = {name: fact for name, fact in config.items() if fact.value != "n"} | wanted
    context = {}
    for name, value, why in (
        ("KBUILD_EXTMOD", given.get("M") or given.get("KBUILD_EXTMOD"), "an external module is built"),
        ("LLVM_IS_ZERO", given.get("LLVM", os.environ.get("LLVM")) == "0", "LLVM=0"),
    ):
        context[name] = Fact(name, "y" if value else "n", Location("command line", text=why if value else ""))
    return Facts(
        config, {}, wanted, context, complete=config.complete, release=_release(config, kernel),
        path=config.path, arch=_arch(config, given),
    )  # fmt: skip


def _release(config: Config, kernel: str | None) -> Release | None:
    if kernel is not None:
        return stated(kernel)
    return parse_release(config.release) if config.release else None


# make's ARCH where it is not the directory under arch/ (Makefile, SRCARCH).
_SRCARCH = {"x86_64": "x86", "i386": "x86", "sparc32": "sparc", "sparc64": "sparc", "parisc64": "parisc"}


def _arch(config: Config, given: Mapping[str, str]) -> str:
    """The directory under arch/, "" when nothing tells."""
    arch = given.get("ARCH") or os.environ.get("ARCH") or config.arch
    return _SRCARCH.get(arch, arch)


def _nothing(facts: Facts) -> bool:
    if any(facts.recorded.get(name) is not want for name, want in facts.wanted.items()):
        return False  # asked for on the command line; a fragment's own lines do not count
    fact = facts.recorded.get(_ABOUT_BTF)
    return fact is None or fact.value == "n"


def _probe(facts: Facts, given: Mapping[str, str], ruleset: RuleSet, console: Console | None) -> None:
    """Ask the tools, and pahole for its behaviour where Rust and BTF are wanted together."""
    from btfcheck.toolchain.probes import probe

    facts.live = probe(given)
    facts.probed = True
    if console:
        for fact in facts.live.values():
            console.detail(f"{fact.name}={fact.value or 'unknown'}  ({fact.reason or fact.source.path})")
    for name in ("RUST_WANTED", "BTF_WANTED"):
        result = facts.get(name, ruleset)
        if not isinstance(result, Result) or (result.known and not result.true):
            return
    from btfcheck.gate.behaviour import behaviour

    facts.live |= behaviour(given)


def _majors(facts: Facts, ruleset: RuleSet) -> Iterator[tuple[str, Fact]]:
    """First numbers of LLVM versions, for rules that compare only these."""
    for name, of in (("CLANG_MAJOR_VERSION", "CLANG_VERSION"), ("RUSTC_LLVM_MAJOR_VERSION", "RUSTC_LLVM_VERSION")):
        whole = facts.get(of, ruleset)
        if isinstance(whole, Fact) and whole.value and whole.value.isdecimal():
            yield name, whole._replace(name=name, value=str(int(whole.value) // 10_000))


def _fact_data(facts: Facts, ruleset: RuleSet) -> dict[str, Any]:
    """The facts that rules can see, as JSON has them; a live one carries the recorded one along."""
    data: dict[str, Any] = {}
    names = (*ruleset.symbols, *(n for n in facts.live if n not in ruleset.symbols))
    for name in names:
        stores = (facts.live, facts.computed, facts.recorded, facts.context)
        found = next((s[name] for s in stores if name in s), None)
        if found is None:
            continue
        data[name] = found.data()
        if found.live and name in facts.recorded:
            data[name]["recorded"] = facts.recorded[name].data()
    return data


_MOST_GROUPS = 12  # causes, and symbols of each, shown in text; -v shows all


def body(report: Report, style: Style) -> Iterator[str]:
    groups = report.data.get("not_granted", [])
    if groups:
        count = sum(len(group["symbols"]) for group in groups)
        yield f"{count} symbol{'s' * (count > 1)} of this configuration get less from the tree than asked:"
        for group in groups if style.verbose else groups[:_MOST_GROUPS]:
            names = [f"{s['name']}={s['asked']}" for s in group["symbols"]]
            if not style.verbose and len(names) > _MOST_GROUPS:
                names = [*names[:_MOST_GROUPS], f"and {len(names) - _MOST_GROUPS} more"]
            yield f"  {', '.join(names)}  ({group['why']})"
        if not style.verbose and (more := len(groups) - _MOST_GROUPS) > 0:
            yield f"  and {more} more cause{'s' * (more > 1)} (-v)"
    if style.verbose:
        for name, fact in report.data["facts"].items():
            yield f"{name}={fact['value'] if fact['value'] is not None else 'unknown'}"


__all__ = ["Outcome", "Severity", "check_config"]
