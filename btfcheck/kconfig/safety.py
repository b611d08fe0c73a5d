# SPDX-License-Identifier: MIT
"""What becomes of the BTF of a combination that is built: the known outcomes of pahole versions and LTO modes.

Kconfig's clauses are wider than the bugs in places, and narrower in others, so this is kept apart
from what is allowed. Sources: dwarves commits b98565e7b17e and 94a01bd (1.28), 47dcb534e253 and
9810758003ce (1.28 to 1.30), kernel commits 5daa0c35a1f0 and 9520a2b3f0b5; files measured with
pahole 1.22 to 1.31 in every LTO mode against the kernel's own check.
"""

from __future__ import annotations

from typing import NamedTuple


class Safety(NamedTuple):
    """`safe` is "yes", "no" or "unknown"; `why` is one sentence."""

    safe: str
    why: str


def safety(*, rust: bool, btf: bool, lto: str, versions: str, pahole: int, excludes: bool, x86: bool) -> Safety:
    """Whether the kernel will take its own BTF.

    `lto` is none, thin, full or thin-dist; `versions` off, genksyms or gendwarfksyms; `pahole` as
    PAHOLE_VERSION has it, 0 for none; `excludes` whether this kernel's build asks pahole to leave
    out Rust (from 6.3 on).
    """
    if not btf:
        return Safety("yes", "no BTF is made")
    if pahole < 116:
        return Safety("no", "the build stops: pahole is missing or older than 1.16")
    if x86 and versions == "gendwarfksyms" and pahole in (128, 129):
        return Safety("no", 'pahole 1.28 and 1.29 spoil .BTF beside gendwarfksyms on x86: "Invalid offset" at boot')
    if not rust:
        return Safety("yes", "C alone")
    if not excludes:
        return Safety("no", "this kernel's build does not ask pahole to leave out Rust")
    if pahole < 124:
        return Safety("no", "pahole before 1.24 cannot leave out Rust")
    if lto == "none":
        return Safety("yes", "pahole leaves out the Rust units")
    if pahole < 128:
        return Safety("no", "pahole before 1.28 merges the units of an LTO build first, and Rust types get in")
    if lto == "full":
        return Safety("unknown", "safe while Rust itself is built without LTO, as mainline does; if not, C units may "
                                 "hold Rust types, which no pahole leaves out")  # fmt: skip
    return Safety("yes", "pahole from 1.28 on leaves out Rust units before it merges the rest")
