# SPDX-License-Identifier: MIT
"""Kernel releases as kernels and distributions spell them."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from btfcheck.model import UsageError

_NUMBERS = re.compile(r"v?(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?(?![0-9A-Za-z])")
_CANDIDATE = re.compile(r"[-.~]rc(\d{1,3})(?!\d)")
_BANNER = re.compile(r"Linux version (\S+)(.*)", re.DOTALL)
_DEBIAN_TAIL = re.compile(r" Debian (\d+\.\d+\S*)")
_UBUNTU_SIGNATURE = re.compile(r"Ubuntu \S+ (\d\S*)$")


FINAL = 1000  # no release has that many candidates


class Release(NamedTuple):
    """A release, ordered: 7.3-rc7 comes before 7.3. `candidate` is FINAL for anything that is none."""

    major: int
    minor: int
    patch: int = 0
    candidate: int = FINAL

    @property
    def line(self) -> tuple[int, int]:
        """(major, minor): what a merge window decides. Candidates belong to the line they lead to."""
        return self.major, self.minor

    def __str__(self) -> str:
        patch = f".{self.patch}" if self.patch else ""
        return f"{self.major}.{self.minor}{patch}" + (f"-rc{self.candidate}" if self.candidate != FINAL else "")


def parse(text: str) -> Release:
    """The release that `text` names.

    Takes what `make kernelversion` and `uname -r` print, package versions ("6.12.117-1~deb12u1"),
    /proc/version and the banner inside an image, and Ubuntu's /proc/version_signature. Debian's
    and Ubuntu's own numbers hide the stable release ("6.1.0-56-amd64" is 6.1.192): where the text
    says both, the upstream one counts.

    Raises UsageError when `text` names no release.
    """
    words = text.strip()
    if banner := _BANNER.search(words):
        debian = _DEBIAN_TAIL.search(banner[2])
        words = debian[1] if debian else banner[1]
    elif signature := _UBUNTU_SIGNATURE.match(words):
        words = signature[1]
    numbers = _NUMBERS.match(words)
    if not numbers:
        raise UsageError(f"{text.strip()[:80]!r} is not a kernel release (6.12, 6.12.117, 7.3-rc7 ...)")
    candidate = _CANDIDATE.match(words, numbers.end()) or _CANDIDATE.search(words, numbers.end())
    return Release(
        int(numbers[1]), int(numbers[2]), int(numbers[3] or 0), int(candidate[1]) if candidate else FINAL
    )


# Debian's and Ubuntu's `uname -r`: the point release is always 0, what counts is behind it.
_HIDES_STABLE = re.compile(r"\d+\.\d+\.0-\d+(-[a-z][\w-]*)*")


def stated(text: str) -> Release:
    """The release that a user names with --kernel.

    "running" is this machine's kernel, by /proc/version. A distribution's `uname -r` that hides the
    stable release (Debian's 6.1.0-56-amd64 is 6.1.192) is looked up here: the running kernel's banner,
    or the header of /boot/config-*. Raises UsageError where nothing tells.
    """
    if text == "running":
        return _running()
    if not _HIDES_STABLE.fullmatch(text.strip()):
        return parse(text)
    if os.uname().release == text.strip():
        return _running()
    try:
        with open(f"/boot/config-{text.strip()}", encoding="utf-8", errors="replace") as stream:
            header = re.search(r"^# Linux/\S+ (\S+) Kernel Configuration", stream.read(4096), re.M)
    except OSError:
        header = None
    if header:
        return parse(header[1])
    raise UsageError(
        f"{text.strip()} is a distribution's name, which hides the stable release; give that, as in 6.1.192 "
        "(it stands in /proc/version and in the header of the configuration)"
    )


def _running() -> Release:
    try:
        with open("/proc/version", encoding="utf-8", errors="replace") as stream:
            return parse(stream.read())
    except OSError as error:
        raise UsageError(f"/proc/version: {error.strerror}; give the release itself") from error
