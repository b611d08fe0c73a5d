# SPDX-License-Identifier: MIT
"""Rules that no expression can state: what Kconfig grants, and what it forbids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from btfcheck.config import Config
from btfcheck.lint.engine import Facts
from btfcheck.lint.expr import Result, evaluate, parse
from btfcheck.lint.rules import Rule, RuleSet
from btfcheck.model import Fact, Location, Outcome, Status
from btfcheck.release import Release

if TYPE_CHECKING:
    from btfcheck.kconfig.changes import Ways
    from btfcheck.kconfig.tree import Tree
    from btfcheck.kconfig.why import Clause, Leaf, Why

_FIRST = (6, 1)

# Live facts that the kernel's files ask a tool for in words of their own.
_ASKED_OF_TOOLS = {
    "LLVM_NM": "$(success,$(NM) --help | head -n 1 | grep -qi llvm)",
    "LLVM_AR": "$(success,$(AR) --help | head -n 1 | grep -qi llvm)",
}


class Kernel:
    """The Kconfig entries of the release that is judged: one text, or several candidates; or a source tree."""

    def __init__(self, facts: Facts, header: Release | None, tree: Tree | None = None) -> None:
        self.tree = tree
        self.header = header
        self.facts = facts
        self.loaded: list[Any] = [tree] if tree else self._tables()
        self.ways: dict[tuple[tuple[str, str], ...], _Ways] = {}  # by goals: several wishes share one search
        self.advised = False  # whether the user was told what would find more
        for kconf in self.loaded:
            kconf.wrote = facts.release == header

    def _tables(self) -> list[Any]:
        from btfcheck.kconfig.tables import distro_of, models

        facts = self.facts
        assert facts.release is not None
        compiler = facts.recorded.get("CC_VERSION_TEXT")
        distro = distro_of({"CC_VERSION_TEXT": compiler.value if compiler else None})
        arch = "x86_64" if facts.arch == "x86" and "X86_64" in facts.recorded else facts.arch
        return [model.load() for model in models(facts.release, arch, distro)]

    def values(self, *, live: bool) -> dict[str, str | None]:
        """Recorded values of every symbol that the entries name; with `live`, today's tools instead."""
        recorded = self.facts.recorded
        if self.tree is not None:
            syms = self.tree.syms
            texts = {n: recorded.text_of(n) for n in recorded if n in syms} if isinstance(recorded, Config) else {}
            return {**texts, **self.tree.measured} if live else {**self.tree.measured, **texts}
        names = {s.name for kconf in self.loaded for s in kconf.unique_defined_syms}
        found: dict[str, str | None] = {n: f.value for n in names if (f := self.facts.recorded.get(n))}
        if live and self.facts.dummy_tools:
            found |= {n: None for kconf in self.loaded for n in kconf.toolchain}
        if live:
            found |= {n: f.value for n, f in self.facts.live.items() if n in names}
            found |= {text: f.value for n, text in _ASKED_OF_TOOLS.items() if (f := self.facts.live.get(n))}
        return found

    def ways_out(self, goals: Mapping[str, str]) -> Ways:
        """The ways to all goals: with the tools of this build, and where these close every one, with an LLVM."""
        from btfcheck.kconfig.changes import ways_out

        values = self.values(live=True)
        found = ways_out(self.loaded, goals, values, complete=self.facts.complete)
        if self.tree is None:
            return found
        from btfcheck.kconfig.llvm import by_llvm

        return by_llvm(self.tree, goals, values, found, complete=self.facts.complete)


# Symbols without a prompt that rules name. Another release than the one that wrote the .config computes
# them anew, so what is recorded, or absent, says nothing.
_COMPUTED = ("HAVE_RUST", "HAVE_CFI_ICALL_NORMALIZE_INTEGERS_RUSTC")


def computed_facts(facts: Facts, kernel: Kernel | None) -> dict[str, Fact]:
    """What the judged release makes of _COMPUTED, where that is not the release of the .config's header."""
    if kernel is None or facts.release == kernel.header:
        return {}
    from btfcheck.kconfig.state import UNKNOWN, State

    states = [State(k, kernel.values(live=True), complete=facts.complete) for k in kernel.loaded]
    found = {}
    for name in _COMPUTED:
        texts = {s.text(s.kconf.syms[name]) if name in s.kconf.syms else "n" for s in states}
        value = texts.pop() if len(texts) == 1 else UNKNOWN
        place = Location(f"Kconfig of Linux {facts.release}", text=f"{name}={value}")
        reason = "it hangs on the tools or on what is not recorded" if value == UNKNOWN else ""
        found[name] = Fact(name, None if value == UNKNOWN else value, place, reason=reason)
    return found


