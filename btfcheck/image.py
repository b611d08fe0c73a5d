# SPDX-License-Identifier: MIT
"""An ELF file as sections: vmlinux, modules (also compressed), objects, separate debug files.

Nothing is read before it is asked for and nothing is copied that can be a view, because a vmlinux
has a gigabyte of it. Layouts are those of the System V gABI (elf.h) and, for `.zdebug_*`, of binutils.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import pairwise
from types import TracebackType
from typing import NamedTuple

from btfcheck import payload
from btfcheck.model import InputError

ET_REL, ET_EXEC, ET_DYN = 1, 2, 3
SHT_SYMTAB, SHT_RELA, SHT_NOTE, SHT_NOBITS, SHT_REL = 2, 4, 7, 8, 9
SHF_COMPRESSED = 0x800
_COMPRESSED_ZLIB, _COMPRESSED_ZSTD = 1, 2

# The kernel's ELF notes (include/linux/elfnote-lto.h, build-salt.h) and the GNU one.
NOTE_LTO = ("Linux", 0x101)
NOTE_BUILD_ID = ("GNU", 3)

DEBUG_ROOTS = ("/usr/lib/debug",)

_FLOOR, _EXPANSION, _CEILING = 64 << 20, 100, 4 << 30


def expansion_limit(size: int) -> int:
    """How many bytes a file of `size` bytes may unpack to: 100 times that, at least 64 MiB, at most 4 GiB.

    Kernel modules and debug sections shrink 3 to 10 times; what claims far more is a bomb.
    """
    return min(_CEILING, max(_FLOOR, _EXPANSION * size))


class Section(NamedTuple):
    """One section header, with its name."""

    name: str
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entsize: int
    number: int


class Note(NamedTuple):
    """One ELF note: the owner ("Linux", "GNU"), its type and the bytes it describes."""

    owner: str
    type: int
    desc: bytes


class Image:
    """An ELF file over bytes or a mapped file; use `open_image`, or this for bytes at hand.

    Raises InputError for what is no ELF file or has no readable section table, and later for a
    section that does not lie inside the file or does not unpack.
    """

    def __init__(self, data: payload.Data, path: str = "<memory>") -> None:
        self.path = path
        self.size = len(data)
        self._data = memoryview(data)
        self._unpacked: dict[int, bytearray] = {}
        if bytes(data[:4]) != b"\x7fELF" or len(data) < 52:
            raise self.error("not an ELF file")
        kind, order = data[4], data[5]
        if kind not in (1, 2) or order not in (1, 2):
            raise self.error("ELF class or byte order unknown")
        self.bits = 32 * kind
        self.little = order == 1
        self.order = "<" if self.little else ">"
        if len(data) < (64 if kind == 2 else 52):
            raise self.error("ELF header cut off")
        header = self.unpack("HHIQQQIHHHHHH" if kind == 2 else "HHIIIIIHHHHHH", 16)
        self.elf_type, self.machine = header[0], header[1]
        self._shoff = header[5]
        self._shentsize, self._shnum, self._shstrndx = header[10:13]

    def error(self, text: str) -> InputError:
        """An InputError that names this file."""
        return InputError(f"{self.path}: {text}")

    def unpack(self, layout: str, offset: int) -> tuple[int, ...]:
        """Numbers at `offset` of the file, in its byte order; InputError when they are not all there."""
        try:
            return struct.unpack_from(self.order + layout, self._data, offset)
        except struct.error:
            raise self.error(f"cut off at byte {self.size}, {offset} wanted") from None

    def raw(self, offset: int, size: int) -> memoryview:
        """Bytes of the file as they stand there; InputError when they are not all there."""
        return self._part(offset, size, "file")

    # -- sections ---------------------------------------------------------------------------------------

    @cached_property
    def sections(self) -> list[Section]:
        """All sections, the empty first one included, so that an index is an index."""
        if not self._shoff:
            return []
        layout = struct.Struct(self.order + ("IIQQQQIIQQ" if self.bits == 64 else "IIIIIIIIII"))
        if self._shentsize != layout.size:
            raise self.error(f"section header entries of {self._shentsize} bytes")
        count, names = self._shnum, self._shstrndx
        if count == 0 or names == 0xFFFF:  # too many for the ELF header: they stand in entry 0
            first = layout.unpack(self._part(self._shoff, layout.size, "section table"))
            count, names = count or first[5], first[6] if names == 0xFFFF else names
        table = self._part(self._shoff, count * layout.size, "section table")
        rows = list(layout.iter_unpack(table))
        strings = b""
        if names < len(rows) and rows[names][1] != SHT_NOBITS:
            strings = bytes(self._part(rows[names][4], rows[names][5], "section names"))
        return [Section._make((_string(strings, row[0]), *row[1:], n)) for n, row in enumerate(rows)]

    @cached_property
    def _by_name(self) -> dict[str, Section]:
        # The first of a name counts, as it does in libelf's users.
        return {s.name: s for s in reversed(self.sections) if s.name}

    def section(self, name: str) -> Section | None:
        """The first section of that name; `.debug_x` also finds the old compressed `.zdebug_x`."""
        found = self._by_name.get(name)
        if found is None and name.startswith(".debug_"):
            found = self._by_name.get(".z" + name[1:])
        return found

    def contents(self, section: Section | str | None) -> memoryview:
        """The bytes of a section, unpacked when it is compressed; empty for no section and for NOBITS."""
        if isinstance(section, str):
            section = self.section(section)
        if section is None or section.type == SHT_NOBITS or not section.size:
            return memoryview(b"")
        packed = section.flags & SHF_COMPRESSED or section.name.startswith(".zdebug_")
        if not packed:
            return self._part(section.offset, section.size, section.name)
        if section.number not in self._unpacked:
            self._unpacked[section.number] = self._unpack_section(section)
        return memoryview(self._unpacked[section.number])

    def _part(self, offset: int, size: int, what: str) -> memoryview:
        if offset + size > self.size:
            raise self.error(f"{what}: cut off, it reaches to byte {offset + size} of {self.size}")
        return self._data[offset : offset + size]

    def _unpack_section(self, section: Section) -> bytearray:
        raw = self._part(section.offset, section.size, section.name)
        if section.flags & SHF_COMPRESSED:
            layout = "IIQQ" if self.bits == 64 else "III"
            skip = struct.calcsize("=" + layout)
            if len(raw) < skip:
                raise self.error(f"{section.name}: compression header cut off")
            header = self.unpack(layout, section.offset)
            kind, size = header[0], header[-2]
        elif len(raw) >= 12 and bytes(raw[:4]) == b"ZLIB":
            kind, size, skip = _COMPRESSED_ZLIB, int.from_bytes(raw[4:12], "big"), 12
        else:
            raise self.error(f"{section.name}: no compression header")
        if size > expansion_limit(self.size):
            raise self.error(f"{section.name}: claims {size} bytes unpacked, beyond the limit for this file")
        try:
            return _unpack(kind, raw[skip:], size)
        except InputError as error:
            raise self.error(f"{section.name}: {error}") from None

    # -- what is asked of a whole file ------------------------------------------------------------------

    def notes(self) -> Iterator[Note]:
        """The notes of all note sections, in file order; a broken one ends its section."""
        for section in self.sections:
            if section.type != SHT_NOTE:
                continue
            data = self.contents(section)
            align = 8 if section.align == 8 else 4
            at = 0
            while at + 12 <= len(data):
                name_size, size, kind = struct.unpack_from(self.order + "III", data, at)
                desc = at + 12 + (name_size + align - 1 & -align)
                if desc + size > len(data):
                    break
                owner = bytes(data[at + 12 : at + 12 + name_size]).rstrip(b"\0").decode("latin-1")
                yield Note(owner, kind, bytes(data[desc : desc + size]))
                at = desc + (size + align - 1 & -align)

    @cached_property
    def build_id(self) -> str:
        """The GNU build id in hexadecimal, or ""."""
        return next((n.desc.hex() for n in self.notes() if (n.owner, n.type) == NOTE_BUILD_ID), "")

    @cached_property
    def lto_note(self) -> int | None:
        """The kernel's BUILD_LTO_INFO note: 0, 1, or None when the file has none."""
        for note in self.notes():
            if (note.owner, note.type) == NOTE_LTO and len(note.desc) >= 4:
                return int.from_bytes(note.desc[:4], "little" if self.little else "big")
        return None

    @property
    def debuglink(self) -> tuple[str, int] | None:
        """(file name, its CRC-32) of `.gnu_debuglink`."""
        data = bytes(self.contents(".gnu_debuglink"))
        end = data.find(b"\0")
        at = end + 4 & -4
        if end < 1 or at + 4 > len(data):
            return None
        return os.fsdecode(data[:end]), int.from_bytes(data[at : at + 4], "little" if self.little else "big")

    @property
    def altlink(self) -> tuple[str, str] | None:
        """(name, build id) of the file that `.gnu_debugaltlink` or DWARF 5's `.debug_sup` names (dwz -m)."""
        data = bytes(self.contents(".gnu_debugaltlink"))
        skip = 0
        if not data:
            sup = bytes(self.contents(".debug_sup"))
            # Version, whether this is the supplementary file itself, name, length of the checksum.
            data, skip = (sup[3:], 1) if len(sup) > 3 and not sup[2] else (b"", 0)
        end = data.find(b"\0")
        return (os.fsdecode(data[:end]), data[end + 1 + skip :].hex()) if end > 0 else None

    # -- relocation -------------------------------------------------------------------------------------

    def relocations(self, section: Section | None) -> Relocations | None:
        """What is still to be added to `section`; None unless this is ET_REL.

        A linked file that kept its relocations (Debian's vmlinux does) has them applied already.
        """
        if section is None or self.elf_type != ET_REL:
            return None
        for table in self.sections:
            if table.type in (SHT_RELA, SHT_REL) and table.info == section.number and table.size:
                return Relocations(self, table)
        return None

    def __enter__(self) -> Image:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; views that `contents` gave stay valid, and keep it mapped as long."""
        self._unpacked.clear()
        self._data = memoryview(b"")


def open_image(path: str | os.PathLike[str]) -> Image:
    """The ELF file at `path`, also inside gzip, xz, zstd and so on (see `payload`).

    Raises InputError, naming the path, for anything that cannot be read: devices, fifos and
    directories (never opened: reading one may never end), cut off and broken files, and what
    unpacks to more than `expansion_limit`.
    """
    name = os.fsdecode(path)
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{name}: {getattr(error, 'strerror', None) or error}") from error
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{name}: not a regular file")
    if status.st_size > _CEILING:
        raise InputError(f"{name}: larger than {_CEILING} bytes")
    return Image(payload.open_bytes(path, expansion_limit(status.st_size)), name)


def _string(strings: bytes, offset: int) -> str:
    return strings[offset : strings.find(b"\0", offset)].decode("utf-8", "backslashreplace")


_STEP = 1 << 20  # bytes that are unpacked at a time


def _unpack(kind: int, raw: memoryview, size: int) -> bytearray:
    """The `size` bytes that `raw` holds, unpacked into their place: a vmlinux has no room for a second copy.

    Raises InputError when they are more or fewer, or when the data is broken.
    """
    out = bytearray(size)
    view = memoryview(out)
    done = 0
    for part in _unpacked(kind, raw):
        if done + len(part) > size:
            raise InputError(f"unpacks to more than the {size} bytes that it names")
        view[done : done + len(part)] = part
        done += len(part)
    if done != size:
        raise InputError(f"unpacks to {done} bytes instead of {size}")
    return out


def _unpacked(kind: int, raw: memoryview) -> Iterator[bytes]:
    """What `raw` holds, in parts of at most a megabyte."""
    if kind == _COMPRESSED_ZLIB:
        import zlib

        decoder = zlib.decompressobj()
        try:
            for start in range(0, len(raw), _STEP):
                rest: memoryview | bytes = raw[start : start + _STEP]
                while rest and not decoder.eof:
                    yield decoder.decompress(rest, _STEP)
                    rest = decoder.unconsumed_tail
            yield decoder.flush(_STEP)
        except zlib.error as error:
            raise InputError(f"broken zlib data: {error}") from None
    elif kind == _COMPRESSED_ZSTD:
        import zstandard

        try:
            with zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(raw) as reader:
                while part := reader.read(_STEP):
                    yield part
        except zstandard.ZstdError as error:
            raise InputError(f"broken zstd data: {error}") from None
    else:
        raise InputError(f"compression type {kind} is unknown")


# -- relocations ----------------------------------------------------------------------------------------

# Relocation types that stand in debug sections, by machine: absolute ones, and the pairs that RISC-V and
# LoongArch leave for sizes which the linker may shrink. Every other type there leaves the field alone or
# is refused. From the processors' psABI documents (elf.h).
_ABSOLUTE: dict[int, tuple[int, ...]] = {
    3: (1,),  # 386: R_386_32
    8: (2, 18),  # MIPS: R_MIPS_32, R_MIPS_64
    20: (1,),  # PPC: R_PPC_ADDR32
    21: (1, 38),  # PPC64: ADDR32, ADDR64
    22: (4, 22),  # S390: R_390_32, R_390_64
    40: (2,),  # ARM: R_ARM_ABS32
    43: (3, 32, 23, 54),  # SPARCV9: 32, 64, UA32, UA64
    2: (3, 23),  # SPARC: 32, UA32
    62: (1, 10, 11),  # X86_64: 64, 32, 32S
    183: (257, 258),  # AARCH64: ABS64, ABS32
    243: (1, 2),  # RISCV: 32, 64
    258: (1, 2),  # LOONGARCH: 32, 64
    15: (1, 80),  # PARISC: DIR32, DIR64
    50: (0x24, 0x25, 0x26, 0x27),  # IA_64: DIR32MSB, DIR32LSB, DIR64MSB, DIR64LSB
    42: (1,),  # SH: DIR32
    4: (1,),  # 68K: 32
    247: (1, 2),  # BPF: 64_64, 64_ABS64
}
_ADDS: dict[int, dict[int, int]] = {
    243: {35: 1, 36: 1, 39: -1, 40: -1},  # RISCV: ADD32, ADD64, SUB32, SUB64
    258: {50: 1, 51: 1, 55: -1, 56: -1},  # LOONGARCH: ADD32, ADD64, SUB32, SUB64
}
_SETS: dict[int, tuple[int, ...]] = {243: (56,)}  # RISCV: SET32
_MIPS = 8


class Relocations:
    """The relocations of one section of an ET_REL file, looked up by offset.

    Nothing is decoded up front: a module has a million of them, of which a scan needs a few.
    """

    def __init__(self, image: Image, table: Section) -> None:
        self._image = image
        self._explicit = table.type == SHT_RELA
        word = "Q" if image.bits == 64 else "I"
        self._entry = struct.Struct(image.order + word * 2 + word.lower() * self._explicit)
        self._data = image.contents(table)
        self._symbols = table.link
        self._whole = len(self._data) - len(self._data) % self._entry.size

    @cached_property
    def _offsets(self) -> memoryview | list[int]:
        """The column of r_offset, in file order: a view where the machine's own byte order allows it."""
        data = self._data[: self._whole]
        if self._image.little == (sys.byteorder == "little"):
            fields = 3 if self._explicit else 2
            return data.cast("Q" if self._image.bits == 64 else "I")[::fields]
        return [entry[0] for entry in self._entry.iter_unpack(data)]

    @cached_property
    def _sorted(self) -> bool:
        """As every assembler and linker leaves them, but nothing demands."""
        return all(a <= b for a, b in pairwise(self._offsets))

    @cached_property
    def _map(self) -> dict[int, list[int]]:
        """Offset -> indices of all its relocations, for tables that are not sorted."""
        found: dict[int, list[int]] = {}
        for index, offset in enumerate(self._offsets):
            found.setdefault(offset, []).append(index)
        return found

    def _at(self, offset: int) -> list[int]:
        column = self._offsets
        index = bisect_left(column, offset)
        if index < len(column) and column[index] == offset:
            last = index + 1
            while last < len(column) and column[last] == offset:
                last += 1
            return list(range(index, last))
        return [] if self._sorted else self._map.get(offset, [])

    def value(self, offset: int, raw: int, size: int) -> int:
        """What the linker would put into the `size` bytes at `offset`, which now hold `raw`.

        Raises InputError for a relocation type whose meaning is not known.
        """
        number = raw
        for index in self._at(offset):
            number = self._applied(index, number)
        return number & (1 << 8 * size) - 1

    def ascending(self) -> Callable[[int, int, int], int]:
        """The function `value`, quicker where it is asked for ascending offsets, as a walk does."""
        image = self._image
        own_order = image.little == (sys.byteorder == "little")
        if not self._explicit or image.bits == 32 or not own_order or image.machine in (*_ADDS, _MIPS):
            return self.value
        whole = self._data[: self._whole]
        offsets, kinds, addends = self._offsets, whole.cast("Q")[1::3], whole.cast("q")[2::3]
        absolute = _ABSOLUTE.get(image.machine, ())
        bases: dict[int, int] = {}  # r_info -> value of its symbol
        at, count = 0, len(offsets)

        def value(offset: int, raw: int, size: int) -> int:
            nonlocal at
            at = bisect_left(offsets, offset, at, min(at + 64, count))
            if at >= count or offsets[at] != offset:
                at = bisect_left(offsets, offset)
            if at < count and offsets[at] == offset:
                info = kinds[at]
                if info not in bases and info & 0xFFFFFFFF in absolute:
                    bases[info] = self._symbol(info >> 32)
                if info in bases:
                    return (bases[info] + addends[at]) & (1 << 8 * size) - 1
            return self.value(offset, raw, size)

        return value

    def _applied(self, index: int, number: int) -> int:
        entry = self._entry.unpack_from(self._data, index * self._entry.size)
        machine = self._image.machine
        symbol, kind = self._split(entry[1])
        addend = entry[2] if self._explicit else number
        if kind in _ABSOLUTE.get(machine, ()) or kind in _SETS.get(machine, ()):
            return self._symbol(symbol) + addend
        if kind in (sign := _ADDS.get(machine, {})):
            return number + sign[kind] * (self._symbol(symbol) + (addend if self._explicit else 0))
        if kind == 0:
            return number
        raise self._image.error(f"relocation type {kind} of machine {machine} is not known")

    def _split(self, info: int) -> tuple[int, int]:
        """(symbol index, type); 64-bit little-endian MIPS has its own order of the bytes."""
        if self._image.bits == 32:
            return info >> 8, info & 0xFF
        if self._image.machine == _MIPS and self._image.little:
            return info & 0xFFFFFFFF, info >> 56
        return info >> 32, info & (0xFF if self._image.machine == _MIPS else 0xFFFFFFFF)

    @cached_property
    def _values(self) -> dict[int, int]:
        return {}

    def _symbol(self, index: int) -> int:
        """st_value of a symbol; 0 for the null symbol."""
        if index == 0:
            return 0
        if index not in self._values:
            image = self._image
            sections = image.sections
            if self._symbols >= len(sections) or sections[self._symbols].type != SHT_SYMTAB:
                raise image.error("relocations without a symbol table")
            table = image.contents(sections[self._symbols])
            entry, at, word = (24, 8, "Q") if image.bits == 64 else (16, 4, "I")
            try:
                (value,) = struct.unpack_from(image.order + word, table, index * entry + at)
            except struct.error:
                raise image.error(f"relocation names symbol {index}, which is not there") from None
            self._values[index] = value
        return self._values[index]


