# SPDX-License-Identifier: MIT
"""The Kconfig files of a real source tree, evaluated as its own conf would."""

from __future__ import annotations

import contextlib
import gc
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import kconfiglib as kl

from btfcheck.files import Stamp, stamp
from btfcheck.kconfig import flat, stored
from btfcheck.kconfig.answers import SUFFICIENT, Answers, by_facts
from btfcheck.kconfig.compilers import minimums
from btfcheck.kconfig.dialect import KernelKconfig, Origin, Rules
from btfcheck.kconfig.environment import environment, read
from btfcheck.kconfig.state import asks
from btfcheck.model import InputError

Shell = Callable[[str, str], str]  # (command, file:line) -> its output
Watching = Callable[[], contextlib.AbstractContextManager[Callable[[str], None]]]
_LINE = re.compile(r"^(\S+?:\d+): (?:error: )?(.*)", re.S)
_UNENDED = re.compile(r"error: expected '(\w+)' at end of '(.*)'")
_ODD = re.compile(r"[^\w@%+=,./~-]")  # the tree's commands name it, unquoted
_MOST_WORDS = 400  # characters of what a tool says
_FACTS = (kl.BOOL, kl.TRISTATE, kl.INT, kl.HEX)
_FOR_RUST = ("PAHOLE_VERSION", "RUSTC_VERSION", "RUSTC_LLVM_VERSION")
_DEEPEST = 20_000  # calls: a symbol of a thousand selects is an expression a thousand deep
_RULES = tuple(f"scripts/kconfig/{name}" for name in ("symbol.c", "confdata.c", "lexer.l", "util.c"))
_BESIDE_LTO = ("AUTOFDO_CLANG", "PROPELLER_CLANG", "RUST_INLINE_HELPERS")


class Tree(KernelKconfig):
    """A loaded tree. Its leaves are the symbols that the tools alone decide.

    `measured` are their values as the tree's own commands gave them. `missing` says what tools
    that are not there take away; `assumed` are the commands whose answers are assumptions. It is
    parsed, unless it is given as it was `parsed` before.
    """

    reach = 4
    missing: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    given: Mapping[str, str] = {}
    ran = False
    watching: Watching

    def __init__(
        self, root: str, environment: Mapping[str, str], shell: Shell, parsed: stored.Parsed | None = None
    ) -> None:
        sys.setrecursionlimit(max(_DEEPEST, sys.getrecursionlimit()))
        self.root = root
        self.environment = {**environment, "srctree": root}
        self.shell = shell
        self._files: dict[str, Stamp] = {}
        self._variables: dict[str, str] = {}
        self._commands: list[tuple[str, str, str]] = []
        if parsed is None:
            KernelKconfig.__init__(self, rules=rules_of(root))
            self.leaves = self._leaves()
            self.measured = {name: str(self.syms[name].str_value) for name in sorted(self.leaves)}
        else:
            self.rules = Rules(*parsed.rules)
            flat.restore(self, parsed.things, parsed.written)
            self.leaves = set(parsed.measured)
            self.measured = parsed.measured
        self.srcarch = environment.get("SRCARCH", "")
        version = environment.get("KERNELVERSION", "")
        self.origin = Origin((f"{version} ({root})",))
        self.instead_of_lto = tuple(n for n in _BESIDE_LTO if n in self.syms and self.syms[n].nodes)
        self.toolchain = {s.name for s in self.macro_lines if s.__class__ is kl.Symbol and not asks(s)}
        self.numbers = {n for n in self.leaves if self.syms[n].orig_type in (kl.INT, kl.HEX)}

    def seen(self) -> stored.Seen:
        """All that what was parsed depends on."""
        for name in _RULES:
            path = os.path.join(self.root, name)
            self._files[path] = stamp(os.stat(path))
        return stored.Seen(tuple(self._files.items()), tuple(self._variables.items()), tuple(self._commands))

    def parsed(self) -> stored.Parsed:
        """What to make an equal tree of."""
        return stored.Parsed(tuple(self.rules), dict(self.measured), *flat.flatten(self))

    # kconfiglib takes these from the process; several trees may be loaded in one.

    @property
    def srctree(self) -> str:
        return self.root

    @srctree.setter
    def srctree(self, _: str) -> None: ...

    def _fn_val(self, args: list[str]) -> str:
        name = args[0]
        if name == "shell" and len(args) == 2:
            place = f"{self.filename}:{self.linenr}"
            said = self.shell(args[1], place)
            self._commands.append((args[1], place, said))
            return said
        if name == "info":  # would print
            return ""
        if name not in self.variables and name not in self._functions:
            if len(args) > 1:
                return ""
            value = self._variables[name] = _variable(self.environment, name)
            return value
        return KernelKconfig._fn_val(self, args)

    def opened(self, filename: str, file: Any) -> None:
        self._files[filename] = stamp(os.fstat(file.fileno()))

    def said(self, symbol: Any) -> str:
        reason = getattr(self.shell, "reason", None)
        places = self.macro_places.get(symbol, ()) if reason else ()
        words = " ".join(next(filter(None, map(reason, places)), "").replace("*", " ").split())  # type: ignore[arg-type]
        return words if len(words) <= _MOST_WORDS else words[:_MOST_WORDS] + " ..."

    def minimums(self) -> dict[str, str]:
        """The least versions of the tools that its scripts/min-tool-version.sh names, {} where there is none."""
        script = "scripts/min-tool-version.sh"
        there = os.path.exists(os.path.join(self.root, script))
        return minimums(read(self.root, script), self.srcarch) if there else {}

    def _leaves(self) -> set[str]:
        """Symbols whose value comes from $(...) or other such symbols, and from nothing else."""
        found: set[str] = set()
        asked = [s for s in self.macro_lines if s.__class__ is kl.Symbol and s.defaults and s.orig_type in _FACTS]
        while True:
            more = {s.name for s in asked if s.name not in found and self._only_tools(s, found)}
            if not more:
                return found
            found |= more

    def _only_tools(self, symbol: Any, leaves: set[str]) -> bool:
        if asks(symbol) or symbol.rev_dep is not self.n or symbol.weak_rev_dep is not self.n:
            return False
        expressions = [symbol.direct_dep, *(part for default in symbol.defaults for part in default)]
        # A condition that is n swallowed the others; they are as they were written.
        expressions += [written.expr for chain in self.definitions(symbol) for written in chain]
        return all(i.is_constant or i.name in leaves or not i.nodes for e in expressions for i in kl.expr_items(e))


