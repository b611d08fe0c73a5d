# SPDX-License-Identifier: MIT
"""Trees that were parsed before: equal to those parsed now, and taken only where nothing changed."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kconfiglib as kl
import pytest

from btfcheck.commands.check import check_config
from btfcheck.kconfig import answers, environment, stored, tree
from btfcheck.kconfig.dialect import KernelKconfig
from btfcheck.model import InputError
from btfcheck.toolchain.tools import forget

from .small_tree import MARKS, make

VALUES = {"ARCH": "x86", "SRCARCH": "x86", "KERNELVERSION": "9.8.7-test"}


@pytest.fixture(autouse=True)
def _store_at_once(own_store: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    monkeypatch.setattr(stored, "_SETTLED", -(10**18))  # the files of a test are always new


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The roots of the trees that were parsed, not taken from the store."""
    found: list[str] = []

    def counted(root: str, *rest: Any) -> tree.Tree:
        found.append(root)
        return load(root, *rest)

    load = tree.load
    monkeypatch.setattr(tree, "load", counted)
    return found


def open_tree(root: Path, **variables: str) -> tree.Tree:
    return tree.open_tree(str(root), {"ARCH": "x86", **variables}, facts={"PAHOLE_VERSION": "130"})


def shape(kconf: KernelKconfig) -> dict[str, Any]:
    """All that is kept, in names."""
    choices = {choice: f"<choice {i}>" for i, choice in enumerate(kconf.unique_choices)}

    def name(item: Any) -> Any:
        if item.__class__ is tuple:
            return (item[0], *map(name, item[1:]))
        return choices.get(item, ("constant", item.name) if item.is_constant else item.name)

    def rows(rows: Any) -> list[Any]:
        return [tuple(map(name, row)) for row in rows]

    def places(item: Any) -> list[Any]:
        nodes = [(n.prompt and (n.prompt[0], name(n.prompt[1])), name(n.dep), n.filename, n.linenr, name(n.item))
                 for n in item.nodes]  # fmt: skip
        return [nodes, [[w._replace(expr=name(w.expr)) for w in chain] for chain in kconf.definitions(item)]]

    def common(x: Any) -> list[Any]:
        return [x.name, x.orig_type, name(x.direct_dep), rows(x.defaults), sorted(map(str, map(name, x._dependents))),
                x.kconfig is kconf, x.user_value, places(x)]  # fmt: skip

    return {
        "symbols": [
            [*common(s), name(s.rev_dep), name(s.weak_rev_dep), *map(rows, (s.ranges, s.selects, s.implies)),
             s.transitional, s.choice and name(s.choice), kconf.syms[s.name] is s] for s in kconf.syms.values()
        ],
        "choices": [[*common(c), [s.name for s in c.syms], c.is_optional] for c in kconf.unique_choices],
        "constants": [(s.name, s.orig_type, s.str_value, s.tri_value) for s in kconf.const_syms.values()],
        "defined": [s.name for s in kconf.unique_defined_syms],
        "modules": kconf.modules.name,
        "macros": [(name(i), lines, kconf.macro_places[i]) for i, lines in kconf.macro_lines.items()],
        "facts": [kconf.leaves, kconf.measured, kconf.numbers, kconf.toolchain, kconf.rules, kconf.origin,
                  kconf.srcarch, kconf.instead_of_lto],
    }  # fmt: skip


@pytest.mark.parametrize("age", MARKS)
def test_a_tree_from_the_store_is_the_tree(age: str, tmp_path: Path, parses: list[str]) -> None:
    root = make(tmp_path, age)
    first, second = open_tree(root), open_tree(root)
    assert parses == [str(root)]
    assert len(first.unique_defined_syms) >= 30
    assert shape(second) == shape(first)
    assert second.assumed == first.assumed
    assert second.missing == first.missing


def test_equal_conditions_of_two_lines_stay_two(tmp_path: Path) -> None:
    root = make(tmp_path)
    with (root / "init/Kconfig").open("a") as file:
        file.write('config TWICE\n\tbool "x"\n\tdepends on NET && PCI\n\tdepends on NET && PCI\n')
    for kconf in (open_tree(root), open_tree(root)):
        assert [w.line for w in next(kconf.definitions(kconf.syms["TWICE"]))][-2:] == [
            len((root / "init/Kconfig").read_text().splitlines()) + n for n in (-1, 0)
        ]


