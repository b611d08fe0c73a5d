# SPDX-License-Identifier: MIT
"""A file as far as it can tell where a type came from: its debug information, its BTF, its symbols."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from btfcheck.btf.causes import RUST_INTS
from btfcheck.btf.format import INT, Btf
from btfcheck.dwarf.abbrev import DwarfError
from btfcheck.dwarf.holdings import Holdings
from btfcheck.dwarf.partial import label_partial_units
from btfcheck.dwarf.spell import Reader
from btfcheck.dwarf.tree import Tree
from btfcheck.dwarf.units import Debug, Unit
from btfcheck.image import Image
from btfcheck.trace.copies import referring, rust_ints
from btfcheck.trace.symbols import is_defined

_PROBLEMS = 20  # that are kept
_MOST_TREES = 64  # units of Rust and mixed ones that are held as trees


class Ground:
    """`debug` is None without debug information, `btf` without BTF (or when it cannot be read: `btf_problem`).
    `symbols` are the functions of the symbol table with their places, None when that is not there; `symbol_image` is
    the file that has it. `said` is what pahole itself says with -V of the functions that it left out. `problems`
    collects what could not be read.
    """

    def __init__(
        self, debug: Debug | None = None, btf: Btf | None = None, *,
        symbols: Mapping[str, set[tuple[int, int]]] | None = None, said: Mapping[str, str] | None = None,
        btf_problem: str = "", machine: int = 0, symbol_image: Image | None = None,
    ) -> None:
        self.debug = debug
        self.btf = btf
        self.btf_problem = btf_problem
        self.symbols = symbols
        self.said = said
        self.machine = machine
        self.symbol_image = symbol_image
        self.problems: list[str] = []
        self._trees: dict[int, Tree | None] = {}
        self._holdings: dict[int, Holdings] = {}
        if debug is not None:
            try:
                label_partial_units([u for u in debug.units if not u.problem])
            except DwarfError as error:
                self.problem(str(error))
            if debug.image.altlink is not None:
                self.problem(f"entries stand in {debug.image.altlink[0]}, which dwz moved them to")
            for unit in debug.units:
                if unit.skeleton and not unit.problem:
                    self.problem(f"{unit.name or 'a unit'}: its content stands in a .dwo file")

    def problem(self, text: str) -> None:
        if text not in self.problems and len(self.problems) < _PROBLEMS:
            self.problems.append(text)

    @cached_property
    def reader(self) -> Reader:
        assert self.debug is not None
        return Reader(self.debug)

    def is_label(self, name: str) -> bool:
        """Has the symbol table that name, though not for a function?"""
        return self.symbol_image is not None and is_defined(self.symbol_image, name)

    @property
    def units(self) -> list[Unit]:
        return [u for u in self.debug.units if not u.problem] if self.debug else []

    @cached_property
    def rust_units(self) -> int:
        return sum(u.language == "Rust" for u in self.units)

    @cached_property
    def has_rust(self) -> bool:
        """Has the BTF base types that only Rust has? Then Rust units were taken in, or Rust stands in C units."""
        btf = self.btf
        while btf is not None:
            for slot, kind in enumerate(btf.kinds):
                if kind == INT and btf.name(btf.first + slot) in RUST_INTS:
                    return True
            btf = btf.base
        return False

    @cached_property
    def leading_to_rust(self) -> frozenset[int]:
        """Types of the BTF that lead to base types that only Rust has, by whatever way."""
        seeds = rust_ints(self.btf) if self.btf is not None else []
        return frozenset(referring(self.btf, seeds)[1]) if self.btf is not None and seeds else frozenset()

    @cached_property
    def unlabelled(self) -> bool:
        """Is a Rust unit marked by DW_AT_language_name alone, which pahole does not read (L7)?"""
        return any(u.language == "Rust" and u.code is None and not u.partial for u in self.units)

    @cached_property
    def merged(self) -> tuple[bool, bool]:
        """Would pahole up to 1.31 merge the units, and would 1.32?"""
        note = self.debug.image.lto_note if self.debug else None
        by_form = any(u.table.refs for u in self.units if u.table)
        return (note != 0 if note is not None else by_form), by_form or bool(note)

    @cached_property
    def rust_first(self) -> bool:
        """Does the first unit count for a merged file as Rust (M2)?"""
        first = next((u for u in self.units if not u.type_unit), None)
        return first is not None and first.language == "Rust"

    def tree(self, unit: Unit, *, all_units: bool = False) -> Tree | None:
        """The entries of a unit that may hold Rust; None for others unless `all_units`, and where they cannot be
        decoded."""
        if unit.table is None or not (all_units or unit.language == "Rust" or unit.table.rust):
            return None
        if id(unit) not in self._trees:
            while len(self._trees) >= _MOST_TREES:
                self._trees.pop(next(iter(self._trees)))
            try:
                self._trees[id(unit)] = Tree(unit)
            except DwarfError as error:
                self.problem(str(error))
                self._trees[id(unit)] = None
        return self._trees[id(unit)]

    def holdings(self, tree: Tree) -> Holdings:
        """What of Rust a unit that is labelled otherwise holds."""
        if id(tree) not in self._holdings:
            self._holdings = {id(tree): Holdings(tree)}
        return self._holdings[id(tree)]
