#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""CPU time of `btfcheck check` on Debian's 6.12 amd64 configuration, against importing its two libraries.

    python benchmarks/check.py [RUNS] [check's arguments]     (default: 21 runs, --no-probe)

Both commands run in alternation, so that what else the machine does hits both. Prints the
medians of user+system time and their ratio; exit 1 when it is above the bar (3).
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "sample_configs" / "debian-6.12.117-amd64-generic.config"
YARDSTICK = [sys.executable, "-c", "import kconfiglib, argparse"]
BAR = 3.0


def cpu(command: list[str]) -> float:
    """Seconds of CPU time, user and system, of one run with its children."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": ""}  # as installed
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in (0, 1, 3, 4):
        raise SystemExit(f"{' '.join(command)}: exit {child.returncode}")
    return usage.ru_utime + usage.ru_stime


def main(arguments: list[str]) -> int:
    runs = int(arguments[0]) if arguments else 21
    # As the installed command starts it: -m would add the import of runpy.
    command = [sys.executable, "-c", "from btfcheck.cli import entry; entry()"]
    check = [*command, "check", str(SAMPLE), *(arguments[1:] or ["--no-probe"])]
    for each in (check, YARDSTICK):  # .pyc files, page cache
        cpu(each)
    pairs = [(cpu(check), cpu(YARDSTICK)) for _ in range(runs)]
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"check      {ours * 1000:6.1f} ms CPU, median of {runs}")
    print(f"yardstick  {theirs * 1000:6.1f} ms CPU ({' '.join(YARDSTICK[1:])})")
    print(f"ratio      {ours / theirs:6.2f} (bar: {BAR:g})")
    return 0 if ours <= BAR * theirs else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
