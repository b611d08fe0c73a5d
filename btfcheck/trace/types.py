# SPDX-License-Identifier: MIT
"""Why a type or function is in the BTF, or not, or not whole: from what defines it to what pahole made of it.

What each version of pahole does is that of the measured tables (dwarf.judge names commits). An answer says how sure
it is: proven (the file alone decides), likely (one other way is left, which is named), or unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from btfcheck.btf.causes import is_rust_name
from btfcheck.btf.names import identifier_flags
from btfcheck.dwarf.names import ENUM, FUNC, STRUCT, TYPEDEF, UNION
from btfcheck.trace.definitions import BASE, Definition, Key, Record, referrers
from btfcheck.trace.ground import Ground

PROVEN, LIKELY, UNKNOWN = "proven", "likely", "unknown"
IN_BTF, FROM_RUST, BESIDE = "in the BTF", "in the BTF, from Rust", "in the BTF, C's and Rust's"
DECLARED_ONLY = "declared in the BTF, not defined"
LEFT_OUT, LOST, NO_BTF, ABSENT = "left out of the BTF", "lost", "no BTF here", "not in the BTF"
_EXHAUSTIVE = ("rust-excluded", "declared-only", "M0", "M1", "inlined", "assembler", "not-a-symbol")
_SHAPED = (STRUCT, UNION, ENUM)
ON, RUST, BOTH, NOBODY = "C", "Rust", "C and Rust", "nobody"


_M2 = "pahole merges the units, and the first one is Rust, which counts for all"

_EITHER = "a Rust unit was encoded, or LTO put it into a C unit; only the debug information tells which"


class Fate(NamedTuple):
    """What pahole versions from `first` to `last` (0: all later ones) make of it."""

    first: int
    last: int
    text: str

    def __str__(self) -> str:
        first, last = (f"{v // 100}.{v % 100}" for v in (self.first, self.last))
        if not self.first and not self.last:
            return f"every pahole {self.text}"
        if not self.first:
            return f"pahole up to {last} {self.text}"
        if not self.last:
            return f"pahole {first} and later {self.text}"
        return f"pahole {first} to {last} {self.text}" if first != last else f"pahole {first} {self.text}"

    def holds(self, version: int) -> bool:
        return self.first <= version and (not self.last or version <= self.last)


class Reason(NamedTuple):
    """One cause: a stable `id`, how sure it is, the sentence, the rule whose page has more, what versions do."""

    id: str
    certainty: str
    text: str
    rule: str = ""
    fates: tuple[Fate, ...] = ()


class Answer(NamedTuple):
    """All that is known by one kind and name. `owners` says for each record whose layout it has; `next` are commands
    that tell more, with {file} for the file."""

    kind: str
    name: str
    state: str
    definitions: tuple[Definition, ...]
    declared: int
    records: tuple[Record, ...]
    owners: tuple[str, ...]
    reasons: tuple[Reason, ...]
    next: tuple[str, ...]

    @property
    def known(self) -> bool:
        """Is there an answer at all?"""
        return any(r.certainty != UNKNOWN for r in self.reasons)


def is_identifier(name: str, dots: bool = True) -> bool:
    """Does the kernel take it for the name of a type or function?"""
    raw = name.encode("utf-8", "surrogateescape")
    return bool(raw) and b"\0" not in raw and identifier_flags(b"\0" + raw + b"\0", dots)[1] == 1


# -- what pahole makes of Rust ---------------------------------------------------------------------------


def rust_fates(ground: Ground) -> tuple[Fate, ...]:
    """Of a type or function in a Rust unit."""
    merged, merged_132 = ground.merged
    whole = "encodes it, as all of Rust"
    nothing = "writes no BTF at all and exits 0: the first unit is Rust, and counts for the merged file"
    leaves = "leaves it out, with all Rust units"
    if ground.unlabelled:
        return (Fate(0, 0, f"{whole}: it does not read DW_AT_language_name, which alone marks the unit"),)
    if merged and ground.rust_first:
        return Fate(0, 123, whole), Fate(124, 0, nothing)
    if merged:
        return Fate(0, 127, f"{whole}: it merges the units before it asks for their language"), Fate(128, 0, leaves)
    if merged_132 and ground.rust_first:
        return Fate(0, 123, whole), Fate(124, 131, leaves), Fate(132, 0, nothing)
    return Fate(0, 123, whole), Fate(124, 0, leaves)


def _lost_fates(ground: Ground) -> tuple[Fate, ...]:
    """Of what refers from a C unit to a type in a Rust unit."""
    if ground.merged[0]:
        return Fate(0, 127, "has the type, with all of Rust"), Fate(128, 0, "makes it void")
    return (Fate(0, 131, "makes it void, or in units behind the first an arbitrary earlier type"),
            Fate(132, 0, "makes it void"))


_FROM_RUST_KINDS = {"M0": "BTF300", "M1": "BTF301", "M2": "BTF302", "L2": "BTF304", "L3t": "BTF306", "L3f": "BTF307",
                    "L4": "BTF308", "L5": "BTF309", "L6": "BTF310", "L7": "BTF311"}  # fmt: skip


def why_rust(ground: Ground, versions: Sequence[int] = ()) -> Reason:
    """How something of a Rust unit came into the BTF."""
    if ground.unlabelled:
        text = "its unit is marked as Rust by DW_AT_language_name alone, which pahole does not read"
        return _kind("L7", LIKELY, text, rust_fates(ground))
    if ground.merged[0]:
        sure = bool(versions) and all(124 <= v < 128 for v in versions)
        text = "pahole merged the units (LTO) before it asked for their language, and so took the Rust units in"
        if not sure:
            text += "; or nothing left Rust units out (pahole before 1.24, or without --lang_exclude=rust)"
        return _kind("M1", PROVEN if sure else LIKELY, text, rust_fates(ground))
    text = "nothing left Rust units out: pahole before 1.24, or without --lang_exclude=rust (Kbuild before 6.3)"
    return _kind("M0", PROVEN, text, rust_fates(ground))


def _kind(leak: str, certainty: str, text: str, fates: tuple[Fate, ...] = ()) -> Reason:
    return Reason(leak, certainty, text, _FROM_RUST_KINDS[leak], fates)


def excluded(ground: Ground) -> Reason:
    """Something of Rust's that is not in the BTF."""
    text = "only Rust units define it, and pahole leaves these out (--lang_exclude=rust)"
    return Reason("rust-excluded", LIKELY if ground.has_rust else PROVEN, text, "BTF300", rust_fates(ground))


