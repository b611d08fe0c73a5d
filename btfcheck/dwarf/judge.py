# SPDX-License-Identifier: MIT
"""What a scan's kinds do to BTF with a given pahole: results -> outcomes, one per rule and file.

The versions are those of the measured table: --lang_exclude is there from pahole 1.24 on, reaches the
units of a merged file from 1.28 on (commit b98565e7b17e), and from 1.32 on the LTO note no longer
prevents merging (commit 44a6200f0dbf).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from btfcheck.dwarf.leaks import Example, ScanResult
from btfcheck.model import Fact, Location, Outcome, Severity, Status
from btfcheck.release import Release

UNREADABLE = "BTF321"
SPLIT_MISSING = "BTF320"

NO_PAHOLE = "pahole's version: the configuration that records it (--config), or the pahole itself (PAHOLE=)"


class Case(NamedTuple):
    """One pahole (its version as Kconfig has it, 128 for 1.28; None: unknown) and one kernel release."""

    pahole: int | None
    kernel: Release | None = None

    def __str__(self) -> str:
        if self.pahole is None:
            return "a pahole of unknown version"
        return f"pahole {self.pahole // 100}.{self.pahole % 100}"


def before(case: Case, version: int) -> bool | None:
    """Is this pahole older than `version`? None when it is not known."""
    return None if case.pahole is None else case.pahole < version


def passes_lang_exclude(kernel: Release | None) -> bool | None:
    """Does this kernel's Kbuild pass --lang_exclude=rust? Commit c1177979af9c (6.3); 6.1.y got it in
    January 2024 or later and has it in 6.1.192, so that the releases between are unknown. Without a
    release it is taken to be one that has it.
    """
    if kernel is None or kernel.line >= (6, 3):
        return True
    if kernel.line == (6, 1) and kernel.patch >= 70:
        return True if kernel.patch >= 192 else None
    return False


def merges(result: ScanResult, case: Case) -> bool | None:
    """Would this pahole merge the file's units?"""
    if case.pahole is None:
        return result.merged if result.merged == result.merged_132 else None
    return result.merged_132 if case.pahole >= 132 else result.merged


# Each says whether its kind does harm: True, False, or None for "not known".

def _always(result: ScanResult, case: Case) -> bool | None:  # noqa: ARG001
    return True


def _never(result: ScanResult, case: Case) -> bool | None:  # noqa: ARG001
    return False


def _not_excluded(result: ScanResult, case: Case) -> bool | None:  # noqa: ARG001
    """M0"""
    passed, old = passes_lang_exclude(case.kernel), before(case, 124)
    if passed is False or old:
        return True
    return None if passed is None or old is None else False


def _merged_rust(result: ScanResult, case: Case) -> bool | None:  # noqa: ARG001
    """M1"""
    return before(case, 128)


def _types_skipped(result: ScanResult, case: Case) -> bool | None:
    """L2: the unit that has the type is left out; in a merged file that begins with 1.28."""
    merged = merges(result, case)
    if merged is False:
        return True
    old = before(case, 128)
    return None if old is None or merged is None else not old


def _unit_skipped(result: ScanResult, case: Case) -> bool | None:
    """L4: as L2, but where nothing is excluded (before 1.24) nothing is lost."""
    old = before(case, 124)
    return False if old else None if old is None else _types_skipped(result, case)


Harm = Callable[[ScanResult, Case], bool | None]


class Kind(NamedTuple):
    """How a kind is told. `what` takes the count; `harmful` and `harmless` say what comes of it."""

    rule: str
    what: str
    harm: Harm
    harmful: str
    harmless: str
    severity: Severity = Severity.ERROR
    note: bool = True  # told as a note where it does no harm


KINDS: dict[str, Kind] = {
    "M0": Kind(
        "BTF300", "Rust units that nothing keeps out of BTF: {units}", _not_excluded,
        "Rust types in BTF, and the kernel refuses it", "Rust units are left out", note=False),
    "M1": Kind(
        "BTF301", "Rust units in a file whose units pahole merges: {units}", _merged_rust,
        "all Rust types in BTF, and the kernel refuses it", "Rust units are left out before merging",
        note=False),
    "M2": Kind(
        "BTF302", "pahole merges the file's units, and the first one is Rust ({first})", merges,
        "the merged unit counts as Rust: no BTF at all, and exit status 0", "the units are not merged"),
    "L1": Kind(
        "BTF303", "references from C units to code of Rust units: {n}", _never,
        "", "pahole prints \"couldn't find ...\"; the BTF is not harmed"),
    "L2": Kind(
        "BTF304", "references from C entities to types in Rust units: {n}", _types_skipped,
        "the types become void: BTF is wrong, or the kernel refuses it",
        "the types are there, with all Rust units"),
    "L3n": Kind(
        "BTF305", "Rust namespaces without a type in C units: {n}", _never, "", "nothing reaches BTF"),
    "L3t": Kind(
        "BTF306", "Rust types in C units: {n}", _always,
        "they get into BTF: the kernel refuses it or, where the names are C's too, takes wrong types",
        ""),
    "L3f": Kind(
        "BTF307", "Rust functions with code in C units: {n}", _always, "they get into BTF as functions", ""),
    "L4": Kind(
        "BTF308", "C entities in Rust units: {n}", _unit_skipped,
        "they are lost with the Rust units", "they are there, with all Rust units"),
    "L5": Kind(
        "BTF309", "type units that are labelled C and hold Rust types: {n}", _always,
        "pahole cannot encode such a file", ""),
    "L6": Kind(
        "BTF310", "units without a language that hold Rust types: {n}", _always,
        "nothing tells pahole that they are Rust's", "", Severity.WARNING),
    "L7": Kind(
        "BTF311", "Rust units that only DW_AT_language_name marks: {n}", _always,
        "pahole does not read it, so --lang_exclude=rust does not leave them out", ""),
}


