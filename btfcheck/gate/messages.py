# SPDX-License-Identifier: MIT
"""What pahole's messages mean. pahole prints the same lines for noise and for lost types, and mostly exits 0."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

NOISE, HINT, LOSS, FATAL = "noise", "hint", "loss", "fatal"


class Meaning(NamedTuple):
    """`weight` is NOISE (nothing lost), HINT (look closer), LOSS (a type or function is gone) or FATAL."""

    name: str
    pattern: re.Pattern[str]
    weight: str
    text: str


class Message(NamedTuple):
    """Lines of one meaning: how many, and the first one as printed."""

    name: str
    weight: str
    lines: int
    example: str
    text: str


def _meaning(name: str, pattern: str, weight: str, text: str) -> Meaning:
    return Meaning(name, re.compile(pattern), weight, text)


# First match wins. The texts are those of dwarf_loader.c, btf_encoder.c and pahole.c of 1.22 to 1.32.
MEANINGS = (
    _meaning(
        "origin-lost", r"cu__resolve_func_ret_types\w*(\(\d+\))?: couldn't find .*abstract_origin", FATAL,
        "a function of a kept unit has its origin in a skipped one: pahole gives up on the whole file",
    ),
    _meaning(
        "inline-not-found", r"couldn't find 0x[0-9a-f]+ (type|abstract_origin) for 0x[0-9a-f]+ "
        r"\((inlined_subroutine|lexblock|lexical_block|variable|label)\)", NOISE,
        "a C unit has code of a skipped (Rust) unit inlined; no type depends on it",
    ),
    _meaning(
        "member-not-found", r"couldn't find 0x[0-9a-f]+ type for 0x[0-9a-f]+ \(member\)", LOSS,
        "a member's type stands in a skipped unit: it becomes void, or up to 1.31 an arbitrary earlier type",
    ),
    _meaning(
        "type-not-found", r"couldn't find 0x[0-9a-f]+ (type|abstract_origin) for 0x[0-9a-f]+ \(\w+\)", LOSS,
        "a type stands in a skipped or foreign unit: what refers to it now refers to void",
    ),
    _meaning(
        "class-name-not-found", r"couldn't find name for class", LOSS,
        "a struct's specification stands in a skipped unit: it becomes anonymous",
    ),
    _meaning(
        "function-name-not-found", r"couldn't find name for function", HINT,
        "a method of a Rust enum, or a function whose origin stands in a skipped unit: left out",
    ),
    _meaning(
        "rust-tag", r"tag not supported (0x33|0x2f|0x30|0x410[678]) ", HINT,
        "entries that only Rust and C++ have. Before 1.28 pahole reads excluded Rust units too; from 1.28 on with "
        "--lang_exclude=rust, Rust stands inside a unit that is not Rust's",
    ),
    _meaning(
        "rust-method", r"DW_TAG_subprogram \(0x2e\) @ <0x[0-9a-f]+> not handled( in a \w+ CU)?!", HINT,
        "a method of a Rust enum, with the same meaning as an unsupported tag of Rust's",
    ),
    _meaning(
        "asm-label", r"DW_TAG_label \(0xa\) @ <0x[0-9a-f]+> not handled|tag not supported 0xa \(label\)", NOISE,
        "a label of an assembler unit",
    ),
    _meaning("tag", r"tag not supported 0x[0-9a-f]+|DW_TAG_\w+ \(0x[0-9a-f]+\) @ <0x[0-9a-f]+> not handled", HINT,
             "an entry that this pahole does not know; what is below it is left out"),
    _meaning("unsupported", r"Unsupported DW_TAG_\w+", FATAL,
             "a type that has no BTF kind: pahole stops (a newer one, or excluding that language, helps)"),
    _meaning("no-room", r"Could only write \d+ bytes|No space left on device", FATAL,
             "the disk is full (TMPDIR names another place)"),
    _meaning("dedup", r"btf__dedup failed", FATAL, "types refer to ids that do not exist, after an earlier error"),
    _meaning("not-encoded", r"Failed to encode BTF", FATAL, "the last stage failed; another line says why"),
    _meaning("encode-error", r"(Encountered error|Error) while encoding BTF", FATAL,
             "the line before says why; the exit status is 0 in 1.31, 1.32 and in 1.29 -j1"),
    _meaning("id-drift", r"tag__check_id_drift", FATAL, "a type gave no BTF type or two: ids no longer fit"),
    _meaning("void-variable", r"found variable '.*' in CU '.*' that has void type", LOSS,
             "the type of a variable was not found"),
    _meaning("symbol-name", r"PAHOLE: (Error|Warning): |Use '--btf_encode_force'", HINT,
             "a variable's name is no identifier: left out"),
    _meaning("emit", r"Error emitting( BTF type)?", FATAL, "libbpf did not take a type"),
    _meaning("decode", r"error decoding cu ", FATAL, "a unit's debug information cannot be read"),
    _meaning("broken-dwarf", r"die__process: DW_TAG_compile_unit, .*expected", FATAL, "broken debug information"),
    _meaning("split-dwarf", r"WARNING: DW_TAG_(skeleton|partial)_unit used", LOSS,
             "split debug information or dwz: pahole does not follow it, and its types are missing"),
    _meaning("language", r"unknown language \"", FATAL, "a pahole too old for the language that it is to exclude"),
    _meaning("no-base", r"Failed to parse base BTF", FATAL, "vmlinux has no BTF, or a broken one: mend that first"),
    _meaning("no-dwarf", r"No debugging information found|pahole: .*: Invalid argument", FATAL,
             "the file has no debug information, or it cannot be loaded"),
    _meaning("option", r"unrecognized option|Try `pahole --help'", FATAL,
             "this pahole does not know an option that the kernel's build passes"),
    _meaning("feature", r"Ignoring unsupported feature|Feature '.*' in '.*' is not supported", HINT,
             "a BTF feature that this pahole does not have"),
    _meaning("memory", r"[Oo]ut of memory|Cannot allocate memory|std::bad_alloc|not enough memory", FATAL,
             "the memory limit was reached"),
    _meaning("attribute", r"DW_AT_<0x[0-9a-f]+>=0x[0-9a-f]+", NOISE, "an attribute in a form that it does not read"),
    _meaning("float", r"Complex, interval and imaginary float types are not supported", HINT,
             "a floating-point type is left out"),
)

_OTHER = Meaning("other", re.compile(""), HINT, "a message that is not in the table")
_LINE = 300
_DISTINCT = 50_000  # different lines that are looked at


def explain(lines: Iterable[str]) -> list[Message]:
    """Messages by meaning, the heaviest first."""
    found: dict[str, tuple[Meaning, int, str]] = {}
    for line, times in islice(Counter(lines).items(), _DISTINCT):
        line = line.strip()
        if not line:
            continue
        meaning = next((m for m in MEANINGS if m.pattern.search(line)), _OTHER)
        _, count, example = found.get(meaning.name, (meaning, 0, line[:_LINE]))
        found[meaning.name] = meaning, count + times, example
    order = (FATAL, LOSS, HINT, NOISE)
    rows = sorted(found.values(), key=lambda row: order.index(row[0].weight))
    return [Message(m.name, m.weight, count, example, m.text) for m, count, example in rows]


# -V, from 1.25 on: `f (f): skipping BTF encoding of function due to X`, `f : skipping BTF encoding of function
# due to X`, `skipping addition of 'f'(f) due to X`.
_SKIPPED = re.compile(
    r"^(?:skipping addition of '(?P<old>[^']+)'.*|(?P<new>[^\s(:]+) ?(?:\([^)]*\))? ?: skipping .*)"
    r" due to (?P<why>.+?)\s*$"
)


def skipped_functions(lines: Iterable[str]) -> dict[str, str]:
    """Function -> why pahole says (with -V) that it left it out."""
    found: dict[str, str] = {}
    for line in lines:
        if " due to " in line and (match := _SKIPPED.match(line)):
            found.setdefault(match["old"] or match["new"], match["why"])
    return found