def hosted_reason(one: Definition) -> Reason:
    """Something of Rust's that stands in a C unit."""
    unit = one.entry.unit
    if unit.type_unit:
        text = f"LLVM put it into a type unit, which is labelled {one.language}"
        return _kind("L5", PROVEN, text, (Fate(0, 0, "fails on such a file"),))
    if unit.language == "none":
        text = "it stands in a unit without a language (dwz, split debug information)"
        return _kind("L6", PROVEN, text, (Fate(0, 0, "reads no such unit, or takes it for none of Rust's"),))
    leak, what = ("L3f", "a Rust function with code") if one.kind == FUNC else ("L3t", "a Rust type")
    text = (f"LLVM put {what} into {one.unit or 'a unit'}, which is labelled {one.language} (LTO): --lang_exclude=rust "
            "looks at the label")  # fmt: skip
    return _kind(leak, PROVEN, text, (Fate(0, 0, "encodes it"),))


# -- types ----------------------------------------------------------------------------------------------


def of_type(
    ground: Ground, key: Key, definitions: Sequence[Definition], declared: int, records: Sequence[Record],
    versions: Sequence[int] = (), dots: bool = True,
) -> Answer:
    """What is known of one type."""
    kind, name = key
    own = [d for d in definitions if not d.rust]
    theirs = [d for d in definitions if d.rust]
    owners = tuple(owner(r, own, theirs) for r in records)
    reasons: list[Reason] = []
    complete = [r for r in records if r.kind != "FWD"]
    if ground.btf is None:
        state = NO_BTF
        reasons += _predicted(ground, own, theirs, declared)
    elif complete:
        state = _state(owners)
        reasons += _present(ground, own, theirs, records, owners, versions)
    elif records:
        state = DECLARED_ONLY
        reasons.append(_only_declared(ground, own, theirs))
    else:
        state, missing = _missing(ground, own, theirs, declared)
        reasons.append(missing)
    reasons += _bad_name(kind, name, records, dots)
    reasons += void_parts(ground, own, records)
    reasons += _wanted_by_c(ground, theirs)
    return answer(ground, key, state, definitions, declared, records, owners, reasons)


def answer(
    ground: Ground, key: Key, state: str, definitions: Sequence[Definition], declared: int, records: Sequence[Record],
    owners: Sequence[str], reasons: Sequence[Reason],
) -> Answer:
    """The whole of it. What rests on there being nothing else is not proven where not all could be read."""
    if ground.problems:
        open_ = [r.id in _EXHAUSTIVE and r.certainty == PROVEN for r in reasons]
        reasons = [r._replace(certainty=LIKELY) if o else r for r, o in zip(reasons, open_, strict=True)]
    return Answer(*key, state, tuple(definitions), declared, tuple(records), tuple(owners), tuple(reasons),
                  tuple(_next(state, reasons)))


