# SPDX-License-Identifier: MIT
"""`explain TYPE FILE` and `explain --rust-types FILE` as they are called: words, exit codes, formats."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from btfcheck import cli
from btfcheck.dwarf.writer import build
from tests.dwarf.conftest import samples
from tests.gate.scenes import btf, scene, with_sections

samples = samples  # a fixture of the scan's tests
SCHEMA = json.loads((Path(__file__).parents[2] / "btfcheck/formats/report.schema.json").read_text())
UNITS = """\
file note=1
unit C "main.c"
  structure_type "device" byte_size=8
  structure_type "U32" byte_size=8
  subprogram "probe" low_pc=0x1000
  subprogram "quick" inline=1
unit Rust "lib.rs"
  namespace "klib"
    structure_type "Registry<u32>" byte_size=4
    structure_type "Plain" byte_size=4
"""
RECORDS = [["struct", "device", "8"], ["struct", "U32", "8"], ["struct", "Registry<u32>", "4"], ["func", "probe"]]


@pytest.fixture
def vmlinux(tmp_path: Path) -> str:
    path = tmp_path / "vmlinux"
    data = with_sections(build(UNITS), {".BTF": (1, btf(RECORDS))})
    path.write_bytes(data)
    return str(path)


def asked(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    code = cli.main(["explain", *words, "--output", "json"])
    data: dict[str, Any] = json.loads(capsys.readouterr().out)
    jsonschema.validate(data, SCHEMA)
    assert data["summary"]["exit"] == code
    return code, data


@pytest.mark.parametrize(("words", "kind", "cause"), [
    (["device"], "struct", "defined-in-c"), (["struct", "device"], "struct", "defined-in-c"),
    (["struct device"], "struct", "defined-in-c"), (["function", "probe"], "function", "defined-in-c"),
    (["quick"], "function", "inlined"), (["Registry<u32>"], "struct", "M1"),
    (["klib::Registry<u32>"], "struct", "M1"), (["type", "U32"], "struct", "defined-in-c"),
    (["Registry_3C_u32_3E_"], "struct", "M1"), (["Plain"], "struct", "rust-excluded"),
])  # fmt: skip
def test_what_is_asked(
    words: list[str], kind: str, cause: str, vmlinux: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, data = asked(*words, vmlinux, capsys=capsys)
    (answer,) = data["traced"]["answers"]
    assert (code, answer["kind"], answer["reasons"][0]["id"]) == (0, kind, cause)
    assert all("{file}" not in step for step in answer["next"])


def test_text_and_markdown(vmlinux: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "Registry<u32>", vmlinux, "--pahole-version", "1.25"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "struct Registry<u32>: in the BTF, from Rust"
    assert "  BTF    type 4: STRUCT, 4 bytes, the layout of Rust" in out
    assert "  DWARF  Rust: klib::Registry<u32>, 4 bytes" in out
    assert "proven: pahole merged the units" in out
    assert "pahole 1.28 and later leaves it out" in out
    assert "(`Invalid name`) [BTF401]" in out
    assert f"  next   btfcheck scan {vmlinux} --pahole-version" in out
    assert cli.main(["explain", "device", vmlinux, "--output", "markdown"]) == 0
    assert "struct device: in the BTF" in capsys.readouterr().out


def test_all_capitals_are_a_symbol(vmlinux: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "U32", vmlinux, "--kernel", "6.12"]) in (2, 3)
    assert cli.main(["explain", "struct", "U32", vmlinux]) == 0
    capsys.readouterr()


@pytest.mark.parametrize(("words", "code", "message"), [
    (["device"], 2, "btfcheck explain device vmlinux"),
    (["BTF101", "vmlinux"], 2, "nothing follows a RULE"),
    (["rust-btf-lto-blocked", "vmlinux"], 2, "nothing follows a RULE"),
    (["rust-types-in-btf", "vmlinux"], 2, "nothing follows a RULE"),
    (["device", "/nonexistent"], 3, "/nonexistent"),
    (["device", "/dev/null"], 3, "/dev/null"),
    (["device", os.path.dirname(__file__)], 3, "commands"),
    (["device", __file__], 3, "test_explain_types.py"),
    (["--rust-types", "/nonexistent"], 3, "/nonexistent"),
    (["--rust-types", "x", "y"], 2, "takes nothing beside it"),
    (["--rust-types", "x", "--log", "y"], 2, "takes nothing beside it"),
    (["device", "vmlinux", "LLVM=1"], 2, "takes no variables"),
    ([], 2, "a TYPE and its FILE"),
])  # fmt: skip
def test_wrong_usage(words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", *words]) == code
    assert message in capsys.readouterr().err


def test_nothing_of_that_name(vmlinux: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, data = asked("devices", vmlinux, capsys=capsys)
    assert code == 4
    assert data["traced"]["similar"] == ["device"]
    assert "it has device" in data["summary"]["nothing"]


def test_an_answer_that_could_not_be_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blob = tmp_path / "vmlinux.btf"
    blob.write_bytes(btf(RECORDS))
    code, data = asked("device", str(blob), capsys=capsys)
    assert code == 3
    (outcome,) = data["outcomes"]
    assert (outcome["rule"], outcome["status"]) == ("type-origin", "unknown")
    assert outcome["missing"][0].startswith("debug information")
    assert asked("device", str(blob), "--allow-unknown", capsys=capsys)[0] == 0
    assert asked("Registry<u32>", str(blob), capsys=capsys)[0] == 0  # its name says enough


def test_a_file_without_btf_and_one_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, blob = tmp_path / "vmlinux", tmp_path / "made.btf"
    path.write_bytes(build(UNITS))
    blob.write_bytes(btf(RECORDS[:1]))
    code, data = asked("Registry<u32>", str(path), capsys=capsys)
    assert code == 0
    assert "no .BTF section" in data["traced"]["no_btf"]
    assert data["traced"]["answers"][0]["reasons"][0]["pahole"][0].startswith("pahole up to 1.27 encodes it")
    assert cli.main(["explain", "Registry<u32>", str(path), "--btf", "embedded"]) == 3
    code, data = asked("Registry<u32>", str(path), "--btf", str(blob), capsys=capsys)
    assert data["traced"]["answers"][0]["state"] == "left out of the BTF"


def test_refused_btf_is_read_as_far_as_it_goes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blob = tmp_path / "vmlinux.btf"
    blob.write_bytes(btf(RECORDS)[:-40])
    assert cli.main(["explain", "device", str(blob)]) == 3
    assert "cannot be read" in capsys.readouterr().err


def test_a_module_and_its_base(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The real thing: split BTF, whose ids go on where those of vmlinux end."""
    from btfcheck.btf.releases import rules_for
    from btfcheck.btf.verify import check
    from btfcheck.release import parse
    from tests.btf.blob import Blob

    base = btf(RECORDS[:1])
    below = check(base, rules_for(parse("6.12")), "vmlinux").btf
    assert below is not None
    split = Blob(below.count, len(below.strings))
    split.struct("private", 4, [("id", 1, 0)])
    (tmp_path / "vmlinux").write_bytes(with_sections(build('unit C "v.c"\n'), {".BTF": (1, base)}))
    text = (
        'file rel=yes\nunit C "m.c"\n  structure_type "private" byte_size=4\n'
        '    member "id" data_member_location=0\n  structure_type "device" byte_size=8\n'
    )
    module = tmp_path / "m.ko"
    module.write_bytes(with_sections(build(text), {".BTF": (1, split.bytes()), ".modinfo": (1, b"name=m\0")}))
    _, data = asked("private", str(module), capsys=capsys)  # the vmlinux above it is found
    assert data["traced"]["answers"][0]["records"][0]["own"]
    _, data = asked("device", str(module), "--base", str(tmp_path / "vmlinux"), capsys=capsys)
    assert not data["traced"]["answers"][0]["records"][0]["own"]
    assert data["traced"]["answers"][0]["reasons"][0]["id"] == "in-base"
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "m.ko").write_bytes(module.read_bytes())
    (tmp_path / "vmlinux").unlink()
    _, data = asked("private", str(alone / "m.ko"), capsys=capsys)
    assert "--base" in data["traced"]["no_btf"]


