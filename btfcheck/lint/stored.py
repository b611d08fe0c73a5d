# SPDX-License-Identifier: MIT
"""Checked rule files, kept in the user's cache: TOML takes ten times as long to read.

The cache is trusted as __pycache__ is, and is in the same format, which needs no import. An
entry is taken only for the same files with the same stamps. Without a writable
cache everything works as well, a little later.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from btfcheck import __version__
from btfcheck.files import cache_folder, stamp, write_whole

Files = dict[str, dict[str, Any]]


def get(paths: Sequence[str], make: Callable[[], Files]) -> Files:
    """The tables by file, from the cache or from `make`, whose errors pass through."""
    import marshal
    from zlib import crc32

    key = [[__version__, 1], *([p, *stamp(os.stat(p))] for p in paths)]
    name = crc32(marshal.dumps(key))
    entry = os.path.join(cache_folder(), f"rules-{name:08x}")
    try:
        with open(entry, "rb") as stream:
            stored = marshal.loads(stream.read())
        if stored["key"] == key:
            files: Files = stored["files"]
            return files
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        pass
    files = make()
    try:
        os.makedirs(os.path.dirname(entry), mode=0o700, exist_ok=True)
        write_whole(entry, marshal.dumps({"key": key, "files": files}))
    except OSError:
        pass
    return files
