# SPDX-License-Identifier: MIT
"""What a comparison of BTF with the debug information means: values -> outcomes of the rules BTF508 to BTF522."""

from __future__ import annotations

import re
from collections.abc import Sequence

from btfcheck.dwarf.judge import NO_PAHOLE
from btfcheck.gate.judge import FIRST, About
from btfcheck.model import Outcome, Severity, Status
from btfcheck.trace.arguments import Arguments
from btfcheck.trace.compare import Comparison

_LISTS: tuple[tuple[str, str, Severity, str], ...] = (
    ("BTF508", "rust", Severity.ERROR, "{n} types and functions in the BTF came from Rust"),
    ("BTF509", "clashes", Severity.ERROR, "{n} types of C have a Rust type of another layout beside them in the BTF"),
    ("BTF510", "lost_types", Severity.ERROR, "{n} types of C are not in the BTF"),
    ("BTF512", "void", Severity.ERROR, "{n} members, parameters or results lost their type"),
    ("BTF513", "untraced", Severity.NOTE, "{n} names in the BTF are defined by no unit of the debug information"),
)  # fmt: skip
_IDENTIFIER = re.compile(r"[A-Za-z_.][A-Za-z0-9_.]*\Z")  # as the kernel sees it
_NEEDS_ALL = ("BTF508", "BTF509", "BTF510", "BTF513")  # what a unit that cannot be read leaves open


def of_comparison(about: About, found: Comparison) -> list[Outcome]:
    """BTF508 to BTF514, and BTF522."""
    outcomes = []
    for rule, field, severity, text in _LISTS:
        names: tuple[str, ...] = getattr(found, field)
        if names and not (found.problems and rule == "BTF513"):
            notes = *_first(names), *_extra(rule, found)
            outcomes.append(about.outcome(rule, Status.FINDING, severity, text.format(n=len(names)), notes=notes))
        elif found.problems and rule in _NEEDS_ALL:
            missing = ("debug information that can be read",)
            outcomes.append(about.outcome(rule, Status.UNKNOWN, severity, "not all units could be read",
                                          missing=missing, notes=tuple(found.problems[:3])))
        else:
            outcomes.append(about.ok(rule, severity))
    outcomes += [_functions(about, found), about.ok("BTF514", Severity.NOTE), _arguments(about, found.arguments)]
    return outcomes


def _extra(rule: str, found: Comparison) -> tuple[str, ...]:
    """What else is to say of a list of names."""
    if rule != "BTF508":
        return ()
    refused = sum(not _IDENTIFIER.match(name.partition(" ")[2]) for name in found.rust)
    told = [f"{refused} have names that no C identifier can be, which the kernel refuses; "
            f"{len(found.rust) - refused} have names that C could have"]
    if found.doubled:
        told.append(f"{len(found.doubled)} types of C stand there twice, because they lead to these: "
                    f"{', '.join(_first(found.doubled))}")
    return tuple(told)


def _arguments(about: About, found: Arguments) -> Outcome:
    """BTF522: does a BPF trampoline find every argument that is passed by value?"""
    settled = f"{len(found.right)} functions take what is packed, aligned or floating by value, and no tracer is misled"
    notes = (settled, *_first(found.right)) if found.right else ()
    if found.wrong:
        message = f"{len(found.wrong)} functions take arguments where BPF trampolines do not look for them"
        return about.outcome("BTF522", Status.FINDING, Severity.WARNING, message, notes=(*_lines(found.wrong), *notes))
    if found.open:
        message = f"{len(found.open)} functions take arguments by value whose place is not known"
        return about.outcome("BTF522", Status.UNKNOWN, Severity.NOTE, message, notes=(*_lines(found.open), *notes),
                             missing=("the definitions of these types in the debug information",))
    return about.ok("BTF522", Severity.WARNING)._replace(notes=notes)


def settled(outcomes: Sequence[Outcome], found: Comparison) -> list[Outcome]:
    """The outcomes of a look at BTF or debug information alone, without the questions that the comparison answers:
    names of several layouts (BTF404), arguments by value (BTF408), and what a pahole of unknown version made of Rust
    units."""
    clean = not (found.rust or found.clashes or found.lost_types or found.void)
    sound = "the BTF in the file has nothing of Rust's, and no type of C is lost"
    answers = {
        "BTF404": (not found.unmatched, f"each layout of these names is a type of its own in C: "
                   f"{', '.join(_first(found.several))}" if found.several else "answered by BTF508 and BTF509"),
        "BTF408": (not found.arguments.open, "answered by BTF522, from the debug information"),
    }
    result = []
    for outcome in outcomes:
        answered, why = False, ""
        if outcome.status is Status.FINDING:
            answered, why = answers.get(outcome.rule, (False, ""))
        elif outcome.status is Status.UNKNOWN and outcome.missing == (NO_PAHOLE,):
            answered, why = clean, sound
        if answered and not found.problems:
            outcome = outcome._replace(status=Status.OK, message=why, notes=(), locations=(), missing=())
        result.append(outcome)
    return result


def _functions(about: About, found: Comparison) -> Outcome:
    """BTF511: pahole leaves functions out on purpose, and its own word and the debug information tell which."""
    lost, reasons = found.lost_functions, _reasons(found)
    if not lost:
        return about.ok("BTF511", Severity.WARNING)._replace(notes=reasons)
    if found.unproven:
        message = f"{len(lost)} functions of C are not in the BTF, and nothing tells whether on purpose"
        missing = ("the reason for each, which pahole gives with -V: `btfcheck encode --pahole` asks for it",)
        return about.outcome("BTF511", Status.UNKNOWN, Severity.NOTE, message, notes=(*_first(lost), *reasons),
                             missing=missing)
    message = f"{len(lost)} functions of C are not in the BTF, and there is no reason for it"
    return about.outcome("BTF511", Status.FINDING, Severity.WARNING, message, notes=(*_first(lost), *reasons))


def _reasons(found: Comparison) -> tuple[str, ...]:
    counts: dict[str, int] = {}
    for why in found.left_out.values():
        why = why.partition("#")[0].partition(";")[0].strip()
        counts[why] = counts.get(why, 0) + 1
    word = "left out as some pahole does" if found.unproven else "left out on purpose"
    return tuple(f"{word}: {n} for {why}" for why, n in sorted(counts.items(), key=lambda row: -row[1]))


def _lines(names: Sequence[str]) -> tuple[str, ...]:
    more = (f"and {len(names) - FIRST} more",) if len(names) > FIRST else ()
    return (*names[:FIRST], *more)


def _first(names: Sequence[str]) -> tuple[str, ...]:
    more = (f"and {len(names) - FIRST} more",) if len(names) > FIRST else ()
    return (", ".join(names[:FIRST]), *more)
