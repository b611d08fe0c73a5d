# SPDX-License-Identifier: MIT
"""BTF as flat words: kinds, strings, and where each record starts.

A type record is three words (name offset, info, size or type id) and what its kind asks for; ids count
records from 1, and 0 is void (Documentation/bpf/btf.rst). Nothing is unpacked into objects: a vmlinux has
130,000 types with 170,000 members, and one list of words serves every pass.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from typing import NamedTuple

KINDS = (
    "UNKNOWN", "INT", "PTR", "ARRAY", "STRUCT", "UNION", "ENUM", "FWD", "TYPEDEF", "VOLATILE", "CONST",
    "RESTRICT", "FUNC", "FUNC_PROTO", "VAR", "DATASEC", "FLOAT", "DECL_TAG", "TYPE_TAG", "ENUM64",
)  # fmt: skip
(
    VOID, INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST,
    RESTRICT, FUNC, FUNC_PROTO, VAR, DATASEC, FLOAT, DECL_TAG, TYPE_TAG, ENUM64,
) = range(20)  # fmt: skip

MODIFIERS = frozenset((TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG))
NEEDS_RESOLVE = MODIFIERS | {PTR, STRUCT, UNION, ARRAY, VAR, FUNC, DECL_TAG, DATASEC}
SOURCE_ONLY = frozenset((VAR, DECL_TAG, DATASEC))
HAS_SIZE = frozenset((INT, STRUCT, UNION, ENUM, ENUM64, FLOAT, DATASEC))
NO_SIZE = frozenset((VOID, FWD, FUNC, FUNC_PROTO, DECL_TAG))

MAX_NAME_OFFSET = 0xFFFFFF
MAX_TYPE = 0xFFFFF  # the largest id that a record may name
MAX_TYPES = 0xFFFFE  # and the largest that a record can have
NAME_SHOWN = 600  # bytes of a name that people get to see
MAX_IDENTIFIER = 512  # KSYM_NAME_LEN, from 6.1

# Words behind the first three, per element where the kind has a list.
FIXED_WORDS = {INT: 1, ARRAY: 3, VAR: 1, DECL_TAG: 1}
ELEMENT_WORDS = {STRUCT: 3, UNION: 3, ENUM: 2, ENUM64: 3, FUNC_PROTO: 2, DATASEC: 3}


class Machine(NamedTuple):
    """What a kernel's own machine decides: the byte order of BTF and the size of a pointer in bytes."""

    byteorder: str = "little"
    pointer: int = 8


class Btf:
    """The types and strings of one blob; of split BTF, its own ones on top of `base`.

    `starts[i]` and `kinds[i]` belong to id `first + i`; without a base, slot 0 is void. `strings` and
    `named` cover the base as well, so that any name offset indexes them.
    """

    def __init__(
        self, words: list[int], strings: bytes, named: bytes, vlen_mask: int, machine: Machine, base: Btf | None
    ) -> None:
        self.words = words
        self.strings = strings
        self.named = named  # 1 where a string that is a C identifier (or the empty one at 0) starts
        self.vlen_mask = vlen_mask
        self.machine = machine
        self.base = base
        self.starts: list[int] = [] if base else [0]
        self.kinds = bytearray() if base else bytearray(1)
        self.dropped = 0  # records beyond the number that the kernel keeps
        self.first = base.count if base else 0  # the id of slot 0

    @property
    def count(self) -> int:
        """Number of ids, void and the base included."""
        return self.first + len(self.starts)

    def kind(self, tid: int) -> int:
        part = self
        while part.base is not None and tid < part.first:
            part = part.base
        return part.kinds[tid - part.first]

    def record(self, tid: int) -> tuple[list[int], int]:
        """(words, index of the first word) of a type that exists and is not void."""
        part = self
        while part.base is not None and tid < part.first:
            part = part.base
        return part.words, part.starts[tid - part.first]

    def third(self, tid: int) -> int:
        words, at = self.record(tid)
        return words[at + 2]

    def vlen(self, tid: int) -> int:
        words, at = self.record(tid)
        return words[at + 1] & self.vlen_mask

    def kflag(self, tid: int) -> int:
        words, at = self.record(tid)
        return words[at + 1] >> 31

    def bytes_at(self, offset: int, most: int = 4096) -> bytes:
        """The string at an offset, cut at `most` bytes; empty where there is none.

        Many types may share one string of megabytes, so nothing may copy it whole for each of them.
        """
        end = self.strings.find(0, offset, offset + most)
        return self.strings[offset : end if end >= 0 else offset + most]

    def name(self, tid: int) -> str:
        """The name of a type as people write it: UTF-8 where it is that."""
        if not tid:
            return "void"
        words, at = self.record(tid)
        return text(self.bytes_at(words[at], NAME_SHOWN))

    def elements(self, tid: int) -> Iterator[tuple[int, ...]]:
        """The words of each member, parameter, enumerator or section entry."""
        words, at = self.record(tid)
        width = ELEMENT_WORDS[self.kind(tid)]
        end = at + 3 + width * self.vlen(tid)
        return zip(*(words[at + 3 + i : end : width] for i in range(width)), strict=True)

    def own_ids(self) -> range:
        return range(self.first or 1, self.count)


def text(raw: bytes) -> str:
    """A name for people. The kernel's own tables are Latin-1; its messages are kept that way."""
    return raw.decode("utf-8", "backslashreplace")


def to_words(data: bytes, byteorder: str) -> list[int]:
    """The whole 32-bit words of `data`, however it is aligned; up to three bytes at the end are left out."""
    words = array("I")
    words.frombytes(data[: len(data) & ~3])
    if byteorder != sys.byteorder:
        words.byteswap()
    return words.tolist()
