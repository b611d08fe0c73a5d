# SPDX-License-Identifier: MIT
"""What of Rust stands in one unit that is labelled C."""

from __future__ import annotations

from btfcheck.dwarf.constants import AT, TAG, TYPE_TAGS
from btfcheck.dwarf.tree import Tree

_TEMPLATES = frozenset({TAG["variant_part"], TAG["template_type_parameter"], TAG["template_value_parameter"]})


class Holdings:
    """What of Rust a unit labelled C holds, as numbers of entries in its tree.

    `types`: types below a namespace, or with a variant part or a template parameter of their own.
    `functions`: functions with code below a namespace. `empty_namespaces`: those without such a type.
    """

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._below: set[int] = set()
        types: set[int] = set()
        self.functions: list[int] = []
        namespaces = []
        for number, shape in enumerate(tree.shapes):
            parent = tree.parents[number]
            inside = parent in self._below or (parent >= 0 and tree.tag(parent) == TAG["namespace"])
            if inside:
                self._below.add(number)
            if shape.tag == TAG["namespace"]:
                namespaces.append(number)
            elif inside and shape.tag in TYPE_TAGS:
                types.add(number)
            elif inside and shape.tag == TAG["subprogram"] and tree.has(number, AT["low_pc"], AT["ranges"]):
                self.functions.append(number)
            elif shape.tag in _TEMPLATES and parent >= 0 and tree.tag(parent) in TYPE_TAGS:
                types.add(parent)
        self.types = sorted(types)
        holders: set[int] = set()  # all that is around a type
        for number in self.types:
            while (number := tree.parents[number]) >= 0 and number not in holders:
                holders.add(number)
        self.empty_namespaces = [n for n in namespaces if n not in holders]
        self._rust: set[int] | None = None

    def owns_reference(self, number: int) -> bool:
        """Does a reference from this entry come from a Rust type, and not from anything of C's?"""
        if self._rust is None:
            self._rust = self._only_rust()
        return number in self._below or number in self._rust

    def _only_rust(self) -> set[int]:
        """Entries that Rust types lead to and nothing of C's does: `&str` stands in no namespace."""
        rust: set[int] = set()
        self._follow(self._subtrees([*self._below, *self.types], rust), rust)
        shared: set[int] = set()
        self._follow([n for n in range(len(self.tree.offsets)) if n not in rust], shared)
        return rust - shared

    def _follow(self, todo: list[int], reached: set[int]) -> None:
        """Add what the types of these entries lead to, and what the types of that lead to."""
        while todo:
            target = self.tree.type_of(todo.pop())
            if target is not None:
                todo += self._subtrees([target], reached)

    def _subtrees(self, roots: list[int], reached: set[int]) -> list[int]:
        """Add the entries with all below them; returns those that are new. Whole subtrees are in, or nothing
        of them, so that each entry is looked at once."""
        fresh = []
        for root in sorted(roots):
            number = root
            while number < self.tree.ends[root]:
                if number in reached:
                    number = self.tree.ends[number]
                else:
                    reached.add(number)
                    fresh.append(number)
                    number += 1
        return fresh
