# SPDX-License-Identifier: MIT
"""Checked rule files, kept as JSON in the user's cache: TOML takes ten times as long to read.

An entry is taken only for the same files with the same size and time of change. Without a
writable cache everything works as well, a little later.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from btfcheck import __version__

Files = dict[str, dict[str, Any]]


def get(paths: Sequence[str], make: Callable[[], Files]) -> Files:
    """The tables by file, from the cache or from `make`, whose errors pass through."""
    import json
    from zlib import crc32

    key = [[__version__, 1], *([p, (s := os.stat(p)).st_mtime_ns, s.st_size, s.st_ino] for p in paths)]
    text = json.dumps(key)
    entry = os.path.join(_folder(), f"rules-{crc32(text.encode()):08x}.json")
    try:
        with open(entry, encoding="utf-8") as stream:
            stored = json.load(stream)
        if stored["key"] == key:
            files: Files = stored["files"]
            return files
    except (OSError, ValueError, KeyError, TypeError):
        pass
    files = make()
    _put(entry, json.dumps({"key": key, "files": files}))
    return files


def _folder() -> str:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "btfcheck")


def _put(entry: str, text: str) -> None:
    """Write beside and rename; a cache that cannot be written is no error."""
    beside = f"{entry}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(entry), mode=0o700, exist_ok=True)
        with open(beside, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(beside, entry)
    except OSError:
        pass