def kinds_of(result: ScanResult, cases: Sequence[Case]) -> dict[str, int]:
    """The kinds of a result, with M0 where one of the cases makes it one."""
    if result.rust and any(_not_excluded(result, case) for case in cases):
        return {"M0": 1} | result.kinds
    return result.kinds


def judge(result: ScanResult, subject: str, cases: Sequence[Case], facts: tuple[Fact, ...] = (),
          fixes: dict[str, str] | None = None) -> list[Outcome]:
    """One outcome for each rule on this file, worst first as the rules are numbered.

    `cases` (at least one) are the paholes to judge for, `facts` what is known of them, `fixes` the advice
    by rule id. What could not be read or verified is never ok.
    """
    if result.status == "error":
        return [Outcome(UNREADABLE, Status.ERROR, Severity.ERROR, subject, "; ".join(result.problems))]
    if result.empty:
        text = f"{result.path}: no debug information"
        return [Outcome("BTF300", Status.SKIP, Severity.ERROR, subject, text)]
    outcomes = []
    counts = {"M0": 1 if result.rust else 0} | result.kinds
    for kind, about in KINDS.items():
        count = counts.get(kind, 0)
        if count:
            outcomes.append(_present(result, subject, kind, count, cases, facts, (fixes or {}).get(about.rule, "")))
        elif result.status == "ok":
            outcomes.append(Outcome(about.rule, Status.OK, about.severity, subject))
    return outcomes + _gaps(result, subject)


def _present(result: ScanResult, subject: str, kind: str, count: int, cases: Sequence[Case],
             facts: tuple[Fact, ...], fix: str) -> Outcome:
    """The outcome of a kind that the file has."""
    about = KINDS[kind]
    verdicts = [about.harm(result, case) for case in cases]
    message = about.what.format(n=count, units=result.rust, first=result.first[1] or "it has no name")
    notes = [f"{case}: {_effect(about, verdict)}" for case, verdict in zip(cases, verdicts, strict=True)]
    if about.harm in (_always, _never):
        notes = [_effect(about, verdicts[0])]
    if any(verdicts):
        status, severity = Status.FINDING, about.severity
    elif None in verdicts:
        status, severity = Status.UNKNOWN, about.severity
    else:
        status, severity = Status.FINDING if about.note else Status.OK, Severity.NOTE
    if kind in ("M0", "M1", "M2") and result.generated and status is Status.FINDING:
        # Nothing of C is lost or spoilt: Rust modules look like that, and Kbuild up to 6.5 skips them.
        severity = Severity.NOTE
        notes.append("no C unit but what modpost generates: a module written in Rust")
    elif kind == "M1" and "M2" in result.kinds and all(merges(result, case) for case in cases):
        notes.append("the first unit is Rust, which decides for the whole file: see BTF302")
    return Outcome(
        about.rule, status, severity, subject, message,
        locations=tuple(_location(e) for e in result.examples.get(kind, ())) or (Location(result.path),),
        facts=facts if kind not in ("L1", "L3n", "L3t", "L3f", "L5", "L6", "L7") else (),
        notes=tuple(notes),
        fix=fix if status is Status.FINDING and severity is not Severity.NOTE else "",
        missing=(NO_PAHOLE,) if status is Status.UNKNOWN else (),
    )


def _effect(about: Kind, harm: bool | None) -> str:
    if harm is None:
        return f"not known; {about.harmful}, or not: {about.harmless}"
    return about.harmful if harm else about.harmless


def _location(example: Example) -> Location:
    """`file [unit: section+offset tag attribute]  Rust name -> target unit (source)`."""
    place = f"{example.unit}: {example.section}+0x{example.offset:x} {example.tag}"
    if example.attribute:
        place += f" {example.attribute}"
    text = example.name
    if example.target is not None:
        text += f" -> 0x{example.target:x} in {example.target_unit}"
    if example.source:
        text += f" ({example.source})"
    return Location(example.file, text=text.strip(), logical=place)


def _gaps(result: ScanResult, subject: str) -> list[Outcome]:
    """What could not be verified."""
    missing = Outcome(SPLIT_MISSING, Status.OK, Severity.ERROR, subject)
    if result.missing:
        missing = missing._replace(
            status=Status.UNKNOWN, locations=(Location(result.path),), notes=tuple(result.missing[:5]),
            message=f"debug information stands in files that were not found: {len(result.missing)}")
    unreadable = Outcome(UNREADABLE, Status.OK, Severity.ERROR, subject)
    if result.problems:
        unreadable = unreadable._replace(
            status=Status.UNKNOWN, locations=(Location(result.debug_path or result.path),),
            message="debug information that cannot be decoded: nothing is known about it",
            notes=tuple(result.problems))
    return [missing, unreadable]
