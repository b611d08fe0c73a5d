# SPDX-License-Identifier: MIT
"""A loaded Kconfig as columns of numbers and lists of strings, and a Kconfig made of them again.

Making 17,000 symbols of columns takes a seventh of the time that parsing takes. Every constant, symbol,
choice and expression has one number, in this order, and an expression comes after its parts. What is shared
stays shared. Of the menu, what judgements need is kept: of each place that defines a symbol its prompt, its
dependencies, where it stands, and the conditions as written.

This is the inner loop of a warm `check --tree`, and written as one.
"""

from __future__ import annotations

import marshal
from array import array
from collections.abc import Iterable, Iterator
from itertools import islice, repeat
from typing import Any

import kconfiglib as kl

from btfcheck.kconfig.dialect import KernelKconfig, Written
from btfcheck.kconfig.symbols import KernelChoice, KernelSymbol

_NONE = -1


def flatten(kconf: KernelKconfig) -> tuple[bytes, bytes]:
    """What values are computed of, and the conditions as they stand in the files."""
    constants = list(kconf.const_syms.values())
    symbols = list(kconf.syms.values())
    choices = list(kconf.unique_choices)
    items = [*symbols, *choices]
    nodes = [node for item in items for node in item.nodes]
    number, expressions = _numbered([*constants, *items], _expressions(kconf, items, nodes))
    files: dict[str, int] = {}
    rows: dict[str, list[Any]] = {
        "own": [
            (s.orig_type, s.transitional, _NONE if s.choice is None else number[id(s.choice)], number[id(s.direct_dep)],
             number[id(s.rev_dep)], number[id(s.weak_rev_dep)]) for s in symbols
        ],
        "choices": [(c.orig_type, c.is_optional, number[id(c.direct_dep)]) for c in choices],
        "members": [(number[id(c)], number[id(s)]) for c in choices for s in c.syms],
        "nodes": [
            (number[id(n.item)], number[id(n.prompt[1])] if n.prompt else _NONE, number[id(n.dep)],
             files.setdefault(n.filename, len(files)), n.linenr) for n in nodes
        ],
        "defaults": [(number[id(x)], *(number[id(part)] for part in row)) for x in items for row in x.defaults],
        "ranges": [(number[id(s)], *(number[id(part)] for part in row)) for s in symbols for row in s.ranges],
        "selects": [(number[id(s)], number[id(target)], number[id(if_)]) for s in symbols for target, if_ in s.selects],
        "implies": [(number[id(s)], number[id(target)], number[id(if_)]) for s in symbols for target, if_ in s.implies],
        "dependents": [(number[id(x)], len(x._dependents)) for x in items if x._dependents],
        "depending": [(number[id(d)],) for x in items for d in x._dependents],
        "defined": [(number[id(s)],) for s in kconf.unique_defined_syms],
        "expressions": expressions,
    }  # fmt: skip
    written = _flat_conditions(kconf, nodes, number, files)
    things = marshal.dumps((
        [(s.name, s.orig_type, s._cached_tri_val, s._cached_str_val) for s in constants],
        [s.name for s in symbols],
        [c.name for c in choices],
        [node.prompt and node.prompt[0] for node in nodes],
        list(files),
        number[id(kconf.modules)],
        [(number[id(item)], lines, kconf.macro_places[item]) for item, lines in kconf.macro_lines.items()],
        {name: _columns(table) for name, table in rows.items()},
    ))  # fmt: skip
    return things, written


def _expressions(kconf: KernelKconfig, items: list[Any], nodes: list[Any]) -> Iterator[Any]:
    for item in items:
        yield item.direct_dep
        for row in item.defaults:
            yield from row
        if item.__class__ is kl.Symbol:
            yield item.rev_dep
            yield item.weak_rev_dep
            for row in (*item.ranges, *item.selects, *item.implies):
                yield from row
    for node in nodes:
        yield node.dep
        if node.prompt:
            yield node.prompt[1]
    for _, own in kconf._written.values():
        for written in own:
            yield written.expr


