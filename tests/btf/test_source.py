# SPDX-License-Identifier: MIT
"""BTF is found wherever it lies, with what the file says of itself."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pytest
import zstandard

from btfcheck.btf import source
from btfcheck.btf.source import NoBtfError, base_places, files_below, installed, read
from btfcheck.model import InputError, UsageError
from btfcheck.release import parse
from tests.btf import files
from tests.btf.blob import Blob


def blob(order: str = "<") -> bytes:
    made = Blob()
    made.struct("device", 4, [("id", made.int(), 0)])
    return made.bytes(order)


KERNEL = files.vmlinux(blob())


@pytest.mark.parametrize(("name", "data", "kind", "release"), [
    ("prog.btf", blob(), "user", None),
    ("vmlinux", KERNEL, "vmlinux", "6.12.117"),
    ("vmlinux.xz", lzma.compress(KERNEL), "vmlinux", "6.12.117"),
    ("vmlinuz-x", files.bzimage(KERNEL), "vmlinux", "6.12.117"),
    ("vmlinuz-y", gzip.compress(files.arm64_image(blob())), "vmlinux", "6.12.117"),
    ("Image", files.arm64_image(blob()), "vmlinux", "6.12.117"),
    ("a.ko", files.module(blob()), "module", "6.12.117"),
    ("a.ko.zst", zstandard.compress(files.module(blob())), "module", "6.12.117"),
    ("prog.o", files.elf({".BTF": blob()}, files.ET_REL, files.BPF), "user", None),
])
def test_kinds_of_files(tmp_path: Path, name: str, data: bytes, kind: str, release: str | None) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    found = read(str(path))
    assert (found.data, found.kind) == (blob(), kind)
    assert found.release == (parse(release) if release else None)


def test_the_stable_release_behind_a_debian_name(tmp_path: Path) -> None:
    banner = "6.1.0-56-amd64 (d@l) (gcc-12 (Debian 12.2.0-14) 12.2.0) #1 SMP Debian 6.1.192-2 (2026-10-11)"
    (tmp_path / "vmlinux").write_bytes(files.vmlinux(blob(), banner))
    assert read(str(tmp_path / "vmlinux")).release == parse("6.1.192")


def test_a_distilled_base_and_the_byte_order(tmp_path: Path) -> None:
    (tmp_path / "a.ko").write_bytes(files.module(blob(), distilled=blob()))
    assert read(str(tmp_path / "a.ko")).distilled == blob()
    (tmp_path / "vmlinux").write_bytes(files.elf({".BTF": blob(">")}, order=">"))
    assert read(str(tmp_path / "vmlinux")).machine == ("big", 8)
    (tmp_path / "raw.btf").write_bytes(blob(">"))
    assert read(str(tmp_path / "raw.btf"), "big").machine.byteorder == "big"


@pytest.mark.parametrize(("name", "data", "error", "text"), [
    ("vmlinux", files.elf({".text": b"x"}), NoBtfError, "no .BTF section"),
    ("vmlinuz", files.bzimage(files.elf({".text": b"x"})), NoBtfError, "no .BTF section"),
    ("vmlinuz", files.bzimage(b"nothing at all" * 9000), InputError, "no kernel"),
    ("Image", files.arm64_image(b""), NoBtfError, "no BTF in the kernel"),
    ("x.gz", b"\x1f\x8b\x08damaged", InputError, "broken gzip"),
    ("empty", b"", InputError, "empty"),
    ("cut", KERNEL[:80], InputError, "cut off"),
])
def test_no_btf(tmp_path: Path, name: str, data: bytes, error: type, text: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(error, match=text) as caught:
        read(str(tmp_path / name))
    assert str(tmp_path / name) in str(caught.value)


def test_fifos_are_not_opened(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(InputError, match="not a regular file"):
        read(str(tmp_path / "fifo"))


def tree(root: Path, release: str = "6.12.117") -> Path:
    """An installed kernel with two modules."""
    (root / "boot").mkdir(parents=True)
    (root / "boot" / f"vmlinuz-{release}").write_bytes(files.bzimage(KERNEL))
    folder = root / "lib" / "modules" / release / "kernel"
    folder.mkdir(parents=True)
    own = Blob(3, len(b"\0device\0id\0int\0"))
    own.ptr(1)
    (folder / "a.ko").write_bytes(files.module(own.bytes(), release))
    (folder / "b.ko.xz").write_bytes(lzma.compress(files.module(own.bytes(), release)))
    (folder / "modules.dep").write_text("")
    return folder


def test_installed_kernels(tmp_path: Path) -> None:
    folder = tree(tmp_path)
    image, modules = installed("6.12.117", str(tmp_path))
    assert image == str(tmp_path / "boot" / "vmlinuz-6.12.117")
    assert [Path(path).name for path in files_below(modules)] == ["a.ko", "b.ko.xz"]
    assert image in base_places(read(str(folder / "a.ko")))
    with pytest.raises(InputError, match="no kernel image"):
        installed("6.13", str(tmp_path))


def test_the_vmlinux_of_a_build_tree(tmp_path: Path) -> None:
    (tmp_path / "drivers" / "net").mkdir(parents=True)
    path = tmp_path / "drivers" / "net" / "a.ko"
    path.write_bytes(files.module(blob()))
    assert str(tmp_path / "vmlinux") in base_places(read(str(path)))


def test_no_linux_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_text", lambda _: "")
    with pytest.raises(UsageError, match="name one"):
        source.running()


@pytest.mark.needs("/sys/kernel/btf/vmlinux")
def test_the_running_kernel() -> None:
    found = read("/sys/kernel/btf/vmlinux")
    assert found.kind == "vmlinux"
    assert found.release == source.running()
