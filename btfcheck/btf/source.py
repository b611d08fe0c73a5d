# SPDX-License-Identifier: MIT
"""Where BTF lies: raw files, ELF files, modules, boot images, /sys/kernel/btf, installed kernels."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from btfcheck import payload, release
from btfcheck.btf.format import Machine
from btfcheck.btf.verify import MODULE, USER, VMLINUX
from btfcheck.image import ET_REL, Image
from btfcheck.model import InputError, UsageError
from btfcheck.release import Release

SYSFS = "/sys/kernel/btf"
_LARGEST_WRAPPER = 128 << 20
_BPF = 247  # e_machine of BPF objects
_MODULE_NAME = re.compile(r"\.ko(\.(gz|xz|zst|bz2|lzma|lz4|lzo))?$")
_KERNEL_NAME = re.compile(r"^(vmlinu[xz]|bzImage|Image|zImage|vmlinux\.)")
_INSTALLED = re.compile(r"^(?P<root>.*?)/(?:usr/)?lib/modules/(?P<release>[^/]+)(?:/|$)")
_BANNER = re.compile(rb"Linux version (\d+\.\d+[^\0\n]{0,400})")
_VERMAGIC = re.compile(rb"(?:^|\0)vermagic=([^\0 ]+)")
_IMAGES = (
    "boot/vmlinuz-{}", "boot/vmlinux-{}", "boot/Image-{}", "boot/kernel-{}", "lib/modules/{}/vmlinuz",
    "usr/lib/modules/{}/vmlinuz", "lib/modules/{}/vmlinux", "usr/lib/modules/{}/vmlinux",
    "usr/lib/debug/boot/vmlinux-{}", "usr/lib/debug/lib/modules/{}/vmlinux", "lib/modules/{}/build/vmlinux",
)  # fmt: skip
_HEADERS = {b"\x9f\xeb\x01\x00": "little", b"\xeb\x9f\x01\x00": "big"}


class NoBtfError(InputError):
    """The file can be read and holds no BTF."""


class Source(NamedTuple):
    """One BTF blob and what is known of where it stood.

    `kind` is the path that the kernel would take: user, vmlinux or module. `distilled` is the .BTF.base of
    a module, None without one. `release` is the kernel that the file itself names, `vermagic` a module's.
    """

    path: str
    data: bytes
    kind: str
    machine: Machine = Machine()
    distilled: bytes | None = None
    release: Release | None = None
    vermagic: str = ""


def read(path: str, byteorder: str = "little") -> Source:
    """The BTF of one file. `byteorder` is that of raw blobs, which do not say it.

    Raises InputError when the file cannot be read, NoBtfError when it holds no BTF.
    """
    data = _bytes(path)
    if bytes(data[:4]) == b"\x7fELF":
        found = _from_elf(path, data)
        if found:
            return found
        # Compressed kernels of some architectures are ELF files themselves.
        try:
            if len(data) > _LARGEST_WRAPPER:
                raise InputError("too large for a compressed kernel")
            data = payload.embedded(data, _limit(len(data)))
        except InputError:
            raise NoBtfError(f"{path}: no .BTF section (CONFIG_DEBUG_INFO_BTF off, or stripped)") from None
        return _from_kernel(path, data)
    if bytes(data[:4]) in _HEADERS or not _looks_like_image(path, data):
        machine = Machine(byteorder)
        folder, name = os.path.split(os.path.realpath(path))
        kind = USER if folder != SYSFS else VMLINUX if name == "vmlinux" else MODULE
        return Source(path, bytes(data), kind, machine, release=None if kind == USER else running())
    try:
        return _from_kernel(path, payload.kernel_payload(data, _limit(len(data))))
    except InputError as error:
        raise error if str(error).startswith(path) else InputError(f"{path}: {error}") from None


def _bytes(path: str) -> payload.Data:
    try:
        size = os.path.getsize(path) if os.path.isfile(path) else 0
    except OSError:
        size = 0
    if os.path.exists(path) and not os.path.isfile(path):
        raise InputError(f"{path}: not a regular file")
    return payload.open_bytes(path, max(size, _limit(size)))


def _limit(size: int) -> int:
    """Bytes that a file of `size` bytes may unpack to: kernels and modules shrink 3 to 8 times."""
    return (32 << 20) + 12 * size


def _looks_like_image(path: str, data: payload.Data) -> bool:
    """Boot images have many faces; anything small that is not named like one is taken for a raw blob."""
    return len(data) > 64 << 10 and (
        bool(_KERNEL_NAME.match(os.path.basename(path)))
        or bytes(data[:2]) == b"MZ"
        or bytes(data[0x202:0x206]) == b"HdrS"
        or payload.magic_of(data) is not None
        or b"Linux version " in memoryview(data)[: 64 << 20].tobytes()
    )


def _from_elf(path: str, data: payload.Data) -> Source | None:
    """None when it has no BTF."""
    with Image(data, path) as image:
        blob = bytes(image.contents(".BTF"))
        if not blob:
            return None
        machine = Machine("little" if image.little else "big", image.bits // 8)
        modinfo = image.contents(".modinfo")
        if image.elf_type == ET_REL and image.machine != _BPF and (modinfo or _MODULE_NAME.search(path)):
            distilled = bytes(image.contents(".BTF.base")) or None
            magic = _VERMAGIC.search(modinfo)
            vermagic = magic[1].decode("latin-1") if magic else ""
            return Source(path, blob, MODULE, machine, distilled, _parsed(vermagic), vermagic)
        kind = USER if image.elf_type == ET_REL else VMLINUX
        return Source(path, blob, kind, machine, release=_banner(image.contents(".rodata")))


def _from_kernel(path: str, data: payload.Data) -> Source:
    """From what was inside a boot image: an ELF file, or the raw image, in which BTF is searched for."""
    if bytes(data[:4]) == b"\x7fELF":
        found = _from_elf(path, data)
        if found is None:
            raise NoBtfError(f"{path}: the kernel in it has no .BTF section")
        return found
    best = max(_candidates(data), key=lambda found: len(found[0]), default=None)
    if best is None:
        raise NoBtfError(f"{path}: no BTF in the kernel image")
    return Source(path, best[0], VMLINUX, Machine(best[1]), release=_banner(data))


def _candidates(data: payload.Data) -> Iterator[tuple[bytes, str]]:
    """(blob, byte order) of every place that reads as a whole BTF header."""
    for magic, order in _HEADERS.items():
        at = data.find(magic)
        while at >= 0:
            head = bytes(data[at : at + 32])
            if len(head) == 32:
                sign = "<" if order == "little" else ">"
                hdr_len, type_off, type_len, str_off, str_len = struct.unpack_from(f"{sign}5I", head, 4)
                end = at + hdr_len + max(type_off + type_len, str_off + str_len)
                if hdr_len in (24, 32) and type_len and str_len and end <= len(data) and not data[end - 1]:
                    yield bytes(data[at:end]), order
            at = data.find(magic, at + 4)


def _banner(data: payload.Data | memoryview) -> Release | None:
    found = _BANNER.search(data)
    return _parsed(found[0].decode("latin-1")) if found else None


def _parsed(text: str) -> Release | None:
    try:
        return release.parse(text)
    except UsageError:
        return None


# -- kernels and their modules --------------------------------------------------------------------------


def running() -> Release:
    """The release of the running kernel, as upstream counts it.

    Raises UsageError where that cannot be told (not Linux).
    """
    found = _parsed(_text("/proc/version_signature")) or _parsed(_text("/proc/version"))
    if found is None:
        raise UsageError("--kernel running: no Linux is running here that tells its release; name one")
    return found


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def is_module_name(path: str) -> bool:
    return bool(_MODULE_NAME.search(path))


def files_below(folder: str) -> Iterator[str]:
    """Kernels, modules and raw blobs (*.btf) below a directory, by name."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(parent, name)
            wanted = _MODULE_NAME.search(name) or name.endswith(".btf") or re.match(r"vmlinu[xz]([-.]|$)", name)
            if wanted and os.path.isfile(path) and not os.path.islink(path):
                yield path


