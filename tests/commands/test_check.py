# SPDX-License-Identifier: MIT
"""`btfcheck check`: what a user must see, with fake tools and without tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from btfcheck import cli
from btfcheck.commands.check import check_config
from btfcheck.model import InputError, Outcome, Report, Status

# Enough of a complete x86_64 .config made with LLVM, as conf writes it.
BASE = """#
# Automatically generated file; DO NOT EDIT.
# Linux/x86 {release} Kernel Configuration
#
CONFIG_CC_VERSION_TEXT="clang version 19.1.7"
CONFIG_GCC_VERSION=0
CONFIG_CC_IS_CLANG=y
CONFIG_CLANG_VERSION=190107
CONFIG_AS_IS_LLVM=y
CONFIG_AS_VERSION=190107
CONFIG_LD_IS_LLD=y
CONFIG_LLD_VERSION=190107
CONFIG_RUSTC_VERSION=108500
CONFIG_RUSTC_LLVM_VERSION=190107
CONFIG_RUST_IS_AVAILABLE=y
CONFIG_PAHOLE_VERSION={pahole}
CONFIG_X86=y
CONFIG_X86_64=y
CONFIG_64BIT=y
CONFIG_HAVE_RUST=y
CONFIG_MODULES=y
CONFIG_BPF_SYSCALL=y
CONFIG_ARCH_SUPPORTS_LTO_CLANG=y
CONFIG_ARCH_SUPPORTS_LTO_CLANG_THIN=y
CONFIG_HAS_LTO_CLANG=y
CONFIG_DEBUG_KERNEL=y
CONFIG_DEBUG_INFO=y
CONFIG_DEBUG_INFO_DWARF5=y
CONFIG_AS_HAS_NON_CONST_ULEB128=y
CONFIG_DEBUG_INFO_BTF=y
CONFIG_PAHOLE_HAS_LANG_EXCLUDE=y
CONFIG_DEBUG_INFO_BTF_MODULES=y
"""
THIN = "CONFIG_LTO=y\nCONFIG_LTO_CLANG=y\nCONFIG_LTO_CLANG_THIN=y\n"
NO_LTO = "CONFIG_LTO_NONE=y\n# CONFIG_LTO_CLANG_THIN is not set\n"


def make(tmp_path: Path, text: str, release: str = "6.14.0", pahole: str = "130") -> str:
    path = tmp_path / ".config"
    path.write_text(BASE.format(release=release, pahole=pahole) + text)
    return str(path)


def run(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = cli.main(["check", *words])
    return code, capsys.readouterr().out


def by_rule(report: Report, rule: str) -> Outcome:
    return next(o for o in report.outcomes if o.rule == rule)


def findings(report: Report) -> dict[str, str]:
    return {o.rule: o.severity.value for o in report.outcomes if o.status is Status.FINDING}


def test_blocking_clause_facts_and_ways_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = make(tmp_path, THIN + "# CONFIG_RUST_INLINE_HELPERS is not set\n", "7.1.3")
    code, out = run(config, "--no-probe", "--want", "RUST=y", "--want", "DEBUG_INFO_BTF=y", "--want",
                    "LTO_CLANG_THIN=y", capsys=capsys)  # fmt: skip
    assert code == 1
    assert "error[BTF100]: CONFIG_RUST=y was asked for, and Linux 7.1.3 does not grant it" in out
    assert "init/Kconfig: depends on !DEBUG_INFO_BTF || (PAHOLE_HAS_LANG_EXCLUDE && !LTO)" in out
    lines = Path(config).read_text().splitlines()
    for symbol in ("DEBUG_INFO_BTF", "PAHOLE_HAS_LANG_EXCLUDE", "LTO"):
        number = lines.index(f"CONFIG_{symbol}=y") + 1
        assert f"--> {config}:{number}  CONFIG_{symbol}=y" in out
    assert "cannot all be had: DEBUG_INFO_BTF, LTO_CLANG_THIN, RUST" in out
    for give_up in ("give up LTO_CLANG_THIN", "give up DEBUG_INFO_BTF", "give up RUST"):
        assert give_up in out
    assert "AUTOFDO_CLANG" in out
    assert "RUST_INLINE_HELPERS" in out
    assert "error[BTF101]" in out
    assert "help: btfcheck explain BTF101" in out


@pytest.mark.parametrize(("pahole", "rule", "severity"), [("125", "BTF102", "error"), ("128", "BTF103", "warning")])
def test_without_the_clause_the_pahole_decides(tmp_path: Path, pahole: str, rule: str, severity: str) -> None:
    config = make(tmp_path, THIN, "6.13.7", pahole)
    wants = list(_wants("RUST=y", "DEBUG_INFO_BTF=y", "LTO_CLANG_THIN=y"))
    found = findings(check_config(config, wants=wants, probe=False))
    assert found[rule] == severity
    assert "BTF101" not in found


def _wants(*words: str) -> Any:
    from btfcheck.commands.check import _want_arguments

    return _want_arguments(words)


@pytest.mark.parametrize(
    ("release", "clause"), [("6.12.117", True), ("6.14.0", True), ("7.3.4", True), ("6.11.11", False)]
)
def test_a_set_of_three_is_a_hazard_on_every_release(tmp_path: Path, release: str, clause: bool) -> None:
    config = make(tmp_path, THIN + "CONFIG_RUST=y\n", release, "125")
    found = findings(check_config(config, probe=False))
    assert found["BTF102"] == "error"
    assert ("BTF125" in found) is clause


def test_hole_in_the_history_shows_both_outcomes(tmp_path: Path) -> None:
    config = make(tmp_path, THIN, "6.12.50", "130")
    report = check_config(config, wants=list(_wants("RUST=y")), probe=False)
    outcome = by_rule(report, "BTF100")
    assert outcome.status is Status.UNKNOWN
    assert any("6.12.117" in note or "5daa0c35a1f0" in note for note in outcome.notes)
    assert by_rule(report, "BTF101").status is Status.UNKNOWN


def test_modversions_with_genksyms(tmp_path: Path) -> None:
    config = make(tmp_path, NO_LTO + "CONFIG_MODVERSIONS=y\nCONFIG_GENKSYMS=y\n# CONFIG_GENDWARFKSYMS is not set\n")
    report = check_config(config, wants=list(_wants("RUST=y")), probe=False)
    assert "CONFIG_GENDWARFKSYMS=y" in by_rule(report, "BTF106").fragment
    assert any("CONFIG_GENDWARFKSYMS=y" in note for note in by_rule(report, "BTF100").notes)


def test_gendwarfksyms_with_pahole_129(tmp_path: Path) -> None:
    config = make(tmp_path, NO_LTO + "CONFIG_MODVERSIONS=y\nCONFIG_GENDWARFKSYMS=y\n", pahole="129")
    assert findings(check_config(config, probe=False)) == {"BTF109": "error"}


def fake(tmp_path: Path, name: str, text: str) -> str:
    path = tmp_path / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_stale_pahole_version(tmp_path: Path) -> None:
    config = make(tmp_path, NO_LTO, "6.12.117", "124")
    pahole = fake(tmp_path, "pahole", "echo v1.30")
    report = check_config(config, variables={"PAHOLE": pahole})
    outcome = by_rule(report, "BTF210")
    assert outcome.status is Status.FINDING
    assert {(f.name, f.value) for f in outcome.facts} >= {
        ("RECORDED_PAHOLE_VERSION", "124"), ("LIVE_PAHOLE_VERSION", "130"),
    }  # fmt: skip


def test_no_pahole_on_612(tmp_path: Path) -> None:
    config = make(tmp_path, NO_LTO, "6.12.117", "124")
    report = check_config(config, variables={"PAHOLE": str(tmp_path / "none")})
    assert by_rule(report, "BTF201").status is Status.FINDING
    assert "install dwarves" in by_rule(report, "BTF201").fix


def test_a_fact_that_cannot_be_had(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = make(tmp_path, NO_LTO, "6.12.117", "130")
    pahole = fake(tmp_path, "pahole", "echo rubbish")
    code, out = run(config, f"PAHOLE={pahole}", capsys=capsys)
    assert code == 3
    assert "PAHOLE_VERSION" in out
    assert "rubbish" in out
    assert run(config, f"PAHOLE={pahole}", "--allow-unknown", capsys=capsys)[0] == 0


def test_clean_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(make(tmp_path, NO_LTO), "--no-probe", capsys=capsys)
    assert (code, len(out.splitlines())) == (0, 1)
    assert "no findings" in out


def test_no_btf_is_4_and_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / ".config"
    text = BASE.format(release="6.14.0", pahole="130").replace(
        "CONFIG_DEBUG_INFO_BTF=y", "# CONFIG_DEBUG_INFO_BTF is not set"
    )
    path.write_text(text.replace("CONFIG_DEBUG_INFO_BTF_MODULES=y\n", ""))
    code, out = run(str(path), "--no-probe", capsys=capsys)
    assert (code, len(out.splitlines())) == (4, 1)
    assert "CONFIG_DEBUG_INFO_BTF is not set" in out
    code, out = run(str(path), "--no-probe", "--want", "DEBUG_INFO_BTF=y", capsys=capsys)
    assert code == 1
    assert "nothing in Kconfig forbids it" in out


def test_want_file_and_output_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wishes = tmp_path / "wishes.config"
    wishes.write_text("CONFIG_RUST=y\n")
    report = tmp_path / "report.json"
    code, out = run(make(tmp_path, THIN), "--no-probe", "--want-file", str(wishes), "--output", f"json:{report}",
                    "--output", "text", capsys=capsys)  # fmt: skip
    data = json.loads(report.read_text())
    assert code == data["summary"]["exit"] == 1
    assert "BTF100" in out
    assert data["facts"]["LTO_CLANG_THIN"]["value"] == "y"
    assert data["facts"]["LTO_CLANG_THIN"]["source"]["line"] > 1


def test_an_unmodelled_wish(tmp_path: Path) -> None:
    config = make(tmp_path, NO_LTO)
    granted = check_config(config, wants=list(_wants("MODULES=y")), probe=False)
    assert by_rule(granted, "BTF100").status is Status.OK
    missing = by_rule(check_config(config, wants=list(_wants("SCHED_CLASS_EXT")), probe=False), "BTF100")
    assert missing.status is Status.FINDING
    assert "not in the built-in tables" in missing.notes[0]


@pytest.mark.parametrize("word", ["", "=y", "RU ST=y", "RUST=", "Ä=y"])
def test_bad_wishes(word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(make(tmp_path, NO_LTO), "--no-probe", f"--want={word}", capsys=capsys)[0] == 2


def test_the_usual_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "build").mkdir()
    config = make(tmp_path / "build", NO_LTO)
    monkeypatch.chdir(tmp_path)
    report = check_config(variables={"O": "build"}, probe=False)
    assert report.data["facts"]["PAHOLE_VERSION"]["source"]["path"] == str(Path(config).relative_to(tmp_path))


def test_unreadable_is_3(tmp_path: Path) -> None:
    assert cli.main(["check", str(tmp_path / "none")]) == 3
    with pytest.raises(InputError):
        check_config(str(tmp_path))


line = st.one_of(
    st.sampled_from([*BASE.splitlines(), *THIN.splitlines(), "CONFIG_RUST=y", "CONFIG_MODVERSIONS=y"]),
    st.builds("CONFIG_{}={}".format, st.sampled_from(["RUST", "LTO", "PAHOLE_VERSION", "KASAN"]),
              st.sampled_from(["y", "m", "n", "", "0", "-1", "99999999999999999999", '"text"', "0x7f"])),
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(line, max_size=40), st.sampled_from(["", "6.1", "6.12.50", "6.16", "7.3", "9.9", "5.4", "6.18-rc2"]))
def test_any_text_of_a_configuration_is_judged(tmp_path: Path, lines: list[str], release: str) -> None:
    path = tmp_path / "any.config"
    path.write_text("\n".join(lines).format(release="6.14.0", pahole="130") + "\n")
    words = ["--kernel", release] if release else []
    words += ["--no-probe", "-q", "--want", "RUST", "--output", f"json:{tmp_path}/o"]
    code = cli.main(["check", str(path), *words])
    assert code in (0, 1, 3, 4)
