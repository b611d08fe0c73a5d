# SPDX-License-Identifier: MIT
"""What decides over a report besides its findings: policy file < environment < command line."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from btfcheck.commands import split_variables
from btfcheck.lint.policy import FAIL_ON
from btfcheck.lint.policy import find as find_policy
from btfcheck.model import Outcome, Report, Status, UsageError

if TYPE_CHECKING:
    from datetime import date

DEFAULT_FAIL_ON = "error"
_VARIABLES = {"policy": "BTFCHECK_POLICY", "baseline": "BTFCHECK_BASELINE", "fail_on": "BTFCHECK_FAIL_ON"}


class Settings(NamedTuple):
    """`policy` is a lint.waivers.Policy or None, `baseline` fingerprint -> what; `rows` are (setting, value,
    where it comes from), as --show-policy prints them."""

    fail_on: str
    policy: Any
    baseline: dict[str, str] | None
    rows: tuple[tuple[str, str, str], ...]


class Adjuster:
    """Changes outcomes as the policy and the baseline want it, each once: what was shown while it ran is what the
    report has at the end."""

    def __init__(self, chosen: Settings) -> None:
        self._policy, self._baseline = chosen.policy, chosen.baseline
        self._used: set[int] = set()
        self._done: dict[int, tuple[Outcome, Outcome]] = {}

    def __call__(self, outcome: Outcome) -> Outcome:
        if self._policy is None and self._baseline is None:
            return outcome
        if id(outcome) not in self._done:
            self._done[id(outcome)] = outcome, self._changed(outcome)  # kept, so that no other gets its id
        return self._done[id(outcome)][1]

    def _changed(self, outcome: Outcome) -> Outcome:
        from btfcheck.lint import waivers

        if self._policy is not None:
            outcome = waivers.judged(self._policy, outcome, _today(), self._used)
        if self._baseline is not None:
            outcome = waivers.compared(self._baseline, outcome)
        return outcome

    def finish(self, report: Report) -> None:
        """Change what is left, and tell of waivers that had no effect."""
        if self._policy is None and self._baseline is None:
            return
        ran = {o.rule for o in report.outcomes if o.status is not Status.SKIP}
        report.outcomes = [self(outcome) for outcome in report.outcomes]
        if self._policy is not None:
            from btfcheck.lint import waivers
            from btfcheck.lint.rules import load

            fix = load().rules[waivers.STALE].fix
            report.outcomes += map(self, waivers.usefulness(self._policy, ran, self._used, _today(), fix))


def _today() -> date:
    from datetime import date

    return date.today()


def settings(args: argparse.Namespace) -> Settings:
    """Raises UsageError for a bad policy, baseline or variable."""
    policy_path, policy_from = _given(args, "policy")
    if not policy_path and (found := find_policy(start(args))):
        policy_path, policy_from = found, "found upwards from the build"
    baseline_path, baseline_from = _given(args, "baseline")
    policy = baseline = None
    if policy_path:
        policy = _read(policy_path)
    if baseline_path:
        from btfcheck.lint.waivers import read_baseline

        baseline = read_baseline(baseline_path)
    fail_on, fail_on_from = _given(args, "fail_on")
    if not fail_on:
        fail_on, fail_on_from = DEFAULT_FAIL_ON, "default"
        if policy is not None and policy.fail_on:
            fail_on, fail_on_from = policy.fail_on, policy_path
    if fail_on not in FAIL_ON:
        raise UsageError(f"{fail_on_from}: {fail_on!r} is not one of {', '.join(FAIL_ON)}")
    rows = [("policy", policy_path or "none", policy_from or "default"),
            ("baseline", baseline_path or "none", baseline_from or "default"), ("fail-on", fail_on, fail_on_from)]
    if policy is not None:
        rows += [(f"severity.{rule}", severity.value, policy_path) for rule, severity in policy.severity.items()]
        rows += [(f"waiver.{w.rule}", f"{w.subject}: {w.reason}", policy_path) for w in policy.waivers]
    return Settings(fail_on, policy, baseline, tuple(rows))


def _given(args: argparse.Namespace, name: str) -> tuple[str, str]:
    """(value, where it comes from) of a setting on the command line or in the environment."""
    if value := getattr(args, name, None):
        return value, "command line"
    value = os.environ.get(_VARIABLES[name], "")
    return value, _VARIABLES[name] if value else ""


def _read(path: str) -> Any:
    from btfcheck.lint import waivers
    from btfcheck.lint.rules import load

    known = {word: rule.id for rule in load().rules.values() for word in (rule.id, rule.name)}
    return waivers.read(path, known)


def start(args: argparse.Namespace) -> str:
    """Where to look for a policy: the build directory, or that of the first file, else here."""
    words = getattr(args, "words", None) or []
    inputs, variables = split_variables(words) if isinstance(words, list) else ([], {})
    for word in [*inputs, variables.get("O", "")]:
        if os.path.isdir(word):
            return word
        if os.path.isfile(word):
            return os.path.dirname(word) or "."
    return "."