def owner(record: Record, own: Sequence[Definition], theirs: Sequence[Definition]) -> str:
    """Whose layout a record has."""
    if record.kind == "FWD" or not (own or theirs):
        return NOBODY
    fits = [any(_fits(record, d, closely=False) for d in group) for group in (own, theirs)]
    if all(fits):
        closer = [any(_fits(record, d, closely=True) for d in group) for group in (own, theirs)]
        fits = closer if any(closer) else fits
    if all(fits) and record.kind in ("STRUCT", "UNION"):
        return RUST if record.rust_ints else BOTH
    return {(True, True): BOTH, (True, False): ON, (False, True): RUST, (False, False): NOBODY}[fits[0], fits[1]]


def _fits(record: Record, one: Definition, closely: bool) -> bool:
    if one.kind not in _SHAPED:
        return one.kind != BASE or record.size == one.size or record.size == 4
    if record.size != one.size:
        return False
    if not closely:
        return sorted(n for n, _ in record.members) == sorted(n for n, _ in one.members)
    return sorted(record.members) == sorted((n, -1 if p is None else p) for n, p in one.members)


def _state(owners: Sequence[str]) -> str:
    if RUST in owners and (ON in owners or BOTH in owners):
        return BESIDE
    return FROM_RUST if RUST in owners else IN_BTF


def _present(
    ground: Ground, own: Sequence[Definition], theirs: Sequence[Definition], records: Sequence[Record],
    owners: Sequence[str], versions: Sequence[int],
) -> Iterable[Reason]:
    if ground.debug is None:
        yield from without_dwarf(records)
        return
    if RUST in owners:
        for one in [d for d in theirs if d.hosted][:1]:
            yield hosted_reason(one)
        if any(not d.hosted for d in theirs) and not any(d.hosted for d in theirs):
            yield why_rust(ground, versions)
        if own:
            yield Reason("beside-c", PROVEN, "C has a type of that name too: whoever looks it up by name may get the "
                         "Rust one", "BTF509")
    if any(not r.own for r in records):
        yield Reason("in-base", PROVEN, "vmlinux has it as well, and a module's BTF refers to that of its vmlinux")
    if ON in owners or BOTH in owners:
        units = sum(d.units for d in own)
        yield Reason("defined-in-c", PROVEN, f"{_units(units)} of C define{'s' if units == 1 else ''} it, and pahole "
                     "encodes every type of a unit that it does not leave out")
        layouts = [r for r, o in zip(records, owners, strict=True) if o in (ON, BOTH) and r.own]
        if len({(r.size, r.members) for r in layouts}) < len(layouts):
            cause = "types that their members lead to have several records, too"
            if any(r.id in ground.leading_to_rust for r in layouts):
                cause = "one of them leads to types of Rust's"
            yield Reason("not-merged", PROVEN, f"records of equal layout were not merged: {cause}", "BTF404")
        elif len(layouts) > 1:
            yield Reason("several-layouts", PROVEN, f"C has {len(layouts)} different types of that name (or of what "
                         "its members are): each keeps its record", "BTF404")
    if NOBODY in owners and all(r.kind != "FWD" for r in records):
        yield _untraced(ground, bool(own or theirs))


def without_dwarf(records: Sequence[Record]) -> Iterable[Reason]:
    """What a record tells of itself where there is no debug information."""
    if any(is_rust_name(r.name) for r in records):
        yield Reason("rust-name", PROVEN, f"its name can only be Rust's: {_EITHER}", "BTF405")
    elif any(r.rust_ints for r in records):
        yield Reason("rust-members", LIKELY, f"its members have base types of Rust's names: {_EITHER}", "BTF405")
    else:
        yield Reason("no-dwarf", UNKNOWN, "there is no debug information: what put it there cannot be told")


def _untraced(ground: Ground, named: bool) -> Reason:
    what = "no unit defines it with this layout" if named else "no unit defines it"
    if ground.problems:
        return Reason("untraced", UNKNOWN, f"{what}, but not all of the debug information could be read", "BTF513")
    return Reason("untraced", LIKELY, f"{what}: the BTF is of another build than the debug information, or another "
                  "tool than pahole added it", "BTF513")


def _units(number: int) -> str:
    return f"{number} unit{'s' if number != 1 else ''}"


def _only_declared(ground: Ground, own: Sequence[Definition], theirs: Sequence[Definition]) -> Reason:
    if own:
        return Reason("lost", UNKNOWN, "C units define it, and the BTF has only its declaration", "BTF510")
    if theirs:
        return excluded(ground)._replace(text="C only declares it; Rust units define it, and pahole leaves these out")
    where = "debug information or BTF" if ground.debug is None else "unit"
    return Reason("declared-only", PROVEN if ground.debug and not ground.problems else LIKELY,
                  f"no {where} here defines it, C units only declare it: pointers to it are all there is")


