# SPDX-License-Identifier: MIT
"""What a log says about BTF and Rust: known messages, grouped by their cause, and unknown ones.

The kernel prints one record over several lines ("BPF: [8] STRUCT name", "BPF: size=32 vlen=4",
"BPF: Invalid name", bpf_verifier_vlog in kernel/bpf/log.c); these are joined before they are
matched. A message that may have several causes joins the cause that the rest of the log proves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO, NamedTuple

from btfcheck.explain.logs import LISTING, Hits, Line, Needles, lines, mask
from btfcheck.lint.messages import Catalogue, Cause, Context, Message
from btfcheck.release import Release, parse

_MOST_SUBJECTS = 1000  # module and symbol names kept of one message
_MOST_UNKNOWN = 50  # unknown messages kept, by shape
_MOST_PIECES = 12  # of one record; the header has nine
_MOST_CALLERS = 100  # that have a record open at the same time

PROVEN, LIKELY, POSSIBLE = "proven", "likely", "possible"


class Hit:
    """All lines of one message: how many, the first of them, and the names in them.

    `bare`: records as bpf() gives them to a program, without "BPF:"; `records` are the different ones.
    """

    def __init__(self, message: Message, number: int, example: str, bare: bool = False) -> None:
        self.message = message
        self.bare = bare
        self.records: set[str] = set()
        self.number = number
        self.example = example
        self.lines = 0
        self.subjects: dict[str, None] = {}

    def count(self, found: re.Match[str]) -> None:
        self.lines += 1
        if self.message.record and len(self.records) < 2:
            self.records.add(found.string)
        if "subject" in self.message.pattern.groupindex and len(self.subjects) < _MOST_SUBJECTS:
            self.subjects[found["subject"]] = None


class Unknown(NamedTuple):
    """A message about BTF that no entry fits; `shape` is it without times, numbers and paths.

    `refusal`: the kernel's checker printed it.
    """

    number: int
    text: str
    lines: int
    refusal: bool
    shape: str


class Group(NamedTuple):
    """Lines with one cause, or (`certainty` possible) with several that the log does not tell apart.

    `reasons` say why it is as certain as it is.
    """

    causes: tuple[Cause, ...]
    certainty: str
    hits: tuple[Hit, ...]
    reasons: tuple[str, ...]

    @property
    def lines(self) -> int:
        return sum(h.lines for h in self.hits)

    @property
    def first(self) -> Hit:
        return min(self.hits, key=lambda h: h.number)


class Symptoms(NamedTuple):
    """What a log holds. `about`: it speaks of BTF or Rust at all."""

    groups: tuple[Group, ...]
    unknown: tuple[Unknown, ...]
    about: bool


def read(stream: BinaryIO, catalogue: Catalogue) -> Symptoms:
    """Everything that a log holds, in one pass. Raises what reading raises."""
    reader = _Reader(catalogue)
    for line in lines(stream, reader.needles):
        reader.take(line)
    groups = sorted(
        group(reader.hits.values(), catalogue, reader.seen, reader.told),
        key=lambda g: (-g.causes[0].severity.rank, (PROVEN, LIKELY, POSSIBLE).index(g.certainty), g.first.number),
    )
    return Symptoms(tuple(groups), tuple(reader.unknown.values()), reader.about)


class Told:
    """The releases that a log names. More than one of a kind tell nothing."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, int]] = {"pahole": {}, "kernel": {}}  # kind -> release -> line

    def take(self, match: re.Match[str], number: int) -> None:
        for kind, value in match.groupdict().items():
            if value and len(self.found[kind]) < 2:
                self.found[kind].setdefault(value.replace(".", "") if kind == "pahole" else value, number)

    def pahole(self) -> int | None:
        return int(*self.found["pahole"]) if len(self.found["pahole"]) == 1 else None

    def kernel(self) -> Release | None:
        return parse(*self.found["kernel"]) if len(self.found["kernel"]) == 1 else None

    def reasons(self) -> list[str]:
        one = {kind: found for kind, found in self.found.items() if len(found) == 1}
        return [f"the log names {kind} {value} (line {line})" for kind, found in one.items()
                for value, line in found.items()]


# Lines that speak of the subject without being a message.
_ABOUT = ("BTF", "RUSTC", "CONFIG_RUST", "rust/")
# Lines that may be a message even if no entry knows them.
_SPEAKERS = ("BTF", "libbpf: ", "pahole: ", "PAHOLE: ", "resolve_btfids")
# Lines of the kernel's checker, in dmesg and in the log of bpf().
_RECORDS = (
    "BPF:", "vlen=", "type_id=", "nr_bits=", "btf_header", "btf_info", "int_data:", "Invalid kind:",
    "name_offset:", "meta_needed:", "hdr_len not found", "section found", "Section overlap", "Total section length",
    "String section is not", "Invalid string section", "Invalid section offset", "] FWD ",
    "] FLOAT ", "return=", "component_idx=", "Max chain length", "Type tags don't",
)  # fmt: skip

