# SPDX-License-Identifier: MIT
"""Pages in Markdown: a rule, and what is known of messages. The docs are made of these, and --output markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from btfcheck.lint.messages import Catalogue, Cause, Message


def rule_page(rule: dict[str, Any]) -> str:
    """A rule as its file states it (btfcheck.commands.rules.rule_data)."""
    return "\n".join([*_rule(rule), ""])


def _rule(rule: dict[str, Any]) -> Iterator[str]:
    yield from (f"# {rule['id']}: {rule['name']}", "")
    yield from (f"**{rule['severity']}**, {rule['stage']}: {rule['message']}", "")
    for head, key in (("Why it matters", "why"), ("How it comes about", "how"), ("How to mend it", "fix")):
        if rule.get(key):
            yield from (f"## {head}", "", rule[key].strip(), "")
    if rule.get("fragment"):
        yield from _code(rule["fragment"])
    yield from ("## When", "")
    if rule.get("applies"):
        yield f"* applies to: `{rule['applies']}`"
    yield f"* condition: `{rule['when']}`" if rule.get("when") else f"* checked in Python: `{rule['check']}`"
    yield f"* kernel: {', '.join(rule.get('kernel', ())) or 'every release'}"
    if rule.get("pahole"):
        yield f"* pahole: {rule['pahole']}"
    yield from ("", "## Examples", "")
    for example in rule["examples"]:
        where = f" (Linux {example['kernel']})" if example.get("kernel") else ""
        yield from (f"**{example['expect']}**: {example['title']}{where}", "")
        facts = [f"{name}={value}" for name, value in example.get("facts", {}).items()]
        yield from _code([*facts, *example.get("input", "").strip("\n").splitlines()])
    yield from ("## Evidence", "", *(f"* {line}" for line in rule["evidence"]), "")
    if rule.get("related"):
        yield f"See also: {', '.join(f'[{other}]({other}.md)' for other in rule['related'])}"


def _code(lines: Any) -> Iterator[str]:
    if lines:
        yield from ("```text", *lines, "```", "")


def messages_page(catalogue: Catalogue) -> str:
    """Every cause with its messages, and how each is told from its look-alikes."""
    lines = [
        "# What logs say", "",
        "`btfcheck explain --log FILE` knows these messages. One that several causes have is traced by the rest of the "
        "log, or all causes are listed.", "",
    ]  # fmt: skip
    for cause in catalogue.causes.values():
        lines += _cause(cause, [m for m in catalogue.messages.values() if cause.id in m.causes])
    return "\n".join(lines)


def _cause(cause: Cause, messages: list[Message]) -> Iterator[str]:
    rules = ", ".join(f"[{rule}](rules/{rule}.md)" for rule in cause.rules)
    yield from (f"## {cause.id}", "", f"**{cause.severity.value}**: {cause.title}", "", cause.how, "")
    yield from (f"* proof: {cause.prove}", f"* fix: {cause.fix}", *([f"* rules: {rules}"] if rules else []), "")
    for message in messages:
        sure = message.certainty if len(message.causes) == 1 else "possible"
        versions = f" ({message.versions})" if message.versions else ""
        yield from (f"{message.program}, {sure}{versions}: {message.means}", "")
        if message.apart:
            yield from (f"Look-alikes: {message.apart}", "")
        yield from _code([line for line in message.examples[0].split("\n") if line.strip()])
