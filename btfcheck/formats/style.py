# SPDX-License-Identifier: MIT
"""Terminal colours, or none."""

from __future__ import annotations

import os
from typing import IO

_CODES = {"error": "1;31", "warning": "1;33", "note": "1;36", "ok": "1;32", "bold": "1", "dim": "2"}


class Style:
    """Paints words; `Style(False)` leaves them alone."""

    def __init__(self, color: bool, verbose: int = 0, quiet: bool = False) -> None:
        self.color = color
        self.verbose = verbose
        self.quiet = quiet

    def paint(self, kind: str, text: str) -> str:
        return f"\x1b[{_CODES[kind]}m{text}\x1b[0m" if self.color else text


def wants_color(choice: str, stream: IO[str]) -> bool:
    """The usual rules: --color, then NO_COLOR, FORCE_COLOR, CLICOLOR_FORCE, TERM=dumb, a terminal."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR") or os.environ.get("CLICOLOR_FORCE", "0") != "0":
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def printable(text: str) -> str:
    """`text` without anything that could steer a terminal (names come from untrusted files)."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
