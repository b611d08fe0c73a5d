# SPDX-License-Identifier: MIT
"""Print a rule's page: what it finds, why it matters, how to mend it, and the evidence."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from btfcheck.commands.console import Console
from btfcheck.commands.rules import rule_data
from btfcheck.formats.style import Style
from btfcheck.lint.rules import load
from btfcheck.model import Report, UsageError

WORDS = "RULE"
EXAMPLES = """\
  btfcheck explain BTF101
  btfcheck explain rust-btf-lto-blocked
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("rule", metavar="RULE", help="a rule's id (BTF101) or name")
    parser.add_argument("--rules", metavar="DIR", action="append", default=[], help="also the rules in DIR")


def run(args: argparse.Namespace, console: Console) -> Report:  # noqa: ARG001
    ruleset = load(args.rules)
    rule = ruleset.find(args.rule)
    if rule is None:
        from difflib import get_close_matches

        names = [*ruleset.rules, *(r.name for r in ruleset.rules.values())]
        near = get_close_matches(args.rule, names, 3)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise UsageError(f"no rule {args.rule!r}{hint} `btfcheck rules` lists them")
    return Report("explain", data={"rules": [rule_data(rule)]})


def body(report: Report, style: Style) -> Iterator[str]:
    for rule in report.data["rules"]:
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