def known_kernel(facts: Facts, header: Release | None, tree: Tree | None = None) -> Kernel | None:
    """The entries of the release, None when it is not told or older than every tree that was read.

    `header` is the release that wrote the .config; `tree` a loaded source tree of that release.
    """
    if tree is not None:
        return Kernel(facts, header, tree)
    return Kernel(facts, header) if facts.release is not None and facts.release.line >= _FIRST else None


def release_facts(facts: Facts, kernel: Kernel | None) -> dict[str, Fact]:
    """What the release implies: minimum tool versions, and whether RUST depends on !LTO beside BTF."""
    if kernel is None:
        if facts.release is None:
            return {}
        place = Location("init/Kconfig", text=f"config RUST of Linux {facts.release}")
        return {"LTO_CLAUSE": Fact("LTO_CLAUSE", None, place, reason="only 6.1 and later were read")}
    from btfcheck.kconfig.tables import minimum_tools

    assert facts.release is not None
    tables = minimum_tools(facts.release, facts.arch or "x86")
    found = {}
    for tool in ("rustc", "bindgen", "llvm"):
        name = f"MIN_{tool.upper()}_VERSION"
        texts = sorted({table[tool] for table in tables if tool in table})
        place = Location("scripts/min-tool-version.sh", text=f"Linux {facts.release}: {tool} {' or '.join(texts)}")
        number = str(_number(texts[0], tool)) if len(texts) == 1 else None
        reason = "" if number else f"no source of Linux {facts.release} was read; it is one of {', '.join(texts)}"
        found[name] = Fact(name, number, place, reason=reason)
    found["LTO_CLAUSE"] = _lto_clause(facts, kernel)
    return found


def _lto_clause(facts: Facts, kernel: Kernel) -> Fact:
    there = {_has_lto_clause(kconf) for kconf in kernel.loaded}
    value = None if len(there) > 1 else "ny"[there.pop()]
    words = "with" if value == "y" else "without" if value == "n" else "with or without"
    place = Location("init/Kconfig", text=f"config RUST of Linux {facts.release}, {words} !LTO beside DEBUG_INFO_BTF")
    reason = "" if value else "no source of this release was read; look into the tree that you build"
    return Fact("LTO_CLAUSE", value, place, reason=reason)


def _has_lto_clause(kconf: Any) -> bool:
    written = [w for one in kconf.definitions(kconf.syms["RUST"]) for w in one] if "RUST" in kconf.syms else []
    return any("!LTO" in w.text for w in written)


# scripts/rust_is_available.sh fails where one of these holds; a rule of its own tells each.
_RUST_LACKS = (
    "RUSTC_VERSION < MIN_RUSTC_VERSION || BINDGEN_FOUND = n || BINDGEN_VERSION < MIN_BINDGEN_VERSION"
    " || BINDGEN_LIBCLANG_VERSION < MIN_LLVM_VERSION || RUST_SRC = n"
)


def rust_is_available(facts: Facts, ruleset: RuleSet) -> Fact:
    """What scripts/rust_is_available.sh would say of the live tools."""
    lacks = evaluate(parse(_RUST_LACKS), lambda name: facts.get(name, ruleset))
    value = None if not lacks.known else "n" if lacks.true else "y"
    said = ", ".join(f"{f.name}={f.value or 'unknown'}" for f in lacks.facts)
    place = Location("scripts/rust_is_available.sh", text=f"RUST_IS_AVAILABLE={value or 'unknown'}: {said}")
    return Fact("RUST_IS_AVAILABLE", value, place, True, f"could not tell: {said}" if value is None else "")


def _number(text: str, tool: str) -> int:
    major, minor, patch = (int(part) for part in text.split("."))
    return major * (100_000 if tool == "rustc" else 10_000) + minor * 100 + patch


