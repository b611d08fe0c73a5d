# SPDX-License-Identifier: MIT
"""Rule files as people write them: TOML, read and checked strictly.

A rule file holds one table per rule, named by its id. `symbols.toml` beside it names the
symbols that expressions may use, and `derived.toml` the facts that follow from others.
Every mistake is told with file, table and key.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from btfcheck.lint import tomlfile
from btfcheck.lint.expr import ExprError
from btfcheck.lint.expr import parse as parse_expr
from btfcheck.lint.vocabulary import EXPECT, RETIRED, STAGES, file_kind, span
from btfcheck.model import Severity, UsageError

_ID = re.compile(r"BTF[0-9]{3}")
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_PREFIX = re.compile(r"(RECORDED|LIVE|WANT)_")


def read(paths: Sequence[str], every_stage: bool) -> dict[str, dict[str, Any]]:
    """The tables of all files, after every check that a rule file must pass."""
    files = {path: _tables(path) for path in paths}
    entries = [(path, file_kind(path), name, table) for path in files for name, table in files[path].items()]
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


def _tables(path: str) -> dict[str, Any]:
    data = tomlfile.read(path)
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
    "kind": (str, True), "about": (str, True), "supply": (str, False), "boolean": (bool, False),
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
