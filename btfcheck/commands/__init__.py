# SPDX-License-Identifier: MIT
"""One module per verb. Each has

    EXAMPLES: str                              shown at the end of --help
    WORDS: str                                 what may follow the options, for the usage line
    add_arguments(parser) -> None              the verb's own options
    run(args, console) -> Report               the work
    body(report, style) -> Iterator[str]       optional: the verb's own lines in text output
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# Verb -> the line that `btfcheck --help` shows. Modules are imported only when called.
VERBS: dict[str, str] = {
    "check": "judge a .config and the toolchain, before the build",
    "matrix": "which combinations of Rust, BTF, LTO and pahole are allowed, and which are safe",
    "rules": "list the rules",
    "explain": "explain a rule, a Kconfig symbol, a type of a built file, or the messages of a log",
    "scan": "find Rust in the debug information of C units, after the build",
    "encode": "run pahole as the kernel's build would, and judge what comes out",
    "validate": "the kernel's own verdict on BTF, for any kernel release",
    "gate": "judge a built kernel: check, scan, validate, compare and encode, one verdict",
    "baseline": "write the findings of a report to a baseline, so that only new ones count",
    "probe": "ask the toolchain what it is, in Kconfig's names and integers",
}

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")


def split_variables(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """(inputs, {VAR: VALUE}) from positional words, VAR=VALUE as make takes it."""
    inputs = [w for w in words if not _VARIABLE.match(w) or "/" in w.split("=", 1)[0]]
    variables = dict(w.split("=", 1) for w in words if w not in inputs)
    return inputs, variables
