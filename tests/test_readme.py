# SPDX-License-Identifier: MIT
"""What the README shows is what the commands print."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from btfcheck import cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```console\n\$ btfcheck ([^\n]*)\n(.*?)```", README, re.S)


@pytest.mark.parametrize(("words", "shown"), BLOCKS, ids=[words for words, _ in BLOCKS])
def test_shown_output(
    words: str, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    cli.main(shlex.split(words))
    assert capsys.readouterr().out == shown


def test_there_are_blocks_and_every_verb_is_named() -> None:
    assert BLOCKS
    for verb in ("check", "probe", "scan", "validate", "explain", "rules"):
        assert f"btfcheck {verb}" in README