def _numbered(items: list[Any], roots: Iterable[Any]) -> tuple[dict[int, int], list[tuple[int, int, int]]]:
    """The numbers by id(), and the expressions as (operator, left, right or -1)."""
    number = {id(item): i for i, item in enumerate(items)}
    expressions: list[tuple[int, int, int]] = []

    def add(expr: Any) -> None:
        left, right = expr[1], expr[-1]  # one and the same where there is one
        if id(left) not in number:
            add(left)
        if id(right) not in number:
            add(right)
        expressions.append((expr[0], number[id(left)], number[id(right)] if len(expr) > 2 else _NONE))
        number[id(expr)] = len(number)

    for root in roots:
        if id(root) not in number:
            add(root)
    return number, expressions


def _columns(rows: Iterable[tuple[int, ...]]) -> list[bytes]:
    return [array("i", column).tobytes() for column in zip(*rows)]  # noqa: B905  equally long, and the inner loop


def _flat_conditions(kconf: KernelKconfig, nodes: list[Any], number: dict[int, int], files: dict[str, int]) -> bytes:
    """By place of a node: the one that encloses it, how many conditions stand there, and these."""
    known = kconf._written
    at = {node: i for i, node in enumerate(nodes)}
    for enclosing, _ in known.values():
        if enclosing in known:
            at.setdefault(enclosing, len(at))
    found = [known.get(node, (None, ())) for node in at]
    own = [w for _, written in found for w in written]
    places = [(at.get(enclosing, _NONE), len(written)) for enclosing, written in found]
    rows = [(number[id(w.expr)], files.setdefault(w.file, len(files)), w.line) for w in own]
    return marshal.dumps(([w.kind for w in own], [w.text for w in own], _columns(rows), _columns(places)))


def restore(kconf: KernelKconfig, data: Any, written: Any) -> None:
    """Make `kconf`, of which nothing was parsed, what two texts of flatten() say (bytes or views of bytes)."""
    constants, names, choices, prompts, files, modules, macros, columns = marshal.loads(data)
    rows = {name: zip(*map(_ints, table)) for name, table in columns.items()}  # noqa: B905
    kconf.turns = 0
    kconf.contradicted = set()
    kconf.warn = kconf._warn_assign_no_prompt = False
    kconf.defconfig_list = None
    kconf.const_syms = {row[0]: _constant(kconf, row) for row in constants}
    kconf.n, kconf.m, kconf.y = (kconf.const_syms[name] for name in "nmy")
    things = list(kconf.const_syms.values())
    for constant in things:
        constant.rev_dep = constant.weak_rev_dep = constant.direct_dep = kconf.n
    kconf.syms = dict(zip(names, map(KernelSymbol.__new__, repeat(KernelSymbol, len(names))), strict=True))
    kconf.choices = kconf.unique_choices = [KernelChoice() for _ in choices]
    things += [*kconf.syms.values(), *kconf.unique_choices]
    add = things.append
    for operator, left, right in rows["expressions"]:
        add((operator, things[left]) if right < 0 else (operator, things[left], things[right]))
    _fill_symbols(kconf, things, rows["own"])
    for choice, name, (kind, optional, direct) in zip(kconf.unique_choices, choices, rows["choices"], strict=True):
        choice.kconfig, choice.name, choice.orig_type, choice.is_optional = kconf, name, kind, bool(optional)
        choice.direct_dep = things[direct]
    for choice, member in rows["members"]:
        things[choice].syms.append(things[member])
    for owner, value, condition in rows["defaults"]:
        things[owner].defaults.append((things[value], things[condition]))
    for owner, low, high, condition in rows["ranges"]:
        things[owner].ranges.append((things[low], things[high], things[condition]))
    for owner, target, condition in rows["selects"]:
        things[owner].selects.append((things[target], things[condition]))
    for owner, target, condition in rows["implies"]:
        things[owner].implies.append((things[target], things[condition]))
    each = (things[i] for (i,) in rows["depending"])
    for owner, many in rows["dependents"]:
        things[owner]._dependents = set(islice(each, many))
    nodes = _nodes(kconf, things, prompts, files, rows["nodes"])
    kconf.unique_defined_syms = [things[i] for (i,) in rows["defined"]]
    kconf.modules = things[modules]
    kconf.macro_lines = {things[i]: lines for i, lines, _ in macros}
    kconf.macro_places = {things[i]: places for i, _, places in macros}
    kconf._written = _Conditions(written, things, files, nodes)


