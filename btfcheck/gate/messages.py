# SPDX-License-Identifier: MIT
"""What a pahole printed while it ran. It prints the same lines for noise and for lost types, and mostly exits 0."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

from btfcheck.lint import messages
from btfcheck.lint.messages import HINT, NOISE, WEIGHTS
from btfcheck.model import Severity


class Message(NamedTuple):
    """Lines of one meaning: how many, and the first one as printed. `weight` is one of lint.messages.WEIGHTS."""

    name: str
    weight: str
    lines: int
    example: str
    text: str


_LINE = 300
_catalogue = functools.cache(messages.load)  # a gate asks for each of a thousand modules
_DISTINCT = 50_000  # different lines that are looked at


def explain(lines: Iterable[str], version: int | None = None) -> list[Message]:
    """The lines of a pahole of this `version` (125 is 1.25) by meaning, the heaviest first.

    The meanings are those of rules/messages.toml; a line that is not there is called "other".
    """
    found: dict[str, Message] = {}
    for line, times in islice(Counter(lines).items(), _DISTINCT):
        line = line.strip()
        if not line:
            continue
        name, weight, text = _meaning(line, version)
        known = found.get(name) or Message(name, weight, 0, line[:_LINE], text)
        found[name] = known._replace(lines=known.lines + times)
    return sorted(found.values(), key=lambda message: -WEIGHTS.index(message.weight))


def _meaning(line: str, version: int | None) -> tuple[str, str, str]:
    catalogue = _catalogue()
    for message in catalogue.messages.values():
        if not message.record and message.match(line):
            causes = [catalogue.causes[name] for name in catalogue.open(message.causes, version)]
            # Where the version rules the harmful causes out, the line is harmless, and that is said.
            if len(causes) < len(message.causes) and all(c.severity is Severity.NOTE for c in causes):
                return message.id, NOISE, causes[0].title
            return message.id, message.weight, message.means
    return "other", HINT, "a message that is not in the table"


# -V, from 1.25 on: `f (f): skipping BTF encoding of function due to X`, `f : skipping BTF encoding of function
# due to X`, `skipping addition of 'f'(f) due to X`.
_SKIPPED = re.compile(
    r"^(?:skipping addition of '(?P<old>[^']+)'.*|(?P<new>[^\s(:]+) ?(?:\([^)]*\))? ?: skipping .*)"
    r" due to (?P<why>.+?)\s*$"
)


def skipped_functions(lines: Iterable[str]) -> dict[str, str]:
    """Function -> why pahole says (with -V) that it left it out."""
    found: dict[str, str] = {}
    for line in lines:
        if " due to " in line and (match := _SKIPPED.match(line)):
            found.setdefault(match["old"] or match["new"], match["why"])
    return found
