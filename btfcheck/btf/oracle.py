# SPDX-License-Identifier: MIT
"""Asking the running kernel: bpf(BPF_BTF_LOAD), rules S1 to S6.

Linux only, root or CAP_BPF. The syscall takes no base, so split BTF must be joined with its base first, and
it is the user path: stricter than what a kernel asks of its own BTF.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from typing import NamedTuple

from btfcheck.model import InputError

# include/uapi/asm-generic/unistd.h, and the tables of the older architectures.
_SYSCALL = {
    "x86_64": 321, "i386": 357, "i686": 357, "aarch64": 280, "armv7l": 386, "armv6l": 386, "riscv64": 280,
    "loongarch64": 280, "ppc64": 361, "ppc64le": 361, "s390x": 351, "mips64": 5315,
}  # fmt: skip
_BTF_LOAD = 18
_LOG_SIZES = (1 << 16, 1 << 26)  # S5: from 6.4 on, one that is too small keeps the tail


class Answer(NamedTuple):
    """What the running kernel said. `message` is the last line of its log."""

    accepted: bool
    errno: int
    message: str


def ask(data: bytes, message: bool = True) -> Answer:
    """Load `data` as BTF and drop it again.

    The verdict comes from a call without a log: with one that is too small, ENOSPC hides it (S5). The
    message takes a second call.

    Raises InputError where the kernel cannot be asked: not Linux, an unknown machine, no permission.
    """
    number = _SYSCALL.get(platform.machine())
    if not sys.platform.startswith("linux") or number is None:
        raise InputError(f"the running system ({sys.platform}, {platform.machine()}) cannot be asked")
    code = _load(number, data, None)
    if code == errno.EPERM:
        raise InputError("the running kernel refuses to be asked: bpf() needs root or CAP_BPF")
    if code == errno.ENOSYS:
        raise InputError("the running kernel has no bpf() system call")
    text = _log(number, data) if code and message else ""
    return Answer(code == 0, code, text)


def _log(number: int, data: bytes) -> str:
    lines = b""
    for size in _LOG_SIZES:
        log = ctypes.create_string_buffer(size)
        full = _load(number, data, log) == errno.ENOSPC
        lines = log.value.rstrip(b"\n")
        if not full:
            break
    return lines.rsplit(b"\n", 1)[-1].decode("latin-1")


def _load(number: int, data: bytes, log: ctypes.Array[ctypes.c_char] | None) -> int:
    """The errno of one call, 0 when it loads."""
    libc = ctypes.CDLL(None, use_errno=True)
    blob = ctypes.create_string_buffer(data, max(len(data), 1))
    attributes = struct.pack(
        "=QQIIII",
        ctypes.addressof(blob),
        ctypes.addressof(log) if log else 0,
        len(data),
        len(log) if log else 0,
        1 if log else 0,
        0,
    )
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    descriptor = libc.syscall(number, _BTF_LOAD, buffer, len(attributes))
    if descriptor < 0:
        return ctypes.get_errno()
    os.close(descriptor)
    return 0
