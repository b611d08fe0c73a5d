# SPDX-License-Identifier: MIT
"""Kernel configurations: a .config, a fragment, .gz, or the IKCONFIG in an image, to facts with lines."""

from __future__ import annotations

import os
import re
import sys
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from btfcheck.model import Fact, InputError, Location

if TYPE_CHECKING:
    from mmap import mmap

LIMIT = 64 << 20  # bytes of text; a real .config has 0.3 MB

# "# Linux/x86 6.12.117 Kernel Configuration" (scripts/kconfig/conf), since 2.6.
_HEADER = re.compile(r"^# Linux/(\S+) (\S.*?) Kernel Configuration\s*$", re.M)
_ELF = b"\x7fELF"
# What conf writes and reads: a symbol with its value (hex also without 0x: RADIO_GEMTEK_PORT=34c), or
# "is not set". Patterns begin at a newline, which is far quicker to look for than the start of a line.
_SET = re.compile(
    r'\nCONFIG_([A-Za-z0-9_]+)=([ymn]|-[0-9]+|(?:0[xX])?[0-9a-fA-F]+|"(?:[^"\\\n]|\\.)*"|)(?=\r?\n)'
)
_UNSET = re.compile(r"\n# CONFIG_([A-Za-z0-9_]+) is not set(?=\s*\n)")
# A line that is neither, nor a comment, nor blank.
_ODD = re.compile(r"\n(?!CONFIG_|#|[ \t\r\f\v]*(?:\n|\Z))")


class Config(Mapping[str, Fact]):
    """One configuration, a mapping from symbol to recorded fact (made when asked for: there are 12,000).

    `words` maps a symbol (no CONFIG_) to its value as written; "is not set" is "n".
    `complete` is true for a .config that conf wrote, where an absent symbol is n; in a
    fragment or defconfig it is unknown. `arch` and `release` are the words of the header
    line, "" without one.
    """

    def __init__(self, path: str, text: str, words: Mapping[str, str]) -> None:
        header = _HEADER.search(text[:4096])
        self.path = path
        self.text = text
        self.words = words
        self.arch, self.release = header.groups() if header else ("", "")
        self.complete = bool(header) or "CC_VERSION_TEXT" in words
        self.made: dict[str, Fact] = {}

    @cached_property
    def ends(self) -> Sequence[int]:
        """Where the newlines of `text` are."""
        return [match.start() for match in re.finditer("\n", self.text)]

    def __getitem__(self, name: str) -> Fact:
        if name not in self.made:
            self.made[name] = self._fact(name, self.words[name])
        return self.made[name]

    def text_of(self, name: str) -> str:
        """The value of a symbol that is there, unquoted: quicker than its fact."""
        word = self.words[name]
        return re.sub(r"\\(.)", r"\1", word[1:-1]) if word[:1] == '"' else word

    def _fact(self, name: str, word: str) -> Fact:
        value = self.text_of(name)
        start = self.text.rfind(f"\nCONFIG_{name}={word}")
        if word == "n":
            start = max(start, self.text.rfind(f"\n# CONFIG_{name} is not set"))
        line = bisect_left(self.ends, start) + 1
        return Fact(name, value, Location(self.path, line, self.text[start + 1 : self.ends[line]].rstrip()))

    def __iter__(self) -> Iterator[str]:
        return iter(self.words)

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, name: object) -> bool:
        return name in self.words


def parse(text: str, path: str) -> Config:
    """Read the text of a configuration.

    Raises InputError with file:line for a line that conf would not understand, and for
    a text without any symbol.
    """
    text = f"\n{text}\n"
    pairs = _SET.findall(text)
    unset = _UNSET.findall(text)
    if len(pairs) != text.count("\nCONFIG_") or _ODD.search(text):
        _complain(text, path)
    words = dict(pairs)
    words.update(dict.fromkeys(unset, "n"))
    if len(words) != len(pairs) + len(unset) or "=n\n" in text:
        words = _in_order(text)
    if not words:
        lines = text.count("\n") - 1
        raise InputError(f"{path}:{lines}: no CONFIG_ line in it; is this a kernel configuration?")
    return Config(path, text, words)


def _in_order(text: str) -> dict[str, str]:
    """As conf reads them: what is named more than once is what it was told last, the first n of a choice counts."""
    words: dict[str, str] = {}
    for match in re.finditer(f"{_SET.pattern}|{_UNSET.pattern}", text):
        name, value, off = match.groups()
        words.pop(name or off, None)  # of a choice's members the last one counts
        words[name or off] = value if name else "n"
    return words


def _complain(text: str, path: str) -> None:
    """Raise InputError for the first line that is not understood."""
    for number, line in enumerate(text.split("\n")[1:-1], 1):
        if line.startswith("CONFIG_"):
            if _SET.match(f"\n{line}\n"):
                continue
            name, equals, _ = line[7:].partition("=")
            if equals and not re.fullmatch("[A-Za-z0-9_]+", name):
                raise InputError(f"{path}:{number}: {name[:60]!r} is no symbol name")
            raise InputError(f"{path}:{number}: cannot read the value in {line[:80]!r}")
        if _ODD.match(f"\n{line}"):
            raise InputError(f"{path}:{number}: not a line of a kernel configuration: {line[:60]!r}")


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
    if "\0" in path:
        raise InputError(f"{path!r}: a NUL is in the name")
    if os.path.isdir(path):
        raise InputError(f"{path}: is a directory; give the .config in it")
    if os.path.isfile(path) and os.path.getsize(path) <= LIMIT:
        # The common case, without the import of what unpacks.
        try:
            with open(path, "rb") as stream:
                data = stream.read()
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from error
        if data[:1] in (b"#", b"C"):
            return data
    from btfcheck.payload import LIMIT as IMAGE_LIMIT
    from btfcheck.payload import decompress, magic_of, open_bytes

    if path == "-":
        data = sys.stdin.buffer.read(LIMIT + 1)
        return decompress(data, LIMIT) if magic_of(data) else data
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


def usual_places(variables: Mapping[str, str], uname: str, tree: str = "") -> list[str]:
    """Where a configuration is looked for when none is named, best first.

    `variables` are make's (O, KCONFIG_CONFIG, KBUILD_OUTPUT); `uname` is the running release, `tree` a
    source that is asked. Whoever names a place or a source does not mean the running kernel.
    """
    out = variables.get("O") or variables.get("KBUILD_OUTPUT") or ""
    named = variables.get("KCONFIG_CONFIG") or ""
    name = named or ".config"
    places = [os.path.join(out, name)]
    if tree and not out:
        places.append(os.path.join(tree, name))
    if not (out or named or tree):
        places += ["/proc/config.gz", f"/boot/config-{uname}", f"/usr/lib/modules/{uname}/config",
                   f"/lib/modules/{uname}/build/.config"]  # fmt: skip
    return list(dict.fromkeys(os.path.normpath(p) for p in places))
