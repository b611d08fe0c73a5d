# SPDX-License-Identifier: MIT
"""Pages in Markdown: a rule, and what is known of messages. The docs are made of these, and --output markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from btfcheck.lint.messages import Catalogue, Cause, Message


def rule_page(rule: dict[str, Any]) -> str:
    """A rule as its file states it (btfcheck.commands.rules.rule_data)."""
    return "\n".join([*_rule(rule), ""])


def _rule(rule: dict[str, Any]) -> Iterator[str]:
    yield from (f"# {rule['id']}: {rule['name']}", "")
    yield from (f"**{rule['severity']}**, {rule['stage']}: {prose(rule['message'])}", "")
    for head, key in (("Why it matters", "why"), ("How it comes about", "how"), ("How to mend it", "fix")):
        if rule.get(key):
            yield from (f"## {head}", "", prose(rule[key].strip()), "")
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
        yield from (f"**{example['expect']}**: {prose(example['title'])}{where}", "")
        facts = [f"{name}={value}" for name, value in example.get("facts", {}).items()]
        yield from _code([*facts, *example.get("input", "").strip("\n").splitlines()])
    yield from ("## Evidence", "", *(f"* {prose(line)}" for line in rule["evidence"]), "")
    if rule.get("related"):
        yield f"See also: {', '.join(f'[{other}]({other}.md)' for other in rule['related'])}"


def _code(lines: Any) -> Iterator[str]:
    if lines:
        yield from ("```text", *lines, "```", "")


def message_page(message: Message, catalogue: Catalogue) -> str:
    """What a program prints, and what it comes from."""
    found = [f"# {message.id}", "", f"{message.program} prints:", ""]
    for example in message.examples:
        found += _code([line for line in example.split("\n") if line.strip()])
    found += [f"It means: {prose(message.means)}.", ""]
    about = [f"printed by: {prose(message.versions)}"] if message.versions else []
    if message.program == "pahole":
        about.append(f"for the BTF of that run: {_WEIGHTS[message.weight]}")
    if message.run:
        about.append("looked for only where btfcheck runs pahole itself; in a log anybody may say it")
    found += [*(f"* {line}" for line in about), *([""] if about else [])]
    certainty = message.certainty if len(message.causes) == 1 else "possible"
    found += ["## Where it comes from", "", _SURE[certainty], ""]
    found += [f"What tells it apart: {prose(message.apart)}.", ""] if message.apart else []
    if message.follows:
        others = ", ".join(f"[{name}](../causes.md#{name})" for name in message.follows)
        found += [f"Beside lines that show one of these, it is only what came of that: {others}.", ""]
    for name in message.causes:
        found += _cause(catalogue.causes[name], "###", "../rules/")
    return "\n".join(found)


_WEIGHTS = {
    "noise": "noise, nothing is lost",
    "hint": "a hint, look closer",
    "loss": "a type or function is gone",
    "fatal": "no BTF comes out, or what comes out cannot be used",
}
_SURE = {
    "proven": "Proven: nothing else prints it.",
    "likely": "Likely: one look-alike is left.",
    "possible": "One of these, likeliest first; the rest of the log decides, or all are listed.",
}


def causes_page(catalogue: Catalogue) -> str:
    """Every cause, with the messages that it may show itself by."""
    found = ["# Causes", "", "What `btfcheck explain --log` traces messages to, by the ids that its JSON uses.", ""]
    for cause in catalogue.causes.values():
        found += _cause(cause, "##", "rules/")
        told = [f"[{m.id}](messages/{m.id}.md)" for m in catalogue.messages.values() if cause.id in m.causes]
        found += [f"* messages: {', '.join(told)}", ""] if told else []
        if cause.unless:
            about = prose(catalogue.contexts[cause.unless].about)
            found += [f"Where {about}, it is [{cause.then}](#{cause.then}).", ""]
    return "\n".join(found)


def _cause(cause: Cause, head: str, rules: str) -> Iterator[str]:
    yield from (f"{head} {cause.id}", "", f"**{cause.severity.value}**: {prose(cause.title)}", "", prose(cause.how), "")
    yield from (f"* proof: {prose(cause.prove)}", f"* fix: {prose(cause.fix)}")
    if cause.rules:
        yield f"* rules: {', '.join(f'[{rule}]({rules}{rule}.md)' for rule in cause.rules)}"
    spans = [f"{tool} {span}" for tool, span in (("pahole", cause.pahole), ("Linux", cause.kernel)) if span]
    yield from [f"* only with: {', '.join(spans)}"] if spans else []
    yield ""


# What Markdown would take for markup in plain text: HTML, emphasis.
_ACTIVE = re.compile(r"[<*]|(?<!\w)_|_(?!\w)")


def prose(text: str) -> str:
    """Text in which backticks mark code, and nothing else is markup."""
    parts = text.split("`")
    return "`".join(part if n % 2 else _ACTIVE.sub(r"\\\g<0>", part) for n, part in enumerate(parts))


def code_span(text: str) -> str:
    """Any line as code, for a table too."""
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}"
