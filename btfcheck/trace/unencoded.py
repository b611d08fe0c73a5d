# SPDX-License-Identifier: MIT
"""Why a function is not in the BTF, as far as the debug information tells: what pahole's rules make of it.

pahole prints its reasons with -V, but 1.28 to 1.30 not all of them, and nothing prints those of BTF that is there
already. Sources: parameter__new in dwarf_loader.c, btf_encoder__add_saved_funcs and funcs__match in btf_encoder.c.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from btfcheck.dwarf.abbrev import DwarfError
from btfcheck.dwarf.census import Census
from btfcheck.dwarf.constants import AT, TAG
from btfcheck.dwarf.entries import Place, References, children, entry, family, name_of, nameless_parameters, number
from btfcheck.dwarf.locations import ARGUMENTS, register
from btfcheck.dwarf.names import FUNC
from btfcheck.dwarf.units import Unit
from btfcheck.dwarf.walk import walk

NO_NAME = "a parameter without a name"
REGISTER = "unexpected register used for parameter"
AMBIGUOUS = "ambiguous address"
PROTOTYPES = "multiple inconsistent function prototypes"
ALL = frozenset((NO_NAME, REGISTER, AMBIGUOUS, PROTOTYPES))
_SUBPROGRAM = frozenset((TAG["subprogram"],))
_MOST = 20_000  # functions that are looked at; a vmlinux misses some hundreds
_DEEP = 8  # pointers and qualifiers of a parameter that are looked through


class Unencoded:
    """The reasons of one file. Units are searched once each for the instances of their functions."""

    def __init__(self, census: Census, machine: int) -> None:
        self._census = census
        self._registers = ARGUMENTS.get(machine, ())
        self._left = _MOST
        self._instances: dict[Unit, dict[int, list[Place]]] = {}

    def knows(self, silent: frozenset[str]) -> bool:
        """Can these reasons be told on this machine?"""
        return REGISTER not in silent or bool(self._registers)

    def why(self, name: str) -> str:
        """The reason for a function of C's, "" when there is none to be seen."""
        key = FUNC, name
        places = [p for found in self._census.every_c.get(key, {}).values() for p in found]
        places = places or list(self._census.c.get(key, {}).values())
        references = self._census.references
        self._left -= 1
        if references is None or self._left < 0:
            return ""
        try:
            return self._reason(references, places)
        except DwarfError:
            return ""

    def _reason(self, references: References, places: list[Place]) -> str:
        if any(nameless_parameters(place) for place in places):
            return NO_NAME
        instances = [instance for place in places for instance in self._all(place)]
        if any(self._elsewhere(instance) for instance in instances):
            return REGISTER
        if len({_prototype(references, instance) for instance in instances}) > 1:
            return PROTOTYPES
        return ""

    def _all(self, place: Place) -> Iterator[Place]:
        """A function, and the entries of its unit that are instances of it."""
        yield place
        unit = place.unit
        if unit not in self._instances:
            found = self._instances[unit] = {}
            for offset in walk(unit, _SUBPROGRAM)[2]:
                values = entry(Place(unit, offset))
                origin = number(values, AT["abstract_origin"])
                if origin is not None:
                    found.setdefault(unit.offset + origin, []).append(Place(unit, offset))
        yield from self._instances[unit].get(place.offset, ())

    def _elsewhere(self, place: Place) -> bool:
        """Does a parameter arrive in another register than its number says?"""
        for expected, parameter in zip(self._registers, parameters(place), strict=False):
            found = register(parameter, expected)
            if found is not None and found != expected:
                return True
        return False


def parameters(place: Place) -> Iterable[Place]:
    """The parameters of a function. Raises DwarfError."""
    return [child for tag, child in children(place) if tag == TAG["formal_parameter"]]


def _prototype(references: References, place: Place) -> tuple[str, ...]:
    """The types of the result and of the parameters, in words. Raises DwarfError."""
    return tuple(_type(references, one) for one in (place, *parameters(place)))


def _type(references: References, place: Place) -> str:
    words = []
    current: Place | None = place
    for _ in range(_DEEP):
        current = references.type_of(current) if current is not None else None
        if current is None:
            words.append("void")
            break
        name = name_of(current, entry(current))
        words.append(f"{family(current)[0][0].tag:x} {name}")
        if name:
            break
    return " ".join(words)
