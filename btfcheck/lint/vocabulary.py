# SPDX-License-Identifier: MIT
"""The words that rule files may use: stages, expectations, kinds of files, spans of releases."""

from __future__ import annotations

import os
from typing import NamedTuple

from btfcheck.model import UsageError
from btfcheck.release import Release
from btfcheck.release import parse as parse_release

STAGES = ("config", "toolchain", "dwarf", "btf", "encode")
EXPECT = ("finding", "ok", "skip", "unknown")

# Ids that once had a rule; they are never given to another.
RETIRED: frozenset[str] = frozenset()


class Span(NamedTuple):
    """Kernel releases from `first` to `last`, both included; None is open.

    A `last` of "6.12.*" takes every point release of that series.
    """

    first: Release | None
    last: Release | None
    whole_series: bool = False

    def covers(self, release: Release) -> bool:
        if self.first and release < self.first:
            return False
        if self.last is None or release <= self.last:
            return True
        return self.whole_series and (release.major, release.minor) == (self.last.major, self.last.minor)


def file_kind(path: str) -> str:
    """"symbols", "derived" or "rules", by the name of the file."""
    base = os.path.basename(path)
    return base.removesuffix(".toml") if base in ("symbols.toml", "derived.toml") else "rules"


def span(where: str, text: str) -> Span:
    """A Span from "6.14..", "..6.11", "6.12.117..6.12.*" or "6.9" (that series).

    Raises UsageError, which names `where`.
    """
    first, dots, last = text.partition("..")
    if not dots:
        last = f"{first}.*"
    try:
        low = parse_release(first) if first.strip() else None
        high = parse_release(last.removesuffix(".*")) if last.strip() else None
    except UsageError as error:
        raise UsageError(f"{where}: bad kernel range {text!r}: {error}") from error
    # A bare series as the end ("..6.11") means all of its point releases.
    series = last.endswith(".*") or last.count(".") == 1
    return Span(low, high, bool(last) and series)
