# SPDX-License-Identifier: MIT
"""The verb from end to end: exit codes, text, JSON, many files, bad files, which pahole is judged for."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import btfcheck
from btfcheck import cli
from btfcheck.commands import scan as verb
from btfcheck.dwarf.writer import build

CLEAN = 'unit asm "head.S"\nunit C "main.c"\n  base_type "int" byte_size=4 encoding=5\n'
MIXED = CLEAN + 'unit Rust "lib.rs"\n  namespace "klib"\n    structure_type "S" byte_size=4\n'
LEAK = MIXED + 'unit C "late.c"\n  namespace "klib"\n    structure_type "Registry<u32>" byte_size=4\n'
MERGED = "file note=1\n" + MIXED


def write(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(build(text))
    return str(path)


def run(*words: str) -> int:
    return cli.main(["scan", *words])


def document(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    run(*words, "--output", "json")
    data: dict[str, Any] = json.loads(capsys.readouterr().out)
    return data


@pytest.mark.parametrize(("text", "options", "code"), [
    (CLEAN, ["--no-probe"], 0),
    (MIXED, ["--pahole-version", "1.31"], 0),
    (MIXED, ["--pahole-version", "1.23"], 1),
    (MIXED, ["--pahole-version", "1.31", "--kernel", "6.2"], 1),
    (MIXED, ["--no-probe"], 3),
    (MIXED, ["--no-probe", "--allow-unknown"], 0),
    (MERGED, ["--pahole-version", "1.25"], 1),
    (MERGED, ["--pahole-version", "1.28"], 0),
    (MERGED, ["--pahole-version", "1.28,1.25"], 1),
    (MERGED, ["--pahole-version", "1.25", "--fail-on", "never"], 0),
    (MERGED, ["--no-probe"], 3),
    (LEAK, ["--no-probe"], 1),
    (LEAK, ["--pahole-version", "1.32"], 1),
    ("file\n", ["--no-probe"], 4),
    ('unit none kind=skeleton signature=0x1 dwo_name="no.dwo"\n', ["--no-probe"], 3),
    ('unit C "x.c"\n  namespace 0x3=1!0x7e\n', ["--no-probe"], 3),
])
def test_exit_codes(text: str, options: list[str], code: int, tmp_path: Path) -> None:
    assert run(write(tmp_path / "vmlinux", text), *options) == code


@pytest.mark.parametrize("words", [
    ["--pahole-version", "banana", "x"], ["--pahole-version", "1.2.3", "x"], ["--examples", "-1", "x"],
    ["PAHOLE=pahole"], ["--kernel", "banana", "x"], []])
def test_wrong_usage(words: list[str]) -> None:
    try:
        assert run(*words) == 2
    except SystemExit as stop:
        assert stop.code == 2


def test_text_tells_what_where_and_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "vmlinux", LEAK)
    run(path, "--pahole-version", "1.28,1.32")
    out, err = capsys.readouterr()
    assert err == ""
    assert f"{path}: units: 1 asm, 2 C, 1 Rust" in out
    assert "found: L3t 1" in out
    assert "error[BTF306]: Rust types in C units: 1" in out
    assert f"--> {path} [late.c: .debug_info+0x" in out
    assert "DW_TAG_structure_type]  klib::Registry<u32>" in out
    assert "= fix: " in out
    assert "btfcheck explain BTF306" in out
    assert out.splitlines()[-1].startswith("btfcheck scan: 1 error")


def test_verbose_tells_what_was_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "vmlinux", CLEAN)
    assert run(path, "-v") == 0
    assert "walked 0 units (0 entries); left out 2, whose abbreviations rule out any finding" in capsys.readouterr().out
    assert run(path, "-v", "--walk-all") == 0
    assert "walked 2 units (3 entries); left out 0" in capsys.readouterr().out


def test_json_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "vmlinux", "file note=1\n" + LEAK)
    data = document(capsys, path, "--pahole-version", "1.25")
    (file,) = data["files"]
    assert file["path"] == path
    assert file["status"] == "ok"
    assert file["units"] == {"asm": 1, "C": 2, "Rust": 1}
    assert file["merged"] is True
    assert file["kinds"] == {"M1": 1, "L3t": 1}
    assert file["walked_dies"] == 3
    assert file["examples"]["L3t"][0]["name"] == "klib::Registry<u32>"
    found = {o["rule"]: o for o in data["outcomes"] if o["status"] == "finding"}
    assert set(found) == {"BTF301", "BTF306"}
    assert found["BTF301"]["facts"][0]["name"] == "PAHOLE_VERSION"
    assert found["BTF301"]["facts"][0]["value"] == "125"
    assert {o["subject"] for o in data["outcomes"]} == {"vmlinux"}
    assert len({o["rule"] for o in data["outcomes"]}) == 14


def test_m0_is_a_kind_where_it_applies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "vmlinux", MIXED)
    assert document(capsys, path, "--pahole-version", "1.23")["files"][0]["kinds"] == {"M0": 1}
    assert document(capsys, path, "--pahole-version", "1.31")["files"][0]["kinds"] == {}


def test_bad_files_do_not_stop_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "fifo")
    cut = tmp_path / "cut.ko"
    cut.write_bytes(build(CLEAN)[:300])
    clean = write(tmp_path / "clean.ko", CLEAN)
    data = document(capsys, str(tmp_path / "fifo"), str(cut), "/dev/null", str(tmp_path / "missing"), clean)
    assert [f["status"] for f in data["files"]] == ["error", "error", "error", "error", "ok"]
    assert data["summary"]["exit"] == 3
    errors = [o["message"] for o in data["outcomes"] if o["status"] == "error"]
    assert [e.split(": ")[0] for e in errors] == [f["path"] for f in data["files"][:4]]
    assert not any("\n" in e for e in errors)


def test_directories(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "b" / "vmlinux", MIXED)
    write(tmp_path / "a" / "x.ko", CLEAN)
    (tmp_path / "a" / "x.txt").write_text("text")
    (tmp_path / "a" / "link.ko").symlink_to(tmp_path / "a" / "x.ko")
    os.mkfifo(tmp_path / "a" / "fifo.ko")
    (tmp_path / "broken.ko.xz").write_bytes(b"not xz at all")
    data = document(capsys, str(tmp_path), "--pahole-version", "1.31")
    assert [os.path.relpath(f["path"], tmp_path) for f in data["files"]] == ["broken.ko.xz", "a/x.ko", "b/vmlinux"]
    assert {o["subject"] for o in data["outcomes"]} == {"broken.ko.xz", "a/x.ko", "b/vmlinux"}
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run(str(empty)) == 4


def test_several_processes_give_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                         monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        write(tmp_path / f"m{number:02}.ko", (CLEAN, MIXED, LEAK)[number % 3])
    alone = document(capsys, str(tmp_path), "--no-probe", "-j1")
    monkeypatch.setattr(verb, "_POOL_FROM", 0)
    together = document(capsys, str(tmp_path), "--no-probe", "-j3")
    assert together == alone


def test_recorded_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "vmlinux", MERGED)
    config = tmp_path / ".config"
    config.write_text("CONFIG_PAHOLE_VERSION=125\n")
    assert run(path, "--no-probe", "--config", str(config)) == 1
    assert ".config" in capsys.readouterr().out
    config.write_text("CONFIG_PAHOLE_VERSION=130\n")
    assert run(path, "--no-probe", "--config", str(config)) == 0
    config.write_text("CONFIG_PAHOLE_VERSION=0\n")
    assert run(path, "--no-probe", "--config", str(config)) == 3


def tool(tmp_path: Path, script: str) -> str:
    path = tmp_path / "pahole"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return f"PAHOLE={path}"


@pytest.mark.parametrize(("script", "code"), [("echo v1.25", 1), ("echo v1.30", 0), ("exit 1", 3)])
def test_probed_version(script: str, code: int, tmp_path: Path) -> None:
    path = write(tmp_path / "vmlinux", MERGED)
    assert run(path, tool(tmp_path, script)) == code


def test_no_tool_runs_for_a_file_without_rust(tmp_path: Path) -> None:
    path = write(tmp_path / "vmlinux", CLEAN)
    assert run(path, tool(tmp_path, f"touch {tmp_path}/ran; echo v1.25")) == 0
    assert not (tmp_path / "ran").exists()


def test_names_from_a_file_cannot_steer_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = 'unit C "\x1b[2Jx.c"\n  namespace "\x1b]0;t\x07"\n    structure_type "s"\n'
    path = write(tmp_path / "vmlinux", MIXED + text)
    run(path, "--no-probe", "-v")
    assert "\x1b" not in capsys.readouterr().out


def test_library_face(tmp_path: Path) -> None:
    result = btfcheck.scan(write(tmp_path / "vmlinux", LEAK))
    assert (result.status, result.kinds) == ("ok", {"L3t": 1})
    assert btfcheck.scan(tmp_path / "missing").status == "error"
