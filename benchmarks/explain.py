# SPDX-License-Identifier: MIT
"""CPU time and memory of `btfcheck explain --log` on 100 MB logs of several kinds.

    python benchmarks/explain.py [MEGABYTES]
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

# Lines of each log by number: no two alike but for the messages, which repeat as they do in real logs.
FLAGS = "-nostdinc -I./arch/x86/include -I./include -D__KERNEL__ -fshort-wchar -O2 -Wall -Werror=strict-prototypes -g "
BUILD = (
    lambda i: f"  CC [M]  drivers/net/ethernet/vendor{i % 90}/driver_part{i}.o\n",
    lambda i: f"  RUSTC L rust/core.o\n  BTF [M] drivers/net/a{i}.ko\n  LD [M]  drivers/net/a{i}.ko\n",
    lambda i: f"WARN: resolve_btfids: unresolved symbol module{i}\n",
)  # fmt: skip
VERBOSE = (
    lambda i: f"clang -Wp,-MMD,lib/.p{i}.o.d {FLAGS * 20}-DKBUILD_MODNAME='\"p{i}\"' -c -o lib/p{i}.o lib/p{i}.c\n",
)  # fmt: skip
DMESG = (
    *[lambda i: f"[ {i:5}.123456] usb 1-{i % 9}: new high-speed USB device number {i}\n"] * 100,
    lambda i: f"[   12.345678] BPF: [{i}] STRUCT Option<u32>\n[   12.345678] BPF: size=8 vlen=0\n[   12.345678] BPF: \n"
              f"[   12.345678] BPF: Invalid name\n[   12.345678] failed to validate module [xfs{i}] BTF: -22\n",
)  # fmt: skip
MESSAGES = (
    lambda i: f"tag__recode_dwarf_type: couldn't find {i:#x} type for {i * 7:#x} (inlined_subroutine)!\n",
    lambda i: f"WARN: multiple IDs found for 'task_struct{i}': {i}, {i + 9} - using {i}\n",
    lambda i: f"[ {i / 1e6:5.6f}] BPF: [{i}] STRUCT Option<u{i}>\n[   12.345678] BPF: size=8 vlen=0\n"
              "[   12.345678] BPF: Invalid name\n",
)  # fmt: skip
LISTING = (
    lambda i: f"[{i}] STRUCT {i:x}s_ops size=8 vlen=1\n\tfield{i:x} type_id={i} bits_offset=0\n",
)  # fmt: skip
LOGS = {"build log": BUILD, "build log, V=1": VERBOSE, "dmesg": DMESG, "messages only": MESSAGES,
        "BTF listing": LISTING}


def write(path: Path, parts: Sequence[Callable[[int], str]], size: int) -> None:
    written = number = 0
    with path.open("w") as stream:
        while written < size:
            number += 1
            written += stream.write(parts[number % len(parts)](number))


def main() -> None:
    size = int(sys.argv[1] if len(sys.argv) > 1 else 100) * 1_000_000
    for name, parts in LOGS.items():
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            write(log, parts, size)
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, "-m", "btfcheck", "explain", "--log", str(log), "-q"],
                           stdout=subprocess.DEVNULL, check=False)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            print(f"{name:15} {cpu:6.1f} s CPU   {after.ru_maxrss / 1024:6.0f} MB at most so far")


if __name__ == "__main__":
    main()
