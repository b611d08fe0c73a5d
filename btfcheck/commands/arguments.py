# SPDX-License-Identifier: MIT
"""Values of options that several verbs take."""

from __future__ import annotations

import argparse
import re

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
