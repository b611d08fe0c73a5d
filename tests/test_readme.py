# SPDX-License-Identifier: MIT
"""The newcomer's path: what README shows is run as it stands, in a shell, and prints what README shows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```console\n(.*?)```", README, re.S)


def steps(block: str) -> list[tuple[str, str]]:
    """(command, what is shown of its output) of a block."""
    return re.findall(r"^\$ ([^\n]*)\n((?:(?!\$ )[^\n]*\n)*)", block, re.M)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda b: b.split("\n")[0])
def test_a_block_prints_what_it_shows(block: str, tmp_path: Path) -> None:
    program = tmp_path / "btfcheck"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m btfcheck "$@"\n')
    program.chmod(0o755)
    # One shell for the block, so that $? is that of the command before; NUL after each command.
    script = "".join(f"{command}\nstatus=$?; printf '\\0'; (exit $status)\n" for command, _ in steps(block))
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True,
                          env={"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"})
    assert done.stderr == ""
    assert done.stdout.split("\0")[:-1] == [shown for _, shown in steps(block)]


def test_there_is_a_failing_example_and_every_verb_is_named() -> None:
    assert any("error[" in shown for block in BLOCKS for _, shown in steps(block))
    for verb in ("check", "probe", "scan", "validate", "encode", "gate", "matrix", "explain", "baseline", "rules"):
        assert f"btfcheck {verb}" in README


def test_the_two_commands_are_targets_of_make() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^    make (\w+)", README, re.M):
        assert re.search(rf"^{target}:", makefile, re.M)
