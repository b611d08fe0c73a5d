# SPDX-License-Identifier: MIT
"""Facts x rules -> outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from btfcheck.lint.expr import Result, evaluate, parse
from btfcheck.lint.rules import Rule, RuleSet
from btfcheck.lint.vocabulary import span
from btfcheck.model import Fact, Location, Outcome, Status
from btfcheck.release import Release
from btfcheck.release import parse as parse_release


class Facts:
    """All facts of one check, recorded and live kept apart.

    `complete`: the configuration names every symbol that is not n. `probed`: the tools
    were asked. A plain name means the live value where there is one, since that tool will
    do the build, else the recorded one; RECORDED_, LIVE_ and WANT_ ask for one of them.
    `context` is what the caller said or the release implies (symbols of kind "context");
    `computed` what another release than the recorded one makes of symbols without a prompt.
    """

    def __init__(
        self,
        recorded: Mapping[str, Fact],
        live: Mapping[str, Fact] | None = None,
        wanted: Mapping[str, Fact] | None = None,
        context: Mapping[str, Fact] | None = None,
        *,
        complete: bool = True,
        release: Release | None = None,
        path: str = ".config",
        arch: str = "",
    ) -> None:
        self.recorded = recorded
        self.live = dict(live or {})
        self.wanted = dict(wanted or {})
        self.context = dict(context or {})
        self.computed: dict[str, Fact] = {}
        self.complete = complete
        self.probed = False
        self.release = release
        self.path = path
        self.arch = arch

    def get(self, name: str, ruleset: RuleSet) -> Fact | Result:
        """The fact of `name`, its value None when nothing tells; for a derived one what it came to."""
        prefix, _, base = name.partition("_")
        if prefix in ("RECORDED", "LIVE", "WANT") and base:
            if prefix == "RECORDED":
                found = self._recorded(base, ruleset)
            else:
                found = (self.live if prefix == "LIVE" else self.wanted).get(base)
            return found._replace(name=name) if found else self._absent(name, base, prefix, ruleset)
        if name == "FRAGMENT":
            kind = "a .config" if self.complete else "a fragment or defconfig"
            return Fact(name, "n" if self.complete else "y", Location(self.path, text=kind))
        for store in (self.live, self.computed):
            if name in store:
                return store[name]
        if found := self._recorded(name, ruleset) or self.context.get(name):
            return found
        if name in ruleset.derived:
            return evaluate(parse(ruleset.derived[name].value), lambda n: self.get(n, ruleset))
        return self._absent(name, name, "", ruleset)

    def _recorded(self, name: str, ruleset: RuleSet) -> Fact | None:
        fact = self.recorded.get(name)
        symbol = ruleset.symbols.get(name)
        if fact and self.dummy_tools and symbol and symbol.kind == "tool":
            return fact._replace(value=None, reason="the configuration was made with scripts/dummy-tools")
        return fact

    @cached_property
    def dummy_tools(self) -> bool:
        """Whether the recorded tools are the kernel's scripts/dummy-tools, which say yes to everything."""
        compiler = self.recorded.get("CC_VERSION_TEXT")
        return compiler is not None and "dummy-tools" in (compiler.value or "")

    def _absent(self, name: str, base: str, prefix: str, ruleset: RuleSet) -> Fact:
        """What it means that nothing names `base`."""
        symbol = ruleset.symbols.get(base)
        kconfig = symbol is None or symbol.kind == "config" or symbol.boolean
        place = Location(self.path, text=f"CONFIG_{base} is absent" if kconfig else f"{base} is not recorded")
        if prefix == "WANT":
            return Fact(name, "n", Location("command line", text=f"{base} is not asked for"))
        off = symbol is not None and symbol.boolean and self.complete and not self.dummy_tools
        if prefix == "LIVE" or (symbol and symbol.kind != "config" and not off):
            tool = prefix == "LIVE" or (symbol is not None and symbol.kind == "tool")
            why = "no tool was run" if tool and not self.probed else "not told"
            return Fact(name, None, place, reason=f"{why}; {symbol.supply}" if symbol and symbol.supply else why)
        if self.complete:
            return Fact(name, "n", place)
        return Fact(name, None, place, reason="in a fragment that says nothing; give the whole .config")


