# SPDX-License-Identifier: MIT
"""Verdicts by pahole version and kernel release; the examples of the rules are run here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from btfcheck.dwarf.judge import KINDS, Case, judge, kinds_of, merges, passes_lang_exclude
from btfcheck.dwarf.leaks import ScanResult, scan
from btfcheck.dwarf.writer import build
from btfcheck.lint.rules import Rule, load
from btfcheck.model import Outcome, Severity, Status
from btfcheck.release import parse as release
from tests.dwarf.conftest import TRUTH

RULES = load(stages=("dwarf",)).rules
CASES = [(r, e) for r in RULES.values() for e in r.examples]


@pytest.mark.parametrize(("rule", "example"), CASES, ids=[f'{r.id}-{e["title"]}' for r, e in CASES])
def test_example(rule: Rule, example: Mapping[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "vmlinux"
    path.write_bytes(build(example["input"]))
    version = example.get("facts", {}).get("PAHOLE_VERSION")
    kernel = release(example["kernel"]) if "kernel" in example else None
    outcomes = judge(scan(str(path)), "vmlinux", [Case(int(version) if version else None, kernel)])
    assert {o.rule: o.status.value for o in outcomes}[rule.id] == example["expect"]


def test_every_kind_has_its_rule() -> None:
    assert {about.rule for about in KINDS.values()} | {"BTF320", "BTF321"} == set(RULES)
    for kind, about in KINDS.items():
        assert RULES[about.rule].message.startswith(f"{kind}:")
        harmless = about.severity if kind not in ("L1", "L3n") else Severity.NOTE
        assert RULES[about.rule].severity is harmless


def result(merged: bool = True, merged_132: bool = True, generated: bool = False, **kinds: int) -> ScanResult:
    return ScanResult("vmlinux", units={"C": 5, "Rust": 2}, first=("asm", "head.S"), merged=merged,
                      merged_132=merged_132, generated=generated, kinds=kinds)


def outcome(found: ScanResult, kind: str, version: int | None, kernel: str | None = None) -> Outcome:
    case = Case(version, release(kernel) if kernel else None)
    return next(o for o in judge(found, "vmlinux", [case]) if o.rule == KINDS[kind].rule)


HARM, NOTE, NONE, UNKNOWN = ((Status.FINDING, Severity.ERROR), (Status.FINDING, Severity.NOTE),
                             (Status.OK, Severity.NOTE), (Status.UNKNOWN, Severity.ERROR))


# The table of effects: what 1.23, 1.25, 1.27, 1.28, 1.32 and an unknown pahole make of a merged file.
@pytest.mark.parametrize(("kind", "verdicts"), [
    ("M0", [HARM, NONE, NONE, NONE, NONE, UNKNOWN]),
    ("M1", [HARM, HARM, HARM, NONE, NONE, UNKNOWN]),
    ("M2", [HARM, HARM, HARM, HARM, HARM, HARM]),
    ("L1", [NOTE, NOTE, NOTE, NOTE, NOTE, NOTE]),
    ("L2", [NOTE, NOTE, NOTE, HARM, HARM, UNKNOWN]),
    ("L3n", [NOTE, NOTE, NOTE, NOTE, NOTE, NOTE]),
    ("L3t", [HARM, HARM, HARM, HARM, HARM, HARM]),
    ("L3f", [HARM, HARM, HARM, HARM, HARM, HARM]),
    ("L4", [NOTE, NOTE, NOTE, HARM, HARM, UNKNOWN]),
    ("L5", [HARM, HARM, HARM, HARM, HARM, HARM]),
    ("L7", [HARM, HARM, HARM, HARM, HARM, HARM]),
])
def test_table_of_effects(kind: str, verdicts: list[tuple[Status, Severity]]) -> None:
    found = result(**{} if kind == "M0" else {kind: 3})
    told = [outcome(found, kind, version) for version in (123, 125, 127, 128, 132, None)]
    assert [(o.status, o.severity) for o in told] == verdicts
    for item in told:
        assert bool(item.missing) == (item.status is Status.UNKNOWN)


def test_not_merged_types_are_lost_with_every_pahole() -> None:
    found = result(merged=False, merged_132=False, L2=1)
    assert {outcome(found, "L2", v).severity for v in (124, 127, 128, None)} == {Severity.ERROR}


def test_the_two_rules_of_merging() -> None:
    found = result(merged=False, merged_132=True, M2=1)
    assert [merges(found, Case(v)) for v in (124, 131, 132, None)] == [False, False, True, None]
    assert outcome(found, "M2", 131).severity is Severity.NOTE
    assert outcome(found, "M2", 132).severity is Severity.ERROR
    assert outcome(found, "M2", None).status is Status.UNKNOWN


def test_a_module_in_rust_is_a_note() -> None:
    found = result(generated=True, M1=1, M2=1)
    for kind, version in (("M2", 131), ("M1", 125), ("M0", 123)):
        item = outcome(found, kind, version)
        assert (item.status, item.severity) == (Status.FINDING, Severity.NOTE)


@pytest.mark.parametrize(("kernel", "passed"), [
    ("6.1", False), ("6.1.69", False), ("6.1.100", None), ("6.1.192", True), ("6.2", False), ("6.2.16", False),
    ("6.3", True), ("6.12.117", True), ("7.3", True)])
def test_which_kernels_pass_lang_exclude(kernel: str, passed: bool | None) -> None:
    assert passes_lang_exclude(release(kernel)) is passed
    expected = {False: HARM, True: NONE, None: UNKNOWN}[passed]
    item = outcome(result(), "M0", 131, kernel)
    assert (item.status, item.severity) == expected


def test_m0_is_counted_only_where_it_applies() -> None:
    found = result(M1=1)
    assert kinds_of(found, [Case(131)]) == {"M1": 1}
    assert kinds_of(found, [Case(123)]) == {"M0": 1, "M1": 1}
    assert kinds_of(found, [Case(None)]) == {"M1": 1}


def test_the_worst_of_several_versions_counts_and_each_is_told() -> None:
    told = judge(result(M1=1), "vmlinux", [Case(125), Case(128)])
    item = next(o for o in told if o.rule == "BTF301")
    assert item.severity is Severity.ERROR
    assert [note.split(":")[0] for note in item.notes] == ["pahole 1.25", "pahole 1.28"]


def test_fingerprints_do_not_know_offsets_paths_or_counts() -> None:
    one, other = result(L3t=3), result(L3t=14)
    other.path = "/elsewhere/vmlinux"
    assert outcome(one, "L3t", 128).fingerprint == outcome(other, "L3t", 131).fingerprint


def test_what_was_not_understood_is_never_ok() -> None:
    found = ScanResult("vmlinux", status="unknown", units={"C": 1}, problems=["unit at 0x0: cut off"])
    told = judge(found, "vmlinux", [Case(131)])
    assert {o.status for o in told if o.rule != "BTF320"} == {Status.UNKNOWN}
    broken = ScanResult("vmlinux", status="error", problems=["vmlinux: not an ELF file"])
    assert [o.status for o in judge(broken, "vmlinux", [Case(131)])] == [Status.ERROR]


def test_no_debug_information_is_no_pass() -> None:
    assert [o.status for o in judge(ScanResult("x.ko"), "x.ko", [Case(131)])] == [Status.SKIP]


MEASURED = [(name, version) for name in TRUTH if not name.startswith("x-")
            for version, made in TRUTH[name]["pahole"].items() if version != "master" and made["result"] != "crash"]


@pytest.mark.parametrize(("name", "version"), MEASURED)
def test_verdicts_are_what_pahole_and_the_kernel_did(name: str, version: str, samples: Path) -> None:
    """An error exactly where the BTF was refused by the kernel or not written at all."""
    made = TRUTH[name]["pahole"][version]
    told = judge(scan(str(samples / name)), "vmlinux", [Case(100 + int(version.partition(".")[2]))])
    harm = any(o.status is Status.FINDING and o.severity is Severity.ERROR for o in told)
    assert harm == (made["result"] != "accepted")
    assert not any(o.status is Status.UNKNOWN for o in told)
