# SPDX-License-Identifier: MIT
"""Abbreviation tables: the shapes that the entries (DIEs) of a unit may have.

A vmlinux has 300,000 declarations in 2,000 tables, of 8,000 different kinds. So declarations are cut
out by a regular expression and understood once for each kind, and a table in which nothing of interest
stands is recognised by another expression without being taken apart (0.08 s instead of 0.3 s for
Debian's 6.1 cloud vmlinux).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property, lru_cache
from typing import NamedTuple

from btfcheck.dwarf.constants import C_TAGS, FORM, RUST_TAGS, TAG, UNIT_TAGS


class DwarfError(Exception):
    """Debug information that cannot be decoded, so that nothing can be said about it."""


class Sizes(NamedTuple):
    """What the size of some forms depends on, in bytes."""

    offset: int
    address: int
    ref_addr: int


# What the size of an attribute is when its form does not fix it. The walk looks at the numbers in this order.
LEB, BLOCK, BLOCK1, STRING, BLOCK2, BLOCK4, REF, ALT, INDIRECT, UNKNOWN = range(10)

_FIXED = {
    FORM[name]: size
    for size, names in {
        0: "flag_present implicit_const",
        1: "data1 flag ref1 strx1 addrx1",
        2: "data2 ref2 strx2 addrx2",
        3: "strx3 addrx3",
        4: "data4 ref4 strx4 addrx4",
        8: "data8 ref8 ref_sig8",
        16: "data16",
    }.items()
    for name in names.split()
}
_OFFSETS = frozenset(FORM[n] for n in ("strp", "sec_offset", "line_strp", "strp_sup", "GNU_strp_alt"))
_VARIABLE = {
    FORM[name]: step
    for step, names in {
        LEB: "sdata udata ref_udata strx addrx loclistx rnglistx GNU_addr_index GNU_str_index",
        BLOCK: "exprloc block",
        BLOCK1: "block1",
        STRING: "string",
        BLOCK2: "block2",
        BLOCK4: "block4",
        INDIRECT: "indirect",
    }.items()
    for name in names.split()
}
ALT_SIZES = {FORM["ref_sup4"]: 4, FORM["ref_sup8"]: 8, FORM["GNU_ref_alt"]: 0}  # 0: an offset


@lru_cache(4096)
def step_of(form: int, sizes: Sizes) -> tuple[int, int]:
    """(kind of step, size): (-1, n) for n bytes whatever they hold; REF and ALT have their n bytes too."""
    if form in _FIXED:
        return -1, _FIXED[form]
    if form in _OFFSETS:
        return -1, sizes.offset
    if form == FORM["addr"]:
        return -1, sizes.address
    if form == FORM["ref_addr"]:
        return REF, sizes.ref_addr
    if form in ALT_SIZES:
        return ALT, ALT_SIZES[form] or sizes.offset
    return _VARIABLE.get(form, UNKNOWN), 0


class Shape:
    """One declaration: `attributes` are (attribute, form, implicit constant).

    `size` is how many bytes the attributes take, or -1 when that differs from entry to entry; then
    `steps` are pairs (bytes to skip, kind of step), and `tail` is what follows the last. `refs` are
    (place among the bytes, its size, attribute, kind) of references that may leave the unit, for shapes
    with a `size`.
    """

    __slots__ = ("attributes", "children", "refs", "rust", "size", "steps", "tag", "tail")

    def __init__(self, tag: int, children: bool, attributes: list[tuple[int, int, int]],
                 sizes: Sizes) -> None:
        self.tag = tag
        self.children = children
        self.attributes = tuple(attributes)
        self.rust = tag in RUST_TAGS
        steps: list[tuple[int, int, int, int]] = []  # (skip, kind, size of a reference, attribute)
        refs = []
        skip = total = 0
        for attribute, form, _ in attributes:
            kind, size = step_of(form, sizes)
            if kind in (REF, ALT):
                refs.append((total, size, attribute, kind))
            if kind == -1:
                skip += size
            else:
                steps.append((skip, kind, size, attribute))
                skip = 0
            total += size
        self.tail = skip
        self.steps = tuple(steps)
        self.refs = tuple(refs)
        self.size = total if len(refs) == len(steps) else -1


# LEB128 numbers above 0 without padding, in at most ten bytes. What does not match is read byte by byte.
_NUMBER = rb"(?:[\x01-\x7f]|[\x80-\xff]{1,9}[\x01-\x7f])"
_CONSTANT = rb"\x21[\x80-\xff]{0,9}[\x00-\x7f]"
_DECLARATION = re.compile(
    rb"(" + _NUMBER + rb")(" + _NUMBER + rb"[\0\1](?:" + _NUMBER
    + rb"(?:[\x01-\x20\x22-\x7f]|[\x80-\xff]{1,9}[\x01-\x7f]|" + _CONSTANT + rb"))*\0\0)",
    re.DOTALL,
)


def _but(*numbers: int) -> bytes:
    """A character class of the one-byte numbers above 0 that are not listed."""
    return b"[" + b"".join(re.escape(bytes([n])) for n in range(1, 0x80) if n not in numbers) + b"]"


_LEAVING = {FORM["ref_addr"], FORM["indirect"], *ALT_SIZES}
_STAYING = _but(FORM["implicit_const"], *(form for form in _LEAVING if form < 0x80))
_PLAIN_ATTRIBUTES = rb"[\0\1](?:" + _NUMBER + rb"(?:" + _STAYING + rb"|" + _CONSTANT + rb"))*\0\0"
_PLAIN = (
    rb"(?:" + _NUMBER + rb"(?:" + _but(*RUST_TAGS, *UNIT_TAGS) + rb"|[\x80-\xff]{1,9}[\x01-\x7f])"
    + _PLAIN_ATTRIBUTES + rb")*"
)
_UNIT_TAG = b"[" + b"".join(bytes([t]) for t in sorted(UNIT_TAGS)) + b"]"
_PLAIN_TABLE = re.compile(
    _PLAIN + rb"(" + _NUMBER + rb")(" + _UNIT_TAG + _PLAIN_ATTRIBUTES + rb")" + _PLAIN + rb"\0", re.DOTALL
)
# Cuts a table that is known to be well formed: a zero byte inside a declaration is a constant's last, two
# end the declaration, a third after it is the constant zero before that end.
_CUT = re.compile(rb"([\x80-\xff]*[^\0])([\x80-\xff]*[^\0][\0\1][^\0]*(?:\0[^\0]+)*\0\0\0?(?!\0))")
_PLAIN_LIMIT = 1 << 20  # the expression keeps a note per declaration; longer tables are taken apart

_MEMO: dict[Sizes, dict[bytes, Shape]] = {}
_MEMO_LIMIT = 50_000  # kinds of declarations; a vmlinux has 8,000
_TABLE_LIMIT = 100_000  # declarations of one table; LTO makes tables of some hundred
_KEPT_LIMIT = 500_000  # declarations that are kept taken apart


def leb(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """(the unsigned LEB128 number at `at`, where it ends). Raises DwarfError for one of over ten bytes."""
    value = shift = 0
    while shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise DwarfError("a LEB128 number without end")


class Table:
    """One abbreviation table.

    `plain` tells that it is well formed and has neither a Rust tag nor a form that can refer out of
    the unit, so that no entry can be of interest. The rest is computed when asked for.
    """

    def __init__(self, owner: Abbreviations, data: memoryview, offset: int, sizes: Sizes) -> None:
        self._owner = owner
        self._data = data
        self._offset = offset
        self.sizes = sizes
        self._root: tuple[int, Shape] | None = None
        self.plans: dict[object, object] = {}  # the walk's own, see walk.plan_of
        match = _PLAIN_TABLE.match(data, offset, offset + _PLAIN_LIMIT)
        self.plain = match is not None
        self.end = offset
        if match:
            self.end = match.end()
            self._root = leb(match[1], 0)[0], _shape(match[2], sizes)

    @cached_property
    def shapes(self) -> dict[int, Shape]:
        """Code -> shape; of equal codes the first counts, as in libdw and LLVM.

        Raises DwarfError when the table is cut off or broken.
        """
        if self.plain:
            pairs = _CUT.findall(self._data, self._offset, self.end - 1)
        else:
            pairs = list(self._declarations())
        memo, sizes = _MEMO.setdefault(self.sizes, {}), self.sizes
        found: dict[int, Shape] = {}
        for number, declaration in pairs:
            code = number[0] if len(number) == 1 else leb(number, 0)[0]
            if code not in found:
                found[code] = memo.get(declaration) or _shape(declaration, sizes)
        self._owner.keep(self, len(found))
        return found

    def forget(self) -> None:
        """Drop what can be computed again."""
        self.__dict__.pop("shapes", None)
        self.plans.clear()

    def _declarations(self) -> Iterator[tuple[bytes, bytes]]:
        """(code, declaration) one by one, and then `end` is known."""
        data, at = self._data, self._offset
        count = 0
        while at < len(data) and data[at] != 0:
            count += 1
            if count > _TABLE_LIMIT:
                raise DwarfError(f"the abbreviation table at 0x{self._offset:x} has no end")
            hit = _DECLARATION.match(data, at)
            if hit:
                yield hit[1], hit[2]
                at = hit.end()
                continue
            try:  # padded numbers, odd flags
                code, start = leb(data, at)
                if code == 0:
                    break
                end = _read_shape(data, start, self.sizes)[1]
            except IndexError:
                raise DwarfError("an abbreviation table is cut off") from None
            yield bytes(data[at:start]), bytes(data[start:end])
            at = end
        self.end = at + 1

    def shape(self, code: int) -> Shape:
        """The shape with that code. Raises DwarfError when there is none."""
        if self._root and self._root[0] == code:
            return self._root[1]
        try:
            return self.shapes[code]
        except KeyError:
            raise DwarfError(f"abbreviation {code} is not in the table at 0x{self._offset:x}") from None

    @cached_property
    def refs(self) -> bool:
        """Does any shape use DW_FORM_ref_addr (what pahole looks for)?"""
        return not self.plain and any(
            form == FORM["ref_addr"] for s in self.shapes.values() for _, form, _ in s.attributes
        )

    @cached_property
    def leaving(self) -> bool:
        """Can any entry refer out of its unit, by offset?"""
        return not self.plain and any(
            form in _LEAVING for s in self.shapes.values() for _, form, _ in s.attributes
        )

    @cached_property
    def elsewhere(self) -> bool:
        """Can any entry refer into the supplementary file of dwz -m?"""
        return not self.plain and any(
            form in ALT_SIZES for s in self.shapes.values() for _, form, _ in s.attributes
        )

    @cached_property
    def rust(self) -> bool:
        """Can any entry have a tag that only Rust writes?"""
        return not self.plain and any(s.rust for s in self.shapes.values())

    def has(self, tags: frozenset[int]) -> bool:
        return any(s.tag in tags for s in self.shapes.values())

    @cached_property
    def c_tags(self) -> bool:
        """Can any entry have a tag that rustc never writes?"""
        return self.has(C_TAGS)

    @cached_property
    def imports(self) -> bool:
        return self.has(frozenset({TAG["imported_unit"]}))


def _shape(declaration: bytes, sizes: Sizes) -> Shape:
    """The shape of a declaration without its code, from the memo or read."""
    memo = _MEMO.setdefault(sizes, {})
    shape = memo.get(declaration)
    if shape is None:
        if len(memo) >= _MEMO_LIMIT:
            memo.clear()
        shape = memo[declaration] = _read_shape(declaration, 0, sizes)[0]
    return shape


def _read_shape(data: bytes | memoryview, at: int, sizes: Sizes) -> tuple[Shape, int]:
    tag, at = leb(data, at)
    children = data[at] != 0
    at += 1
    attributes: list[tuple[int, int, int]] = []
    while True:
        attribute, form, at = data[at], data[at + 1], at + 2
        if attribute > 0x7F or form > 0x7F:
            attribute, at = leb(data, at - 2)
            form, at = leb(data, at)
        constant = 0
        if form == FORM["implicit_const"]:
            start = at
            constant, at = leb(data, at)
            if data[at - 1] & 0x40:
                constant -= 1 << 7 * (at - start)
        if attribute == 0 and form == 0:
            return Shape(tag, children, attributes, sizes), at
        attributes.append((attribute, form, constant))


class Abbreviations:
    """The tables of one `.debug_abbrev` section, each read once."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._tables: dict[tuple[int, Sizes], Table] = {}
        # Tables of a sane file do not overlap. A small hostile one may start a table at every byte.
        self._budget = 4 * len(data) + (64 << 10)
        self._kept: dict[Table, int] = {}
        self._kept_total = 0

    def table(self, offset: int, sizes: Sizes) -> Table:
        """The table at `offset`. Raises DwarfError when there is none."""
        key = offset, sizes
        table = self._tables.get(key)
        if table is None:
            if offset >= len(self._data):
                raise DwarfError(f"no abbreviation table at 0x{offset:x}")
            if self._budget <= 0:
                raise DwarfError("abbreviation tables overlap")
            table = self._tables[key] = Table(self, self._data, offset, sizes)
            if not table.plain:
                len(table.shapes)
            self._budget -= table.end - offset
        return table

    def keep(self, table: Table, count: int) -> None:
        """Note that a table was taken apart, and forget the ones of longest ago when there are many."""
        self._kept[table] = count
        self._kept_total += count
        while self._kept_total > _KEPT_LIMIT and len(self._kept) > 1:
            oldest = next(iter(self._kept))
            self._kept_total -= self._kept.pop(oldest)
            oldest.forget()

    def close(self) -> None:
        """Forget the tables, which refer back to this."""
        self._tables.clear()
        self._kept.clear()
