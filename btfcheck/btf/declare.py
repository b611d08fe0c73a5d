# SPDX-License-Identifier: MIT
"""Types in C-like words, also where they are broken: every id may dangle or lead in circles."""

from __future__ import annotations

from collections.abc import Iterator

from btfcheck.btf.format import (
    ARRAY,
    CONST,
    DATASEC,
    DECL_TAG,
    ELEMENT_WORDS,
    ENUM,
    ENUM64,
    FUNC,
    FUNC_PROTO,
    FWD,
    INT,
    KINDS,
    PTR,
    RESTRICT,
    STRUCT,
    TYPE_TAG,
    TYPEDEF,
    UNION,
    VAR,
    VOID,
    VOLATILE,
    Btf,
    text,
)
from btfcheck.btf.listing import signed

_DEEPEST = 12
_MOST_PARAMETERS = 12
_NAME = 120  # characters of a name that are shown
_WORDS = {CONST: "const", VOLATILE: "volatile", RESTRICT: "restrict"}
_TAGS = {STRUCT: "struct", UNION: "union", ENUM: "enum", ENUM64: "enum"}


def declare(btf: Btf, tid: int, inner: str = "", depth: int = 0) -> str:
    """`inner` declared with type `tid`, as C does: declare(int[4], "x") is "int x[4]"."""
    if depth > _DEEPEST:
        return f"... {inner}".rstrip()
    if tid >= btf.count:
        return f"<type {tid}, which does not exist> {inner}".rstrip()
    kind = btf.kind(tid)
    if kind == VOID:
        return f"void {inner}".rstrip()
    words, at = btf.record(tid)
    if kind == PTR:
        target = words[at + 2]
        wrapped = target < btf.count and btf.kind(target) in (ARRAY, FUNC_PROTO)
        return declare(btf, target, f"(*{inner})" if wrapped else f"*{inner}", depth + 1)
    if kind in _WORDS:
        target = words[at + 2]
        if target < btf.count and btf.kind(target) == PTR:
            return declare(btf, target, f"{_WORDS[kind]} {inner}".rstrip(), depth + 1)
        return f"{_WORDS[kind]} {declare(btf, target, inner, depth + 1)}"
    if kind == TYPE_TAG:
        tag = short(btf, words[at])
        return f'{declare(btf, words[at + 2], inner, depth + 1)} /* tag "{tag}" */'
    if kind == ARRAY:
        return declare(btf, words[at + 3], f"{inner}[{words[at + 5]}]", depth + 1)
    if kind == FUNC_PROTO:
        return declare(btf, words[at + 2], f"{inner}({_parameters(btf, tid, depth)})", depth + 1)
    return f"{_head(btf, tid, kind)} {inner}".rstrip()


def short(btf: Btf, offset: int) -> str:
    """A string as people read it, not longer than a line."""
    name = text(btf.bytes_at(offset, _NAME + 1))
    return name if len(name) <= _NAME else f"{name[:_NAME]}..."


def _head(btf: Btf, tid: int, kind: int) -> str:
    words, at = btf.record(tid)
    name = short(btf, words[at])
    if kind in _TAGS:
        return f"{_TAGS[kind]} {name}" if name else f"{_TAGS[kind]} <type {tid}>"
    if kind == FWD:
        return f"{'union' if words[at + 1] >> 31 else 'struct'} {name}"
    return name or f"<{KINDS[kind]} {tid}>"


def _parameters(btf: Btf, tid: int, depth: int = 0) -> str:
    if depth > 4:
        return "..."  # parameters of parameters of parameters fan out
    shown = []
    for i, (name, other) in enumerate(btf.elements(tid)):
        if i == _MOST_PARAMETERS:
            shown.append("/* ... */")
            break
        last = i == btf.vlen(tid) - 1
        shown.append("..." if last and not other else declare(btf, other, short(btf, name), depth + 1))
    return ", ".join(shown) or "void"


def definition(btf: Btf, tid: int, member: int = -1) -> tuple[str, ...]:
    """The lines that define a type; of long ones only `member` and its neighbours, and an arrow at it."""
    kind = btf.kind(tid)
    words, at = btf.record(tid)
    name = short(btf, words[at])
    third = words[at + 2]
    if kind in (STRUCT, UNION, ENUM, ENUM64, DATASEC):
        head = f'section "{name}"' if kind == DATASEC else f"{_TAGS[kind]} {name}".rstrip()
        return (f"{head} {{  /* type {tid}, {third} bytes */", *_elements(btf, tid, kind, member), "};")
    if kind == FUNC:
        is_proto = third < btf.count and btf.kind(third) == FUNC_PROTO
        return (f"{declare(btf, third, name) if is_proto else f'function {name}'};  /* type {tid} */",)
    if kind == TYPEDEF:
        return (f"typedef {declare(btf, third, name)};  /* type {tid} */",)
    if kind == VAR:
        return (f"{declare(btf, third, name)};  /* variable, type {tid} */",)
    if kind == DECL_TAG:
        return (f'tag "{name}" on {declare(btf, third)};  /* type {tid} */',)
    if kind == INT:
        return (f"{name or '<INT>'};  /* type {tid}, {third} bytes, {words[at + 3] & 0xFF} bits */",)
    return (f"{declare(btf, tid)};  /* {KINDS[kind]}, type {tid} */",)


def _elements(btf: Btf, tid: int, kind: int, member: int) -> Iterator[str]:
    vlen = btf.vlen(tid)
    first, last = (max(member - 1, 0), min(member + 2, vlen)) if member >= 0 else (0, min(vlen, 3))
    if first:
        yield "        ..."
    words, at = btf.record(tid)
    width = ELEMENT_WORDS[kind]
    for i in range(first, last):
        here = at + 3 + width * i
        line = _element(btf, words[here : here + width], kind, words[at + 1] >> 31)
        yield f"        {line}{'   <-- here' if i == member else ''}"
    if last < vlen:
        yield "        ..."


def _element(btf: Btf, words: list[int], kind: int, kflag: int) -> str:
    if kind == DATASEC:
        return f"{declare(btf, words[0])};  /* type {words[0]}, offset {words[1]}, {words[2]} bytes */"
    name = short(btf, words[0])
    if kind == ENUM:
        return f"{name} = {signed(words[1]) if kflag else words[1]},"
    if kind == ENUM64:
        return f"{name} = {words[2] << 32 | words[1]:#x},"
    width = words[2] >> 24 if kflag else 0
    offset = words[2] & 0xFFFFFF if kflag else words[2]
    field = f" : {width}" if width else ""
    return f"{declare(btf, words[1], name)}{field};  /* type {words[1]}, at bit {offset} */"
