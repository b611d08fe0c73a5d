# SPDX-License-Identifier: MIT
"""What a kernel refuses: one fault, and the verdict on a blob."""

from __future__ import annotations

from typing import Any, NamedTuple

ENOENT = 2
E2BIG = 7
EFAULT = 14
EEXIST = 17
EINVAL = 22
ELOOP = 40
ENOTSUPP = 524  # the kernel's own; C libraries have no name for it

ERRNO_NAMES = {
    0: "0", ENOENT: "ENOENT", E2BIG: "E2BIG", EFAULT: "EFAULT", EEXIST: "EEXIST", EINVAL: "EINVAL",
    ELOOP: "ELOOP", ENOTSUPP: "ENOTSUPP",
}  # fmt: skip


class Fault(NamedTuple):
    """One reason to refuse.

    `rule` names the check ("STRUCT.6", "R.M.INT.3", "G.1"; header.py, meta.py, resolve.py, chains.py and
    special.py say what each does). `message` is the last line of the kernel's log, Latin-1 as the kernel's
    own tables. `type_id` is 0 for faults of the header. `member` and `position` (from 0) tell
    which element of the type; `more` counts further ones with the same fault. `stream` is set where
    nothing behind can be read. `reason` is the message without the record that the kernel's line begins with,
    and for silent refusals what the kernel does not say.
    """

    rule: str
    errno: int
    message: str
    type_id: int = 0
    kind: str = ""
    name: str = ""
    member: str = ""
    position: int = -1
    more: int = 0
    reason: str = ""
    declaration: str = ""
    cause: str = ""
    stream: bool = False


def fault(rule: str, line: str, reason: str, errno: int = EINVAL, **more: Any) -> Fault:
    """A fault whose log line is that of a record with `reason` behind it; the last line is the message."""
    message = f"{line} {reason}" if line else reason
    return Fault(rule, errno, message.rsplit("\n", 1)[-1], reason=reason.strip(), **more)


class Verdict(NamedTuple):
    """What a kernel says of BTF.

    `accepted`, `errno` (0 when accepted) and `message` are the kernel's first verdict; `faults` lists that
    one and all independent others; `truncated` says that there are more than `verify.MOST_FAULTS`.
    `notes` tells what the verdict rests on, where that is not plain.
    """

    accepted: bool
    errno: int
    message: str
    faults: tuple[Fault, ...] = ()
    truncated: bool = False
    notes: tuple[str, ...] = ()


class Refused(Exception):  # noqa: N818 (a verdict, not an error)
    """Raised inside the checks where one fault ends what is being looked at."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.rule)
        self.fault = fault
