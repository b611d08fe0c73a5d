# SPDX-License-Identifier: MIT
"""The measured verdicts in tests/data/btf (how they were made: tests/data/btf/pack)."""

from __future__ import annotations

import base64
import json
import lzma
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from btfcheck.btf.fault import Verdict
from btfcheck.btf.verify import UNDECIDED
from btfcheck.release import Release, parse

DATA = Path(__file__).resolve().parents[1] / "data" / "btf"


class Vector(NamedTuple):
    name: str
    blob: bytes
    verdicts: dict[Release, tuple[bool, int, str]]
    measured: Release  # with every byte of the last line; the others show ASCII and 300 characters


@lru_cache(maxsize=2)
def vectors(name: str) -> list[Vector]:
    """"cases" or "fuzz-a"."""
    with lzma.open(DATA / f"{name}.jsonl.xz", "rt") as lines:
        head = json.loads(next(lines))
        others = {key: parse(text.rpartition("Debian ")[2]) for key, text in head["other_kernels"].items()}
        return [_vector(json.loads(line), parse(head["kernel"]), others) for line in lines]


def _vector(case: dict[str, Any], measured: Release, others: dict[str, Release]) -> Vector:
    verdicts = {measured: _verdict(case)}
    for key, release in others.items():
        verdicts[release] = _verdict(case.get("others", {}).get(key, case))
    return Vector(case["name"], base64.b64decode(case["blob"]), verdicts, measured)


def _verdict(case: dict[str, Any]) -> tuple[bool, int, str]:
    return case["accepted"], case["errno"], case["last"]


def agrees(vector: Vector, release: Release, verdict: Verdict) -> bool:
    """Whether a verdict is the measured one, as far as the measurement shows it."""
    accepted, errno, last = vector.verdicts[release]
    if (verdict.accepted, verdict.errno) != (accepted, errno):
        return False
    if release == vector.measured or last == vector.verdicts[vector.measured][2] == verdict.message:
        return verdict.message == last
    return re.sub(r"[^\t\x20-\x7e]", "?", verdict.message)[-300:] == re.sub(r"[^\t\x20-\x7e]", "?", last)[-300:]


def is_kernel_dependent(vector: Vector, release: Release, verdict: Verdict) -> bool:
    """Rule F.13: that kernel had a struct of the name without a destructor, and refused with ENOENT."""
    undecided = any(note.startswith(UNDECIDED) for note in verdict.notes)
    return verdict.accepted and undecided and vector.verdicts[release][1] == 2


def seeds(largest: int = 4000) -> Iterator[bytes]:
    """The small hand-made blobs, to mangle further."""
    return (vector.blob for vector in vectors("cases") if len(vector.blob) < largest)
