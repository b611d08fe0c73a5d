# SPDX-License-Identifier: MIT
"""The built-in Kconfig of the symbols that matter, for every release from 6.1 on, without a tree.

The entries are the kernel's own text as read in 22 trees (history.json, made by
tools/make_kconfig_history.py). A release whose text is known has one Model. Where no tree was
read and the trees around differ, every text that may stand there is a Model of its own: nothing
is interpolated, the caller shows what each of them says.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from io import StringIO
from itertools import product
from typing import Any, NamedTuple

from btfcheck.kconfig.dialect import KernelKconfig, Origin, Rules
from btfcheck.model import UsageError
from btfcheck.release import Release, parse

_CHOICES_CHANGED = Release(6, 10)
_MOST_MODELS = 8
# uname -m, dpkg and make's ARCH, to the name of the directory under arch/.
_ARCHES = {
    "x86_64": "x86", "amd64": "x86", "i386": "x86", "i686": "x86", "aarch64": "arm64", "riscv64": "riscv",
    "s390x": "s390", "ppc64le": "powerpc", "ppc64": "powerpc", "ppc64el": "powerpc", "loong64": "loongarch",
    "loongarch64": "loongarch", "armhf": "arm", "armel": "arm", "armv7l": "arm", "uml": "um",
}  # fmt: skip
# What the longer name of an architecture says beyond its directory.
_ARCH_FACTS = {"x86_64": {"X86_64": "y", "64BIT": "y"}, "amd64": {"X86_64": "y", "64BIT": "y"}}
_WORD = re.compile(r"\w+")
_KEYWORDS = frozenset(
    ("bool", "int", "default", "def_bool", "depends", "on", "select", "if", "prompt", "transitional",
     "choice", "endchoice", "endif", "config", "y", "n", "m")
)  # fmt: skip

Entry = tuple[str, str]  # (file, lines)


@lru_cache(maxsize=1)
def history() -> dict[str, Any]:
    """The shipped tables, as plain data."""
    with open(os.path.join(os.path.dirname(__file__), "history.json"), encoding="utf-8") as file:
        data: dict[str, Any] = json.load(file)
    return data


class Model(NamedTuple):
    """The entries of one release on one architecture, as far as they matter here.

    `trees` names where the text was read; `assumed` says what makes it an assumption, "" when
    the text of this release is known. `variant` tells it from the other candidates, "" when it
    is the only one.
    """

    release: str
    arch: str
    trees: tuple[str, ...]
    entries: Mapping[str, Entry]
    rules: Rules
    assumed: str = ""
    variant: str = ""
    facts: tuple[tuple[str, str], ...] = ()

    def load(self) -> BuiltIn:
        """The Kconfig object to evaluate; each call parses a fresh one (about 5 ms)."""
        return BuiltIn(self)


class _Point(NamedTuple):
    """A place in the history whose text was read: a tree, and the fixes it has beside."""

    release: Release
    tree: int
    label: str
    fixes: tuple[str, ...] = ()


def models(release: Release | str, arch: str, distro: str = "") -> tuple[Model, ...]:
    """Every text that the Kconfig of this release may have; one when it is known.

    `arch` is the word of a .config's header line, or of `uname -m`; with "" what architectures
    select (HAVE_RUST ...) is a recorded fact, as any symbol that is not modelled. `distro` ("ubuntu") chooses
    that distribution's text where it differs from kernel.org's.

    Raises UsageError for a release before 6.1, of which nothing was read.
    """
    wanted = parse(release) if isinstance(release, str) else release
    directory = _ARCHES.get(arch, arch)
    if wanted.line < (6, 1):
        raise UsageError(f"no Kconfig entries are known for Linux {wanted}, only for 6.1 and later")
    base = Model(
        release=str(wanted),
        arch=directory,
        trees=(),
        entries={},
        rules=Rules(choices=wanted.line >= _CHOICES_CHANGED.line),
        facts=tuple(_ARCH_FACTS.get(arch, {}).items()),
    )
    below, above = _neighbours(wanted)
    if above is None:
        return _from_here_on(base, below, wanted, distro)
    if below == above:
        known = base._replace(entries=_entries(below, directory, distro), trees=(_origin(below),))
        return (known,)
    return _between(base, below, above, distro)


def distro_of(values: Mapping[str, str | None]) -> str:
    """The distribution whose compiler a .config names: "ubuntu", "debian" or ""."""
    text = values.get("CC_VERSION_TEXT") or ""
    return next((name for name in ("ubuntu", "debian") if name in text.lower()), "")


def minimum_tools(release: Release | str, arch: str) -> tuple[Mapping[str, str], ...]:
    """What scripts/min-tool-version.sh asks for: tool -> version; several where the text is not known."""
    wanted = parse(release) if isinstance(release, str) else release
    directory = _ARCHES.get(arch, arch)
    below, above = _neighbours(wanted)
    found: list[Mapping[str, str]] = []
    for point in (below, above or below):
        table = next(t for first, last, t in history()["minimum_tools"] if first <= point.tree <= last)
        plain = {k: v if isinstance(v, str) else v.get(directory, v[""]) for k, v in table.items()}
        if plain not in found:
            found.append(plain)
    return tuple(found)


def symbols() -> tuple[str, ...]:
    """Every symbol that has an entry in some release."""
    arches = set(history()["arches"].values())
    return tuple(n for n in history()["symbols"] if n not in arches and " " not in n)


@lru_cache(maxsize=1)
def _points() -> list[_Point]:
    data = history()
    index = {row[0]: number for number, row in enumerate(data["trees"])}
    points = [_Point(parse(row[1]), number, row[0]) for number, row in enumerate(data["trees"])]
    for key, part in data["partial"].items():
        fixes = (part["with"],) if "with" in part else ()
        points.append(_Point(parse(key), index[part["like"]], key, fixes))
    return sorted(points, key=lambda p: p.release)


def _origin(point: _Point) -> str:
    note = history()["trees"][point.tree][2] if not point.fixes else ""
    return f"{point.release} ({note})" if note else str(point.release)


def _neighbours(wanted: Release) -> tuple[_Point, _Point | None]:
    """The points around a release: twice the same when it was read, no upper one after the last of its line."""
    points = _points()
    line = [p for p in points if p.release.line == wanted.line]
    exact = [p for p in line if p.release == wanted]
    if exact:
        return exact[0], exact[0]
    lower = [p for p in line if p.release < wanted]
    upper = [p for p in line if p.release > wanted]
    if lower:
        return lower[-1], upper[0] if upper else None
    if wanted < points[0].release:  # a candidate of 6.1
        return points[0], points[0]
    # The merge window of a line starts from the first release of the line before it.
    before = [p for p in points if p.release.line < wanted.line]
    first = next(p for p in before if p.release.line == before[-1].release.line)
    if upper:
        return first, upper[0]
    return first, next((p for p in points if p.release.line > wanted.line), None)


def _entries(point: _Point, arch: str, distro: str) -> dict[str, Entry]:
    data = history()
    mainline = {} if distro == "ubuntu" else data["mainline"].get(data["trees"][point.tree][0], {})
    index = {row[0]: number for number, row in enumerate(data["trees"])}
    found = {}
    for name, rows in data["symbols"].items():
        tree = index[mainline[name]] if name in mainline else point.tree
        entry = next(((file, text) for first, last, file, text in rows if first <= tree <= last), None)
        if entry and (entry[0].count("/") < 2 or entry[0].startswith((f"arch/{arch}/", "kernel/"))):
            found[name] = entry
    if not arch:
        found.pop("HAVE_RUST", None)
    for fix in data["fixes"]:
        if fix["commit"] in point.fixes:
            found[fix["symbol"]] = _fixed(found[fix["symbol"]], fix) or found[fix["symbol"]]
    return found


def _fixed(entry: Entry, fix: Mapping[str, Any]) -> Entry | None:
    """The entry with a fix applied, None where it does not apply or is there."""
    file, text = entry
    lines = text.split("\n")
    if fix["new"] in lines or (fix["old"] and fix["old"] not in lines):
        return None
    if fix["old"]:
        lines[lines.index(fix["old"])] = fix["new"]
    else:
        lines.append(fix["new"])
    return file, "\n".join(lines)


def _from_here_on(base: Model, last: _Point, wanted: Release, distro: str) -> tuple[Model, ...]:
    """After the last tree read of a line: its text, with and without each fix stable trees took later."""
    origin = _origin(last)
    newest = last == _points()[-1]
    assumed = (
        f"{wanted} is newer than {origin}, the newest tree read"
        if newest
        else f"no tree of {wanted.major}.{wanted.minor} after {origin} was read"
    )
    start = base._replace(entries=_entries(last, base.arch, distro), trees=(origin,), assumed=assumed)
    found = [start]
    for fix in history()["fixes"]:
        fixed = _fixed(found[-1].entries[fix["symbol"]], fix) if fix["symbol"] in start.entries else None
        if fixed and f"{wanted.major}.{wanted.minor}" in fix["lines"]:
            found[-1] = found[-1]._replace(variant=found[-1].variant or f"without {fix['commit']}")
            found.append(
                found[-1]._replace(
                    entries={**found[-1].entries, fix["symbol"]: fixed},
                    trees=(*found[-1].trees, fix["read_in"]),
                    variant=f"with {fix['commit']}",
                )
            )
    return tuple(found)


def _between(base: Model, below: _Point, above: _Point, distro: str) -> tuple[Model, ...]:
    """Between two trees: what is alike is known, what differs is each of its texts."""
    old, new = (_entries(p, base.arch, distro) for p in (below, above))
    start = base._replace(entries=new, trees=(_origin(below), _origin(above)))
    groups = _changed_together(old, new)
    if not groups:
        return (start,)
    same_line = below.release.line == above.release.line
    options = [_options(group, old, new, below, above, same_line) for group in groups]
    count = 1
    for choice in options:
        count *= len(choice)
    if count > _MOST_MODELS:
        everything = set().union(*groups)
        options = [_options(everything, old, new, below, above, same_line)]
    assumed = f"no tree between {_origin(below)} and {_origin(above)} was read"
    found = []
    for taken in product(*options):
        entries = dict(new)
        for _, changes in taken:
            for name, entry in changes.items():
                if entry is None:
                    entries.pop(name, None)
                else:
                    entries[name] = entry
        words = "; ".join(dict.fromkeys(text for text, _ in taken))
        found.append(start._replace(entries=entries, assumed=assumed, variant=words))
    return tuple(found)


_Option = tuple[str, dict[str, Entry | None]]


def _options(
    group: Iterable[str],
    old: dict[str, Entry],
    new: dict[str, Entry],
    below: _Point,
    above: _Point,
    stable: bool,
) -> list[_Option]:
    """The texts that a group of entries may have: as below, as above, and between them step by step.

    The steps are the dated fixes that stable trees took in this order; other lines that differ
    (`loose`) came at an unknown time, so they go with either.
    """
    names = sorted(group)
    lead = "RUST" if "RUST" in names else names[0]
    label = lead if len(names) == 1 else f"{lead} and {len(names) - 1} more"
    first: _Option = (f"{label} as in {_origin(below)}", {n: old.get(n) for n in names})
    last: _Option = (f"{label} as in {_origin(above)}", {n: new.get(n) for n in names})
    if not stable or "RUST" not in names:
        return [first, last]
    steps = _steps(old["RUST"], new["RUST"])
    reached = set(steps[-1][1][1].split("\n")) if steps else set()
    loose = set(new["RUST"][1].split("\n")) ^ reached if steps else set()
    found = [first]
    for commit, entry in steps if loose else steps[:-1]:
        found.append((f"{label} as in {_origin(below)} with {commit}", {**last[1], "RUST": entry}))
    if loose:
        lines = [x for x in new["RUST"][1].split("\n") if x in loose]
        dropped = loose - set(lines)
        for _, entry in [("", old["RUST"]), *steps[:-1]]:
            kept = [x for x in entry[1].split("\n") if x not in dropped]
            text = "\n".join([*kept, *lines])
            changes = {**(first[1] if entry == old["RUST"] else last[1]), "RUST": (entry[0], text)}
            words = f"{label} as in {_origin(below)} with the other lines of {_origin(above)}"
            found.append((words, changes))
    return [*found, last]


def _steps(old: Entry, new: Entry) -> list[tuple[str, Entry]]:
    """(commit, entry) after each dated fix on the way from one text to the other."""
    at, found = old, []
    for fix in history()["fixes"]:
        fixed = _fixed(at, fix) if fix["symbol"] == "RUST" else None
        if fixed:
            at = fixed
            found.append((str(fix["commit"]), at))
    wanted = set(new[1].split("\n"))
    added = {fix["commit"]: fix["new"] for fix in history()["fixes"]}
    while found and added[found[-1][0]] not in wanted:
        found.pop()
    return found


def _changed_together(old: dict[str, Entry], new: dict[str, Entry]) -> list[set[str]]:
    """The names whose entries differ, grouped by which of them their changed lines mention."""
    lines = {}
    for name in {*old, *new}:
        before, after = (_meaning(entries.get(name)) for entries in (old, new))
        if before != after:
            lines[name] = before ^ after
    words = {name: set(_WORD.findall(" ".join(changed))) | {name} for name, changed in lines.items()}
    groups: list[set[str]] = []
    for name in sorted(lines):
        near = {other for other in lines if other in words[name] or name in words[other]}
        joined = [g for g in groups if g & near]
        groups = [g for g in groups if not g & near] + [near.union(*joined)]
    return groups


def _meaning(entry: Entry | None) -> frozenset[str]:
    """The lines of an entry without the wording of its prompt."""
    lines = entry[1].split("\n") if entry else []
    return frozenset(re.sub(r'"[^"]*"', '""', line) for line in lines)


class BuiltIn(KernelKconfig):
    """A Model, loaded by kconfiglib.

    Its leaves are what the entries mention and do not define, what a tool answers, and each
    $(...) that stands in a condition, as a symbol named by its own text.
    """

    def __init__(self, model: Model) -> None:
        data = history()
        self.model = model
        self.srcarch = model.arch
        self.line = parse(model.release).line
        self.macros: dict[str, str] = {}
        self.answers: dict[str, str] = {}  # symbols that a tool answers -> the line that asks it
        self._leaves: set[str] = set()
        self._numbers: set[str] = set(data["numbers"])
        self._lines: list[str] = []
        self._origins: list[tuple[str, str]] = []
        self._write()
        KernelKconfig.__init__(self, rules=model.rules)
        for name, text in self.macros.items():
            symbol = self.syms.pop(name)
            symbol.name = text
            self.syms[text] = symbol
        self.origin = Origin(model.trees, model.assumed, model.variant)
        self.leaves = {self.macros.get(n, n) for n in self._leaves}
        self.numbers = self._numbers
        self.toolchain = {*data["toolchain"], *self.macros.values(), *self.answers}
        self.settable = self.leaves.intersection(data["user"])
        self.constants = {
            **{n: "n" for n in [*data["arches"].values(), "HEXAGON"] if model.arch and n in self.leaves},
            **dict(model.facts),
        }
        self.computed = {n: (of, by) for n, (of, by) in data["computed"].items() if n in self.leaves}
        self.setters = data["setters"]
        seen = {row[0]: parse(row[1]) for row in data["trees"]}
        beside = [n for n, tree in data["instead_of_lto"].items() if parse(model.release) >= seen[tree]]
        helpers = ["RUST_INLINE_HELPERS"] if "RUST_INLINE_HELPERS" in model.entries else []
        self.instead_of_lto = (*beside, *helpers)

    def place(self, filename: str, line: int) -> tuple[str, int | None]:  # noqa: ARG002
        return self._origins[line - 1][0], None

    def source_line(self) -> str:
        text: str = self._origins[self.linenr - 1][1]
        return text

    def _open(self, filename: str, mode: str) -> StringIO:  # noqa: ARG002
        return StringIO("\n".join(self._lines) + "\n")

    def _write(self) -> None:
        entries = self.model.entries
        own = history()["arches"].get(self.model.arch)
        for item in [*history()["layout"], *([own] if own in entries else [])]:
            if isinstance(item, str):
                if item in entries:
                    self._write_entry(f"config {item}", item, entries[item])
            elif item[0] in entries:
                self._write_choice(item[0], [n for n in item[1:] if n in entries])
        mentioned = {w for line in self._lines for w in _WORD.findall(re.sub(r'"[^"]*"', "", line))}
        undefined = mentioned - _KEYWORDS - set(entries) - {w for w in mentioned if w.isdigit()}
        for name in sorted(undefined):
            self._leaves.add(name)
            self._add("", f"config {name}")
            self._add("", "\tint" if name in self._numbers else "\tbool")

    def _write_choice(self, head: str, members: list[str]) -> None:
        file, text = self.model.entries[head]
        blocks, lines = _blocks(text)
        self._open_blocks(file, blocks)
        self._add(file, "choice")
        for line in lines:
            self._add(file, "\t" + line, line)
        for name in members:
            member_file, member_text = self.model.entries[name]
            around, body = _blocks(member_text)
            inner = [b for b in around if b not in blocks]
            self._write_entry(f"config {name}", name, (member_file, "\n".join(body)), inner)
        self._add(file, "endchoice")
        for _ in blocks:
            self._add(file, "endif")

    def _write_entry(self, head: str, name: str, entry: Entry, blocks: list[str] | None = None) -> None:
        file, text = entry
        own, lines = _blocks(text)
        own = [*(blocks or []), *own]
        self._open_blocks(file, own)
        self._add(file, head)
        asked = [line for line in lines if re.match(r'(def_bool|default) "?\$\(', line)]
        if asked:  # a tool's answer: a fact
            self._leaves.add(name)
            self.answers[name] = asked[0]
            self._add(file, "\tint" if "int" in lines else "\tbool")
            if "int" in lines:
                self._numbers.add(name)
        else:
            for line in lines:
                self._add(file, "\t" + self._without_macros(line), line)
        for _ in own:
            self._add(file, "endif")

    def _open_blocks(self, file: str, conditions: list[str]) -> None:
        for condition in conditions:
            self._add(file, f"if {condition}", f"if {condition}")

    def _without_macros(self, line: str) -> str:
        while (at := line.find("$(")) >= 0:
            end, depth = at + 2, 1
            while depth:
                depth += {"(": 1, ")": -1}.get(line[end], 0)
                end += 1
            text = line[at:end]
            name = next((n for n, t in self.macros.items() if t == text), f"MACRO_{len(self.macros)}")
            self.macros[name] = text
            if text in history()["computed"]:
                self._numbers.add(name)
                self._numbers.add(text)
            line = line[:at] + name + line[end:]
        return line

    def _add(self, file: str, line: str, origin: str = "") -> None:
        self._lines.append(line)
        self._origins.append((file, origin or line.strip()))


def _blocks(text: str) -> tuple[list[str], list[str]]:
    """The conditions of the enclosing if blocks, and the lines of the entry itself."""
    lines = text.split("\n")
    if lines[0].startswith("[if "):
        return lines[0][4:-1].split(" && "), lines[1:]
    return [], lines