def kconfig_checks(rule: Rule, kernel: Kernel | None, facts: Facts, ruleset: RuleSet) -> list[Outcome]:
    """The outcomes of a rule that names a Python check ("wanted", "forbidden")."""
    blank = Outcome(rule.id, Status.OK, rule.severity, ".config", rule.message)
    if rule.check == "wanted" and not facts.wanted:
        return [blank._replace(status=Status.SKIP, message="nothing was asked for")]
    if rule.check == "forbidden" and not facts.complete:
        return [blank._replace(status=Status.SKIP, message="a fragment was not made by Kconfig")]
    if kernel is None:
        return _without_kernel(rule, blank, facts)
    check = {"wanted": _wanted, "forbidden": _forbidden}[rule.check]
    return list(check(blank, kernel, facts, ruleset))


# What users set and Kconfig guards. Symbols without a prompt follow from others: another release or
# tool than the recorded one computes them anew, and nobody edited them.
_GUARDED = (
    "RUST", "DEBUG_INFO_BTF", "MODULE_ALLOW_BTF_MISMATCH", "GENDWARFKSYMS", "LTO_CLANG_FULL", "LTO_CLANG_THIN",
    "LTO_CLANG_THIN_DIST", "RUST_INLINE_HELPERS",
)  # fmt: skip


def _without_kernel(rule: Rule, blank: Outcome, facts: Facts) -> list[Outcome]:
    missing = "the kernel release: give --kernel RELEASE"
    if facts.release is not None:
        missing = f"the Kconfig of Linux {facts.release}: only 6.1 and later are known"
    names = list(facts.wanted) if rule.check == "wanted" else [".config"]
    message = f"could not tell: {rule.message}"
    return [blank._replace(status=Status.UNKNOWN, subject=n, message=message, missing=(missing,)) for n in names]


def _wanted(blank: Outcome, kernel: Kernel, facts: Facts, ruleset: RuleSet) -> Iterator[Outcome]:
    from btfcheck.kconfig.why import why

    values: dict[str, str | None] = kernel.values(live=True)
    goals = {n: f.value or "y" for n, f in facts.wanted.items() if facts.recorded.get(n) is not f}
    values |= goals
    told: dict[tuple[str, ...], str] = {}

    def ways(want: Fact) -> _Ways:
        """The ways out, in full where they are told for the first time."""
        found = _ways(kernel, goals or {want.name: want.value or "y"})
        first = told.setdefault(found.lines, want.name)
        if first == want.name or not found.any:
            return found
        return found._replace(lines=(f"the ways out are those of {first}, above",))

    for name, want in facts.wanted.items():
        start = blank._replace(subject=name)
        recorded = facts.recorded.get(name)
        current = recorded.value if recorded else "n" if facts.complete else None
        if not any(name in kconf.syms and kconf.syms[name].nodes for kconf in kernel.loaded):
            if kernel.tree is not None:
                yield _nameless(start, want, kernel.tree, facts)
                continue
            yield from _unmodelled(start, want, recorded, current, facts)
            continue
        if current == want.value and facts.complete and kernel.tree is None:
            yield start  # whether Kconfig likes it is another rule's question; a tree tells of every symbol
            continue
        answers = why(kernel.loaded, name, values, complete=facts.complete, wanted=want.value or "y")
        granted = {answer.granted for answer in answers}
        if granted == {True}:
            yield start if current == want.value else _merely_unset(start, want, recorded, ways(want), facts)
        elif granted == {False}:
            yield _blocked(start, want, answers, ways(want), facts, ruleset)
        elif recorded is not want:  # a fragment's own wishes may be open
            yield _open(start, want, answers, facts, ruleset)


def _nameless(start: Outcome, want: Fact, tree: Tree, facts: Facts) -> Outcome:
    """A symbol that the tree does not have: whatever the .config says of it, Kconfig drops it."""
    if want.value == "n":
        return start
    return start._replace(
        status=Status.FINDING,
        message=f"CONFIG_{want.name}={want.value} was asked for, and Linux {facts.release} has no such symbol",
        locations=(want.source,),
        fix=near_names(tree, want.name),
    )


def near_names(kconf: Any, name: str) -> str:
    """Which symbol may have been meant, "" where none comes near."""
    from difflib import get_close_matches

    near = get_close_matches(name, [s.name for s in kconf.unique_defined_syms], 3, 0.8)
    return f"did you mean {' or '.join(near)}?" if near else ""


