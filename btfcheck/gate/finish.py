# SPDX-License-Identifier: MIT
"""Run a resolve_btfids on BTF that pahole made, as kernels from 7.0 on do, and look at what came out.

It adds kfuncs' prototypes and tags, distils the base of external modules, and sorts the types by name
(scripts/gen-btf.sh, tools/bpf/resolve_btfids). It reads the kernel's lists of ids (.BTF_ids) from the ELF file, which
it opens for writing, and writes its results beside that file: so it gets a copy, in a new directory. Its exit status
is 0 for BTF that the kernel refuses; the verdict is that of the bytes.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from btfcheck.btf.format import Btf
from btfcheck.files import workplace
from btfcheck.gate.encode import EMPTY, NOTHING, OUTPUT, TIMEOUT, WHOLE, absolute, result
from btfcheck.image import SHT_NOBITS, SHT_SYMTAB, Image
from btfcheck.model import InputError
from btfcheck.release import Release
from btfcheck.toolchain.tools import Completed, decode, run

SINCE = (7, 0)  # commit 1a8fa7faf489: scripts/gen-btf.sh
_IDS = ".BTF_ids"
_LISTED = b"__BTF_ID__"
_KINDS = (b"func__", b"struct__", b"union__", b"typedef__")
_HEAD, _PAIR = 8, 8  # bytes of struct btf_id_set8 before its pairs, and of each pair (include/linux/btf_ids.h)


class Finished(NamedTuple):
    """One run of one resolve_btfids. `out` is as in Encoding, `base` a distilled base or None, `warnings` its
    lines of that sort."""

    command: tuple[str, ...]
    done: Completed
    out: str
    btf: bytes
    base: bytes | None
    warnings: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return self.done.ok and self.out == WHOLE

    @property
    def wrong(self) -> str:
        """How it failed, "" where it did not."""
        if self.ok or self.done.problem:
            return self.done.problem.rpartition(": ")[2]
        if self.done.status:
            return f"exit status {self.done.status}"
        wrote = "no BTF was written" if self.out in (NOTHING, EMPTY) else "what was written is no whole BTF"
        return f"exit status 0, and {wrote}"


def applies(release: Release) -> bool:
    """Whether that release's build lets resolve_btfids change BTF."""
    return release.line >= SINCE


def finish(
    image: Image, btf: bytes, command: tuple[str, ...], flags: Sequence[str], *, base: str | None,
    own: Callable[[], Btf | None], timeout: float = TIMEOUT, memory: int | None = None,
) -> Finished:
    """What becomes of `btf`, which pahole made of `image` (a module on `base`, the vmlinux).

    `own` gives the BTF that the file has, by whose ids its lists were resolved before. Raises InputError when
    the file lacks what is needed, or there is no room.
    """
    ids = pristine(image, own)
    with workplace() as folder:
        elf, made = os.path.join(folder, "elf"), os.path.join(folder, "elf.BTF.1")
        try:
            _copy(image, elf, ids)
            with open(made, "wb") as stream:
                stream.write(btf)
        except OSError as error:
            raise InputError(f"{folder}: {error.strerror or error}") from error
        below = ("--btf_base", os.path.abspath(base)) if base else ()
        argv = (*absolute(command), *flags, *below, "--btf", made, elf)
        done = run(argv, timeout=timeout, memory=memory, output=OUTPUT, cwd=folder, tied=True)
        data, out = result(f"{elf}.BTF")
        distilled, there = result(f"{elf}.BTF.base")
    lines = decode(done.stderr).splitlines() + decode(done.stdout).splitlines()
    warnings = tuple(dict.fromkeys(line.strip() for line in lines if "WARN" in line))
    return Finished(command, done, out, data, distilled if there != NOTHING else None, warnings)


def _copy(image: Image, path: str, ids: bytes) -> None:
    """The file, with these lists, and holes where its debug information is: nobody reads that here."""
    with open(path, "wb") as stream:
        at = 0
        for section in sorted(image.sections, key=lambda s: s.offset):
            if section.type != SHT_NOBITS and ".debug_" in section.name and section.offset >= at:
                stream.seek(at)
                stream.write(image.raw(at, section.offset - at))
                at = section.offset + section.size
        stream.seek(at)
        stream.write(image.raw(at, image.size - at))
        stream.truncate(image.size)
        if ids:
            found = image.section(_IDS)
            assert found is not None
            stream.seek(found.offset)
            stream.write(ids)


