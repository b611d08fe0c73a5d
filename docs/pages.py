# SPDX-License-Identifier: MIT
"""The pages of the site that nobody writes: verbs, rules, kinds of leaks, messages, causes, formats.

conf.py calls `write` before Sphinx reads its sources. What they are made from stands once: the parsers, rules/*.toml,
docs/kinds.toml, the scanner, the modules' docstrings. The picture of the rooms is rooms.py's.
"""

from __future__ import annotations

import argparse
import importlib
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

import rooms  # noqa: E402

from btfcheck import cli, formats  # noqa: E402
from btfcheck.commands import VERBS  # noqa: E402
from btfcheck.commands.rules import rule_data  # noqa: E402
from btfcheck.dwarf import judge  # noqa: E402
from btfcheck.dwarf.leaks import scan  # noqa: E402
from btfcheck.dwarf.writer import build  # noqa: E402
from btfcheck.explain import markdown  # noqa: E402
from btfcheck.lint import messages, tomlfile  # noqa: E402
from btfcheck.lint.rules import RuleSet, load  # noqa: E402

PAHOLES = (122, 123, 124, 125, 126, 127, 128, 129, 130, 131, 132)


def write(folder: Path) -> None:
    """Bring the made pages below `folder` up to date, and leave those alone that are."""
    made = files()
    for name in {n.split("/")[0] for n in made if "/" in n}:
        for path in (folder / name).glob("*"):
            if f"{name}/{path.name}" not in made:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name, text in made.items():
        path = folder / name
        if not path.is_file() or path.read_text() != text:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)


def files() -> dict[str, str]:
    """Path below docs/ -> text."""
    rules, catalogue = load(), messages.load()
    found = {f"verbs/{verb}.md": verb_page(verb) for verb in VERBS}
    found["verbs/index.md"] = index("Verbs", [(v, f"`btfcheck {v}`", about) for v, about in VERBS.items()])
    found |= {f"rules/{r.id}.md": markdown.rule_page(rule_data(r)) for r in rules.rules.values()}
    found["rules/index.md"] = index(
        "Rules", [(r.id, r.name, f"{r.severity.value}: {markdown.prose(r.message)}") for r in rules.rules.values()],
        "`btfcheck explain ID` prints the same page; so does `man btfcheck-ID`, where these man pages are installed. "
        "Conditions are made of these [symbols](../symbols.md).",
    )
    kinds = tomlfile.read(str(ROOT / "docs/kinds.toml"))
    found |= {f"kinds/{kind}.md": kind_page(kind, about, rules) for kind, about in kinds.items()}
    found["kinds/index.md"] = index("Kinds of leaks", [(k, k, markdown.prose(a["title"])) for k, a in kinds.items()])
    found |= {f"messages/{m.id}.md": markdown.message_page(m, catalogue) for m in catalogue.messages.values()}
    rows = [(m.id, m.id, f"{m.program}: {markdown.code_span(first_line(m))}") for m in catalogue.messages.values()]
    found["messages/index.md"] = index(
        "Messages", rows, "What `btfcheck explain --log` knows, in the order in which it is tried.")
    found["causes.md"] = markdown.causes_page(catalogue)
    found["formats.md"] = formats_page()
    found["symbols.md"] = symbols_page(rules)
    found["rooms.svg"] = rooms.svg()
    return found


def first_line(message: messages.Message) -> str:
    return max(message.examples[0].strip().split("\n"), key=len).strip()


def index(title: str, rows: Iterable[tuple[str, str, str]], text: str = "") -> str:
    """A page that lists pages: (file, name, what it is)."""
    rows = list(rows)
    table = [f"| [{name}]({file}.md) | {what.replace('|', '&#124;')} |" for file, name, what in rows]
    tree = ["```{toctree}", ":hidden:", "", *(file for file, _, _ in rows), "```"]
    return "\n".join([f"# {title}", "", text, "", "| | |", "| --- | --- |", *table, "", *tree, ""])


# Verbs


