# SPDX-License-Identifier: MIT
"""Every compression, every boot image, and what is broken about them. Images are built here by hand."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import random
import struct
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from btfcheck.model import InputError
from btfcheck.payload import decompress, embedded, kernel_payload, magic_of, open_bytes

TEXT = b"Linux version 6.12.117 " + bytes(range(256)) * 300
ELF = b"\x7fELF\x02\x01\x01" + TEXT


def lz4_legacy(data: bytes) -> bytes:
    block = pytest.importorskip("lz4.block")
    packed = block.compress(data, store_size=False)
    return b"\x02\x21\x4c\x18" + struct.pack("<I", len(packed)) + packed


def lz4_frame(data: bytes) -> bytes:
    return bytes(pytest.importorskip("lz4.frame").compress(data))


def lzop(data: bytes) -> bytes:
    """lzop's file format, version 0x1030, checksums of the unpacked data (Adler-32), two blocks."""
    lzo = pytest.importorskip("lzallright").LZOCompressor()
    out = b"\x89LZO\0\r\n\x1a\n"
    out += struct.pack(">HHHBBIIIIB", 0x1030, 0x20A0, 0x0940, 3, 9, 1, 0o100644, 0, 0, 1) + b"f" + bytes(4)
    for part in (data[: len(data) // 2], data[len(data) // 2 :]):
        packed = lzo.compress(part)
        if len(packed) >= len(part):
            packed = part
        out += struct.pack(">III", len(part), len(packed), 0) + packed
    return out + bytes(4)


PACKERS = {
    "gzip": gzip.compress,
    "xz": lambda data: lzma.compress(data, check=lzma.CHECK_CRC32),
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    "bzip2": bz2.compress,
    "zstd": lambda data: zstandard.ZstdCompressor(write_content_size=False).compress(data),
    "lz4": lz4_legacy,
    "lz4-frame": lz4_frame,
    "lzo": lzop,
}
packers = pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS.keys())


@packers
def test_round_trip(pack) -> None:
    packed = pack(ELF)
    assert magic_of(packed) is not None
    assert decompress(packed) == ELF
    assert decompress(packed, len(ELF)) == ELF


@packers
def test_limit(pack) -> None:
    with pytest.raises(InputError, match="more than"):
        decompress(pack(ELF), len(ELF) - 1)


@packers
def test_cut_off(pack) -> None:
    packed = pack(ELF)
    for length in (len(packed) // 2, len(packed) - 5):
        with pytest.raises(InputError, match="broken"):
            decompress(packed[:length])


@packers
def test_damage_never_escapes(pack) -> None:
    packed = pack(ELF)
    draw = random.Random(1)
    for _ in range(50):
        mangled = bytearray(packed)
        for _ in range(draw.randint(1, 4)):
            mangled[draw.randrange(9, len(mangled))] = draw.randrange(256)
        with contextlib.suppress(InputError):
            decompress(bytes(mangled), 1 << 20)


@pytest.mark.parametrize("name", ["gzip", "xz", "bzip2", "zstd"])
def test_streams_are_joined_and_the_length_behind_a_kernel_is_ignored(name: str) -> None:
    pack = PACKERS[name]
    assert decompress(pack(b"ab" * 500) + pack(b"cd") + struct.pack("<I", 1002)) == b"ab" * 500 + b"cd"


def test_the_length_behind_an_lz4_kernel_is_ignored() -> None:
    assert decompress(lz4_legacy(ELF) + struct.pack("<I", len(ELF))) == ELF


def test_a_bomb_stops_at_the_limit() -> None:
    bomb = zstandard.ZstdCompressor(level=19).compress(bytes(1 << 28))
    with pytest.raises(InputError, match="more than"):
        decompress(bomb, 1 << 20)


def test_plain_data_is_not_compressed() -> None:
    with pytest.raises(InputError, match="not compressed"):
        decompress(b"plain")


HEADS = [PACKERS[name](b"")[:9] for name in ("gzip", "xz", "bzip2", "zstd")]


@given(st.binary(max_size=60), st.sampled_from(HEADS))
def test_any_bytes(tail: bytes, head: bytes) -> None:
    with contextlib.suppress(InputError):
        decompress(head + tail, 1 << 20)


# -- files ------------------------------------------------------------------------------------------------


def test_open_plain_packed_large(tmp_path: Path) -> None:
    plain, packed, large = tmp_path / "a", tmp_path / "a.xz", tmp_path / "large"
    plain.write_bytes(ELF)
    packed.write_bytes(lzma.compress(ELF))
    large.write_bytes(ELF * 20)
    assert open_bytes(plain) == ELF
    assert open_bytes(packed) == ELF
    assert open_bytes(large)[:] == ELF * 20


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty file"),
        (b"\x1f\x8b\x08\0", "broken gzip"),
        (None, "No such file"),
        (bytes(101), "larger than"),
    ],
)
def test_open_failures_name_the_path(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "input"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=f"input: .*{message}"):
        open_bytes(path, 100)