def test_a_pahole_that_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = scene(
        'pahole writes\nkernel 6.12\nbtf struct device 8\nsays probe : skipping BTF encoding of function due to param '
        'count mismatch\nunit C "main.c"\n  structure_type "device" byte_size=8\n  subprogram "probe" low_pc=0x1000\n',
        tmp_path / "scene",
    )  # fmt: skip
    words = ["probe", str(made.elf), "--kernel", "6.12", "--pahole"]
    code, data = asked(*words, made.pahole, capsys=capsys)
    assert code == 0
    (reason,) = data["traced"]["answers"][0]["reasons"]
    assert (reason["id"], reason["certainty"]) == ("pahole-says", "proven")
    assert "param count mismatch" in reason["text"]
    assert cli.main(["explain", *words, "/nonexistent/pahole"]) == 3
    nothing = scene('pahole nothing\nunit C "main.c"\n  subprogram "probe" low_pc=0x1000\n', tmp_path / "nothing")
    code, data = asked(words[0], str(nothing.elf), *words[2:], nothing.pahole, capsys=capsys)
    assert code == 0
    assert "made none of" in data["traced"]["no_btf"]
    assert "and exited 0" in data["traced"]["no_btf"]


def test_names_cannot_steer_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "vmlinux"
    evil = "a\x1b[31mb"
    path.write_bytes(build('unit C "main\x1b.c"\n  structure_type "' + evil + '" byte_size=8\n'))
    assert cli.main(["explain", "struct", evil, str(path)]) == 0
    assert "\x1b" not in capsys.readouterr().out


