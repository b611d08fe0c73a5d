# SPDX-License-Identifier: MIT
"""Why a function is in the BTF or missing there.

pahole takes only functions that the symbol table has, whose parameters have names; from 1.25 on it leaves out those
whose definitions differ or whose arguments a tracer would look for in the wrong place (--btf_gen_optimized,
--skip_encoding_btf_inconsistent_proto), from 1.31 on those whose name stands for several addresses, from 1.32 on those
of which GCC dropped parameters. With -V it says so itself.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence

from btfcheck.btf.kfuncs import with_implicit_arguments
from btfcheck.dwarf.abbrev import DwarfError
from btfcheck.dwarf.constants import AT, TAG
from btfcheck.dwarf.entries import Place, nameless_parameters
from btfcheck.dwarf.find import Found
from btfcheck.dwarf.locations import ARGUMENTS, register, register_name
from btfcheck.dwarf.spell import Entry
from btfcheck.trace.definitions import INLINED, OUT_OF_LINE, Definition, Key, Record, copies
from btfcheck.trace.ground import Ground
from btfcheck.trace.types import (
    FROM_RUST,
    IN_BTF,
    LEFT_OUT,
    LIKELY,
    LOST,
    NO_BTF,
    PROVEN,
    UNKNOWN,
    Answer,
    Fate,
    Reason,
    answer,
    excluded,
    hosted_reason,
    rust_fates,
    void_parts,
    why_rust,
    without_dwarf,
)

Symbols = Mapping[str, set[tuple[int, int]]]

_MOST_COMPARED = 400  # definitions whose types and registers are read
_PARTS = (".cold", ".part.")  # pieces of a function, which stand for no function
_ONLY_SYMBOLS = Fate(0, 0, "takes only functions that the symbol table has")
_TAKES = ("encodes", "takes it")  # how the text of a fate begins that is none of a function's being missing
_SPLIT_OFF = "the symbol table has only {0}: the compiler changed or split the function, and gave it that name"


def of_function(
    ground: Ground, key: Key, definitions: Sequence[Definition], declared: int, hits: Sequence[Found],
    records: Sequence[Record], versions: Sequence[int] = (),
) -> Answer:
    """What is known of one function."""
    own = [d for d in definitions if not d.rust]
    theirs = [d for d in definitions if d.rust]
    reasons: list[Reason] = []
    owners = ["Rust" if theirs and not own else "C" if own else "nobody"] * len(records)
    if records:
        state = FROM_RUST if owners[0] == "Rust" else IN_BTF
        reasons += _present(ground, own, theirs, records, versions)
    else:
        state = NO_BTF if ground.btf is None else LEFT_OUT if own or theirs or declared else LOST
        reasons += _missing(ground, key[1], own, theirs, declared, hits, versions)
    reasons += void_parts(ground, own, records)
    return answer(ground, key, state, definitions, declared, records, owners, reasons)


def _present(
    ground: Ground, own: Sequence[Definition], theirs: Sequence[Definition], records: Sequence[Record],
    versions: Sequence[int],
) -> Iterable[Reason]:
    if ground.debug is None:
        yield from without_dwarf(records)
    elif own:
        unit = "an assembler unit" if all(d.language == "asm" for d in own) else f"a unit of {own[0].language}"
        there = _in_symbols(ground, own[0].name)
        yield Reason("defined-in-c", PROVEN, f"{unit} defines it{there}")
        yield from _differing(ground, own)
    elif any(d.hosted for d in theirs):
        yield hosted_reason(next(d for d in theirs if d.hosted))
    elif theirs:
        yield why_rust(ground, versions)
    elif ground.btf is not None and any(r.name in with_implicit_arguments(ground.btf) for r in records):
        yield Reason("implicit-arguments", PROVEN, "resolve_btfids of 7.0 and later made it: a kfunc with "
                     "KF_IMPLICIT_ARGS stands there without the arguments that the verifier adds, and as this one "
                     "with all of them; the code is the kfunc's")  # fmt: skip
    else:
        yield Reason("untraced", UNKNOWN if ground.problems else LIKELY, "no unit defines it: the BTF is of another "
                     "build than the debug information", "BTF513")


def _in_symbols(ground: Ground, name: str) -> str:
    if ground.symbols is None:
        return ""
    if ground.symbols.get(name):
        return ", and the symbol table has it"
    clones = _clones(name, ground.symbols)
    return f", and the symbol table has a copy of it, {clones[0]}" if clones else ""


def _differing(ground: Ground, own: Sequence[Definition]) -> Iterable[Reason]:
    """Functions of one name that are not the same."""
    try:
        signatures = {ground.reader.signature(d.entry): d for d in own[:_MOST_COMPARED]}
    except (DwarfError, struct.error, IndexError) as error:
        ground.problem(str(error))
        return
    if len(signatures) > 1:
        texts = "; ".join(f"{d.text} ({d.source or d.unit})" for d in list(signatures.values())[:4])
        yield Reason("inconsistent-prototypes", PROVEN, f"{len(signatures)} functions of that name differ: {texts}",
                     "BTF511", (Fate(0, 124, "encodes the first"), Fate(125, 0, "leaves all of them out")))


def _missing(
    ground: Ground, name: str, own: Sequence[Definition], theirs: Sequence[Definition], declared: int,
    hits: Sequence[Found], versions: Sequence[int],
) -> Iterable[Reason]:
    if ground.said is not None and name in ground.said:
        yield Reason("pahole-says", PROVEN, f"pahole -V says why it left it out: {ground.said[name]}", "BTF511")
        return
    if not own:
        yield from _not_of_c(ground, name, theirs, declared)
        return
    symbols = ground.symbols
    found: list[Reason] = []
    inlined = all(d.code == INLINED for d in own)
    entries = _entries(ground, name, own, hits)
    if symbols is not None and not symbols.get(name):
        found.append(_no_symbol(name, symbols, inlined and not entries))
    elif symbols is None and inlined and not entries:
        found.append(Reason("inlined", LIKELY, "every unit has it only inlined: there is no function to trace",
                            fates=(_ONLY_SYMBOLS,)))
    found += [*_differing(ground, own), *_unfit(ground, own, entries)]
    found += _ambiguous(name, symbols)
    if not found:
        found.append(_open(ground, name, entries))
    yield from found if ground.btf is None else list(_weighed(found, versions)) or [_open(ground, name, entries)]


def _weighed(found: Sequence[Reason], versions: Sequence[int]) -> Iterable[Reason]:
    """What depends on the version of a pahole that is not known is likely, not proven; what these versions do not do
    is no reason. Where one holds for all versions, no other is needed."""
    sure = [r for r in found if r.certainty == PROVEN and not any(f.text.startswith(_TAKES) for f in r.fates)]
    for reason in sure or found:
        takes = [fate for fate in reason.fates if fate.text.startswith(_TAKES)]
        if versions and takes:
            if any(not fate.holds(v) for v in versions for fate in takes):
                yield reason
        else:
            yield reason._replace(certainty=LIKELY) if takes and reason.certainty == PROVEN else reason


def _not_of_c(ground: Ground, name: str, theirs: Sequence[Definition], declared: int) -> Iterable[Reason]:
    if any(d.hosted for d in theirs):
        yield hosted_reason(next(d for d in theirs if d.hosted))._replace(certainty=LIKELY)
    elif theirs and ground.symbols is not None and not ground.symbols.get(name):
        text = "it is Rust's, and no symbol has its plain name: it is inlined everywhere, or its symbol is mangled"
        yield Reason("not-a-symbol", PROVEN, text, fates=(_ONLY_SYMBOLS,))
    elif theirs and ground.btf is None:
        yield Reason("rust-unit", PROVEN, "Rust units define it", "BTF300", rust_fates(ground))
    elif theirs:
        yield excluded(ground)
    elif ground.symbols is not None and ground.symbols.get(name):
        yield Reason("assembler", LIKELY, "the symbol table has it, and no unit defines it: it is written in "
                     "assembler, whose functions have no prototypes")  # fmt: skip
    elif ground.is_label(name):
        yield Reason("assembler", LIKELY, "the symbol table has it as a label, not as a function: it is written in "
                     "assembler", fates=(_ONLY_SYMBOLS,))
    elif declared:
        yield Reason("declared-only", PROVEN, "units declare it, and none defines it: its code is not in this file")
    else:
        yield Reason("nowhere", UNKNOWN, "nothing defines it")


def _clones(name: str, symbols: Symbols) -> list[str]:
    """Symbols of copies that the compiler changed: `name.isra.0`, `name.constprop.0`."""
    return sorted(s for s in symbols if s.startswith(f"{name}.") and not s[len(name) :].startswith(_PARTS))


def _no_symbol(name: str, symbols: Symbols, inlined: bool) -> Reason:
    if clones := _clones(name, symbols):
        return Reason("renamed-copy", LIKELY, _SPLIT_OFF.format(", ".join(clones[:4])), "BTF511", (
            Fate(0, 124, "leaves it out: no symbol has that very name"),
            Fate(125, 0, "takes a copy under the plain name, unless its arguments changed (--btf_gen_optimized)"),
        ))  # fmt: skip
    if inlined:
        text = "the symbol table has no function of that name, and its units have it only inlined"
        return Reason("inlined", PROVEN, text, fates=(_ONLY_SYMBOLS,))
    pieces = [s for s in symbols if s.startswith(f"{name}.")]
    only = f", only pieces of it ({', '.join(pieces[:4])})" if pieces else ""
    return Reason("not-a-symbol", PROVEN, f"the symbol table has no function of that name{only}",
                  fates=(_ONLY_SYMBOLS,))


def _ambiguous(name: str, symbols: Symbols | None) -> Iterable[Reason]:
    if symbols is None:
        return
    places = {place for one in (name, *_clones(name, symbols)) for place in symbols.get(one, ())}
    if len(places) > 1:
        text = f"the symbol table has {len(places)} functions of that name, copies included, at different addresses"
        yield Reason("ambiguous-address", PROVEN, text, "BTF511", (
            Fate(0, 130, "encodes it"), Fate(131, 0, "leaves it out: which of them is meant cannot be told")))


def _entries(ground: Ground, name: str, own: Sequence[Definition], hits: Sequence[Found]) -> list[Entry]:
    """The functions with code: those that have the name themselves, and out-of-line copies of inlined ones."""
    symbols = ground.symbols
    if symbols is not None and name not in symbols and not any(s.startswith(f"{name}.") for s in symbols):
        return []
    entries = [d.entry for d in own if d.code == OUT_OF_LINE]
    return entries + copies(ground, [hit for hit in hits if hit.unit.language != "Rust"])[:_MOST_COMPARED]


def _unfit(ground: Ground, own: Sequence[Definition], entries: Sequence[Entry]) -> Iterable[Reason]:
    """What makes pahole leave out a function whose symbol is there."""
    try:
        if any(nameless_parameters(Place(d.entry.unit, d.offset)) for d in own[:_MOST_COMPARED]):
            yield Reason("nameless-parameter", PROVEN, "a parameter has no name", "BTF511",
                         (Fate(0, 0, "leaves such functions out"),))
        yield from _registers(ground, entries[:_MOST_COMPARED])
    except (DwarfError, struct.error, IndexError) as error:
        ground.problem(str(error))


def _registers(ground: Ground, entries: Sequence[Entry]) -> Iterable[Reason]:
    expected = ARGUMENTS.get(ground.machine)
    for entry in entries if expected else ():
        assert expected is not None
        parameters = ground.reader.children(entry, frozenset({TAG["formal_parameter"]}))
        for number, part in zip(expected, parameters, strict=False):
            found = register(Place(part.unit, part.offset), number)
            if found is not None and found != number:
                name = ground.reader.origin(part).name()
                found_in, sought = (register_name(ground.machine, n) for n in (found, number))
                text = (f"the compiler moved its parameters: pahole looks for {name} in {sought}, and the debug "
                        f"information has it in {found_in}")  # fmt: skip
                yield Reason("unexpected-register", PROVEN, text, "BTF511",
                             (Fate(0, 124, "encodes it"), Fate(125, 0, "leaves it out")))
                return
            if AT["const_value"] in part.values or AT["location"] not in part.values:
                name = ground.reader.origin(part).name()
                yield Reason("optimized-parameter", LIKELY, f"the compiler dropped the parameter {name}, or made it a "
                             "constant", "BTF511", (Fate(0, 131, "encodes it"),
                                                    Fate(132, 0, "leaves it out where that moves other arguments")))
                return


def _open(ground: Ground, name: str, entries: Sequence[Entry]) -> Reason:
    if ground.btf is None:
        return Reason("defined-in-c", PROVEN, "a unit of C defines it", fates=(Fate(0, 0, "encodes it"),))
    pieces = [s for s in ground.symbols or () if s.startswith(f"{name}.") and s[len(name) :].startswith(_PARTS)]
    if pieces:
        text = f"beside it the symbol table has {pieces[0]}, a piece of it, whose parameters are held against its own"
        return Reason("piece-beside", LIKELY, text, "BTF511", (
            Fate(125, 0, "leaves it out where the two differ (param type mismatch, reordered parameters)"),))
    what = "its definition" if entries else "what there is of it"
    return Reason("function-lost", UNKNOWN, f"nothing in {what} tells why: pahole itself does, with -V", "BTF511")
