# SPDX-License-Identifier: MIT
"""A source tree as its users meet it: where its configuration lies, what is broken, full, missing or closed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from btfcheck.cli import main

sys.path.append(str(Path(__file__).parents[1] / "kconfig"))
import small_tree

CONFIG = "# Linux/x86 9.8.7-test Kernel Configuration\nCONFIG_PAHOLE_VERSION=125\nCONFIG_DEBUG_INFO_BTF=y\n"


@pytest.fixture(autouse=True)
def _own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def run(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, Any, str]:
    code = main([*words, "--output", "json"])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else None, err


# ---------------------------------------------------------------- where the configuration lies


@pytest.mark.parametrize(("at", "words"), [
    ("linux/.config", ["--tree", "linux"]),
    ("linux/.config", ["--tree", "linux", "O="]),
    ("build/.config", ["--tree", "linux", "O=build"]),
    ("build/.config", ["--tree", "linux", "KBUILD_OUTPUT=build"]),
    ("build/my", ["--tree", "linux", "KBUILD_OUTPUT=build", "KCONFIG_CONFIG=my"]),
])  # fmt: skip
def test_the_configuration_of_a_tree_is_found(
    at: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    small_tree.make(tmp_path)
    (tmp_path / "build").mkdir()
    (tmp_path / at).write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    code, _, err = run(["check", *words, "--no-probe"], capsys)
    assert code == 0
    assert f"judging {at}" in err


@pytest.mark.parametrize("words", [["--tree", "linux"], ["O=nowhere"], ["KCONFIG_CONFIG=nowhere"]])
def test_the_running_kernel_is_not_judged_in_place_of_what_was_named(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    small_tree.make(tmp_path)
    monkeypatch.chdir(tmp_path)
    code, _, err = run(["check", *words, "--no-probe"], capsys)
    assert code == 3
    assert "not there: " in err or "none of these is there: " in err