def _unmodelled(
    start: Outcome, want: Fact, recorded: Fact | None, current: str | None, facts: Facts
) -> Iterator[Outcome]:
    """A symbol that the built-in tables do not have: the .config alone can tell."""
    if current == want.value:
        yield start
    elif current is not None:
        text = recorded.source.text if recorded else f"CONFIG_{want.name} is absent"
        yield start._replace(
            status=Status.FINDING,
            message=f"CONFIG_{want.name}={want.value} was asked for, and it is not so",
            locations=(recorded.source if recorded else Location(facts.path, text=text), want.source),
            notes=("its clauses are not in the built-in tables, so why is not told",),
            fix=f"look at its dependencies: menuconfig, / {want.name}",
        )


def _merely_unset(start: Outcome, want: Fact, recorded: Fact | None, ways: _Ways, facts: Facts) -> Outcome:
    place = recorded.source if recorded else Location(facts.path, text=f"CONFIG_{want.name} is absent")
    return start._replace(
        status=Status.FINDING,
        message=f"CONFIG_{want.name}={want.value} was asked for and is not set; nothing in Kconfig forbids it",
        locations=(place, want.source),
        notes=ways.lines,
        fix="set it, and run `make olddefconfig`",
        fragment=ways.fragment or (config_line(want.name, want.value or "y"),),
    )


def _blocked(
    start: Outcome, want: Fact, answers: tuple[Why, ...], ways: _Ways, facts: Facts, ruleset: RuleSet
) -> Outcome:
    clauses = list({(c.text, c.expr): c for a in answers for c in a.blocking}.values())
    notes = [quote(c) for c in clauses] or [f"Linux {facts.release} has no {want.name}"]
    if len(answers) > 1:
        notes.append(f"no source of Linux {facts.release} was read; every text that it may have blocks it")
    notes += ways.lines
    return start._replace(
        status=Status.FINDING,
        message=f"CONFIG_{want.name}={want.value} was asked for, and Linux {facts.release} does not grant it",
        locations=(*_places(clauses), want.source),
        facts=_deciders(clauses, facts, ruleset),
        notes=tuple(notes),
        fix="take one of the ways out above; each was evaluated" if ways.any else "",
        fragment=ways.fragment,
    )


def _open(start: Outcome, want: Fact, answers: tuple[Why, ...], facts: Facts, ruleset: RuleSet) -> Outcome:
    clauses = [c for a in answers for c in (*a.blocking, *a.undecided)]
    unknown = {f.name: f for f in _deciders(clauses, facts, ruleset) if f.value is None}
    notes = []
    if len(answers) > 1:
        for answer in answers:
            texts = "; ".join(quote(c) for c in answer.blocking) or "nothing blocks it"
            notes.append(f"as in {origin_words(answer.origins)}: {texts}")
    missing = tuple(f"{n}: {f.reason or f.source.text}" for n, f in unknown.items())
    return start._replace(
        status=Status.UNKNOWN,
        message=f"could not tell whether Kconfig of Linux {facts.release} grants CONFIG_{want.name}={want.value}",
        facts=_deciders(clauses, facts, ruleset),
        notes=tuple(notes),
        missing=missing or (f"the Kconfig text of Linux {facts.release}; look into the tree that you build",),
    )


def _forbidden(blank: Outcome, kernel: Kernel, facts: Facts, ruleset: RuleSet) -> Iterator[Outcome]:
    from btfcheck.kconfig.forbidden import forbidden

    names = [n for n in _GUARDED if n in facts.recorded]
    # The tools of this build may deny what those of the configuration granted.
    tools = kernel.tree.measured if kernel.tree is not None else None
    found = forbidden(kernel.loaded, kernel.values(live=False), names, tools)
    if not found:
        yield blank
    for item in found:
        origin = facts.recorded[item.symbol]
        said, notes, fix = "forbids it", _whence(kernel, facts), ruleset.rules[blank.rule].fix
        if not item.certain:
            notes = ()
            said = f"may forbid it: no source of it was read, {origin_words(item.origins)} would"
        elif item.by_tools:
            said, notes, fix = "drops it with these tools", (), _OTHER_TOOLS_MADE_IT
        clauses = list(item.clauses)
        yield blank._replace(
            status=Status.FINDING if item.certain else Status.UNKNOWN,
            subject=item.symbol,
            message=f"CONFIG_{item.symbol}={item.value} is set, and Kconfig of Linux {facts.release} {said}",
            locations=(origin.source, *_places(clauses)),
            facts=_deciders(clauses, facts, ruleset),
            notes=(*(quote(c) for c in clauses), *notes),
            missing=() if item.certain else (f"whether this clause is in Linux {facts.release}",),
            fix=fix,
        )


