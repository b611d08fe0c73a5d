# SPDX-License-Identifier: MIT
"""Output formats: one module each with `render(report, exit_code, style, body) -> str`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING

from btfcheck.model import Report, UsageError

if TYPE_CHECKING:
    from btfcheck.formats.style import Style

FORMATS = ("text", "json", "sarif", "junit", "github", "markdown")

Body = Callable[[Report, "Style"], Iterator[str]]


def render(fmt: str, report: Report, exit_code: int, style: Style, body: Body | None = None) -> str:
    """`report` in format `fmt`; `body` gives a verb's own lines, which only text shows."""
    if fmt not in FORMATS:
        raise UsageError(f"unknown output format {fmt!r}; known: {', '.join(FORMATS)}")
    text: str = import_module(f"btfcheck.formats.{fmt}").render(report, exit_code, style, body)
    return text