def judge(rule: Rule, facts: Facts, ruleset: RuleSet) -> Outcome:
    """The outcome of a rule that is an expression."""
    blank = Outcome(rule.id, Status.OK, rule.severity, rule.subject or rule.name, rule.message)
    if facts.release and rule.kernel and not _within(facts.release, *rule.kernel, *rule.kernel_unknown):
        return blank._replace(status=Status.SKIP, message=f"not about Linux {facts.release}")

    def lookup(name: str) -> Fact | Result:
        return facts.get(name, ruleset)

    applies = evaluate(parse(rule.applies), lookup) if rule.applies else Result(2, 2)
    if applies.known and not applies.true:
        names = ", ".join(f"{f.name}={f.value}" for f in applies.facts)
        return blank._replace(status=Status.SKIP, message=f"does not apply: {names}", facts=applies.facts)
    fires = evaluate(parse(rule.when), lookup)
    if fires.known and not fires.true:
        return blank._replace(facts=fires.facts)
    if not fires.known or not applies.known:
        return _open(rule, blank, (*applies.facts, *fires.facts), facts, ruleset)
    if rule.kernel and (missing := _release_gap(rule, facts)):
        return blank._replace(status=Status.UNKNOWN, facts=fires.facts, missing=(missing,),
                       message=f"{rule.message} (if this release has the clause)")
    return blank._replace(
        status=Status.FINDING, facts=_told((*applies.facts, *fires.facts)), notes=rule.evidence[:1], fix=rule.fix,
        fragment=rule.fragment,
    )  # fmt: skip


def _told(facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
    """The facts that a reader wants to see; that a .config is a .config is none."""
    return tuple(f for f in facts if f.name != "FRAGMENT")


def _within(release: Release, *spans: str) -> bool:
    return any(span("kernel", text).covers(release) for text in spans)


def _release_gap(rule: Rule, facts: Facts) -> str:
    """Why it is not known whether the rule is about this release; "" if it is."""
    if facts.release is None:
        return "the kernel release: give --kernel RELEASE"
    if _within(facts.release, *rule.kernel):
        return ""
    return (
        f"no source of Linux {facts.release} was read for this: a finding if the clause is there, else none; "
        "look into the tree that you build"
    )


def _open(rule: Rule, blank: Outcome, used: tuple[Fact, ...], facts: Facts, ruleset: RuleSet) -> Outcome:
    """Unknown, or skipped when only tools could tell and none may be run."""
    unknown = {f.name: f for f in used if f.value is None}
    if not facts.probed and all(name in facts.computed or _needs_tool(name, ruleset) for name in unknown):
        return blank._replace(status=Status.SKIP, message=f"not probed: {', '.join(unknown)}", facts=used)
    missing = tuple(f"{f.name}: {f.reason or f.source.text}" for f in unknown.values())
    return blank._replace(
        status=Status.UNKNOWN, facts=used, missing=missing, message=f"could not tell: {rule.message}"
    )


def _needs_tool(name: str, ruleset: RuleSet) -> bool:
    if name.startswith("LIVE_"):
        return True
    symbol = ruleset.symbols.get(name.removeprefix("RECORDED_"))
    return symbol is not None and symbol.kind == "tool"


def example_facts(example: Mapping[str, Any]) -> Facts:
    """The facts that an example of a rule states; what it leaves out is n, or unknown for a tool."""
    stores: dict[str, dict[str, Fact]] = {"RECORDED": {}, "LIVE": {}, "WANT": {}}
    for name, value in example.get("facts", {}).items():
        prefix, _, base = name.partition("_")
        name, store = (base, stores[prefix]) if prefix in stores and base else (name, stores["RECORDED"])
        store[name] = Fact(name, value, Location("example", text=f"CONFIG_{name}={value}"), prefix == "LIVE")
    release = parse_release(example["kernel"]) if "kernel" in example else None
    return Facts(
        stores["RECORDED"], stores["LIVE"], stores["WANT"], release=release, path="example",
        arch=example.get("arch", ""),
    )  # fmt: skip
