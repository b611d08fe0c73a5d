# SPDX-License-Identifier: MIT
"""The verb: exit codes, text, JSON, bases, several kernels, differences, the oracle."""

from __future__ import annotations

import json
import lzma
import os
import random
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from btfcheck import cli
from btfcheck.btf import oracle, source
from btfcheck.btf.oracle import Answer
from btfcheck.model import InputError
from btfcheck.release import parse
from tests.btf import files
from tests.btf.blob import Blob

SCHEMA = json.loads((resources("btfcheck.formats") / "report.schema.json").read_text())


@pytest.fixture(autouse=True)
def _a_running_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "running", lambda: parse("6.18.44"))


def kernel() -> Blob:
    blob = Blob()
    blob.struct("device", 4, [("id", blob.int(), 0)])
    return blob


def own(base: Blob) -> Blob:
    blob = Blob(len(base.records) + 1, len(base.text))
    blob.func("mine_init", blob.proto(1))
    return blob


def rust() -> bytes:
    blob = kernel()
    blob.struct("Option<u32>", 8, [("__0", 1, 32)])
    blob.struct("Formatter", 8, [("flags", 1, 32), ("width", 1, 0)])
    return blob.bytes()


def run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    try:
        code = cli.main(["validate", *map(str, words)])
    except SystemExit as exit_:
        code = int(exit_.code or 0)
    text = capsys.readouterr()
    return code, text.out, text.err


