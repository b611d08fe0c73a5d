# SPDX-License-Identifier: MIT
"""`btfcheck matrix` from end to end, and `check --tree`, on a small tree."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from btfcheck import cli
from btfcheck.cli import main

sys.path.append(str(Path(__file__).parents[1] / "kconfig"))
import small_tree

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads(Path(cli.__file__).with_name("formats").joinpath("report.schema.json").read_text())


pytestmark = pytest.mark.usefixtures("own_store")


def run(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, Any, str]:
    code = main([*words, "--output", "json"])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else None, err


def test_rows_assumptions_and_changes(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["matrix", "--kernel", "6.13.7,6.14", "--axis", "RUST=y", "--axis", "DEBUG_INFO_BTF=y",
             "--axis", "LTO=thin", "--axis", "MODVERSIONS=off", "--pahole", "1.25"]  # fmt: skip
    code, data, _ = run(words, capsys)
    assert code == 0
    jsonschema.validate(data, SCHEMA)
    before, after = data["rows"]
    assert before["axes"] == {"kernel": "6.13.7", "RUST": "y", "DEBUG_INFO_BTF": "y", "LTO": "thin",
                              "MODVERSIONS": "off", "pahole": "1.25"}  # fmt: skip
    assert (before["allowed"], before["safe"], before["blocked_by"]) == (True, "no", [])
    assert (after["allowed"], after["safe"]) == (False, "no")
    assert after["blocked_by"] == ["init/Kconfig: depends on !DEBUG_INFO_BTF || (PAHOLE_HAS_LANG_EXCLUDE && !LTO)"]
    (change,) = data["changes"]
    assert (change["kernel"], change["before"], change["allowed"], change["was"]) == ("6.14", "6.13.7", False, True)
    assert {"RUST_IS_AVAILABLE=y", "ARCH=x86_64"} <= set(data["assumed"])


def test_what_a_kernel_allows_first_is_told_in_few_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["matrix", "--kernel", "6.1,6.12,7.3", "--axis", "RUST=y", "--axis", "LTO=none,thin"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if " what " in line]
    later = "pahole=1.24,1.25,1.28,1.30,1.32"
    both = "RUST=y DEBUG_INFO_BTF=y"
    assert f"Linux 6.12 allows what 6.1 does not: {both} LTO=none,thin MODVERSIONS=off {later}" in lines
    assert f"Linux 7.3 forbids what 6.12 allows: {both} LTO=thin MODVERSIONS=off {later}" in lines
    # 6.12 has no gendwarfksyms at all.
    assert "Linux 7.3 allows what 6.12 does not: RUST=y DEBUG_INFO_BTF=n LTO=none MODVERSIONS=gendwarfksyms " \
           "pahole=1.22,1.24,1.25,1.28,1.30,1.32" in lines
    assert len(lines) == 4


def test_the_architecture_of_the_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARCH", "s390")
    words = ["matrix", "--kernel", "7.3.4", "--axis", "RUST=n", "--axis", "LTO=thin", "--pahole", "1.30"]
    _, data, _ = run(words, capsys)
    assert {row["allowed"] for row in data["rows"]} == {False}
    assert "ARCH=s390" in data["assumed"]
    _, data, _ = run([*words, "ARCH=x86_64"], capsys)
    assert True in {row["allowed"] for row in data["rows"]}
    assert not any(a.startswith("ARCH=") for a in data["assumed"])


def test_the_newest_release_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    code, data, _ = run(["matrix"], capsys)
    assert code == 0
    assert {row["axes"]["kernel"] for row in data["rows"]} == {"7.3.4"}
    assert len(data["rows"]) == 2 * 2 * 4 * 3 * 6


def test_text_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [tmp_path / f"table.{suffix}" for suffix in ("csv", "md", "svg")]
    words = ["matrix", "--kernel", "6.12.117", "--axis", "RUST=y"]
    assert main([*words, *(w for name in names for w in ("--write", str(name)))]) == 0
    out = capsys.readouterr().out
    assert "Linux 6.12.117" in out
    assert "assumed: CC_IS_CLANG=y" in out
    assert all(name.read_text() for name in names)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--axis", "RUST"], "SYM=VALUE"),
        (["--axis", "LTO=fat"], "LTO takes none, thin, full, thin-dist"),
        (["--axis", "MODVERSIONS=1"], "MODVERSIONS takes"),
        (["--axis", "RUST=maybe"], "RUST takes y, m, n"),
        (["--axis", "NO_SUCH_SYMBOL=y"], "has no such symbol"),
        (["--pahole", "new"], "is no version"),
        (["--kernel", "5.15"], "6.1 and later"),
        (["--write", "x.pdf"], "must end in"),
        (["--write", "/no/such/dir/x.svg"], "cannot write"),
        (["linux"], "--tree"),
    ],
)
def test_wrong_usage(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["matrix", *words]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert told in err


def test_a_tree_whose_commands_are_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = small_tree.make(tmp_path)
    (root / "scripts/pahole-version.sh").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    words = ["--tree", str(root), "--axis", "RUST=y", "--axis", "DEBUG_INFO_BTF=y", "--axis", "MODVERSIONS=off"]
    code, data, _ = run(["matrix", *words, "--axis", "LTO=none,thin", "--pahole", "1.15,1.22,1.30"], capsys)
    assert code == 0
    assert not (tmp_path / "ran").exists()
    found = {(r["axes"]["LTO"], r["axes"]["pahole"]): r for r in data["rows"]}
    # It has no MODVERSIONS at all, so `off` is as it should be there.
    assert found["none", "1.30"]["allowed"] is True
    assert found["thin", "1.30"]["allowed"] is False
    clause = "depends on !DEBUG_INFO_BTF || (PAHOLE_HAS_LANG_EXCLUDE && !LTO)"
    assert found["thin", "1.30"]["blocked_by"] == [f"init/Kconfig:27: {clause}"]
    assert found["none", "1.15"]["blocked_by"] == ["init/Kconfig:32: depends on PAHOLE_VERSION >= 116"]


def test_installed_tools_answer_what_no_version_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = small_tree.make(tmp_path)
    (root / "scripts/Makefile.clang").write_text("CLANG_TARGET_FLAGS_x86 := x86_64-linux-gnu\n")
    with (root / "init/Kconfig").open("a") as file:
        file.write('config NEEDS_BAD\n\tbool "needs"\n\tdepends on CC_BAD\n')
    words = ["matrix", "--tree", str(root), "--axis", "NEEDS_BAD=y", "--axis", "LTO=none", "--pahole", "1.30"]
    for more, allowed in (([], {True}), (["--shell"], {False}), (["--shell", "--no-probe"], {True})):
        _, data, _ = run([*words, "--axis", "MODVERSIONS=off", *more], capsys)
        assert {row["allowed"] for row in data["rows"]} == allowed


def test_two_members_of_one_choice_exclude_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = small_tree.make(tmp_path)
    words = ["matrix", "--tree", str(root), "--axis", "LTO_CLANG_FULL=y", "--axis", "LTO=none,full", "--pahole", "1.30"]
    _, data, _ = run([*words, "--axis", "RUST=n", "--axis", "MODVERSIONS=off"], capsys)
    found = {row["axes"]["LTO"]: row for row in data["rows"]}
    assert (found["none"]["allowed"], found["full"]["allowed"]) == (False, True)
    assert found["none"]["blocked_by"] == ["init/Kconfig: LTO_NONE and LTO_CLANG_FULL are members of one choice"]


def test_a_fragment_against_a_tree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = small_tree.make(tmp_path)
    fragment = tmp_path / "fragment"
    for text, status in (
        ("CONFIG_RUST=y\nCONFIG_DEBUG_INFO_BTF=y\nCONFIG_LTO_CLANG_THIN=y\n", {"finding"}),
        ("CONFIG_RUST=y\nCONFIG_DEBUG_INFO_BTF=y\n", {"ok", "unknown"}),
    ):
        fragment.write_text(text)
        _, data, _ = run(["check", str(fragment), "--tree", str(root), "--no-probe"], capsys)
        found = {o["status"] for o in data["outcomes"] if o["rule"] == "BTF100" and o["subject"] == "RUST"}
        assert found <= status


CONFIG = "# Linux/x86 9.8.7-test Kernel Configuration\nCONFIG_PAHOLE_VERSION=125\nCONFIG_DEBUG_INFO_BTF=y\n"


def check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *words: str, more: str = ""
) -> tuple[int, Any, str]:
    root = tmp_path / "linux"
    if not root.exists():
        small_tree.make(tmp_path)
    (tmp_path / ".config").write_text(CONFIG + more)
    return run(["check", str(tmp_path / ".config"), "--tree", str(root), "--no-probe", *words], capsys)


def test_check_quotes_file_and_line_of_the_tree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, data, err = check(tmp_path, capsys, "--want", "RUST=y", "--want", "LTO_CLANG_THIN=y")
    assert code == 1
    found = next(o for o in data["outcomes"] if o["subject"] == "RUST" and o["rule"] == "BTF100")
    assert found["status"] == "finding"
    assert {(p["path"], p.get("line")) for p in found["locations"]} >= {("init/Kconfig", 27)}
    assert "were not run and taken to succeed" in err


def test_check_lists_what_the_tree_does_not_grant(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = "CONFIG_HZ_250=y\nCONFIG_STRICT=y\nCONFIG_LTO_BROKEN=y\nCONFIG_DM=y\nCONFIG_NO_SUCH=y\n"
    _, data, _ = check(tmp_path, capsys, more=more)
    jsonschema.validate(data, SCHEMA)
    found = {tuple(s["name"] for s in group["symbols"]): group["clause"] for group in data["not_granted"]}
    # LTO_BROKEN hangs on a command that was not run, and so was taken to succeed.
    assert found.keys() == {("HZ_250",)}
    assert found["HZ_250",]["text"] == "depends on !STRICT"
    assert found["HZ_250",]["symbols"] == {"STRICT": "y"}
    assert [group["why"] for group in data["not_granted"]] == ["init/Kconfig:124: depends on !STRICT, with STRICT=y"]


def test_check_tells_what_is_worked_out_and_what_a_choice_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = "CONFIG_DAX=y\nCONFIG_HZ_100=y\nCONFIG_HZ_1000=y\nCONFIG_STRICT=y\n"
    _, data, _ = check(tmp_path, capsys, more=more)
    found = {group["symbols"][0]["name"]: group["why"] for group in data["not_granted"]}
    assert found == {
        "DAX": "no prompt: it is worked out, and here nothing turns it on",
        "HZ_100": "another member of the choice is set",
    }


def test_check_says_what_it_assumed_of_commands_that_were_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, data, _ = check(tmp_path, capsys, "--no-shell")
    assert any(a.endswith('test "-fgood" = -fgood; } >/dev/null 2>&1 && echo "y" || echo "n"') for a in data["assumed"])
    assert "RUSTC_VERSION=109500" in data["assumed"]


def test_check_says_which_tools_it_misses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = small_tree.make(tmp_path)
    (tmp_path / ".config").write_text(CONFIG)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    words = ["check", str(tmp_path / ".config"), "--tree", str(root), "AR=no-such-ar", "PAHOLE=no-such-pahole"]
    _, data, err = run(words, capsys)
    assert "AR=no-such-ar is not there: LTO needs an llvm-ar" in data["missing"]
    assert "PAHOLE=no-such-pahole is not there: PAHOLE_VERSION is 0" in data["missing"]
    assert "AR=no-such-ar is not there" in err


def test_check_grants_what_the_tree_grants(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, data, _ = check(tmp_path, capsys, "--want", "RUST=y")
    found = next(o for o in data["outcomes"] if o["subject"] == "RUST" and o["rule"] == "BTF100")
    assert "nothing in Kconfig forbids it" in found["message"]


def test_check_and_a_tree_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = small_tree.make(tmp_path)
    (root / "init/Kconfig").write_text("config A\n\tfrobnicate\n")
    code, _, err = check(tmp_path, capsys, "--want", "RUST=y")
    assert code == 3
    assert "init/Kconfig:2" in err


def test_a_tree_and_another_release(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = check(tmp_path, capsys, "--kernel", "6.12")
    assert code == 2
    assert "is Linux 9.8.7-test" in err


def test_versions_of_llvm_that_a_tree_takes_and_does_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = small_tree.make(tmp_path)
    (root / "scripts/min-tool-version.sh").write_text('case "$1" in\nllvm)\n\techo 17.0.1\n\t;;\nesac\n')
    words = ["matrix", "--tree", str(root), "--axis", "RUST=n", "--axis", "LTO=none", "--llvm", "14,19.1.7"]
    code, data, _ = run([*words, "--pahole", "1.30"], capsys)
    assert code == 0
    found = {(r["axes"]["llvm"], r["allowed"], tuple(r["blocked_by"])) for r in data["rows"]}
    assert ("14", False, ("scripts/min-tool-version.sh: llvm 17.0.1 at least",)) in found
    assert ("19.1.7", True, ()) in found
    assert not any(a.startswith("CLANG_VERSION") for a in data["assumed"])


def test_check_proves_what_a_tree_cannot_grant(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, data, _ = check(tmp_path, capsys, "--want", "RUST=y", "--want", "LTO_CLANG_THIN=y", "--want", "DEBUG_INFO_BTF=y")
    jsonschema.validate(data, SCHEMA)
    notes = next(o["notes"] for o in data["outcomes"] if o["subject"] == "RUST" and o["rule"] == "BTF100")
    assert ("cannot all be had: DEBUG_INFO_BTF, LTO_CLANG_THIN, RUST; RUST has, in init/Kconfig:27: "
            "depends on !DEBUG_INFO_BTF || (PAHOLE_HAS_LANG_EXCLUDE && !LTO)") in notes  # fmt: skip
    assert {n.partition(": ")[2].partition(";")[0] for n in notes if n.startswith("way out")} == {
        "give up RUST", "give up LTO_CLANG_THIN", "give up DEBUG_INFO_BTF",
    }  # fmt: skip


WITHOUT_SOLVER = """
import sys
sys.modules["pysat"] = None
from btfcheck import cli
sys.exit(cli.main())
"""


def test_check_says_once_what_would_tell_more(tmp_path: Path) -> None:
    root = small_tree.make(tmp_path)
    with (root / "init/Kconfig").open("a") as file:
        file.write('config BIG\n\tbool "Big"\n\tdepends on RANGED > 100\n')
    (tmp_path / ".config").write_text(CONFIG + "CONFIG_RANGED=16\n")
    words = ["check", ".config", "--tree", "linux", "--no-probe", "--want", "BIG=y", "--want", "CC_GOOD=y"]
    for head, advised in ((WITHOUT_SOLVER, 1), (WITHOUT_SOLVER.replace('"pysat"', '"nothing"'), 0)):
        done = subprocess.run([sys.executable, "-c", head, *words], cwd=tmp_path, capture_output=True, text=True,
                              env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)})
        assert done.returncode == 1, done.stderr
        assert done.stdout.count("pip install 'btfcheck[solve]'") == advised
        assert ("could not tell whether all of this can be had" in done.stdout) is bool(advised)
        assert ("way out 1: CONFIG_RANGED=101" in done.stdout) is not bool(advised)
