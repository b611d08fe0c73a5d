# SPDX-License-Identifier: MIT
"""CPU time and memory of `btfcheck explain --log` on 100 MB logs: a build log, dmesg, and nothing but messages.

    python benchmarks/explain.py [MEGABYTES]
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

BUILD = "".join(f"  CC [M]  drivers/net/ethernet/vendor{i % 90}/driver_part{i}.o\n" for i in range(990)) + (
    "  RUSTC L rust/core.o\n  BTF [M] drivers/net/a.ko\n  LD [M]  drivers/net/a.ko\n"
    "WARN: resolve_btfids: unresolved symbol module\n"
    "clang -Wp,-MMD,x.d -nostdinc -I./include -D__KERNEL__ -O2 -Wall -Werror=strict-prototypes -g -c -o x.o x.c\n"
)
DMESG = "".join(f"[ {i:5}.123456] usb 1-{i % 9}: new high-speed USB device number {i}\n" for i in range(500)) + (
    "[   12.345678] BPF: [8] STRUCT Option<u32>\n[   12.345678] BPF: size=8 vlen=0\n[   12.345678] BPF: \n"
    "[   12.345678] BPF: Invalid name\n[   12.345678] failed to validate module [xfs] BTF: -22\n"
)
MESSAGES = (
    "tag__recode_dwarf_type: couldn't find 0x8d2f4 type for 0x3a11c (inlined_subroutine)!\n"
    "WARN: multiple IDs found for 'task_struct': 209, 44360 - using 209\n"
    "[   12.345678] BPF: [8] STRUCT Option<u32>\n[   12.345678] BPF: size=8 vlen=0\n[   12.345678] BPF: Invalid name\n"
)
LISTING = "".join(f"[{i}] STRUCT s{i} size=8 vlen=1\n\tfield{i} type_id={i} bits_offset=0\n" for i in range(500))


def main() -> None:
    size = int(sys.argv[1] if len(sys.argv) > 1 else 100) * 1_000_000
    for name, text in (("build log", BUILD), ("dmesg", DMESG), ("messages only", MESSAGES), ("BTF listing", LISTING)):
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            with log.open("w") as stream:
                for _ in range(size // len(text) + 1):
                    stream.write(text)
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, "-m", "btfcheck", "explain", "--log", str(log), "-q"],
                           stdout=subprocess.DEVNULL, check=False)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            print(f"{name:14} {cpu:6.1f} s CPU   {after.ru_maxrss / 1024:6.0f} MB at most so far")


if __name__ == "__main__":
    main()
