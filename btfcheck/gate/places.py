# SPDX-License-Identifier: MIT
"""Which files a gate is about: the kernel, its modules, its configuration, and the vmlinux with the debug information
of a boot image."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from btfcheck import payload
from btfcheck.btf import source
from btfcheck.gate.subject import Subject, first_banner, released
from btfcheck.image import DEBUG_ROOTS, Image, by_build_id, expansion_limit, open_image
from btfcheck.model import InputError, UsageError
from btfcheck.release import Release

_BELOW_ROOTS = ("boot/vmlinux-{}", "lib/modules/{}/vmlinux", "usr/lib/modules/{}/vmlinux", "vmlinux-{}")
_INSTALLED = ("lib/modules/{}/build/vmlinux", "usr/lib/modules/{}/build/vmlinux", "usr/src/linux-headers-{}/vmlinux")
_GNU_NOTE = re.compile(rb"\x04\0\0\0(?P<size>[\x08-\x20])\0\0\0\x03\0\0\0GNU\0")  # little endian, type NT_GNU_BUILD_ID


class Place(NamedTuple):
    """`root` is what modules are named from; `roots` are where separate debug files are searched."""

    vmlinux: str
    modules: list[str]
    root: str
    roots: tuple[str, ...]


class Kernel(NamedTuple):
    """What a kernel says of itself: its release, what `uname -r` prints, the whole banner, its build ids (those of its
    vdso too where it is no ELF file), whether it is a boot image, and whether it lacks debug information of its own."""

    release: Release | None
    uname: str
    banner: str
    build_ids: frozenset[str]
    boot: bool
    bare: bool


# -- kernel and modules ----------------------------------------------------------------------------------------


def locate(inputs: Sequence[str], installed: str | None, root: str, debug_roots: Sequence[str]) -> Place:
    """The files that the words of a command line name. Raises UsageError and InputError."""
    roots = (*debug_roots, *DEBUG_ROOTS)
    if installed:
        if inputs:
            raise UsageError("gate: --installed or a build, not both")
        vmlinux, folder = source.installed(installed, root)
        own = tuple(os.path.join(root, place.lstrip("/")) for place in DEBUG_ROOTS)
        return Place(vmlinux, modules_below(folder), folder, tuple(dict.fromkeys((*debug_roots, *own, *roots))))
    if len(inputs) > 2:
        raise UsageError(f"gate: a build directory, or vmlinux and the directory of its modules: {' '.join(inputs)}")
    first = inputs[0] if inputs else "."
    if not os.path.isdir(first):
        folder = inputs[1] if len(inputs) == 2 else ""
        if folder and not os.path.isdir(folder):
            raise InputError(f"{folder}: no directory of modules")
        return Place(first, modules_below(folder) if folder else [], folder, roots)
    if len(inputs) == 2:
        raise UsageError(f"gate: {first} is a directory; with a directory of modules, vmlinux is to be named")
    own = tuple(place for root in DEBUG_ROOTS if os.path.isdir(place := os.path.join(first, root.lstrip("/"))))
    return Place(_vmlinux_below(first), modules_below(first), first, (*own, *roots))


def modules_below(folder: str) -> list[str]:
    """The modules in a directory, by name."""
    return [path for path in source.files_below(folder) if source.is_module_name(path)]


def _vmlinux_below(folder: str) -> str:
    """The vmlinux of a build directory, or the only one of an unpacked package, else its only boot image."""
    own = os.path.join(folder, "vmlinux")
    if os.path.isfile(own):
        return own
    names = [p for p in source.files_below(folder) if os.path.basename(p).startswith("vmlinu")]
    found = [p for p in names if os.path.basename(p).startswith("vmlinux") and _is_elf(p)]
    found = found or [p for p in names if os.path.basename(p).startswith("vmlinuz")]
    if not found:
        raise InputError(f"{folder}: one vmlinux is wanted, there is none")
    if len(found) > 1:
        raise InputError(f"{folder}: one vmlinux is wanted, there are several: {', '.join(found[:4])}; name it")
    return found[0]


def _is_elf(path: str) -> bool:
    try:
        with open(path, "rb") as stream:
            return stream.read(4) == b"\x7fELF"
    except OSError:
        return False


def find_config(vmlinux: str, root: str, uname: str) -> str | None:
    """The configuration beside a build, or of the installed release."""
    folder = os.path.dirname(vmlinux)
    places = [os.path.join(folder, ".config"), os.path.join(root or folder, ".config")]
    if uname:
        names = (f"boot/config-{uname}", f"lib/modules/{uname}/config", f"usr/lib/modules/{uname}/config")
        places += [os.path.join(folder, f"config-{uname}"), os.path.join(folder, "config")]
        places += [os.path.join(top, name) for top in (_top(vmlinux), "/") for name in names]
    return next((p for p in places if os.path.isfile(p)), None)


def _top(path: str) -> str:
    """The root of the installation that a file lies in: what stands before /boot, /lib/modules or /usr."""
    return re.split(r"/(?:boot|usr|lib)/", os.path.abspath(path), maxsplit=1)[0] or "/"


# -- what the kernel says --------------------------------------------------------------------------------------


def kernel(path: str) -> Kernel:
    """What the kernel in an ELF file or a boot image says of itself. Raises InputError when it cannot be read."""
    try:
        subject = Subject(path)
    except InputError:
        try:
            return _boot(path)
        except InputError:  # BTF alone
            return Kernel(source.read(path).release, "", "", frozenset(), True, True)
    try:
        ids = frozenset({subject.image.build_id} - {""})
        bare = subject.image.section(".debug_info") is None
        return Kernel(subject.release, subject.uname, subject.banner, ids, False, bare)
    finally:
        subject.close()


def _boot(path: str) -> Kernel:
    size = os.path.getsize(path) if os.path.isfile(path) else 0
    data = payload.open_bytes(path, expansion_limit(size))
    data = payload.kernel_payload(data, expansion_limit(len(data)))
    banner = first_banner(data)
    ids = frozenset(bytes(data[m.end() : m.end() + m["size"][0]]).hex() for m in _GNU_NOTE.finditer(data))
    if bytes(data[:4]) == b"\x7fELF":
        with Image(data, path) as image:
            ids = frozenset({image.build_id}) if image.build_id else ids
    return Kernel(released(banner), (banner.split() or ["", "", ""])[2], banner, ids, True, True)


def debug_vmlinux(path: str, about: Kernel, roots: Sequence[str]) -> tuple[str, list[str]]:
    """(the vmlinux with debug information that a boot image was made from, or ""; those of another build that lie
    where it should). Only an equal build id proves it."""
    strangers = []
    for place in _vmlinux_places(path, about, roots):
        try:
            with open_image(place) as image:
                if image.section(".debug_info") is None:
                    continue
                if image.build_id and image.build_id in about.build_ids:
                    return place, []
        except InputError:
            continue
        strangers.append(place)
    return "", strangers


def _vmlinux_places(path: str, about: Kernel, roots: Sequence[str]) -> Iterator[str]:
    for one in sorted(about.build_ids):
        yield from by_build_id(one, tuple(roots))
    if not about.uname:
        return
    folder = os.path.dirname(path)
    yield os.path.join(folder, f"vmlinux-{about.uname}")
    yield os.path.join(folder, "vmlinux")
    for root in roots:
        for place in _BELOW_ROOTS:
            yield os.path.join(root, place.format(about.uname))
            yield os.path.join(root, place.format(about.uname) + ".debug")
    for place in _INSTALLED:
        yield os.path.join(_top(path), place.format(about.uname))