def test_a_symbol_of_thousands_of_selects(tmp_path: Path, parses: list[str]) -> None:
    root = make(tmp_path)
    with (root / "init/Kconfig").open("a") as file:
        file.write("config MANY\n\tbool\n")
        file.write("".join(f'config S{n}\n\tbool "s"\n\tselect MANY\n' for n in range(3000)))
    first = open_tree(root)
    sys.setrecursionlimit(1000)  # as in a process that parses nothing
    second = open_tree(root)
    assert len(parses) == 1
    for kconf in (first, second):
        tree.assign(kconf, {"S2999": "y"})
        assert kconf.syms["MANY"].str_value == "y"


def _grown(root: Path) -> None:
    with (root / "init/Kconfig").open("a") as file:
        file.write('config GROWN\n\tbool "x"\n')


def _same_size_and_time(root: Path) -> None:
    file = root / "init/Kconfig"
    was = file.stat()
    text = file.read_text()
    file.write_text(text.replace("default y", "default n", 1))
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert file.stat().st_size == was.st_size
    assert file.read_text() != text


def _other_semantics(root: Path) -> None:
    (root / "scripts/kconfig/symbol.c").write_text("/* */\n")


def _other_file(root: Path) -> None:
    file = root / "init/Kconfig"
    beside = file.with_name("beside")
    beside.write_text(file.read_text())
    beside.rename(file)


@pytest.mark.parametrize("change", [_grown, _same_size_and_time, _other_semantics, _other_file])
def test_a_changed_file_is_read_again(change: Any, tmp_path: Path, parses: list[str]) -> None:
    root = make(tmp_path)
    open_tree(root)
    change(root)
    after = open_tree(root)
    assert len(parses) == 2
    assert shape(after) == shape(tree.load(str(root), after.environment, after.shell))


def test_a_file_that_is_gone_is_missed(tmp_path: Path) -> None:
    root = make(tmp_path)
    open_tree(root)
    (root / "init/Kconfig").unlink()
    with pytest.raises(InputError, match=r"Kconfig:\d+: cannot open \"init/Kconfig\": no such file"):
        open_tree(root)


def test_what_was_changed_just_now_is_not_kept(
    tmp_path: Path, parses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "_SETTLED", 2_000_000_000)
    root = make(tmp_path)
    open_tree(root)
    open_tree(root)
    assert len(parses) == 2


class Words:
    """A shell that says what it is told to."""

    def __init__(self, words: Mapping[str, str]) -> None:
        self.words = words

    def __call__(self, command: str) -> str | None:
        if empty := re.search('test -z "(.*?)"', command):
            return "n" if empty[1] else "y"
        return next((said for part, said in self.words.items() if part in command), None)


def _kept(root: Path, values: Mapping[str, str], said: Mapping[str, str]) -> tree.Tree:
    shell = answers.Answers(str(root), environment.Environment(values), execute=False, rule=Words(said))
    return tree._kept(str(root), values, shell, [])


def test_other_answers_are_another_tree(tmp_path: Path, parses: list[str]) -> None:
    root = make(tmp_path)
    for number, version in enumerate(("124", "130", "130", "0")):
        kconf = _kept(root, VALUES, {"pahole-version.sh": version})
        assert kconf.syms["PAHOLE_VERSION"].str_value == version
        assert len(parses) == (1, 2, 2, 3)[number]
        assert kconf.shell.asked  # type: ignore[attr-defined]  # for said()


def test_the_answers_of_a_refused_tree_do_not_count(tmp_path: Path) -> None:
    root = make(tmp_path)
    _kept(root, VALUES, {"pahole-version.sh": "124"})
    again = _kept(root, VALUES, {"pahole-version.sh": "7"})
    fresh = tree.load(str(root), VALUES, answers.Answers(str(root), environment.Environment(VALUES), execute=False,
                                                         rule=Words({"pahole-version.sh": "7"})))  # fmt: skip
    for name in ("asked", "assumed", "by_rule"):
        assert getattr(again.shell, name) == getattr(fresh.shell, name)


