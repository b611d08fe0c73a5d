# SPDX-License-Identifier: MIT
"""What a running verb says on stderr, and results that are shown before the end."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from btfcheck.formats.style import Style, printable
from btfcheck.model import Outcome

# Called with the amount done since the last call, and what is being worked on.
Advance = Callable[[float, str], None]


def _ignore(amount: float, doing: str) -> None:
    """Progress that nobody sees."""


class Console:
    """stderr for a verb. `style` is that of stdout.

    `streaming` is true when stdout shows text: then `part` prints results at once, and
    the final text leaves them out. `adjust` is what a policy makes of an outcome.
    """

    def __init__(self, style: Style, streaming: bool, adjust: Callable[[Outcome], Outcome] | None = None) -> None:
        self.style = style
        self._adjust = adjust or (lambda outcome: outcome)
        self.streaming = streaming
        self.shown: set[int] = set()
        self._progress: Any = None

    def info(self, text: str) -> None:
        """For everyone but -q."""
        if not self.style.quiet:
            self._say(text)

    def detail(self, text: str, level: int = 1) -> None:
        """For -v (1) or -vv (2)."""
        if self.style.verbose >= level:
            self._say(text)

    def _say(self, text: str) -> None:
        if self._progress:
            self._progress.console.print(text, markup=False, highlight=False)
        else:
            print(text, file=sys.stderr)

    def part(self, outcomes: Iterable[Outcome], lines: Iterable[str] = ()) -> None:
        """Print results of one subject now; does nothing unless stdout shows text."""
        if not self.streaming:
            return
        from btfcheck.formats.text import blocks

        outcomes = [self._adjust(outcome) for outcome in outcomes]
        self.shown.update(id(o) for o in outcomes)
        text = "".join(f"{line}\n" for line in [*lines, *blocks(outcomes, self.style)])
        if text:
            sys.stdout.write(text)
            sys.stdout.flush()

    @contextmanager
    def counter(self, title: str) -> Iterator[Callable[[str], None]]:
        """A line on a terminal's stderr that counts, as long as there is something to count; nothing elsewhere.

        What is yielded is called with what each step is about.
        """
        if self.style.quiet or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
            yield lambda _: None
            return
        steps = 0
        width = os.get_terminal_size(sys.stderr.fileno()).columns or 80

        def step(doing: str) -> None:
            nonlocal steps
            steps += 1
            sys.stderr.write("\r\x1b[K" + printable(f"{title}: {steps}  {doing}")[: width - 1])
            sys.stderr.flush()

        try:
            yield step
        finally:
            if steps:
                sys.stderr.write("\r\x1b[K")
                sys.stderr.flush()

    @contextmanager
    def progress(self, title: str, total: float | None) -> Iterator[Advance]:
        """A bar on a terminal's stderr (bytes), nothing elsewhere."""
        if self.style.quiet or not sys.stderr.isatty():
            yield _ignore
            return
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn(),
                   TextColumn("{task.fields[doing]}"))
        with Progress(*columns, console=RichConsole(stderr=True), transient=True) as bar:
            task = bar.add_task(title, total=total, doing="")
            self._progress = bar
            try:
                yield lambda amount, doing: bar.update(task, advance=amount, doing=doing)
            finally:
                self._progress = None
