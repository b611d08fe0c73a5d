#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""CPU time of `btfcheck validate` on a vmlinux, against bpftool printing the same file.

    python benchmarks/validate.py [RUNS] [FILE]     (default: 21 runs, /sys/kernel/btf/vmlinux)
    python benchmarks/validate.py --modules ROOT RELEASE     an installed kernel and all its modules

Every check of the user path runs, and all remarks. Both commands run in alternation; printed are the medians
of user+system time and their ratio; exit 1 when a bar is missed (0.5 s and four times bpftool; 10 s).
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BTFCHECK = [sys.executable, "-c", "from btfcheck.cli import entry; entry()", "validate"]  # as installed
SECONDS, TIMES, MODULES = 0.5, 4.0, 10.0


def cpu(command: list[str]) -> float:
    """Seconds of CPU time, user and system, of one run with its children."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": ""}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)}: exit {child.returncode}")
    return usage.ru_utime + usage.ru_stime


def vmlinux(runs: int, path: str) -> bool:
    ours = [*BTFCHECK, path, "--as", "user"]
    theirs = ["bpftool", "btf", "dump", "file", path, "format", "raw"]
    for each in (ours, theirs):  # .pyc files, page cache
        cpu(each)
    pairs = [(cpu(ours), cpu(theirs)) for _ in range(runs)]
    mine, other = (statistics.median(column) for column in zip(*pairs, strict=True))
    size = os.path.getsize(path) / 1e6
    print(f"{path}: {size:.1f} MB, medians of {runs} runs")
    print(f"validate --as user   {mine:6.3f} s CPU (bar: {SECONDS:g})")
    print(f"bpftool dump raw     {other:6.3f} s CPU")
    print(f"ratio                {mine / other:6.2f}   (bar: {TIMES:g})")
    return mine <= SECONDS and mine <= TIMES * other


def modules(root: str, release: str) -> bool:
    command = [*BTFCHECK, "--root", root, "--installed", release]
    cpu(command)
    seconds = statistics.median(cpu(command) for _ in range(3))
    number = sum(1 for name in Path(root, "lib/modules", release).rglob("*.ko*") if name.is_file())
    print(f"{release}: image and {number} modules: {seconds:.2f} s CPU, median of 3 (bar: {MODULES:g})")
    return seconds <= MODULES


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--modules"]:
        return 0 if modules(*arguments[1:3]) else 1
    runs = int(arguments[0]) if arguments else 21
    return 0 if vmlinux(runs, arguments[1] if len(arguments) > 1 else "/sys/kernel/btf/vmlinux") else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
