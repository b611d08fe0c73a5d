# SPDX-License-Identifier: MIT
"""Which open questions a comparison of BTF with the debug information answers."""

from __future__ import annotations

import pytest

from btfcheck.dwarf.judge import NO_PAHOLE
from btfcheck.gate.differences import settled
from btfcheck.model import Outcome, Severity, Status
from btfcheck.trace.compare import Comparison

OPEN = Outcome("BTF300", Status.UNKNOWN, Severity.ERROR, "vmlinux", "Rust units: 6", missing=(NO_PAHOLE,))


def test_what_a_pahole_of_unknown_version_made_of_rust_units_is_seen_in_its_btf() -> None:
    (answered,) = settled([OPEN], Comparison())
    assert (answered.status, answered.missing) == (Status.OK, ())


@pytest.mark.parametrize("found", [
    Comparison(rust=("struct Option<u32>",)), Comparison(clashes=("struct device",)),
    Comparison(lost_types=("struct device",)), Comparison(void=("struct a: member b",)),
    Comparison(problems=("unit at 0x10: cut off",)),
])  # fmt: skip
def test_it_stays_open_where_the_comparison_found_something_or_not_everything(found: Comparison) -> None:
    assert settled([OPEN], found) == [OPEN]


def test_a_finding_of_the_debug_information_stays_one() -> None:
    finding = OPEN._replace(status=Status.FINDING, missing=())
    assert settled([finding], Comparison()) == [finding]