_Plan = tuple[list[Context], list[Message], bool]


class _Reader:
    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.hits: dict[str, Hit] = {}
        self.unknown: dict[str, Unknown] = {}
        self.seen: dict[str, int] = {}  # context -> line
        self.told = Told()
        self.about = False
        self.records = _Records(self)
        plain = [m for m in catalogue.messages.values() if not m.record and not m.run]
        contexts = list(catalogue.contexts.values())
        texts = [f for m in plain for f in m.find] + [f for c in contexts for f in c.find]
        self.needles = Needles([*texts, *_ABOUT, *_SPEAKERS, *_RECORDS])
        self.plain = [(m, {mask(f) for f in m.find}) for m in plain]
        self.contexts = [(c, {mask(f) for f in c.find}) for c in contexts]
        self.record = {mask(t) for t in _RECORDS} | set(LISTING)
        self.plans: dict[Hits, _Plan] = {}
        self.whole = [m for m in catalogue.messages.values() if m.record]

    def take(self, line: Line) -> None:
        text = line.text
        contexts, wanted, record = self.plans.get(line.hits) or self._plan(line.hits)
        for context in contexts:
            if (context.id not in self.seen or context.pattern.groupindex) and (found := context.pattern.search(text)):
                self.seen.setdefault(context.id, line.number)
                self.told.take(found, line.number)
        if not self.about:
            self.about = record or any(word in text for word in _ABOUT)
        if wanted and self.note(line.number, text, wanted):
            return
        if record and self.records.take(line):
            return
        if _MESSAGE.search(text):
            self.strange(line.number, text, refusal=False)

    def _plan(self, hits: Hits) -> _Plan:
        """What to try on a line with these needles, in the order of the table; logs have few such sets."""
        contexts = [c for c, finds in self.contexts if not finds.isdisjoint(hits)]
        wanted = [m for m, finds in self.plain if not finds.isdisjoint(hits)]
        plan = self.plans[hits] = (contexts, wanted, not self.record.isdisjoint(hits))
        return plan

    def note(self, number: int, text: str, wanted: list[Message], *, bare: bool = False) -> bool:
        """Count `text` if one of the messages fits it."""
        for message in wanted:
            if found := message.match(text):
                key = f"{message.id} bare" if bare else message.id
                hit = self.hits.get(key)
                if hit is None:
                    hit = self.hits[key] = Hit(message, number, text.strip(), bare)
                hit.count(found)
                return True
        return False

    def strange(self, number: int, text: str, *, refusal: bool) -> None:
        """Keep a message that nobody knows, one of each shape."""
        shape = _VARYING.sub("#", _BEFORE.sub("", text))
        known = self.unknown.get(shape)
        if known:
            self.unknown[shape] = known._replace(lines=known.lines + 1)
        elif len(self.unknown) < _MOST_UNKNOWN:
            self.unknown[shape] = Unknown(number, text.strip(), 1, refusal, shape.strip())


_MESSAGE = re.compile(
    r"\b(?:pahole|PAHOLE|resolve_btfids|bpftool): |^\s*FAILED\b.*BTF|\bWARN: .*(?:BTF|btfids)"
    r"|libbpf: .*\b(?:BTF|btf)\b.*(?:[Ff]ail|[Ee]rror|[Ii]nvalid|[Mm]issing|not found)"
    r"|\bbtf_encoder__\w+: |\bBTF\b.*\b(?:error|fail(?:ed|s|ure)?|invalid|malformed|unsupported|refused|corrupt\w*)\b"
    r"|\b(?:[Ee]rror|[Ff]ailed|FAILED|[Ii]nvalid|[Mm]alformed|[Uu]nsupported)\b.*\bBTF\b"
)
_VARYING = re.compile(r"0x[0-9a-f]+|\d+|'[^']*'|(?:[\w.+-]*/)+[\w.+-]*")
# Times and hosts: dmesg, journal, ISO 8601.
_BEFORE = re.compile(r"^(?:<\d+>)?(?:\s*\[[^\]]*\])+\s*|^\S*\d\d:\d\d:\d\d\S*\s+|^\w{3} +\d+ [\d:]{8} \S+ [^:]*: ")


