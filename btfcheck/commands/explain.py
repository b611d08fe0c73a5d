# SPDX-License-Identifier: MIT
"""Explain a rule, a Kconfig symbol, or what a log says.

RULE is a rule's id or name.

SYMBOL (RUST, CONFIG_DEBUG_INFO_BTF ...) is explained for a configuration, as `check` finds it: its
value, every clause that it depends on with what each symbol in it is, what selects it, what goes off
with it, and the ways out, each proven by evaluation. It is asked to be y unless --want says
otherwise; other symbols that --want names are to be had with it. Of a symbol whose value cannot be
told, the exit code is 3; otherwise it is 0, for a question has no findings.

With --log, every message of pahole, resolve_btfids, libbpf, bpftool,
Kconfig, Kbuild and the kernel's BTF checker is looked for in a build log, dmesg, journal or verifier
log (- is standard input), and traced to its cause: proven (the log itself decides), likely (one
look-alike is left) or possible (several, all listed). Then the exit code is 1 when a harmful cause
was found, 0 when only harmless or doubtful ones or none, 3 when the kernel refused BTF with a
message that is not known, 4 when the log holds nothing about BTF or Rust.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from btfcheck.commands import check, split_variables
from btfcheck.commands.console import Console
from btfcheck.commands.rules import rule_data
from btfcheck.explain import markdown
from btfcheck.explain.pages import rule_page, symbol_page
from btfcheck.formats.style import Style
from btfcheck.lint.rules import load
from btfcheck.model import Fact, InputError, Location, Outcome, Report, Severity, Status, UsageError

if TYPE_CHECKING:
    from btfcheck.kconfig.why import Why

WORDS = "RULE | SYMBOL [CONFIG] [VAR=VALUE]... | --log FILE"
EXAMPLES = """\
  btfcheck explain BTF101
  btfcheck explain rust-btf-lto-blocked --output markdown
  btfcheck explain RUST .config LLVM=1
  btfcheck explain RUST .config --no-probe --kernel 6.14 --want DEBUG_INFO_BTF --want LTO_CLANG_THIN
  btfcheck explain DEBUG_INFO_BTF .config --tree ~/linux
  btfcheck explain --log build.log
  dmesg | btfcheck explain --log - --output json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", metavar="RULE | SYMBOL | CONFIG | VAR=VALUE", nargs="*")
    parser.add_argument("--log", metavar="FILE", help="explain the messages of a log; - is standard input")
    check.add_config_arguments(parser)


_SYMBOL = re.compile(r"(?:CONFIG_)?([A-Z0-9][A-Z0-9_]*)")
_RULE = re.compile(r"BTF[0-9]{3}", re.IGNORECASE)


def run(args: argparse.Namespace, console: Console) -> Report:
    words, given = split_variables(args.words)
    if args.log is not None:
        if args.words:
            raise UsageError(f"--log takes nothing beside it: {' '.join(args.words)}")
        return explain_log(args.log)
    if not words:
        raise UsageError("a RULE, a SYMBOL, or --log FILE, is expected; `btfcheck rules` lists the rules")
    symbol = _SYMBOL.fullmatch(words[0])
    if symbol and not _RULE.fullmatch(words[0]):
        return explain_symbol(symbol[1], words[1:], given, args, console)
    if len(words) > 1 or given:
        raise UsageError(f"nothing follows a RULE: {' '.join(args.words[1:])}")
    return explain_rule(words[0], args.rules)


def explain_rule(word: str, rules: list[str]) -> Report:
    """The page of one rule, by id or name."""
    ruleset = load(rules)
    rule = ruleset.find(word)
    if rule is None:
        from difflib import get_close_matches

        names = [*ruleset.rules, *(r.name for r in ruleset.rules.values())]
        near = get_close_matches(word, names, 3)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise UsageError(f"no rule {word!r}{hint} `btfcheck rules` lists them")
    report = Report("explain", data={"rules": [rule_data(rule)]})
    report.page = markdown.rule_page(report.data["rules"][0])
    return report


def explain_symbol(
    name: str, inputs: list[str], given: dict[str, str], args: argparse.Namespace, console: Console
) -> Report:
    """Why a symbol has its value, and how it could have the wanted one.

    Raises UsageError for a symbol that nobody knows, InputError as `check` does.
    """
    from btfcheck.explain import symbols

    if len(inputs) > 1:
        raise UsageError(f"one configuration at a time, not {len(inputs)}: {' '.join(inputs)}")
    asked = [f for f in check.wishes(args) if f.name == name]
    default = Fact(name, "y", Location("command line", text=name))
    wants = [*(f for f in check.wishes(args) if f.name != name), *(asked or [default])]
    ground = check.lay(
        inputs[0] if inputs else None, wants=wants, kernel=args.kernel, variables=given, probe=not args.no_probe,
        rules=args.rules, tree=args.tree, shell=not args.no_shell, console=console,
    )  # fmt: skip
    if ground.entries is None:
        raise UsageError("which kernel? Give --kernel RELEASE (6.1 or later) or --tree DIR")
    release = ground.facts.release
    answer = symbols.explain(ground.entries, ground.facts, name, {f.name: f.value or "y" for f in wants})
    if answer is None:
        raise UsageError(f"no symbol {name} is known for Linux {release}; --tree DIR asks a kernel's source")
    data = symbols.data(answer)
    recorded = ground.facts.recorded.get(name)
    place = f"{recorded.source}  {recorded.source.text}" if recorded else ""
    data["recorded"] = {"value": recorded.value, "place": place} if recorded else None
    report = Report("explain", data=data)
    unknown = tuple(w for w in (*answer.whys, *answer.beside) if w.granted is None)
    if unknown:
        report.outcomes.append(_open(name, unknown))
    return report


def _open(name: str, whys: tuple[Why, ...]) -> Outcome:
    """That it is not known whether a symbol would be granted, and what would tell."""
    leaves = [item for w in whys for c in w.undecided for item in c.leaves if item.value == "unknown"]
    missing = tuple(dict.fromkeys(item.name for item in leaves))
    return Outcome("symbol", Status.UNKNOWN, Severity.ERROR, name, f"could not tell whether {name} would be granted",
                   missing=missing or ("what decides it",))


def explain_log(path: str) -> Report:
    """The causes that a log shows. Raises InputError when it cannot be read."""
    from btfcheck.explain.logreport import report
    from btfcheck.explain.symptoms import read
    from btfcheck.lint.messages import load as load_messages

    catalogue = load_messages()
    try:
        if path == "-":
            return report(read(sys.stdin.buffer, catalogue), "<stdin>")
        with open(path, "rb") as stream:
            return report(read(stream, catalogue), path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error


def body(report: Report, style: Style) -> Iterator[str]:
    for rule in report.data.get("rules", ()):
        yield from rule_page(rule, style)
    if "symbol" in report.data:
        yield from symbol_page(report.data, style)
