# SPDX-License-Identifier: MIT
"""The kernel's log lines of records: `[6] STRUCT foo size=64 vlen=4` and what follows.

Each piece of a line is cut at 1,023 bytes, as the kernel's log buffer does.
"""

from __future__ import annotations

from collections.abc import Iterator

from btfcheck.btf.format import (
    ARRAY,
    DATASEC,
    DECL_TAG,
    ENUM,
    ENUM64,
    FLOAT,
    FUNC_PROTO,
    FWD,
    INT,
    KINDS,
    STRUCT,
    UNION,
    VAR,
    Btf,
)

_PIECE = 1023
_MOST = 1 << 20  # of a whole line: a prototype can have 65,535 parameters
_ENCODINGS = {0: "(none)", 1: "SIGNED", 2: "CHAR", 4: "BOOL"}


def name_text(btf: Btf, offset: int) -> str:
    if not offset:
        return "(anon)"
    if offset >= len(btf.strings):
        return "(invalid-name-offset)"
    end = btf.strings.find(0, offset, offset + _PIECE)
    return btf.strings[offset : end if end >= 0 else offset + _PIECE].decode("latin-1")


def type_line(btf: Btf, tid: int, words: list[int], at: int, details: bool = True) -> str:
    """The line of a record, without details where the kernel has not read them yet."""
    info = words[at + 1]
    kind = info >> 24 & 0x1F
    head = f"[{tid}] {KINDS[kind]} {name_text(btf, words[at])}{' ' if details else ''}"[:_PIECE]
    return head + _details(btf, words, at, kind) if details else head


def _details(btf: Btf, words: list[int], at: int, kind: int) -> str:
    info, third = words[at + 1], words[at + 2]
    vlen = info & btf.vlen_mask
    if kind == INT:
        data = words[at + 3]
        encoding = _ENCODINGS.get(data >> 24 & 0xF, "UNKN")
        return f"size={third} bits_offset={data >> 16 & 0xFF} nr_bits={data & 0xFF} encoding={encoding}"
    if kind == ARRAY:
        return f"type_id={words[at + 3]} index_type_id={words[at + 4]} nr_elems={words[at + 5]}"
    if kind in (STRUCT, UNION, ENUM, ENUM64, DATASEC):
        return f"size={third} vlen={vlen}"
    if kind == FWD:
        return "union" if info >> 31 else "struct"
    if kind == FUNC_PROTO:
        return f"return={third} args=({_arguments(btf, words, at + 3, vlen)})"
    if kind == VAR:
        return f"type_id={third} linkage={words[at + 3]}"
    if kind == FLOAT:
        return f"size={third}"
    if kind == DECL_TAG:
        return f"type={third} component_idx={signed(words[at + 3])}"
    return f"type_id={third}"


def _arguments(btf: Btf, words: list[int], at: int, vlen: int) -> str:
    if not vlen:
        return "void"
    pieces: list[str] = []
    length = 0
    for i in range(vlen):
        name, tid = words[at + 2 * i], words[at + 2 * i + 1]
        piece = f"{tid} {name_text(btf, name)}" if tid or i < vlen - 1 else "vararg"
        pieces.append(f"{', ' if i else ''}{piece}"[:_PIECE])
        length += len(pieces[-1])
        if length > _MOST:
            break
    return "".join(pieces)


def member_line(btf: Btf, words: list[int], at: int, kflag: int) -> str:
    name, tid, offset = words[at : at + 3]
    head = f"\t{name_text(btf, name)} type_id={tid} "
    if kflag:
        return (head + f"bitfield_size={offset >> 24} bits_offset={offset & 0xFFFFFF}")[:_PIECE]
    return (head + f"bits_offset={offset}")[:_PIECE]


def entry_line(words: list[int], at: int) -> str:
    """An entry of a DATASEC."""
    return f"\t type_id={words[at]} offset={words[at + 1]} size={words[at + 2]}"


def value_line(btf: Btf, words: list[int], at: int, kind: int, kflag: int) -> str:
    """An enumerator."""
    value = words[at + 1] if kind == ENUM else words[at + 2] << 32 | words[at + 1]
    if kflag:
        value = signed(value) if kind == ENUM else value - (value >> 63 << 64)
    return f"\t{name_text(btf, words[at])} val={value}"[:_PIECE]


def signed(word: int) -> int:
    return word - (word >> 31 << 32)


def record_lines(btf: Btf, tid: int) -> Iterator[str]:
    """A record as the kernel lists it once it has passed: the line of the type, then its elements."""
    words, at = btf.record(tid)
    kind, kflag, vlen = btf.kind(tid), btf.kflag(tid), btf.vlen(tid)
    yield type_line(btf, tid, words, at)
    if kind in (STRUCT, UNION):
        yield from (member_line(btf, words, at + 3 + 3 * i, kflag) for i in range(vlen))
    elif kind == DATASEC:
        yield from (entry_line(words, at + 3 + 3 * i) for i in range(vlen))
    elif kind in (ENUM, ENUM64):
        width = 2 if kind == ENUM else 3
        yield from (value_line(btf, words, at + 3 + width * i, kind, kflag) for i in range(vlen))


def last_line(btf: Btf) -> str:
    """What the log of a silent refusal ends with: the last line of the last record."""
    line = ""
    for line in record_lines(btf, btf.count - 1):  # noqa: B007
        pass
    return line.rsplit("\n", 1)[-1]
