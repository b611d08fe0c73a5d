# SPDX-License-Identifier: MIT
"""ELF files of every class and order, compressed in every way, cut off everywhere."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import struct
import zlib
from pathlib import Path

import pytest
import zstandard
from elftools.elf.elffile import ELFFile
from hypothesis import given
from hypothesis import strategies as st

from btfcheck.dwarf.writer import build
from btfcheck.image import (
    ET_REL,
    SHF_COMPRESSED,
    Image,
    by_build_id,
    debug_file_candidates,
    expansion_limit,
    find_alt_file,
    find_debug_file,
    open_image,
)
from btfcheck.model import InputError

TEXT = 'unit C "main.c"\n  base_type "int" byte_size=4 encoding=5\n'
BUILD_ID = "a1b2c3d4e5f60718293a4b5c6d7e8f9001020304"


def note(owner: bytes, kind: int, desc: bytes, order: str = "<") -> bytes:
    head = struct.pack(order + "III", len(owner) + 1, len(desc), kind)
    return head + owner.ljust(len(owner) + 4 & -4, b"\0") + desc.ljust(len(desc) + 3 & -4, b"\0")


def elf(sections: dict[str, bytes], options: str = "", text: str = TEXT) -> bytes:
    """The writer's file with sections of ours; a name that ends in ! becomes SHF_COMPRESSED."""
    from btfcheck.dwarf.writer import parse

    described = parse(f"file {options}\n{text}")
    described.sections = {name.rstrip("!"): data for name, data in sections.items()}
    data = bytearray(build(described))
    image = Image(bytes(data))
    for section in image.sections:
        if f"{section.name}!" in sections:
            place = image._shoff + section.number * image._shentsize + 8
            struct.pack_into(image.order + ("Q" if image.bits == 64 else "I"), data, place, SHF_COMPRESSED)
    return bytes(data)


@pytest.mark.parametrize("options", ["", "bits=32", "little=no", "bits=32 little=no machine=8"])
def test_headers_are_those_that_pyelftools_reads(options: str) -> None:
    data = elf({".note.gnu.build-id": b""}, options)
    ours, theirs = Image(data), ELFFile(io.BytesIO(data))
    assert (ours.bits, ours.little) == (theirs.elfclass, theirs.little_endian)
    assert [s.name for s in ours.sections] == [s.name for s in theirs.iter_sections()]
    for section, other in zip(ours.sections, theirs.iter_sections(), strict=True):
        assert bytes(ours.contents(section)) == (other.data() if section.type else b"")


def test_notes() -> None:
    notes = note(b"GNU", 3, bytes.fromhex(BUILD_ID)) + note(b"Linux", 0x101, b"\1\0\0\0") + note(b"stapsdt", 3, b"x")
    image = Image(elf({".note.all": notes}))
    assert [(n.owner, n.type) for n in image.notes()] == [("GNU", 3), ("Linux", 0x101), ("stapsdt", 3)]
    assert image.build_id == BUILD_ID
    assert image.lto_note == 1
    assert Image(elf({})).lto_note is None
    big = Image(elf({".note.lto": note(b"Linux", 0x101, b"\0\0\0\1", ">")}, "little=no"))
    assert big.lto_note == 1
    cut = Image(elf({".note.all": notes[:-20]}))
    assert cut.build_id == BUILD_ID  # what stands before the cut


CONTENT = b"some content that repeats, " * 400


def packed(kind: int, data: bytes, size: int, options: str) -> bytes:
    order = ">" if "little=no" in options else "<"
    wide = "bits=32" not in options
    header = struct.pack(order + "IIQQ", kind, 0, size, 1) if wide else struct.pack(order + "III", kind, size, 1)
    return header + data


@pytest.mark.parametrize("options", ["", "bits=32", "little=no", "bits=32 little=no machine=8"])
def test_compressed_sections(options: str) -> None:
    image = Image(elf({
        ".debug_a!": packed(1, zlib.compress(CONTENT), len(CONTENT), options),
        ".debug_b!": packed(2, zstandard.compress(CONTENT), len(CONTENT), options),
        ".zdebug_c": b"ZLIB" + len(CONTENT).to_bytes(8, "big") + zlib.compress(CONTENT),
    }, options))
    for name in (".debug_a", ".debug_b", ".debug_c", ".zdebug_c"):
        assert bytes(image.contents(name)) == CONTENT