def test_a_tool_that_the_tree_refuses_is_refused_again(tmp_path: Path) -> None:
    root = make(tmp_path)
    _kept(root, VALUES, {"pahole-version.sh": "124"})
    with pytest.raises(InputError, match=r"Kconfig.include:5: no pahole"):
        _kept(root, VALUES, {"pahole-version.sh": ""})


def test_a_variable_that_the_files_read(tmp_path: Path, parses: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    root = make(tmp_path)
    with (root / "init/Kconfig").open("a") as file:
        file.write('config TOLD\n\tstring\n\tdefault "$(SAID_BY_USER)"\n')
    for number, word in enumerate(("a", "b", "b")):
        monkeypatch.setenv("SAID_BY_USER", word)
        monkeypatch.setenv("OF_NO_MATTER", str(number))
        assert open_tree(root).syms["TOLD"].str_value == word
    assert len(parses) == 2


@pytest.mark.parametrize("damage", ["empty", "short", "flipped", "zeros", "a directory"])
def test_a_damaged_store_only_costs_time(damage: str, tmp_path: Path, parses: list[str]) -> None:
    root = make(tmp_path)
    first = open_tree(root)
    (file,) = (tmp_path / "cache/btfcheck/trees").iterdir()
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    texts = {"empty": b"", "short": data[:-1], "flipped": bytes(data), "zeros": bytes(len(data))}
    file.unlink()
    if damage == "a directory":
        file.mkdir()
    else:
        file.write_bytes(texts[damage])
    assert shape(open_tree(root)) == shape(first)
    assert len(parses) == 2


def test_a_store_that_cannot_be_written_only_costs_time(tmp_path: Path, parses: list[str]) -> None:
    root = make(tmp_path)
    (tmp_path / "cache").write_text("no directory\n")
    assert shape(open_tree(root)) == shape(open_tree(root))
    assert len(parses) == 2


def test_the_store_is_the_users_own_and_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "_MOST", 3)
    root = make(tmp_path)
    for number in range(5):
        open_tree(root, KCFLAGS=str(number))
    folder = tmp_path / "cache/btfcheck/trees"
    assert len(list(folder.iterdir())) == 3
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def _tool(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(f'#!/bin/sh\necho "{name} $*" >> {folder}/log\n{text}\n')
    file.chmod(0o755)
    return file


def test_no_command_is_run_twice(tmp_path: Path) -> None:
    """The tools are asked by the probes and by the tree's environment, the tree's commands by its parser."""
    root = make(tmp_path)
    tools = tmp_path / "tools"
    tools.mkdir()
    _tool(tools, "pahole", "echo v1.30")
    _tool(tools, "rustc", 'case "$*" in *sysroot*) echo /;; *) echo "rustc 1.85.0 (4d91de4e4 2025-02-17)";; esac')
    for name, text in {"cc": "exec gcc \"$@\"", "nm": "exec nm \"$@\"", "ar": "exec ar \"$@\""}.items():
        _tool(tools, f"my-{name}", text)
    given = {"PAHOLE": f"{tools}/pahole", "RUSTC": f"{tools}/rustc", "CC": f"{tools}/my-cc", "NM": f"{tools}/my-nm",
             "AR": f"{tools}/my-ar", "ARCH": "x86"}  # fmt: skip
    config = tmp_path / "config"
    config.write_text("CONFIG_DEBUG_INFO_BTF=y\nCONFIG_RUST=y\n")
    runs = []
    for _ in range(2):
        (tools / "log").write_text("")
        check_config(str(config), variables=given, tree=str(root))
        runs.append((tools / "log").read_text().splitlines())
        assert len(runs[-1]) == len(set(runs[-1])) > 4
        forget()
    assert set(runs[1]) <= set(runs[0])


@pytest.mark.accept
@pytest.mark.parametrize("name", [t for t in os.environ.get("BTFCHECK_TREES", "").split(":") if t])
def test_a_real_tree_from_the_store_is_the_tree(name: str, parses: list[str]) -> None:
    first, second = tree.open_tree(name, {}), tree.open_tree(name, {})
    assert len(parses) == 1
    assert len(first.unique_defined_syms) > 15_000
    assert shape(second) == shape(first)
    assert all(s.str_value == second.syms[s.name].str_value for s in first.unique_defined_syms)
    assert kl.Symbol not in {type(s) for s in second.unique_defined_syms}
