# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from btfcheck.cli import main
from btfcheck.gate import behaviour
from btfcheck.toolchain import probes, tools
from tests.fakes import write

NAMES = (*probes.NAMES, *behaviour.NAMES)
VARIABLES = [p.tool for p in probes.PROBES if p.tool != "LLVM"]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in (*tools.TOOLS, "LLVM", "LLVM_IAS", "CROSS_COMPILE", "RUST_LIB_SRC"):
        monkeypatch.delenv(name, raising=False)
    tools.forget()
    behaviour.forget()
    yield
    tools.forget()


@pytest.fixture
def nothing(tmp_path: Path) -> list[str]:
    """Arguments under which no tool at all is there."""
    return [f"{name}={tmp_path}/no-{name}" for name in VARIABLES]


def probe_json(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code = main(["probe", "--output", "json", *words])
    return code, json.loads(capsys.readouterr().out)


def test_json_has_every_fact(capsys: pytest.CaptureFixture[str], nothing: list[str]) -> None:
    code, data = probe_json(capsys, *nothing)
    assert code == 0, "an unknown fact alone is no failure"
    assert tuple(data["facts"]) == NAMES
    for name, fact in data["facts"].items():
        assert set(fact) >= {"value", "source", "live"}, name
        assert fact["live"] is True
        assert fact["value"] is not None or fact["reason"]
    assert data["facts"]["PAHOLE_VERSION"]["value"] == "0"
    assert {o["subject"] for o in data["outcomes"]} == {*VARIABLES, "LLVM"}
    assert {o["status"] for o in data["outcomes"] if o["subject"] != "LLVM"} == {"unknown"}
    assert data["command"] == "probe"


def test_text(capsys: pytest.CaptureFixture[str], nothing: list[str], tmp_path: Path) -> None:
    nothing[0] = f"PAHOLE={write(tmp_path / 'pahole', 'echo v1.31')}"
    assert main(["probe", *nothing, "--color", "never"]) == 0
    out = capsys.readouterr().out
    assert f"PAHOLE_VERSION               131       {tmp_path}/pahole --version\n" in out
    assert "RUSTC_VERSION                0 " in out
    assert f"unknown   {tmp_path}/no-BINDGEN: no such file" in out
    assert f"unknown[probe]: LD: {tmp_path}/no-LD: no such file" in out
    assert "could not be told" in out.splitlines()[-1]


def test_control_characters_do_not_reach_the_terminal(
    capsys: pytest.CaptureFixture[str], nothing: list[str], tmp_path: Path
) -> None:
    cc = write(tmp_path / "cc", r"printf 'gcc \033[31m\377\a 1.0\n'")
    main(["probe", *nothing, f"CC={cc}", "-v"])
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\a" not in out
    assert r"gcc \x1b[31m\xff\x07 1.0" in out


def test_one_fact(capsys: pytest.CaptureFixture[str], nothing: list[str], tmp_path: Path) -> None:
    words = [
        f"LD={write(tmp_path / 'ld', 'echo GNU ld 2.40')}",
        f"PAHOLE={write(tmp_path / 'p', f'touch {tmp_path}/ran')}",
    ]
    code, data = probe_json(capsys, *nothing, *words, "--fact", "LD_VERSION")
    assert code == 0
    assert {n: f["value"] for n, f in data["facts"].items()} == {"LD_VERSION": "24000"}
    assert not (tmp_path / "ran").exists()


def test_a_fact_that_was_asked_for_must_be_known(
    capsys: pytest.CaptureFixture[str], nothing: list[str]
) -> None:
    code, data = probe_json(capsys, *nothing, "--fact", "LD_VERSION")
    assert code == 3
    assert data["outcomes"][0]["missing"] == ["LD_VERSION"]
    assert probe_json(capsys, *nothing, "--fact", "LD_VERSION", "--allow-unknown")[0] == 0
    assert probe_json(capsys, *nothing, "--fact", "PAHOLE_VERSION")[0] == 0, "0 is what Kconfig records"
    assert probe_json(capsys, *nothing, "--fact", "PAHOLE_EXCLUDES_RUST")[0] == 3


def test_a_tool_from_the_environment_is_told(
    capsys: pytest.CaptureFixture[str], nothing: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OBJCOPY", "my-objcopy")
    code, data = probe_json(capsys, *nothing)
    (note,) = [o for o in data["outcomes"] if o["status"] == "finding"]
    assert code == 0
    assert note["severity"] == "note"
    assert note["message"].startswith("OBJCOPY=my-objcopy is taken from the environment")
    assert probe_json(capsys, *nothing, "--fail-on", "note")[0] == 1
    assert probe_json(capsys, *nothing, "OBJCOPY=objcopy", "--fail-on", "never")[1]["summary"]["notes"] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["file.config"], "not VAR=VALUE"),
        (["--fact", "NO_SUCH"], "no fact 'NO_SUCH'"),
    ],
)
def test_wrong_usage(capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    assert main(["probe", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "x"])
def test_wrong_timeout(seconds: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["probe", f"--timeout={seconds}"])
    assert stopped.value.code == 2


def test_no_probe(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    tool = write(tmp_path / "tool", f"touch {tmp_path}/ran")
    code, data = probe_json(capsys, "--no-probe", *(f"{name}={tool}" for name in VARIABLES))
    assert (code, data["facts"]) == (4, {})
    assert not (tmp_path / "ran").exists()


def test_commands_are_told_with_vv(
    capsys: pytest.CaptureFixture[str], nothing: list[str], tmp_path: Path
) -> None:
    ld = write(tmp_path / "ld", "echo GNU ld 2.40")
    main(["probe", *nothing, f"LD={ld}", "-vv"])
    assert f" s  {ld} --version\n" in capsys.readouterr().err
