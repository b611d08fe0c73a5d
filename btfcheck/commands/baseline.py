# SPDX-License-Identifier: MIT
"""Write the findings of JSON reports to a baseline, so that only new ones count from now on.

`--baseline FILE`, which every verb takes, skips the findings that FILE knows by their fingerprints.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from btfcheck.files import write_whole
from btfcheck.lint.policy import KNOWN
from btfcheck.lint.waivers import baseline
from btfcheck.model import InputError, Report, UsageError

if TYPE_CHECKING:
    from btfcheck.commands.console import Console
    from btfcheck.formats.style import Style

WORDS = "write BASELINE REPORT.json..."
EXAMPLES = """\
  btfcheck gate ~/linux --output json:report.json
  btfcheck baseline write btfcheck-baseline.json report.json
  btfcheck gate ~/linux --baseline btfcheck-baseline.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", metavar="write BASELINE REPORT.json", nargs="+")


def run(args: argparse.Namespace, console: Console) -> Report:  # noqa: ARG001
    action, *paths = args.words
    if action != "write" or len(paths) < 2:
        raise UsageError("baseline: `write BASELINE REPORT.json...` is expected")
    target, *reports = paths
    findings = [finding for path in reports for finding in _findings(path)]
    try:
        os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
        write_whole(target, baseline(findings).encode("utf-8"))
    except OSError as error:
        raise UsageError(f"baseline write {target}: {error.strerror or error}") from error
    return Report("baseline", data={"baseline": {"path": target, "findings": len(findings)}})


def _findings(path: str) -> list[dict[str, Any]]:
    """The findings of one JSON report, with those that a baseline before skipped already."""
    try:
        with open(path, encoding="utf-8") as stream:
            data = json.load(stream)
        found = [o for o in data["outcomes"] if o["status"] == "finding" or _was_known(o)]
        return [{k: o[k] for k in ("fingerprint", "rule", "subject", "message")} for o in found]
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(f"{path}: no JSON report of btfcheck (--output json:FILE)") from None


def _was_known(outcome: dict[str, Any]) -> bool:
    return outcome["status"] == "skip" and str(outcome["message"]).startswith(KNOWN)


def body(report: Report, style: Style) -> Iterator[str]:  # noqa: ARG001
    data = report.data["baseline"]
    yield f"{data['findings']} findings in {data['path']}"