def as_json(capsys: pytest.CaptureFixture[str], *words: str | Path) -> dict[str, Any]:
    _, out, _ = run(capsys, *words, "--output", "json")
    document: dict[str, Any] = json.loads(out)
    jsonschema.validate(document, SCHEMA)
    return document


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_an_accepted_vmlinux(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = put(tmp_path / "vmlinux", files.vmlinux(kernel().bytes()))
    code, out, _ = run(capsys, path)
    assert code == 0
    assert f"{path}: accepted by Linux 6.12.117 as vmlinux, 2 types" in out


def test_a_refused_one_is_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = put(tmp_path / "vmlinux", files.vmlinux(rust()))
    code, out, _ = run(capsys, path)
    assert code == 1
    for text in (
        "error[BTF401]: Linux 6.12.117 refuses it as vmlinux: EINVAL: [3] STRUCT Option<u32> size=8 vlen=1 Invalid",
        "BTF type 3, STRUCT Option<u32>",
        "struct Option<u32> {  /* type 3, 8 bytes */",
        "usually: a Rust name",
        "1 more: Invalid member bits_offset: [4] STRUCT Formatter, member width",
        "warning[BTF405]: 1 types came from Rust",
        "1 error, 1 warning",
    ):
        assert text in out
    assert run(capsys, path, "--first")[1].count("Formatter") == 0


def test_the_plain_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = put(tmp_path / "vmlinux", files.vmlinux(rust()))
    document = as_json(capsys, path)
    (verdict,) = document["verdicts"]
    assert {key: verdict[key] for key in ("path", "kernel", "as", "accepted", "errno", "message")} == {
        "path": str(path), "kernel": "6.12.117", "as": "vmlinux", "accepted": False, "errno": 22,
        "message": "[3] STRUCT Option<u32> size=8 vlen=1 Invalid name",
    }  # fmt: skip
    assert [(f["rule"], f["type_id"], f["member"]) for f in verdict["faults"]] == [
        ("STRUCT.2", 3, ""), ("STRUCT.6", 4, "width"),
    ]  # fmt: skip
    assert document["summary"]["exit"] == 1


def test_fingerprints_know_no_ids(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blob = Blob()
    blob.ptr(0)
    for front in ([], [1, 2]):
        shifted = Blob()
        for _ in front:
            shifted.ptr(0)
        shifted.typedef("a<b>", 0)
        put(tmp_path / str(len(front)) / "vmlinux", files.vmlinux(shifted.bytes()))
    prints = [as_json(capsys, tmp_path / str(n) / "vmlinux")["outcomes"][0]["fingerprint"] for n in (0, 2)]
    assert prints[0] == prints[1]


def test_a_verdict_for_each_kernel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blob = kernel()
    blob.add(18, "t", 1, kflag=True)  # a tag with the kind flag: from 6.15 on
    path = put(tmp_path / "x.btf", blob.bytes())
    verdicts = as_json(capsys, path, "--kernel", "6.1,6.12.117,6.15,9.4,running")["verdicts"]
    assert [(v["kernel"], v["as"], v["accepted"]) for v in verdicts] == [
        ("6.1", "user", False), ("6.12.117", "user", False), ("6.15", "user", True), ("9.4", "user", True),
        ("6.18.44", "user", True),
    ]  # fmt: skip
    assert "judged as 7.3" in run(capsys, path, "--kernel", "9.4")[1]


def test_as_another_reader(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blob = kernel()
    blob.ptr(99)
    path = put(tmp_path / "x.btf", blob.bytes())
    assert run(capsys, path)[0] == 1
    assert run(capsys, path, "--as", "vmlinux")[0] == 0


def test_big_endian_blobs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = put(tmp_path / "x.btf", kernel().bytes(">"))
    assert run(capsys, path)[0] == 1
    assert run(capsys, path, "--big-endian")[0] == 0


# -- modules --------------------------------------------------------------------------------------------


def test_a_module_finds_its_vmlinux(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path / "vmlinux", files.vmlinux(kernel().bytes()))
    path = put(tmp_path / "drivers" / "mine.ko", files.module(own(kernel()).bytes()))
    code, out, _ = run(capsys, path)
    assert code == 0
    assert "accepted by Linux 6.12.117 as module" in out


def test_a_module_without_vmlinux_is_not_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = put(tmp_path / "mine.ko", files.module(own(kernel()).bytes()))
    code, out, _ = run(capsys, path)
    assert code == 3
    assert "unknown[BTF402]: no vmlinux to judge this module on" in out
    assert run(capsys, path, "--allow-unknown")[0] == 0
    (verdict,) = as_json(capsys, path)["verdicts"]
    assert (verdict["accepted"], verdict["errno"]) == (None, None)


def test_a_module_on_another_vmlinux(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = kernel()
    other.ptr(0)
    base = put(tmp_path / "vmlinux", files.vmlinux(other.bytes()))
    path = put(tmp_path / "mine.ko", files.module(own(kernel()).bytes()))
    code, out, _ = run(capsys, path, "--base", base)
    assert code == 1
    assert "error[BTF402]: built with another vmlinux: 1 types refer to what is not there, as [5] mine_init" in out


def test_the_vmlinux_that_is_named_comes_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path / "a" / "vmlinux", b"not the one")
    named = put(tmp_path / "b" / "vmlinux", files.vmlinux(kernel().bytes()))
    path = put(tmp_path / "a" / "mine.ko", files.module(own(kernel()).bytes()))
    assert run(capsys, named, path)[0] == 0


def test_a_vmlinux_without_btf_judges_no_module(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path / "vmlinux", files.elf({".text": b"x"}))
    code, out, _ = run(capsys, put(tmp_path / "mine.ko", files.module(own(kernel()).bytes())))
    assert code == 3
    assert "as base: " in out


def test_standalone_btf_in_a_module(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = put(tmp_path / "vmlinux", files.vmlinux(kernel().bytes()))
    path = put(tmp_path / "mine.ko", files.module(kernel().bytes()))
    assert "standalone BTF" in run(capsys, path, "--base", base)[1]


def test_a_distilled_base(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    below = Blob()
    below.int()
    path = put(tmp_path / "mine.ko", files.module(own(below).bytes(), distilled=below.bytes()))
    code, out, _ = run(capsys, path)
    assert code == 0
    assert "depends on the kernel that runs" in out
    base = put(tmp_path / "vmlinux", files.vmlinux(kernel().bytes()))
    assert "accepted" in run(capsys, path, "--base", base)[1]
    assert run(capsys, path, "--base", base, "--kernel", "6.10")[0] == 1


def test_a_whole_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path / "vmlinux", files.vmlinux(kernel().bytes()))
    for i in range(30):
        put(tmp_path / "fs" / f"m{i:02}.ko.xz", lzma.compress(files.module(own(kernel()).bytes())))
    put(tmp_path / "fs" / "plain.ko", files.elf({".text": b"x"}, files.ET_REL))
    put(tmp_path / "fs" / "bad.ko", files.module(own(kernel()).bytes()[:-2]))
    code, out, _ = run(capsys, tmp_path)
    assert code == 1
    assert "32 verdicts: 31 accepted, 1 refused, 0 open" in out
    assert out.count(" accepted by ") == 0
    assert "bad.ko: refused by Linux 6.12.117 as module" in out
    outcomes = as_json(capsys, tmp_path)["outcomes"]
    assert [o["subject"] for o in outcomes if o["rule"] == "BTF401" and o["status"] == "skip"] == ["fs/plain.ko"]


def test_an_installed_kernel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path / "boot" / "vmlinuz-6.12.117", files.bzimage(files.vmlinux(kernel().bytes())))
    put(tmp_path / "lib/modules/6.12.117/kernel/mine.ko", files.module(own(kernel()).bytes()))
    code, out, _ = run(capsys, "--installed", "6.12.117", "--root", tmp_path)
    assert code == 0
    assert out.count("accepted by Linux 6.12.117") == 2
    assert run(capsys, "--installed", "6.13", "--root", tmp_path)[0] == 3


# -- what cannot be judged ------------------------------------------------------------------------------


def test_unreadable_files_do_not_end_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = put(tmp_path / "vmlinux", files.vmlinux(kernel().bytes()))
    code, out, _ = run(capsys, tmp_path / "gone", path)
    assert code == 3
    assert "gone: No such file" in out
    assert "accepted by" in out


def test_nothing_to_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, put(tmp_path / "vmlinux", files.elf({".text": b"x"})))
    assert code == 4
    assert "nothing to check: no BTF in" in out


WRONG = [[], ["x", "--kernel", "5.10"], ["x", "--kernel", "nonsense"], ["x", "--as", "kernel"]]


@pytest.mark.parametrize("words", WRONG)
def test_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, *words)[0] == 2


# -- the oracle and differences ---------------------------------------------------------------------------


@pytest.mark.parametrize(("answer", "code", "text"), [
    (Answer(True, 0, ""), 0, "through bpf(): accepted, the same as expected"),
    (Answer(False, 22, "[1] INT int Invalid name"), 1, "error[BTF409]: the running kernel says EINVAL: [1] INT int"),
])
def test_the_oracle(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
                    answer: Answer, code: int, text: str) -> None:
    monkeypatch.setattr(oracle, "ask", lambda _: answer)
    path = put(tmp_path / "x.btf", kernel().bytes())
    found, out, _ = run(capsys, path, "--oracle")
    assert found == code
    assert text in out
    assert as_json(capsys, path, "--oracle")["verdicts"][0]["oracle"]["agrees"] is (code == 0)


def test_an_oracle_that_cannot_be_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                        monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: bytes) -> Answer:
        raise InputError("bpf() needs root or CAP_BPF")

    monkeypatch.setattr(oracle, "ask", refuse)
    code, out, _ = run(capsys, put(tmp_path / "x.btf", kernel().bytes()), "--oracle")
    assert code == 3
    assert "needs root" in out


