# SPDX-License-Identifier: MIT
"""Kernel configurations: a .config, a fragment, .gz, or the IKCONFIG in an image, to facts with lines."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from btfcheck.model import Fact, InputError, Location

if TYPE_CHECKING:
    from mmap import mmap

LIMIT = 64 << 20  # bytes of text; a real .config has 0.3 MB

# "# Linux/x86 6.12.117 Kernel Configuration" (scripts/kconfig/conf), since 2.6.
_HEADER = re.compile(r"^# Linux/(\S+) (\S.*?) Kernel Configuration\s*$", re.M)
_ELF = b"\x7fELF"
_NAME = re.compile(r"\w+", re.A)
_PLAIN = re.compile(r"[ymn]|-?[0-9]+|0[xX][0-9a-fA-F]+|")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


@dataclass(frozen=True)
class Config:
    """One configuration.

    `values` maps a symbol (no CONFIG_) to its value; "is not set" is "n". `lines` maps it
    to its line number. `complete` is true for a .config that conf wrote, where an absent
    symbol is n; in a fragment or defconfig it is unknown. `arch` and `release` are the
    words of the header line, "" without one. `source` is the text by line.
    """

    path: str
    values: Mapping[str, str]
    lines: Mapping[str, int]
    source: list[str]
    complete: bool
    arch: str
    release: str

    def fact(self, name: str) -> Fact | None:
        """The recorded fact of `name`, or None when the file does not name it."""
        if name not in self.values:
            return None
        line = self.lines[name]
        return Fact(name, self.values[name], Location(self.path, line, self.source[line - 1].rstrip()))


def parse(text: str, path: str) -> Config:
    """Read the text of a configuration.

    Raises InputError with file:line for a line that conf would not understand, and for
    a text without any symbol.
    """
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    source = text.split("\n")
    for number, line in enumerate(source, 1):
        if line.startswith("CONFIG_"):
            name, equals, value = line[7:].partition("=")
            if value.endswith("\r"):
                value = value[:-1]
            if value not in ("y", "m"):
                value = _value(value, equals, path, number, line)
        elif line.startswith("# CONFIG_") and line.rstrip().endswith(" is not set"):
            name, value = line.rstrip()[9:-11], "n"
        elif not line or line[0] == "#" or line.isspace():
            continue
        else:
            raise InputError(f"{path}:{number}: not a line of a kernel configuration: {line[:60]!r}")
        if not _NAME.fullmatch(name):
            raise InputError(f"{path}:{number}: {name[:60]!r} is no symbol name")
        values[name] = value
        lines[name] = number
    if not values:
        raise InputError(f"{path}:{len(source)}: no CONFIG_ line in it; is this a kernel configuration?")
    header = _HEADER.search(text[:4096])
    arch, release = header.groups() if header else ("", "")
    complete = bool(header) or "CC_VERSION_TEXT" in values
    return Config(path, values, lines, source, complete, arch, release)


def _value(value: str, equals: str, path: str, number: int, line: str) -> str:
    """The value without quotes, or InputError."""
    if equals and _PLAIN.fullmatch(value):
        return value
    if _QUOTED.fullmatch(value):
        return re.sub(r"\\(.)", r"\1", value[1:-1])
    raise InputError(f"{path}:{number}: cannot read the value in {line[:80]!r}")


def read(path: str) -> Config:
    """Read a configuration from a file: text, compressed text, or a kernel image with IKCONFIG.

    "-" is standard input. Raises InputError.
    """
    name = "<stdin>" if path == "-" else path
    data = _content(path)
    if data[:4] == _ELF or b"\0" in data[:1024]:
        try:
            data = _embedded(data)
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
    if len(data) > LIMIT:
        raise InputError(f"{name}: larger than {LIMIT >> 20} MB; this is no kernel configuration")
    return parse(bytes(data).decode("utf-8", "surrogateescape"), name)


def _content(path: str) -> bytes | mmap:
    """The bytes of the file, unpacked; images may be large, pipes and devices may not."""
    from btfcheck.payload import LIMIT as IMAGE_LIMIT
    from btfcheck.payload import decompress, open_bytes

    if path == "-":
        data = sys.stdin.buffer.read(LIMIT + 1)
        return decompress(data, LIMIT) if data[:2] in (b"\x1f\x8b", b"\xfd7") else data
    if "\0" in path:
        raise InputError(f"{path!r}: a NUL is in the name")
    if os.path.isdir(path):
        raise InputError(f"{path}: is a directory; give the .config in it")
    return open_bytes(path, IMAGE_LIMIT if os.path.isfile(path) else LIMIT)


def _embedded(data: bytes | mmap) -> bytes:
    """The configuration between IKCFG_ST and IKCFG_ED (kernel/configs.c), looked for in an image."""
    from btfcheck.payload import decompress, kernel_payload

    start = data.find(b"IKCFG_ST")
    if start < 0 and data[:4] != _ELF:
        data = kernel_payload(data)
        start = data.find(b"IKCFG_ST")
    end = data.find(b"IKCFG_ED", start)
    if start < 0 or end < 0:
        raise InputError("no configuration in it (CONFIG_IKCONFIG is off); give the .config file")
    return decompress(data[start + 8 : end], LIMIT)


def usual_places(variables: Mapping[str, str], uname: str) -> list[str]:
    """Where a configuration is looked for when none is named, best first.

    `variables` are make's (O, KCONFIG_CONFIG, KBUILD_OUTPUT); `uname` is the running release.
    """
    out = variables.get("O") or variables.get("KBUILD_OUTPUT") or "."
    names = [variables["KCONFIG_CONFIG"]] if variables.get("KCONFIG_CONFIG") else []
    places = [os.path.join(out, n) for n in [*names, ".config"]]
    places += [".config", "/proc/config.gz", f"/boot/config-{uname}"]
    places += [f"{p}/{uname}/{f}" for p, f in
               (("/usr/lib/modules", "config"), ("/lib/modules", "build/.config"))]
    return list(dict.fromkeys(os.path.normpath(p) for p in places))
