# SPDX-License-Identifier: MIT
"""Parsed trees, kept in the user's cache: parsing one takes five times as long as all else that check does.

Each is kept with what its parser saw: which files, what of the environment, which answers to which
commands. It is taken only where all of it is seen again, so it is never another tree's. The
cache is trusted as __pycache__ is, and is in the same format.
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import os
import struct
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from zlib import crc32

from btfcheck import __version__
from btfcheck.files import Stamp, cache_folder, stamp_of, thin_out, write_whole

_MOST = 12  # trees that are kept, of 3 to 4 MB each
_SETTLED = 2_000_000_000  # ns; a file changed twice in less may look the same
_HEADER = struct.Struct("=IIII")  # the checksum, the lengths of the three parts


class Seen(NamedTuple):
    """What a parser saw: files (path, stamp), variables (name, value), commands (text, place, answer)."""

    files: tuple[tuple[str, Stamp], ...]
    variables: tuple[tuple[str, str], ...]
    commands: tuple[tuple[str, str, str], ...]


class Parsed(NamedTuple):
    """A parsed tree: the rules for values, the leaves with theirs, and what kconfig.flat made (views, once read)."""

    rules: tuple[Any, ...]
    measured: dict[str, str]
    things: Any
    written: Any


class Store:
    """The place of one tree, for one environment and one set of facts."""

    def __init__(self, root: str, environment: Mapping[str, str], facts: Sequence[object]) -> None:
        program: list[object] = [stamp_of(file) for file in _program()]
        program += [__version__, sys.implementation.cache_tag, sys.byteorder]
        key = repr((root, sorted(environment.items()), facts, program))
        name = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        self._file = os.path.join(cache_folder("trees"), name)
        self.started = time.time_ns()

    def get(self) -> tuple[Seen, Parsed] | None:
        """What is kept, where its files are the same; the caller compares the rest."""
        try:
            with open(self._file, "rb") as stream:
                if os.fstat(stream.fileno()).st_uid != os.geteuid():
                    return None
                data = memoryview(stream.read())
            check, *lengths = _HEADER.unpack_from(data)
            body = data[_HEADER.size :]
            if len(body) != sum(lengths) or crc32(body) != check:
                return None
            head, things = body[: lengths[0]], body[lengths[0] :][: lengths[1]]
            seen, rules, measured = marshal.loads(head)
            if any(stamp_of(path) != was for path, was in seen[0]):
                return None
            with contextlib.suppress(OSError):
                os.utime(self._file)  # the ones that are not asked for go first
            return Seen(*seen), Parsed(rules, measured, things, body[lengths[0] + lengths[1] :])
        except (OSError, struct.error):
            return None

    def put(self, seen: Seen, parsed: Parsed) -> None:
        """Keep a tree; one that cannot be kept only costs time. A file that was changed just now may change again."""
        if any(max(changed, moved) > self.started - _SETTLED for _, (*_, changed, moved) in seen.files):
            return
        head = marshal.dumps((tuple(seen), parsed.rules, parsed.measured))
        parts = head, parsed.things, parsed.written
        body = b"".join(parts)
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(self._file), mode=0o700, exist_ok=True)
            write_whole(self._file, _HEADER.pack(crc32(body), *map(len, parts)) + body)
            thin_out(os.path.dirname(self._file), _MOST)


def _program() -> list[str]:
    """The files that decide what a tree is parsed into."""
    import kconfiglib

    here = os.path.dirname(os.path.abspath(__file__))
    return [kconfiglib.__file__, *(os.path.join(here, n) for n in sorted(os.listdir(here)) if n.endswith(".py"))]
