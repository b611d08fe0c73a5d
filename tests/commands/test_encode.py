# SPDX-License-Identifier: MIT
"""`btfcheck encode`: the examples of its rules with paholes that misbehave, and real ones on the leak samples."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from btfcheck.btf import oracle
from btfcheck.cli import main
from btfcheck.lint.rules import Rule, load
from btfcheck.model import InputError
from btfcheck.toolchain import tools
from tests.dwarf.conftest import TRUTH, samples, unpacked
from tests.fakes import processes
from tests.gate.scenes import scene

samples = samples  # a fixture of the scan's tests
SCHEMA = json.loads((Path(__file__).parents[2] / "btfcheck/formats/report.schema.json").read_text())
RULES = load(stages=("encode",)).rules
CASES = [(r, e) for r in RULES.values() for e in r.examples if not e["input"].startswith("gate")]
PAHOLES = {
    "1.24": shutil.which("pahole") or "",
    **{v: f"{os.environ.get('BTFCHECK_PAHOLES', '')}/pahole-{v}/pahole" for v in ("1.30", "1.32")},
}
DEVICE = 'pahole writes\nbtf struct device 8\nunit C "main.c"\n  structure_type "device" byte_size=8\n'


@pytest.fixture(autouse=True)
def _afresh() -> None:
    tools.forget()


def encode(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code = main(["encode", "--output", "json", *words])
    out = capsys.readouterr().out
    data = json.loads(out) if out else {}
    if data:
        jsonschema.validate(data, SCHEMA)
    return code, data


def run_scene(text: str, folder: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, dict[str, Any]]:
    made = scene(text, folder)
    if text.startswith("btf"):
        source = made.btf if "no debug information" in text else made.elf
        if source == made.btf:
            made.elf.write_bytes(without_debug(made.elf.read_bytes()))
        return encode(capsys, str(made.elf), "--btf", str(made.btf), "--kernel", made.kernel, *more)
    if made.resolve:
        more = (*more, f"RESOLVE_BTFIDS={made.resolve}")
    return encode(capsys, str(made.elf), "--pahole", made.pahole, "--kernel", made.kernel, "--timeout", "2", *more)


def without_debug(data: bytes) -> bytes:
    return data.replace(b".debug_info\0", b".nodeb_info\0")


@pytest.mark.parametrize(("rule", "example"), CASES, ids=[f'{r.id}-{e["title"]}' for r, e in CASES])
def test_example(
    rule: Rule, example: Mapping[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, data = run_scene(example["input"], tmp_path, capsys)
    found = {o["rule"]: o for o in data["outcomes"]}
    assert found[rule.id]["status"] == example["expect"], data
    if example["expect"] == "finding":
        severity = found[rule.id]["severity"]
        assert severity == rule.severity.value
        assert code == (1 if severity == "error" else 0) or any(
            o["status"] == "finding" and o["severity"] == "error" for o in data["outcomes"]
        )
        assert found[rule.id]["fix"] == ("" if severity == "note" else rule.fix)


@pytest.mark.parametrize("does", [
    "nothing", "fails", "crashes", "writes and crashes", "hangs", "hangs with a child", "floods", "empties", "cuts",
    "tails", "writes rubbish",
])  # fmt: skip
def test_a_bad_pahole_is_never_accepted(does: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, data = run_scene(DEVICE.replace("writes", does), tmp_path, capsys)
    (row,) = data["encodings"]
    assert (code, row["written"], row["accepted"]) == (1, False, False)


def test_nothing_is_left_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("BTFCHECK_TEST_MARK", str(tmp_path))
    for does in ("writes", "hangs with a child", "crashes"):
        run_scene(DEVICE.replace("writes", does), tmp_path / does, capsys)
    assert list(place.iterdir()) == []
    assert [p for p in processes(f"BTFCHECK_TEST_MARK={tmp_path}") if p != os.getpid()] == []


def test_the_input_is_never_written_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = scene(DEVICE, tmp_path)
    made.elf.chmod(0o444)
    before = made.elf.read_bytes(), made.elf.stat().st_mtime_ns
    code, _ = encode(capsys, str(made.elf), "--pahole", made.pahole, "--kernel", "6.12")
    assert code == 0
    assert (made.elf.read_bytes(), made.elf.stat().st_mtime_ns) == before


def test_several_paholes_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = scene(DEVICE, tmp_path / "good")
    bad = scene(DEVICE.replace("writes", "nothing"), tmp_path / "bad")
    code, data = encode(capsys, str(good.elf), "--pahole", good.pahole, "--pahole", bad.pahole, "--kernel", "6.12")
    assert code == 1
    assert [row["result"] for row in data["encodings"]] == ["accepted", "no-btf"]


def test_text_has_a_line_for_each_pahole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = scene(DEVICE, tmp_path)
    assert main(["encode", str(made.elf), "--pahole", made.pahole, "--kernel", "6.12"]) == 0
    out = capsys.readouterr().out
    assert f"pahole 1.32 ({made.pahole}): accepted  (Linux 6.12, nothing leaked, nothing lost" in out


def test_keep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = scene(DEVICE, tmp_path)
    kept = tmp_path / "kept"
    encode(capsys, str(made.elf), "--pahole", made.pahole, "--kernel", "6.12", "--keep", str(kept))
    assert (kept / "vmlinux.pahole-1.32.btf").read_bytes() == made.btf.read_bytes()


@pytest.mark.parametrize(
    ("words", "code"),
    [(["{elf}", "--kernel", "6.12", "--no-probe"], 2), (["{elf}", "{elf}"], 2), (["{elf}", "--timeout", "0"], 2),
     (["{elf}"], 3), (["{elf}.none", "--kernel", "6.12"], 3),
     (["{elf}", "--btf", "{elf}.none", "--kernel", "6.12"], 3)],
)  # fmt: skip
def test_usage(words: list[str], code: int, tmp_path: Path) -> None:
    made = scene(DEVICE, tmp_path)
    try:
        found = main(["encode", *(word.format(elf=made.elf) for word in words)])
    except SystemExit as end:
        found = int(str(end.code))
    assert found == code


def test_no_debug_information_is_nothing_to_encode(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = scene(DEVICE, tmp_path)
    made.elf.write_bytes(without_debug(made.elf.read_bytes()))
    code, data = encode(capsys, str(made.elf), "--pahole", made.pahole, "--kernel", "6.12")
    assert code == 4
    assert "nothing to encode" in data["summary"]["nothing"]


def test_unreadable_units_leave_questions_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = DEVICE + 'unit C "bad.c"\n  structure_type "lost" byte_size=0x10!0x7e\n'
    code, data = run_scene(broken, tmp_path, capsys)
    assert {o["rule"]: o["status"] for o in data["outcomes"]}["BTF510"] == "unknown"
    assert code == 3


# -- real paholes ------------------------------------------------------------------------------------------

REAL = [(name, v) for name, row in TRUTH.items() for v in row.get("pahole", {}) if v in PAHOLES]


@pytest.mark.needs(PAHOLES["1.24"] or "pahole")
@pytest.mark.parametrize("name", sorted({n for n, _ in REAL}))
def test_leak_samples(name: str, samples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = [v for v in ("1.24", "1.30") if os.path.exists(PAHOLES[v])]
    words = [w for v in there for w in ("--pahole", PAHOLES[v])]
    _, data = encode(capsys, str(samples / name), "--kernel", "6.12", *words)
    results = [row["result"] for row in data["encodings"]]
    assert results == [TRUTH[name]["pahole"][v]["result"] for v in there]


SILENT = {
    "kq-22-fullns-5": {"clashes": ["struct device"], "rust": ["struct registry"], "void": []},
    "kw-22-full-5": {
        "clashes": [], "rust": [], "void": ["function c_call.f", "struct with_hook.hook", "struct with_hook.table"],
    },
}  # fmt: skip


@pytest.mark.parametrize("name", SILENT)
def test_a_silent_leak_is_found(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Under full LTO a Rust `device` of valid names lands in the C unit, or C's hooks become `void *`: the kernel
    takes the BTF of both."""
    folder = unpacked("silent.tar.xz", tmp_path) / name
    ways = [["--btf", str(folder / "pahole-1.30.btf")]]
    ways += [["--pahole", PAHOLES[v]] for v in ("1.30", "1.32") if os.path.exists(PAHOLES[v])]
    for way in ways:
        code, data = encode(capsys, str(folder / "vmlinux"), "--kernel", "6.12", *way)
        (row,) = data["encodings"]
        assert (code, row["accepted"]) == (1, True), way
        assert {key: row["names"][key] for key in SILENT[name]} == SILENT[name]
        assert (row["lost_types"], row["lost_functions"], row["untraced"]) == (0, 0, 0)


