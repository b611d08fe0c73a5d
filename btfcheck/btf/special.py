# SPDX-License-Identifier: MIT
"""Special fields of BPF programs' types (rules F; user path, 6.2 and later).

Locks, list and tree roots and nodes, reference counts and kernel pointers inside structs. All refusals are
silent. Only BTF that uses these names is concerned, kernels' own included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import islice
from typing import NamedTuple

from btfcheck.btf.fault import E2BIG, EEXIST, EFAULT, EINVAL, ELOOP, ENOENT, Fault
from btfcheck.btf.format import (
    ARRAY,
    DECL_TAG,
    KINDS,
    MODIFIERS,
    PTR,
    STRUCT,
    TYPE_TAG,
    VOLATILE,
    Btf,
    text,
)
from btfcheck.btf.listing import signed
from btfcheck.btf.releases import Rules

_SIZES = {  # bytes, alignment
    "bpf_spin_lock": (4, 4),
    "bpf_res_spin_lock": (4, 4),
    "bpf_list_head": (16, 8),
    "bpf_list_node": (24, 8),
    "bpf_rb_root": (16, 8),
    "bpf_rb_node": (32, 8),
    "bpf_refcount": (4, 4),
}
# What the kernel does not say.
_REASONS = {
    "F.2": "no special field is left: misaligned, or of the wrong size",
    "F.3": "a member of a struct with special fields stands at no byte boundary",
    "F.4": "a second lock (from 7.2 on also: a second bpf_refcount) in one struct",
    "F.5": "a list head or tree root needs exactly one tag contains:STRUCT:MEMBER, and that struct",
    "F.6": "the member that contains:STRUCT:MEMBER names is not there, or no node of that sort, or misaligned",
    "F.7": "special fields overlap or do not ascend",
    "F.8": "a list head or tree root without a lock",
    "F.9": "a list node and a tree node need a bpf_refcount",
    "F.10": "too many special fields (11 at most), nested too deep, or an array of what must not repeat",
    "F.11": "both kinds of lock in one struct",
    "F.12": "a tagged pointer that is no kptr: another tag, two tags, or no struct behind it",
    "F.13": "a kptr to a kernel struct that has no destructor",
    "F.14": "the struct that a root holds has no special fields, or owning goes in circles or too deep",
    "F.15": "a special field reaches beyond its struct",
}
_WATCHED = tuple(name for name in _SIZES if name != "bpf_res_spin_lock")
_LOCKS = ("bpf_spin_lock", "bpf_res_spin_lock")
_ROOTS = {"bpf_list_head": "bpf_list_node", "bpf_rb_root": "bpf_rb_node"}
_NODES = frozenset(_ROOTS.values())
_KPTR = "kptr"
_KPTR_TAGS = (b"kptr", b"kptr_untrusted", b"percpu_kptr")
# register_btf_id_dtor_kfuncs() in kernel/bpf/helpers.c, cpumask.c and crypto.c.
_WITH_DESTRUCTOR = frozenset((b"task_struct", b"cgroup", b"bpf_cpumask", b"bpf_crypto_ctx"))
_MAY_REPEAT = frozenset((_KPTR, *_ROOTS))
_MOST_FIELDS = 11
_DEPTH = 32
_OWNERS = 8


class _Field(NamedTuple):
    kind: str  # a name of _SIZES, or kptr
    offset: int
    element: int = 0  # of a root: the struct it holds
    node: bytes = b""  # and that struct's member
    pointee: int = 0  # of a kptr tagged "kptr"

    @property
    def size(self) -> int:
        return _SIZES[self.kind][0] if self.kind in _SIZES else 8


class _Refusal(Exception):  # noqa: N818
    def __init__(self, rule: str, errno: int) -> None:
        super().__init__(rule)
        self.rule = rule
        self.errno = errno


class Special:
    """Rules F over one blob; `check` runs them."""

    def __init__(
        self,
        btf: Btf,
        rules: Rules,
        report: Callable[[Fault], None],
        kernel_structs: Callable[[], frozenset[bytes]] | None = None,
    ) -> None:
        self.btf = btf
        self.rules = rules
        self.report = report
        self.records: dict[int, list[_Field]] = {}
        self.plain: dict[int, int] = {}  # structs without any field, and how deep they nest
        self.nodes: set[tuple[int, bytes, str]] = set()  # that passed F.6
        self.kernel_structs = kernel_structs
        self.undecided: set[str] = set()  # struct names that a kernel may know, too (F.13)

    def check(self, last_line: Callable[[], str]) -> None:
        """Report what is refused; `last_line` gives the line that the silent log ends with."""
        watched = set(self._watched_structs()) | set(self._kptr_ids())
        if not watched:
            return
        words, starts, mask = self.btf.words, self.btf.starts, self.btf.vlen_mask
        for tid in self._ids(STRUCT):
            at = starts[tid]
            if not watched.isdisjoint(words[at + 4 : at + 3 + 3 * (words[at + 1] & mask) : 3]):
                self._judge(tid, lambda tid=tid: self._record(tid), last_line)  # type: ignore[misc]
        for tid in list(self.records):
            self._judge(tid, lambda tid=tid: self._owners(tid), last_line)  # type: ignore[misc]

    def _judge(self, tid: int, rule: Callable[[], None], last_line: Callable[[], str]) -> None:
        try:
            rule()
        except _Refusal as refusal:
            name, reason = self.btf.name(tid), _REASONS[refusal.rule]
            self.report(Fault(refusal.rule, refusal.errno, last_line(), tid, KINDS[STRUCT], name, reason=reason))

    # -- what is watched -----------------------------------------------------------------------------------

    def _ids(self, kind: int) -> Iterator[int]:
        tid = self.btf.kinds.find(kind)
        while tid >= 0:
            yield tid
            tid = self.btf.kinds.find(kind, tid + 1)

    def _offsets(self, name: bytes) -> set[int]:
        """All string offsets that read `name`, ends of longer strings included."""
        offsets = set()
        at = self.btf.strings.find(name + b"\0")
        while at >= 0:
            offsets.add(at)
            at = self.btf.strings.find(name + b"\0", at + 1)
        return offsets

    @cached_property
    def _structs(self) -> dict[bytes, int]:
        """The first STRUCT of each name, the empty one included."""
        first: dict[bytes, int] = {}
        for tid in self._ids(STRUCT):
            first.setdefault(self._name(tid), tid)
        return first

    @cached_property
    def _tags(self) -> dict[tuple[int, int], list[bytes]]:
        """What the tags `contains:` say, by struct and member."""
        tags: dict[tuple[int, int], list[bytes]] = {}
        for tag in self._ids(DECL_TAG):
            words, at = self.btf.record(tag)
            value = self._name(tag)
            if value.startswith(b"contains:"):
                tags.setdefault((words[at + 2], signed(words[at + 3])), []).append(value[len(b"contains:") :])
        return tags

    def _watched_structs(self) -> Iterator[int]:
        for name in _WATCHED:
            offsets = self._offsets(name.encode())
            if offsets:
                yield from islice((tid for tid in self._ids(STRUCT) if self._name_off(tid) in offsets), 1)

    def _kptr_ids(self) -> Iterator[int]:
        if not any(self._name(tid) in _KPTR_TAGS for tid in self._ids(TYPE_TAG)):
            return
        for kind in (PTR, VOLATILE):
            yield from filter(self._is_kptr, self._ids(kind))

    def _name_off(self, tid: int) -> int:
        words, at = self.btf.record(tid)
        return words[at]

    def _name(self, tid: int) -> bytes:
        return self.btf.bytes_at(self._name_off(tid)) if tid else b""

    # -- the fields of a struct ----------------------------------------------------------------------------

    def _record(self, tid: int) -> None:
        fields = self._struct_fields(tid, _MOST_FIELDS, 0)
        if not fields:
            raise _Refusal("F.2", EFAULT)
        size = self.btf.third(tid)
        end = 0
        for field in fields:
            if field.offset + field.size > size:
                raise _Refusal("F.15", EFAULT)
            if field.offset < end:
                raise _Refusal("F.7", EEXIST)
            end = field.offset + field.size
            if field.kind in _ROOTS:
                self._check_node(field)
            elif field.pointee:
                self._check_destructor(self._name(field.pointee))
        kinds = [field.kind for field in fields]
        locks = [lock for lock in _LOCKS if lock in kinds]
        if len(locks) == 2:
            raise _Refusal("F.11", EINVAL)
        if not locks and not _ROOTS.keys().isdisjoint(kinds):
            raise _Refusal("F.8", EINVAL)
        if "bpf_refcount" not in kinds and _NODES.issubset(kinds):
            raise _Refusal("F.9", EINVAL)
        self.records[tid] = fields

    def _struct_fields(self, tid: int, room: int, level: int) -> list[_Field]:
        fields: list[_Field] = []
        seen: set[str] = set()
        below = -1
        mask = 0xFFFFFF if self.btf.kflag(tid) else 0xFFFFFFFF
        for index, (_, other, offset) in enumerate(self.btf.elements(tid)):
            offset &= mask
            if offset % 8:
                raise _Refusal("F.3", EINVAL)
            fields += self._member_fields(tid, index, other, offset // 8, room - len(fields), seen, level)
            below = max(below, self.plain.get(self._element(other), -1))
        if not fields:
            # Nested structs fan out: what is known to hold nothing is not walked again.
            self.plain[tid] = below + 1
        return fields

    def _element(self, tid: int) -> int:
        """What an array, of whatever dimensions, is made of."""
        while self.btf.kinds[tid] == ARRAY:
            words, at = self.btf.record(tid)
            tid = words[at + 3]
        return tid

    def _member_fields(
        self, tid: int, index: int, other: int, offset: int, room: int, seen: set[str], level: int
    ) -> list[_Field]:
        number = 1
        for _ in range(_DEPTH):
            if self.btf.kinds[other] != ARRAY:
                break
            words, at = self.btf.record(other)
            other = words[at + 3]
            number = number * words[at + 5] & 0xFFFFFFFF
        else:
            raise _Refusal("F.10", E2BIG)
        if not number:
            return []
        name = self._name(other).decode("latin-1")
        if name in _SIZES and (name != "bpf_res_spin_lock" or self.rules.res_spin_lock):
            once = name in _LOCKS or (name == "bpf_refcount" and self.rules.deep_ownership)
            if once and name in seen:
                raise _Refusal("F.4", E2BIG)
            seen.add(name)
            field = self._named_field(tid, index, other, offset, name)
        elif self.btf.kinds[other] == STRUCT:
            return self._nested(other, offset, number, room, level)
        else:
            field = self._kptr(other, offset) if offset % 8 == 0 else None
        if field is None:
            return []
        if room < 1:
            raise _Refusal("F.10", E2BIG)
        return self._repeated([field], number, field.size, room)

    def _named_field(self, tid: int, index: int, other: int, offset: int, name: str) -> _Field | None:
        size, align = _SIZES[name]
        if offset % align or self.btf.kinds[other] != STRUCT or self.btf.third(other) != size:
            return None
        return _Field(name, offset, *(self._contains(tid, index) if name in _ROOTS else ()))

    def _nested(self, tid: int, offset: int, number: int, room: int, level: int) -> list[_Field]:
        if level + 1 + self.plain.get(tid, 0) >= _DEPTH:
            raise _Refusal("F.10", E2BIG)
        if tid in self.plain:
            return []
        fields = self._struct_fields(tid, room, level + 1)
        fields = [field._replace(offset=field.offset + offset) for field in fields]
        return self._repeated(fields, number, self.btf.third(tid), room) if fields else []

    @staticmethod
    def _repeated(fields: list[_Field], number: int, size: int, room: int) -> list[_Field]:
        if number == 1:
            return fields
        if any(field.kind not in _MAY_REPEAT for field in fields):
            raise _Refusal("F.10", EINVAL)
        if len(fields) * number > room:
            raise _Refusal("F.10", E2BIG)
        return [field._replace(offset=field.offset + i * size) for i in range(number) for field in fields]

    # -- kernel pointers -----------------------------------------------------------------------------------

    def _kptr(self, tid: int, offset: int) -> _Field | None:
        """The field of a tagged pointer to a struct, None for what is no such thing, or F.12."""
        btf = self.btf
        if btf.kinds[tid] == VOLATILE:
            tid = btf.third(tid)
        if btf.kinds[tid] != PTR:
            return None
        tid = btf.third(tid)
        if self.rules.kptr_anywhere:
            tag, tid = self._tag_in_chain(tid)
            if not tag:
                return None
        else:
            if not self._is_tag(tid):
                return None
            tag = self._name(tid)
            tid = btf.third(tid)
            if btf.kinds[tid] == TYPE_TAG:
                raise _Refusal("F.12", EINVAL)
            if tag == b"uptr" and self.rules.uptr:
                return None
            if tag not in _KPTR_TAGS:
                raise _Refusal("F.12", EINVAL)
        while btf.kinds[tid] in MODIFIERS:
            tid = btf.third(tid)
        if btf.kinds[tid] != STRUCT:
            raise _Refusal("F.12", EINVAL)
        return _Field(_KPTR, offset, pointee=tid if tag == b"kptr" else 0)

    def _check_destructor(self, name: bytes) -> None:
        """F.13: a kptr to a struct that the kernel has, too, needs a destructor registered for it."""
        if name in _WITH_DESTRUCTOR:
            return
        if self.kernel_structs is None:
            self.undecided.add(text(name))
        elif name in self.kernel_structs():
            raise _Refusal("F.13", ENOENT)

    def _is_kptr(self, tid: int) -> bool:
        try:
            return self._kptr(tid, 0) is not None
        except _Refusal:
            return False

    def _is_tag(self, tid: int) -> bool:
        return self.btf.kinds[tid] == TYPE_TAG and not self.btf.kflag(tid)

    def _tag_in_chain(self, tid: int) -> tuple[bytes, int]:
        """(tag, where the chain ends), from 7.2 on; no tag where none of the known ones stands in it."""
        found = b""
        while self.btf.kinds[tid] in MODIFIERS:
            if self._is_tag(tid) and self._name(tid) in _KPTR_TAGS:
                if found:
                    raise _Refusal("F.12", EINVAL)
                found = self._name(tid)
            tid = self.btf.third(tid)
        return found, tid

    # -- roots, nodes, owners ------------------------------------------------------------------------------

    def _contains(self, tid: int, index: int) -> tuple[int, bytes]:
        """F.5: what the tag `contains:STRUCT:MEMBER` on that member names."""
        tags = self._tags.get((tid, index), [])
        if len(tags) != 1 or b":" not in tags[0]:
            raise _Refusal("F.5", EINVAL)
        struct, _, member = tags[0].partition(b":")
        element = self._structs.get(struct)
        if element is None:
            raise _Refusal("F.5", ENOENT)
        if not member:
            raise _Refusal("F.5", EINVAL)
        return element, member

    def _check_node(self, root: _Field) -> None:
        """F.6: the member that the root's tag names."""
        key = root.element, root.node, root.kind
        found = key in self.nodes
        for name, other, offset in () if found else self.btf.elements(root.element):
            if (self.btf.bytes_at(name) if name else b"(anon)") != root.node:
                continue
            if found or self.btf.kinds[other] != STRUCT:
                raise _Refusal("F.6", EINVAL)
            if self._name(other) != _ROOTS[root.kind].encode():
                raise _Refusal("F.6", EINVAL)
            # The kernel goes by the kind flag of the node's type here, not of the struct that holds it.
            if (offset & 0xFFFFFF if self.btf.kflag(other) else offset) % 64:
                raise _Refusal("F.6", EINVAL)
            found = True
        if not found:
            raise _Refusal("F.6", ENOENT)
        self.nodes.add(key)

    def _owners(self, tid: int) -> None:
        """F.14: what roots hold must have fields, and owning must not go in circles."""
        roots = [field.element for field in self.records[tid] if field.kind in _ROOTS]
        has_nodes = any(field.kind in _NODES for field in self.records[tid])
        for element in roots:
            if element not in self.records:
                raise _Refusal("F.14", EFAULT)
            if self.rules.deep_ownership:
                continue
            if has_nodes and any(field.kind in _ROOTS for field in self.records[element]):
                raise _Refusal("F.14", ELOOP)
        if self.rules.deep_ownership and roots:
            self._follow_owners(tid, 1)

    def _follow_owners(self, tid: int, depth: int) -> None:
        if depth > _OWNERS:
            raise _Refusal("F.14", ELOOP)
        for field in self.records.get(tid, ()):
            if field.kind in _ROOTS:
                self._follow_owners(field.element, depth + 1)
