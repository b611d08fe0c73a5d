# SPDX-License-Identifier: MIT
"""Results of files that did not change, kept from run to run.

One small file for each result, named by the hash of all that it depends on; it is written beside and renamed,
so that two runs at once, a kill or a full disk never leave half of one. What cannot be read, or is not what was
written, is computed anew.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

from btfcheck import __version__
from btfcheck.files import stamp, write_whole
from btfcheck.model import Fact, Location, Outcome, Severity, Status

_FORMAT = 2


class Found(NamedTuple):
    """What was found of one file: outcomes, and its elements of the JSON keys.

    `seen` are further files that the result depends on, there or not: places of separate debug files;
    `strangers` those of them that belong to another build.
    """

    outcomes: tuple[Outcome, ...]
    files: tuple[dict[str, Any], ...] = ()
    verdicts: tuple[dict[str, Any], ...] = ()
    encodings: tuple[dict[str, Any], ...] = ()
    compared: bool = False
    seen: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()


class Cache:
    """Results below `folder`. `rehash` reads the contents of files where else their inode and times stand for them.

    A folder that cannot be written to is told once, in `problem`, and does no harm.
    """

    def __init__(self, folder: str, rehash: bool = False) -> None:
        self.folder = folder
        self.rehash = rehash
        self.problem = ""
        self.hits = 0

    def key(self, paths: Iterable[str], options: Sequence[object]) -> str:
        """The name of a result that depends on these files and options, and on this program."""
        text = json.dumps([_FORMAT, __version__, tool_identity(), [self._identity(p) for p in paths], repr(options)])
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()

    def _identity(self, path: str) -> list[str | int]:
        try:
            return [path, _content(path)] if self.rehash else [path, *stamp(os.stat(path))]
        except OSError:
            return [path]

    def get(self, key: str) -> Found | None:
        try:
            with open(self._place(key), encoding="ascii") as stream:
                digest, _, text = stream.read().partition("\n")
            if digest != _digest(key, text):
                return None
            found, identities = _unpack(json.loads(text))
            if identities != [self._identity(path) for path in found.seen]:
                return None
        except (OSError, ValueError, TypeError, KeyError, IndexError, RecursionError):
            return None
        self.hits += 1
        return found

    def put(self, key: str, found: Found) -> None:
        text = json.dumps([*_pack(found), [self._identity(path) for path in found.seen]])
        try:
            os.makedirs(os.path.dirname(self._place(key)), exist_ok=True)
            write_whole(self._place(key), f"{_digest(key, text)}\n{text}".encode("ascii"))
        except OSError as error:
            self.problem = f"--cache {self.folder}: {error.strerror or error}"

    def _place(self, key: str) -> str:
        return os.path.join(self.folder, key[:2], f"{key[2:]}.json")


def _digest(key: str, text: str) -> str:
    """What tells an entry that was damaged, or that stands in another one's place."""
    return hashlib.sha256(f"{key}\n{text}".encode("ascii")).hexdigest()


def _content(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while part := stream.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


@cache
def tool_identity() -> str:
    """Which program this is, down to its files' times: results of another one are not taken."""
    from btfcheck.lint.rules import shipped_directory

    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    rows = []
    for top in (package, shipped_directory()):
        for folder, _, names in os.walk(top):
            for name in names:
                if name.endswith((".py", ".toml", ".json")):
                    found = os.stat(os.path.join(folder, name))
                    rows.append((name, found.st_size, found.st_mtime_ns))
    return hashlib.sha256(repr(sorted(rows)).encode()).hexdigest()


def _pack(found: Found) -> list[Any]:
    return [_FORMAT, list(found.outcomes), *found[1:]]


def _unpack(data: list[Any]) -> tuple[Found, list[Any]]:
    version, outcomes, files, verdicts, encodings, compared, seen, strangers, identities = data
    if version != _FORMAT:
        raise ValueError(version)
    found = Found(tuple(_outcome(row) for row in outcomes), tuple(files), tuple(verdicts), tuple(encodings),
                  bool(compared), tuple(seen), tuple(strangers))
    return found, identities


def _outcome(row: list[Any]) -> Outcome:
    rule, status, severity, subject, message, places, facts, notes, fix, fragment, missing, confidence, key = row
    return Outcome(
        rule, Status(status), Severity(severity), subject, message, tuple(Location(*p) for p in places),
        tuple(Fact(n, v, Location(*source), live, reason) for n, v, source, live, reason in facts),
        tuple(notes), fix, tuple(fragment), tuple(missing), confidence, key,
    )  # fmt: skip
