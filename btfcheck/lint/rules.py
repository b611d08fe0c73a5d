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
from dataclasses import dataclass, field
from typing import Any

from btfcheck.lint.expr import Expr, ExprError
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
class Example:
    """One case of a rule: facts (config, toolchain) or an input (DWARF, BTF), and what must come of it."""

    title: str
    expect: str
    facts: Mapping[str, str] = field(default_factory=dict)
    kernel: str = ""
    arch: str = ""
    input: str = ""


@dataclass(frozen=True)
class Rule:
    """A rule as its file states it. Without `when`, the Python check `check` yields its outcomes.

    `kernel` are the releases it is about (empty: all); `kernel_unknown` those for which
    nobody has read whether it holds.
    """

    id: str
    name: str
    severity: Severity
    stage: str
    message: str
    why: str
    fix: str
    subject: str = ""
    applies: Expr | None = None
    when: Expr | None = None
    check: str = ""
    how: str = ""
    fragment: tuple[str, ...] = ()
    kernel: tuple[Span, ...] = ()
    kernel_unknown: tuple[Span, ...] = ()
    kernel_text: tuple[str, ...] = ()
    pahole: str = ""
    evidence: tuple[str, ...] = ()
    related: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()
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
    value: Expr
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
    symbols: dict[str, Symbol] = {}
    derived: dict[str, Derived] = {}
    tables: list[tuple[str, str, dict[str, Any]]] = []
    for directory in [shipped_directory(), *directories]:
        for path in _files(directory):
            data = _toml(path)
            base = os.path.basename(path)
            if base == "symbols.toml":
                symbols |= {n: _symbol(path, n, t) for n, t in data.items()}
            elif base == "derived.toml":
                derived |= {n: _derived(path, n, t) for n, t in data.items()}
            elif base != "messages.toml":
                tables += [(path, name, table) for name, table in data.items()]
    known = symbols.keys() | derived.keys()
    for item in derived.values():
        _check_symbols(item.value, known, f"derived.toml: [{item.name}] value")
    rules: dict[str, Rule] = {}
    for path, name, table in tables:
        rule = _rule(path, name, table, known)
        if name in rules:
            raise UsageError(f"{path}: [{name}]: this id is taken by {rules[name].source}")
        if other := next((r for r in rules.values() if r.name == rule.name), None):
            raise UsageError(f"{path}: [{name}] name: {rule.name!r} is the name of {other.id}")
        rules[name] = rule
    for rule in rules.values():
        for other_id in rule.related:
            if other_id not in rules:
                raise UsageError(f"{rule.source}: [{rule.id}] related: there is no rule {other_id}")
    kept = {n: r for n, r in sorted(rules.items()) if r.stage in stages}
    return RuleSet(kept, symbols, derived)


def _files(directory: str) -> Iterator[str]:
    try:
        names = sorted(os.listdir(directory))
    except OSError as error:
        raise UsageError(f"--rules {directory}: {error.strerror}") from error
    found = [os.path.join(directory, n) for n in names if n.endswith(".toml")]
    if not found:
        raise UsageError(f"--rules {directory}: no *.toml file in it")
    yield from found


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


def _symbol(path: str, name: str, table: dict[str, Any]) -> Symbol:
    where = f"{path}: [{name}]"
    _keys(where, table, _SYMBOL_KEYS)
    _choice(f"{where} kind", table["kind"], ("config", "tool", "context"))
    return Symbol(name, **table)


def _derived(path: str, name: str, table: dict[str, Any]) -> Derived:
    where = f"{path}: [{name}]"
    _keys(where, table, _DERIVED_KEYS)
    return Derived(name, _expr(f"{where} value", table["value"]), table["about"])


def _expr(where: str, text: str) -> Expr:
    try:
        return parse_expr(text)
    except ExprError as error:
        raise UsageError(f"{where}: bad expression {text!r}: {error}") from error


def _check_symbols(expr: Expr, known: Mapping[str, Any] | set[str], where: str) -> None:
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


def _rule(path: str, name: str, table: dict[str, Any], known: set[str]) -> Rule:
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
    exprs = {key: _expr(f"{where} {key}", table[key]) for key in ("applies", "when") if key in table}
    for key, expr in exprs.items():
        _check_symbols(expr, known, f"{where} {key}")
    spans = {
        key: tuple(span(f"{where} {key}", text) for text in table.get(key, ()))
        for key in ("kernel", "kernel_unknown")
    }
    examples = tuple(_example(f"{where} example {i}", e, known) for i, e in enumerate(table["example"], 1))
    return Rule(
        id=name,
        name=table["name"],
        severity=Severity(_choice(f"{where} severity", table["severity"], [s.value for s in Severity])),
        stage=_choice(f"{where} stage", table["stage"], STAGES),
        message=table["message"],
        why=table["why"].strip(),
        fix=table["fix"].strip(),
        subject=table.get("subject", ""),
        applies=exprs.get("applies"),
        when=exprs.get("when"),
        check=table.get("check", ""),
        how=table.get("how", "").strip(),
        fragment=tuple(table.get("fragment", ())),
        kernel=spans["kernel"],
        kernel_unknown=spans["kernel_unknown"],
        kernel_text=tuple(table.get("kernel", ())),
        pahole=table.get("pahole", ""),
        evidence=tuple(table["evidence"]),
        related=tuple(table.get("related", ())),
        examples=examples,
        source=path,
    )


def _example(where: str, table: Any, known: set[str]) -> Example:
    if not isinstance(table, dict):
        raise UsageError(f"{where}: a table is expected")
    _keys(where, table, _EXAMPLE_KEYS)
    _choice(f"{where} expect", table["expect"], EXPECT)
    facts = table.get("facts", {})
    for name, value in facts.items():
        if not isinstance(value, str):
            raise UsageError(f"{where} facts.{name}: a string expected, as in {name} = \"y\"")
        if name not in known and _PREFIX.sub("", name, count=1) not in known:
            raise UsageError(f"{where} facts: nobody knows the symbol {name}")
    return Example(**table)