@pytest.mark.accept
@pytest.mark.parametrize("name", SILENT)
def test_the_running_kernel_takes_the_silent_leak(name: str, tmp_path: Path) -> None:
    folder = unpacked("silent.tar.xz", tmp_path) / name
    try:
        answer = oracle.ask((folder / "pahole-1.30.btf").read_bytes(), message=False)
    except InputError as error:
        pytest.skip(str(error))
    assert answer.accepted


@pytest.mark.accept
@pytest.mark.needs(PAHOLES["1.32"])
def test_pahole_1_32_as_the_running_kernel_judges(samples: Path, tmp_path: Path,
                                                  capsys: pytest.CaptureFixture[str]) -> None:
    for name, row in TRUTH.items():
        if not row.get("pahole"):
            continue
        _, data = encode(capsys, str(samples / name), "--kernel", "6.18", "--pahole", PAHOLES["1.32"],
                         "--keep", str(tmp_path))
        (made,) = data["encodings"]
        kept = tmp_path / f"{Path(name).name}.pahole-1.32.btf"
        try:
            expected = oracle.ask(kept.read_bytes(), message=False).accepted if kept.exists() else False
        except InputError as error:
            pytest.skip(str(error))
        assert made["accepted"] == expected, name
        kept.unlink(missing_ok=True)