# -- --rust-types ---------------------------------------------------------------------------------------------


def test_rust_types(vmlinux: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, data = asked("--rust-types", vmlinux, "--kernel", "6.12", capsys=capsys)
    assert code == 0
    found = data["rust_types"]
    assert (found["total"], found["counts"]) == (2, {"as it is": 1, "after renaming": 1, "not at all": 0})
    assert found["types"][1]["new_name"] == "Registry_3C_u32_3E_"
    assert cli.main(["explain", "--rust-types", vmlinux]) == 0
    out = capsys.readouterr().out
    assert "2 Rust types in 1 units" in out
    assert "=> Registry_3C_u32_3E_" in out
    assert cli.main(["explain", "--rust-types", vmlinux, "--output", "markdown"]) == 0
    out = capsys.readouterr().out
    assert "| after renaming | 1 | 1 |" in out
    assert r"struct klib::Registry&lt;u32&gt;" in out
    assert cli.main(["explain", "--rust-types", vmlinux, "--first", "0"]) == 0
    assert "Registry" not in capsys.readouterr().out


def test_no_rust_types(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "vmlinux"
    path.write_bytes(build('unit C "main.c"\n  structure_type "device" byte_size=8\n'))
    code, data = asked("--rust-types", str(path), capsys=capsys)
    assert (code, data["rust_types"]["total"]) == (4, 0)
    assert "no Rust types" in data["summary"]["nothing"]
    assert cli.main(["explain", "--rust-types", str(path), "--output", "markdown"]) == 4
    assert "No Rust types." in capsys.readouterr().out


# -- hostile files --------------------------------------------------------------------------------------------


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_mangled_files_never_break_it(tmp_path: Path, samples: Path, data: st.DataObject) -> None:
    raw = bytearray((samples / "kb-22-fullns-5/vmlinux.o").read_bytes())
    for _ in range(data.draw(st.integers(1, 12))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "bad.o"
    path.write_bytes(raw[: data.draw(st.sampled_from([len(raw), len(raw) // 2, 4000]))])
    name = data.draw(st.sampled_from(["State", "Registry<klib::State>", "c_poll", "hook", "_RNvC1a1f"]))
    words = data.draw(st.sampled_from([[name, str(path)], ["--rust-types", str(path)]]))
    assert cli.main(["explain", *words, "--output", "json:" + str(tmp_path / "out")]) in (0, 3, 4)


def test_every_id_of_a_report_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """Causes, messages and open questions have a page, in text and in Markdown."""
    from btfcheck.lint.messages import load

    catalogue = load()
    for word in [*catalogue.causes, *catalogue.messages, "symbol", "type-origin", "unknown-message", "log"]:
        assert cli.main(["explain", word]) == 0
        assert f"[{word}]" in capsys.readouterr().out
    assert cli.main(["explain", "rust-inside-c-units", "--output", "markdown"]) == 0
    assert capsys.readouterr().out.startswith("# rust-inside-c-units\n")
    assert cli.main(["explain", "rust-types-in-btf"]) == 0  # both a rule's name and a cause
    assert {"[BTF405]", "cause[rust-types-in-btf]"} <= set(capsys.readouterr().out.replace("warning", "").split())
    assert cli.main(["explain", "rust-types-in-bft"]) == 2
    assert "did you mean rust-types-in-btf" in capsys.readouterr().err


def test_rules_named_in_answers_exist() -> None:
    from btfcheck.lint.rules import load

    known = load().rules
    for name in ("types", "functions"):
        text = (Path(__file__).parents[2] / f"btfcheck/trace/{name}.py").read_text()
        assert set(re.findall(r'"(BTF\d{3})"', text)) <= set(known)