def installed(name: str, root: str = "/") -> tuple[str, str]:
    """(image, module directory) of an installed kernel; the directory may be absent.

    Raises InputError when no image is there.
    """
    image = next((p for p in _image_places(name, root) if os.path.isfile(p)), None)
    if image is None:
        raise InputError(f"--installed {name}: no kernel image of that release below {root}")
    folders = [os.path.join(root, f"{prefix}lib/modules", name) for prefix in ("", "usr/")]
    return image, next((f for f in folders if os.path.isdir(f)), folders[0])


def _image_places(name: str, root: str) -> Iterator[str]:
    return (os.path.join(root, place.format(name)) for place in _IMAGES)


def base_places(source: Source) -> Iterator[str]:
    """Where the vmlinux of a module may lie: its installation, its build tree, the running kernel."""
    path = os.path.abspath(source.path)
    if path.startswith(f"{SYSFS}/"):
        yield f"{SYSFS}/vmlinux"
        return
    if place := _INSTALLED.match(path):
        yield from _image_places(place["release"], place["root"] or "/")
    folder = os.path.dirname(path)
    while folder != os.path.dirname(folder):
        yield os.path.join(folder, "vmlinux")
        folder = os.path.dirname(folder)
    if source.vermagic and source.vermagic == os.uname().release:
        yield f"{SYSFS}/vmlinux"
