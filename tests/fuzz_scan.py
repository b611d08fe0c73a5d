# SPDX-License-Identifier: MIT
"""Scan thousands of damaged ELF files: no exception, no hang, no memory that a file did not pay for.

    python tests/fuzz_scan.py [--count 20000] [--seed 1] [--seconds 5] [--memory 512]

Each case takes one of the samples (or a compressed or written relative), flips bits or overwrites
bytes in its headers, section table, abbreviations, entries, relocations, string tables or anywhere, and
scans it with every unit walked. The case number and the seed reproduce a failure.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import signal
import struct
import sys
import tarfile
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from btfcheck.dwarf.judge import Case, judge
from btfcheck.dwarf.leaks import scan
from btfcheck.dwarf.writer import build
from btfcheck.image import SHF_COMPRESSED, Image

DATA = Path(__file__).parent / "data" / "leak"
# How often which part is hit.
PARTS = [("header", 2), ("table", 4), (".debug_abbrev", 6), (".debug_info", 8), (".rela.debug_info", 2),
         (".debug_line", 3), (".debug_str_offsets", 1), (".symtab", 1), (".debug_types", 1), ("any", 4)]
VALUES = (0, 1, 0x7F, 0x80, 0xFF, 0x10, 0x16, 0x20, 0x21, 0x39)

WRITTEN = """
file {file}
unit none kind=partial label=part
  namespace "klib"
    structure_type "S" byte_size=4 as s
unit C "main.c"
  imported_unit import=@part
  variable "v" type=@s 0x3=5!indirect/udata
  subprogram "f" low_pc=0x10
    inlined_subroutine abstract_origin=@g
unit Rust "lib.rs" producer="rustc"
  imported_unit import=@part
  namespace "klib"
    subprogram "g" as g
  typedef "t" type=@g
unit C kind=type version=4 signature=0x5
  namespace "n"
    union_type "u"
unit none kind=skeleton signature=0x9 dwo_name="x.dwo"
"""


def originals() -> Iterator[bytes]:
    with tarfile.open(DATA / "samples.tar.xz") as archive:
        for member in archive:
            if member.isfile():
                stream = archive.extractfile(member)
                assert stream is not None
                yield stream.read()
    for file in ("", "bits=32", "little=no", "rel=yes", "rel=yes bits=32", "share=yes note=1"):
        yield build(WRITTEN.format(file=file))


def compressed(data: bytes) -> bytes:
    """The file with its .debug_info and .debug_abbrev compressed in place of themselves, at its end."""
    image, out = Image(data), bytearray(data)
    if image.bits != 64 or not image.little:
        return data
    for name in (".debug_info", ".debug_abbrev"):
        section = image.section(name)
        if section is None:
            continue
        content = bytes(image.contents(section))
        packed = struct.pack("<IIQQ", 1, 0, len(content), 1) + zlib.compress(content)
        place = image._shoff + section.number * 64
        struct.pack_into("<Q", out, place + 8, section.flags | SHF_COMPRESSED)
        struct.pack_into("<QQ", out, place + 24, len(out), len(packed))
        out += packed
    return bytes(out)


def part_of(image: Image, name: str) -> tuple[int, int]:
    """(start, size) of a part of the file."""
    if name == "header":
        return 0, 64
    if name == "table":
        return image._shoff, len(image.sections) * image._shentsize
    section = image.section(name)
    return (0, image.size) if section is None or not section.size else (section.offset, section.size)


def damaged(data: bytes, image: Image, dice: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 3, 5, 20))):
        start, size = part_of(image, dice.choices([p for p, _ in PARTS], [w for _, w in PARTS])[0])
        place = start + dice.randrange(size)
        kind = dice.randrange(10)
        if kind < 5:
            out[place] ^= 1 << dice.randrange(8)
        elif kind < 8:
            out[place] = dice.choice(VALUES)
        elif kind == 8:
            length = min(dice.choice((2, 4, 8, 16)), len(out) - place)
            out[place : place + length] = dice.choice((b"\xff", b"\x80", b"\0")) * length
        else:
            other = dice.randrange(len(out))
            length = min(dice.randrange(1, 64), len(out) - max(place, other))
            out[place : place + length] = out[other : other + length]
    if dice.randrange(20) == 0:
        del out[dice.randrange(len(out)) :]
    return bytes(out)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0, help="a case may take this long")
    parser.add_argument("--memory", type=int, default=512, help="MiB that the whole run may use")
    args = parser.parse_args()
    pool = [(data, Image(data)) for data in originals()]
    pool += [(data, Image(data)) for data in (compressed(data) for data, _ in pool[::4])]
    failures, slowest, ends = 0, 0.0, {"ok": 0, "unknown": 0, "error": 0}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "vmlinux")
        for case in range(args.count):
            dice = random.Random(f"{args.seed}/{case}")
            data = damaged(*dice.choice(pool), dice)
            Path(path).write_bytes(data)
            start = time.process_time()
            signal.setitimer(signal.ITIMER_REAL, 4 * args.seconds)  # a hang dies with a trace
            try:
                result = scan(path, walk_all=True, roots=(folder,))
                judge(result, "vmlinux", [Case(None), Case(131)])
                ends[result.status] += 1
            except Exception as error:
                failures += 1
                print(f"seed {args.seed} case {case}: {type(error).__name__}: {error}", file=sys.stderr)
            signal.setitimer(signal.ITIMER_REAL, 0)
            taken = time.process_time() - start
            slowest = max(slowest, taken)
            if taken > args.seconds:
                failures += 1
                print(f"seed {args.seed} case {case}: {taken:.1f} s", file=sys.stderr)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    if peak > args.memory:
        failures += 1
    print(f"{args.count} files: {ends['ok']} understood, {ends['unknown']} not verified, {ends['error']} unreadable; "
          f"{failures} failures, slowest {slowest:.2f} s, peak {peak} MiB")
    return failures != 0


if __name__ == "__main__":
    sys.exit(main())
