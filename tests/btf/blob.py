# SPDX-License-Identifier: MIT
"""Building BTF by hand, and mangling it."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Iterator, Sequence

from btfcheck.btf.format import (
    ARRAY,
    CONST,
    DATASEC,
    DECL_TAG,
    ELEMENT_WORDS,
    ENUM,
    ENUM64,
    FIXED_WORDS,
    FLOAT,
    FUNC,
    FUNC_PROTO,
    FWD,
    INT,
    KINDS,
    PTR,
    RESTRICT,
    STRUCT,
    TYPE_TAG,
    TYPEDEF,
    UNION,
    VAR,
    VOLATILE,
)


class Blob:
    """Adds types one by one; each method returns the id. `base` gives where ids and strings go on."""

    def __init__(self, first: int = 1, strings: int = 0) -> None:
        self.records: list[list[int]] = []
        self.first = first
        self.text = bytearray(b"" if strings else b"\0")
        self.string_base = strings
        self.known: dict[str, int] = {"": 0}

    def string(self, name: str) -> int:
        if name not in self.known:
            self.known[name] = self.string_base + len(self.text)
            self.text += name.encode("utf-8", "surrogateescape") + b"\0"
        return self.known[name]

    def add(self, kind: int, name: str, third: int, *words: int, vlen: int = 0, kflag: bool = False) -> int:
        info = kind << 24 | vlen | kflag << 31
        self.records.append([self.string(name), info, third, *(w & 0xFFFFFFFF for w in words)])
        return self.first + len(self.records) - 1

    def int(self, name: str = "int", size: int = 4, bits: int | None = None, encoding: int = 1) -> int:
        return self.add(INT, name, size, encoding << 24 | (8 * size if bits is None else bits))

    def ptr(self, to: int = 0) -> int:
        return self.add(PTR, "", to)

    def typedef(self, name: str, to: int) -> int:
        return self.add(TYPEDEF, name, to)

    def const(self, to: int) -> int:
        return self.add(CONST, "", to)

    def array(self, of: int, index: int, number: int) -> int:
        return self.add(ARRAY, "", 0, of, index, number)

    def struct(
        self, name: str, size: int, members: Sequence[tuple[str, int, int]], kind: int = STRUCT, kflag: bool = False
    ) -> int:
        """Members: (name, type id, offset in bits; with the kind flag, bitfield size << 24 in it)."""
        words = [word for m, tid, offset in members for word in (self.string(m), tid, offset)]
        return self.add(kind, name, size, *words, vlen=len(members), kflag=kflag)

    def union(self, name: str, size: int, members: Sequence[tuple[str, int]]) -> int:
        return self.struct(name, size, [(m, tid, 0) for m, tid in members], UNION)

    def enum(self, name: str, values: Sequence[tuple[str, int]], size: int = 4) -> int:
        words = [word for n, value in values for word in (self.string(n), value)]
        return self.add(ENUM, name, size, *words, vlen=len(values))

    def proto(self, result: int = 0, params: Sequence[tuple[str, int]] = ()) -> int:
        words = [word for n, tid in params for word in (self.string(n), tid)]
        return self.add(FUNC_PROTO, "", result, *words, vlen=len(params))

    def func(self, name: str, proto: int, linkage: int = 0) -> int:
        return self.add(FUNC, name, proto, vlen=linkage)

    def tag(self, text: str, to: int, component: int = -1) -> int:
        return self.add(DECL_TAG, text, to, component)

    def bytes(self, byteorder: str = "<") -> bytes:
        types = b"".join(struct.pack(f"{byteorder}{len(record)}I", *record) for record in self.records)
        return wrap(types, bytes(self.text), byteorder)


def wrap(types: bytes, strings: bytes, byteorder: str = "<") -> bytes:
    header = struct.pack(f"{byteorder}HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings))
    return header + types + strings


def split(data: bytes) -> tuple[list[list[int]], bytes] | None:
    """(records, strings) of a blob with a plain header and whole records, else None."""
    if len(data) < 24 or data[:8] != struct.pack("<HBBI", 0xEB9F, 1, 0, 24):
        return None
    type_off, type_len, str_off, str_len = struct.unpack_from("<IIII", data, 8)
    types = data[24 + type_off : 24 + type_off + type_len]
    if type_off or str_off != type_len or type_len % 4 or len(types) != type_len:
        return None
    words = struct.unpack(f"<{len(types) // 4}I", types)
    records, at = [], 0
    while at < len(words):
        if at + 3 > len(words):
            return None
        kind, vlen = words[at + 1] >> 24 & 0x1F, words[at + 1] & 0xFFFF
        size = 3 + FIXED_WORDS.get(kind, 0) + ELEMENT_WORDS.get(kind, 0) * vlen
        if at + size > len(words):
            return None
        records.append(list(words[at : at + size]))
        at += size
    return records, data[24 + str_off : 24 + str_off + str_len]


_ODD = (0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 0xFFFF, 0xFFFFF, 0x100000,
        0xFFFFFF, 0x1000000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)  # fmt: skip
_BYTES = b"\0a_.9 <>:,$&*-\x7f\x80\xa0\xbf\xc3\xd7\xe9\xf7\xff\n"
_KINDS = (INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FUNC_PROTO, VAR,
          DATASEC, FLOAT, DECL_TAG, TYPE_TAG, ENUM64)  # fmt: skip


def _graph(draw: random.Random) -> bytes:
    """Some types that refer to each other without much care, often far down and in circles."""
    blob = Blob()
    number = draw.randint(2, 40)
    near = draw.random() < 0.5

    def other() -> int:
        if draw.random() < 0.06:
            return draw.choice((0, number + 1))
        if near:
            return max(1, min(number, len(blob.records) + 1 + draw.choice((-2, -1, 1, 1, 2))))
        return draw.randint(1, number)

    kinds = draw.choices(_KINDS, k=draw.randint(1, 5))
    if draw.random() < 0.7:
        kinds += [INT, STRUCT]
    for _ in range(number):
        _one_of(blob, draw, draw.choice(kinds), other)
    return blob.bytes()


def _one_of(blob: Blob, draw: random.Random, kind: int, other) -> None:  # noqa: C901
    name = draw.choice(("a", "b", "task", "list.0", "", "kptr", "bpf_spin_lock"))
    if kind == INT:
        size = draw.choice((0, 1, 2, 4, 4, 4, 8, 16))
        blob.int(name, size, draw.choice((None, None, 1, 8, 24)), draw.choice((0, 1, 2, 4)))
    elif kind in (STRUCT, UNION):
        kflag = draw.random() < 0.3
        offset, members = 0, []
        for i in range(draw.randint(0, 5)):
            members.append((f"m{i}", other(), (offset if kind == STRUCT else 0) | kflag * draw.choice((0, 0, 3)) << 24))
            offset += draw.choice((0, 1, 8, 32, 64))
        blob.struct(name, draw.choice((0, 4, 8, 16, 32, 64)), members, kind, kflag)
    elif kind == ENUM:
        blob.enum(name, [(f"V{i}", i) for i in range(draw.randint(0, 3))], draw.choice((1, 2, 4, 8)))
    elif kind == ENUM64:
        blob.add(ENUM64, name, draw.choice((1, 4, 8)), blob.string("E"), 1, 2, vlen=1)
    elif kind == FUNC_PROTO:
        blob.proto(draw.choice((0, other())), [(draw.choice(("x", "")), other()) for _ in range(draw.randint(0, 4))])
    elif kind == FUNC:
        blob.func(name or "f", other(), draw.choice((0, 1)))
    elif kind == ARRAY:
        blob.array(other(), other(), draw.choice((0, 1, 2, 100, 0xFFFFFFFF)))
    elif kind == VAR:
        blob.add(VAR, name or "v", other(), draw.choice((0, 1)))
    elif kind == DATASEC:
        entries, offset = [], 0
        for _ in range(draw.randint(0, 3)):
            entries += [other(), offset, draw.choice((1, 4, 8))]
            offset += 8
        blob.add(DATASEC, name or ".data", 64, *entries, vlen=len(entries) // 3)
    elif kind == DECL_TAG:
        blob.tag(name or "t", other(), draw.choice((-1, 0, 1, 2)))
    elif kind == FLOAT:
        blob.add(FLOAT, name, draw.choice((2, 4, 8, 12, 16)))
    elif kind == FWD:
        blob.add(FWD, name or "fwd", 0, kflag=draw.random() < 0.5)
    else:
        named = kind in (TYPEDEF, TYPE_TAG)
        blob.add(kind, (name or "n") if named else "", other())


def _mangle_records(draw: random.Random, records: list[list[int]], strings: bytes) -> tuple[list[list[int]], bytes]:
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        if not records:
            break
        record = draw.choice(records)
        choice = draw.randrange(8)
        if choice == 0:  # an id, more or less
            at = draw.randrange(2, len(record))
            near = record[at] + draw.choice((-1, 1)) & 0xFFFFFFFF
            record[at] = draw.choice((draw.randint(0, len(records) + 1), near))
        elif choice == 1:
            record[draw.randrange(len(record))] = draw.choice(_ODD)
        elif choice == 2:
            record[1] ^= 1 << draw.randrange(32)
        elif choice == 3:
            record[0] = draw.randint(0, len(strings))
        elif choice == 4:
            i, j = draw.randrange(len(records)), draw.randrange(len(records))
            records[i], records[j] = records[j], records[i]
        elif choice == 5:
            records.insert(draw.randrange(len(records) + 1), list(record))
        elif choice == 6:
            records.remove(record)
        elif strings:
            at = draw.randrange(len(strings))
            strings = strings[:at] + bytes((draw.choice(_BYTES),)) + strings[at + 1 :]
    return records, strings


def _mangle_bytes(draw: random.Random, data: bytes) -> bytes:
    mangled = bytearray(data)
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(min(len(mangled), draw.choice((24, 32, len(mangled)))) or 1)
        choice = draw.randrange(4)
        if choice == 0 and at < len(mangled):
            mangled[at] = draw.choice((0, 1, 2, 4, 8, 24, 32, 128, 255, draw.randrange(256)))
        elif choice == 1:
            del mangled[at : at + draw.randint(1, 4)]
        elif choice == 2:
            mangled[at:at] = draw.randbytes(draw.randint(1, 4))
        elif len(mangled) >= at + 4:
            struct.pack_into("<I", mangled, at, draw.choice(_ODD))
    return bytes(mangled)


def mutants(seed: int, number: int, seeds: Sequence[bytes]) -> Iterator[bytes]:
    """`number` blobs, the same ones for the same arguments: mangled `seeds`, and random graphs."""
    draw = random.Random(seed)
    for _ in range(number):
        data = _graph(draw) if draw.random() < 0.4 else draw.choice(seeds)
        parts = split(data)
        if parts and draw.random() < 0.85:
            if draw.random() < 0.8:
                parts = _mangle_records(draw, [list(r) for r in parts[0]], parts[1])
            types = b"".join(struct.pack(f"<{len(r)}I", *r) for r in parts[0])
            yield wrap(types, parts[1])
        else:
            yield _mangle_bytes(draw, data)


# -- blobs from the kernel's own listing ----------------------------------------------------------------

_RECORD = re.compile(r"\[(\d+)\] ([A-Z_0-9]+)(!?) (.*)")
_VALUES = re.compile(r"(\w+)=(\S+)")
_ENCODINGS = {"(none)": 0, "SIGNED": 1, "CHAR": 2, "BOOL": 4}


def assemble(lines: Sequence[str], first: int = 1, strings: int = 0) -> Blob:
    """The blob whose records the kernel would list like this; `!` behind the kind sets the kind flag.

    Only what the examples of rules need: INT, references, structs, prototypes and functions.
    """
    blob = Blob(first, strings)
    for i, line in enumerate(lines):
        if line.startswith("["):
            members = []
            for later in lines[i + 1 :]:
                if not later.startswith("\t"):
                    break
                members.append(later)
            _assemble_one(blob, line, members)
    return blob


def _assemble_one(blob: Blob, line: str, members: Sequence[str]) -> None:
    match = _RECORD.fullmatch(line)
    assert match, line
    label, kflag, rest = match[2], bool(match[3]), match[4]
    kind = KINDS.index(label)
    values = dict(_VALUES.findall(rest))
    name = rest[: min((rest.find(f" {key}=") for key in values), default=len(rest))]
    name = "" if name == "(anon)" else name
    if kind == INT:
        blob.int(name, int(values["size"]), int(values["nr_bits"]), _ENCODINGS[values["encoding"]])
    elif kind in (STRUCT, UNION):
        fields = []
        for member in members:
            at = dict(_VALUES.findall(member))
            fields.append((member.strip().partition(" type_id")[0], int(at["type_id"]), int(at["bits_offset"])))
        blob.struct(name, int(values["size"]), fields, kind, kflag)
    elif kind == FUNC_PROTO:
        inside = rest[rest.index("args=(") + 6 : -1]
        params = [p.split(" ", 1) for p in inside.split(", ")] if inside != "void" else []
        blob.proto(int(values["return"]), [(param, int(tid)) for tid, param in params])
    elif kind == FUNC:
        blob.func(name, int(values["type_id"]))
    else:
        blob.add(kind, name, int(values["type_id"]), kflag=kflag)
