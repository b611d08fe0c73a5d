# SPDX-License-Identifier: MIT
"""A source tree in small, as a kernel of three ages would have it."""

from __future__ import annotations

import shutil
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "data/kconfig/tree"
# What rules_of looks for in scripts/kconfig, by the age whose conf gave the answers.
MARKS = {
    "6.1": ("", "sym_string_within_range", "optional", ""),
    "6.12": ('choice_members; newval.val = "0"', "", "", ""),
    "7.3": ('choice_members; newval.val = "0"', "", "transitional", "repeated inclusion"),
}
FILES = ("symbol.c", "confdata.c", "lexer.l", "util.c")
WORDS = ("bool", "choice", "comment", "config", "def_bool", "def_tristate", "default", "depends", "endchoice", "endif",
         "endmenu", "help", "hex", "if", "imply", "int", "mainmenu", "menu", "menuconfig", "modules", "on", "prompt",
         "range", "select", "source", "string", "tristate", "visible")  # fmt: skip


def make(folder: Path, age: str = "7.3") -> Path:
    """A copy of the tree at `folder`/linux."""
    root = folder / "linux"
    shutil.copytree(SOURCE, root)
    mark(root, age)
    if age == "7.3":
        with (root / "init/Kconfig").open("a") as file:
            file.write((root / "init/Kconfig.new").read_text())
    return root


def mark(root: Path, age: str) -> None:
    """Give a tree what tells the age of its conf."""
    (root / "scripts/kconfig").mkdir(parents=True)
    for name, text in zip(FILES, MARKS[age], strict=True):
        (root / "scripts/kconfig" / name).write_text(f"/* {text} */\n")
    words = [*WORDS, MARKS[age][2]]
    (root / "scripts/kconfig/lexer.l").write_text("".join(f'"{w}"\t\treturn T_{w.upper()};\n' for w in words))
