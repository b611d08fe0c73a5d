# SPDX-License-Identifier: MIT
"""Rule files: `*.toml` to Rule values, checked strictly.

A rule file holds one table per rule, named by its id. `symbols.toml` beside it names the
symbols that expressions may use, and `derived.toml` the facts that follow from others.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from btfcheck.lint import stored
from btfcheck.lint.expr import ExprError
from btfcheck.lint.expr import parse as parse_expr
from btfcheck.model import Severity, UsageError
from btfcheck.release import Release
from btfcheck.release import parse as parse_release

_ID = re.compile(r"BTF[0-9]{3}")
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_PREFIX = re.compile(r"(RECORDED|LIVE|WANT)_")
_SPAN = re.compile(r"([^.\s][^\s]*?)?\s*\.\.\s*([^\s]*)")
STAGES = ("config", "toolchain", "dwarf", "btf", "encode")
EXPECT = ("finding", "ok", "skip", "unknown")

# Ids that once had a rule; they are never given to another.
RETIRED: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Span:
    """Kernel releases from `first` to `last`, both included; None is open.

    A `last` of "6.12.*" takes every point release of that series.
    """

    first: Release | None
    last: Release | None
    whole_series: bool = False

    def __contains__(self, release: Release) -> bool:
        if self.first and release < self.first:
            return False
        if self.last is None or release <= self.last:
            return True
        return self.whole_series and (release.major, release.minor) == (self.last.major, self.last.minor)


@dataclass(frozen=True)
class Rule:
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


@dataclass(frozen=True)
class Symbol:
    """A symbol that expressions may name. `kind` is config, tool or context; `supply` says how to give it."""

    name: str
    kind: str
    about: str
    supply: str = ""


@dataclass(frozen=True)
class Derived:
    """A fact that follows from others by an expression, where it is not probed or recorded itself."""

    name: str
    value: str
    about: str


@dataclass(frozen=True)
class RuleSet:
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
    files = stored.get(paths, lambda: _read_and_check(paths, set(stages) == set(STAGES)))
    rules: dict[str, Rule] = {}
    symbols: dict[str, Symbol] = {}
    derived: dict[str, Derived] = {}
    for path, tables in files.items():
        kind = _file_kind(path)
        for name, table in tables.items():
            if kind == "symbols":
                symbols[name] = Symbol(name, **table)
            elif kind == "derived":
                derived[name] = Derived(name, **table)
            elif table["stage"] in stages:
                rules[name] = _rule(path, name, table)
    return RuleSet(dict(sorted(rules.items())), symbols, derived)


def _read_and_check(paths: Sequence[str], every_stage: bool) -> dict[str, dict[str, Any]]:
    """The tables of all files, after every check that a rule file must pass."""
    files = {path: _toml(path) for path in paths}
    entries = [(path, _file_kind(path), name, table) for path in files for name, table in files[path].items()]
    known = {name for _, kind, name, _ in entries if kind != "rules"}
    owner: dict[str, str] = {}
    for path, kind, name, table in entries:
        if kind == "rules":
            _check_rule(path, name, table, known)
            for word in (name, table["name"]):
                if word in owner:
                    raise UsageError(f"{path}: [{name}]: {word!r} is taken by {owner[word]}")
                owner[word] = f"{path}: [{name}]"
        else:
            _check_entry(path, name, table, kind, known)
    for path, _, name, table in entries if every_stage else ():
        for other in table.get("related", ()):
            if other not in owner:
                raise UsageError(f"{path}: [{name}] related: there is no rule {other}")
    return files


def _file_kind(path: str) -> str:
    base = os.path.basename(path)
    return base.removesuffix(".toml") if base in ("symbols.toml", "derived.toml") else "rules"


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


def _toml(path: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        with open(path, "rb") as stream:
            data: dict[str, Any] = tomllib.load(stream)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path}: not TOML: {error}") from error
    for name, table in data.items():
        if not isinstance(table, dict):
            raise UsageError(f"{path}: {name}: a table is expected, as in [{name}]")
    return data


# key -> (type, required)
_RULE_KEYS: dict[str, tuple[type, bool]] = {
    "name": (str, True), "severity": (str, True), "stage": (str, True), "message": (str, True),
    "why": (str, True), "fix": (str, True), "subject": (str, False), "applies": (str, False),
    "when": (str, False), "check": (str, False), "how": (str, False), "fragment": (list, False),
    "kernel": (list, False), "kernel_unknown": (list, False), "pahole": (str, False),
    "evidence": (list, True), "related": (list, False), "example": (list, True),
}  # fmt: skip
_EXAMPLE_KEYS: dict[str, tuple[type, bool]] = {
    "title": (str, True), "expect": (str, True), "facts": (dict, False), "kernel": (str, False),
    "arch": (str, False), "input": (str, False),
}  # fmt: skip
_SYMBOL_KEYS: dict[str, tuple[type, bool]] = {
    "kind": (str, True), "about": (str, True), "supply": (str, False),
}  # fmt: skip
_DERIVED_KEYS: dict[str, tuple[type, bool]] = {"value": (str, True), "about": (str, True)}


def _keys(where: str, table: dict[str, Any], keys: dict[str, tuple[type, bool]]) -> None:
    for key, value in table.items():
        if key not in keys:
            raise UsageError(f"{where} {key}: unknown key; known: {', '.join(sorted(keys))}")
        kind = keys[key][0]
        if not isinstance(value, kind):
            raise UsageError(f"{where} {key}: {kind.__name__} expected, not {type(value).__name__}")
        if isinstance(value, list) and key != "example" and not all(isinstance(v, str) for v in value):
            raise UsageError(f"{where} {key}: a list of strings expected")
    for key, (_, required) in keys.items():
        if required and key not in table:
            raise UsageError(f"{where} {key}: missing")


def _choice(where: str, value: str, known: Sequence[str]) -> str:
    if value not in known:
        raise UsageError(f"{where}: {value!r} is not one of {', '.join(known)}")
    return value


def _check_entry(path: str, name: str, table: dict[str, Any], kind: str, known: set[str]) -> None:
    where = f"{path}: [{name}]"
    _keys(where, table, _SYMBOL_KEYS if kind == "symbols" else _DERIVED_KEYS)
    if kind == "symbols":
        _choice(f"{where} kind", table["kind"], ("config", "tool", "context"))
    else:
        _check_expr(f"{where} value", table["value"], known)


def _check_expr(where: str, text: str, known: set[str]) -> None:
    try:
        expr = parse_expr(text)
    except ExprError as error:
        raise UsageError(f"{where}: bad expression {text!r}: {error}") from error
    for name in expr.symbols():
        if name not in known and _PREFIX.sub("", name, count=1) not in known:
            raise UsageError(
                f"{where}: nobody knows the symbol {name}; name it in a symbols.toml beside the rule file"
            )


def span(where: str, text: str) -> Span:
    """A Span from "6.14..", "..6.11", "6.12.117..6.12.*" or "6.9" (that series)."""
    match = _SPAN.fullmatch(text)
    first, last = match.groups() if match else (text, f"{text}.*")
    try:
        low = parse_release(first) if first else None
        high = parse_release(last.removesuffix(".*")) if last else None
    except Exception as error:
        raise UsageError(f"{where}: bad kernel range {text!r}: {error}") from error
    # A bare series as the end ("..6.11") means all of its point releases.
    series = bool(last) and (last.endswith(".*") or last.count(".") == 1)
    return Span(low, high, series)


def _check_rule(path: str, name: str, table: dict[str, Any], known: set[str]) -> None:
    where = f"{path}: [{name}]"
    if not _ID.fullmatch(name):
        raise UsageError(f"{where}: a rule id is BTF and three digits")
    if name in RETIRED:
        raise UsageError(f"{where}: this id is retired and not used again")
    _keys(where, table, _RULE_KEYS)
    if not _SLUG.fullmatch(table["name"]):
        raise UsageError(f"{where} name: {table['name']!r} is not lower-case words with hyphens")
    if ("when" in table) == ("check" in table):
        raise UsageError(f"{where}: exactly one of 'when' and 'check' is needed")
    _choice(f"{where} severity", table["severity"], [s.value for s in Severity])
    _choice(f"{where} stage", table["stage"], STAGES)
    for key in ("applies", "when"):
        if key in table:
            _check_expr(f"{where} {key}", table[key], known)
    for key in ("kernel", "kernel_unknown"):
        for text in table.get(key, ()):
            span(f"{where} {key}", text)
    for number, example in enumerate(table["example"], 1):
        _check_example(f"{where} example {number}", example, known)


def _check_example(where: str, table: Any, known: set[str]) -> None:
    if not isinstance(table, dict):
        raise UsageError(f"{where}: a table is expected")
    _keys(where, table, _EXAMPLE_KEYS)
    _choice(f"{where} expect", table["expect"], EXPECT)
    for name, value in table.get("facts", {}).items():
        if not isinstance(value, str):
            raise UsageError(f'{where} facts.{name}: a string expected, as in {name} = "y"')
        if name not in known and _PREFIX.sub("", name, count=1) not in known:
            raise UsageError(f"{where} facts: nobody knows the symbol {name}")


def _rule(path: str, name: str, table: dict[str, Any]) -> Rule:
    """A Rule from a table that was checked."""
    data = dict(table)
    data["severity"] = Severity(data["severity"])
    data["examples"] = tuple(data.pop("example"))
    for key in ("fragment", "kernel", "kernel_unknown", "evidence", "related"):
        data[key] = tuple(data.get(key, ()))
    return Rule(id=name, source=path, **data)
