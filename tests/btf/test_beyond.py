# SPDX-License-Identifier: MIT
"""What is beyond validity; the examples of the BTF rules are run here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from btfcheck import cli
from btfcheck.btf import oracle, outcomes
from btfcheck.btf.beyond import Layouts, remarks
from btfcheck.btf.format import Btf
from btfcheck.btf.oracle import Answer
from btfcheck.btf.releases import rules_for
from btfcheck.btf.verify import check
from btfcheck.commands import validate
from btfcheck.lint.rules import Rule, load
from btfcheck.release import parse
from tests.btf import files
from tests.btf.blob import Blob, assemble, mutants
from tests.btf.vectors import seeds

RULES = load(stages=("btf",)).rules
CASES = [(r, e) for r in RULES.values() for e in r.examples]


def examples_files(text: str, folder: Path) -> tuple[list[str], str]:
    """(arguments, errno that the oracle gives) for the input of an example."""
    lines = text.splitlines()
    kind = lines[0].removeprefix("as ")
    asked = next((line.removeprefix("oracle ") for line in lines if line.startswith("oracle ")), "")
    if kind != "module":
        (folder / "x.btf").write_bytes(assemble(lines).bytes())
        return [str(folder / "x.btf"), "--as", kind], asked
    own = lines.index("own")
    base = assemble(lines[1:own]) if "base" in lines else None
    blob = assemble(lines[own:], len(base.records) + 1 if base else 1, len(base.text) if base else 0)
    (folder / "x.ko").write_bytes(files.module(blob.bytes()))
    if base is None:
        return [str(folder / "x.ko")], asked
    (folder / "vmlinux").write_bytes(files.vmlinux(base.bytes()))
    return [str(folder / "x.ko"), "--base", str(folder / "vmlinux")], asked


@pytest.mark.parametrize(("rule", "example"), CASES, ids=[f'{r.id}-{e["title"]}' for r, e in CASES])
def test_example(rule: Rule, example: Mapping[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments, asked = examples_files(example["input"], tmp_path)
    if rule.id == "BTF409":
        answer = Answer(not asked, 22 if asked else 0, "")
        monkeypatch.setattr(oracle, "ask", lambda _: answer)
        monkeypatch.setattr(validate.source, "running", lambda: parse("6.18"))
        arguments.append("--oracle")
    parser, _ = cli.verb_parser("validate")
    report = validate.run(parser.parse_args([*arguments, "--kernel", example.get("kernel", "6.12")]), Silent())
    statuses = [o.status.value for o in report.outcomes if o.rule == rule.id]
    assert statuses == [example["expect"]], report.outcomes


class Silent:
    """A console that takes everything and says nothing."""

    style: Any = None

    def part(self, *_: Any) -> None: ...

    def progress(self, *_: Any) -> Silent:
        return self

    def __enter__(self) -> Any:
        return lambda *_: None

    def __exit__(self, *_: object) -> None: ...


def test_every_rule_of_this_room_is_here() -> None:
    assert set(RULES) == {"BTF401", "BTF402", *outcomes.REMARKS, "BTF409"}


def parsed(blob: Blob, base: Btf | None = None) -> Btf:
    path = "module" if base else "vmlinux"
    btf = check(blob.bytes(), rules_for(parse("6.18")), path, base=base).btf
    assert btf is not None
    return btf


def names(blob: Blob, rule: str, assumes_sorted: bool = False) -> tuple[str, ...]:
    return next((r.names for r in remarks(parsed(blob), assumes_sorted) if r.rule == rule), ())


def test_duplicates_by_kind() -> None:
    blob = Blob()
    number = blob.int()
    blob.struct("a", 4, [("x", number, 0)])
    blob.union("a", 4, [("y", number)])  # another name space than struct
    blob.enum("e", [("A", 0)])
    blob.enum("e", [("A", 1)])
    blob.struct("", 4, [])
    blob.struct("", 8, [])
    assert names(blob, "BTF404") == ("enum e (ids 4, 5)",)


def test_only_own_types_of_a_module_count() -> None:
    base = Blob()
    base.struct("a", 4, [])
    base.int("usize", 8)
    own = Blob(3, len(base.text))
    own.struct("a", 8, [])
    assert remarks(parsed(own, parsed(base)), False) == []
    own.struct("Vec<u8>", 8, [])
    own.struct("a", 16, [])
    assert [r.rule for r in remarks(parsed(own, parsed(base)), False)] == ["BTF404", "BTF405"]


def test_rust_functions_and_bindgen_members() -> None:
    blob = Blob()
    number = blob.int()
    proto = blob.proto()
    blob.func("_RNvCs1234_7mycrate4init", proto)
    blob.func("_REGISTER", proto)
    blob.struct("page", 4, [("_bitfield_align_1", number, 0)])
    blob.struct("plain", 4, [("bitfield_1", number, 0)])
    assert names(blob, "BTF405") == ("FUNC _RNvCs1234_7mycrate4init", "STRUCT page")


@pytest.mark.parametrize(("members", "size", "odd"), [
    ([("char", 0), ("int", 32)], 8, ""),
    ([("char", 0), ("int", 8)], 5, "packed"),
    ([("char", 0), ("int", 8)], 8, "packed"),
    ([("int", 0), ("char", 32)], 5, "packed"),
    ([("int", 0)], 16, "aligned beyond its members"),
    ([("wide", 0)], 16, ""),
    ([("wide", 64)], 32, "packed"),
    ([("array", 0)], 12, ""),
    ([("array", 16)], 16, "packed"),
    ([], 16, ""),
])
def test_layouts(members: list[tuple[str, int]], size: int, odd: str) -> None:
    blob = Blob()
    types = {"int": blob.int(), "char": blob.int("char", 1), "wide": blob.int("__int128", 16)}
    types["array"] = blob.array(types["int"], types["int"], 3)
    struct = blob.struct("s", size, [(f"m{i}", types[name], at) for i, (name, at) in enumerate(members)])
    layouts = Layouts(parsed(blob))
    assert layouts.oddity(struct) == odd
    assert layouts.oddity(types["wide"]) == "__int128"


def test_bitfields_are_not_packing() -> None:
    blob = Blob()
    number = blob.int()
    struct = blob.struct("s", 4, [("a", number, 3 << 24), ("b", number, 3 | 5 << 24)], kflag=True)
    assert Layouts(parsed(blob)).oddity(struct) == ""


def test_sorted_types() -> None:
    blob = Blob()
    blob.ptr(0)
    blob.int("a")
    blob.typedef("b", 2)
    assert names(blob, "BTF407", True) == ()
    blob.ptr(0)
    assert names(blob, "BTF407", True) == ("[4]  stands behind b",)
    assert names(blob, "BTF407", False) == ()


def test_any_graph_is_looked_at_without_an_error() -> None:
    """Records that pass 1 takes may still dangle, lead in circles, or fan out without end."""
    rules = rules_for(parse("7.3"))
    for blob in mutants(3, 1500, list(seeds())):
        checked = check(blob, rules, "vmlinux")
        if checked.complete and checked.btf:
            remarks(checked.btf, True)


def test_structs_that_fan_out() -> None:
    blob = Blob()
    blob.int()
    for i in range(1, 60):
        blob.struct(f"s{i}", 4, [("a", i, 0), ("b", i, 0)])
    blob.func("f", blob.proto(0, [("x", 60)]))
    assert names(blob, "BTF408") == ()
