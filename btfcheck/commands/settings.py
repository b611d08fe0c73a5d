# SPDX-License-Identifier: MIT
"""What decides over a report besides its findings: policy file < environment < command line."""

from __future__ import annotations

import argparse
import os
from datetime import date
from typing import Any, NamedTuple

from btfcheck.commands import split_variables
from btfcheck.lint.policy import FAIL_ON
from btfcheck.lint.policy import find as find_policy
from btfcheck.model import Report, UsageError

DEFAULT_FAIL_ON = "error"
_VARIABLES = {"policy": "BTFCHECK_POLICY", "baseline": "BTFCHECK_BASELINE", "fail_on": "BTFCHECK_FAIL_ON"}


class Settings(NamedTuple):
    """`policy` is a lint.waivers.Policy or None, `baseline` fingerprint -> what; `rows` are (setting, value,
    where it comes from), as --show-policy prints them."""

    fail_on: str
    policy: Any
    baseline: dict[str, str] | None
    rows: tuple[tuple[str, str, str], ...]

    @property
    def changes_outcomes(self) -> bool:
        return self.policy is not None or self.baseline is not None

    def apply(self, report: Report) -> None:
        """Change the outcomes as the policy and the baseline want it."""
        if not self.changes_outcomes:
            return
        from btfcheck.lint import waivers

        if self.policy is not None:
            from btfcheck.lint.rules import load

            fix = load().rules[waivers.STALE].fix
            report.outcomes = waivers.apply(self.policy, report.outcomes, date.today(), fix)
        if self.baseline is not None:
            report.outcomes = waivers.apply_baseline(self.baseline, report.outcomes)


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
