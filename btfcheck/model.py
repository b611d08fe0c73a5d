# SPDX-License-Identifier: MIT
"""The values that everything else passes on: facts, outcomes, reports, and the errors.

Named tuples, not dataclasses: their import and making would be a third of the time that
`btfcheck check` takes.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple


class BtfcheckError(Exception):
    """Base of every error that is told to the user in one line."""

    exit_code = 70


class UsageError(BtfcheckError):
    """Wrong usage, a bad rule or policy file (exit 2)."""

    exit_code = 2


class InputError(BtfcheckError):
    """An input that cannot be read or understood (exit 3)."""

    exit_code = 3


class Severity(str, Enum):
    """How much a finding matters."""

    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        return ("note", "warning", "error").index(self.value)


class Status(str, Enum):
    """What came of one rule on one subject. Unknown and error are never ok."""

    OK = "ok"
    FINDING = "finding"
    SKIP = "skip"
    UNKNOWN = "unknown"
    ERROR = "error"


class Location(NamedTuple):
    """Where something stands: a file and line, or a place inside a file that has no lines.

    `text` is the line as it stands there; `logical` names a section, unit, DIE or BTF type.
    """

    path: str
    line: int | None = None
    text: str = ""
    logical: str = ""

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else self.path
        return f"{place} [{self.logical}]" if self.logical else place

    def data(self) -> dict[str, Any]:
        """As plain data for JSON: what is empty is left out."""
        return {k: v for k, v in self._asdict().items() if k == "path" or v not in ("", None)}


class Fact(NamedTuple):
    """A name in Kconfig's spelling (no CONFIG_), its value, and where it came from.

    `value` is "y", "m", "n", a decimal or hexadecimal number, or a string as Kconfig
    has it, unquoted; None means unknown, and then `reason` says why. `live` facts
    come from a tool that was run now, the others are recorded in a file.
    """

    name: str
    value: str | None
    source: Location
    live: bool = False
    reason: str = ""

    def data(self) -> dict[str, Any]:
        """As plain data for JSON, without the name."""
        data = {"value": self.value, "source": self.source.data(), "live": self.live}
        return data | ({"reason": self.reason} if self.reason else {})


class Outcome(NamedTuple):
    """What one rule says of one subject; with Status.FINDING it is a finding.

    `subject` is a stable name (a symbol, a unit, a BTF type), free of offsets, line
    numbers and build paths. `key` tells apart several findings of one rule on one
    subject, under the same condition. `missing` names what an unknown would need.
    """

    rule: str
    status: Status
    severity: Severity
    subject: str
    message: str = ""
    locations: tuple[Location, ...] = ()
    facts: tuple[Fact, ...] = ()
    notes: tuple[str, ...] = ()
    fix: str = ""
    fragment: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    confidence: str = "proven"
    key: str = ""

    @property
    def fingerprint(self) -> str:
        """16 hex digits that stay the same from build to build."""
        from hashlib import sha256

        text = f"{self.rule}\0{self.subject}\0{self.key}"
        return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


class Report:
    """Everything a verb found out.

    `data` holds the verb's own plain data under its key ("facts", "files", "verdicts" ...).
    `nothing` says why there was nothing to check (exit 4), else it is empty. `fail_on` is the least severity
    that makes the exit code 1, or "never"; `allow_unknown` that what is unknown does not make it 3. `page` is a
    whole page in Markdown, for a verb that prints one.
    """

    def __init__(
        self,
        command: str,
        outcomes: list[Outcome] | None = None,
        data: dict[str, Any] | None = None,
        nothing: str = "",
        fail_on: str = "error",
    ) -> None:
        self.command = command
        self.outcomes = [] if outcomes is None else outcomes
        self.data = {} if data is None else data
        self.nothing = nothing
        self.fail_on = fail_on
        self.allow_unknown = False
        self.page = ""

    def count(self, status: Status, severity: Severity | None = None) -> int:
        return sum(
            1 for o in self.outcomes if o.status is status and (severity is None or o.severity is severity)
        )
