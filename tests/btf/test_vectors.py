# SPDX-License-Identifier: MIT
"""Same verdict, errno and message as eleven kernels gave."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import btfcheck
from btfcheck.btf.releases import Rules, rules_for
from btfcheck.btf.verify import check
from btfcheck.release import Release
from tests.btf.vectors import agrees, is_kernel_dependent, vectors

RELEASES = sorted(vectors("cases")[0].verdicts)


def disagreements(name: str, release: Release, first_only: bool) -> tuple[list[str], list[str]]:
    """(names that differ, names that differ by a rule which depends on the kernel)."""
    wrong, dependent = [], []
    rules = rules_for(release)
    for vector in vectors(name):
        verdict = check(vector.blob, rules, first_only=first_only).verdict
        if not agrees(vector, release, verdict):
            (dependent if is_kernel_dependent(vector, release, verdict) else wrong).append(vector.name)
    return wrong, dependent


@pytest.mark.parametrize("release", RELEASES, ids=str)
@pytest.mark.parametrize("name", ["cases", "fuzz-a"])
def test_verdicts(name: str, release: Release) -> None:
    wrong, dependent = disagreements(name, release, first_only=False)
    assert wrong == []
    # A kptr to struct pt, which those two kernels have and others of their release may not.
    assert dependent in ([], ["real-fixed19-b"], ["f1-02024"])


@pytest.mark.parametrize("name", ["cases", "fuzz-a"])
def test_the_first_fault_is_the_same_when_nothing_else_is_looked_for(name: str) -> None:
    assert disagreements(name, vectors(name)[0].measured, first_only=True)[0] == []


def test_all_releases_and_both_outcomes_are_there() -> None:
    assert len(RELEASES) == 11
    assert len(vectors("cases")) == 697
    assert len(vectors("fuzz-a")) == 5000
    assert {v.verdicts[v.measured][0] for v in vectors("cases")} == {True, False}


def test_the_library_face_says_the_same() -> None:
    for vector in vectors("cases")[::7]:
        for release in (vector.measured, RELEASES[0], RELEASES[-1]):
            verdict = btfcheck.validate(vector.blob, kernel=str(release), path="user")
            assert agrees(vector, release, verdict) or is_kernel_dependent(vector, release, verdict), vector.name


def test_later_faults_do_not_change_the_first() -> None:
    for vector in vectors("fuzz-a")[::5]:
        rules = rules_for(vector.measured)
        all_of_them = check(vector.blob, rules).verdict
        first = check(vector.blob, rules, first_only=True).verdict
        assert all_of_them[:3] == first[:3]
        assert [f._replace(more=0) for f in all_of_them.faults[:1]] == list(first.faults)


def test_equal_rules_are_one_computation() -> None:
    """Lines between which nothing changed share their rules, so a verdict for both is computed once."""
    assert rules_for(Release(6, 16)) == rules_for(Release(6, 19))
    assert rules_for(Release(6, 1)) != rules_for(Release(6, 12))
    assert isinstance(rules_for(Release(6, 1)), Rules)


@pytest.mark.accept
def test_the_packed_vectors_are_those_that_were_measured(shared: Path) -> None:
    manifest = json.loads((shared / "vectors" / "btf" / "cases" / "manifest.json").read_text())
    for case, vector in zip(manifest["cases"], vectors("cases"), strict=True):
        assert (shared / "vectors" / "btf" / "cases" / case["file"]).read_bytes() == vector.blob


@pytest.mark.accept
@pytest.mark.parametrize(("version", "message"), [
    ("1.25", "[8] STRUCT <usize as core::fmt::Debug>::{vtable_type} size=32 vlen=4 Invalid name"),
    ("1.28", ""),
])
def test_the_rust_kernel_as_two_paholes_encoded_it(shared: Path, version: str, message: str) -> None:
    data = (shared / "vectors" / "kernel" / f"thinlto-pahole-{version}.btf").read_bytes()
    for path in ("vmlinux", "user"):
        verdict = btfcheck.validate(data, kernel="6.12.117", path=path)
        assert (verdict.accepted, verdict.message) == (not message, message)
