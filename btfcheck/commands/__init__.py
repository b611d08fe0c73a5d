# SPDX-License-Identifier: MIT
"""One module per verb. Each has

    EXAMPLES: str                              shown at the end of --help
    WORDS: str                                 what may follow the options, for the usage line
    add_arguments(parser) -> None              the verb's own options
    run(args, console) -> Report               the work
    body(report, style) -> Iterator[str]       optional: the verb's own lines in text output
"""

from __future__ import annotations

# Verb -> the line that `btfcheck --help` shows. Modules are imported only when called.
VERBS: dict[str, str] = {
    "check": "judge a .config and the toolchain, before the build",
    "rules": "list the rules",
    "explain": "print a rule's page",
    "probe": "ask the toolchain what it is, in Kconfig's names and integers",
}
