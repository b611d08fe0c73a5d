# SPDX-License-Identifier: MIT
"""The command line: exit codes, outputs, pipes, and that no error is a traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btfcheck import cli
from btfcheck.commands import VERBS, rules
from btfcheck.model import InputError, UsageError

ROOT = Path(__file__).parents[1]


def run(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "btfcheck", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, **options)  # type: ignore[call-overload,no-any-return]


def test_version_and_help() -> None:
    assert run("--version").stdout.startswith("btfcheck 0.")
    for verb in VERBS:
        done = run(verb, "--help")
        assert done.returncode == 0
        assert "examples:" in done.stdout
        assert "exit codes:" in done.stdout


def test_no_verb_prints_help_and_fails() -> None:
    done = run()
    assert (done.returncode, done.stdout) == (2, "")
    assert "verbs:" in done.stderr


@pytest.mark.parametrize("words", [("nosuch",), ("rules", "--nosuch"), ("rules", "--output", "xml"),
                                   ("rules", "--output", "json", "--output", "text"), ("rules", "-j", "0"),
                                   ("rules", "--rules", "/nosuch"), ("explain", "BTF000")])  # fmt: skip
def test_wrong_usage_is_2(words: tuple[str, ...]) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_several_outputs(tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    done = run("rules", "--output", f"json:{file}", "--output", "text")
    assert done.returncode == 0
    assert "BTF101" in done.stdout
    assert json.loads(file.read_text())["schema"] == 1
    assert list(tmp_path.iterdir()) == [file]


def test_unwritable_output(tmp_path: Path) -> None:
    done = run("rules", "--output", f"json:{tmp_path}/no/out.json")
    assert done.returncode == 2
    assert "cannot write" in done.stderr


def test_closed_pipe_is_quiet() -> None:
    shell = f"{sys.executable} -m btfcheck rules --output json | head -c 1"
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.stderr == ""


@pytest.mark.parametrize(("closed", "said"), [(">&-", ""), ("2>&-", "BTF101"), (">&- 2>&-", "")])
def test_closed_streams_change_no_exit_code(closed: str, said: str) -> None:
    shell = f"{sys.executable} -m btfcheck rules {closed}"
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert said in done.stdout


@pytest.mark.parametrize(("error", "code", "words"), [
    (UsageError("bad usage"), 2, "bad usage"), (InputError("bad input"), 3, "bad input"),
    (KeyboardInterrupt(), 130, "interrupted"), (ZeroDivisionError("oops"), 70, "please report"),
])  # fmt: skip
def test_errors_are_one_line(
    error: BaseException, code: int, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(rules, "run", fail)
    assert cli.main(["rules"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert len(err.splitlines()) == 1
    if code == 70:
        assert cli.main(["rules", "-v"]) == 70
        assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_ends_with_130(tmp_path: Path) -> None:
    fifo = tmp_path / "config"
    os.mkfifo(fifo)
    child = subprocess.Popen([sys.executable, "-m", "btfcheck", "check", str(fifo)], cwd=ROOT,
                             stderr=subprocess.PIPE, text=True)  # fmt: skip
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(1.5)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=10)
    assert child.returncode == 130
    assert err == "btfcheck: interrupted\n"


@pytest.mark.parametrize(("words", "inputs", "variables"), [
    ((".config", "LLVM=-19"), [".config"], {"LLVM": "-19"}),
    (("CC=ccache clang", "a"), ["a"], {"CC": "ccache clang"}),
    (("./A=b",), ["./A=b"], {}),
    (("M=",), [], {"M": ""}),
])  # fmt: skip
def test_make_variables(words: tuple[str, ...], inputs: list[str], variables: dict[str, str]) -> None:
    assert cli.split_variables(words) == (inputs, variables)


@given(st.lists(st.text(max_size=12), max_size=4))
def test_any_text_as_arguments(words: list[str]) -> None:
    from contextlib import redirect_stderr, redirect_stdout
    from io import StringIO

    with redirect_stdout(StringIO()), redirect_stderr(StringIO()) as err:
        try:
            code: object = cli.main(["explain", *words])
        except SystemExit as end:
            code = end.code
    assert code in (0, 2, 3)  # 3: a second word names a configuration, which is not there
    assert "internal error" not in err.getvalue()