class _Records:
    """Joins the pieces of the kernel's records.

    With "BPF:" (dmesg) every piece is a line of its own; without (the log of bpf(), libbpf) the
    message stands at the end of the last line. Modules that are loaded at the same time mix their
    pieces; where the kernel prints callers ("[T214]", CONFIG_PRINTK_CALLER) they are told apart.
    """

    def __init__(self, reader: _Reader) -> None:
        self.reader = reader
        self.callers: dict[str, list[str]] = {}  # caller -> the pieces of its record so far
        self.head = self.listed = ""  # the last type line of a log without "BPF:", and of the listing in it

    def take(self, line: Line) -> bool:
        """Whether the line was part of a record."""
        text = line.text
        if "BPF:" in text and (prefixed := _PREFIX.search(text)):
            caller = _CALLER.search(text, 0, prefixed.start(1))
            return self._piece(line, prefixed[1], caller[1] if caller else "")
        if line.head != self.listed:
            self.listed = self.head = line.head
        head = _HEAD.search(text)
        if not head and not _MEMBER.search(text) and not _HEADER.search(text):
            return False
        if head:
            text = self.head = text[head.start() :]
        if _DETAIL_END.search(text):
            return True
        parts = [p for p in (self.head if not head else "", text.strip()) if p]
        self.reader.note(line.number, " ".join(parts), self.reader.whole, bare=True)
        return True

    def _piece(self, line: Line, text: str, caller: str) -> bool:
        text = text.replace("#011", "\t").rstrip()
        if not text.strip():
            return True
        pieces = self.callers.setdefault(caller, [])
        if _HEAD.match(text) or len(pieces) >= _MOST_PIECES:
            pieces.clear()
        pieces.append(text.strip())
        describes = (_HEAD.match(text) and not _HEAD_MESSAGE.search(text)) or _DETAIL.match(text)
        if describes and not _SAYS.search(text):
            return True
        joined = " ".join(pieces)
        known = self.reader.note(line.number, joined, self.reader.whole)
        if not known and not describes:
            self.reader.strange(line.number, f"BPF: {joined}", refusal=True)
        if known or not describes:
            del self.callers[caller]
        if len(self.callers) > _MOST_CALLERS:  # records whose message the log does not have
            self.callers.clear()
        return True


_KINDS = (
    "INT|PTR|ARRAY|STRUCT|UNION|ENUM64|ENUM|FWD|TYPEDEF|VOLATILE|CONST|RESTRICT|FUNC_PROTO|FUNC|VAR|DATASEC"
    "|FLOAT|DECL_TAG|TYPE_TAG|UNKN"
)
_PREFIX = re.compile(r"(?:^|[\s\]>:|])BPF: ?(.*)$")
_CALLER = re.compile(r"\[ *([TC]\d+)\]")
_HEAD = re.compile(rf"\[\d+\] (?:(?:{_KINDS})(?: |$)|Invalid |meta_left:)")
_HEAD_MESSAGE = re.compile(r"\[\d+\] (?:Invalid |meta_left:)")
_MEMBER = re.compile(r"^(?:\s.* |\s*\S* ?)(?:type_id=\d+ (?:bitfield_size=\d+ )?(?:bits_offset|offset)=\d+|val=-?\d+)")
# Said of the file as a whole; what other programs might say as well ("No data") counts only behind BPF:.
_HEADER = re.compile(
    r"^\s*(?:Unsupported btf_header|btf_header not found|hdr_len not found|Unsupported section found"
    r"|Invalid string section|Max chain length or cycle detected|Type tags don't precede modifiers"
    r"|Invalid name_offset:\d+|Section overlap found"
    r"|Total section length too long|String section is not at the end|Invalid section offset)\s*$"
)
# Words that every message of the checker has one of.
_SAYS = re.compile(
    r"Invalid |Unsupported |[Ee]xceed|Member |[Nn]ot |Loop |cycle |precede|[!=]= 0|meta_left|Unexpected |overflows"
    r"|Unaligned|No |overlap|too (?:long|small)"
)
# A piece that only describes: what follows it is still the same record.
_DETAIL = re.compile(
    r"\t|\s?(?:size|type_id|type|vlen|nr_elems|return|val|linkage|component_idx|bits_offset)=\S*"
    r"|(?:magic|version|flags|hdr_len|type_off|type_len|str_off|str_len|layout_off|layout_len|btf_total_size): "
    r"|(?:struct|union)$|\S+ type_id=\d+ (?:bitfield_size=\d+ )?(?:bits_offset|offset)=\d+$"
)
_DETAIL_END = re.compile(r"(?:=\S+|\)|\b(?:struct|union))\s*$")


# From messages to causes.


