# SPDX-License-Identifier: MIT
"""Tools that misbehave, as scripts written for one test."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

Fake = Callable[..., str]

# What a tool can do wrong, and a word of the reason that must be given for it.
BROKEN = {
    "hangs": ("sleep 600", "timed out"),
    "hangs with a child": ("sleep 600 & sleep 600", "timed out"),
    "hangs without output": ("exec >&- 2>&-; exec sleep 600", "timed out"),
    "ignores signals": ("trap '' TERM INT HUP; sleep 600; sleep 600", "timed out"),
    "floods": ("exec yes v1.31", "printed more than"),
    "floods stderr": ("exec yes >&2", "printed more than"),
    "crashes": ("kill -SEGV $$", "killed by SIGSEGV"),
    "is killed after its answer": ("echo v1.31; kill -KILL $$", "killed by SIGKILL"),
    "fails": ("echo no such luck >&2; exit 3", "exit status 3: no such luck"),
    "fails with the answer on stdout": ("echo v1.31; exit 1", "exit status 1"),
    "prints nothing": ("exit 0", "printed nothing"),
    "prints rubbish": ("echo hello", "'hello'"),
    "prints its version on stderr": ("echo v1.31 >&2", "printed nothing"),
    "prints bytes": (r"printf '\377\376v1.31\0\n'", r"xff"),
    "prints control characters": (r"printf '\033[31mv1.31\r\n'", "x1b"),
}


def write(path: Path, script: str, shebang: str = "#!/bin/sh") -> str:
    path.write_text(f"{shebang}\n{script}\n")
    path.chmod(0o755)
    return str(path)


def processes(text: str) -> list[int]:
    """Processes that have `text` in their environment (zombies have none)."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                environment = Path(f"/proc/{entry}/environ").read_bytes()
            except OSError:
                continue
            if text.encode() in environment:
                found.append(int(entry))
    return found
