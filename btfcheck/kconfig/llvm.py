# SPDX-License-Identifier: MIT
"""The ways out that another Clang opens, where the tools of this build close them all.

With another compiler every answer of a tree's commands changes too, so nothing of the loaded tree tells
what it would grant: the tree is opened anew for each LLVM, and asked. First for the newest one, without
running anything; where that would do, with each that is installed, really asked; and where none of these
is enough, for one version after the other, the least first.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping

from btfcheck.kconfig.answers import SUFFICIENT
from btfcheck.kconfig.changes import ways_out
from btfcheck.kconfig.encoding import PROGRAM
from btfcheck.kconfig.environment import clang_flags
from btfcheck.kconfig.matrix import number
from btfcheck.kconfig.proposal import Edit, Trial, Values, Way, Ways, rank
from btfcheck.kconfig.tree import Tree, open_tree
from btfcheck.model import InputError
from btfcheck.toolchain import tools

# The first release of each LLVM, as Kconfig counts: from 18 on it is x.1.0, of 17 it was 17.0.1.
_FIRST = (140000, 150000, 160000, 170001, 180100, 190100, 200100, 210100, 220100)
_NEWEST = int(SUFFICIENT["CLANG_VERSION"])
_COMPILER = ("CC", "LD", "AR", "NM", "OBJCOPY", "READELF")
_MOST = 3  # installed LLVMs that are asked
# What stays: no LLVM has a part in it.
_KEPT = ("PAHOLE_VERSION", "RUSTC_VERSION", "RUSTC_LLVM_VERSION", "RUST_IS_AVAILABLE")


def by_llvm(tree: Tree, goals: Mapping[str, str], values: Values, found: Ways, *, complete: bool = True) -> Ways:
    """What `found` says of this build's tools; where these cannot grant all goals, the ways with an LLVM that can.

    `goals`, `values` and `complete` as for ways_out. Where no LLVM changes anything, the lines that
    forbid it with the newest are the ones to be told.
    """
    if any(_as_it_is(way) for way in found.ways) or _is_newest(tree) or not _has_target(tree):
        return found
    search = _Search(tree, goals, values, complete)
    hope = search.ways(search.assumed(_NEWEST))
    if all(way.given_up for way in hope.ways):
        proven = hope.clashes and not any(clash.of_tools for clash in hope.clashes)
        return found._replace(clashes=hope.clashes) if proven else found
    for word, version in list(_installed(tree))[:_MOST]:
        real = search.real(word) if search.granted(search.assumed(version)) else None
        if real is not None and (ways := search.granted(real, Edit("LLVM", word, True))):
            return ways
    for version in _versions(tree):
        edits = (Edit("LLVM", "1", True), Edit("CLANG_VERSION", str(version), True))
        if ways := search.granted(search.assumed(version), *edits):
            return ways
    return found


def _is_newest(tree: Tree) -> bool:
    whole = all(tree.measured.get(name) == "y" for name in ("CC_IS_CLANG", "LD_IS_LLD", "AS_IS_LLVM"))
    return whole and int(tree.measured.get("CLANG_VERSION", "0")) >= _NEWEST


def _has_target(tree: Tree) -> bool:
    """Whether Clang builds for this architecture at all."""
    try:
        clang_flags(tree.root, tree.srcarch, tools.resolve({"LLVM": "1"}, {}), tree.environment.get("SUBARCH", ""))
    except InputError:
        return False
    return True


def _as_it_is(way: Way) -> bool:
    """Whether it grants all goals with the compiler, assembler and linker that it was found for."""
    return not way.given_up and not any(e.tool and PROGRAM.fullmatch(e.name) for e in way.edits)


class _Search:
    """One question, asked of one tree with several toolchains."""

    def __init__(self, tree: Tree, goals: Mapping[str, str], values: Values, complete: bool) -> None:
        self.tree = tree
        self.goals = goals
        self.values = values
        self.complete = complete
        self.variables = {n: v for n, v in tree.given.items() if n not in _COMPILER}
        self.before = Trial(tree, values, complete).snapshot(frozenset())

    def assumed(self, version: int) -> Tree:
        """The tree as an LLVM of that version would have it; of what is not told by it, everything succeeds."""
        same = {n: self.tree.measured[n] for n in _KEPT if n in self.tree.measured}
        llvm = {**SUFFICIENT, **dict.fromkeys(("CLANG_VERSION", "AS_VERSION", "LLD_VERSION"), str(version))}
        variables = {**self.variables, "LLVM": "1", **_commands("1")}
        return open_tree(self.tree.root, variables, self.tree.environment["ARCH"], facts={**llvm, **same})

    def real(self, word: str) -> Tree | None:
        """The tree as LLVM=word makes it, every command run; None where the tree refuses that one."""
        variables = {**self.variables, "LLVM": word, **_commands(word)}
        try:
            return open_tree(self.tree.root, variables, self.tree.environment["ARCH"], watching=self.tree.watching)
        except InputError:
            return None

    def ways(self, other: Tree) -> Ways:
        return ways_out([other], self.goals, {**self.values, **other.measured}, complete=self.complete)

    def granted(self, other: Tree, *edits: Edit) -> Ways | None:
        """The ways that grant all goals, `edits` among their edits; None where there are none."""
        found = self.ways(other)
        values = {**self.values, **other.measured}
        at_first = Trial(other, values, self.complete).snapshot(frozenset())
        ways = [self._told(way, edits, at_first) for way in found.ways if _as_it_is(way)]
        return found._replace(ways=tuple(sorted(ways, key=rank)), clashes=()) if ways else None

    def _told(self, way: Way, edits: tuple[Edit, ...], at_first: Mapping[str, str]) -> Way:
        """The way with the change of tools, and with what that changes by itself."""
        after = {**at_first, **{name: value for name, _, value in way.changes}}
        changes = tuple(
            (name, before, after[name]) for name, before in self.before.items()
            if name in after and after[name] != before and name not in self.goals
        )  # fmt: skip
        return way._replace(edits=(*edits, *way.edits), changes=changes)


def _commands(word: str) -> dict[str, str]:
    """The tools that LLVM=word means, whatever the environment says."""
    chosen = tools.resolve({"LLVM": word}, {})
    return {name: tools.show(chosen.commands[name]) for name in _COMPILER}


def _installed(tree: Tree) -> Iterator[tuple[str, int]]:
    """(what LLVM= is to be, Clang's version) of each LLVM that is here as a whole, and not asked yet."""
    if not tree.ran:
        return
    suffixes = {name.removeprefix("clang") for place in os.environ.get("PATH", "").split(os.pathsep)
                for name in _names(place) if re.fullmatch(r"clang-\d+", name)}  # fmt: skip
    for word in ("1", *sorted(suffixes, key=lambda s: -int(s[1:]))):
        commands = _commands(word)
        now = {name: tree.environment.get(name) for name in commands}
        if commands == now or not all(tools.find(c)[0] for c in commands.values()):
            continue
        said = re.search(r"clang version (\d+\.\d+\.\d+)", tools.ask([commands["CC"], "--version"]).text)
        if said:
            yield word, int(number("llvm", said[1]))


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder or ".")
    except OSError:
        return []


def _versions(tree: Tree) -> Iterator[int]:
    """The LLVMs that the tree takes, the least first."""
    least = int(number("llvm", tree.minimums().get("llvm", "none")))
    if least:
        yield least
    now = int(tree.measured.get("CLANG_VERSION", "0") or 0)
    yield from (version for version in _FIRST if version > max(least, now))
