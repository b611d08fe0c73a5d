# SPDX-License-Identifier: MIT
"""Run a pahole as a kernel's build would, and look at what came out.

pahole's exit status says nothing: 1.31 and 1.32 exit 0 after an error, every version does when it filtered all
units away, and a detached file that was there before may keep its tail. So the output goes to a new directory,
and the verdict is that of the bytes in it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from typing import NamedTuple

from btfcheck import payload
from btfcheck.files import stamp_of, workplace
from btfcheck.gate.messages import Message, explain, skipped_functions
from btfcheck.image import expansion_limit
from btfcheck.model import InputError
from btfcheck.release import Release
from btfcheck.toolchain.pahole import Flags
from btfcheck.toolchain.tools import Completed, decode, run, show

TIMEOUT = 900.0  # s; Debian's vmlinux takes 15 to 60
MEMORY = 16 << 30  # bytes of address space; 1.25 to 1.27 want 4 GB resident, and each thread its own arena
OUTPUT = 8 << 20  # bytes of messages
_SAYS_WHY = 125  # pahole 1.25 was the first to leave functions out, and to say so with -V
# These say nothing of functions with unexpected registers: 28 of 112 in Debian's 6.12.117 cloud vmlinux. The debug
# information shows all of them.
SILENT = range(128, 131)
_JOBS_SINCE = (6, 13)  # from here on -j becomes -j$(JOBS)

# What came out.
WHOLE, NOTHING, EMPTY, CUT, TAIL, NO_BTF = "whole", "nothing", "empty", "cut off", "tail", "no BTF"


class Encoding(NamedTuple):
    """One run of one pahole.

    `out` is WHOLE (a header, and exactly the bytes that it names), NOTHING (no file), EMPTY (no byte), CUT or
    TAIL (fewer or more bytes than the header names) or NO_BTF (no header); `btf` has the bytes, whatever they are.
    `touched` is true when the input changed meanwhile.
    """

    command: tuple[str, ...]
    version: int
    flags: Flags
    done: Completed
    out: str
    btf: bytes
    messages: tuple[Message, ...]
    touched: bool = False

    @property
    def label(self) -> str:
        """"pahole 1.30", with the command where that is not plain."""
        number = f"pahole {self.version // 100}.{self.version % 100}"
        return number if self.command == ("pahole",) else f"{number} ({show(self.command)})"

    @property
    def timed_out(self) -> bool:
        return "timed out" in self.done.problem

    @property
    def flooded(self) -> bool:
        return "printed more than" in self.done.problem


def arguments(chosen: Flags, release: Release, jobs: int) -> tuple[str, ...]:
    """The flags as they stand on pahole's command line."""
    if release.line < _JOBS_SINCE:
        return chosen.args
    return tuple(f"-j{jobs}" if word == "-j" else word for word in chosen.args)


def encode(
    path: str,
    command: tuple[str, ...],
    version: int,
    release: Release,
    *,
    chosen: Flags,
    base: str | None = None,
    jobs: int = 1,
    timeout: float = TIMEOUT,
    memory: int = MEMORY,
) -> Encoding:
    """Encode `path` (a module on `base`, the vmlinux) with the `chosen` flags, as `release`'s Kbuild passes them.

    Raises InputError when `path` cannot be read or there is no room for the result.
    """
    with workplace() as folder:
        source = unpacked(path, folder)
        before = stamp_of(path)
        target = os.path.join(folder, "btf")
        argv = _argv(command, arguments(chosen, release, jobs), base, target, source)
        done = run(argv, timeout=timeout, memory=memory, output=OUTPUT, cwd=folder, tied=True)
        btf, found = result(target)
        touched = stamp_of(path) != before
    lines = decode(done.stderr).splitlines() + decode(done.stdout).splitlines()
    return Encoding(command, version, chosen, done, found, btf, tuple(explain(lines, version)), touched)


def left_out(
    encoding: Encoding, path: str, release: Release, *, base: str | None = None, jobs: int = 1,
    timeout: float = TIMEOUT, memory: int = MEMORY,
) -> dict[str, str] | None:
    """Function -> why this pahole left it out on purpose, as it says with -V; None when it does not say."""
    if encoding.version < _SAYS_WHY:
        return {}
    with workplace() as folder:
        source = unpacked(path, folder)
        words = ("-V", *arguments(encoding.flags, release, jobs))
        target = os.path.join(folder, "btf")
        # It prints every type: 574 MB for Debian's 6.12.117 cloud vmlinux with 1.30, of which 343 lines matter.
        argv = _argv(encoding.command, words, base, target, source)
        done = run(argv, timeout=timeout, memory=memory, output=OUTPUT, cwd=folder, tied=True, only=b" due to ")
        if not done.ok or result(target)[1] != WHOLE:
            return None
    return skipped_functions([*decode(done.stdout).splitlines(), *decode(done.stderr).splitlines()])


def _argv(
    command: tuple[str, ...], words: Sequence[str], base: str | None, target: str, source: str
) -> tuple[str, ...]:
    below = ("--btf_base", os.path.abspath(base)) if base else ()
    return (*absolute(command), "-J", *words, *below, f"--btf_encode_detached={target}", source)


def absolute(command: tuple[str, ...]) -> tuple[str, ...]:
    """A relative program as seen from here: pahole itself runs in its own directory."""
    if command and os.path.dirname(command[0]):
        return os.path.abspath(command[0]), *command[1:]
    return command


def unpacked(path: str, folder: str) -> str:
    """`path` as pahole can read it: itself when it is ELF, else its contents in `folder`."""
    try:
        with open(path, "rb") as stream:
            if stream.read(4) == b"\x7fELF":
                return os.path.abspath(path)
        data = payload.open_bytes(path, expansion_limit(os.path.getsize(path)))
        copy = os.path.join(folder, "input")
        with open(copy, "wb") as stream:
            stream.write(data)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    return copy


def result(target: str) -> tuple[bytes, str]:
    """(what a tool wrote there, whether that is whole BTF)"""
    try:
        with open(target, "rb") as stream:
            data = stream.read()
    except OSError:
        return b"", NOTHING
    return data, shape(data)


def shape(data: bytes) -> str:
    """Do the bytes make a whole BTF: a header, and as many bytes as it names?"""
    if not data:
        return EMPTY
    if len(data) < 24 or data[:2] not in (b"\x9f\xeb", b"\xeb\x9f"):
        return NO_BTF
    sign = "<" if data[0] == 0x9F else ">"
    header, *spans = struct.unpack_from(f"{sign}5I", data, 4)
    if header >= 32 <= len(data):  # from 7.1 on a layout section may follow
        spans += struct.unpack_from(f"{sign}II", data, 24)
    end = header + max((at + size for at, size in zip(spans[::2], spans[1::2], strict=True) if size), default=0)
    return WHOLE if len(data) == end else CUT if len(data) < end else TAIL
