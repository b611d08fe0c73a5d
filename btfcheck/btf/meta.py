# SPDX-License-Identifier: MIT
"""Pass 1: every record by itself (rules Y3 to Y7, N, and those named after kinds).

`check` walks the records once. What it can prove good at a glance, it steps over; anything else goes to the
function of its kind, which goes through the rules one by one, in the kernel's order, and yields a fault for
each that is broken. All ids are only compared with the limit here; pass 2 looks where they lead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from btfcheck.btf.fault import EINVAL, ENOTSUPP, Fault, fault
from btfcheck.btf.format import (
    ARRAY,
    CONST,
    DATASEC,
    DECL_TAG,
    ELEMENT_WORDS,
    ENUM,
    ENUM64,
    FIXED_WORDS,
    FLOAT,
    FUNC,
    FUNC_PROTO,
    FWD,
    INT,
    KINDS,
    MAX_NAME_OFFSET,
    MAX_TYPE,
    MAX_TYPES,
    NAME_SHOWN,
    PTR,
    RESTRICT,
    STRUCT,
    TYPE_TAG,
    TYPEDEF,
    UNION,
    VAR,
    VOLATILE,
    Btf,
    text,
)
from btfcheck.btf.listing import entry_line, member_line, signed, type_line
from btfcheck.btf.names import is_dotted_identifier, is_section_name
from btfcheck.btf.releases import Rules

_RESERVED = 0x60FF0000  # bits of info that must be 0 up to 7.1
_INT_RESERVED = 0xF0000000
_PLAIN_REFERENCES = frozenset(kind << 24 for kind in (PTR, CONST, VOLATILE, RESTRICT))
_INFO_TYPEDEF, _INFO_ARRAY, _INFO_FWD = TYPEDEF << 24, ARRAY << 24, FWD << 24
_STRUCTS = frozenset((STRUCT, UNION, STRUCT | 0x80, UNION | 0x80))  # kind and kind flag
_ENUM_SIZES = (1, 2, 4, 8)
_FLOAT_SIZES = (2, 4, 8, 12, 16)
_NAME_RULES = frozenset(
    f"{kind}.{number}"
    for kind, numbers in (("STRUCT", "34"), ("UNION", "34"), ("ENUM", "45"), ("ENUM64", "45"))
    for number in numbers
) | {"STRUCT.2", "UNION.2", "ENUM.3", "ENUM64.3", "TYPEDEF.4", "FWD.3", "FUNC.1", "VAR.4", "DATASEC.4", "Y6"}

Report = Callable[[Fault], None]


def is_name_only(rule: str) -> bool:
    """Whether a fault leaves the type itself fit to be looked at further."""
    return rule in _NAME_RULES


def check(  # noqa: C901 (the inner loop: a call for each record would double its cost)
    btf: Btf, rules: Rules, type_len: int, report: Report
) -> bool:
    """Walk all records of `btf.words`, fill its `starts` and `kinds`, report faults in the kernel's order.

    `type_len` is the length of the type section in bytes. Returns whether it could be read to its end.
    Records beyond the number of types that the kernel keeps are checked and then dropped (rule Y7).
    """
    words, named = btf.words, btf.named
    starts, kinds = btf.starts, btf.kinds
    good = named.__getitem__
    reserved = 0 if rules.wide_vlen else _RESERVED
    mask = btf.vlen_mask
    tid = btf.count
    end = len(words)
    at = 0
    while type_len - 4 * at >= 12:
        name = words[at]
        info = words[at + 1]
        third = words[at + 2]
        head = -1 if info & reserved else info >> 24
        vlen = info & mask
        after = 0  # where the next record starts, once this one is known to be good
        try:
            if head == FUNC:
                if vlen < 2 and name and named[name]:
                    after = at + 3
            elif head == FUNC_PROTO:
                if not name:
                    after = at + 3 + 2 * vlen
            elif info in _PLAIN_REFERENCES:
                if not name and third <= MAX_TYPE:
                    after = at + 3
            elif head in _STRUCTS:
                after = at + 3 + 3 * vlen
                if vlen and after <= end:
                    offsets = words[at + 5 : after : 3]
                    if head & 0x80:
                        offsets = [offset & 0xFFFFFF for offset in offsets]
                    types = words[at + 4 : after : 3]
                    if (
                        min(types) < 1
                        or max(types) > MAX_TYPE
                        or (offsets[-1] + 7 >> 3) > third
                        or (any(offsets) if head & 1 else offsets != sorted(offsets))
                        or not all(map(good, words[at + 3 : after : 3]))
                    ):
                        after = 0
                if not named[name]:
                    after = 0
            elif info == _INFO_TYPEDEF:
                if name and named[name] and third <= MAX_TYPE:
                    after = at + 3
            elif info == _INFO_ARRAY:
                if not name and not third and 0 < words[at + 3] <= MAX_TYPE and 0 < words[at + 4] <= MAX_TYPE:
                    after = at + 6
            elif head == ENUM:
                after = at + 3 + 2 * vlen
                if third not in _ENUM_SIZES or not named[name] or after > end:
                    after = 0
                elif vlen:
                    names = words[at + 3 : after : 2]
                    if not all(names) or not all(map(good, names)):
                        after = 0
            elif info == _INFO_FWD and name and named[name] and not third:
                after = at + 3
        except IndexError:  # an offset beyond the strings, or a record beyond the words
            after = 0
        if not after or after > end:
            for found in _examine(btf, rules, tid, at, type_len - 4 * at):
                report(found)
                if found.stream:
                    return False
            after = at + _length(info, mask)
        if tid <= MAX_TYPES:
            starts.append(at)
            kinds.append(info >> 24 & 0x1F)
        else:
            btf.dropped += 1
        tid += 1
        at = after
    left = type_len - 4 * at
    if left:
        report(fault("Y3", f"[{tid}]", f"meta_left:{left} meta_needed:12", type_id=tid, stream=True))
    return not left


def _length(info: int, mask: int) -> int:
    """Words of a record whose kind is valid."""
    kind = info >> 24 & 0x1F
    return 3 + FIXED_WORDS.get(kind, 0) + ELEMENT_WORDS.get(kind, 0) * (info & mask)


class _Record:
    """A record under examination; `left` bytes follow its first twelve."""

    def __init__(self, btf: Btf, rules: Rules, tid: int, at: int, left: int) -> None:
        self.btf = btf
        self.rules = rules
        self.tid = tid
        self.at = at
        self.left = left
        self.words = self.btf.words
        self.name_off, self.info, self.third = self.words[self.at : self.at + 3]
        self.kind = self.info >> 24 & (0x7F if self.rules.wide_vlen else 0x1F)
        self.vlen = self.info & self.btf.vlen_mask
        self.kflag = self.info >> 31

    @property
    def label(self) -> str:
        return KINDS[self.kind]

    def fault(self, number: str, message: str, errno: int = EINVAL) -> Fault:
        """A fault of the type, its line in front of the message."""
        return self.make(f"{self.label}.{number}", type_line(self.btf, self.tid, self.words, self.at), message, errno)

    def member(self, number: str, at: int, line: str, message: str) -> Fault:
        """A fault of the element at word `at`."""
        return self.of_element(self.make(f"{self.label}.{number}", line, message), at)

    def of_element(self, found: Fault, at: int) -> Fault:
        name = text(self.btf.bytes_at(self.words[at], NAME_SHOWN)) if self.kind != DATASEC else ""
        return found._replace(member=name, position=(at - self.at - 3) // ELEMENT_WORDS[self.kind])

    def make(self, rule: str, line: str, reason: str, errno: int = EINVAL, stream: bool = False) -> Fault:
        name = text(self.btf.bytes_at(self.name_off, NAME_SHOWN)) if self.name_off else ""
        label = KINDS[self.kind] if self.kind < len(KINDS) else ""
        return fault(rule, line, reason, errno, type_id=self.tid, kind=label, name=name, stream=stream)

    def needs(self, size: int) -> Fault | None:
        """The fault of a record that is cut off."""
        if self.left >= size:
            return None
        line = type_line(self.btf, self.tid, self.words, self.at, details=False)
        return self.make(f"{self.label}.1", line, f"meta_left:{self.left} meta_needed:{size}", stream=True)

    def offset_exists(self, offset: int) -> bool:
        return offset <= MAX_NAME_OFFSET and offset < len(self.btf.strings)

    def identifier(self, offset: int) -> bool:
        """N1, for a name that must be there."""
        return bool(offset) and self.offset_exists(offset) and bool(self.btf.named[offset])


def _examine(btf: Btf, rules: Rules, tid: int, at: int, left: int) -> Iterator[Fault]:
    r = _Record(btf, rules, tid, at, left - 12)
    if r.info & _RESERVED and not rules.wide_vlen:
        yield r.make("Y4", f"[{tid}]", f"Invalid btf_info:{r.info:x}", stream=True)
        return
    if r.kind == 0 or r.kind >= len(KINDS):
        yield r.make("Y5", f"[{tid}]", f"Invalid kind:{r.kind}", stream=True)
        return
    if not r.offset_exists(r.name_off):
        yield r.make("Y6", f"[{tid}]", f"Invalid name_offset:{r.name_off}")
    yield from _KIND_RULES[r.kind](r)


def _vlen_and_kflag(r: _Record, vlen: str, kflag: str, may_have_kflag: bool = False) -> Iterator[Fault]:
    if vlen and r.vlen:
        yield r.fault(vlen, "vlen != 0")
    if kflag and r.kflag and not may_have_kflag:
        yield r.fault(kflag, "Invalid btf_info kind_flag")


def _name(r: _Record, number: str, fine: bool, message: str = "Invalid name") -> Iterator[Fault]:
    # Without a string there is Y6 already.
    if not fine and r.offset_exists(r.name_off):
        yield r.fault(number, message)


def _int(r: _Record) -> Iterator[Fault]:
    if cut := r.needs(4):
        yield cut
        return
    yield from _vlen_and_kflag(r, "2", "3")
    data = r.words[r.at + 3]
    bits = (data & 0xFF) + (data >> 16 & 0xFF)
    if data & _INT_RESERVED:
        line = type_line(r.btf, r.tid, r.words, r.at, details=False)
        yield r.make("INT.4", line, f"Invalid int_data:{data:x}")
    if bits > 128:
        yield r.fault("5", "nr_bits exceeds 128")
    elif bits + 7 >> 3 > r.third:
        yield r.fault("6", "nr_bits exceeds type_size")
    if data >> 24 & 0xF not in (0, 1, 2, 4):
        yield r.fault("7", "Unsupported encoding", ENOTSUPP)


def _reference(r: _Record) -> Iterator[Fault]:
    """PTR, CONST, VOLATILE, RESTRICT, TYPEDEF, TYPE_TAG: rules REF."""
    yield from _vlen_and_kflag(r, "2", "2k", r.kind == TYPE_TAG and r.rules.tag_kflag)
    if r.third > MAX_TYPE:
        yield r.fault("3", "Invalid type_id")
    if r.kind == TYPEDEF:
        yield from _name(r, "4", r.identifier(r.name_off))
    elif r.kind == TYPE_TAG:
        yield from _name(r, "4", bool(r.btf.bytes_at(r.name_off, 1)))
    else:
        yield from _name(r, "4", not r.name_off)


def _fwd(r: _Record) -> Iterator[Fault]:
    yield from _vlen_and_kflag(r, "1", "")
    if r.third:
        yield r.fault("2", "type != 0")
    yield from _name(r, "3", r.identifier(r.name_off))


def _array(r: _Record) -> Iterator[Fault]:
    if cut := r.needs(12):
        yield cut
        return
    yield from _name(r, "2", not r.name_off)
    yield from _vlen_and_kflag(r, "3", "4")
    if r.third:
        yield r.fault("5", "size != 0")
    element, index = r.words[r.at + 3 : r.at + 5]
    if not 0 < element <= MAX_TYPE:
        yield r.fault("6", "Invalid elem")
    if not 0 < index <= MAX_TYPE:
        yield r.fault("7", "Invalid index")


def _struct(r: _Record) -> Iterator[Fault]:
    if cut := r.needs(12 * r.vlen):
        yield cut
        return
    yield from _name(r, "2", not r.name_off or r.identifier(r.name_off))
    last = 0
    for at in range(r.at + 3, r.at + 3 + 3 * r.vlen, 3):
        name, tid, offset = r.words[at : at + 3]
        line = member_line(r.btf, r.words, at, r.kflag)
        if r.kflag:
            offset &= 0xFFFFFF
        if not r.offset_exists(name):
            yield r.member("3", at, line, f"Invalid member name_offset:{name}")
        elif name and not r.btf.named[name]:
            yield r.member("4", at, line, "Invalid name")
        if not 0 < tid <= MAX_TYPE:
            yield r.member("5", at, line, "Invalid type_id")
        if r.kind == UNION and offset:
            yield r.member("6u", at, line, "Invalid member bits_offset")
        elif offset < last:
            yield r.member("6", at, line, "Invalid member bits_offset")
        elif offset + 7 >> 3 > r.third:
            yield r.member("7", at, line, "Member bits_offset exceeds its struct size")
        last = offset


def _enum(r: _Record) -> Iterator[Fault]:
    width = ELEMENT_WORDS[r.kind]
    if cut := r.needs(4 * width * r.vlen):
        yield cut
        return
    if r.third not in _ENUM_SIZES:
        yield r.fault("2", "Unexpected size")
    yield from _name(r, "3", not r.name_off or r.identifier(r.name_off))
    for at in range(r.at + 3, r.at + 3 + width * r.vlen, width):
        name = r.words[at]
        if not r.offset_exists(name):
            yield r.of_element(r.make(f"{r.label}.4", "", f"\tInvalid name_offset:{name}"), at)
        elif not r.identifier(name):
            yield r.of_element(r.fault("5", "Invalid name"), at)


def _func(r: _Record) -> Iterator[Fault]:
    yield from _name(r, "1", r.identifier(r.name_off))
    if r.vlen > 1:
        yield r.fault("2", "Invalid func linkage")
    yield from _vlen_and_kflag(r, "", "3")


def _func_proto(r: _Record) -> Iterator[Fault]:
    if cut := r.needs(8 * r.vlen):
        yield cut
        return
    yield from _name(r, "2", not r.name_off)
    yield from _vlen_and_kflag(r, "", "3")


def _var(r: _Record) -> Iterator[Fault]:
    if cut := r.needs(4):
        yield cut
        return
    yield from _vlen_and_kflag(r, "2", "3")
    yield from _name(r, "4", bool(r.name_off) and is_dotted_identifier(r.btf.strings, r.name_off))
    if not 0 < r.third <= MAX_TYPE:
        yield r.fault("5", "Invalid type_id")
    if r.words[r.at + 3] > 1:
        yield r.fault("6", "Linkage not supported")


def _datasec(r: _Record) -> Iterator[Fault]:
    if cut := r.needs(12 * r.vlen):
        yield cut
        return
    if not r.third:
        yield r.fault("2", "size == 0")
    yield from _vlen_and_kflag(r, "", "3")
    yield from _name(r, "4", bool(r.name_off) and _is_section_name(r))
    if not r.third:
        return  # nothing fits in it
    end = total = 0
    for at in range(r.at + 3, r.at + 3 + 3 * r.vlen, 3):
        tid, offset, size = r.words[at : at + 3]
        this_end = offset + size & 0xFFFFFFFF  # the kernel's sum wraps
        if not 0 < tid <= MAX_TYPE:
            number, message = "5", "Invalid type_id"
        elif offset < end or offset >= r.third:
            number, message = "6", "Invalid offset"
        elif not 0 < size <= r.third:
            number, message = "7", "Invalid size"
        elif this_end > r.third:
            number, message = "8", "Invalid offset+size"
        else:
            number = ""
        if number:
            yield r.member(number, at, entry_line(r.words, at), message)
        end = this_end
        total += size
    if total > r.third:
        yield r.fault("9", "Invalid btf_info size")


def _is_section_name(r: _Record) -> bool:
    if r.rules.section_name == "identifier":
        return is_dotted_identifier(r.btf.strings, r.name_off)
    return is_section_name(r.btf.strings, r.name_off, r.rules.section_name == "printable-later")


def _float(r: _Record) -> Iterator[Fault]:
    yield from _vlen_and_kflag(r, "1", "2")
    if r.third not in _FLOAT_SIZES:
        yield r.fault("3", "Invalid type_size")


def _decl_tag(r: _Record) -> Iterator[Fault]:
    if cut := r.needs(4):
        yield cut
        return
    yield from _name(r, "2", bool(r.btf.bytes_at(r.name_off, 1)), "Invalid value")
    yield from _vlen_and_kflag(r, "3", "4", r.rules.tag_kflag)
    if signed(r.words[r.at + 3]) < -1:
        yield r.fault("5", "Invalid component_idx")


_KIND_RULES: dict[int, Callable[[_Record], Iterator[Fault]]] = {
    INT: _int,
    PTR: _reference,
    ARRAY: _array,
    STRUCT: _struct,
    UNION: _struct,
    ENUM: _enum,
    ENUM64: _enum,
    FWD: _fwd,
    TYPEDEF: _reference,
    VOLATILE: _reference,
    CONST: _reference,
    RESTRICT: _reference,
    TYPE_TAG: _reference,
    FUNC: _func,
    FUNC_PROTO: _func_proto,
    VAR: _var,
    DATASEC: _datasec,
    FLOAT: _float,
    DECL_TAG: _decl_tag,
}
