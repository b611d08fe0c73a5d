# SPDX-License-Identifier: MIT
"""Which Rust types BTF could hold: as they are, after renaming, or not at all.

The measure are all of the kernel's checks, those of bpf() included; renaming is that of bpf-linker (`Option<u32>`
becomes `Option_3C_u32_3E_`). Names of pointers, which BTF cannot have, are left away by every tool; the structs that
stand for the variants of an enum count with the enum.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from btfcheck.btf.format import MAX_IDENTIFIER
from btfcheck.btf.releases import Rules
from btfcheck.dwarf.abbrev import DwarfError
from btfcheck.dwarf.constants import AT, TAG
from btfcheck.dwarf.names import ENUM, STRUCT, UNION
from btfcheck.dwarf.spell import THROUGH, Entry
from btfcheck.dwarf.tree import Tree
from btfcheck.dwarf.units import Unit
from btfcheck.trace.definitions import BASE
from btfcheck.trace.ground import Ground
from btfcheck.trace.rustnames import LINKER_LIMIT, sanitised
from btfcheck.trace.types import is_identifier

AS_IS, RENAMED, NOT = "as it is", "after renaming", "not at all"
VERDICTS = (AS_IS, RENAMED, NOT)
REASONS = {
    "carries-data": "an enum that carries data: BTF has no variants",
    "unsized": "unsized: only what holds it knows how long it is",
    "name-too-long": f"its name has over {MAX_IDENTIFIER} bytes, renamed as well",
    "member-name": "a member's or variant's name is no identifier",
    "member-outside": "a member reaches beyond its end",
    "array-of-nothing": "an array whose elements have no size",
    "wide-enum": "an enum of a size that BTF does not have",
    "packed-float": "a float that is not aligned",
    "holds": "it holds one that BTF cannot hold",
}
_KINDS = {
    TAG["structure_type"]: STRUCT, TAG["union_type"]: UNION, TAG["enumeration_type"]: ENUM, TAG["base_type"]: BASE,
}  # fmt: skip
_PARTS = frozenset(TAG[t] for t in ("member", "enumerator", "variant_part"))
_MOST_TYPES = 1_000_000
_DEEP = 32
_FLOAT = 4  # DW_ATE_float

Key = tuple[int, int]  # where an entry stands: identity of its unit, offset


class Item(NamedTuple):
    """A type, and what keeps it out of BTF: (id of REASONS, what exactly). `new_name` is the name after renaming."""

    kind: str
    path: str
    size: int
    verdict: str
    reasons: tuple[tuple[str, str], ...]
    new_name: str


class Survey(NamedTuple):
    """`types` by path, each once, however many units have it; `cut` counts names that bpf-linker would cut and end
    with a hash, `shared` BTF names that stand for several types."""

    types: tuple[Item, ...]
    cut: int
    shared: int
    units: int
    problems: tuple[str, ...]

    def count(self, verdict: str) -> int:
        return sum(item.verdict == verdict for item in self.types)


class _Type(NamedTuple):
    """A type of one unit: `parts` are (member, where its type stands) of what it holds by value."""

    kind: str
    path: str
    name: str
    size: int
    own: tuple[tuple[str, str], ...]
    parts: tuple[tuple[str, Key], ...]


def survey(ground: Ground, rules: Rules, advance: Callable[[Unit], None] | None = None) -> Survey:
    """All Rust types of a file. What cannot be read is told in `problems`."""
    found: dict[Key, _Type] = {}
    units = 0
    for unit in ground.units:
        if unit.language == "Rust" or (unit.table is not None and unit.table.rust):
            before = len(found)
            _take(ground, unit, found)
            units += len(found) > before
            if advance:
                advance(unit)
    reasons = _spread(found)
    items: dict[tuple[str, str, int], Item] = {}
    for key, one in found.items():
        item = _item(one, tuple(reasons.get(key, ())), rules)
        place = one.kind, one.path, one.size
        if place not in items or VERDICTS.index(item.verdict) > VERDICTS.index(items[place].verdict):
            items[place] = item
    names: dict[tuple[str, str], set[str]] = {}
    for item in items.values():
        if item.verdict != NOT:
            names.setdefault((item.kind, item.new_name), set()).add(item.path)
    return Survey(
        tuple(sorted(items.values(), key=lambda i: (i.path, i.kind, i.size))),
        sum(len(i.new_name) > LINKER_LIMIT for i in items.values() if i.verdict == RENAMED),
        sum(len(paths) > 1 for paths in names.values()), units, tuple(ground.problems),
    )  # fmt: skip


def _take(ground: Ground, unit: Unit, found: dict[Key, _Type]) -> None:
    """The Rust types of one unit."""
    tree = ground.tree(unit)
    if tree is None:
        return
    holds = ground.holdings(tree) if unit.language != "Rust" else None
    for number, shape in enumerate(tree.shapes):
        if shape.tag not in _KINDS or not tree.has(number, AT["name"]) or tree.has(number, AT["declaration"]):
            continue
        if holds is not None and not (number in holds.types or holds.owns_reference(number)):
            continue
        if len(found) >= _MOST_TYPES:
            ground.problem(f"more than {_MOST_TYPES} types")
            return
        if _is_variant(tree, number):
            continue
        try:
            entry = ground.reader.entry(unit, tree.offsets[number])
            found[id(unit), entry.offset] = _type(ground, entry, tree.path(number))
        except (DwarfError, struct.error, IndexError) as error:
            ground.problem(str(error))


def _is_variant(tree: Tree, number: int) -> bool:
    """Is it the struct of one variant? It stands inside of the enum, beside the part that names the variants."""
    parent = tree.parents[number]
    if parent < 0 or tree.tag(parent) != TAG["structure_type"]:
        return False
    child = parent + 1
    while child < tree.ends[parent]:
        if tree.tag(child) == TAG["variant_part"]:
            return True
        child = tree.ends[child]
    return False


def _type(ground: Ground, entry: Entry, path: str) -> _Type:
    kind, size = _KINDS[entry.tag], entry.number(AT["byte_size"]) or 0
    own: dict[str, str] = {}
    parts: list[tuple[str, Key]] = []
    for part in ground.reader.children(entry, _PARTS) if kind != BASE else ():
        if part.tag == TAG["variant_part"]:
            own["carries-data"] = ""
            continue
        name = part.name()
        if name and not is_identifier(sanitised(name)):
            own.setdefault("member-name", name)
        if part.tag == TAG["member"]:
            for reason, text in _placed(ground, part, size, parts):
                own.setdefault(reason, text)
    if kind == STRUCT and entry.name().startswith("dyn "):
        own["unsized"] = "a trait object"
    if kind == ENUM and size not in (1, 2, 4, 8):
        own["wide-enum"] = f"{size} bytes"
    if "unsized" in own:
        own.pop("member-outside", None)
    return _Type(kind, path, entry.name(), size, tuple(own.items()), tuple(parts))


def _placed(
    ground: Ground, part: Entry, size: int, parts: list[tuple[str, Key]]
) -> Iterator[tuple[str, str]]:
    """What is wrong with a member; adds the type that it holds by value to `parts`."""
    name, at = part.name(), part.number(AT["data_member_location"]) or 0
    held, length, elements = _held(ground, part)
    width = held.number(AT["byte_size"]) or 0 if held is not None else 0
    base = held is not None and held.tag == TAG["base_type"]
    if held is not None and held.tag in _KINDS:
        parts.append((name, (id(held.unit), held.offset)))
    if base and elements and not width:
        yield "array-of-nothing", f"{name}: {ground.reader.spell(ground.reader.target(part))}"
    if length is None or (length and not size):
        yield "unsized", name
    elif at + length > size:
        yield "member-outside", f"{name}: {at} + {length} of {size} bytes"
    if base and not elements and held is not None and held.number(AT["encoding"]) == _FLOAT and at % min(8, width or 1):
        yield "packed-float", name


def _held(ground: Ground, part: Entry) -> tuple[Entry | None, int | None, bool]:
    """(what a member holds by value: for arrays the element; its size in bytes, None without one; is it an array)."""
    target = ground.reader.target(part)
    elements = False
    count = 1
    for _ in range(_DEEP):
        if target is None:
            return None, 0, elements
        if target.tag == TAG["pointer_type"]:
            return target, count * (target.number(AT["byte_size"]) or target.unit.sizes.address), elements
        if target.tag == TAG["array_type"]:
            elements = True
            for row in ground.reader.children(target, frozenset({TAG["subrange_type"]})):
                number, upper = row.number(AT["count"]), row.number(AT["upper_bound"])
                if number is None and upper is None:
                    return ground.reader.target(target), None, True
                count *= number if number is not None else (upper or 0) + 1
        elif target.tag not in THROUGH:
            break
        target = ground.reader.target(target)
    if target is None:
        return None, 0, elements
    return target, count * (target.number(AT["byte_size"]) or 0), elements


def _spread(found: dict[Key, _Type]) -> dict[Key, list[tuple[str, str]]]:
    """The reasons of each type that cannot be held, those that it has from what it holds included."""
    reasons = {key: list(one.own) for key, one in found.items() if one.own}
    for key, one in found.items():
        if len(sanitised(one.name)) > MAX_IDENTIFIER and one.kind != BASE:
            reasons.setdefault(key, []).append(("name-too-long", f"{len(sanitised(one.name))} bytes"))
    holders: dict[Key, list[tuple[Key, str]]] = {}
    for key, one in found.items():
        for member, part in one.parts:
            holders.setdefault(part, []).append((key, member))
    todo = [key for key in reasons if key in found]
    while todo:
        bad = todo.pop()
        for holder, member in holders.get(bad, ()):
            fresh = holder not in reasons
            rows = reasons.setdefault(holder, [])
            if not any(reason == "holds" for reason, _ in rows):
                rows.append(("holds", f"{member}: {found[bad].path}"))
            if fresh:
                todo.append(holder)
    return reasons


def _item(one: _Type, reasons: tuple[tuple[str, str], ...], rules: Rules) -> Item:
    if reasons:
        return Item(one.kind, one.path, one.size, NOT, reasons, "")
    if one.kind == BASE or is_identifier(one.name, rules.dots):
        return Item(one.kind, one.path, one.size, AS_IS, (), one.name)
    return Item(one.kind, one.path, one.size, RENAMED, (), sanitised(one.name))
