# SPDX-License-Identifier: MIT
"""What is stepped over at a glance is what the rules, one by one, find good."""

from __future__ import annotations

from typing import Any

import pytest

from btfcheck.btf import meta
from btfcheck.btf.header import read_sections
from btfcheck.btf.releases import rules_for
from btfcheck.btf.resolve import Resolver
from btfcheck.btf.verify import check
from btfcheck.release import parse
from tests.btf.blob import mutants
from tests.btf.vectors import seeds, vectors

BLOBS = [v.blob for name in ("cases", "fuzz-a") for v in vectors(name)][::6] + list(mutants(11, 600, list(seeds())))
RULES = [rules_for(parse(text)) for text in ("6.1", "6.18", "7.3")]


def test_records_passed_at_a_glance_break_no_rule() -> None:
    passed = 0
    for rules in RULES:
        for blob in BLOBS:
            checked = check(blob, rules, "vmlinux")
            if checked.btf is None:
                continue
            faulty = {fault.type_id for fault in checked.verdict.faults}
            length = len(read_sections(blob, rules, "vmlinux", False, "little").types)
            for tid in range(1, checked.btf.count):
                at = checked.btf.starts[tid]
                found = list(meta._examine(checked.btf, rules, tid, at, length - 4 * at))
                if tid not in faulty:
                    assert found == []
                    passed += 1
    assert passed > 5_000


def test_resolving_without_a_glance_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = RULES[1]
    quick = [check(blob, rules).verdict for blob in BLOBS]

    def never(*_: Any) -> bool:
        return False

    monkeypatch.setattr(Resolver, "_at_a_glance", never)
    monkeypatch.setattr(Resolver, "_prototype_at_a_glance", never)
    assert [check(blob, rules).verdict for blob in BLOBS] == quick
