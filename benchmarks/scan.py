#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""CPU time and memory of `btfcheck scan` against `pahole -J` on the same files.

    python benchmarks/scan.py [--runs 7] [--vmlinux FILE] [--rust FILE] [--modules DIR]

    FILE  a vmlinux without LTO (Debian's linux-image-*-dbg), a Rust kernel built with ThinLTO
    DIR   the modules of the first

Both commands run in alternation, pahole as `pahole -J --btf_encode_detached -j1`; prints the medians of
user+system time, their ratio and the peak memory. Exit 1 when a ratio or a memory bar is missed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# As the installed command starts it: -m would add the import of runpy.
SCAN = [sys.executable, "-c", "from btfcheck.cli import entry; entry()", "scan", "-j1", "--pahole-version", "1.25"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": ""}


def measure(command: list[str]) -> tuple[float, int]:
    """(seconds of CPU time, KiB of peak memory) of one run."""
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def pahole(path: str, btf: str, base: str = "") -> list[str]:
    return ["pahole", "-J", "-j1", *([f"--btf_base={base}"] if base else []), f"--btf_encode_detached={btf}", path]


def debug_size(path: str) -> int:
    """Bytes of the debug sections that a scan reads."""
    sys.path.insert(0, str(ROOT))
    from btfcheck.image import open_image

    with open_image(path) as image:
        return sum(s.size for s in image.sections if s.name in (".debug_info", ".debug_abbrev", ".debug_str"))


def compare(title: str, ours: list[str], theirs: list[list[str]], runs: int, bar: float, memory: int) -> bool:
    """Print one row; is it within both bars?"""
    measure(ours)  # .pyc files, page cache
    pairs = []
    for _ in range(runs):
        mine = measure(ours)
        other = [measure(command) for command in theirs]
        pairs.append((mine, (sum(t for t, _ in other), max(m for _, m in other))))
    mine, other = (statistics.median(p[n][0] for p in pairs) for n in (0, 1))
    peak, peak_other = (max(p[n][1] for p in pairs) / 1024 for n in (0, 1))
    allowed = memory / 1024 / 1024 if memory else peak_other
    good = mine <= bar * other and peak <= allowed
    cells = (title, f"{mine:.2f} s", f"{other:.2f} s", f"{mine / other:.3f}", f"{bar:g}", f"{peak:.0f} MiB",
             f"{allowed:.0f} MiB")
    print(f"| {' | '.join(cells)} |{'' if good else ' MISSED'}", flush=True)
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--vmlinux")
    parser.add_argument("--rust")
    parser.add_argument("--modules")
    args = parser.parse_args()
    good = True
    print("| what | scan | pahole | ratio | bar | peak memory | allowed |\n| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        btf, base = (os.path.join(folder, name) for name in ("out.btf", "base.btf"))
        if args.vmlinux:
            room = (64 << 20) + int(1.2 * debug_size(args.vmlinux))
            theirs = [pahole(args.vmlinux, btf)]
            good &= compare("vmlinux", [*SCAN, args.vmlinux], theirs, args.runs, 0.10, room)
            good &= compare("vmlinux --walk-all", [*SCAN, "--walk-all", args.vmlinux], theirs, args.runs, 0.35, room)
            measure(pahole(args.vmlinux, base))
        if args.rust:
            room = (64 << 20) + int(1.2 * debug_size(args.rust))
            theirs = [pahole(args.rust, btf)]
            good &= compare("ThinLTO Rust --walk-all", [*SCAN, "--walk-all", args.rust], theirs, args.runs, 0.30, room)
        if args.modules:
            modules = sorted(str(p) for p in Path(args.modules).rglob("*.ko"))
            room = (64 << 20) + int(1.2 * max(map(debug_size, modules)))
            theirs = [pahole(module, btf, base if os.path.exists(base) else "") for module in modules]
            # A pass of pahole takes a minute: one is enough.
            good &= compare(f"{len(modules)} modules", [*SCAN, args.modules], theirs, 1, 0.03, room)
    return not good


if __name__ == "__main__":
    sys.exit(main())
