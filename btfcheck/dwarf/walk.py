# SPDX-License-Identifier: MIT
"""The walk over all entries (DIEs) of a unit: the one inner loop.

Most entries have a fixed size that their one-byte code tells, so the loop is little more than
`at += size[body[at]]`. Whatever needs a look has size 0 there: the end of a list of children, codes of
two bytes, sizes that differ, tags that only Rust writes, references that may leave the unit.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from struct import Struct, unpack_from
from struct import error as struct_error
from typing import NamedTuple

from btfcheck.dwarf.abbrev import (
    ALT,
    BLOCK,
    BLOCK1,
    BLOCK2,
    BLOCK4,
    INDIRECT,
    LEB,
    REF,
    STRING,
    DwarfError,
    Shape,
    leb,
)
from btfcheck.dwarf.constants import FORM
from btfcheck.dwarf.units import Unit

_MOST = 1_000_000  # finds of one unit that are kept; more is mischief


class Hit(NamedTuple):
    """A reference whose target is of interest: where its entry starts, its tag, the attribute, the target
    (an offset in the section, or in the alternate file)."""

    die: int
    tag: int
    attribute: int
    target: int
    alternate: bool


class Targets:
    """Ranges of a section that references are looked for into, quick to rule out.

    `pages` has a byte for each 64 KiB of the section, not 0 where a range touches it; a reference beyond
    its end leads nowhere.
    """

    def __init__(self, size: int, ranges: list[tuple[int, int]]) -> None:
        self.page_count = (size >> 16) + 1
        self.pages = bytearray(self.page_count)
        self._starts = [start for start, _ in sorted(ranges)]
        self._ends = [end for _, end in sorted(ranges)]
        for start, end in ranges:
            for page in range(start >> 16, (end - 1 >> 16) + 1):
                self.pages[page] = 1

    def __contains__(self, target: int) -> bool:
        index = bisect_right(self._starts, target) - 1
        return index >= 0 and target < self._ends[index]


class Plan(NamedTuple):
    """What to do at each code. `sizes` is for one-byte codes and counts the code; 0 means: look closer.
    `told` is the same for entries that are to be reported and need no closer look than that."""

    sizes: list[int]
    told: list[int]
    shapes: dict[int, Shape]


Pick = Callable[[Shape], bool]


def plan_of(unit: Unit, tags: frozenset[int], refs: bool, pick: Pick | None = None) -> Plan:
    """The plan for a unit's table, made once for each table. Entries with one of `tags` are reported, those
    with another shape than `pick` likes left out of it if that is cheaper; when `refs` is set, references that
    may leave the unit are looked at."""
    table = unit.table
    assert table is not None
    key = tags, refs, pick
    plan = table.plans.get(key)
    if not isinstance(plan, Plan):
        sizes, told = [0] * 256, [0] * 256
        shapes = table.shapes
        for code, shape in shapes.items():
            if code < 128 and shape.size >= 0 and not (refs and shape.refs):
                wanted = shape.tag in tags and (pick is None or pick(shape))
                (told if wanted else sizes)[code] = shape.size + 1
        plan = table.plans[key] = Plan(sizes, told, shapes)
    return plan


# One loop on purpose: a call for each of 14 million entries would cost more than all the rest.
def walk(unit: Unit, tags: frozenset[int] = frozenset(), targets: Targets | None = None,  # noqa: C901
         alternate: Targets | None = None, pick: Pick | None = None) -> tuple[int, list[Hit], list[int]]:
    """(how many entries, references into the targets, offsets of entries with one of `tags`).

    Those whose shape `pick` does not like may be left out of the third.

    Walks every entry of the unit, once. Raises DwarfError when an entry cannot be decoded or the unit
    does not end with one: then nothing is known about it.
    """
    sizes, told, shapes = plan_of(unit, tags, targets is not None or alternate is not None, pick)
    body = unit.info.body(unit)
    index = body.index
    look = _Look(unit, body, targets, alternate)
    tagged: list[int] = []
    base = unit.offset
    at, end = unit.die - unit.offset, unit.end - unit.offset
    count = code = start = 0
    try:
        while True:
            size = sizes[body[at]]
            while size:
                at += size
                count += 1
                size = sizes[body[at]]
            code = body[at]
            if code == 0:
                at += 1
                continue
            size = told[code]
            if size:
                tagged.append(base + at)
                if len(tagged) > _MOST:
                    raise DwarfError("more than a million entries to be told")
                at += size
                count += 1
                continue
            if at >= end:
                break
            start = at
            at += 1
            count += 1
            if code > 127:
                code += (body[at] << 7) - 128
                at += 1
                if code > 16383:
                    code, at = leb(body, start)
            shape = shapes[code]
            if shape.tag in tags:
                tagged.append(base + start)
                if len(tagged) > _MOST:
                    raise DwarfError("more than a million entries to be told")
            if shape.size >= 0:
                if shape.refs:
                    look.at_all(shape, at, start)
                at += shape.size
                continue
            for skip, kind, size, attribute in shape.steps:
                at += skip
                if kind == BLOCK and body[at] < 128:
                    at += 1 + body[at]
                elif kind == STRING:
                    at = index(0, at) + 1
                elif kind == LEB:
                    while body[at] > 127:
                        at += 1
                    at += 1
                else:
                    at = _skip_rare(kind, size, body, at, start, look, shape.tag, attribute)
            at += shape.tail
    except KeyError:
        raise DwarfError(f"unit at 0x{unit.offset:x}: the entry at 0x{unit.offset + start:x} has "
                         f"abbreviation {code}, which is not declared") from None
    except (IndexError, ValueError, struct_error):
        raise DwarfError(f"unit at 0x{unit.offset:x} does not end with an entry") from None
    except DwarfError as error:
        raise DwarfError(f"unit at 0x{unit.offset:x}: {error}") from None
    return count, look.hits, tagged


def skip_entry(unit: Unit, body: bytes, at: int) -> tuple[Shape | None, int, int]:
    """(shape, where its attributes start, where the entry ends), all in `body`; no shape for a null entry.

    Raises DwarfError, IndexError, ValueError or struct.error for what cannot be decoded.
    """
    assert unit.table is not None
    code, attributes = leb(body, at)
    if code == 0:
        return None, attributes, attributes
    shape = unit.table.shape(code)
    if shape.size >= 0:
        return shape, attributes, attributes + shape.size
    return shape, attributes, _skip(shape, body, attributes, at, _Look(unit, body, None, None))


def _skip(shape: Shape, body: bytes, at: int, start: int, look: _Look) -> int:
    """The end of an entry whose size differs from entry to entry; its attributes start at `at`."""
    for skip, kind, size, attribute in shape.steps:
        at = _skip_rare(kind, size, body, at + skip, start, look, shape.tag, attribute)
    return at + shape.tail


def _skip_rare(kind: int, size: int, body: bytes, at: int, start: int, look: _Look, tag: int,
               attribute: int) -> int:
    """The end of one attribute of any kind of step."""
    order = look.unit.info.order
    if kind == LEB:
        return leb(body, at)[1]
    if kind == BLOCK:
        size, at = leb(body, at)
        return at + size
    if kind in (REF, ALT):
        look.at(at, size, start, tag, attribute, kind)
        return at + size
    if kind == BLOCK1:
        return at + 1 + body[at]
    if kind == STRING:
        return body.index(0, at) + 1
    if kind == BLOCK2:
        return at + 2 + int(unpack_from(order + "H", body, at)[0])
    if kind == BLOCK4:
        return at + 4 + int(unpack_from(order + "I", body, at)[0])
    if kind != INDIRECT:
        raise DwarfError(f"the entry at 0x{look.unit.offset + start:x} uses a form that is not known")
    form, at = leb(body, at)
    if form in (FORM["indirect"], FORM["implicit_const"]):
        raise DwarfError("an indirect form that is indirect again")
    shape = Shape(tag, False, [(attribute, form, 0)], look.unit.sizes)
    if shape.size < 0:
        return _skip(shape, body, at, start, look)
    look.at_all(shape, at, start)
    return at + shape.size


class _Look:
    """The closer look at references, and what came of it."""

    def __init__(self, unit: Unit, body: bytes, targets: Targets | None, alternate: Targets | None) -> None:
        self.unit = unit
        self.hits: list[Hit] = []
        self._body = body
        self._targets = targets
        self._alternate = alternate
        self._relocations = unit.info.relocations
        order = unit.info.order
        self._words = {size: Struct(order + word).unpack_from for size, word in ((2, "H"), (4, "I"), (8, "Q"))}

    def at_all(self, shape: Shape, at: int, start: int) -> None:
        """Look at every reference of an entry of fixed size whose attributes start at `at`."""
        targets = self._targets
        for place, size, attribute, kind in shape.refs:
            if kind == REF and self._relocations is None:
                if targets is None:
                    continue
                # A million times in an LTO kernel: rule the page out before anything else.
                page = self._words[size](self._body, at + place)[0] >> 16
                if page >= targets.page_count or not targets.pages[page]:
                    continue
            self.at(at + place, size, start, shape.tag, attribute, kind)

    def at(self, at: int, size: int, start: int, tag: int, attribute: int, kind: int) -> None:
        """Look at one reference of `size` bytes at `at`."""
        targets = self._alternate if kind == ALT else self._targets
        if targets is None:
            return
        target: int = self._words[size](self._body, at)[0]
        if self._relocations is not None and kind == REF:
            target = self._relocations.value(self.unit.offset + at, target, size)
        if target in targets:
            if len(self.hits) >= _MOST:
                raise DwarfError("more than a million references to be told")
            self.hits.append(Hit(self.unit.offset + start, tag, attribute, target, kind == ALT))
