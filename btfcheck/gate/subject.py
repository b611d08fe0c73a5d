# SPDX-License-Identifier: MIT
"""One built file as the gate sees it: what it is, which kernel it belongs to, where its debug information is."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cached_property

from btfcheck import payload
from btfcheck.btf.format import Btf
from btfcheck.dwarf.census import Census, census
from btfcheck.dwarf.names import Key
from btfcheck.dwarf.units import Debug
from btfcheck.image import DEBUG_ROOTS, ET_REL, Image, find_debug_file, open_image
from btfcheck.model import UsageError
from btfcheck.release import Release, parse
from btfcheck.trace.compare import Comparison, compare, wanted
from btfcheck.trace.symbols import ambiguous, functions, has_symbols
from btfcheck.trace.unencoded import ALL

MODULE_NAME = re.compile(r"\.ko(\.debug)?(\.(gz|xz|zst|bz2|lzma|lz4|lzo))?$")
_BANNER = re.compile(rb"Linux version \d+\.\d+[^\0\n]{0,400}")
_VERMAGIC = re.compile(rb"(?:^|\0)vermagic=([^\0 ]+)")


class Subject:
    """An open file. `name` is what findings call it. Raises InputError when it cannot be read."""

    def __init__(self, path: str, name: str = "", roots: tuple[str, ...] = DEBUG_ROOTS) -> None:
        self.path = path
        self.name = name or os.path.basename(path)
        self.image: Image = open_image(path)
        self._roots = roots
        self._census: Census | None = None
        self._known: frozenset[Key] = frozenset()

    @property
    def module(self) -> bool:
        return self.image.elf_type == ET_REL and (
            self.image.section(".modinfo") is not None or bool(MODULE_NAME.search(self.path))
        )

    @cached_property
    def vermagic(self) -> str:
        """The release that a module says it was built for, as `uname -r` prints it; "" when it does not."""
        found = _VERMAGIC.search(bytes(self.image.contents(".modinfo")))
        return found[1].decode("latin-1") if found else ""

    @cached_property
    def banner(self) -> str:
        """A kernel's "Linux version ...", or ""."""
        return first_banner(self.image.contents(".rodata"))

    @property
    def uname(self) -> str:
        """What `uname -r` prints on the kernel that this is, or belongs to; "" when it does not say."""
        return self.vermagic or (self.banner.split() or ["", "", ""])[2]

    @property
    def release(self) -> Release | None:
        return released(self.banner) or released(self.vermagic)

    @cached_property
    def debug(self) -> Debug | None:
        """The debug information, of the file itself or of its separate debug file; None without any."""
        debug = Debug(self.image)
        if debug.infos:
            return debug
        found = find_debug_file(self.image, self._roots)
        return Debug(found) if found is not None else None

    @property
    def debug_path(self) -> str:
        """The separate debug file that is used, or ""."""
        return self.debug.image.path if self.debug and self.debug.image is not self.image else ""

    def census(self, wanted: frozenset[Key] = frozenset()) -> Census | None:
        """Who defines what, with all definitions of the `wanted` names; None without debug information."""
        if self.debug is None:
            return None
        if self._census is None or not wanted <= self._known:
            self._known |= wanted
            self._census = census(self.debug, self._known)
        return self._census

    def compare(
        self, btf: Btf, release: Release, below: frozenset[Key] = frozenset(),
        said: Mapping[str, str] | None = None, silent: frozenset[str] = ALL,
    ) -> Comparison | None:
        """BTF that belongs to this file against its debug information, see trace.compare.compare; None without
        any debug information."""
        names = self.functions
        found = self.census(wanted(btf, below, names))
        if found is None or not (found.c or found.rust or found.problems):
            return None
        return compare(
            btf, found, below=below, symbols=names, ambiguous=ambiguous(self.symbols or {}),
            left_out=said, silent=silent, machine=self.image.machine, release=release,
        )

    @property
    def symbol_image(self) -> Image:
        """The file that has the symbol table: this one, or its separate debug file."""
        debug = self.debug
        return debug.image if debug is not None and not has_symbols(self.image) else self.image

    @cached_property
    def symbols(self) -> dict[str, set[tuple[int, int]]] | None:
        """The functions in the symbol table with their places; None without a table."""
        return functions(self.symbol_image)

    @cached_property
    def functions(self) -> frozenset[str] | None:
        """The functions in the symbol table, of which pahole encodes no others; None without a table."""
        return None if self.symbols is None else frozenset(self.symbols)

    def close(self) -> None:
        self.__dict__.pop("debug", None)
        self._census = None
        self.image.close()


def first_banner(data: payload.Data | memoryview) -> str:
    """"Linux version ..." as it stands in a kernel's read-only data, or ""."""
    found = _BANNER.search(data)
    return found[0].decode("latin-1") if found else ""


def released(text: str) -> Release | None:
    """The release that a banner or a vermagic names, None where it names none."""
    try:
        return parse(text)
    except UsageError:
        return None
