# SPDX-License-Identifier: MIT
"""From a report to an exit code."""

from __future__ import annotations

from btfcheck.model import Report, Severity, Status

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
