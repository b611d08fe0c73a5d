# SPDX-License-Identifier: MIT
"""rules/messages.toml: what programs print about BTF and Rust, and what it means. Read strictly.

`explain --log` reads logs by it, and the gate what a pahole prints that it runs itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from btfcheck.lint import stored, tomlfile
from btfcheck.lint.rules import shipped_directory
from btfcheck.lint.vocabulary import span
from btfcheck.model import Severity, UsageError
from btfcheck.release import Release

# What became of the BTF when pahole printed a line: nothing, look closer, a type or function is gone, none came out.
NOISE, HINT, LOSS, FATAL = WEIGHTS = ("noise", "hint", "loss", "fatal")


class Cause(NamedTuple):
    """What is wrong, or is not. Where context `unless` was seen, it is cause `then` instead.

    `pahole` ("..127") and `kernel` ("..5.19") are the releases in which it can be; empty: all.
    """

    id: str
    title: str
    severity: Severity
    how: str
    prove: str
    fix: str
    rules: tuple[str, ...] = ()
    unless: str = ""
    then: str = ""
    pahole: str = ""
    kernel: str = ""

    def possible(self, pahole: int | None, kernel: Release | None) -> bool:
        """Whether these releases leave it open; None is a release that nobody knows."""
        if self.pahole and pahole is not None:
            first, _, last = self.pahole.partition("..")
            if not int(first or 0) <= pahole <= int(last or 999):
                return False
        return not self.kernel or kernel is None or span(self.id, self.kernel).covers(kernel)


class Message(NamedTuple):
    """A line that a program prints. `find`: texts of which every such line has one.

    `record`: it is matched against a whole record of the kernel's BTF checker. `causes` are ids,
    likeliest first; `follows` are causes that show themselves by other lines, of which this one then
    is a consequence. `certainty` ("proven" or "likely") counts where there is only one. `weight`
    is one of WEIGHTS: what a line of pahole's means for the BTF of that run. `run`: it counts only
    in what a pahole prints that btfcheck runs.
    """

    id: str
    program: str
    pattern: re.Pattern[str]
    means: str
    causes: tuple[str, ...]
    examples: tuple[str, ...]
    find: tuple[str, ...] = ()
    record: bool = False
    certainty: str = "proven"
    apart: str = ""
    versions: str = ""
    weight: str = HINT
    run: bool = False
    follows: tuple[str, ...] = ()

    def match(self, text: str) -> re.Match[str] | None:
        if self.find and not any(word in text for word in self.find):
            return None
        return self.pattern.search(text)


class Context(NamedTuple):
    """Something else that a log may show, and that changes what a message means.

    Groups of the pattern named `pahole` and `kernel` are their releases.
    """

    id: str
    find: tuple[str, ...]
    pattern: re.Pattern[str]
    about: str
    examples: tuple[str, ...]


class Catalogue(NamedTuple):
    """Messages in the order in which they are tried."""

    messages: Mapping[str, Message]
    causes: Mapping[str, Cause]
    contexts: Mapping[str, Context]

    def open(self, names: Iterable[str], pahole: int | None = None, kernel: Release | None = None) -> list[str]:
        """The causes that are possible with these releases; all of them when none is."""
        names = list(names)
        return [n for n in names if self.causes[n].possible(pahole, kernel)] or names


_TABLES: dict[str, tuple[Any, frozenset[str]]] = {
    "cause": (Cause, frozenset(("title", "severity", "how", "prove", "fix", "rules"))),
    "message": (Message, frozenset(("program", "pattern", "means", "causes", "examples"))),
    "context": (Context, frozenset(("find", "pattern", "about", "examples"))),
}
_PAHOLE_SPAN = re.compile(r"(?:1\d\d)?\.\.(?:1\d\d)?")


def load(path: str | None = None) -> Catalogue:
    """The shipped messages, or those of a file.

    Raises UsageError naming file, table and key.
    """
    data = tomlfile.read(path) if path else None
    if data is None:
        path = os.path.join(shipped_directory(), "messages.toml")
        data = stored.get([path], lambda: {path: tomlfile.read(path)})[path]
    found: dict[str, dict[str, Any]] = {name: {} for name in _TABLES}
    for kind, entries in data.items():
        if kind not in _TABLES:
            raise UsageError(f"{path}: [{kind}]: unknown table; known: {', '.join(_TABLES)}")
        for name, table in entries.items():
            found[kind][name] = _entry(f"{path}: [{kind}.{name}]", kind, name, table)
    catalogue = Catalogue(found["message"], found["cause"], found["context"])
    for message in catalogue.messages.values():
        _check_message(f"{path}: [message.{message.id}]", message, catalogue)
    for cause in catalogue.causes.values():
        _known(f"{path}: [cause.{cause.id}] then", [cause.then] if cause.then else [], catalogue.causes)
        _known(f"{path}: [cause.{cause.id}] unless", [cause.unless] if cause.unless else [], catalogue.contexts)
        if cause.pahole and not _PAHOLE_SPAN.fullmatch(cause.pahole):
            raise UsageError(f"{path}: [cause.{cause.id}] pahole: {cause.pahole!r} is not like '..127' or '128..129'")
        if cause.kernel:
            span(f"{path}: [cause.{cause.id}] kernel", cause.kernel)
    return catalogue


def _check_message(where: str, message: Message, catalogue: Catalogue) -> None:
    _known(f"{where} causes", message.causes, catalogue.causes)
    _known(f"{where} follows", message.follows, catalogue.causes)
    if bool(message.find) == message.record:
        raise UsageError(f"{where}: 'find' is for lines, 'record' for the kernel's records")
    if message.weight not in WEIGHTS:
        raise UsageError(f"{where} weight: {message.weight!r} is not one of {', '.join(WEIGHTS)}")


def _entry(where: str, kind: str, name: str, table: dict[str, Any]) -> Any:
    make, required = _TABLES[kind]
    for key in table:
        if key not in make._fields or key == "id":
            raise UsageError(f"{where} {key}: unknown key; known: {', '.join(make._fields[1:])}")
    required |= {"weight"} if table.get("program") == "pahole" else set()
    for key in sorted(required - set(table)):
        raise UsageError(f"{where} {key}: missing")
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in table.items()}
    try:
        if "severity" in values:
            values["severity"] = Severity(values["severity"])
        if "pattern" in values:
            values["pattern"] = re.compile(values["pattern"])
    except (ValueError, re.error) as error:
        raise UsageError(f"{where}: {error}") from error
    if isinstance(values.get("find"), str):
        values["find"] = (values["find"],)
    return make(name, **{k: v.strip() if type(v) is str else v for k, v in values.items()})


def _known(where: str, names: Any, known: Mapping[str, Any]) -> None:
    for name in names:
        if name not in known:
            raise UsageError(f"{where}: there is no {name}")