@pytest.mark.parametrize(("data", "reason"), [
    (packed(1, zlib.compress(CONTENT), len(CONTENT) - 1, ""), "more than the"),
    (packed(1, zlib.compress(CONTENT), len(CONTENT) + 1, ""), "instead of"),
    (packed(2, zstandard.compress(CONTENT), len(CONTENT) + 1, ""), "instead of"),
    (packed(2, zstandard.compress(CONTENT)[:-9], len(CONTENT), ""), "zstd|instead of"),
    (packed(1, b"not zlib", 100, ""), "broken zlib"),
    (packed(2, b"not zstd", 100, ""), "broken zstd"),
    (packed(7, zlib.compress(CONTENT), len(CONTENT), ""), "type 7 is unknown"),
    (packed(1, zlib.compress(CONTENT), 1 << 40, ""), "beyond the limit"),
    (b"\1\0\0", "header cut off"),
])
def test_compressed_sections_that_lie(data: bytes, reason: str) -> None:
    image = Image(elf({".debug_info!": data}, text=""))
    with pytest.raises(InputError, match=reason):
        image.contents(next(s for s in image.sections if s.flags & SHF_COMPRESSED))


def test_bombs_end_at_the_limit(tmp_path: Path) -> None:
    zeros = zstandard.compress(bytes(80 << 20))
    image = Image(elf({".debug_x!": packed(2, zeros, 80 << 20, "")}))
    with pytest.raises(InputError, match="beyond the limit"):
        image.contents(".debug_x")
    (tmp_path / "bomb.ko.zst").write_bytes(zeros)
    with pytest.raises(InputError, match="unpacks to more than"):
        open_image(tmp_path / "bomb.ko.zst")
    assert expansion_limit(1) == 64 << 20
    assert expansion_limit(10 << 20) == 1000 << 20
    assert expansion_limit(1 << 40) == 4 << 30


@pytest.mark.parametrize(("suffix", "pack"), [
    (".gz", gzip.compress), (".xz", lzma.compress), (".zst", zstandard.compress), ("", bytes)])
def test_compressed_files(suffix: str, pack, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / f"x.ko{suffix}"
    path.write_bytes(pack(elf({})))
    with open_image(path) as image:
        assert image.section(".debug_info") is not None
        assert image.path == str(path)


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("hello " * 40)
    cases = {"fifo": "not a regular file", ".": "not a regular file", "empty": "empty file", "text": "not an ELF file",
             "missing": "No such file"}
    for name, reason in cases.items():
        with pytest.raises(InputError, match=reason) as caught:
            open_image(tmp_path / name)
        assert str(caught.value).startswith(str(tmp_path))
    with pytest.raises(InputError, match="not a regular file"):
        open_image("/dev/zero")
    with pytest.raises(InputError):
        open_image("a\0b")


def read_everything(data: bytes) -> None:
    image = Image(data)
    for section in image.sections:
        image.contents(section)
    list(image.notes())
    assert image.debuglink is None or image.altlink is None or image.build_id


def test_cut_off_everywhere() -> None:
    whole = elf({".note.x": note(b"GNU", 3, b"1234")}, "rel=yes")
    read_everything(whole)
    for length in range(len(whole)):
        with pytest.raises(InputError):
            read_everything(whole[:length])


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=8))
def test_damaged_files_end_in_one_line(changes: list[tuple[int, int]]) -> None:
    data = bytearray(elf({".note.x": note(b"GNU", 3, b"1234"), ".gnu_debuglink": b"x.debug\0\1\2\3\4",
                          ".debug_z!": packed(1, zlib.compress(CONTENT), len(CONTENT), "")}, "rel=yes"))
    for place, value in changes:
        data[place % len(data)] = value
    try:
        read_everything(bytes(data))
    except InputError as error:
        assert "\n" not in str(error)


def test_more_sections_than_the_header_can_count() -> None:
    data = bytearray(elf({}))
    image = Image(bytes(data))
    struct.pack_into("<HH", data, 60, 0, 0xFFFF)  # e_shnum, e_shstrndx
    struct.pack_into("<Q", data, image._shoff + 32, len(image.sections))  # sh_size of section 0
    struct.pack_into("<I", data, image._shoff + 40, len(image.sections) - 1)  # sh_link
    assert [s.name for s in Image(bytes(data)).sections] == [s.name for s in image.sections]


def test_relocations_only_of_et_rel() -> None:
    whole = Image(elf({}, "rel=yes"))
    info = whole.section(".debug_info")
    assert whole.elf_type == ET_REL
    table = whole.relocations(info)
    assert table is not None
    assert table.value(8, 0, 4) == 0
    linked = Image(elf({}))
    assert linked.relocations(linked.section(".debug_info")) is None


