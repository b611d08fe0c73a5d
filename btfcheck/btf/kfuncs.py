# SPDX-License-Identifier: MIT
"""Functions that only resolve_btfids puts into BTF, from 7.0 on.

A kfunc with KF_IMPLICIT_ARGS is there twice: as `f`, tagged "bpf_kfunc", without the arguments that the verifier
adds, and as `f_impl` with all of them. Only `f` is defined anywhere.
Source: tools/bpf/resolve_btfids/main.c of 7.2 (process_kfunc_with_implicit_args); the 38 of Debian's 7.2.11.
"""

from __future__ import annotations

from btfcheck.btf.format import DECL_TAG, FUNC, FUNC_PROTO, Btf

SUFFIX = "_impl"
_TAG = "bpf_kfunc"


def with_implicit_arguments(btf: Btf) -> frozenset[str]:
    """The names `f_impl` that stand for such a kfunc; of a module, its own."""
    functions = {}
    tagged = []
    for tid in btf.own_ids():
        kind = btf.kind(tid)
        if kind == FUNC:
            functions[btf.name(tid)] = tid
        elif kind == DECL_TAG and btf.name(tid) == _TAG:
            tagged.append(btf.third(tid))
    found = set()
    for tid in tagged:
        name = btf.name(tid) + SUFFIX
        if name in functions and _left_some_out(_parameters(btf, tid), _parameters(btf, functions[name])):
            found.add(name)
    return frozenset(found)


def _parameters(btf: Btf, function: int) -> list[tuple[int, ...]]:
    prototype = btf.third(function) if btf.kind(function) == FUNC else 0
    return list(btf.elements(prototype)) if btf.kind(prototype) == FUNC_PROTO else []


def _left_some_out(few: list[tuple[int, ...]], many: list[tuple[int, ...]]) -> bool:
    rest = iter(many)
    return len(few) < len(many) and all(parameter in rest for parameter in few)
