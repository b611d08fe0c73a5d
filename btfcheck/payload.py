# SPDX-License-Identifier: MIT
"""Compressed files, and kernels inside boot images.

Every function takes a limit in bytes for what comes out: a few kilobytes can hold gigabytes.
Formats and header fields are those of the kernel's own Documentation (arch/x86/boot.rst,
arch/arm64/booting.rst), zboot-header.S under drivers/firmware/efi/libstub, the compressors of
scripts/Makefile.lib and lib/decompress_*.c.
"""

from __future__ import annotations

import mmap
import os
import re
import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from btfcheck.model import InputError

Data = bytes | mmap.mmap
View = bytes | mmap.mmap | memoryview

LIMIT = 4 << 30  # vmlinux with all debug information is 1 to 2 GB
_MEMORY = 512 << 20  # dictionary of xz and lzma; the kernel uses at most 128 MiB
_MAP_FROM = 1 << 20  # smaller files are read: a mapped file that shrinks kills the process


class _Decoder(Protocol):
    """The common face of zlib, bz2 and lzma; the latter two are imported where they are used."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: Any, max_length: int, /) -> bytes: ...


def magic_of(data: View) -> str | None:
    """The compression that `data` starts with: gzip, xz, lzma, bzip2, zstd, lz4, lzo or None."""
    head = bytes(data[:9])
    return next((name for magic, name in _MAGICS.items() if head.startswith(magic)), None)


def decompress(data: View, limit: int = LIMIT) -> bytes:
    """What `data` holds, by its magic; concatenated streams are joined, other trailing bytes ignored
    (kernel images end with four bytes of length).

    Raises InputError when it is broken, cut off, in no known format, larger than `limit`, or needs a
    package that is not installed.
    """
    name = magic_of(data)
    if name is None:
        raise InputError("not compressed in any known format (gzip, xz, lzma, bzip2, zstd, lz4, lzo)")
    try:
        return _DECODERS[name](data, limit)
    except (zlib.error, OSError, EOFError, ValueError, struct.error, IndexError) as error:
        raise InputError(f"broken {name} data: {error or 'cut off'}") from error


def _too_large(name: str, limit: int) -> InputError:
    return InputError(f"{name} data unpacks to more than {limit} bytes")


def _streams(name: str, magic: bytes, make: Callable[[], _Decoder]) -> Callable[[View, int], bytes]:
    def run(data: View, limit: int) -> bytes:
        parts: list[bytes] = []
        room = limit
        rest: Any = data
        while not parts or rest.startswith(magic):
            decoder = make()
            part = decoder.decompress(rest, room + 1)
            if len(part) > room:
                raise _too_large(name, limit)
            if not decoder.eof:
                raise EOFError
            parts.append(part)
            room -= len(part)
            rest = decoder.unused_data
        return b"".join(parts)

    return run


def _bzip2() -> _Decoder:
    import bz2

    return bz2.BZ2Decompressor()


def _lzma(data: View, limit: int) -> bytes:
    """xz, and the older format of lzma."""
    import lzma

    xz = magic_of(data) == "xz"
    form = lzma.FORMAT_XZ if xz else lzma.FORMAT_ALONE
    name, magic = ("xz", b"\xfd7zXZ\0") if xz else ("lzma", b"\x5d\0\0\0\0")
    try:
        return _streams(name, magic, lambda: lzma.LZMADecompressor(form, _MEMORY))(data, limit)
    except lzma.LZMAError as error:
        raise ValueError(str(error)) from error


def _zstd(data: View, limit: int) -> bytes:
    import zstandard

    parts: list[bytes] = []
    room = limit
    rest = memoryview(data)
    try:
        while not parts or bytes(rest[:4]) == _ZSTD:
            decoder = zstandard.ZstdDecompressor(max_window_size=_MEMORY).decompressobj()
            used = 0
            while not decoder.eof:
                # Four bytes can stand for 128 KiB, so a step takes little; it can overshoot by 32 MiB.
                step = rest[used : used + 1024]
                if not step:
                    raise EOFError
                used += len(step)
                part = decoder.decompress(step)
                parts.append(part)
                room -= len(part)
                if room < 0:
                    raise _too_large("zstd", limit)
            rest = rest[used - len(decoder.unused_data) :]
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
    finally:
        rest.release()
    return b"".join(parts)


def _lz4(data: View, limit: int) -> bytes:
    try:
        import lz4.block
        import lz4.frame
    except ImportError:
        raise InputError("lz4 data: install the Python package lz4 to read it") from None
    try:
        if data[:4] != _LZ4_LEGACY:
            decoder = lz4.frame.LZ4FrameDecompressor()
            part: bytes = decoder.decompress(bytes(data), max_length=limit + 1)
            if len(part) > limit:
                raise _too_large("lz4", limit)
            if not decoder.eof:
                raise EOFError
            return part
        parts: list[bytes] = []
        room = limit
        for block in _lz4_blocks(data):
            part = lz4.block.decompress(block, uncompressed_size=8 << 20)  # the legacy frame's block size
            parts.append(part)
            room -= len(part)
            if room < 0:
                raise _too_large("lz4", limit)
        return b"".join(parts)
    except (lz4.block.LZ4BlockError, RuntimeError) as error:
        raise ValueError(str(error)) from error


def _lz4_blocks(data: View) -> Iterator[bytes]:
    """Blocks of the legacy frame. It has no end mark: the kernel's four bytes of length look like one more
    block size, which nothing follows."""
    at = 4
    while at + 4 <= len(data):
        (size,) = struct.unpack_from("<I", data, at)
        if data[at : at + 4] == _LZ4_LEGACY:
            at += 4
            continue
        if at + 4 + size > len(data):
            if at + 4 == len(data) and at > 4:
                return
            raise EOFError
        yield bytes(data[at + 4 : at + 4 + size])
        at += 4 + size


def _lzo(data: View, limit: int) -> bytes:
    """The file format of lzop, which the kernel's build runs: big-endian, stored blocks as they are."""
    try:
        from lzallright import InputNotConsumed, LZOCompressor, LZOError
    except ImportError:
        raise InputError("lzo data: install the Python package lzallright to read it") from None
    at, flags = _lzo_header(data)
    parts: list[bytes] = []
    room = limit
    while True:
        (whole,) = struct.unpack_from(">I", data, at)
        if whole == 0:
            return b"".join(parts)
        (packed,) = struct.unpack_from(">I", data, at + 4)
        room -= whole
        if room < 0:
            raise _too_large("lzo", limit)
        at += 8 + 4 * (bool(flags & 0x001) + bool(flags & 0x100))
        if packed < whole:
            at += 4 * (bool(flags & 0x002) + bool(flags & 0x200))
        block = bytes(data[at : at + packed])
        if len(block) < packed or packed > whole:
            raise EOFError
        at += packed
        if packed < whole:
            try:
                block = LZOCompressor.decompress(block, output_size_hint=whole)
            except (LZOError, InputNotConsumed) as error:
                raise ValueError(str(error)) from error
            if len(block) != whole:
                raise ValueError("a block has not the length it names")
        parts.append(block)


