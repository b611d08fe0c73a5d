# SPDX-License-Identifier: MIT
"""What usually lies behind a fault, and which names are Rust's.

Sources: what pahole 1.24 to 1.32 makes of rustc's DWARF, LLVM's and GCC's BPF backends, and bug reports of
kernels and distributions (the rule pages of BTF401 and BTF402 quote them).
"""

from __future__ import annotations

import re

from btfcheck.btf.fault import Fault
from btfcheck.btf.format import INT, Btf

# Generics, paths, references, tuples, slices, closures, vtables; mangled names, v0 and legacy.
_RUST = re.compile(
    r"::|<.*>|^&|^\(|^\[|\{(closure|vtable|impl|async)|^\*(const|mut) |^dyn "
    r"|^_R(C[s0-9]|N[a-zA-Z][CMXYNIB]|I[CMXYNB]|[MXY][CNs])|^_ZN.*17h[0-9a-f]{16}E"
)
RUST_INTS = frozenset(
    ("u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize", "f32", "f64", "()", "!")
)
# What rust-bindgen calls members that C has no name for.
_BINDGEN = re.compile(r"^(__bindgen_|_bitfield_(align_)?\d+$)")
FAKE_INT = "__SANITIZED_FAKE_INT__"

_RUST_CAME = (
    "Rust units were encoded: pahole merged them (LTO; up to 1.27) or ran without --lang_exclude=rust; "
    "or LTO put Rust types into C units, which no pahole leaves out"
)
_NOT_SORTED = (
    "rustc lists fields in the order of the source; pahole sorts them only in Rust units and only from 1.25 on: "
    "a Rust struct encoded by pahole up to 1.24, or one in merged units or in a C unit (LTO)"
)
_VOID_MEMBER = (
    "the member's type was lost: pahole left out the unit that defines it (a Rust unit under full LTO, "
    "pahole 1.28 and later), and the reference became void"
)
_OTHER_VMLINUX = "the module was built with another vmlinux than this base: ids and string offsets do not fit"
_CAUSES = {
    "T4": "the strings do not begin with an empty one: split BTF, which needs its base (--base)",
    "H2": "cut off, or of the other byte order",
    "H3": "written for a newer kernel: the 32-byte header with a layout section is known from 7.1 on",
    "H4": "no BTF, or of the other byte order",
    "X2": "sections do not follow each other; a stale part may have been left in a detached file",
    "X5": "bytes are left behind the sections: a stale detached file",
    "Y4": "the info word has bits set that are reserved up to 7.1 (a 24-bit vlen, as from 7.2), or it is damaged",
    "Y5": "a kind that no kernel up to 7.3 knows, or damage further up",
    "TYPE_TAG.2k": "written for a newer kernel: attributes with the kind flag are known from 6.15 on",
    "DECL_TAG.4": "written for a newer kernel: attributes with the kind flag are known from 6.15 on",
    "INT.7": "GCC 12 writes SIGNED|CHAR for char with -gbtf; later ones do not",
    "DATASEC.2": "compilers leave the size of a section 0 and libbpf fills it in: this is an object that was "
    "not loaded through libbpf",
    "VAR.6": "extern linkage stands in objects only; libbpf rewrites it before loading",
    "FUNC.2": "extern linkage stands in objects only; libbpf rewrites it before loading",
    "DATASEC.6": "variables overlap: LLVM's GlobalMerge, with pahole before 1.32",
    "R.M.KENUM.3": "a packed enum beside bitfields: valid C, but the kernel takes every enum there for 4 bytes",
    "G.2": "a typedef or qualifier stands in front of a type tag (clang puts tags first; 7.2 takes both)",
    "R.DEPTH": "the references nest more than 32 deep in this order of ids",
}


def is_rust_name(name: str) -> bool:
    """Whether a name can only be Rust's (or C++'s, which no kernel has)."""
    return bool(_RUST.search(name))


def is_bindgen_name(name: str) -> bool:
    """Whether a member's name is one that rust-bindgen makes up."""
    return bool(_BINDGEN.match(name))


def cause(fault: Fault, btf: Btf | None) -> str:
    """What usually causes it, in a sentence; empty where nothing better than the message is known."""
    rule = fault.rule
    number = rule.partition(".")[2]
    split = btf is not None and btf.base is not None
    if split and (rule == "Y6" or (number == "3" and "name_offset" in fault.message)):
        return _OTHER_VMLINUX
    if fault.reason == "Invalid name" and fault.kind not in ("PTR", "ARRAY", "FUNC_PROTO"):
        return _of_name(fault, split)
    if rule == "PTR.4":
        return "LLVM's BPF backend keeps Rust's names on pointers; bpf-linker and aya blank them"
    if rule == "STRUCT.6":
        return _NOT_SORTED
    if rule in ("STRUCT.5", "UNION.5") and "type_id=0 " in fault.message:
        return _VOID_MEMBER
    if rule in ("ENUM.2", "ENUM64.2"):
        return "an enum of Rust's repr(u128)" if "size=16 " in fault.message else ""
    if rule.startswith("R.M.") and btf is not None:
        return _of_member(fault, btf) or _CAUSES.get(rule, "")
    if rule == "R.STRUCT.1" and "type_id=0 " in fault.message:
        return _VOID_MEMBER
    return _CAUSES.get(rule, "")


def _of_name(fault: Fault, split: bool) -> str:
    name = fault.member or fault.name
    if is_rust_name(name):
        return f"a Rust name: {_RUST_CAME}"
    if split:
        return _OTHER_VMLINUX
    if len(name.encode("utf-8", "surrogateescape")) > 512:
        return "longer than 512 bytes, the most that a name may have"
    if "." in name:
        return "dots in names are known from 6.5 on (6.4.6, and 6.1 by backport)"
    if not name.isascii():
        return "not ASCII: Rust takes such identifiers, the kernel's tables do not"
    return ""


def _of_member(fault: Fault, btf: Btf) -> str:
    words, at = btf.record(fault.type_id)
    if is_rust_name(fault.name):
        return f"a Rust type: {_RUST_CAME}"
    if 0 <= fault.position < btf.vlen(fault.type_id):
        other = words[at + 4 + 3 * fault.position]
        if other < btf.count and btf.kind(other) == INT and btf.name(other) == FAKE_INT:
            return "pahole gives types of size 0 (Rust's `()` and `!`) four bytes, which do not fit: a Rust type"
    if not words[at + 2]:
        return "an unsized Rust struct (CStr, str and their like) has size 0 and a member all the same"
    return ""
