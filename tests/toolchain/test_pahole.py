# SPDX-License-Identifier: MIT
from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btfcheck.model import UsageError
from btfcheck.release import FINAL, Release
from btfcheck.toolchain.pahole import LANG_EXCLUDE, flags, trees

HERE = Path(__file__).parent
TABLE = HERE.parents[2] / "shared/facts/pahole-flags-by-release.csv"
COMMON = "-j --btf_features=encode_force,var,float,enum64,decl_tag,type_tag,optimized_func,consistent_func"


@pytest.mark.parametrize(
    ("release", "pahole", "expected"),
    [
        ("6.2.1", 125, "--btf_gen_floats -j"),  # no Rust exclusion yet
        ("6.3.8", 123, "--btf_gen_floats -j"),
        ("6.3.8", 124, "--btf_gen_floats -j --lang_exclude=rust"),
        (
            "6.5.0",
            125,
            "--btf_gen_floats -j --lang_exclude=rust"
            " --skip_encoding_btf_inconsistent_proto --btf_gen_optimized",
        ),
        ("6.10", 126, f"{COMMON} --lang_exclude=rust"),
        ("6.12", 131, f"{COMMON},decl_tag_kfuncs --lang_exclude=rust"),
        ("6.18.2", 130, f"{COMMON},decl_tag_kfuncs --btf_features=attributes --lang_exclude=rust"),
        (
            "7.1.3",
            131,
            f"{COMMON},decl_tag_kfuncs --btf_features=attributes --btf_features=layout --lang_exclude=rust",
        ),
        ("7.3.4", 131, f"{COMMON} --btf_features=layout --lang_exclude=rust"),
        ("6.12.117-1~deb12u1", 131, f"{COMMON},decl_tag_kfuncs --lang_exclude=rust"),
        ("6.1.192", 124, "--btf_gen_floats -j --lang_exclude=rust"),
    ],
)
def test_releases_of_the_table(release: str, pahole: int, expected: str) -> None:
    found = flags(release, pahole)
    assert " ".join(found.args) == expected
    assert not found.assumed
    assert found.note == ""


def test_external_modules() -> None:
    assert flags("6.12", 130).args == flags("6.12", 130, module=True).args
    distilled = flags("6.12", 130, module=True, external=True)
    assert distilled.args == (*flags("6.12", 130).args, "--btf_features=distilled_base")
    assert "--btf_features=distilled_base" not in flags("6.18.2", 127, module=True, external=True).args
    later = flags("7.0", 131, module=True, external=True)
    assert "--btf_features=distilled_base" not in later.args
    assert later.resolve_btfids == ("--distill_base",)
    assert flags("7.0", 131, module=True).resolve_btfids == ()


def test_a_later_pahole_gets_the_last_ones_flags() -> None:
    assert flags("7.3.4", 199) == flags("7.3.4", 131)
    assert flags("6.1-rc7", 0).args == ()


@pytest.mark.parametrize(
    ("release", "row"),
    [
        ("6.12.50", "6.12"),
        ("6.12.200", "6.12.117 (Debian)"),
        ("6.15.3", "6.14"),
        ("7.9", "7.3.4 (Debian)"),
        ("5.15", "6.1-rc7"),
        ("6.8.5", "6.8.1 (Ubuntu)"),
        ("6.1", "6.1-rc7"),
    ],
)
def test_other_releases_are_assumed_and_name_their_row(release: str, row: str) -> None:
    found = flags(release, 131)
    assert found.assumed
    assert found.row == row
    assert row in found.note


def test_neighbours_that_differ_are_told() -> None:
    assert "those of 6.1.192 (Debian) differ" in flags("6.1.100", 124).note
    assert "differ" not in flags("6.12.50", 124).note


def test_the_configuration_decides_about_rust() -> None:
    assert LANG_EXCLUDE not in flags("6.1.100", 130).args
    assert flags("6.1.100", 130, lang_exclude=True).args.count(LANG_EXCLUDE) == 1
    assert flags("6.12", 130, lang_exclude=True).args.count(LANG_EXCLUDE) == 1
    assert LANG_EXCLUDE not in flags("6.12", 130, lang_exclude=False).args


def test_not_a_release() -> None:
    with pytest.raises(UsageError):
        flags("next", 131)


@given(
    st.builds(
        Release, st.integers(0, 99), st.integers(0, 99), st.integers(0, 999), st.just(FINAL) | st.integers(0, 9)
    ),
    st.integers(0, 10000),
)
def test_any_release_has_flags(release: Release, pahole: int) -> None:
    found = flags(release, pahole)
    assert found.assumed == (release not in [tree.release for tree in trees()])
    assert len(set(found.args)) == len(found.args)


def test_the_recipe_makes_the_shipped_table(tmp_path: Path) -> None:
    """Unfolded and put through the recipe again, the data stays the same."""
    shipped = HERE.parents[1] / "btfcheck/toolchain/pahole_flags.json"
    data = json.loads(shipped.read_text())
    with open(tmp_path / "table.csv", "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["tree", "pahole_version", "flags", "extra"])
        for entry in data:
            for tree in entry["trees"]:
                for s in entry["steps"]:
                    extra = f"{s['external']} || resolve_btfids: {s['resolve_btfids']}"
                    writer.writerow([tree, s["pahole"], s["flags"], extra])
    made = subprocess.run(
        [sys.executable, HERE.parent / "make-pahole-flags", tmp_path / "table.csv"],
        capture_output=True,
        check=True,
    )
    assert json.loads(made.stdout) == data


@pytest.mark.accept
@pytest.mark.skipif(not TABLE.exists(), reason="needs ../shared")
def test_every_row_of_the_facts() -> None:
    with open(TABLE, encoding="utf-8", newline="") as stream:
        _, *rows = csv.reader(stream)
    names = {tree.name: tree for tree in trees()}
    assert len(rows) == 17 * len(names)
    for tree, version, expected, extra in rows:
        release = tree.rstrip("du").replace("rc", "-rc")
        ours, _, resolve = extra.partition("||")
        found = flags(release, int(version), module=True, external=True)
        assert set(found.args) == set(expected.split()) | set(ours.split()), (tree, version)
        assert set(found.resolve_btfids) == set(resolve.split()[1:]), (tree, version)
        assert flags(release, int(version)).args == tuple(dict.fromkeys(expected.split()))
