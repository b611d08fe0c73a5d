# SPDX-License-Identifier: MIT
"""A source tree in small, as a kernel of three ages would have it."""

from __future__ import annotations

import shutil
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "data/kconfig/tree"
# What rules_of looks for in scripts/kconfig, by the age whose conf gave the answers.
MARKS = {
    "6.1": ("", "sym_string_within_range"),
    "6.12": ('choice_members; newval.val = "0"', ""),
    "7.3": ('choice_members; newval.val = "0"', ""),
}


def make(folder: Path, age: str = "7.3") -> Path:
    """A copy of the tree at `folder`/linux."""
    root = folder / "linux"
    shutil.copytree(SOURCE, root)
    (root / "scripts/kconfig").mkdir()
    for name, text in zip(("symbol.c", "confdata.c"), MARKS[age], strict=True):
        (root / "scripts/kconfig" / name).write_text(f"/* {text} */\n")
    if age == "7.3":
        with (root / "init/Kconfig").open("a") as file:
            file.write((root / "init/Kconfig.new").read_text())
    return root