def verb_page(verb: str) -> str:
    parser, module = cli.verb_parser(verb)
    first, _, rest = (module.__doc__ or "").strip().partition("\n")
    usage = f"btfcheck {verb} [options] {module.WORDS}".rstrip()
    lines = [f"# btfcheck {verb}", "", markdown.prose(first), "", *code(usage), markdown.prose(rest.strip()), ""]
    lines += ["## Options", ""]
    for action in parser._actions:
        if action.help is not argparse.SUPPRESS and action.option_strings:
            about = markdown.prose((action.help or "").replace("%%", "%"))
            lines += [f"`{', '.join(action.option_strings)}{value(action)}`", f": {about}", ""]
    return "\n".join([*lines, "## Examples", "", *code(module.EXAMPLES, "sh")])


def value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    if action.choices:
        return " {" + ",".join(map(str, action.choices)) + "}"
    return f" {action.metavar or action.dest.upper()}"


def code(text: str, language: str = "text") -> list[str]:
    return [f"```{language}", text.strip("\n"), "```", ""]


def formats_page() -> str:
    lines = ["# Output formats", ""]
    lines += ["`--output FORMAT[:FILE]`, as often as you like; the exit code is the same for all.", ""]
    for name in formats.FORMATS:
        module = importlib.import_module(f"btfcheck.formats.{name}")
        lines += [f"`{name}`", f": {markdown.prose(' '.join((module.__doc__ or '').split()))}", ""]
    return "\n".join(lines)


def symbols_page(rules: RuleSet) -> str:
    lines = ["# Symbols", "", "What the conditions of rules are made of. `WANT_X` is what was asked for, `RECORDED_X` "
             "what the configuration records, `LIVE_X` what a tool answers.", ""]
    lines += ["## Facts", ""]
    for symbol in rules.symbols.values():
        supply = f"; to give it: {markdown.prose(symbol.supply)}" if symbol.supply else ""
        lines += [f"`{symbol.name}`", f": {symbol.kind}: {markdown.prose(symbol.about)}{supply}", ""]
    lines += ["## What follows from others", ""]
    for fact in rules.derived.values():
        lines += [f"`{fact.name}`", f": {markdown.prose(fact.about)}: `{fact.value}`", ""]
    return "\n".join(lines)


# Kinds


def kind_page(kind: str, about: dict[str, Any], rules: RuleSet) -> str:
    rule = rules.rules[judge.KINDS[kind].rule]
    source = next(e for e in rule.examples if e["expect"] == "finding")["input"]
    table = [f"| {paholes} | {markdown.prose(effect)} |" for paholes, effect in effects(kind, source)]
    evidence = [f"* {markdown.prose(e)}" for e in [*about["evidence"], *rule.evidence]]
    return "\n".join([
        f"# {kind}: {about['title']}", "", markdown.prose(rule.why.strip()), "", markdown.prose(rule.how.strip()), "",
        "## The signal", "", markdown.prose(about["signal"]), "",
        "## Who makes it", "", markdown.prose(about["toolchains"]), "",
        "## What pahole makes of it", "", "| pahole | what comes of it |", "| --- | --- |", *table, "",
        "This table is the scanner's own judgement of the smallest such file:", "", *code(source),
        "## What to do", "", markdown.prose(rule.fix), "",
        f"`btfcheck scan` reports it by [{rule.id}](../rules/{rule.id}.md).", "",
        "## Evidence", "", *evidence, "",
    ])  # fmt: skip


def effects(kind: str, source: str) -> list[tuple[str, str]]:
    """(paholes, what comes of it) of a file of that kind, neighbours with the same answer joined."""
    known = judge.KINDS[kind]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "example.o"
        path.write_bytes(build(source))
        result = scan(str(path))
    joined: list[tuple[int, int, str]] = []
    for version in PAHOLES:
        effect = known.harmful if known.harm(result, judge.Case(version)) else known.harmless
        if joined and joined[-1][2] == effect:
            joined[-1] = joined[-1][0], version, effect
        else:
            joined.append((version, version, effect))
    return [(release(a) if a == b else f"{release(a)} to {release(b)}", effect) for a, b, effect in joined]


def release(version: int) -> str:
    return f"{version // 100}.{version % 100}"
