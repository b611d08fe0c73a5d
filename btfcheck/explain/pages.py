# SPDX-License-Identifier: MIT
"""Pages: a rule, and a symbol that was asked about, as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from btfcheck.formats.style import Style, printable

_MOST_WAYS = 8
_MOST_NAMES = 12


def rule_page(rule: dict[str, Any], style: Style) -> Iterator[str]:
    """A rule as text."""
    yield style.paint(rule["severity"], f"{rule['severity']}[{rule['id']}]") + style.paint(
        "bold", f" {rule['name']}"
    )
    yield f"  {rule['message']}"
    for head, key in (("Why it matters", "why"), ("How it comes about", "how"), ("How to mend it", "fix")):
        if rule.get(key):
            yield from ("", style.paint("bold", head), *(f"  {line}" for line in rule[key].splitlines()))
    yield from (f"      {line}" for line in rule.get("fragment", ()))
    yield from ("", style.paint("bold", "When"))
    if rule.get("applies"):
        yield f"  applies to   {rule['applies']}"
    yield f"  condition    {rule.get('when') or 'checked in Python: ' + rule['check']}"
    yield f"  kernel       {', '.join(rule.get('kernel', ())) or 'every release'}"
    if rule.get("pahole"):
        yield f"  pahole       {rule['pahole']}"
    yield from ("", style.paint("bold", "Examples"))
    for example in rule["examples"]:
        facts = " ".join(f"{k}={v}" for k, v in example.get("facts", {}).items())
        where = f" on {example['kernel']}" if example.get("kernel") else ""
        yield f"  {example['expect']:8} {example['title']}{where}"
        for line in (facts or example.get("input", "")).strip("\n").splitlines():
            yield f"           {line}"
    yield from ("", style.paint("bold", "Evidence"), *(f"  {line}" for line in rule["evidence"]))
    if rule.get("related"):
        yield from ("", f"See also: {', '.join(rule['related'])}")


def symbol_page(data: dict[str, Any], style: Style) -> Iterator[str]:
    """A symbol as text, from the data of btfcheck.explain.symbols.data, then `clauses` and `ways_out`."""
    symbol = data["symbol"]
    now = symbol["now"]
    via = f"  ({now['via']})" if now.get("via") else ""
    yield style.paint("bold", f"CONFIG_{symbol['name']}={symbol['value']}") + printable(via)
    recorded = data["recorded"]
    if recorded:
        yield f"  --> {printable(recorded['place'])}"
        if symbol["value"] not in (recorded["value"], "unknown"):
            yield f"  Kconfig makes it {symbol['value']} of this configuration"
    yield from _answers(symbol)
    yield from ("", style.paint("bold", "What it depends on"))
    yield from _clauses([c for c in data["clauses"] if c["symbol"] == symbol["name"]], style)
    for name in dict.fromkeys(c["symbol"] for c in data["clauses"] if c["symbol"] != symbol["name"]):
        yield from ("", style.paint("bold", f"What keeps {name} off"))
        yield from _clauses([c for c in data["clauses"] if c["symbol"] == name], style)
    if symbol["selected_by"]:
        yield from ("", style.paint("bold", "What selects it"))
        yield from (f"  {_leaf(s)}" for s in symbol["selected_by"])
    if symbol["losers"]:
        yield from ("", style.paint("bold", "What goes off with it"), f"  {_some(symbol['losers'])}")
    if data["clashes"] or data["ways_out"]:
        yield from ("", style.paint("bold", "Ways out, best first; each was evaluated"))
    for clash in data["clashes"]:
        tools = " with these tools" if clash["of_tools"] else ""
        yield f"  cannot all be had{tools}: {', '.join(clash['goals'])}"
        for clause in clash["lines"]:
            yield f"    {clause['symbol']} has, in {_place(clause)}: {printable(clause['text'])}"
        if clash["hint"]:
            yield f"    {clash['hint']}"
    for number, way in enumerate(data["ways_out"][:_MOST_WAYS], 1):
        yield f"  {number}. {printable(way['text'])}"
    if len(data["ways_out"]) > _MOST_WAYS:
        yield f"  and {len(data['ways_out']) - _MOST_WAYS} more (--output json has them)"
    if data["search"]["text"]:
        yield from ("", *data["search"]["text"])


def _answers(symbol: dict[str, Any]) -> Iterator[str]:
    wanted = symbol["wanted"]
    if symbol["name"] not in wanted:
        if symbol["now"]["kind"] == "toolchain":
            yield "  the tools decide it; no configuration sets it"
        return
    others = ", ".join(f"{n}={v}" for n, v in wanted.items() if n != symbol["name"])
    beside = f" beside {others}" if others else ""
    for answer in symbol["answers"]:
        said = {True: "granted", False: "not granted", None: "could not be told"}[answer["granted"]]
        if not answer["defined"]:
            said = "there is no such symbol"
        own = answer["symbol"] == symbol["name"]
        if own and answer["granted"] and any(a["symbol"] != symbol["name"] for a in symbol["answers"]):
            said = "granted, but not all of these with it"
        several = [a for a in symbol["answers"] if a["symbol"] == answer["symbol"]]
        text = f" as in {answer['texts']}" if len(several) > 1 and answer["texts"] else ""
        yield printable(f"  {answer['symbol']} asked to be {answer['wanted']}{beside if own else ''}: {said}{text}")


def _clauses(clauses: list[dict[str, Any]], style: Style) -> Iterator[str]:
    if not clauses:
        yield "  nothing"
    marks = {"n": ("error", "blocks"), "unknown": ("warning", "unknown"), "y": ("ok", "holds"), "m": ("ok", "holds")}
    for clause in clauses:
        kind, word = marks[clause["value"]]
        yield f"  {style.paint(kind, f'{word:8}')} {printable(clause['expr'])}   {_place(clause)}"
        if clause["value"] in ("n", "unknown"):
            if clause["text"].split("depends on ")[-1] != clause["expr"]:
                yield f"           in: {printable(clause['text'])}"
            for item in clause["leaves"]:
                yield f"           {_leaf(item)}"
                if item.get("said"):
                    yield f"             the tool says: {printable(item['said'])}"


def _place(clause: dict[str, Any]) -> str:
    return printable(f"{clause['file']}:{clause['line']}" if clause["line"] else clause["file"])


def _leaf(item: dict[str, Any]) -> str:
    return printable(f"{item['name']}={item['value']}" + (f"  ({item['via']})" if item.get("via") else ""))


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"{', '.join(names[:_MOST_NAMES])}{more}"
