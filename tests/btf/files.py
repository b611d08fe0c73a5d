# SPDX-License-Identifier: MIT
"""ELF files and boot images around a blob."""

from __future__ import annotations

import gzip
import struct

ET_REL, ET_EXEC = 1, 2
X86_64, BPF = 62, 247


def elf(sections: dict[str, bytes], kind: int = ET_EXEC, machine: int = X86_64, order: str = "<") -> bytes:
    """A 64-bit ELF file with just these sections."""
    names = b"\0"
    offsets = {}
    for name in [*sections, ".shstrtab"]:
        offsets[name] = len(names)
        names += name.encode() + b"\0"
    body = bytearray()
    rows = [struct.pack(f"{order}IIQQQQIIQQ", *[0] * 10)]
    for name, data in {**sections, ".shstrtab": names}.items():
        row = (offsets[name], 3 if name == ".shstrtab" else 1, 0, 0, 64 + len(body), len(data), 0, 0, 1, 0)
        rows.append(struct.pack(f"{order}IIQQQQIIQQ", *row))
        body += data
    ident = b"\x7fELF" + bytes((2, 1 if order == "<" else 2, 1)) + bytes(9)
    head = struct.pack(f"{order}HHIQQQIHHHHHH", kind, machine, 1, 0, 0, 64 + len(body), 0, 64, 56, 0, 64,
                       len(rows), len(rows) - 1)  # fmt: skip
    return ident + head + bytes(body) + b"".join(rows)


def vmlinux(blob: bytes, banner: str = "6.12.117") -> bytes:
    return elf({".rodata": f"\0Linux version {banner} (gcc) #1\n\0".encode(), ".BTF": blob})


def module(blob: bytes, vermagic: str = "6.12.117", distilled: bytes = b"") -> bytes:
    sections = {".modinfo": f"license=GPL\0vermagic={vermagic} SMP mod_unload \0".encode(), ".BTF": blob}
    return elf({**sections, **({".BTF.base": distilled} if distilled else {})}, ET_REL)


def bzimage(kernel: bytes) -> bytes:
    payload = gzip.compress(kernel)
    setup = bytearray(5 * 512)
    setup[0x1F1] = 4
    setup[0x1FE:0x206] = b"\x55\xaa\x00\x00HdrS"
    struct.pack_into("<H", setup, 0x206, 0x020F)
    struct.pack_into("<II", setup, 0x248, 0, len(payload))
    return bytes(setup) + payload + bytes(100_000)


def arm64_image(blob: bytes, banner: str = "6.12.117") -> bytes:
    """A raw image: no sections, the BTF is somewhere in it."""
    image = bytearray(4096)
    image[0x38:0x3C] = b"ARM\x64"
    image[0x100:0x140] = f"Linux version {banner} (gcc) #1\n".encode().ljust(64, b"\0")
    # What only begins like BTF is passed over.
    return bytes(image) + b"\x9f\xeb\x01\x00" + bytes(60) + blob + bytes(100_000)