def _lzo_header(data: View) -> tuple[int, int]:
    """(offset of the first block, flags)."""
    (version,) = struct.unpack_from(">H", data, 9)
    at = 9 + 2 + 2 + (2 if version >= 0x0940 else 0) + 1 + (1 if version >= 0x0940 else 0)
    (flags,) = struct.unpack_from(">I", data, at)
    at += 4 + (4 if flags & 0x800 else 0) + 4 + 4 + (4 if version >= 0x0940 else 0)
    at += 1 + data[at] + 4
    if flags & 0x40:
        at += 4 + int(struct.unpack_from(">I", data, at)[0]) + 4
    return at, flags


_ZSTD = b"\x28\xb5\x2f\xfd"
_LZ4_LEGACY = b"\x02\x21\x4c\x18"
_MAGICS = {
    b"\x1f\x8b\x08": "gzip",
    b"\xfd7zXZ\0": "xz",
    b"\x5d\0\0": "lzma",
    b"BZh": "bzip2",
    _ZSTD: "zstd",
    _LZ4_LEGACY: "lz4",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x89LZO\0\r\n\x1a\n": "lzo",
}
_DECODERS: dict[str, Callable[[View, int], bytes]] = {
    "gzip": _streams("gzip", b"\x1f\x8b\x08", lambda: zlib.decompressobj(31)),
    "xz": _lzma,
    "lzma": _lzma,
    "bzip2": _streams("bzip2", b"BZh", _bzip2),
    "zstd": _zstd,
    "lz4": _lz4,
    "lzo": _lzo,
}


