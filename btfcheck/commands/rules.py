# SPDX-License-Identifier: MIT
"""List the rules: id, severity, name, and what each finds."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from btfcheck.commands.console import Console
from btfcheck.formats.style import Style
from btfcheck.lint.rules import Rule, load
from btfcheck.lint.vocabulary import STAGES
from btfcheck.model import Report

WORDS = ""
EXAMPLES = """\
  btfcheck rules
  btfcheck rules --stage toolchain
  btfcheck rules --output json | jq -r '.rules[].id'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rules", metavar="DIR", action="append", default=[], help="also the rules in DIR")
    parser.add_argument("--stage", choices=STAGES, action="append", default=[], help="only rules of this stage")


def run(args: argparse.Namespace, console: Console) -> Report:  # noqa: ARG001
    ruleset = load(args.rules, args.stage or STAGES)
    return Report("rules", data={"rules": [rule_data(r) for r in ruleset.rules.values()]})


def rule_data(rule: Rule) -> dict[str, Any]:
    """The rule as its file states it, for JSON; empty fields are left out."""
    data = rule._asdict() | {"severity": rule.severity.value}
    del data["source"]
    return {key: value for key, value in data.items() if value}


def body(report: Report, style: Style) -> Iterator[str]:
    rules = report.data["rules"]
    width = max((len(r["name"]) for r in rules), default=0)
    for rule in rules:
        severity = style.paint(rule["severity"], f"{rule['severity']:8}")
        yield f"{rule['id']}  {severity} {rule['name']:{width}}  {rule['message']}"