# -- the lists of ids as they were before the first resolve_btfids ---------------------------------------------


class _Listed(NamedTuple):
    """A symbol of the lists: the offset of its bytes in .BTF_ids, its size, and its name."""

    at: int
    size: int
    name: bytes


def pristine(image: Image, own: Callable[[], Btf | None]) -> bytes:
    """.BTF_ids with all ids 0 and each kfunc's flags beside its symbol; empty when the file has no such section.

    A build resolves the lists in place and sorts them by id, so that a finished file has flags where another
    kfunc's were; only the BTF that it was done for tells whose they are. Raises InputError when nothing does.
    """
    section = image.section(_IDS)
    if section is None or not section.size:
        return b""
    if section.type == SHT_NOBITS:
        raise InputError(f"{image.path}: its {_IDS} are in the file that it was stripped from")
    data = bytearray(image.contents(section))
    listed = _listed(image, section.number, section.address)
    slots = [one for one in listed if one.name.startswith(_KINDS)]
    word = struct.Struct(image.order + "I")
    if any(one.at + 4 > len(data) for one in listed):
        raise InputError(f"{image.path}: symbols outside of {_IDS}")
    if not slots:
        raise InputError(f"{image.path}: the symbols of {_IDS} are stripped")
    if any(word.unpack_from(data, one.at)[0] for one in slots):
        btf = own()
        if btf is None:
            raise InputError(f"{image.path}: its {_IDS} are resolved, and it has no BTF to tell by which ids")
        for one in listed:
            if one.name.startswith(b"set8__"):
                _undo(image, data, one, slots, btf)
        for one in slots:
            word.pack_into(data, one.at, 0)
    return bytes(data)


def _undo(image: Image, data: bytearray, one: _Listed, slots: Sequence[_Listed], btf: Btf) -> None:
    """Move the flags of one set back to their kfuncs."""
    pair = struct.Struct(image.order + "II")
    first, end = one.at + _HEAD, one.at + one.size
    if end > len(data) or one.size % _PAIR:
        raise InputError(f"{image.path}: {_IDS}: {_text(one.name)} has no size that makes sense")
    flags = [pair.unpack_from(data, at) for at in range(first, end, _PAIR)]
    if len({value for _, value in flags}) <= 1:
        return  # all alike: nothing to move
    by_name = {(btf.name(tid) if 0 < tid < btf.count else "").encode("utf-8", "backslashreplace"): value
               for tid, value in flags}  # fmt: skip
    own = [(slot.at, by_name.get(_function(slot.name))) for slot in slots if first <= slot.at < end]
    if len(by_name) != len(flags) or len(own) != len(flags) or any(value is None for _, value in own):
        raise InputError(f"{image.path}: {_IDS}: whose flags {_text(one.name)} holds cannot be told any more")
    for at, value in own:
        pair.pack_into(data, at, 0, value)


def _function(name: bytes) -> bytes:
    """`func__bpf_cast__12` -> `bpf_cast`."""
    return name.removeprefix(b"func__").rpartition(b"__")[0]


def _text(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")


def _listed(image: Image, section: int, address: int) -> list[_Listed]:
    table = next((s for s in image.sections if s.type == SHT_SYMTAB), None)
    if table is None or table.link >= len(image.sections):
        raise InputError(f"{image.path}: no symbol table, which names what stands in {_IDS}")
    layout = struct.Struct(image.order + ("IBBHQQ" if image.bits == 64 else "IIIBBH"))
    where: Mapping[str, int] = ({"section": 3, "value": 4, "size": 5} if image.bits == 64 else
                                {"section": 5, "value": 1, "size": 2})  # fmt: skip
    strings = bytes(image.contents(image.sections[table.link]))
    data = image.contents(table)
    found = []
    for row in layout.iter_unpack(data[: len(data) - len(data) % layout.size]):
        if row[where["section"]] == section and strings.startswith(_LISTED, row[0]):
            name = strings[row[0] + len(_LISTED) : strings.find(b"\0", row[0])]
            found.append(_Listed(row[where["value"]] - address, row[where["size"]], name))
    return found