def test_open_a_directory(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="directory"):
        open_bytes(tmp_path)


# -- boot images ------------------------------------------------------------------------------------------


def bzimage(packed: bytes, cut: int = 0) -> bytes:
    setup = bytearray(5 * 512)
    setup[0x1F1] = 4
    setup[0x1FE:0x200] = b"\x55\xaa"
    setup[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", setup, 0x206, 0x020F)
    payload = packed + struct.pack("<I", len(ELF))
    struct.pack_into("<II", setup, 0x248, 700, len(payload))
    image = bytes(setup) + b"\x90" * 700 + payload + b"\x90" * 50
    return image[: len(image) - cut]


def zboot(packed: bytes) -> bytes:
    head = b"MZ\0\0zimg" + struct.pack("<II", 64, len(packed)) + bytes(8) + b"gzip".ljust(32, b"\0")
    return head + bytes(8) + packed


def unified(kernel: bytes) -> bytes:
    head = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x40)
    pe = b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 2, 0, 0, 0, 16, 0) + bytes(16)
    first = b".osrel\0\0" + struct.pack("<IIII", 10, 0, 512, 512) + bytes(16)
    linux = b".linux\0\0" + struct.pack("<IIII", len(kernel), 0, len(kernel), 512) + bytes(16)
    return (head + pe + first + linux).ljust(512, b"\0") + kernel


@packers
def test_bzimage(pack) -> None:
    assert kernel_payload(bzimage(pack(ELF))) == ELF


def test_bzimage_cut_off() -> None:
    with pytest.raises(InputError, match="cut off"):
        kernel_payload(bzimage(gzip.compress(ELF), cut=100))


def test_other_images() -> None:
    packed = gzip.compress(ELF)
    raw = bytearray(TEXT)
    raw[0x38:0x3C] = b"ARM\x64"
    assert kernel_payload(ELF) == ELF
    assert kernel_payload(bytes(raw)) == bytes(raw)
    assert kernel_payload(gzip.compress(bytes(raw))) == bytes(raw)
    assert kernel_payload(zboot(gzip.compress(bytes(raw)))) == bytes(raw)
    assert kernel_payload(unified(bzimage(packed))) == ELF
    assert kernel_payload(b"\x18\x28\x6f\x01" * 20 + b"\x5d\0\0" + gzip.compress(TEXT) + bytes(7)) == TEXT
    assert embedded(ELF[:100] + packed) == ELF


BROKEN = [b"x", b"MZ", b"MZ\0\0zimg", bytes(5000), b"MZ" + bytes(58) + b"\xff" * 8, gzip.compress(b"a", mtime=0)]


@pytest.mark.parametrize("data", BROKEN)
def test_no_kernel(data: bytes) -> None:
    with pytest.raises(InputError):
        kernel_payload(data)


def test_images_inside_images_end() -> None:
    """A unified image holding itself over and over is refused, not followed for ever."""
    image = b"MZ"
    for _ in range(40):
        image = unified(image)
    with pytest.raises(InputError):
        kernel_payload(image)