# -- separate debug files -------------------------------------------------------------------------------

_INSTALLED_MODULE = re.compile(r"/(?P<path>lib/modules/[^/]+/.+\.ko)(\.(gz|xz|zst|bz2|lzma|lz4|lzo))?$")
_HEX = re.compile(r"[0-9a-f]{4,}")


def debug_file_candidates(image: Image, roots: tuple[str, ...] = DEBUG_ROOTS) -> list[str]:
    """Where the separate debug file of `image` may lie, in the order in which gdb looks: by build id below
    each root, then by `.gnu_debuglink` beside the file, in `.debug/`, and below each root; for a kernel module at last
    under its own path below each root, as Debian has it, and with .debug behind it."""
    places = by_build_id(image.build_id, roots)
    if image.debuglink:
        name = image.debuglink[0]
        folder = os.path.dirname(os.path.realpath(image.path))
        places += [os.path.join(folder, name), os.path.join(folder, ".debug", name)]
        places += [os.path.join(root, folder.lstrip("/"), name) for root in roots]
    own = os.path.realpath(image.path)
    if module := _INSTALLED_MODULE.search(own):
        places += [os.path.join(root, usr + module["path"] + ending)
                   for root in roots for usr in ("", "usr/") for ending in ("", ".debug")]  # fmt: skip
    return [p for p in dict.fromkeys(places) if os.path.realpath(p) != own]


