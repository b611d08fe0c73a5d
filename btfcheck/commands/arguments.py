# SPDX-License-Identifier: MIT
"""Options that several verbs take, and their values."""

from __future__ import annotations

import argparse
import re

from btfcheck.gate import encode

_VERSION = re.compile(r"v?1\.(\d{1,3})|(1\d\d)")


def count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return int(text)


def versions(text: str) -> list[int]:
    found = []
    for word in text.split(","):
        match = _VERSION.fullmatch(word.strip())
        if not match:
            raise argparse.ArgumentTypeError(f"{word!r} is not a version of pahole, as in 1.28")
        found.append(100 + int(match[1]) if match[1] else int(match[2]))
    return found


def add_limits(parser: argparse.ArgumentParser) -> None:
    """What bounds a pahole, and where its work is kept."""
    parser.add_argument("--timeout", metavar="S", type=_positive, default=encode.TIMEOUT,
                        help=f"seconds that one pahole may take (default: {encode.TIMEOUT:g})")
    parser.add_argument("--memory", metavar="GIB", type=_positive, default=encode.MEMORY / (1 << 30),
                        help=f"GiB of memory that it may map (default: {encode.MEMORY >> 30})")
    parser.add_argument("--keep", metavar="DIR", help="keep each BTF that was made in DIR")


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number
