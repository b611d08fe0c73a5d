# SPDX-License-Identifier: MIT
"""kconfiglib for the Kconfig language of today's kernels.

kconfiglib 14.1.0 is from 2020. What its parser misses (`modules`, `transitional`, `depends on A
if B`) and what its values get wrong since (`imply` from 5.7 on, choices from 6.10 on) is mended
here by subclassing; the package itself is left as it is, so kernels of several ages can be
loaded in one process. It also keeps what kconfiglib drops: where each clause stands, and how it
reads there.

Source: Documentation/kbuild/kconfig-language.rst and the behaviour of scripts/kconfig/conf.
"""

from __future__ import annotations

import glob
import io
import os
import re
from collections.abc import Iterator, Mapping, Set
from typing import Any, NamedTuple

import kconfiglib as kl

from btfcheck.kconfig.symbols import KernelChoice, KernelSymbol, bucket
from btfcheck.kconfig.values import compared


class Rules(NamedTuple):
    """Which rules for values a kernel has; read off its scripts/kconfig, or its release.

    `choices`: the rules of 6.10: members take the choice's dependencies, an explicit n counts.
    `clamps`: a number out of its range takes the nearer end, instead of being forgotten.
    `zero`: a number without a value is 0, not empty.
    `once`: no file may be included twice (7.2).
    `refused`: words that the library takes for keywords and this kernel does not.
    """

    choices: bool = True
    clamps: bool = True
    zero: bool = True
    once: bool = False
    refused: tuple[str, ...] = ()


class Written(NamedTuple):
    """A condition as it stands in a Kconfig file. `kind`: "depends on", "if" or "prompt"."""

    kind: str
    expr: Any  # kconfiglib's expression
    text: str
    file: str
    line: int | None


_DOLLAR = re.compile(r"\s*([\w-]*\$[\w$-]*)\s*(?=:?\+?=)", re.ASCII)
_COMMENT = re.compile(r"^([ \t]*#.*)\\$", re.M)
_KEPT = "\0"  # stands for a "$" that is a letter like any other, as long as the library looks at it


def _indent(line: str) -> int:
    expanded = line.expandtabs()
    return len(expanded) - len(expanded.lstrip())


class _Arguments(tuple[str, ...]):
    """What a macro is called with; $(1) is the first, and $(0) none."""

    def __getitem__(self, at: Any) -> Any:
        if at < 1:
            raise IndexError
        return tuple.__getitem__(self, at)


class Origin(NamedTuple):
    """What a loaded Kconfig stands for.

    `trees`: where its text was read. `assumed`: why it may not be the text of the release asked
    for, "" when it is. `variant`: what tells it from the other candidates, "" for the only one.
    """

    trees: tuple[str, ...] = ()
    assumed: str = ""
    variant: str = ""