def relocated(kind: int, addend: int, raw: int = 0, machine: int = 62, size: int = 4) -> int:
    """What one relocation at offset 16 makes of `raw`."""
    entry = struct.pack("<QQq", 16, kind, addend)
    text = f"file rel=yes machine={machine}\n"
    data = bytearray(build(text + TEXT)) if machine in (62, 243, 183) else bytearray()
    image = Image(bytes(data))
    table = image.section(".rela.debug_info")
    assert table is not None
    data[table.offset : table.offset + 24] = entry
    fresh = Image(bytes(data))
    relocations = fresh.relocations(fresh.section(".debug_info"))
    assert relocations is not None
    return relocations.value(16, raw, size)


def test_relocation_types() -> None:
    assert relocated(10, 0x1234) == 0x1234  # R_X86_64_32
    assert relocated(1, 1 << 40, size=8) == 1 << 40  # R_X86_64_64
    assert relocated(10, -1) == 0xFFFFFFFF
    assert relocated(0, 99, raw=7) == 7  # R_X86_64_NONE
    assert relocated(35, 5, raw=100, machine=243) == 105  # R_RISCV_ADD32
    assert relocated(39, 5, raw=100, machine=243) == 95  # R_RISCV_SUB32
    with pytest.raises(InputError, match="relocation type 77"):
        relocated(77, 0)


def test_unsorted_relocations_are_found() -> None:
    data = bytearray(build('file rel=yes\nunit C "a.c"\nunit C "b.c"\nunit C "c.c"\n'))
    image = Image(bytes(data))
    table = image.section(".rela.debug_info")
    assert table is not None
    entries = [bytes(data[table.offset + n * 24 : table.offset + n * 24 + 24]) for n in range(3)]
    before = [struct.unpack("<QQq", e) for e in entries]
    data[table.offset : table.offset + 72] = b"".join(reversed(entries))
    shuffled = Image(bytes(data))
    relocations = shuffled.relocations(shuffled.section(".debug_info"))
    assert relocations is not None
    for offset, _, addend in before:
        assert relocations.value(offset, 0, 4) == addend


# -- separate debug files -------------------------------------------------------------------------------


def gnu(build_id: str) -> dict[str, bytes]:
    return {".note.gnu.build-id": note(b"GNU", 3, bytes.fromhex(build_id))}


def test_debug_file_by_build_id(tmp_path: Path) -> None:
    roots = (str(tmp_path / "debug"),)
    place = Path(by_build_id(BUILD_ID, roots)[0])
    assert place == tmp_path / "debug" / ".build-id" / "a1" / f"{BUILD_ID[2:]}.debug"
    place.parent.mkdir(parents=True)
    place.write_bytes(elf(gnu(BUILD_ID)))
    stripped = tmp_path / "x.ko"
    stripped.write_bytes(elf(gnu(BUILD_ID), text=""))
    found = find_debug_file(open_image(stripped), roots)
    assert found is not None
    assert found.path == str(place)
    place.write_bytes(elf(gnu(BUILD_ID[::-1])))
    assert find_debug_file(open_image(stripped), roots) is None


def test_debug_file_by_link(tmp_path: Path) -> None:
    debug = elf({})
    link = b"x.debug\0" + zlib.crc32(debug).to_bytes(4, "little")
    (tmp_path / "x.ko").write_bytes(elf({".gnu_debuglink": link}, text=""))
    image = open_image(tmp_path / "x.ko")
    assert image.debuglink == ("x.debug", zlib.crc32(debug))
    assert find_debug_file(image, ()) is None
    for folder in (tmp_path / ".debug", tmp_path):
        folder.mkdir(exist_ok=True)
        (folder / "x.debug").write_bytes(debug)
        found = find_debug_file(image, ())
        assert found is not None
        assert found.path == str(folder / "x.debug")
    (tmp_path / "x.debug").write_bytes(debug + b"\0")  # another CRC
    (tmp_path / ".debug" / "x.debug").unlink()
    assert find_debug_file(image, ()) is None
    root = tmp_path / "root"
    assert str(root / str(tmp_path)[1:] / "x.debug") in debug_file_candidates(image, (str(root),))


def test_alternate_file(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(elf({".gnu_debugaltlink": b"common.debug\0" + bytes.fromhex(BUILD_ID)}))
    image = open_image(tmp_path / "x")
    assert image.altlink == ("common.debug", BUILD_ID)
    assert find_alt_file(image, ()) is None
    (tmp_path / "common.debug").write_bytes(elf(gnu(BUILD_ID[::-1])))
    assert find_alt_file(image, ()) is None
    (tmp_path / "common.debug").write_bytes(elf(gnu(BUILD_ID)))
    found = find_alt_file(image, ())
    assert found is not None
    assert found.build_id == BUILD_ID


def test_views_outlive_the_image(tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(elf({".debug_str": bytes(2 << 20)}))  # large enough to be mapped
    with open_image(path) as image:
        view = image.contents(".debug_info")
        kept = bytes(view)
    assert bytes(view) == kept
