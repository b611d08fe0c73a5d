# SPDX-License-Identifier: MIT
"""What a scan's results mean for the paholes and the kernel at hand: results -> outcomes and plain data."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from typing import Any

from btfcheck.dwarf.judge import Case, judge, kinds_of
from btfcheck.dwarf.leaks import ScanResult
from btfcheck.model import Fact, InputError, Location, Outcome
from btfcheck.release import stated


class Against:
    """The paholes and the kernel that results are judged for. A tool runs only when a result needs it."""

    def __init__(
        self, paths: Sequence[str], variables: Mapping[str, str], *,
        versions: Sequence[int] = (), kernel: str | None = None, config: str | None = None, probe: bool = True,
    ) -> None:  # fmt: skip
        """`versions` (128 for 1.28) count before the pahole of make's `variables`, `config` before a probe.

        Raises UsageError where `kernel` is no release.
        """
        self._paths = paths
        self._variables = variables
        self._versions = versions
        self._config = config
        self._probe = probe
        self.kernel = stated(kernel) if kernel else None
        self._stated = kernel

    def outcomes(self, result: ScanResult, subject: str) -> list[Outcome]:
        if not result.rust:  # no kind depends on the pahole then
            return judge(result, subject, [Case(None, self.kernel)], (), self._fixes if result.kinds else {})
        return judge(result, subject, self.cases, tuple(self._facts), self._fixes)

    @cached_property
    def cases(self) -> list[Case]:
        versions = [int(f.value) if f.value else None for f in self._facts if f.name == "PAHOLE_VERSION"]
        return [Case(version, self.kernel) for version in versions]

    @cached_property
    def _facts(self) -> list[Fact]:
        """PAHOLE_VERSION, one for each that was asked for, and the release when it was given."""
        facts = self._paholes()
        if self.kernel:
            source = Location("command line", text=f"--kernel {self._stated}")
            facts.append(Fact("KERNELVERSION", str(self.kernel), source))
        return facts

    def _paholes(self) -> list[Fact]:
        if self._versions:
            return [
                Fact("PAHOLE_VERSION", str(v), Location("command line", text=f"--pahole-version 1.{v - 100}"))
                for v in self._versions
            ]
        found: Fact | None = None
        if self._probe and not self._config:
            from btfcheck.toolchain.probes import probe

            found = probe(self._variables, only=("PAHOLE_VERSION",))["PAHOLE_VERSION"]
        if found is None or found.value in (None, "0"):
            found = self._recorded() or found
        if found is not None and found.value not in (None, "0"):
            return [found]
        reason = found.reason if found else "--no-probe"
        return [Fact("PAHOLE_VERSION", None, Location("pahole"), reason=reason)]

    def _recorded(self) -> Fact | None:
        """CONFIG_PAHOLE_VERSION of --config, else of the configuration inside a scanned vmlinux."""
        from btfcheck.config import read

        if self._config:
            return read(self._config).get("PAHOLE_VERSION")
        for path in self._paths:
            if os.path.basename(path).startswith("vmlinux"):
                try:
                    return read(path).get("PAHOLE_VERSION")
                except InputError:
                    continue
        return None

    @cached_property
    def _fixes(self) -> dict[str, str]:
        from btfcheck.lint.rules import load

        return {rule.id: rule.fix for rule in load(stages=("dwarf",)).rules.values()}


def file_data(result: ScanResult, cases: Sequence[Case]) -> dict[str, Any]:
    """One element of the JSON key `files`."""
    return {
        "path": result.path,
        "status": result.status,
        "units": result.units,
        "merged": result.merged,
        "merged_from_1_32": result.merged_132,
        "lto_note": result.lto_note,
        "first_unit": {"language": result.first[0], "name": result.first[1]},
        "walked_units": result.walked_units,
        "walked_dies": result.walked_dies,
        "skipped_units": result.skipped,
        "kinds": kinds_of(result, cases),
        "examples": {kind: [asdict(e) for e in found] for kind, found in result.examples.items()},
    } | {name: value for name, value in (
        ("debug_file", result.debug_path), ("problems", result.problems), ("missing", result.missing),
    ) if value}