def group(hits: Iterable[Hit], catalogue: Catalogue, seen: dict[str, int], told: Told) -> Iterator[Group]:
    """Hits by cause. `seen` are the contexts, with the line of each, and `told` the releases that they name."""
    hits = list(hits)
    pahole, kernel = told.pahole(), told.kernel()
    hint, ruled_out = _whose_refusal(hits)
    program = any(h.message.id == "libbpf-program-btf" for h in hits)
    all_of: dict[Hit, list[str]] = {}
    left: dict[Hit, list[str]] = {}
    for hit in hits:
        # What bpf() says without "BPF:" in the log of a program's loader is about that program.
        names = [_PROGRAM] if program and hit.bare else hit.message.causes
        all_of[hit] = list(dict.fromkeys(_turned(n, catalogue, seen) for n in names))
        open_ = catalogue.open(all_of[hit], pahole, kernel)
        left[hit] = [n for n in open_ if n != ruled_out] or open_
    found: list[_Grown] = []
    for hit in sorted(left, key=lambda h: (bool(h.message.follows), len(left[h]) > 1, len(left[h]), h.number)):
        names = left[hit]
        home = _home(found, names, hit.message.follows)
        if home is None:
            found.append(_Grown(names, [hit], sole=len(names) == 1))
        else:
            home.join(names, hit)
    for grown in found:
        decided = any(len(left[h]) < len(all_of[h]) for h in grown.hits)
        yield _finished(grown, catalogue, seen, told.reasons() if decided else [], hint if decided else "")


_PROGRAM = "program-btf-refused"


class _Grown:
    """A group in the making. `sole`: a message with no other cause is in it."""

    def __init__(self, names: list[str], hits: list[Hit], sole: bool) -> None:
        self.names = names
        self.hits = hits
        self.sole = sole

    def join(self, names: list[str], hit: Hit) -> None:
        """Take a message in; its own causes narrow the group's, and what it only follows does where they do not."""
        own = [n for n in self.names if n in names]
        self.names = own or [n for n in self.names if n in hit.message.follows]
        self.hits.append(hit)


def _home(found: list[_Grown], names: list[str], follows: Sequence[str]) -> _Grown | None:
    """The group that a message with these causes belongs to: a certain one, else one that shares a cause."""
    for name in (*names, *follows):
        for one in found:
            if one.sole and one.names == [name]:
                return one
    if len(names) == 1 and not follows:
        return None
    wide = {*names, *follows}
    return next((g for g in found if not g.sole and wide & set(g.names)), None)


def _turned(name: str, catalogue: Catalogue, seen: dict[str, int]) -> str:
    cause = catalogue.causes[name]
    return cause.then if cause.unless in seen else name


def _whose_refusal(hits: list[Hit]) -> tuple[str, str]:
    """(whose BTF was refused, the cause that this rules out), from how refusals and modules go together.

    The kernel parses the BTF of vmlinux once. Many modules that fail after one refusal fail for that; modules
    with refusals of their own show that vmlinux was accepted.
    """
    modules = {s for h in hits if h.message.id.startswith("kernel-module-") for s in h.subjects}
    dmesg = [h for h in hits if h.message.record and not h.bare]
    refusals = sum(len(h.records) for h in dmesg)
    if refusals > 1 and len(modules) > 1:
        return "each module has a refusal of its own: the BTF of vmlinux was accepted", "rust-types-in-btf"
    if sum(h.lines for h in dmesg) == 1 and len(modules) > 2:
        told = f"one refusal, and then {len(modules)} modules fail: it is the BTF of vmlinux that was refused"
        return told, "module-vmlinux-mismatch"
    return "", ""


def _finished(grown: _Grown, catalogue: Catalogue, seen: dict[str, int], told: list[str], hint: str) -> Group:
    causes = tuple(catalogue.causes[n] for n in grown.names)
    alone = [h for h in grown.hits if len(h.message.causes) == 1 and h.message.causes[0] == grown.names[0]]
    before = [catalogue.causes[n] for h in grown.hits for n in h.message.causes]
    turned = [c for c in before if c.unless in seen and c.then in grown.names]
    reasons = [h.message.means for h in grown.hits]
    if len(causes) > 1:
        certainty = POSSIBLE
    elif any(h.message.certainty == PROVEN for h in alone):
        certainty = PROVEN
    else:
        certainty = LIKELY
    reasons += [f"{catalogue.contexts[c.unless].about} (line {seen[c.unless]})" for c in turned]
    reasons += [hint] if hint else []
    reasons += told if certainty != PROVEN else []
    return Group(causes, certainty, tuple(grown.hits), tuple(dict.fromkeys(reasons)))
