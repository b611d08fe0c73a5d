# SPDX-License-Identifier: MIT
"""What `explain ID` shows for ids that are no rule's: causes and messages of logs, and questions left open."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from btfcheck.formats.style import Style, printable
from btfcheck.lint.messages import Catalogue, load
from btfcheck.lint.rules import load as load_rules

# Ids of outcomes that say only that something could not be told, or was not known.
_OPEN = {
    "symbol": "`btfcheck explain SYMBOL` could not tell whether a symbol would be granted: a fact is unknown, and the "
    "outcome names it. Give the kernel's release, its source (--tree) or a whole configuration.",
    "type-origin": "`btfcheck explain TYPE FILE` could not tell why a type or function is as it is. The outcome names "
    "what would tell: debug information, the BTF, or what pahole itself says with -V.",
    "unknown-message": "A log has a message about BTF that btfcheck does not know. It is quoted with its line; please "
    "report it with the program that printed it.",
    "log": "What was found in a log as a whole, not in a line of it.",
}


def known(word: str, rules: list[str]) -> bool:
    """Is there a page by that id or name?"""
    return word in _OPEN or load_rules(rules).find(word) is not None or bool(entries(word))


def entries(word: str) -> list[dict[str, Any]]:
    """What is known by an id: as cause, as message, as open question; [] when nothing is."""
    catalogue = load()
    found = []
    if word in catalogue.causes:
        found.append(_cause(catalogue, word))
    if word in catalogue.messages:
        message = catalogue.messages[word]
        found.append({
            "id": word, "what": "message", "title": message.means, "program": message.program,
            "versions": message.versions, "apart": message.apart, "causes": list(message.causes),
            "examples": list(message.examples),
        })  # fmt: skip
    if word in _OPEN:
        found.append({"id": word, "what": "open question", "title": _OPEN[word]})
    return found


def _cause(catalogue: Catalogue, word: str) -> dict[str, Any]:
    cause = catalogue.causes[word]
    return {
        "id": word, "what": "cause", "title": cause.title, "severity": cause.severity.value, "how": cause.how,
        "prove": cause.prove, "fix": cause.fix, "rules": list(cause.rules),
        "messages": [m.id for m in catalogue.messages.values() if word in m.causes],
    }  # fmt: skip


def near(word: str, rules: list[str]) -> list[str]:
    """Ids and names that are like a word."""
    ruleset, catalogue = load_rules(rules), load()
    names = [*ruleset.rules, *(r.name for r in ruleset.rules.values()), *catalogue.causes, *catalogue.messages]
    return get_close_matches(word, names, 3)


_HEADS = (("how", "How it comes about"), ("prove", "How to prove it"), ("fix", "How to mend it"),
          ("program", "Printed by"), ("versions", "Versions"), ("apart", "What tells it from look-alikes"))  # fmt: skip
_LISTS = (("causes", "Causes, the likeliest first"), ("messages", "Messages"), ("rules", "Rules"))


def page(found: list[dict[str, Any]], style: Style) -> Iterator[str]:
    """The entries as text."""
    for number, entry in enumerate(found):
        if number:
            yield ""
        kind = entry.get("severity", "note")
        yield style.paint(kind, f"{entry['what']}[{entry['id']}]")
        yield f"  {printable(' '.join(entry['title'].split()))}"
        for key, head in _HEADS:
            if entry.get(key):
                yield from ("", style.paint("bold", head), *(f"  {printable(x)}" for x in entry[key].splitlines()))
        for key, head in _LISTS:
            if entry.get(key):
                yield from ("", style.paint("bold", head), *(f"  btfcheck explain {name}" for name in entry[key]))
        for example in entry.get("examples", ()):
            yield from ("", style.paint("bold", "Example"), *(f"  {printable(x)}" for x in example.splitlines()))


def markdown_page(found: list[dict[str, Any]]) -> str:
    """The entries in Markdown."""
    lines: list[str] = []
    for entry in found:
        lines += [f"# {entry['id']}", "", f"**{entry['what']}**: {' '.join(entry['title'].split())}", ""]
        for key, head in _HEADS:
            if entry.get(key):
                lines += [f"## {head}", "", entry[key].strip(), ""]
        for key, head in _LISTS:
            if entry.get(key):
                lines += [f"## {head}", "", *(f"* `{name}`" for name in entry[key]), ""]
        for example in entry.get("examples", ()):
            lines += ["## Example", "", "```text", *example.strip("\n").splitlines(), "```", ""]
    return "".join(f"{line}\n" for line in lines)