def test_the_oracle_is_asked_for_module_and_base_as_one(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    def answer(data: bytes) -> Answer:
        asked.append(data)
        return Answer(True, 0, "")

    monkeypatch.setattr(oracle, "ask", answer)
    base = put(tmp_path / "vmlinux", files.vmlinux(kernel().bytes()))
    path = put(tmp_path / "mine.ko", files.module(own(kernel()).bytes()))
    assert run(capsys, path, "--base", base, "--oracle")[0] == 0
    assert len(asked[0]) == len(kernel().bytes()) + len(own(kernel()).bytes()) - 24


def test_differences(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = kernel()
    new.func("probe", new.proto())
    old_file = put(tmp_path / "old", files.vmlinux(kernel().bytes()))
    new_file = put(tmp_path / "new", files.vmlinux(new.bytes()))
    code, out, _ = run(capsys, "--diff", old_file, new_file)
    assert code == 0
    assert "+ function probe\n" in out
    assert "1 added, 0 removed, 0 changed" in out
    assert as_json(capsys, "--diff", old_file, new_file)["diff"]["added"][0]["name"] == "probe"
    assert run(capsys, "--diff", old_file, put(tmp_path / "cut", kernel().bytes()[:-9]))[0] == 3


def test_terminals_are_safe_from_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blob = kernel()
    blob.typedef("a\x1b[31m", 1)
    _, out, _ = run(capsys, put(tmp_path / "x.btf", blob.bytes()))
    assert "\x1b" not in out
    assert "a\\x1b[31m" in out


# -- real kernels -----------------------------------------------------------------------------------------


def installed_kernels() -> list[tuple[str, str]]:
    """(root, release) below / and below BTFCHECK_KERNELS, where packages may have been unpacked."""
    return [
        (root, folder.name)
        for root in filter(None, ("/", os.environ.get("BTFCHECK_KERNELS")))
        for folder in sorted(Path(root, "lib/modules").glob("*"))
        if Path(root, "boot", f"vmlinuz-{folder.name}").exists()
    ]


@pytest.mark.accept
def test_distribution_kernels_and_all_their_modules_are_accepted(capsys: pytest.CaptureFixture[str]) -> None:
    kernels = installed_kernels()
    if not kernels:
        pytest.skip("no kernel with modules is installed, and BTFCHECK_KERNELS names no directory with one")
    for root, release in kernels:
        document = as_json(capsys, "--installed", release, "--root", root)
        assert {v["accepted"] for v in document["verdicts"]} == {True}
        assert len(document["verdicts"]) > 10
        assert document["summary"]["errors"] == document["summary"]["warnings"] == 0


@pytest.mark.accept
@pytest.mark.needs("/sys/kernel/btf/vmlinux")
def test_the_running_kernel_is_accepted(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    for path in ("user", "vmlinux"):
        document = as_json(capsys, "/sys/kernel/btf/vmlinux", "--as", path, "--oracle", "--allow-unknown")
        assert document["verdicts"][0]["accepted"] is True
        assert document["verdicts"][0].get("oracle", {"agrees": True})["agrees"]
        assert document["summary"]["errors"] == 0


def containers() -> list[tuple[str, bytes]]:
    below = Blob()
    below.int()
    return [
        ("vmlinux", files.vmlinux(rust())),
        ("vmlinuz", files.bzimage(files.vmlinux(kernel().bytes()))),
        ("Image", files.arm64_image(kernel().bytes())),
        ("a.ko", files.module(own(kernel()).bytes())),
        ("b.ko", files.module(own(below).bytes(), distilled=below.bytes())),
        ("a.ko.xz", lzma.compress(files.module(own(kernel()).bytes()))),
        ("x.btf", rust()),
    ]


@pytest.mark.parametrize(("name", "data"), containers(), ids=[name for name, _ in containers()])
def test_damaged_files_never_crash(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, data: bytes) -> None:
    base = put(tmp_path / "base" / "vmlinux", files.vmlinux(kernel().bytes()))
    draw = random.Random(name)
    for _ in range(60):
        mangled = bytearray(data)
        for _ in range(draw.randint(1, 6)):
            at = draw.randrange(min(len(mangled), draw.choice((64, 256, len(mangled)))))
            mangled[at] = draw.choice((0, 1, 0x7F, 0xFF, draw.randrange(256)))
        if draw.random() < 0.2:
            del mangled[draw.randrange(len(mangled)) :]
        path = put(tmp_path / name, bytes(mangled))
        extra = ["--base", base] if name.startswith(("a.", "b.")) else []
        code, out, _ = run(capsys, path, *extra, "--kernel", draw.choice(("6.1", "6.12,7.3", "running")))
        assert code in (0, 1, 3, 4), out
