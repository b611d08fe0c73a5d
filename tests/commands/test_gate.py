# SPDX-License-Identifier: MIT
"""`btfcheck gate` on builds of a few small files: one verdict, whatever happens meanwhile."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import re
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from btfcheck.cli import main
from btfcheck.dwarf.writer import build as elf
from btfcheck.gate.cache import Cache, Found
from btfcheck.lint.rules import Rule, load
from btfcheck.model import Fact, Location, Outcome, Severity, Status
from btfcheck.toolchain import tools
from tests.btf.blob import Blob
from tests.fakes import processes
from tests.gate.scenes import btf, scene, with_sections

SCHEMA = json.loads((Path(__file__).parents[2] / "btfcheck/formats/report.schema.json").read_text())
RULES = load(stages=("encode",)).rules
CASES = [(r, e) for r in RULES.values() for e in r.examples if e["input"].startswith("gate")]
UNITS = 'unit C "main.c"\n  structure_type "device" byte_size=8\n'
RECORDS = [["struct", "device", "8"]]
BANNER = b"Linux version 6.12.117 (build@here) (gcc 12.2.0, GNU ld 2.40) #1 SMP\n\0"
BUILD_ID = "ab" * 20


class Build:
    """A build directory with a vmlinux and modules."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.config = folder / ".config"
        self.config.write_text(
            "#\n# Automatically generated file; DO NOT EDIT.\n# Linux/x86 6.12.117 Kernel Configuration\n#\n"
            'CONFIG_CC_VERSION_TEXT="gcc 12.2.0"\nCONFIG_DEBUG_INFO=y\nCONFIG_DEBUG_INFO_BTF=y\n'
            "CONFIG_PAHOLE_VERSION=130\nCONFIG_PAHOLE_HAS_LANG_EXCLUDE=y\nCONFIG_MODULES=y\nCONFIG_BPF_SYSCALL=y\n"
        )
        os.utime(self.config, (1e9, 1e9))
        self.vmlinux = folder / "vmlinux"

    def kernel(self, records: list[list[str]] | None = RECORDS, units: str = UNITS, inside: str = "") -> None:
        packed = b"IKCFG_ST" + gzip.compress(inside.encode()) + b"IKCFG_ED" if inside else b""
        sections: dict[str, tuple[int, bytes]] = {".rodata": (1, BANNER + packed)}
        if records is not None:
            sections[".BTF"] = (1, btf(records))
        self.vmlinux.write_bytes(with_sections(elf(units), sections))

    def module(self, name: str, with_btf: bool = True, release: str = "6.12.117", units: str = UNITS) -> Path:
        base = Blob()
        base.int()
        base.struct("device", 8, [])
        own = Blob(first=1 + len(base.records), strings=len(base.text))
        own.struct(f"own_{name}", 4, [])
        sections = {".modinfo": (1, b"license=GPL\0vermagic=" + release.encode() + b" SMP mod_unload \0")}
        if with_btf:
            sections[".BTF"] = (1, own.bytes())
        units += f'  structure_type "own_{name}" byte_size=4\n'
        path = self.folder / "drivers" / f"{name}.ko"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(with_sections(elf("file rel=yes\n" + units), sections))
        return path

    def strip(self, path: Path, debug: Path | None = None, build_id: str = BUILD_ID) -> None:
        """Move the debug information away, to `debug` (then of this build id) or nowhere."""
        data = path.read_bytes()
        if debug:
            debug.parent.mkdir(parents=True, exist_ok=True)
            debug.write_bytes(with_sections(data, note(build_id)))
        path.write_bytes(with_sections(without_debug(data), note(BUILD_ID)))


def note(build_id: str) -> dict[str, tuple[int, bytes]]:
    desc = bytes.fromhex(build_id)
    return {".note.gnu.build-id": (7, struct.pack("<III", 4, len(desc), 3) + b"GNU\0" + desc)}


def without_debug(data: bytes) -> bytes:
    return data.replace(b".debug_info\0", b".nodeb_info\0")


def fresh(folder: Path, modules: int = 2) -> Build:
    build = Build(folder)
    build.kernel()
    for number in range(modules):
        build.module(f"m{number}")
    return build


@pytest.fixture(autouse=True)
def _afresh() -> None:
    tools.forget()


