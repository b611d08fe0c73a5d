# SPDX-License-Identifier: MIT
"""The flags that the kernel's own build passes to pahole, by release and pahole version.

pahole_flags.json is what scripts/pahole-flags.sh and scripts/Makefile.btf of 22 trees,
6.1 to 7.3, gave when they were executed for pahole 1.15 to 1.31 (tests/make-pahole-flags
says how it is made). The scripts ask only for "at least", so that a later pahole gets
the flags of the last one.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from btfcheck.release import Release, parse

LANG_EXCLUDE = "--lang_exclude=rust"


@dataclass(frozen=True)
class Flags:
    """`args` for pahole (without -J, the file, --btf_base) and for resolve_btfids.

    `row` names the tree that they were read from; `assumed` is true when that is not the
    very release that was asked for, and `note` then says what is known of its neighbours.
    """

    args: tuple[str, ...]
    resolve_btfids: tuple[str, ...]
    row: str
    assumed: bool
    note: str = ""


@dataclass(frozen=True)
class Step:
    """The flags from one pahole version (an integer as Kconfig has it) on."""

    pahole: int
    flags: tuple[str, ...]
    external: tuple[str, ...]
    resolve_btfids: tuple[str, ...]


@dataclass(frozen=True)
class Tree:
    """One source tree: a release, perhaps a distribution's."""

    release: Release
    name: str
    steps: tuple[Step, ...]

    def step(self, pahole_version: int) -> Step:
        return [self.steps[0], *(s for s in self.steps if s.pahole <= pahole_version)][-1]


_MAKERS = {"d": " (Debian)", "u": " (Ubuntu)", "": ""}


@cache
def trees() -> tuple[Tree, ...]:
    """Every tree of the table, oldest first."""
    found = []
    data = json.loads((Path(__file__).parent / "pahole_flags.json").read_text(encoding="ascii"))
    for entry in data:
        steps = tuple(
            Step(s["pahole"], *(tuple(s[key].split()) for key in ("flags", "external", "resolve_btfids")))
            for s in entry["steps"]
        )
        for tree in entry["trees"]:
            number = tree.rstrip("du")
            release = parse(re.sub("rc", "-rc", number))
            found.append(Tree(release, f"{release}{_MAKERS[tree[len(number):]]}", steps))
    return tuple(sorted(found, key=lambda t: t.release))


def flags(
    release: Release | str,
    pahole_version: int,
    *,
    module: bool = False,
    external: bool = False,
    lang_exclude: bool | None = None,
) -> Flags:
    """What `release`'s Kbuild passes to a pahole of this version (131 for 1.31).

    `external` asks for an out-of-tree module's flags (with `module`; vmlinux and in-tree
    modules share theirs). `lang_exclude` is CONFIG_PAHOLE_HAS_LANG_EXCLUDE where it is
    known, which decides over the table: releases between two rows, and trees with
    backports, are only told by it. `-j` stands as Kbuild has it; from 6.13 on make's
    job count follows it.
    """
    wanted = parse(release) if isinstance(release, str) else release
    tree, note = _choose(wanted, pahole_version)
    step = tree.step(pahole_version)
    args = step.flags
    if lang_exclude is not None:
        args = tuple(a for a in args if a != LANG_EXCLUDE) + ((LANG_EXCLUDE,) if lang_exclude else ())
    outside = module and external
    return Flags(
        args + (step.external if outside else ()), step.resolve_btfids if outside else (),
        tree.name, bool(note), note,
    )


def _choose(wanted: Release, pahole_version: int) -> tuple[Tree, str]:
    """The tree of that release, else the last one before it (the first one of all when there is none)."""
    table = trees()
    before = [tree for tree in table if tree.release <= wanted]
    after = [tree for tree in table if tree.release > wanted]
    tree = (before or after)[-1 if before else 0]
    if tree.release == wanted:
        return tree, ""
    note = f"no tree of {wanted} was read; these are the flags of {tree.name}"
    if before and after and _meaning(tree, pahole_version) != _meaning(after[0], pahole_version):
        note += f", those of {after[0].name} differ"
    return tree, note


def _meaning(tree: Tree, pahole_version: int) -> tuple[frozenset[str], ...]:
    step = tree.step(pahole_version)
    return frozenset(step.flags), frozenset(step.external), frozenset(step.resolve_btfids)