def test_the_small_kernel_of_the_demo(capsys: pytest.CaptureFixture[str]) -> None:
    """What `make demo` shows where there is no pahole."""
    folder = Path(__file__).parents[1] / "data/small_kernel"
    words = [str(folder / "vmlinux"), "--kernel", "6.12", "--btf", str(folder / "vmlinux.pahole-1.24.btf")]
    code, data = encode(capsys, *words)
    (row,) = data["encodings"]
    assert (code, row["accepted"], row["rust_types"], row["rust_functions"]) == (1, False, 36, 1)


def test_the_tree_s_own_flags_win(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = scene(DEVICE, tmp_path)
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/pahole-flags.sh").write_text("echo --of_the_tree\n")
    words = [str(made.elf), "--pahole", made.pahole, "--kernel", "6.16.2", "--tree", str(tmp_path)]
    code, data = encode(capsys, *words)
    (row,) = data["encodings"]
    assert (code, row["flags"], row["flags_of"], row["assumed"]) == (0, ["--of_the_tree"], str(tmp_path), False)


@pytest.mark.parametrize(("patchlevel", "told"), [(16, False), (17, True)])
def test_flags_of_another_kernel_than_the_one_that_is_judged_are_told(
    patchlevel: int, told: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = scene(DEVICE, tmp_path)
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/pahole-flags.sh").write_text("echo --of_the_tree\n")
    (tmp_path / "Makefile").write_text(f"VERSION = 6\nPATCHLEVEL = {patchlevel}\nSUBLEVEL = 0\n")
    main(["encode", str(made.elf), "--pahole", made.pahole, "--kernel", "6.16.2", "--tree", str(tmp_path)])
    said = f"the flags are those of Linux 6.17.0 ({tmp_path}), and the BTF is judged for Linux 6.16.2"
    assert (said in capsys.readouterr().err) is told


@pytest.mark.parametrize(("version", "register", "status"), [
    ("1.30", 3, "ok"), ("1.30", 5, "finding"), ("1.32", 3, "finding"), ("1.24", 3, "finding"),
])
def test_what_1_30_does_not_say(
    version: str, register: int, status: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From 1.28 to 1.30 a parameter in another register than its number says is a reason that is not printed."""
    function = (
        '  subprogram "probe" low_pc=0x1000\n'
        f'    formal_parameter "id" type=@int location=0x{0x50 + register:x}!exprloc\n'
        '  base_type "int" byte_size=4 encoding=5 as int\n'
    )
    made = scene(DEVICE + function, tmp_path)
    script = Path(made.pahole)
    script.write_text(script.read_text().replace("v1.32", f"v{version}").replace("132", version.replace(".", "")))
    code, data = encode(capsys, str(made.elf), "--pahole", made.pahole, "--kernel", "6.12")
    (found,) = [o for o in data["outcomes"] if o["rule"] == "BTF511"]
    assert (code, found["status"]) == (0, status), found
