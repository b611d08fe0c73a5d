# SPDX-License-Identifier: MIT
"""From a report to an exit code, and where the policy of a project lies."""

from __future__ import annotations

import os

from btfcheck.model import Report, Severity, Status

NAME = "btfcheck.toml"
WAIVED, KNOWN = "waived", "in the baseline: "  # how messages of excused findings begin
FAIL_ON = ("error", "warning", "note", "never")


def exit_code(report: Report, fail_on: str = "error", allow_unknown: bool = False) -> int:
    """1 findings, 3 could not judge, 4 nothing to check, 0 otherwise; the first that applies."""
    reached = [o for o in report.outcomes if fail_on != "never" and o.severity.rank >= Severity(fail_on).rank]
    if any(o.status is Status.FINDING for o in reached):
        return 1
    if any(o.status is Status.ERROR for o in report.outcomes):
        return 3
    if not allow_unknown and any(o.status is Status.UNKNOWN for o in reached):
        return 3
    return 4 if report.nothing else 0


def find(start: str) -> str | None:
    """The nearest btfcheck.toml in `start` or above it."""
    folder = os.path.abspath(start)
    while True:
        place = os.path.join(folder, NAME)
        if os.path.isfile(place):
            return place
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above
