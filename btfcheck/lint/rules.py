# SPDX-License-Identifier: MIT
"""Rules: values, where their files lie, and how they are loaded."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from btfcheck.lint import stored
from btfcheck.lint.vocabulary import STAGES, file_kind
from btfcheck.model import Severity, UsageError


class Rule(NamedTuple):
    """A rule as its file states it. Without `when`, the Python check `check` yields its outcomes.

    `kernel` are the spans of releases it is about (empty: all), `kernel_unknown` those for
    which nobody has read whether it holds; `applies` and `when` are expressions.
    """

    id: str
    name: str
    severity: Severity
    stage: str
    message: str
    why: str
    fix: str
    subject: str = ""
    applies: str = ""
    when: str = ""
    check: str = ""
    how: str = ""
    fragment: tuple[str, ...] = ()
    kernel: tuple[str, ...] = ()
    kernel_unknown: tuple[str, ...] = ()
    pahole: str = ""
    evidence: tuple[str, ...] = ()
    related: tuple[str, ...] = ()
    examples: tuple[Mapping[str, Any], ...] = ()
    source: str = ""


class Symbol(NamedTuple):
    """A symbol that expressions may name. `kind` is config, tool or context; `supply` says how to give it.

    `boolean` marks a tool's answer that Kconfig keeps as a bool.
    """

    name: str
    kind: str
    about: str
    supply: str = ""
    boolean: bool = False


class Derived(NamedTuple):
    """A fact that follows from others by an expression, where it is not probed or recorded itself."""

    name: str
    value: str
    about: str


class RuleSet(NamedTuple):
    """Everything that the rule files say."""

    rules: Mapping[str, Rule]
    symbols: Mapping[str, Symbol]
    derived: Mapping[str, Derived]

    def find(self, word: str) -> Rule | None:
        """A rule by id or slug, in any case."""
        rule = self.rules.get(word.upper())
        return rule or next((r for r in self.rules.values() if r.name == word.lower()), None)


def shipped_directory() -> str:
    """The directory of the shipped rules: in the wheel, else beside the package."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    inside = os.path.join(package, "rules")
    return inside if os.path.isdir(inside) else os.path.join(os.path.dirname(package), "rules")


def load(directories: Sequence[str] = (), stages: Sequence[str] = STAGES) -> RuleSet:
    """The shipped rules and those of `directories`; only rules of `stages` are kept.

    Raises UsageError naming file, table and key.
    """
    paths = [p for d in [shipped_directory(), *directories] for p in _files(d, stages)]
    files = stored.get(paths, lambda: _read(paths, set(stages) == set(STAGES)))
    rules: dict[str, Rule] = {}
    symbols: dict[str, Symbol] = {}
    derived: dict[str, Derived] = {}
    for path, tables in files.items():
        kind = file_kind(path)
        for name, table in tables.items():
            if kind == "symbols":
                symbols[name] = Symbol(name, **table)
            elif kind == "derived":
                derived[name] = Derived(name, **table)
            elif table["stage"] in stages:
                rules[name] = _rule(path, name, table)
    return RuleSet(dict(sorted(rules.items())), symbols, derived)


def _read(paths: Sequence[str], every_stage: bool) -> stored.Files:
    from btfcheck.lint import rulefile

    return rulefile.read(paths, every_stage)


def _files(directory: str, stages: Sequence[str]) -> Iterator[str]:
    """The rule files of a directory; shipped ones are named for their stage, so others need not be read."""
    try:
        names = sorted(os.listdir(directory))
    except OSError as error:
        raise UsageError(f"--rules {directory}: {error.strerror}") from error
    found = [n for n in names if n.endswith(".toml") and n != "messages.toml"]
    if not found:
        raise UsageError(f"--rules {directory}: no *.toml file in it")
    left_out = {f"{s}.toml" for s in STAGES if s not in stages}
    yield from (os.path.join(directory, n) for n in found if n not in left_out)


def _rule(path: str, name: str, table: dict[str, Any]) -> Rule:
    """A Rule from a table that was checked."""
    data = dict(table)
    data["severity"] = Severity(data["severity"])
    data["examples"] = tuple(data.pop("example"))
    for key in ("fragment", "kernel", "kernel_unknown", "evidence", "related"):
        data[key] = tuple(data.get(key, ()))
    return Rule(id=name, source=path, **data)
