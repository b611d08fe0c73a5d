# SPDX-License-Identifier: MIT
"""rules/messages.toml: what programs print about BTF and Rust, and what it means. Read strictly."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from btfcheck.lint import tomlfile
from btfcheck.lint.rules import shipped_directory
from btfcheck.model import Severity, UsageError


class Cause(NamedTuple):
    """What is wrong, or is not. Where context `unless` was seen, it is cause `then` instead."""

    id: str
    title: str
    severity: Severity
    how: str
    prove: str
    fix: str
    rules: tuple[str, ...] = ()
    unless: str = ""
    then: str = ""


class Message(NamedTuple):
    """A line that a program prints. `find`: texts of which every such line has one.

    `record`: it is matched against a whole record of the kernel's BTF checker. `causes` are ids,
    likeliest first. `certainty` ("proven" or "likely") counts where there is only one.
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


class Context(NamedTuple):
    """Something else that a log may show, and that changes what a message means."""

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


_TABLES: dict[str, tuple[Any, frozenset[str]]] = {
    "cause": (Cause, frozenset(("title", "severity", "how", "prove", "fix", "rules"))),
    "message": (Message, frozenset(("program", "pattern", "means", "causes", "examples"))),
    "context": (Context, frozenset(("find", "pattern", "about", "examples"))),
}


def load(path: str | None = None) -> Catalogue:
    """The shipped messages, or those of a file.

    Raises UsageError naming file, table and key.
    """
    path = path or os.path.join(shipped_directory(), "messages.toml")
    data = tomlfile.read(path)
    found: dict[str, dict[str, Any]] = {name: {} for name in _TABLES}
    for kind, entries in data.items():
        if kind not in _TABLES:
            raise UsageError(f"{path}: [{kind}]: unknown table; known: {', '.join(_TABLES)}")
        for name, table in entries.items():
            found[kind][name] = _entry(f"{path}: [{kind}.{name}]", kind, name, table)
    catalogue = Catalogue(found["message"], found["cause"], found["context"])
    for message in catalogue.messages.values():
        _known(f"{path}: [message.{message.id}] causes", message.causes, catalogue.causes)
        if bool(message.find) == message.record:
            raise UsageError(f"{path}: [message.{message.id}]: 'find' is for lines, 'record' for the kernel's records")
    for cause in catalogue.causes.values():
        _known(f"{path}: [cause.{cause.id}] then", [cause.then] if cause.then else [], catalogue.causes)
        _known(f"{path}: [cause.{cause.id}] unless", [cause.unless] if cause.unless else [], catalogue.contexts)
    return catalogue


def _entry(where: str, kind: str, name: str, table: dict[str, Any]) -> Any:
    make, required = _TABLES[kind]
    for key in table:
        if key not in make._fields or key == "id":
            raise UsageError(f"{where} {key}: unknown key; known: {', '.join(make._fields[1:])}")
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