def _missing(
    ground: Ground, own: Sequence[Definition], theirs: Sequence[Definition], declared: int
) -> tuple[str, Reason]:
    """Why a type has no record."""
    if any(d.hosted for d in theirs):
        text = "it stands in a unit labelled C, and still it is not in this BTF"
        return LOST, Reason("lost", UNKNOWN, text, "BTF306")
    if own and ground.merged[0] and ground.rust_first:
        return LOST, _kind("M2", PROVEN, _M2, rust_fates(ground))
    if own:
        text = "C units define it, and it is not in this BTF: the BTF is of another build, or a pahole lost it"
        return LOST, Reason("lost", UNKNOWN, text, "BTF510")
    if any(d.kind == TYPEDEF for d in theirs):
        return LOST, _kind("L4", PROVEN, "it is C's (rustc writes no typedefs), and stands in a unit labelled Rust",
                           rust_fates(ground))
    if theirs:
        return LEFT_OUT, excluded(ground)
    if declared:
        return ABSENT, Reason("declared-only", PROVEN, "no unit defines it; some only declare it")
    return ABSENT, Reason("nowhere", UNKNOWN, "nothing defines it")


def _predicted(
    ground: Ground, own: Sequence[Definition], theirs: Sequence[Definition], declared: int
) -> Iterable[Reason]:
    """Without BTF: what each pahole would make of it."""
    if own and ground.merged[0] and ground.rust_first:
        yield _kind("M2", PROVEN, _M2, (Fate(0, 123, "encodes it"), Fate(124, 0, "writes no BTF at all and exits 0")))
    elif own:
        yield Reason("defined-in-c", PROVEN, "C units define it", fates=(Fate(0, 0, "encodes it"),))
    for one in [d for d in theirs if d.hosted][:1]:
        yield hosted_reason(one)
    if any(not d.hosted for d in theirs):
        yield Reason("rust-unit", PROVEN, "Rust units define it", "BTF301" if ground.merged[0] else "BTF300",
                     rust_fates(ground))
    if declared and not own and not theirs:
        yield Reason("declared-only", PROVEN, "no unit defines it; some only declare it")


def _bad_name(kind: str, name: str, records: Sequence[Record], dots: bool) -> Iterable[Reason]:
    if kind != BASE and any(r.own for r in records) and not is_identifier(name, dots):
        yield Reason("refused-name", PROVEN, "the kernel refuses the BTF for this name: it is no identifier "
                     "(`Invalid name`)", "BTF401")


def void_parts(ground: Ground, own: Sequence[Definition], records: Sequence[Record]) -> Iterable[Reason]:
    """Members, parameters and results whose type stands in a Rust unit."""
    lost = list(dict.fromkeys(one for d in own for one in d.lost))
    for one in lost[:20]:
        part = f"the type of {one.part}" if one.part else "its type"
        text = f"{part} ({one.type}) stands in a Rust unit, {one.unit}"
        if ground.btf is None:
            yield _kind("L2", PROVEN, text, _lost_fates(ground))
        elif any(one.part in r.void for r in records):
            refused = ", and the kernel refuses that (`Invalid type_id`)"
            yield _kind("L2", PROVEN, f"{text}, which pahole left out: it became void"
                        f"{refused if any(one.part in r.nothing for r in records) else ''}", _lost_fates(ground))
        elif records and ground.merged[0]:
            yield _kind("L2", PROVEN, f"{text}; this BTF has it, for Rust units were taken in", _lost_fates(ground))
        elif records:
            yield _kind("L2", LIKELY, f"{text}; what this BTF has there need not be the right one", _lost_fates(ground))


def _wanted_by_c(ground: Ground, theirs: Sequence[Definition]) -> Iterable[Reason]:
    """A type in a Rust unit that entities of C have: with C23, `bool` is one type of both."""
    users = referrers(ground, [d for d in theirs if not d.hosted])
    if users:
        some = ", ".join(users[:4]) + (f" and {len(users) - 4} more" if len(users) > 4 else "")
        yield _kind("L2", PROVEN, f"C uses it where it stands, in a Rust unit: {some}", _lost_fates(ground))


def _next(state: str, reasons: Sequence[Reason]) -> Iterable[str]:
    rules = list(dict.fromkeys(r.rule for r in reasons if r.rule))
    ids = {r.id for r in reasons}
    if ids & {"lost", "untraced"} or state == LOST:
        yield "btfcheck encode {file} --btf embedded"
        yield "btfcheck encode {file} --pahole pahole"
    elif ids & _FROM_RUST_KINDS.keys():
        yield "btfcheck scan {file} --pahole-version 1.25,1.28,1.32"
    elif state == NO_BTF:
        yield "btfcheck encode {file} --pahole pahole"
    if "refused-name" in ids:
        yield "btfcheck validate {file}"
    for rule in rules[:3]:
        yield f"btfcheck explain {rule}"
