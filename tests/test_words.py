# SPDX-License-Identifier: MIT
"""Every btfcheck command that a page, a rule or a message tells people to run is one that the parsers take."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from btfcheck import cli
from btfcheck.commands import VERBS, split_variables
from btfcheck.lint.messages import load as load_messages
from btfcheck.lint.rules import load

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
# A command ends where text goes on: punctuation, a pipe, a comment, a closing bracket or backtick, a plain word.
COMMAND = re.compile(rf"btfcheck ({'|'.join(VERBS)})((?: (?:'[^'\n]*'|[^\s;|#`()]+))*)")
END = re.compile(r" (?:and|tells|names|prints|of|that|with|for|to|says) |[,.:]$| <| >")


def texts() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        if page.name not in ("causes.md", "formats.md", "symbols.md"):  # made by docs/pages.py
            quoted = re.findall(r"`([^`\n]*)`|```\w+\n(.*?)```", page.read_text(), re.S)
            yield from ((page.name, a or b) for a, b in quoted)
    for rule in load().rules.values():
        yield from ((rule.id, text) for text in re.findall(r"`([^`]*)`", f"{rule.why} {rule.how} {rule.fix}"))
    for cause in load_messages().causes.values():
        yield from ((cause.id, text) for text in re.split(r"; |, | \(|\) ", f"{cause.prove}; {cause.fix}"))


def commands() -> list[tuple[str, str, str]]:
    found = {}
    for name, text in texts():
        for verb, words in COMMAND.findall(text.replace("\\|", "|").replace("\\\n", " ")):
            words = END.split(f"{words} ")[0].strip()
            if words:  # the bare verb is a mention
                found[f"{name}: {verb} {words}"] = (name, verb, words.replace("RELEASE", "6.12"))
    return list(found.values())


@pytest.mark.parametrize(("name", "verb", "words"), commands(), ids=lambda x: x)
def test_it_parses(name: str, verb: str, words: str) -> None:  # noqa: ARG001
    parser = cli.verb_parser(verb)[0]
    args = parser.parse_intermixed_args(shlex.split(words.rstrip(".,:")))
    if hasattr(args, "output"):
        cli.parse_output(args.output)
    split_variables(shlex.split(words))


def test_there_are_many() -> None:
    assert {verb for _, verb, _ in commands()} >= set(VERBS) - {"rules"}
    assert len(commands()) > 40
