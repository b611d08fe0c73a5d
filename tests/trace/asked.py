# SPDX-License-Identifier: MIT
"""Asking about a type: files written for one case, BTF that is written for it."""

from __future__ import annotations

from typing import Any

from btfcheck.btf.format import Btf
from btfcheck.btf.releases import rules_for
from btfcheck.btf.verify import check
from btfcheck.dwarf.units import Debug
from btfcheck.dwarf.writer import build
from btfcheck.image import Image
from btfcheck.release import parse
from btfcheck.trace.ground import Ground
from btfcheck.trace.lookup import Traced, asked_kind, trace
from btfcheck.trace.types import Answer
from tests.gate.scenes import btf

RULES = rules_for(parse("6.12"))
INT = '  base_type "int" byte_size=4 encoding=5 as int\n'
C = f'unit C "main.c"\n{INT}  structure_type "device" byte_size=8\n    member "id" type=@int data_member_location=0\n'


def types_of(data: bytes) -> Btf:
    found = check(data, RULES, "vmlinux").btf
    assert found is not None
    return found


def ground(units: str, records: str | bytes | None, symbols: str | None = None, **more: Any) -> Ground:
    """`records` as in tests.gate.scenes.btf, parted by `;`, or a whole blob; `symbols`: "f g=2", how many of each."""
    if isinstance(records, str):
        records = btf([line.split() for line in records.split(";") if line.strip()])
    places: dict[str, set[tuple[int, int]]] | None = None
    if symbols is not None:
        words = [word.partition("=") for word in symbols.split()]
        places = {name: {(1, 16 * n) for n in range(int(number or 1))} for name, _, number in words}
    debug = Debug(Image(build(units))) if units else None
    return Ground(debug, types_of(records) if records is not None else None, symbols=places, machine=62, **more)


def asked(name: str, units: str, records: str | bytes | None = None, symbols: str | None = None,
          versions: tuple[int, ...] = (), **more: Any) -> Traced:
    kind, name = asked_kind([name])
    return trace(ground(units, records, symbols, **more), name, kind, versions=versions)


def answer(*args: Any, **more: Any) -> Answer:
    found = asked(*args, **more)
    assert len(found.answers) == 1, found
    return found.answers[0]


def reasons(one: Answer) -> list[tuple[str, str]]:
    return [(r.id, r.certainty) for r in one.reasons]