def _variable(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name, os.environ.get(name, ""))


def _unwatched() -> contextlib.AbstractContextManager[Callable[[str], None]]:
    return contextlib.nullcontext(lambda _: None)


def open_tree(
    root: str,
    variables: Mapping[str, str],
    arch: str = "",
    *,
    facts: Mapping[str, str | None] | None = None,
    shell: bool = False,
    watching: Watching = _unwatched,
) -> Tree:
    """Load the tree at `root` for the toolchain that make's `variables` choose.

    `arch` is what to build for where ARCH is not given. With `facts` (CLANG_VERSION, PAHOLE_VERSION
    ... as a .config records them) no command of the tree is run: what follows from them is answered,
    the rest taken to succeed; without a compiler among them a sufficient toolchain is taken. With
    `shell` the rest is asked of the installed tools instead: a toolchain that is not there, on the
    answers of one that is. Within `watching` commands are run, and what it yields is called
    with the place of each. Raises InputError.
    """
    root = os.path.realpath(root)
    if odd := _ODD.search(root):
        raise InputError(f"{root}: the path of a source tree cannot have {odd[0]!r} in it, nor can make's")
    execute = facts is None or shell
    around = environment(root, variables, arch, probe=execute)
    rule = None
    lacking: list[str] = []
    known: Mapping[str, str | None] = {}
    if facts is not None:
        compiler = "y" in (facts.get("CC_IS_CLANG"), facts.get("CC_IS_GCC"))
        lacking = [n for n in (_FOR_RUST if compiler else SUFFICIENT) if facts.get(n) is None]
        known = {**facts, **{n: SUFFICIENT[n] for n in lacking}}
        rule = by_facts(known, around.values["SRCARCH"], around.values.get("CLANG_FLAGS", ""))
        around = around._replace(values={**around.values, **_texts(known)})
    answers = Answers(root, around, execute=execute, rule=rule)
    try:
        with watching() as answers.watch:
            tree = _kept(root, around.values, answers, sorted(known.items()))
    finally:
        answers.watch = None
        answers.close()
    tree.given, tree.ran, tree.watching = dict(variables), execute, watching
    tree.missing = around.missing
    tree.assumed = (*(f"{n}={known[n]}" for n in lacking), *answers.assumed)
    return tree