def _whence(kernel: Kernel, facts: Facts) -> tuple[str, ...]:
    """How a configuration can hold what Kconfig forbids."""
    if kernel.header is not None and kernel.header.line != facts.release.line:  # type: ignore[union-attr]
        return (f"Linux {kernel.header} made this configuration",)
    return ("the file was edited by hand, or comes from a patched tree",)


_OTHER_TOOLS_MADE_IT = "build with the tools the configuration was made with, or see what `make olddefconfig` drops"


def origin_words(origins: Iterable[Any]) -> str:
    """The trees that candidate texts come from, in words."""
    return " or ".join(dict.fromkeys(o.variant or ", ".join(o.trees) for o in origins))


def _places(clauses: Iterable[Clause]) -> Iterator[Location]:
    """Where the clauses stand, if a tree was read; the built-in tables know the text only."""
    return (Location(c.file, c.line, c.text) for c in clauses if c.line)


def quote(clause: Clause) -> str:
    """The clause as the kernel's file has it, with what its symbols are."""
    place = f"{clause.file}:{clause.line}" if clause.line else clause.file
    leaves = ", ".join(_leaf(leaf) for leaf in clause.leaves)
    part = f"\npart that blocks: {clause.expr}" if len(clause.expr) + 12 < len(clause.text) else ""
    said = "".join(f"\nthe tool says: {leaf.said}" for leaf in clause.leaves if leaf.said)
    return f"{place}: {clause.text}{part}\nwith {leaves}{said}"


def _leaf(leaf: Leaf) -> str:
    via = f" ({leaf.via})" if leaf.kind == "derived" and leaf.via else ""
    return f"{leaf.name}={leaf.value}{via}"


def _deciders(clauses: Iterable[Clause], facts: Facts, ruleset: RuleSet) -> tuple[Fact, ...]:
    """The recorded or live facts behind the symbols of some clauses."""
    found: dict[str, Fact] = {}

    def add(leaf: Leaf) -> None:
        if leaf.sources and leaf.name not in facts.recorded and leaf.name not in facts.live:
            for source in leaf.sources:
                add(source)
            return
        fact = facts.get(leaf.name, ruleset)
        if isinstance(fact, Result):
            found.update({f.name: f for f in fact.facts})
        else:
            found[leaf.name] = fact

    for clause in clauses:
        for item in clause.leaves:
            add(item)
    return tuple(found.values())


_MOST_WAYS = 6


class _Ways(NamedTuple):
    """The ways out as lines, best first, and why there can be none; the settings of the best one.

    `any`: whether there is one; `advice`: whether another program would tell more.
    """

    lines: tuple[str, ...]
    fragment: tuple[str, ...]
    any: bool
    advice: bool


def _ways(kernel: Kernel, goals: Mapping[str, str]) -> _Ways:
    key = tuple(goals.items())
    if key not in kernel.ways:
        kernel.ways[key] = _search(kernel, goals)
    found = kernel.ways[key]
    if found.advice and not kernel.advised:
        kernel.advised = True
        return found._replace(lines=(*found.lines, ADVICE))
    return found


def _search(kernel: Kernel, goals: Mapping[str, str]) -> _Ways:
    found = kernel.ways_out(goals)
    lines = [clash_text(c) for c in found.clashes]
    ways = [way_text(way) for way in found.ways if way.edits or way.given_up]
    lines += [f"way out {number}: {text}" for number, text in enumerate(ways[:_MOST_WAYS], 1)]
    if len(ways) > _MOST_WAYS:
        lines.append(f"and {len(ways) - _MOST_WAYS} more ways out")
    if found.unknown:
        lines.append(NOT_KNOWN)
    fragment: tuple[str, ...] = ()
    if found.ways and not found.ways[0].given_up:
        settings = {e.name: e.value for e in found.ways[0].edits if not e.tool} | dict(goals)
        fragment = tuple(config_line(name, value) for name, value in settings.items())
    return _Ways(tuple(lines), fragment, bool(ways), found.unknown and found.lacks_solver)