def gate(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code = main(["gate", "--output", "json", "--no-probe", "-j1", *words])
    out = capsys.readouterr().out
    data = json.loads(out) if out else {}
    if data:
        jsonschema.validate(data, SCHEMA)
    return code, data


def waive(build: Build, text: str) -> None:
    (build.folder / "btfcheck.toml").write_text(text)


def findings(data: dict[str, Any], least: str = "warning") -> set[tuple[str, str]]:
    ranks = ["note", "warning", "error"]
    return {(o["rule"], o["subject"]) for o in data["outcomes"] if o["status"] == "finding"
            and ranks.index(o["severity"]) >= ranks.index(least) and not o["rule"].startswith(("BTF1", "BTF2"))}


@pytest.mark.parametrize(("rule", "example"), CASES, ids=[f'{r.id}-{e["title"]}' for r, e in CASES])
def test_example(
    rule: Rule, example: Mapping[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build = fresh(tmp_path / "build", 1)
    what = example["input"].removeprefix("gate ").strip()
    if what == "config-newer":
        os.utime(build.config, (4e9, 4e9))
    elif what == "other-release":
        build.module("m0", release="6.12.99")
    elif what == "stripped":
        build.module("m0", with_btf=False)
    elif what.startswith("waiver"):
        subject = "drivers/m0.ko" if what == "waiver-used" else "nothing"
        build.module("m0", with_btf=False)
        waive(build, f'[[waiver]]\nrule = "BTF532"\nsubject = "{subject}"\nreason = "known"\n')
    elif what == "no-btf":
        build.kernel(records=None)
    elif what == "object-newer":
        (build.folder / "vmlinux.o").write_bytes(b"")
        os.utime(build.folder / "vmlinux.o", (4e9, 4e9))
    elif what == "other-compiler":
        build.config.write_text(build.config.read_text().replace("gcc 12", "gcc 14"))
        os.utime(build.config, (1e9, 1e9))
    elif what == "other-kernel-release":
        (build.folder / "include/config").mkdir(parents=True)
        (build.folder / "include/config/kernel.release").write_text("6.12.118\n")
    elif what.startswith("ikconfig"):
        text = build.config.read_text() + "CONFIG_IKCONFIG=y\n"
        build.config.write_text(text)
        os.utime(build.config, (4e9, 4e9))
        build.kernel(inside=text if what == "ikconfig-same" else text + "CONFIG_SMP=y\n")
        build.module("m0")
    elif what == "bare":
        build.strip(build.folder / "drivers/m0.ko")
    elif what == "other-debug":
        build.strip(build.folder / "drivers/m0.ko", tmp_path / "debug/.build-id/ab" / f"{'ab' * 19}.debug", "cd" * 20)
    else:
        assert what == "fresh"
    _, data = gate(capsys, str(build.folder), "--debug-root", str(tmp_path / "debug"))
    found = {o["rule"]: o for o in reversed(data["outcomes"])}
    assert found[rule.id]["status"] == example["expect"]
    if example["expect"] == "finding":
        assert found[rule.id]["severity"] == rule.severity.value
        assert found[rule.id]["fix"] == rule.fix


def test_a_sound_build_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = fresh(tmp_path / "build")
    code, data = gate(capsys, str(build.folder))
    assert findings(data) == set()
    assert code == 0
    assert [v["accepted"] for v in data["verdicts"]] == [True] * 3
    assert data["build"]["compared"] == 3
    assert {row["lost_types"] for row in data["encodings"]} == {0}


def test_tools_of_this_machine_are_no_matter_for_what_was_built_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build = fresh(tmp_path / "build")
    probed = {"BTF210", "BTF222"}
    for words, expected in (([str(build.folder)], True), (["PAHOLE=/nonexistent/pahole"], True), ([], False)):
        if words != [str(build.folder)]:
            installed_at = tmp_path / "package/vmlinux-6.12.117"
            installed_at.parent.mkdir(exist_ok=True)
            installed_at.write_bytes(build.vmlinux.read_bytes())
            words = [str(installed_at), "--config", str(build.config), *words]
        main(["gate", "--output", "json", "-j1", *words])
        found = json.loads(capsys.readouterr().out)["outcomes"]
        status = {o["status"] for o in found if o["rule"] in probed}
        assert (status != {"skip"}) is expected, words


@pytest.mark.parametrize("leaked", [False, True])
def test_btf_that_is_there_tells_what_its_pahole_did(
    leaked: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Rust kernel out of a package, whose pahole nothing names."""
    build = Build(tmp_path / "build")
    rust = 'unit Rust "lib.rs"\n  structure_type "Registry" byte_size=4\n'
    build.kernel(RECORDS + ([["struct", "Registry", "4"]] if leaked else []), UNITS + rust)
    build.config.unlink()
    code, data = gate(capsys, str(build.vmlinux))
    found = {o["rule"]: o["status"] for o in data["outcomes"]}
    assert (code, found["BTF300"]) == ((1, "unknown") if leaked else (0, "ok"))
    assert found["BTF508"] == ("finding" if leaked else "ok")


def test_the_release_of_the_configuration_will_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = fresh(tmp_path / "build", 0)
    build.vmlinux.write_bytes(with_sections(build.vmlinux.read_bytes(), {".rodata": (1, b"")}))
    assert gate(capsys, str(build.vmlinux))[0] == 3
    code, data = gate(capsys, str(build.vmlinux), "--config", str(build.config))
    assert (code, data["build"]["release"]) == (0, "6.12.117")


def test_the_summary_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = fresh(tmp_path / "build")
    assert main(["gate", str(build.folder), "--no-probe", "-j1"]) == 0
    out = capsys.readouterr().out
    assert "Linux 6.12.117: " in out
    assert "3 of 3 with BTF accepted" in out


def test_vmlinux_and_a_directory_of_modules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = fresh(tmp_path / "build")
    code, data = gate(capsys, str(build.vmlinux), str(build.folder / "drivers"), "--config", str(build.config))
    assert (code, len(data["verdicts"])) == (0, 3)


def test_a_leak_in_one_module(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = fresh(tmp_path / "build")
    build.module("bad", units='unit C "main.c"\n  structure_type "device" byte_size=8\n')
    leaked = UNITS + '  namespace "klib"\n    structure_type "own_bad" byte_size=4\n'
    data_of = build.module("bad").read_bytes()
    assert data_of
    (build.folder / "drivers/bad.ko").write_bytes(with_sections(
        elf("file rel=yes\n" + leaked),
        {".modinfo": (1, b"vermagic=6.12.117 SMP\0"), ".BTF": (1, _own("own_bad"))},
    ))
    code, data = gate(capsys, str(build.folder))
    assert code == 1
    assert ("BTF508", "drivers/bad.ko") in findings(data)
    assert ("BTF306", "drivers/bad.ko") in findings(data)


def _own(name: str) -> bytes:
    base = Blob()
    base.int()
    base.struct("device", 8, [])
    own = Blob(first=1 + len(base.records), strings=len(base.text))
    own.struct(name, 4, [])
    return own.bytes()


def test_a_bad_vmlinux_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = fresh(tmp_path / "build")
    build.kernel([["struct", "device", "8"], ["struct", "Option<u32>", "4"]])
    code, data = gate(capsys, str(build.folder))
    assert code == 1
    assert [o["subject"] for o in data["outcomes"] if o["rule"] == "BTF401" and o["status"] == "finding"] == ["vmlinux"]
    assert sum(o["status"] == "skip" for o in data["outcomes"] if o["rule"] == "BTF401") == 2


def test_encode_where_there_is_no_btf(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = fresh(tmp_path / "build", 0)
    build.kernel(records=None)
    made = scene("pahole nothing\nbtf struct device 8\n" + UNITS, tmp_path / "fake")
    code = main(["gate", str(build.folder), "-j1", "--pahole", made.pahole, "--output", "json"])
    data = json.loads(capsys.readouterr().out)
    assert code == 1
    assert {("BTF533", "vmlinux"), ("BTF501", "vmlinux")} <= findings(data)


@pytest.mark.parametrize("damage", ["remove", "truncate", "directory", "garbage"])
def test_a_file_that_goes_bad_is_never_passed(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build = fresh(tmp_path / "build")
    victim = build.folder / "drivers/m0.ko"
    if damage == "truncate":
        victim.write_bytes(victim.read_bytes()[:300])
    elif damage == "garbage":
        victim.write_bytes(b"garbage" * 100)
    else:
        victim.unlink()
        (victim.mkdir if damage == "directory" else lambda: victim.symlink_to("nowhere"))()
    code, data = gate(capsys, str(build.folder))
    if damage in ("remove", "directory"):  # no module is there any more
        assert (code, len(data["verdicts"])) == (0, 2)
    else:
        assert code in (1, 3)
        assert {o["status"] for o in data["outcomes"] if o["subject"] == "drivers/m0.ko"} & {"error", "finding"}


def test_a_file_removed_between_listing_and_reading(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from btfcheck.gate import places

    build = fresh(tmp_path / "build")
    listed = places.modules_below

    def then_removed(folder: str) -> list[str]:
        found = listed(folder)
        os.unlink(found[0])
        return found

    monkeypatch.setattr(places, "modules_below", then_removed)
    code, data = gate(capsys, str(build.folder))
    assert code == 3
    assert ("drivers/m0.ko", "error") in {(o["subject"], o["status"]) for o in data["outcomes"]}


@pytest.mark.parametrize(
    ("words", "code"), [(["{d}/none"], 3), (["{d}", "{d}"], 2), (["{d}/empty"], 3), (["a", "b", "c"], 2),
                        (["{d}/vmlinux", "{d}/none"], 3), (["{d}", "--executor", "nowhere:x"], 2),
                        (["{d}", "--installed", "6.12"], 2), (["--installed", "6.12", "--root", "{d}"], 3)],
)  # fmt: skip
def test_usage(words: list[str], code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = fresh(tmp_path / "build")
    (build.folder / "empty").mkdir()
    assert gate(capsys, *(word.format(d=build.folder) for word in words))[0] == code


def test_a_module_older_than_vmlinux(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = fresh(tmp_path / "build")
    os.utime(build.folder / "drivers/m0.ko", (1e9, 1e9))
    code, data = gate(capsys, str(build.folder))
    (found,) = [o for o in data["outcomes"] if o["rule"] == "BTF530" and o["status"] == "finding"]
    assert (code, found["subject"], found["severity"]) == (0, "modules", "warning")
    assert "1 of 2 modules are older" in found["message"]


@pytest.mark.parametrize("place", ["build-id", "path", "path.debug", "usr"])
def test_stripped_modules_are_paired_with_their_debug_files(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build = installed(tmp_path)
    debug = tmp_path / "root/usr/lib/debug"
    path = debug / {
        "build-id": f".build-id/ab/{'ab' * 19}.debug", "path": "lib/modules/6.12.117/kernel/m0.ko",
        "path.debug": "lib/modules/6.12.117/kernel/m0.ko.debug", "usr": "usr/lib/modules/6.12.117/kernel/m0.ko.debug",
    }[place]  # fmt: skip
    module = tmp_path / "root/lib/modules/6.12.117/kernel/m0.ko"
    build.strip(module, path)
    packed = module.with_name("m0.ko.xz")
    packed.write_bytes(lzma.compress(module.read_bytes()))
    module.unlink()
    code, data = gate(capsys, "--installed", "6.12.117", "--root", str(tmp_path / "root"))
    assert (code, data["build"]["compared"]) == (0, 3)
    assert {o["rule"]: o["status"] for o in data["outcomes"]}["BTF534"] == "ok"


def boot_image(path: Path) -> None:
    """An Image.gz of the vmlinux at this place, which is left with its build id."""
    vmlinux = path.with_name(path.name.replace("vmlinuz", "vmlinux"))
    data = with_sections(vmlinux.read_bytes(), note(BUILD_ID))
    vmlinux.write_bytes(data)
    path.write_bytes(gzip.compress(without_debug(data) + bytes(100_000)))


@pytest.mark.parametrize(
    "place", ["boot", "root/usr/lib/debug/boot", "root/usr/lib/debug/lib/modules/6.12.117", "none"]
)
def test_a_boot_image_is_paired_with_its_vmlinux(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    installed(tmp_path)
    boot = tmp_path / "root/boot"
    boot_image(boot / "vmlinuz-6.12.117")
    vmlinux = boot / "vmlinux-6.12.117"
    if place == "none":
        vmlinux.unlink()
    elif place != "boot":
        to = tmp_path / place / ("vmlinux" if "modules" in place else "vmlinux-6.12.117")
        to.parent.mkdir(parents=True)
        vmlinux.rename(to)
    code, data = gate(capsys, "--installed", "6.12.117", "--root", str(tmp_path / "root"))
    assert data["build"]["vmlinux"].endswith("vmlinuz-6.12.117")
    found = place != "none"
    assert (code, data["build"]["compared"], bool(data["build"]["debug"])) == (0, 2 + found, found)
    assert {o["rule"]: o["status"] for o in data["outcomes"]}["BTF534"] == ("ok" if found else "unknown")
    assert {o["status"] for o in data["outcomes"] if o["rule"] == "BTF531"} == {"ok"}


@pytest.mark.parametrize("debug", [True, False])
def test_an_unpacked_image_package(debug: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    installed(tmp_path)
    root = tmp_path / "root"
    boot_image(root / "boot/vmlinuz-6.12.117")
    (root / "usr/lib/debug/.build-id/ab").mkdir(parents=True)
    vmlinux = root / "boot/vmlinux-6.12.117"
    vmlinux.rename(root / f"usr/lib/debug/.build-id/ab/{'ab' * 19}.debug") if debug else vmlinux.unlink()
    code, data = gate(capsys, str(root))
    assert (code, len(data["verdicts"]), data["build"]["compared"]) == (0, 3, 2 + debug)


def test_the_vmlinux_of_another_build_is_not_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    installed(tmp_path)
    boot = tmp_path / "root/boot"
    boot_image(boot / "vmlinuz-6.12.117")
    vmlinux = boot / "vmlinux-6.12.117"
    vmlinux.write_bytes(vmlinux.read_bytes().replace(bytes.fromhex(BUILD_ID), bytes(20)))
    _, data = gate(capsys, "--installed", "6.12.117", "--root", str(tmp_path / "root"))
    found = {o["rule"]: o["status"] for o in data["outcomes"]}
    assert (found["BTF534"], found["BTF535"], data["build"]["debug"]) == ("unknown", "finding", "")


def installed(folder: Path) -> Build:
    build = fresh(folder / "build")
    root = folder / "root"
    (root / "boot").mkdir(parents=True)
    build.vmlinux.rename(root / "boot/vmlinux-6.12.117")
    (root / "lib/modules/6.12.117").mkdir(parents=True)
    (build.folder / "drivers").rename(root / "lib/modules/6.12.117/kernel")
    return build


def test_installed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    installed(tmp_path)
    root = tmp_path / "root"
    code, data = gate(capsys, "--installed", "6.12.117", "--root", str(root))
    assert (code, len(data["verdicts"])) == (0, 3)


# -- cache --------------------------------------------------------------------------------------------------


def test_the_second_run_comes_from_the_cache(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build, cache = fresh(tmp_path / "build"), str(tmp_path / "cache")
    first = gate(capsys, str(build.folder), "--cache", cache)
    second = gate(capsys, str(build.folder), "--cache", cache)
    assert second[1]["build"].pop("cached") == 3
    assert first[1]["build"].pop("cached") == 0
    assert first == second


@pytest.mark.parametrize("rehash", [[], ["--rehash"]])
def test_a_changed_file_is_judged_anew(
    rehash: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build, cache = fresh(tmp_path / "build"), str(tmp_path / "cache")
    gate(capsys, str(build.folder), "--cache", cache, *rehash)
    stamp = (build.folder / "drivers/m0.ko").stat()
    build.module("m0", with_btf=False)
    os.utime(build.folder / "drivers/m0.ko", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    _, data = gate(capsys, str(build.folder), "--cache", cache, *rehash)
    assert data["build"]["cached"] == 2
    assert ("BTF532", "drivers/m0.ko") in findings(data)


def test_a_changed_vmlinux_makes_every_module_new(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build, cache = fresh(tmp_path / "build"), str(tmp_path / "cache")
    gate(capsys, str(build.folder), "--cache", cache)
    build.kernel([["struct", "other", "8"]])
    _, data = gate(capsys, str(build.folder), "--cache", cache)
    assert data["build"]["cached"] == 0


def test_a_debug_file_that_comes_later_is_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build, cache = fresh(tmp_path / "build"), str(tmp_path / "cache")
    module = build.folder / "drivers/m0.ko"
    debug = tmp_path / f"debug/.build-id/ab/{'ab' * 19}.debug"
    build.strip(module, debug)
    away = debug.rename(tmp_path / "away")
    words = (str(build.folder), "--cache", cache, "--debug-root", str(tmp_path / "debug"))
    assert gate(capsys, *words)[1]["build"]["compared"] == 2
    away.rename(debug)
    data = gate(capsys, *words)[1]
    assert (data["build"]["compared"], data["build"]["cached"]) == (3, 2)


def test_another_pahole_makes_results_new(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = fresh(tmp_path / "build", 0)
    made = scene("pahole writes\nbtf struct device 8\n" + UNITS, tmp_path / "fake")
    words = ["gate", str(build.folder), "-j1", "--encode", "--pahole", made.pahole, "--output", "json", "--cache",
             str(tmp_path / "cache")]
    results = []
    for does in ("writes", "writes", "nothing"):
        if does == "nothing":
            scene("pahole nothing\nbtf struct device 8\n" + UNITS, tmp_path / "fake")
            tools.forget()
        code = main(words)
        data = json.loads(capsys.readouterr().out)
        results.append((code, data["build"]["cached"]))
    assert results == [(0, 0), (0, 1), (1, 0)]


def test_broken_entries_are_computed_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build, cache = fresh(tmp_path / "build"), tmp_path / "cache"
    gate(capsys, str(build.folder), "--cache", str(cache))
    for number, entry in enumerate(sorted(cache.rglob("*.json"))):
        entry.write_text(["", "[1", '[1, [["x"]], [], [], [], true]'][number])
    code, data = gate(capsys, str(build.folder), "--cache", str(cache))
    assert (code, data["build"]["cached"], len(data["verdicts"])) == (0, 0, 3)


@pytest.mark.skipif(os.geteuid() != 0 and not os.path.exists("/dev/full"), reason="needs a place without room")
def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = fresh(tmp_path / "build")
    (tmp_path / "file").write_text("")
    assert main(["gate", str(build.folder), "--no-probe", "-j1", "--cache", str(tmp_path / "file/cache")]) == 0
    assert "results are not kept" in capsys.readouterr().err


def test_two_runs_on_one_cache(tmp_path: Path) -> None:
    build = fresh(tmp_path / "build", 6)
    command = [sys.executable, "-m", "btfcheck", "gate", str(build.folder), "--no-probe", "--cache",
               str(tmp_path / "cache"), "-j2"]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             cwd=Path(__file__).parents[2]) for _ in range(2)]
    for run in runs:
        out, error = run.communicate()
        assert run.returncode == 0, error
        assert b"7 of 7 with BTF accepted" in out
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file() and p.suffix != ".json"]


def test_outcomes_survive_the_cache(tmp_path: Path) -> None:
    place = Location("vmlinux", 3, "text", "\udcff logical")
    outcome = Outcome("BTF501", Status.FINDING, Severity.NOTE, "s", "m", (place,),
                      (Fact("A", None, place, True, "why"),), ("n",), "fix", ("f",), ("miss",), "likely", "key")
    cache = Cache(str(tmp_path))
    found = Found((outcome,), ({"path": "x"},), (), ({"written": True},), True)
    cache.put("ab" * 32, found)
    assert cache.get("ab" * 32) == found


# -- processes ------------------------------------------------------------------------------------------------


def test_kill_leaves_nothing_running(tmp_path: Path) -> None:
    build = fresh(tmp_path / "build", 0)
    build.kernel(records=None)
    for number, does in ((signal.SIGTERM, "hangs with a child"), (signal.SIGKILL, "hangs")):
        made = scene(f"pahole {does}\nbtf struct device 8\n{UNITS}", tmp_path / "fake")
        mark = f"BTFCHECK_TEST_MARK={tmp_path}-{number}"
        place = tmp_path / f"tmp{number}"
        place.mkdir()
        environment = {**os.environ, "BTFCHECK_TEST_MARK": mark.partition("=")[2], "TMPDIR": str(place)}
        run = subprocess.Popen(
            [sys.executable, "-m", "btfcheck", "gate", str(build.folder), "--pahole", made.pahole, "-j2",
             "--output", f"json:{tmp_path}/out.json"],
            env=environment, cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 30
        while not list(place.glob("btfcheck-*/")) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        assert len(processes(mark)) > 1, "pahole runs"
        run.send_signal(number)
        run.wait(30)
        deadline = time.monotonic() + 10
        while processes(mark) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert processes(mark) == []
        assert not (tmp_path / "out.json").exists()
        if number == signal.SIGTERM:
            assert list(place.glob("btfcheck-*")) == []


def make_threads(jobs: int) -> Executor:
    return ThreadPoolExecutor(jobs)


def no_executor(jobs: int) -> int:
    return jobs


class Removing(ThreadPoolExecutor):
    """vmlinux goes away once it was looked at."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        (task,) = args
        assert not kwargs
        future = super().submit(fn, task)
        future.result()
        if not task.base:
            os.unlink(task.path)
        return future


def test_vmlinux_removed_meanwhile(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    build = fresh(tmp_path / "build")
    monkeypatch.setitem(sys.modules, "farm", sys.modules[__name__])
    code, data = gate(capsys, str(build.folder), "--executor", "farm:Removing", "--cache", str(tmp_path / "cache"))
    assert code == 3
    assert {o["subject"] for o in data["outcomes"] if o["status"] == "error"} == {"drivers/m0.ko", "drivers/m1.ko"}
    assert len(list((tmp_path / "cache").rglob("*.json"))) == 1, "what failed is not kept"


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_any_executor(jobs: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
                      monkeypatch: pytest.MonkeyPatch) -> None:
    build = fresh(tmp_path / "build")
    monkeypatch.setitem(sys.modules, "farm", sys.modules[__name__])
    code, data = gate(capsys, str(build.folder), "--executor", "farm:make_threads", "-j", jobs)
    assert (code, len(data["verdicts"])) == (0, 3)
    assert gate(capsys, str(build.folder), "--executor", "farm:no_executor")[0] == 2


def test_a_dask_cluster_of_two_workers(tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="extra btfcheck[dask] is not installed")
    build = fresh(tmp_path / "build", 4)
    found = subprocess.run(
        [sys.executable, "-m", "btfcheck", "gate", str(build.folder), "--no-probe", "--executor", "dask:", "-j2"],
        cwd=Path(__file__).parents[2], capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert b"5 of 5 with BTF accepted" in found.stdout


def test_a_dask_scheduler_by_its_address(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="extra btfcheck[dask] is not installed")
    build = fresh(tmp_path / "build", 4)
    command = [sys.executable, "-m", "btfcheck", "gate", str(build.folder), "--no-probe", "--executor"]
    options = {"cwd": Path(__file__).parents[2], "capture_output": True, "timeout": 120, "check": False}
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
    try:
        found = subprocess.run([*command, f"dask:{cluster.scheduler_address}"], **options)
        assert found.returncode == 0, found.stderr
        assert b"5 of 5 with BTF accepted" in found.stdout
    finally:
        cluster.close()
    found = subprocess.run([*command, "dask:nonsense://x"], **options)
    assert (found.returncode, found.stderr.count(b"\n")) == (2, 1), found.stderr


# -- policy ----------------------------------------------------------------------------------------------------

NO_BTF = ("BTF532", "drivers/m0.ko")


@pytest.fixture
def stripped(tmp_path: Path) -> Build:
    """A build with one finding of its own, a warning."""
    build = fresh(tmp_path / "build")
    build.module("m0", with_btf=False)
    return build


def test_precedence(stripped: Build, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(stripped.folder)
    assert gate(capsys, folder)[0] == 0
    waive(stripped, 'fail-on = "warning"\n')
    assert gate(capsys, folder)[0] == 1
    monkeypatch.setenv("BTFCHECK_FAIL_ON", "error")
    assert gate(capsys, folder)[0] == 0
    assert gate(capsys, folder, "--fail-on", "warning")[0] == 1
    monkeypatch.setenv("BTFCHECK_FAIL_ON", "loud")
    assert gate(capsys, folder)[0] == 2


def test_show_policy(stripped: Build, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    waive(stripped, 'fail-on = "warning"\n[severity]\nmodule-without-btf = "error"\n'
          '[[waiver]]\nrule = "BTF508"\nreason = "why not"\n')
    monkeypatch.setenv("BTFCHECK_FAIL_ON", "note")
    code, data = gate(capsys, str(stripped.folder), "--show-policy")
    rows = {row["setting"]: (row["value"], row["source"]) for row in data["policy"]}
    place = str(stripped.folder / "btfcheck.toml")
    assert code == 0
    assert rows == {
        "policy": (place, "found upwards from the build"), "baseline": ("none", "default"),
        "fail-on": ("note", "BTFCHECK_FAIL_ON"), "severity.BTF532": ("error", place),
        "waiver.BTF508": ("*: why not", place),
    }  # fmt: skip
    assert main(["gate", str(stripped.folder), "--show-policy"]) == 0
    assert "fail-on = note  (BTFCHECK_FAIL_ON)" in capsys.readouterr().out


def test_severity(stripped: Build, capsys: pytest.CaptureFixture[str]) -> None:
    waive(stripped, '[severity]\nBTF532 = "error"\n')
    assert gate(capsys, str(stripped.folder))[0] == 1


@pytest.mark.parametrize(
    ("waiver", "waived", "stale"),
    [('subject = "drivers/*"', True, False), ('subject = "elsewhere/*"', False, True), ("", True, False),
     ("expires = 2999-01-01", True, False), ("expires = 2001-01-01", False, True)],
)  # fmt: skip
def test_waivers(
    waiver: str, waived: bool, stale: bool, stripped: Build, capsys: pytest.CaptureFixture[str]
) -> None:
    waive(stripped, f'[[waiver]]\nrule = "BTF532"\nreason = "it is known"\n{waiver}\n')
    _, data = gate(capsys, str(stripped.folder))
    assert (NO_BTF not in findings(data)) is waived
    assert any(rule == "BTF540" for rule, _ in findings(data)) is stale
    (outcome,) = [o for o in data["outcomes"] if (o["rule"], o["subject"]) == NO_BTF and o["status"] != "ok"]
    assert outcome["status"] == ("skip" if waived else "finding")
    assert ("it is known" in outcome["message"]) is waived


def test_a_waiver_of_a_rule_that_did_not_run_is_not_stale(
    stripped: Build, capsys: pytest.CaptureFixture[str]
) -> None:
    waive(stripped, '[[waiver]]\nrule = "BTF504"\nreason = "only with --encode"\n')
    assert not any(rule == "BTF540" for rule, _ in findings(gate(capsys, str(stripped.folder))[1]))


@pytest.mark.parametrize(
    "text",
    ['[[waiver]]\nrule = "BTF532"\n', '[[waiver]]\nrule = "BTF532"\nreason = " "\n',
     '[[waiver]]\nrule = "BTF999"\nreason = "x"\n', '[[waiver]]\nreason = "x"\n',
     '[[waiver]]\nrule = "BTF532"\nreason = "x"\nexpires = "soon"\n', '[waiver]\nrule = "BTF532"\n',
     '[[waiver]]\nrule = "BTF532"\nreason = "x"\nuntil = 2027-01-01\n', 'fail-on = "loud"\n', "waiver = [1]\n",
     '[severity]\nBTF532 = "fatal"\n', '[severity]\nBTF999 = "note"\n', "severity = 1\n", "= =\n", "other = 1\n",
     '[[waiver]]\nrule = "BTF532"\nreason = "x"\nsubject = 1\n'],
)  # fmt: skip
def test_a_bad_policy_is_wrong_usage(text: str, stripped: Build, capsys: pytest.CaptureFixture[str]) -> None:
    waive(stripped, text)
    assert main(["gate", str(stripped.folder), "--no-probe"]) == 2
    assert "btfcheck.toml" in capsys.readouterr().err


def test_baseline(stripped: Build, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report, known = tmp_path / "report.json", tmp_path / "sub/known.json"
    words = ["gate", str(stripped.folder), "--no-probe", "-j1", "--fail-on", "warning"]
    assert main([*words, "--output", f"json:{report}"]) == 1
    assert main(["baseline", "write", str(known), str(report)]) == 0
    assert main([*words, "--baseline", str(known), "--output", f"json:{report}"]) == 0
    before = known.read_text()
    assert main(["baseline", "write", str(known), str(report)]) == 0
    assert known.read_text() == before, "what the baseline knew stays in it"
    stripped.module("m1", with_btf=False)
    assert main([*words, "--baseline", str(known)]) == 1
    capsys.readouterr()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 2, "findings": []}', '{"schema": 1, "findings": [1]}'])
def test_a_bad_baseline_is_wrong_usage(text: str, stripped: Build, tmp_path: Path) -> None:
    (tmp_path / "known.json").write_text(text)
    assert main(["gate", str(stripped.folder), "--no-probe", "--baseline", str(tmp_path / "known.json")]) == 2
    assert main(["gate", str(stripped.folder), "--no-probe", "--baseline", str(tmp_path / "none.json")]) == 2


@pytest.mark.parametrize(("words", "code"), [(["read", "a", "b"], 2), (["write", "a"], 2), (["write", "a", "none"], 3)])
def test_baseline_usage(words: list[str], code: int) -> None:
    assert main(["baseline", *words]) == code


def test_text_with_a_policy_shows_each_finding_once(stripped: Build, capsys: pytest.CaptureFixture[str]) -> None:
    stripped.module("m1", with_btf=False)
    waive(stripped, '[severity]\nBTF532 = "error"\n[[waiver]]\nrule = "BTF532"\nsubject = "drivers/m0*"\n'
          'reason = "it is known"\n[[waiver]]\nrule = "BTF531"\nreason = "old"\n')
    assert main(["gate", str(stripped.folder), "--no-probe", "-j1"]) == 1
    out = capsys.readouterr().out
    assert out.count("error[BTF532]") == out.count("[BTF532]") == 1
    assert out.count("warning[BTF540]") == 1
    assert out.index("error[BTF532]") < out.index("Linux 6.12.117:") < out.index("[BTF540]"), "findings as they come"
    assert re.search(r"\d+ did not apply, 1 waived\)\n$", out)


def test_text_with_a_baseline(stripped: Build, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report, known = tmp_path / "report.json", tmp_path / "known.json"
    words = ["gate", str(stripped.folder), "--no-probe", "-j1", "--fail-on", "warning"]
    main([*words, "--output", f"json:{report}"])
    main(["baseline", "write", str(known), str(report)])
    stripped.module("m1", with_btf=False)
    capsys.readouterr()
    assert main([*words, "--baseline", str(known)]) == 1
    out = capsys.readouterr().out
    assert out.count("warning[BTF532]") == 1
    assert "in the baseline)" in out
    assert main([*words, "--baseline", str(known), "-v"]) == 1
    assert "skipped[BTF532]: in the baseline: " in capsys.readouterr().out


# -- what BTF alone leaves open --------------------------------------------------------------------------------

PRIVATE = (
    'unit C "a.c"\n  base_type "int" byte_size=4 encoding=5 as int\n  base_type "char" byte_size=1 encoding=6 as char\n'
    '  structure_type "private" byte_size=4\n    member "a" type=@int\n'
    '  structure_type "iter" byte_size=5\n    member "c" type=@char\n    member "i" type=@int data_member_location=1\n'
    'unit C "b.c"\n  structure_type "private" byte_size=4\n    member "b"\n'
)
TWICE = [["struct", "private", "4", "a:int@0"], ["struct", "private", "4", "b:int@0"]]
BY_VALUE = [["struct", "iter", "5", "c:char@0", "i:int@8"], ["func", "fill", "it:iter"]]


def open_questions(data: dict[str, Any]) -> dict[str, str]:
    rules = ("BTF404", "BTF408", "BTF522")
    return {o["rule"]: o["status"] for o in data["outcomes"] if o["rule"] in rules and o["subject"] == "vmlinux"}


def test_the_debug_information_answers_what_btf_leaves_open(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build = fresh(tmp_path / "build", 0)
    build.kernel([*TWICE, *BY_VALUE], PRIVATE)
    _, data = gate(capsys, str(build.folder))
    assert open_questions(data) == {"BTF404": "ok", "BTF408": "ok", "BTF522": "finding"}
    # A layout that no unit has stays a question, and so does everything where the debug information is gone.
    build.kernel([*TWICE, ["struct", "private", "4", "z:int@0"], *BY_VALUE], PRIVATE)
    _, data = gate(capsys, str(build.folder))
    assert open_questions(data) == {"BTF404": "finding", "BTF408": "ok", "BTF522": "finding"}
    build.strip(build.vmlinux)
    _, data = gate(capsys, str(build.folder))
    assert open_questions(data) == {"BTF404": "finding", "BTF408": "finding"}


def test_broken_debug_information_answers_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = fresh(tmp_path / "build", 0)
    build.kernel([*TWICE, *BY_VALUE], PRIVATE + 'unit C "bad.c"\n  structure_type "x" byte_size=1!0x7e\n')
    _, data = gate(capsys, str(build.folder))
    assert open_questions(data)["BTF404"] == "finding"
