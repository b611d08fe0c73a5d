# SPDX-License-Identifier: MIT
"""A log of any size, as the few lines of it that may matter: bytes in, text out, in constant memory.

Any encoding that has ASCII in it (NULs are dropped, so UTF-16 as well), terminal colours, CRLF,
lines without end, a journal as JSON. What stands before a message (times, hosts, job names) is left
alone: the patterns look inside the line.

Logs repeat themselves. So a line is searched for the texts that matter only once for each shape,
which is the line with every digit made 0 (and a to f, which are digits of addresses); the texts
are masked in the same way, so that nothing is missed, and what looks inside the line sees it whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

_CHUNK = 1 << 18
_REMEMBERED, _ENTRY = 1 << 25, 150  # bytes of shapes (each takes so many beside its own); then they are learnt anew
LONGEST = 4096  # of a line; no message comes near it

# CSI and OSC sequences (ECMA-48), as terminals and CI services write them.
_ESCAPES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]{0,1000}(?:\x07|\x1b\\)|[@-Z\\-_])")

_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")  # byte order marks of UTF-16 and UTF-8

_MASK = bytes.maketrans(b"0123456789abcdef", b"0" * 16)
# Shapes of a BTF listing's lines: "[12] STRUCT x size=8 vlen=1", "\ty type_id=3 bits_offset=0". A vmlinux has millions.
_TYPE = re.compile(rb"\[0+\] [A-Z_0]+ .*=[^ ]*")
_DETAIL = re.compile(rb"\t.*=-?0+")

Hits = tuple[bytes, ...]
LISTING: Hits = (b"a type of a listing",)


class Line(NamedTuple):
    """`number` from 1 on; `hits` are the masked texts that are in it; `head` the last type of a listing above it."""

    number: int
    text: str
    hits: Hits
    head: str


def mask(text: str) -> bytes:
    """A text as it stands in shapes."""
    return text.encode().translate(_MASK)


class Needles:
    """Texts of which a line must have one to be looked at, masked."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.all = sorted({mask(t) for t in texts})
        # One that holds another one is only looked for where that one is.
        self.first = [t for t in self.all if not any(o != t and o in t for o in self.all)]

    def find(self, shapes: set[bytes]) -> dict[bytes, Hits]:
        """What is in each shape; nothing for the lines of a listing but LISTING."""
        found: dict[bytes, Hits] = dict.fromkeys(shapes, ())
        together = b"\n".join(shapes)
        present = [n for n in self.first if n in together]
        for shape in {s for n in present for s in shapes if n in s}:
            found[shape] = self._hits(shape)
        return found

    def _hits(self, shape: bytes) -> Hits:
        if b"BPF:" not in shape:
            if _TYPE.fullmatch(shape):
                return LISTING
            if _DETAIL.fullmatch(shape):
                return ()
        return tuple([n for n in self.all if n in shape])


def lines(stream: BinaryIO, needles: Needles) -> Iterator[Line]:
    """The lines with at least one needle, in order, and the first of a BTF listing. Raises what reading raises."""
    number = 1
    head = ""
    known: dict[bytes, Hits] = {}
    size = 0
    for chunk in _chunks(stream):
        shapes = chunk.translate(_MASK).split(b"\n")
        new = set(shapes) - known.keys()
        size += sum(map(len, new)) + _ENTRY * len(new)
        if size > _REMEMBERED:
            known, new, size = {}, set(shapes), 0
        known |= needles.find(new)
        for at, (shape, line) in enumerate(zip(shapes, chunk.split(b"\n"), strict=True), number):
            hits = known[shape]
            if not hits:
                continue
            if hits is LISTING:
                first, head = not head, _text(line)
                if not first:
                    continue
            for piece in line.split(b"\r") if b"\r" in line else (line,):
                if piece:
                    yield Line(at, _text(piece), hits, head)
        number += len(shapes) - 1


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    """Whole lines, some 256 KiB at a time, without what only terminals need; each ends with a newline but the last."""
    rest = b""
    start = stream.read(_CHUNK)
    for mark in _MARKS:
        start = start.removeprefix(mark)
    while chunk := start or stream.read(_CHUNK):
        chunk, start = _plain(rest + chunk), b""
        end = chunk.rfind(b"\n") + 1
        if not end and len(chunk) < 4 * _CHUNK:
            rest = chunk
            continue
        # A line without end is looked at in pieces, which overlap nowhere: it is no log's line anyway.
        chunk, rest = (chunk[:end], chunk[end:]) if end else (chunk, b"")
        yield chunk
    yield _plain(rest)


def _plain(chunk: bytes) -> bytes:
    if b"\0" in chunk:
        chunk = chunk.replace(b"\0", b"")
    if b"\x1b" in chunk:
        chunk = _ESCAPES.sub(b"", chunk)
    if b"\r\n" in chunk:
        chunk = chunk.replace(b"\r\n", b"\n")
    return chunk


def _text(line: bytes) -> str:
    text = line[:LONGEST].decode("utf-8", "backslashreplace")
    return _message(text) if text.startswith("{") else text


def _message(text: str) -> str:
    """The message of a line of JSON, as journalctl -o json and container runtimes write them; else the line."""
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError):
        return text
    found = next((entry[key] for key in ("MESSAGE", "message", "msg", "log") if key in entry), text)
    return found.rstrip("\n") if isinstance(found, str) else text