def _kept(root: str, environment: Mapping[str, str], answers: Answers, facts: list[tuple[str, str | None]]) -> Tree:
    """The tree as it was parsed before, where all that its parser saw is the same; else parsed now, and kept."""
    store = stored.Store(root, environment, facts)
    if (found := store.get()) is not None:
        seen, parsed = found
        around = {**environment, "srctree": root}
        if all(_variable(around, n) == value for n, value in seen.variables) and answers.agrees(seen.commands):
            with _no_garbage():
                return Tree(root, environment, answers, parsed)
    tree = load(root, environment, answers)
    with _no_garbage():
        store.put(tree.seen(), tree.parsed())
    return tree


@contextlib.contextmanager
def _no_garbage() -> Iterator[None]:
    """Nothing of a million new objects is garbage, and looking for some takes a fifth of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            if not gc.get_freeze_count():  # the caller's own stays frozen
                gc.freeze()
                gc.unfreeze()  # to the oldest, unseen; else they are looked through at once
            gc.enable()


def _texts(facts: Mapping[str, str | None]) -> dict[str, str]:
    """What make itself would have asked the tools."""
    names = ("CC_VERSION_TEXT", "RUSTC_VERSION_TEXT", "PAHOLE_VERSION")
    return {name: value for name in names if (value := facts.get(name)) is not None}


def load(root: str, environment: Mapping[str, str], shell: Shell) -> Tree:
    """Parse the tree at `root` (an absolute path).

    Raises InputError with file:line for an unknown keyword, a broken file, a `source` that cannot
    be read, a compiler that the tree refuses.
    """
    read(root, "Kconfig")
    # The library would import, and run, a module of this name from wherever Python looks, the tree itself perhaps.
    sys.modules.setdefault("kconfigfunctions", None)  # type: ignore[arg-type]
    try:
        with _no_garbage():
            return Tree(root, environment, shell)
    except kl.KconfigError as error:
        text = " ".join(str(error).split())
        if end := _UNENDED.fullmatch(text):
            text = f"{end[2]}:{read(root, end[2]).count(chr(10))}: no {end[1]} up to the end of the file"
        raise InputError(f"{root}/{text}" if _LINE.match(text) else f"{root}: {text}") from error
    except OSError as error:
        raise InputError(f"{error.filename or root}: {error.strerror}") from error
    except RecursionError as error:
        raise InputError(f"{root}: its Kconfig files nest without end") from error


def assign(kconf: KernelKconfig, words: Mapping[str, str]) -> None:
    """Make `words` (values as a .config has them, strings in quotes) the user's, as conf reads them.

    A value that does not fit its symbol's type is passed over, as conf does.
    """
    for symbol in kconf.unique_defined_syms:
        symbol.give(None)
        symbol.unset_value()
    kconf.touched = True
    for name, word in words.items():
        symbol = kconf.syms.get(name)
        value = _value(symbol, word) if symbol is not None and symbol.nodes else None
        if value is not None:
            symbol.set_value(value)
    kconf.settle()


def _value(symbol: Any, word: str) -> str | None:
    if symbol.orig_type in (kl.BOOL, kl.TRISTATE):
        return word[:1] if word[:1] in ("y", "m", "n") and word else None
    if symbol.orig_type is kl.STRING:
        return re.sub(r"\\(.)", r"\1", word[1:-1]) if word[:1] == '"' else None
    return word


def rules_of(root: str) -> Rules:
    """The rules for values, read off the tree's own scripts/kconfig."""
    symbol, data, lexer, util = (read(root, name) for name in _RULES)
    words = set(re.findall(r'^"([\w-]+)"\s+return', lexer, re.M))
    return Rules(
        choices="choice_members" in symbol,
        clamps="sym_string_within_range" not in data,
        zero='newval.val = "0"' in symbol,
        once="repeated inclusion" in util,
        refused=tuple(kl._get_keyword.__self__.keys() - words),
    )
