# SPDX-License-Identifier: MIT
"""A log of any size, as the few lines of it that may matter: bytes in, text out, in constant memory.

Any encoding that has ASCII in it (NULs are dropped, so UTF-16 as well), terminal colours, CRLF,
lines without end. What stands before a message (times, hosts, job names) is left alone: the
patterns look inside the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

_CHUNK = 1 << 18
LONGEST = 4096  # of a line; no message comes near it

# CSI and OSC sequences (ECMA-48), as terminals and CI services write them.
_ESCAPES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]{0,1000}(?:\x07|\x1b\\)|[@-Z\\-_])")

_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")  # byte order marks of UTF-16 and UTF-8


class Line(NamedTuple):
    """`number` from 1 on; `hits` are the needles that are in it."""

    number: int
    text: str
    hits: tuple[bytes, ...]


class Needles:
    """Texts of which a line must have one to be looked at. Take one out when it is no longer of use."""

    def __init__(self, texts: Sequence[str]) -> None:
        wanted = {t.encode() for t in texts}
        # One that holds another one is found with it.
        self.active = sorted(t for t in wanted if not any(o != t and o in t for o in wanted))


def lines(stream: BinaryIO, needles: Needles) -> Iterator[Line]:
    """The lines with at least one needle, in order. Raises what reading raises."""
    number = 1
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
        yield from _hits(chunk, number, needles)
        number += chunk.count(b"\n")
    yield from _hits(_plain(rest), number, needles)


def _plain(chunk: bytes) -> bytes:
    if b"\0" in chunk:
        chunk = chunk.replace(b"\0", b"")
    if b"\x1b" in chunk:
        chunk = _ESCAPES.sub(b"", chunk)
    return chunk


def _hits(chunk: bytes, number: int, needles: Needles) -> Iterator[Line]:
    present = [n for n in needles.active if n in chunk]
    if not present:
        return
    for offset, line in enumerate(chunk.split(b"\n")):
        hits = tuple([n for n in present if n in line])
        if hits:
            for piece in line.split(b"\r"):
                if piece:
                    yield Line(number + offset, piece[:LONGEST].decode("utf-8", "backslashreplace"), hits)