class KernelKconfig(kl.Kconfig):  # type: ignore[misc]
    """A kernel's Kconfig files, loaded; KconfigError for what cannot be parsed.

    `leaves` are the symbols whose value is a fact instead of being computed; `toolchain` the
    symbols that the tools decide; `settable` the leaves that a user can set; `numbers` the
    leaves that are numbers; `constants` what the architecture settles; `measured` the leaves'
    values where tools were asked; `computed` maps a leaf
    to (symbol, divisor); `setters` maps a symbol without a prompt to value -> the choice member
    that gives it that value. `instead_of_lto` names what the release offers beside LTO.
    `wrote`: the .config that is judged was written by this release; only then does a symbol
    without a prompt that it does not name tell anything about the tools.
    `srcarch` is the directory under arch/, "" where that is not known; `line` the first two numbers of
    the release, for a text that is not all there is.
    """

    origin = Origin()
    srcarch = ""
    line: tuple[int, int] | None = None
    leaves: Set[str] = frozenset()
    toolchain: Set[str] = frozenset()
    settable: Set[str] = frozenset()
    numbers: Set[str] = frozenset()
    constants: Mapping[str, str] = {}
    measured: Mapping[str, str] = {}
    computed: Mapping[str, tuple[str, int]] = {}
    setters: Mapping[str, Mapping[str, str]] = {}
    instead_of_lto: tuple[str, ...] = ()
    wrote: bool = True
    reach = 0  # how far to look where everything is open; 0 for all the way
    askable: Any = None  # its symbols that a user can set, once asked for
    reachable: Any = None  # what each symbol's value may depend on, once asked for
    touched = False  # whether any value was put into it
    state: Any = None  # the State whose values it has now

    def __init__(self, filename: str = "Kconfig", rules: Rules | None = None) -> None:
        self.rules = rules or Rules()
        self.turns = 0
        self.contradicted: set[Any] = set()  # choices of which one member was set to y, then one to m
        self._marks: set[str] = set()
        self._entered: set[str] = set()
        self._last: Written | None = None
        self._own: list[Written] = []
        self._macros: list[tuple[int, str]] = []  # (number, text) of lines with a $(...)
        self.macro_lines: dict[Any, list[str]] = {}  # a symbol's properties that have one
        self.macro_places: dict[Any, list[str]] = {}  # and where these stand
        # Menu node -> (the node that encloses it as written, its own conditions).
        self._written: Any = {}
        kl.Kconfig.__init__(self, filename, warn=False)
        if self.modules.orig_type is kl.TRISTATE:  # it would have to know itself first
            self.modules.orig_type = kl.BOOL
        for choice in self.unique_choices:  # when it changes, each of its members may
            choice._dependents.update(choice.syms)

    def place(self, filename: str, line: int) -> tuple[str, int | None]:
        """Where a parsed line stands in the kernel's tree."""
        return filename, line

    def source_line(self) -> str:
        """The line being parsed, as it stands in the kernel's file."""
        return " ".join(self._line.split())

    def opened(self, filename: str, file: Any) -> None:
        """Told of each file that is read."""

    def _open(self, filename: str, mode: str) -> Any:
        # Any bytes: conf takes them as they are, too.
        with open(filename, mode, encoding="utf-8", errors="surrogateescape") as file:
            self.opened(filename, file)
            text = file.read()
        # To the library a comment that ends in a backslash goes on in the next line.
        return io.StringIO(_COMMENT.sub(r"\1", text) if "\\\n" in text else text)

    # What the parser of 2020 does not know.

    def _lookup_sym(self, name: str) -> Any:
        symbol = self.syms.get(name)
        if symbol is None:
            symbol = KernelSymbol()
            symbol.kconfig = self
            symbol.name = name
            symbol.is_constant = False
            symbol.rev_dep = symbol.weak_rev_dep = symbol.direct_dep = self.n
            if self._parsing_kconfigs:
                self.syms[name] = symbol
        return symbol

    def _parse_help(self, node: Any) -> None:
        """Passed over: nothing here reads help texts, which are half of a tree's lines."""
        readline = self._readline
        line = " "
        while line.isspace():
            line = readline()
            self.linenr += 1
        text = line.lstrip()
        margin = line[: len(line) - len(text)]
        if not margin:
            self._empty_help(node, line)
            return
        width = len(margin.expandtabs())
        while line.startswith(margin) or line.isspace() or _indent(line) >= width:
            line = readline()
            self.linenr += 1
        node.help = ""
        if line:
            self._line_after_help(line)

    def _tokenize(self, s: str) -> Any:
        word = s.strip()
        if word in ("modules", "transitional"):
            self._line = s
            self._marks.add(word)
            return (None,)
        if word.startswith(self.rules.refused) and word.split()[0] in self.rules.refused:
            self._line = s
            self._parse_error(f"unknown keyword '{word.split()[0]}'")
        if "$" not in s:
            return kl.Kconfig._tokenize(self, s)
        if "$(" in s:
            self._macros.append((self.linenr, word))
        return [self._restored(token) for token in kl.Kconfig._tokenize(self, s)]

    def _expand_str(self, s: str, i: int) -> tuple[str, int]:
        # The library would look for environment variables in it.
        s, end = kl.Kconfig._expand_str(self, s, i)
        return s[:i] + s[i:end].replace("$", _KEPT) + s[end:], end

    def _restored(self, token: Any) -> Any:
        if isinstance(token, str):
            return token.replace(_KEPT, "$")
        if isinstance(token, kl.Symbol) and _KEPT in token.name:
            return self._lookup_const_sym(token.name.replace(_KEPT, "$"))
        return token

    def _expect_str_and_eol(self) -> str:
        text: str = kl.Kconfig._expect_str_and_eol(self)
        if self._tokens[0] is not kl._T_SOURCE:
            return text
        path = os.path.join(self.srctree, text)
        if not os.path.isfile(path):
            kind = "not a regular file" if os.path.exists(path) else "no such file"
            raise kl.KconfigError(f'{self.filename}:{self.linenr}: cannot open "{text}": {kind}')
        return glob.escape(path)  # the library takes it for a pattern, the kernel for a name

    def _enter_file(self, filename: str) -> None:
        place = f"{self.filename}:{self.linenr}"
        kl.Kconfig._enter_file(self, filename)
        if self.rules.once and filename in self._entered:
            raise kl.KconfigError(f"{place}: error: repeated inclusion of {self.filename}")
        self._entered.add(filename)

    def _parse_assignment(self, s: str) -> None:
        found = _DOLLAR.match(s)
        if found is None:
            kl.Kconfig._parse_assignment(self, s)
            return
        # A `$` without a parenthesis is a letter like any other.
        stand_in = found[1].replace("$", "-dollar-")
        kl.Kconfig._parse_assignment(self, stand_in + s[found.end(1) :])
        self.variables[found[1]] = self.variables[stand_in]

    def _expand_whole(self, s: str, args: Any) -> str:
        text: str = kl.Kconfig._expand_whole(self, s, _Arguments(args))
        return text

    def _fn_val(self, args: list[str]) -> str:
        variable = self.variables.get(args[0])
        if variable is not None and not variable.is_recursive:  # what `:=` set was expanded then
            return str(variable.value)
        value: str = kl.Kconfig._fn_val(self, args)
        return value

    def _expect_expr_and_eol(self) -> Any:
        expr = self._parse_expr(True)
        depends = self._tokens[0] is kl._T_DEPENDS
        if depends and self._check_token(kl._T_IF):  # X if Y is X || (Y = n)
            expr = (kl.OR, expr, compared(self._parse_expr(False), kl.EQUAL, self.n))
        if self._tokens[self._tokens_i] is not None:
            self._trailing_tokens_error()
        file, line = self.place(self.filename, self.linenr)
        self._last = Written("depends on" if depends else "if", expr, self.source_line(), file, line)
        if depends:
            self._own.append(self._last)
        return (kl.AND, expr, expr) if expr is self.y else expr  # said; y itself stands for nothing said

    def _set_type(self, item: Any, kind: int) -> None:
        if not item.orig_type:  # the first one stays
            item.orig_type = kind

    def _parse_prompt(self, node: Any) -> None:
        kl.Kconfig._parse_prompt(self, node)
        condition = node.prompt[1]
        if condition is not self.y:
            file, line = self.place(self.filename, self.linenr)
            self._own.append(Written("prompt", condition, self.source_line(), file, line))

    def _parse_props(self, node: Any) -> None:
        if type(node.item) is kl.Choice:
            node.item.__class__ = KernelChoice
            node.item.orig_type = kl.BOOL if self.rules.choices else node.item.orig_type
        own: list[Written] = []
        self._own = own
        self._marks.clear()
        self._macros.clear()
        kl.Kconfig._parse_props(self, node)
        self._written[node] = (node.parent, own)
        # The last line read may be the next entry's.
        asked = [at for at in self._macros if at[0] < self.linenr or not self._reuse_tokens]
        if asked and not isinstance(node.item, int):  # menus and comments are no things that have a value
            self.macro_lines.setdefault(node.item, []).extend(text for _, text in asked)
            self.macro_places.setdefault(node.item, []).extend(f"{node.filename}:{line}" for line, _ in asked)
        if "transitional" in self._marks:
            if own or node.prompt or node.defaults or node.selects or node.implies or node.ranges:
                place = f"{node.filename}:{node.linenr}"
                raise kl.KconfigError(f"{place}: error: transitional symbols can only have a help")
            node.item.transitional = True
        if "modules" in self._marks:
            self.modules = node.item

    def _parse_block(self, end_token: Any, parent: Any, prev: Any) -> Any:
        if end_token is kl._T_ENDIF and self._last is not None:
            self._written[parent] = (parent.parent, [self._last])
        return kl.Kconfig._parse_block(self, end_token, parent, prev)

    def _propagate_deps(self, node: Any, visible_if: Any) -> None:
        # A choice hands its members its dependencies, not its mode.
        if self.rules.choices and node.item.__class__ is kl.Choice:
            stand_in = kl.MenuNode()
            stand_in.item, stand_in.dep, stand_in.list = None, node.dep, node.list
            node = stand_in
        kl.Kconfig._propagate_deps(self, node, visible_if)

    def _build_dep(self) -> None:
        # What the library does, without looking twice at what several properties of a symbol share.
        for item in (*self.unique_defined_syms, *self.unique_choices):
            todo = [node.prompt[1] for node in item.nodes if node.prompt]
            if item.__class__ is kl.Symbol:
                todo += [item.direct_dep, item.rev_dep, item.weak_rev_dep]
                todo += [part for row in (*item.defaults, *item.ranges) for part in row]
            else:
                todo += [condition for _, condition in item.defaults]
            seen = set()
            while todo:
                at = todo.pop()
                if at.__class__ is tuple:
                    if id(at) not in seen:
                        seen.add(id(at))
                        todo += at[1:]
                elif not at.is_constant:
                    at._dependents.add(item)

    def _add_props_to_sym(self, node: Any) -> None:
        symbol = node.item
        before = symbol.direct_dep
        kl.Kconfig._add_props_to_sym(self, node)
        # A definition that depends on nothing does not lift what another one depends on.
        if node is not symbol.nodes[0] and self.y in (before, node.dep):
            symbol.direct_dep = before if node.dep is self.y else node.dep

    def settle(self) -> None:
        """Forget the numbers that are out of their range, as the conf of 6.1 does when it has read a .config.

        By then all else is worked out, with the nearest number in the range; that stays.
        """
        if self.rules.clamps:
            return
        told = [s for s in self.unique_defined_syms if s.ranges and s.user_value is not None]
        for symbol in told:
            symbol.recall()
        if all(symbol.in_range() for symbol in told):
            return
        for symbol in self.unique_defined_syms:
            symbol.str_value  # noqa: B018  works it out
        for symbol in sorted(told, key=bucket):
            if not symbol.in_range():
                symbol.forgotten = True
                symbol._cached_str_val = symbol._cached_vis = None
        for symbol in told:
            symbol.str_value  # noqa: B018

    def selects(self, symbol: Any) -> int:
        """How many `select` lines there are for a symbol."""
        count, expr = 1, symbol.rev_dep
        while expr.__class__ is tuple and expr[0] is kl.OR:
            count, expr = count + 1, expr[1]
        return count

    def said(self, symbol: Any) -> str:  # noqa: ARG002
        """What a tool says of a symbol that it denies; "" where no tool was asked."""
        return ""

    # What the library drops.

    def definitions(self, item: Any) -> Iterator[list[Written]]:
        """The conditions on a symbol or choice as written, one list per place that defines it.

        Enclosing blocks come first. All of one list must hold; any list will do.
        """
        for node in item.nodes:
            chain = []
            at = node
            while (written := self._written.get(at)) is not None:
                at, own = written
                chain.append(own)
            yield [condition for own in reversed(chain) for condition in own]
