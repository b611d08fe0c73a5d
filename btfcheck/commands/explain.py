# SPDX-License-Identifier: MIT
"""Explain a rule, or what a log says.

RULE is a rule's id or name. With --log, every message of pahole, resolve_btfids, libbpf, bpftool,
Kconfig, Kbuild and the kernel's BTF checker is looked for in a build log, dmesg, journal or verifier
log (- is standard input), and traced to its cause: proven (the log itself decides), likely (one
look-alike is left) or possible (several, all listed). Then the exit code is 1 when a harmful cause
was found, 0 when only harmless or doubtful ones or none, 3 when the kernel refused BTF with a
message that is not known, 4 when the log holds nothing about BTF or Rust.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from btfcheck.commands.console import Console
from btfcheck.commands.rules import rule_data
from btfcheck.formats.style import Style
from btfcheck.lint.rules import load
from btfcheck.model import InputError, Report, UsageError

WORDS = "RULE | --log FILE"
EXAMPLES = """\
  btfcheck explain BTF101
  btfcheck explain rust-btf-lto-blocked
  btfcheck explain --log build.log
  dmesg | btfcheck explain --log - --output json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", metavar="RULE", nargs="*", help="a rule's id (BTF101) or name")
    parser.add_argument("--log", metavar="FILE", help="explain the messages of a log; - is standard input")
    parser.add_argument("--rules", metavar="DIR", action="append", default=[], help="also the rules in DIR")


def run(args: argparse.Namespace, console: Console) -> Report:  # noqa: ARG001
    if args.log is not None:
        if args.words:
            raise UsageError(f"--log takes no RULE beside it: {' '.join(args.words)}")
        return explain_log(args.log)
    if len(args.words) != 1:
        raise UsageError("a RULE, or --log FILE, is expected; `btfcheck rules` lists the rules")
    return explain_rule(args.words[0], args.rules)


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
    return Report("explain", data={"rules": [rule_data(rule)]})


def explain_log(path: str) -> Report:
    """The causes that a log shows. Raises InputError when it cannot be read."""
    from btfcheck.explain.logreport import report
    from btfcheck.explain.messages import load as load_messages
    from btfcheck.explain.symptoms import read

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
        yield from page(rule, style)


def page(rule: dict[str, Any], style: Style) -> Iterator[str]:
    """A rule as text."""
    yield style.paint(rule["severity"], f"{rule['severity']}[{rule['id']}]") + style.paint(
        "bold", f" {rule['name']}"
    )
    yield f"  {rule['message']}"
    for head, key in (("Why it matters", "why"), ("How it comes about", "how"), ("How to mend it", "fix")):
        if rule.get(key):
            yield from ("", style.paint("bold", head), *(f"  {line}" for line in rule[key].splitlines()))
    yield from (f"      {line}" for line in rule.get("fragment", ()))
    yield from ("", style.paint("bold", "When"))
    if rule.get("applies"):
        yield f"  applies to   {rule['applies']}"
    yield f"  condition    {rule.get('when') or 'checked in Python: ' + rule['check']}"
    yield f"  kernel       {', '.join(rule.get('kernel', ())) or 'every release'}"
    if rule.get("pahole"):
        yield f"  pahole       {rule['pahole']}"
    yield from ("", style.paint("bold", "Examples"))
    for example in rule["examples"]:
        facts = " ".join(f"{k}={v}" for k, v in example.get("facts", {}).items())
        where = f" on {example['kernel']}" if example.get("kernel") else ""
        yield f"  {example['expect']:8} {example['title']}{where}"
        for line in (facts or example.get("input", "")).strip("\n").splitlines():
            yield f"           {line}"
    yield from ("", style.paint("bold", "Evidence"), *(f"  {line}" for line in rule["evidence"]))
    if rule.get("related"):
        yield from ("", f"See also: {', '.join(rule['related'])}")
