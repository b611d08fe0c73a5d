# SPDX-License-Identifier: MIT
"""The policy of a project (btfcheck.toml) and its baseline: what is known, what is excused and why.

    fail-on = "warning"

    [severity]
    BTF303 = "error"

    [[waiver]]
    rule    = "BTF508"                  # an id or a name
    subject = "drivers/staging/*"       # fnmatch; every subject when left out
    reason  = "rewritten for 6.19, see the tracker"
    expires = 2027-01-31                # the last day on which it holds

Nothing disappears: what is excused is skipped, and says why.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date, datetime
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from btfcheck.lint import tomlfile
from btfcheck.lint.policy import FAIL_ON, KNOWN, WAIVED
from btfcheck.model import Location, Outcome, Severity, Status, UsageError

STALE = "BTF540"
BASELINE_SCHEMA = 1


class Waiver(NamedTuple):
    """Findings of `rule` on subjects that match the pattern are excused until the day `expires`."""

    rule: str
    subject: str
    reason: str
    expires: date | None
    line: str


class Policy(NamedTuple):
    """What a policy file says; `path` is "" without one."""

    path: str = ""
    fail_on: str | None = None
    severity: Mapping[str, Severity] = {}
    waivers: tuple[Waiver, ...] = ()


def read(path: str, known: Mapping[str, str]) -> Policy:
    """The policy in a file; `known` maps ids and names of rules to ids.

    Raises UsageError naming the file and the key for anything that is not as it must be.
    """
    data = tomlfile.read(path)
    _keys(path, data, {"fail-on", "severity", "waiver"})
    fail_on = data.get("fail-on")
    if fail_on is not None and fail_on not in FAIL_ON:
        raise UsageError(f"{path}: fail-on: {fail_on!r} is not one of {', '.join(FAIL_ON)}")
    severity = data.get("severity", {})
    waivers = data.get("waiver", [])
    if not isinstance(severity, dict) or not isinstance(waivers, list):
        raise UsageError(f"{path}: [severity] is a table, [[waiver]] a list of tables")
    return Policy(
        path, fail_on,
        {_rule(path, "severity", rule, known): _severity(path, rule, word) for rule, word in severity.items()},
        tuple(_waiver(path, number, table, known) for number, table in enumerate(waivers, 1)),
    )  # fmt: skip


def _keys(where: str, table: Mapping[str, Any], known: set[str]) -> None:
    for key in table:
        if key not in known:
            raise UsageError(f"{where}: unknown key {key!r}; known: {', '.join(sorted(known))}")


def _rule(path: str, where: str, word: object, known: Mapping[str, str]) -> str:
    if not isinstance(word, str) or word not in known:
        raise UsageError(f"{path}: {where}: there is no rule {word!r}")
    return known[word]


def _severity(path: str, rule: str, word: object) -> Severity:
    try:
        return Severity(word)
    except ValueError:
        raise UsageError(f"{path}: severity.{rule}: {word!r} is not one of error, warning, note") from None


def _waiver(path: str, number: int, table: object, known: Mapping[str, str]) -> Waiver:
    where = f"{path}: waiver {number}"
    if not isinstance(table, dict):
        raise UsageError(f"{where}: a table is expected")
    _keys(where, table, {"rule", "subject", "reason", "expires"})
    rule = _rule(path, f"waiver {number}", table.get("rule"), known)
    subject, reason, expires = table.get("subject", "*"), table.get("reason"), table.get("expires")
    if not isinstance(reason, str) or not reason.strip():
        raise UsageError(f"{where}: a reason is required")
    if not isinstance(subject, str) or not subject:
        raise UsageError(f"{where}: subject: a pattern is expected")
    if isinstance(expires, datetime) or (expires is not None and not isinstance(expires, date)):
        raise UsageError(f"{where}: expires: a date is expected, as in 2027-01-31")
    return Waiver(rule, subject, reason.strip(), expires, f"waiver {number}: {table['rule']} on {subject}")


# -- applying it -----------------------------------------------------------------------------------------------


def judged(policy: Policy, outcome: Outcome, today: date, used: set[int]) -> Outcome:
    """The outcome as the policy has it; `used` gets the numbers of the waivers that match."""
    if outcome.rule in policy.severity:
        outcome = outcome._replace(severity=policy.severity[outcome.rule])
    if outcome.status is not Status.FINDING:
        return outcome
    for number, waiver in enumerate(policy.waivers):
        if waiver.rule == outcome.rule and fnmatchcase(outcome.subject, waiver.subject):
            used.add(number)
            if waiver.expires is None or today <= waiver.expires:
                until = f" (until {waiver.expires})" if waiver.expires else ""
                message = f"{WAIVED}{until}: {waiver.reason}; {outcome.message}"
                return outcome._replace(status=Status.SKIP, message=message)
            outcome = outcome._replace(notes=(*outcome.notes, f"waived until {waiver.expires}: {waiver.reason}"))
    return outcome


def usefulness(
    policy: Policy, ran: Collection[str], used: Collection[int], today: date, fix: str = ""
) -> Iterator[Outcome]:
    """One outcome (STALE) for each waiver whose rule ran, with that advice."""
    for number, waiver in enumerate(policy.waivers):
        if waiver.rule not in ran:
            continue
        subject = f"{waiver.rule} {waiver.subject}"
        expired = waiver.expires is not None and today > waiver.expires
        if number in used and not expired:
            yield Outcome(STALE, Status.OK, Severity.WARNING, subject)
            continue
        why = f"it expired on {waiver.expires}" if number in used else "nothing matches it any more"
        yield Outcome(STALE, Status.FINDING, Severity.WARNING, subject, f"a waiver without effect: {why}",
                      (Location(policy.path, text=waiver.line),), fix=fix)  # fmt: skip


# -- the baseline ------------------------------------------------------------------------------------------------


def read_baseline(path: str) -> dict[str, str]:
    """Fingerprint -> rule and subject. Raises UsageError when it is no baseline."""
    try:
        with open(path, encoding="utf-8") as stream:
            data = json.load(stream)
        if data["schema"] != BASELINE_SCHEMA:
            raise UsageError(f"--baseline {path}: schema {data['schema']!r} is not known")
        return {row["fingerprint"]: f"{row['rule']} {row['subject']}" for row in data["findings"]}
    except OSError as error:
        raise UsageError(f"--baseline {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UsageError(f"--baseline {path}: no baseline; `btfcheck baseline write` makes one") from None


def compared(known: Mapping[str, str], outcome: Outcome) -> Outcome:
    """The outcome, skipped when it is a finding that the baseline knows."""
    if outcome.status is Status.FINDING and outcome.fingerprint in known:
        return outcome._replace(status=Status.SKIP, message=KNOWN + outcome.message)
    return outcome


def baseline(findings: Iterable[Mapping[str, Any]]) -> str:
    """The baseline of findings as JSON reports have them, sorted, so that it can be kept in version control."""
    rows = {
        f["fingerprint"]: {k: f[k].removeprefix(KNOWN) for k in ("fingerprint", "rule", "subject", "message")}
        for f in findings
    }
    ordered = sorted(rows.values(), key=lambda row: (row["rule"], row["subject"], row["fingerprint"]))
    return json.dumps({"schema": BASELINE_SCHEMA, "findings": ordered}, indent=1) + "\n"