def open_bytes(path: str | os.PathLike[str], limit: int = LIMIT) -> Data:
    """The bytes of a file, unpacked when it is compressed; a large plain file is mapped.

    Raises InputError, naming the path, when it cannot be read, is empty, broken or larger than `limit`.
    """
    name = os.fsdecode(path)
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_size > limit:
                raise InputError(f"larger than {limit} bytes")
            data = _mapped(file.fileno(), status) or file.read(limit + 1)
    except (OSError, InputError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{name}: {reason or error}") from error
    if not len(data):
        raise InputError(f"{name}: empty file")
    if len(data) > limit:
        raise InputError(f"{name}: larger than {limit} bytes")
    if magic_of(data) is None:
        return data
    try:
        return decompress(data, limit)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def _mapped(descriptor: int, status: os.stat_result) -> mmap.mmap | None:
    """A view of a large regular file; None for others, and where the file system cannot map (sysfs)."""
    if not stat.S_ISREG(status.st_mode) or status.st_size < _MAP_FROM:
        return None
    try:
        return mmap.mmap(descriptor, 0, prot=mmap.PROT_READ)
    except (OSError, ValueError):
        return None


# -- kernels inside boot images -------------------------------------------------------------------------

_ELF = b"\x7fELF"
_IMAGE_MAGICS = ((0x38, b"ARM\x64"), (0x38, b"RSC\x05"), (0x30, b"RISCV\0\0\0"), (0x38, b"MIPS"))
_BANNER = b"Linux version "
# Three bytes are a weak magic: for lzma, also ask for a length that is unknown or below 4 GiB.
_LZMA = rb"\x5d\0\0..(?:\xff{8}|.{4}\0{4})"
_ANY_MAGIC = re.compile(
    b"|".join(_LZMA if name == "lzma" else re.escape(magic) for magic, name in _MAGICS.items()), re.DOTALL
)
_TRIES = 64  # places that look like compressed data; a real image has its payload among the first few
_LAYERS = 4  # a compressed unified image of a compressed kernel; only mischief is deeper


def kernel_payload(data: Data, limit: int = LIMIT) -> Data:
    """The kernel inside a boot image: an ELF file, or the raw image of architectures that boot those.

    Takes x86 bzImage, EFI zboot (arm64, riscv, loongarch), Image and Image.gz, unified kernel images (the
    .linux section), and finds the compressed kernel in any other wrapper (arm zImage, s390, mips, uImage).
    An ELF file or a raw Image comes back as it is.

    Raises InputError when no kernel is found or what is found is broken.
    """
    for _ in range(_LAYERS):
        if bytes(data[:4]) == _ELF:
            return data
        if magic_of(data):
            data = decompress(data, limit)
        elif (part := _bzimage(data) or _zboot(data)) is not None:
            data = decompress(part, limit)
        elif (part := _unified(data)) is not None:
            data = part
        elif any(data[at : at + len(magic)] == magic for at, magic in _IMAGE_MAGICS):
            return data
        else:
            return embedded(data, limit)
    raise InputError("images inside images: no kernel within four layers")


def embedded(data: Data, limit: int = LIMIT) -> bytes:
    """The first compressed kernel found anywhere in `data` (zImage wrappers, also those that are ELF).

    Raises InputError when there is none.
    """
    for tries, match in enumerate(_ANY_MAGIC.finditer(data)):
        if tries == _TRIES:
            break
        try:
            kernel = decompress(memoryview(data)[match.start() :], limit)
        except InputError:
            continue
        if kernel.startswith(_ELF) or _BANNER in kernel:
            return kernel
    raise InputError("no kernel found in it (neither ELF, nor a boot image that is known)")


def _bzimage(data: Data) -> bytes | None:
    if len(data) < 0x250 or data[0x1FE:0x200] != b"\x55\xaa" or data[0x202:0x206] != b"HdrS":
        return None
    (version,) = struct.unpack_from("<H", data, 0x206)
    if version < 0x0208:  # payload_offset came with boot protocol 2.08
        return None
    offset, length = struct.unpack_from("<II", data, 0x248)
    start = ((data[0x1F1] or 4) + 1) * 512 + offset
    return _part(data, start, length, "bzImage")


def _zboot(data: Data) -> bytes | None:
    if data[:2] != b"MZ" or data[4:8] != b"zimg":
        return None
    if len(data) < 16:
        raise InputError("EFI zboot image cut off")
    offset, length = struct.unpack_from("<II", data, 8)
    return _part(data, offset, length, "EFI zboot image")


def _unified(data: Data) -> bytes | None:
    """The .linux section of a PE file (systemd's unified kernel image)."""
    if data[:2] != b"MZ" or len(data) < 0x40:
        return None
    (pe,) = struct.unpack_from("<I", data, 0x3C)
    if data[pe : pe + 4] != b"PE\0\0" or pe + 24 > len(data):
        return None
    (sections,) = struct.unpack_from("<H", data, pe + 6)
    (optional,) = struct.unpack_from("<H", data, pe + 20)
    for at in range(pe + 24 + optional, min(pe + 24 + optional + 40 * sections, len(data) - 39), 40):
        if data[at : at + 8] == b".linux\0\0":
            size, _, length, start = struct.unpack_from("<IIII", data, at + 8)
            return _part(data, start, min(size, length), "unified kernel image")
    return None


def _part(data: Data, start: int, length: int, what: str) -> bytes:
    part = data[start : start + length]
    if len(part) < max(length, 1):
        raise InputError(f"{what} cut off: its payload reaches to byte {start + length}, it has {len(data)}")
    return part
