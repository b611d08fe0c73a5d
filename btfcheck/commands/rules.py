# SPDX-License-Identifier: MIT
"""List the rules: id, severity, name, and what each finds."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from btfcheck.commands.console import Console
from btfcheck.formats.style import Style
from btfcheck.lint.rules import STAGES, Example, Rule, load
from btfcheck.model import Report

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
    """The rule as its file states it, for JSON."""
    data: dict[str, Any] = {
        "id": rule.id, "name": rule.name, "severity": rule.severity.value, "stage": rule.stage,
        "message": rule.message, "why": rule.why, "how": rule.how, "fix": rule.fix,
        "fragment": list(rule.fragment), "subject": rule.subject,
        "applies": str(rule.applies or ""), "when": str(rule.when or ""), "check": rule.check,
        "kernel": list(rule.kernel_text), "pahole": rule.pahole,
        "evidence": list(rule.evidence), "related": list(rule.related),
        "examples": [_example(e) for e in rule.examples],
    }  # fmt: skip
    return {key: value for key, value in data.items() if value}


def _example(example: Example) -> dict[str, Any]:
    data = {
        "title": example.title, "expect": example.expect, "facts": dict(example.facts),
        "kernel": example.kernel, "arch": example.arch, "input": example.input,
    }  # fmt: skip
    return {key: value for key, value in data.items() if value}


def body(report: Report, style: Style) -> Iterator[str]:
    rules = report.data["rules"]
    width = max((len(r["name"]) for r in rules), default=0)
    for rule in rules:
        severity = style.paint(rule["severity"], f"{rule['severity']:8}")
        yield f"{rule['id']}  {severity} {rule['name']:{width}}  {rule['message']}"