def config_line(name: str, value: str) -> str:
    """A setting as a .config has it."""
    return f"# CONFIG_{name} is not set" if value == "n" else f"CONFIG_{name}={value}"


NOT_KNOWN = "could not tell whether all of this can be had: no changes that grant it were found, nor a proof against it"
ADVICE = "pip install 'btfcheck[solve]' installs what finds them, or proves that there are none"
OTHER_TOOLS = "ask again with other tools (LLVM=1 takes those of LLVM)"
_MOST_LOST = 12  # names in one line; JSON has them all


def clash_text(clash: Any) -> str:
    """Why goals cannot be had together."""
    tools = " with these tools" if clash.of_tools else ""
    lines = [f"{symbol} has, in {place(c)}: {c.text}" for symbol, c in clash.lines]
    if clash.of_tools:
        lines.append(OTHER_TOOLS)
    return "; ".join([f"cannot all be had{tools}: {', '.join(clash.goals)}", *lines])


def place(clause: Any) -> str:
    """Where a clause stands."""
    return f"{clause.file}:{clause.line}" if clause.line else str(clause.file)


def way_text(way: Any) -> str:
    """A way out in words: what to set or install, what is given up and lost."""
    clang = any(e.name in _LLVM and e.value == "y" for e in way.edits)
    edits = list(dict.fromkeys(edit_text(e) for e in way.edits if not (clang and e.name in _GNU)))
    text = "; ".join([*(f"give up {name}" for name in way.given_up), *edits]) or "ask for it, and change nothing else"
    told = {e.name for e in way.edits}
    if lost := [name for name in way.lost if name not in told]:
        more = f" and {len(lost) - _MOST_LOST} more" if len(lost) > _MOST_LOST else ""
        text += f"; this loses {', '.join(lost[:_MOST_LOST])}{more}"
    if way.instead:
        text += f" (in place of LTO: {', '.join(way.instead)})"
    if way.unsure:
        text += f"; could not tell: {'; '.join(way.unsure)}"
    return text


# What make's LLVM=1 answers with y, and what is off with it.
_LLVM = frozenset(("CC_IS_CLANG", "LD_IS_LLD", "AS_IS_LLVM", *_ASKED_OF_TOOLS.values()))
_GNU = frozenset(("CC_IS_GCC", "LD_IS_BFD", "AS_IS_GNU", "GCC_VERSION", "LD_VERSION"))


def edit_text(edit: Any) -> str:
    """One change as a user makes it."""
    if not edit.tool:
        return config_line(edit.name, edit.value)
    if edit.name == "LLVM":
        return f"build with LLVM={edit.value}"
    if edit.value == "y" and edit.name in _LLVM:
        return "build with LLVM=1"
    if edit.name == "RUST_IS_AVAILABLE":
        return "a rustc, bindgen, libclang and rust-src that scripts/rust_is_available.sh accepts"
    if edit.name.endswith("_VERSION") and edit.value.isdigit():
        number, tool = int(edit.value), _TOOLS.get(edit.name, "a tool")
        bound = f"{_dotted(edit.name, number)} {'or earlier' if edit.lowers else 'or later'}"
        if number % 100 == 99 and edit.name != "PAHOLE_VERSION":  # the clause says < 190000; there is no 18.99.99
            bound = f"before {_dotted(edit.name, number + 1)}"
        return f"{tool} {bound} ({edit.name}={edit.value})"
    return f"other tools, so that {edit.name}={edit.value}"


_TOOLS = {"PAHOLE_VERSION": "pahole", "RUSTC_VERSION": "rustc", "CLANG_VERSION": "Clang", "GCC_VERSION": "GCC",
          "RUSTC_LLVM_VERSION": "a rustc with LLVM", "AS_VERSION": "an assembler", "LLD_VERSION": "lld"}  # fmt: skip


def _dotted(name: str, number: int) -> str:
    if name == "PAHOLE_VERSION":
        return f"{number // 100}.{number % 100}"
    major = number // (100_000 if name == "RUSTC_VERSION" else 10_000)
    return f"{major}.{number // 100 % (1000 if name == 'RUSTC_VERSION' else 100)}.{number % 100}"