def by_build_id(build_id: str, roots: tuple[str, ...] = DEBUG_ROOTS) -> list[str]:
    """The paths that a build id stands for below each root."""
    if not _HEX.fullmatch(build_id):
        return []
    return [os.path.join(root, ".build-id", build_id[:2], f"{build_id[2:]}.debug") for root in roots]


def find_debug_file(image: Image, roots: tuple[str, ...] = DEBUG_ROOTS) -> Image | None:
    """The separate debug file of `image`, open, or None when no candidate is there and fits.

    One fits when its build id is the same or, without build ids, the CRC of the link is its own.
    """
    for place in debug_file_candidates(image, roots):
        try:
            found = open_image(place)
        except InputError:
            continue
        if image.build_id and found.build_id:
            if image.build_id == found.build_id:
                return found
        elif image.debuglink and _crc(found) == image.debuglink[1]:
            return found
        found.close()
    return None


def find_alt_file(image: Image, roots: tuple[str, ...] = DEBUG_ROOTS) -> Image | None:
    """The file that `.gnu_debugaltlink` names (dwz -m), open, or None when no such file is found."""
    if image.altlink is None:
        return None
    name, build_id = image.altlink
    folder = os.path.dirname(os.path.realpath(image.path))
    for place in [os.path.join(folder, name), *by_build_id(build_id, roots)]:
        try:
            found = open_image(place)
        except InputError:
            continue
        if found.build_id == build_id:
            return found
        found.close()
    return None


def _crc(image: Image) -> int:
    import zlib

    return zlib.crc32(image._data)
