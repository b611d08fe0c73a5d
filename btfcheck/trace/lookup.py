# SPDX-License-Identifier: MIT
"""From what people type to what a file has by that name: plain names, Rust paths, mangled and sanitised names."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from btfcheck.btf import format as btf_format
from btfcheck.btf.format import Btf
from btfcheck.dwarf.abbrev import DwarfError
from btfcheck.dwarf.constants import TAG
from btfcheck.dwarf.find import FUNCTIONS, LINKAGE_NAMES, TYPES, Found, find
from btfcheck.dwarf.names import FUNC
from btfcheck.dwarf.units import Unit
from btfcheck.trace.definitions import KINDS, Definition, Key, completed, gather, member_type, records, string_offsets
from btfcheck.trace.functions import of_function
from btfcheck.trace.ground import Ground
from btfcheck.trace.rustnames import demangled, is_mangled, linker_name, split_path, unsanitised
from btfcheck.trace.types import PROVEN, UNKNOWN, Answer, Reason, of_type, void_parts

MOST_ANSWERS = 20
_SIMILAR = 8
_MEMBERS = frozenset({TAG["member"]})
_COMPOSED = (btf_format.STRUCT, btf_format.UNION)
_SHARED_BYTES = 32 << 20  # of a string section in which similar names are looked for
_MOST_COMPARED = 4000
_WORDS = {**{kind: kind for kind in KINDS}, "fn": FUNC, "func": FUNC, "type": "", "base": "base type"}


class Reading(NamedTuple):
    """One way to understand what was asked: the name as DWARF has it, what must stand around it, and how the two are
    related ("" for the name itself)."""

    name: str
    around: tuple[str, ...] = ()
    how: str = ""


class Member(NamedTuple):
    """A member or parameter: of which kind and name, as the BTF and as the debug information declare it ("" where
    they do not), and what became of its type when that stands in a Rust unit."""

    kind: str
    of: str
    name: str
    btf: str
    dwarf: str
    reasons: tuple[Reason, ...]


class Traced(NamedTuple):
    """`answers` are what there is, at most MOST_ANSWERS of `total`; `members` are members of that name; `similar` are
    names that the file has instead; `problems` what of it could not be read."""

    asked: str
    notes: tuple[str, ...]
    answers: tuple[Answer, ...]
    total: int
    members: tuple[Member, ...]
    similar: tuple[str, ...]
    problems: tuple[str, ...]


def asked_kind(words: Sequence[str]) -> tuple[str, str]:
    """(kind or "", name) of what was typed: `struct device`, `function vfs_open`, `long unsigned int`."""
    if len(words) > 1 and words[0] in _WORDS:
        return _WORDS[words[0]], " ".join(words[1:])
    if len(words) == 1 and " " in words[0]:
        head, _, rest = words[0].partition(" ")
        if head in _WORDS:
            return _WORDS[head], rest.strip()
    return "", " ".join(words)


def readings(name: str) -> list[Reading]:
    """What a name may mean, the likeliest first."""
    found = [Reading(name)]
    plain = demangled(name) if is_mangled(name) else None
    if plain is not None:
        parts = split_path(plain.replace("::<", "<"))
        found.append(Reading(parts[-1], tuple(parts[:-1]), f"{name} is the Rust function {plain}"))
    if (raw := unsanitised(name)) != name:
        parts = split_path(raw)
        how = f"{name} is {raw}, as bpf-linker writes it"
        found += [Reading(raw, (), how)] if len(parts) == 1 else [Reading(parts[-1], tuple(parts[:-1]), how)]
    if len(parts := split_path(name)) > 1 and all(parts):
        found.append(Reading(parts[-1], tuple(parts[:-1])))
    return found


def trace(
    ground: Ground, name: str, kind: str = "", *, versions: Sequence[int] = (), dots: bool = True,
    advance: Callable[[Unit], None] | None = None,
) -> Traced:
    """Everything of that name, and why. `versions` are the paholes in question (128 for 1.28), when known; `dots`
    whether the kernel takes dots in names."""
    meant = readings(name)
    answers = list(_answers(ground, meant, kind, versions, dots, advance))
    notes = [r.how for r in meant if r.how and (is_mangled(name) or any(a.name == r.name for a in answers))]
    members: list[Member] = []
    similar: list[str] = []
    if not answers and not kind:
        of, _, part = name.rpartition(".")
        holders = [of] if of else _holders(ground, part)
        around = [Reading(holder) for holder in holders]
        found = list(_answers(ground, around, "", versions, dots, advance)) if around else []
        members = [one for answer in found for one in _members(ground, answer, part)][:MOST_ANSWERS]
    if not answers and not members:
        similar = list(_similar(ground, meant, advance))
    return Traced(name, tuple(notes), tuple(answers[:MOST_ANSWERS]), len(answers), tuple(members), tuple(similar),
                  tuple(ground.problems))


def _answers(
    ground: Ground, meant: Sequence[Reading], kind: str, versions: Sequence[int], dots: bool,
    advance: Callable[[Unit], None] | None,
) -> Iterator[Answer]:
    names = {reading.name for reading in meant}
    gathered = gather(ground, _found(ground, meant, advance))
    btf = records(ground.btf, names | {linker_name(n) for n in names}) if ground.btf else {}
    for key in _in_order({*gathered.definitions, *gathered.declared, *btf}):
        if kind and key[0] != kind:
            continue
        definitions = _placed(gathered.definitions.get(key, ()), key, meant)
        rows = btf.get(key, ())
        if not definitions and not (any(not r.around and r.name == key[1] for r in meant) or _linked(key, names)):
            continue
        declared = gathered.declared.get(key, 0)
        if key[0] == FUNC:
            yield of_function(ground, key, definitions, declared, gathered.hits.get(key, ()), rows, versions)
        else:
            yield of_type(ground, key, definitions, declared, rows, versions, dots)


def _linked(key: Key, names: Iterable[str]) -> bool:
    return any(linker_name(name) == key[1] for name in names)


def _found(
    ground: Ground, meant: Sequence[Reading], advance: Callable[[Unit], None] | None
) -> Iterator[Found]:
    if ground.debug is None:
        return
    names = [reading.name for reading in meant]
    hits = find(ground.debug, names, TYPES | FUNCTIONS, problems=ground.problems, advance=advance)
    yield from completed(ground, hits)
    if is_mangled(meant[0].name):
        for hit in find(ground.debug, [meant[0].name], FUNCTIONS, LINKAGE_NAMES, problems=ground.problems):
            entry = ground.reader.origin(ground.reader.entry(hit.unit, hit.offset))
            yield from completed(ground, [hit._replace(name=entry.name() or hit.name)])


def _placed(definitions: Sequence[Definition], key: Key, meant: Sequence[Reading]) -> list[Definition]:
    """The definitions that stand where a reading wants them; all, where a mangled name led to them."""
    wanted = [r for r in meant if r.name == key[1]]
    if not wanted or is_mangled(meant[0].name):
        return list(definitions)
    return [d for d in definitions if any(_stands(d, r) for r in wanted)]


def _stands(one: Definition, reading: Reading) -> bool:
    around = tuple(split_path(one.path))[:-1]
    return not reading.around or around[-len(reading.around) :] == reading.around


def _in_order(keys: Iterable[Key]) -> list[Key]:
    return sorted(keys, key=lambda key: (key[1], KINDS.index(key[0])))


# -- what has no answer -----------------------------------------------------------------------------------


def _holders(ground: Ground, name: str) -> list[str]:
    """Names of structs and unions that have a member of that name: of the BTF's, else of a few units'."""
    if ground.btf is not None:
        return list(dict.fromkeys(_holders_in_btf(ground.btf, name)))[:MOST_ANSWERS]
    found: dict[str, None] = {}
    if ground.debug is None:
        return []
    for hit in find(ground.debug, [name], _MEMBERS, problems=ground.problems):
        if tree := ground.tree(hit.unit, all_units=True):
            number = tree.numbers[hit.offset]
            while number > 0 and not (tree.tag(number) in TYPES and tree.name(number)):
                number = tree.parents[number]
            if number > 0:
                found[tree.name(number)] = None
        if len(found) >= MOST_ANSWERS:
            break
    return list(found)


def _holders_in_btf(btf: Btf, name: str) -> Iterator[str]:
    offsets = string_offsets(btf, [name])
    part: Btf | None = btf
    while part is not None and offsets:
        for slot, kind in enumerate(part.kinds):
            if kind in _COMPOSED and part.words[at := part.starts[slot]]:
                end = at + 3 + 3 * (part.words[at + 1] & part.vlen_mask)
                if not offsets.keys().isdisjoint(part.words[at + 3 : end : 3]):
                    yield btf.name(part.first + slot)
        part = part.base


def _members(ground: Ground, answer: Answer, part: str) -> Iterator[Member]:
    """The member of that name of a type, or the parameter of a function; nothing when it has none."""
    btf = ""
    for row in answer.records:
        btf = btf or (member_type(ground.btf, row.id, part) if ground.btf else "")
    dwarf = ""
    for one in answer.definitions:
        dwarf = dwarf or _declared(ground, one, part)
    if btf or dwarf:
        own = [d._replace(lost=tuple(x for x in d.lost if x.part == part)) for d in answer.definitions if not d.rust]
        lost = list(void_parts(ground, own, answer.records))
        yield Member(answer.kind, answer.name, part, btf, dwarf, tuple(lost or _plain(ground, answer, btf, dwarf)))


def _declared(ground: Ground, one: Definition, part: str) -> str:
    """A member or parameter as the debug information declares it, "" when there is none of that name."""
    tags = _MEMBERS | {TAG["formal_parameter"]}
    try:
        for child in ground.reader.children(one.entry, tags):
            whole = ground.reader.origin(child)
            if whole.name() == part:
                return ground.reader.spell(ground.reader.target(whole), part)
    except (DwarfError, struct.error, IndexError) as error:
        ground.problem(str(error))
    return ""


def _plain(ground: Ground, answer: Answer, btf: str, dwarf: str) -> Iterator[Reason]:
    """Why a member has the type that it has, when no Rust unit is in it."""
    if not dwarf:
        text = "there is no debug information" if ground.debug is None else "no unit has such a member"
        yield Reason("no-dwarf", UNKNOWN, f"{text}: where it comes from cannot be told")
    elif not btf:
        yield from [r for r in answer.reasons if r.id != "L2"]
    elif btf.startswith("void *"):
        source = next((d.source for d in answer.definitions if d.source), "")
        place = f" ({source})" if source else ""
        own = dwarf.startswith("void *")
        yield Reason("declared-void" if own else "became-void", PROVEN if own else UNKNOWN,
                     f"its source declares it as `{dwarf}`{place}" + ("" if own else ", and the BTF has void"))
    else:
        yield Reason("has-type", PROVEN, "its type is there")


def _similar(
    ground: Ground, meant: Sequence[Reading], advance: Callable[[Unit], None] | None
) -> Iterator[str]:
    """Types and functions of the file whose names are like those."""
    from difflib import get_close_matches

    name = meant[-1].name
    known = sorted(_strings(ground))
    generic = sorted((k for k in known if k.startswith(f"{name}<")), key=len)
    folded = [k for k in known if k.lower() == name.lower()]
    near = [k for k in known if abs(len(k) - len(name)) <= 3 and k[:1].lower() == name[:1].lower()][:_MOST_COMPARED]
    candidates = list(dict.fromkeys([*folded, *generic[: 4 * _SIMILAR], *get_close_matches(name, near, 4 * _SIMILAR)]))
    real = {key[1] for key in records(ground.btf, candidates)} if ground.btf is not None else set()
    if ground.debug is not None and candidates and (not real or set(generic) - real):
        real |= {hit.name for hit in find(ground.debug, candidates, TYPES | FUNCTIONS, problems=[], advance=advance)}
    chosen = [c for c in candidates if c in real]
    yield from chosen[:_SIMILAR]


def _strings(ground: Ground) -> set[str]:
    found: set[bytes] = set()
    if ground.debug is not None:
        for section in (".debug_str", ".debug_str.dwo"):
            found.update(bytes(ground.debug.image.contents(section)[:_SHARED_BYTES]).split(b"\0"))
    if ground.btf is not None:
        found.update(ground.btf.strings[:_SHARED_BYTES].split(b"\0"))
    return {text.decode("utf-8", "replace") for text in found if 0 < len(text) < 600}