def _ints(column: bytes) -> array[int]:
    found = array("i")
    found.frombytes(column)
    return found


def _constant(kconf: Any, row: tuple[Any, ...]) -> Any:
    symbol = kl.Symbol()
    symbol.kconfig, symbol.is_constant = kconf, True
    symbol.name, symbol.orig_type, symbol._cached_tri_val, symbol._cached_str_val = row
    return symbol


def _fill_symbols(kconf: Any, things: list[Any], rows: Iterator[tuple[int, ...]]) -> None:
    for (name, symbol), row in zip(kconf.syms.items(), rows, strict=True):
        symbol.orig_type, transitional, choice, direct, reverse, weak = row
        if transitional:
            symbol.transitional = True
        symbol.kconfig = kconf
        symbol.name = name
        symbol.choice = None if choice < 0 else things[choice]
        symbol.direct_dep = things[direct]
        symbol.rev_dep = things[reverse]
        symbol.weak_rev_dep = things[weak]
        symbol.defaults = []
        symbol.ranges = []
        symbol.selects = []
        symbol.implies = []
        symbol.nodes = []
        symbol._dependents = set()
        symbol._visited = 0
        symbol.user_value = symbol.env_var = None
        symbol._cached_str_val = symbol._cached_tri_val = symbol._cached_vis = symbol._cached_assignable = None
        symbol.is_constant = symbol.is_allnoconfig_y = symbol._was_set = symbol._write_to_conf = False


def _nodes(
    kconf: Any, things: list[Any], prompts: list[str | None], files: list[str], rows: Iterator[tuple[int, ...]]
) -> list[Any]:
    nodes = list(map(kl.MenuNode.__new__, repeat(kl.MenuNode, len(prompts))))
    for node, text, (item, condition, depends, file, line) in zip(nodes, prompts, rows, strict=True):
        node.kconfig = kconf
        node.item = things[item]
        node.prompt = None if condition < 0 else (text, things[condition])
        node.dep = things[depends]
        node.filename = files[file]
        node.linenr = line
        node.item.nodes.append(node)
    return nodes


class _Conditions:
    """The conditions as written, made for the nodes that are asked for; a node that is no symbol's is a number."""

    def __init__(self, data: Any, things: list[Any], files: list[str], nodes: list[Any]) -> None:
        self._data = data
        self._things = things
        self._files = files
        self._number: dict[Any, int] = {node: i for i, node in enumerate(nodes)}
        self._made: dict[int, tuple[int, list[Written]]] = {}
        self._columns: Any = None

    def get(self, node: Any) -> tuple[int, list[Written]] | None:
        """(the node that encloses it, its own conditions)."""
        number: int = node if node.__class__ is int else self._number[node]
        if number < 0:
            return None
        if number not in self._made:
            self._made[number] = self._make(number)
        return self._made[number]

    def _make(self, number: int) -> tuple[int, list[Written]]:
        if self._columns is None:
            kinds, texts, conditions, (enclosing, counts) = marshal.loads(self._data)
            starts = [0]
            for many in _ints(counts):
                starts.append(starts[-1] + many)
            self._columns = kinds, texts, list(map(_ints, conditions)), _ints(enclosing), starts
        kinds, texts, (exprs, files, lines), enclosing, starts = self._columns
        return enclosing[number], [
            Written(kinds[i], self._things[exprs[i]], texts[i], self._files[files[i]], lines[i])
            for i in range(starts[number], starts[number + 1])
        ]
