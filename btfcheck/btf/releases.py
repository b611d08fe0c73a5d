# SPDX-License-Identifier: MIT
"""What each kernel release accepts: one table of differences.

Rule names are those of the checks in meta.py, resolve.py, chains.py and special.py. `measured` rows were
seen on both sides of the change, on 11,067 blobs and eleven kernels from 6.1.192 to 7.3-rc7; the others are
from the sources.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from btfcheck.model import UsageError
from btfcheck.release import Release

OLDEST = Release(6, 1)
NEWEST = Release(7, 3)


class Rules(NamedTuple):
    """The kernel-dependent part of the checks. Two releases with equal rules give equal verdicts."""

    header: int = 24  # bytes of the header that are known
    wide_vlen: bool = False  # 24 bits of vlen and 7 of kind, instead of 16 and 5 with reserved bits
    dots: bool = True  # identifiers may hold dots
    section_name: str = "identifier"  # identifier, printable-later (first byte free) or printable
    tag_kflag: bool = False  # TYPE_TAG and DECL_TAG may have the kind flag
    tag_order: bool = True  # type tags must come before other modifiers
    special_fields: bool = False  # rules F
    res_spin_lock: bool = False
    uptr: bool = False  # the tag uptr is known, and passed over
    kptr_anywhere: bool = False  # the kptr tag may stand behind other modifiers, other tags are passed over
    deep_ownership: bool = False  # chains of owners are followed; one bpf_refcount only
    sorted_base: bool = False  # vmlinux types are searched as if sorted, unchecked
    distilled_base: bool = False  # .BTF.base is read


class Change(NamedTuple):
    """From `since` on (a whole line, or a stable release of that line alone) the `rule` changes."""

    since: Release
    rule: str
    text: str
    field: str
    value: Any
    measured: bool
    only_line: bool = False  # a backport: holds within its own line only

    def applies(self, release: Release) -> bool:
        if self.only_line:
            return release.line == self.since.line and release >= self.since
        return release.line >= self.since.line


CHANGES: tuple[Change, ...] = (
    Change(Release(6, 2), "F", "special fields of BPF programs are checked", "special_fields", True, True),
    Change(Release(6, 2), "N1", "no dots in identifiers other than variables", "dots", False, False),
    Change(Release(6, 4, 6), "N1", "dots in every identifier", "dots", True, False, only_line=True),
    Change(Release(6, 5), "N1", "dots in every identifier (6.1 has it by backport)", "dots", True, False),
    Change(Release(6, 9), "N2", "section names: printable bytes", "section_name", "printable-later", True),
    Change(Release(6, 11), "N2", "section names: the first byte, too", "section_name", "printable", False),
    Change(Release(6, 11), ".BTF.base", "distilled base BTF is read", "distilled_base", True, False),
    Change(Release(6, 13), "F.12", "the tag uptr is known", "uptr", True, True),
    Change(Release(6, 15), "REF.2", "kind flag on TYPE_TAG and DECL_TAG", "tag_kflag", True, True),
    Change(Release(6, 15), "F", "bpf_res_spin_lock is a special field", "res_spin_lock", True, True),
    Change(Release(7, 0), "sorted", "vmlinux types are assumed to be sorted", "sorted_base", True, False),
    Change(Release(7, 1), "H3", "32-byte header with a layout section", "header", 32, True),
    Change(Release(7, 2), "Y4", "24-bit vlen, 7-bit kind, no reserved bits", "wide_vlen", True, True),
    Change(Release(7, 2), "G.2", "type tags may follow other modifiers", "tag_order", False, True),
    Change(Release(7, 2), "F.12", "the kptr tag is found in the whole chain", "kptr_anywhere", True, True),
    Change(Release(7, 2), "F.14", "owners are followed, eight deep", "deep_ownership", True, True),
    # Seen in 6.12.117 and not in 6.12.43; where between them is not known.
    Change(Release(6, 12, 44), "F.14", "owners are followed", "deep_ownership", True, True, only_line=True),
)


@lru_cache(maxsize=64)
def rules_for(release: Release) -> Rules:
    """The rules of a release; of the newest known one for anything newer.

    Raises UsageError for releases before 6.1, whose rules are not in the table.
    """
    if release.line < OLDEST.line:
        raise UsageError(f"kernel {release}: the oldest release whose BTF rules are known is {OLDEST}")
    rules = Rules()
    for change in CHANGES:
        if change.applies(release):
            rules = rules._replace(**{change.field: change.value})
    return rules


def is_newer_than_known(release: Release) -> bool:
    return release.line > NEWEST.line
