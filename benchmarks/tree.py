#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""CPU time of `btfcheck check --tree` and `btfcheck matrix --tree`, against the tree's own conf.

    python benchmarks/tree.py TREE CONFIG [RUNS] [VAR=VALUE]...

conf is built from the tree and runs its shells, as `make olddefconfig` does; all commands run in
alternation. Cold: with an empty store of answers; again: of ten paholes on a tree that was parsed.
Exit 1 where a ratio is above its bar.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from btfcheck.commands import split_variables  # noqa: E402
from btfcheck.kconfig import environment, matrix, tree  # noqa: E402
from btfcheck.kconfig.answers import SUFFICIENT  # noqa: E402

WARM = 0.3  # times conf
MATRIX = {"matrix cold": 12.0, "matrix again": 2.0}  # seconds
PAHOLES = "1.15,1.16,1.21,1.22,1.23,1.24,1.25,1.28,1.30,1.32"


def cpu(command: list[str], environ: dict[str, str], cwd: str) -> float:
    """Seconds of CPU time, user and system, of one run with its children."""
    with subprocess.Popen(command, env=environ, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in (0, 1, 3):
        raise SystemExit(f"{' '.join(command)}: exit {child.returncode}")
    return usage.ru_utime + usage.ru_stime


def again(root: str) -> float:
    """Seconds of CPU time for a matrix of ten paholes on a tree that is loaded."""
    kconf = tree.open_tree(root, {"LLVM": "1"}, "x86", facts=SUFFICIENT)
    before = time.process_time()
    list(matrix.cells(kconf, matrix.default_axes(kconf, PAHOLES.split(",")), kernel=""))
    return time.process_time() - before


def main(words: list[str]) -> int:
    inputs, variables = split_variables(words)
    root, config = (str(Path(word).resolve()) for word in inputs[:2])
    runs = int(inputs[2]) if len(inputs) > 2 else 5
    loader = SourceFileLoader("oracle", str(ROOT / "tests/kconfig-oracle"))
    oracle = module_from_spec(spec_from_loader("oracle", loader))  # type: ignore[arg-type]
    loader.exec_module(oracle)
    around = environment.environment(root, variables).values
    given = [f"{name}={value}" for name, value in variables.items()]
    with tempfile.TemporaryDirectory() as folder:
        conf = str(oracle.build(Path(root), Path(folder)))
        theirs = {**os.environ, **around, "srctree": root, "KCONFIG_CONFIG": f"{folder}/config"}
        ours = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": ""}
        entry = [sys.executable, "-c", "from btfcheck.cli import entry; entry()"]
        check = [*entry, "check", config, "--tree", root, "--output", f"json:{folder}/out", *given]
        grid = [*entry, "matrix", "--tree", root, "--pahole", PAHOLES]
        times: dict[str, list[float]] = {name: [] for name in ("conf", "cold", "warm", *MATRIX)}
        for number in range(runs):
            Path(folder, "config").write_bytes(Path(config).read_bytes())
            store = {**ours, "XDG_CACHE_HOME": f"{folder}/cache{number}"}
            times["conf"].append(cpu([conf, "-s", "--olddefconfig", "Kconfig"], theirs, folder))
            times["cold"].append(cpu(check, store, folder))
            times["warm"].append(cpu(check, store, folder))
            times["matrix cold"].append(cpu(grid, store, folder))
            times["matrix again"].append(again(root))
    middle = {name: statistics.median(column) for name, column in times.items()}
    # conf of 6.1 does little beside its shells.
    bars = {"cold": 2.0 if around["KERNELVERSION"].startswith("6.1.") else 1.5, "warm": WARM}
    wrong = 0
    for name, seconds in middle.items():
        bar = bars.get(name, 0) * middle["conf"] or MATRIX.get(name, 0)
        wrong += bool(bar) and seconds > bar
        print(f"{name:12} {seconds:6.2f} s CPU, median of {runs}; {seconds / middle['conf']:5.2f} x conf"
              + (f" (bar {bar:.2f} s)" if bar else ""))  # fmt: skip
    return wrong != 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
