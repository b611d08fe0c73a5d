# SPDX-License-Identifier: MIT
"""What came of an encoding, and what a comparison means: values -> outcomes of the rules BTF5xx."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from btfcheck.btf.fault import ERRNO_NAMES, Verdict
from btfcheck.gate.encode import CUT, EMPTY, NO_BTF, NOTHING, TAIL, WHOLE, Encoding
from btfcheck.gate.finish import Finished
from btfcheck.gate.messages import Message
from btfcheck.lint.messages import FATAL, HINT, LOSS
from btfcheck.model import Fact, Location, Outcome, Severity, Status
from btfcheck.release import Release
from btfcheck.toolchain.tools import decode, show
from btfcheck.trace.compare import Comparison

FIRST = 20  # names that are listed

# Rule -> (severity, what is wrong with an encoding's output); the first that applies is told, with all its causes.
_FATE = ("BTF501", "BTF502", "BTF503", "BTF504", "BTF505", "BTF506")


class About(NamedTuple):
    """What the outcomes are about: the file, its stable name, the release, and how the BTF is called."""

    path: str
    subject: str
    release: Release
    label: str
    fixes: Mapping[str, str] = {}
    facts: tuple[Fact, ...] = ()

    def outcome(self, rule: str, status: Status, severity: Severity, message: str = "", **more: Any) -> Outcome:
        if status is Status.FINDING and severity is not Severity.NOTE:
            more.setdefault("fix", self.fixes.get(rule, ""))
        if status in (Status.FINDING, Status.UNKNOWN, Status.ERROR):
            more.setdefault("locations", (Location(self.path),))
            more.setdefault("facts", self.facts)
            message = f"{self.label}: {message}"
        key = self.label.partition(" (")[0]  # where the program lies is no part of the fingerprint
        return Outcome(rule, status, severity, self.subject, message, key=key, **more)

    def ok(self, rule: str, severity: Severity = Severity.ERROR) -> Outcome:
        return self.outcome(rule, Status.OK, severity)


# -- the run -------------------------------------------------------------------------------------------------


def of_run(about: About, encoding: Encoding) -> list[Outcome]:
    """How pahole ended, and whether whole BTF came out."""
    done = encoding.done
    if not done.started:
        return [about.outcome(
            "BTF519", Status.UNKNOWN, Severity.ERROR, f"cannot be run: {done.problem}",
            missing=("a pahole that runs: Debian's package is dwarves; or name one with --pahole or PAHOLE=",),
        )]  # fmt: skip
    fate = _fate(encoding)
    notes = [f"ran: {show(done.argv)}", *_told(encoding.messages, (FATAL, LOSS))]
    outcomes = [
        about.outcome(rule, Status.FINDING, Severity.ERROR, fate[1], notes=tuple(notes)) if fate and rule == fate[0]
        else about.ok(rule) for rule in _FATE
    ]  # fmt: skip
    if encoding.touched:
        outcomes.append(about.outcome("BTF518", Status.FINDING, Severity.ERROR, "the input changed while pahole ran"))
    else:
        outcomes.append(about.ok("BTF518"))
    outcomes.append(about.ok("BTF519"))
    return [*outcomes, *_messages(about, encoding), _flags(about, encoding)]


def _fate(encoding: Encoding) -> tuple[str, str] | None:
    """(rule, message) of what went wrong, None where whole BTF came out of a run that ended well."""
    done, out = encoding.done, encoding.out
    if encoding.timed_out:
        return "BTF504", f"did not end: {done.problem.rpartition(': ')[2]}"
    if encoding.flooded:
        return "BTF505", f"stopped: {done.problem.rpartition(': ')[2]}"
    if done.problem:
        return "BTF503", f"crashed: {done.problem.rpartition(': ')[2]}"
    if done.status:
        wrote = "no BTF came out" if out == NOTHING else "what it wrote cannot be relied on"
        return "BTF502", f"failed with exit status {done.status}: {wrote}"
    if out in (NOTHING, EMPTY):
        return "BTF501", "exit status 0, and no BTF was written"
    if out != WHOLE:
        return "BTF506", {
            CUT: "exit status 0, and the BTF is cut off",
            TAIL: "exit status 0, and bytes follow behind the end of the BTF",
            NO_BTF: "exit status 0, and what was written is no BTF",
        }[out]
    return None


def _told(messages: Sequence[Message], weights: Sequence[str]) -> list[str]:
    return [f"{m.example}{f' ({m.lines} lines)' if m.lines > 1 else ''}: {m.text}"
            for m in messages if m.weight in weights]


def _messages(about: About, encoding: Encoding) -> list[Outcome]:
    """BTF515: warnings that are worth a look although BTF came out."""
    weights = {m.weight for m in encoding.messages}
    if weights & {FATAL, LOSS}:
        severity = Severity.WARNING
    elif HINT in weights:
        severity = Severity.NOTE
    else:
        return [about.ok("BTF515", Severity.WARNING)]
    told = _told(encoding.messages, (FATAL, LOSS, HINT))
    count = sum(m.lines for m in encoding.messages)
    return [about.outcome(
        "BTF515", Status.FINDING, severity, f"pahole printed {count} lines of warnings", notes=tuple(told[:FIRST]),
    )]  # fmt: skip


def _flags(about: About, encoding: Encoding) -> Outcome:
    """BTF516."""
    if not encoding.flags.assumed:
        return about.ok("BTF516", Severity.NOTE)
    return about.outcome("BTF516", Status.FINDING, Severity.NOTE, f"assumed flags: {encoding.flags.note}")


def of_finish(about: About, finished: Finished | str | None) -> list[Outcome]:
    """BTF517, BTF520 and BTF521: what came of resolve_btfids; a text says why it was not run, "" that none was
    given, None that there is nothing to run."""
    if finished is None:
        why = f"{about.release}'s resolve_btfids changes no BTF"
        return [about.ok("BTF517", Severity.NOTE), about.outcome("BTF520", Status.SKIP, Severity.ERROR, why)]
    if isinstance(finished, str):
        message = f"not covered: what {about.release}'s resolve_btfids does (sorting, kfunc tags, distilled base)"
        told = (about.outcome("BTF520", Status.UNKNOWN, Severity.ERROR, f"resolve_btfids was not run: {finished}",
                              missing=("the file as the build had it before its own resolve_btfids (.tmp_vmlinux1)",))
                if finished else about.outcome("BTF520", Status.SKIP, Severity.ERROR, "none was given"))
        return [about.outcome("BTF517", Status.FINDING, Severity.NOTE, f"{message}; RESOLVE_BTFIDS=PATH runs it"),
                told]  # fmt: skip
    return [about.ok("BTF517", Severity.NOTE), *_of_resolve(about, finished)]


def _of_resolve(about: About, finished: Finished) -> Iterator[Outcome]:
    done = finished.done
    if not done.started:
        yield about.outcome("BTF520", Status.UNKNOWN, Severity.ERROR, f"cannot be run: {done.problem}",
                            missing=("a resolve_btfids that runs: RESOLVE_BTFIDS=PATH",))
        return
    said = [line for line in decode(done.stderr).splitlines() if line.strip()]
    notes = (f"ran: {show(done.argv)}", *said[-FIRST:])
    if finished.ok:
        yield about.ok("BTF520")
    else:
        message = f"resolve_btfids failed: {finished.wrong}"
        yield about.outcome("BTF520", Status.FINDING, Severity.ERROR, message, notes=notes)
    if finished.warnings:
        more = finished.warnings[FIRST:]
        yield about.outcome(
            "BTF521", Status.FINDING, Severity.WARNING, f"resolve_btfids printed {len(finished.warnings)} warnings",
            notes=(*finished.warnings[:FIRST], *((f"and {len(more)} more",) if more else ())),
        )  # fmt: skip
    else:
        yield about.ok("BTF521", Severity.WARNING)


# -- the BTF -------------------------------------------------------------------------------------------------


def of_verdict(about: About, verdict: Verdict, finished: Finished | str | None = None) -> Outcome:
    """BTF507: does the kernel take what pahole, and resolve_btfids after it, made?"""
    if verdict.accepted:
        return about.ok("BTF507")
    notes = []
    for fault in verdict.faults[:3]:
        notes += [text for text in (fault.cause, fault.declaration) if text]
    if len(verdict.faults) > 1:
        number = f"{len(verdict.faults)}{' or more' if verdict.truncated else ''}"
        notes.append(f"{number} faults in all; `btfcheck validate` lists them")
    errno = ERRNO_NAMES.get(verdict.errno, str(verdict.errno))
    # Where the kernel is silent its last line is an ordinary one; the reason says more.
    reason = verdict.faults[0].reason if verdict.faults else ""
    said = verdict.message if reason in verdict.message else reason
    said = " ".join(said.encode("latin-1", "replace").decode("utf-8", "backslashreplace").split())
    which = "the BTF that resolve_btfids made of it" if isinstance(finished, Finished) and finished.ok else "the BTF"
    message = f"Linux {about.release} refuses {which}: {errno}: {said}"
    return about.outcome("BTF507", Status.FINDING, Severity.ERROR, message, notes=tuple(dict.fromkeys(notes)))


def data(path: str, about: About, encoding: Encoding | None, verdict: Verdict | None,
         found: Comparison | None, finished: Finished | str | None = None) -> dict[str, Any]:
    """One element of the JSON key `encodings`; `encoding` None: the BTF was there before."""
    failed = isinstance(finished, Finished) and not finished.ok
    wrote = encoding is None or (encoding.out == WHOLE and encoding.done.ok)
    row: dict[str, Any] = {
        "path": path,
        "pahole": about.label,
        "kernel": str(about.release),
        "written": wrote,
        "accepted": bool(verdict and verdict.accepted and wrote and not failed),
        "message": verdict.message if verdict else "",
    }
    if encoding is not None:
        row |= {
            "result": "resolve-failed" if failed else _result(encoding, verdict),
            "exit": encoding.done.status, "problem": encoding.done.problem,
            "flags": list(encoding.flags.args), "flags_of": encoding.flags.row, "assumed": encoding.flags.assumed,
            "seconds": round(encoding.done.seconds, 2), "cpu": round(encoding.done.cpu, 2),
            "messages": [m._asdict() for m in encoding.messages],
        }  # fmt: skip
    if isinstance(finished, Finished):
        row["resolve_btfids"] = {"command": list(finished.done.argv), "exit": finished.done.status,
                                 "problem": finished.done.problem, "warnings": len(finished.warnings)}
    if found is not None:
        row |= {
            "rust_types": len(found.rust_types), "rust_functions": len(found.rust_functions),
            "lost_types": len(found.lost_types), "lost_functions": len(found.lost_functions),
            "left_out": len(found.left_out), "clashes": len(found.clashes), "void": len(found.void),
            "untraced": len(found.untraced), "misplaced_arguments": len(found.arguments.wrong),
            "names": {field: list(getattr(found, field)[:FIRST])
                      for field in ("rust", "clashes", "lost_types", "lost_functions", "void", "untraced")},
        }  # fmt: skip
    return row


def _result(encoding: Encoding, verdict: Verdict | None) -> str:
    """In one word: accepted, refused, no-btf, crash, timeout, flood, failed, not-whole, not-run."""
    fate = _fate(encoding)
    if not encoding.done.started:
        return "not-run"
    if fate is None:
        return "accepted" if verdict and verdict.accepted else "refused"
    if fate[0] == "BTF502" and encoding.out == NOTHING:
        return "no-btf"
    words = {"BTF501": "no-btf", "BTF502": "failed", "BTF503": "crash", "BTF504": "timeout", "BTF505": "flood"}
    return words.get(fate[0], "not-whole")

