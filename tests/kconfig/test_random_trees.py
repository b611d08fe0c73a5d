# SPDX-License-Identifier: MIT
"""Random Kconfig files, and what the conf of real kernels made of them: every value must be theirs."""

from __future__ import annotations

import json
import lzma
import re
from pathlib import Path
from typing import Any

import pytest

from btfcheck.config import parse
from btfcheck.kconfig import tree
from btfcheck.kconfig.state import State

from .small_tree import MARKS, mark
from .test_tree import written

PACKED = Path(__file__).parents[1] / "data/kconfig/random-answers.json.xz"
FILES: list[dict[str, Any]] = json.loads(lzma.decompress(PACKED.read_bytes()))
VALUES = {"ARCH": "x86", "SRCARCH": "x86", "KERNELVERSION": "9.8.7", "WORD": "word", "EMPTY": ""}


def unquoted(word: str) -> str:
    return re.sub(r"\\(.)", r"\1", word[1:-1]) if word[:1] == '"' else word


@pytest.mark.parametrize("age", MARKS)
def test_every_value_is_what_conf_makes_it(age: str, tmp_path: Path) -> None:
    mark(tmp_path, age)
    files = [file for file in FILES if file["age"] == age]
    assert len(files) >= 250
    for file in files:
        (tmp_path / "Kconfig").write_text(file["kconfig"])
        kconf = tree.load(str(tmp_path), VALUES, lambda *_: "")
        again = tree.Tree(str(tmp_path), VALUES, lambda *_: "", kconf.parsed())
        for given, made in file["rows"]:
            words = parse(given, "given").words if given.strip() else {}
            for one in (kconf, again):
                tree.assign(one, words)
                assert written(one) == made, (file["kconfig"], given)
            if not kconf.leaves:  # which a State takes from the values
                State(again, {name: unquoted(word) for name, word in words.items()})
                assert written(again) == made, (file["kconfig"], given)


def test_they_have_what_is_easily_read_wrongly() -> None:
    """Else the test above would not see it."""
    text = "".join(file["kconfig"] for file in FILES)
    parts = ("depends on", "transitional", "optional", "imply", "range", "visible if", "menuconfig", "def_tristate",
             "$(V0", "$(0)", "$WORD", "# a comment \\\n", "&& \\\n")  # fmt: skip
    assert [part for part in parts if part not in text] == []
    assert any("config MODULES" not in file["kconfig"] for file in FILES)
