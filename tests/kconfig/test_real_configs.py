# SPDX-License-Identifier: MIT
"""The built-in Kconfig against real, complete configurations: it must find in them what they say."""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import Any

import kconfiglib as kl
import pytest

from btfcheck.kconfig import tables
from btfcheck.kconfig.forbidden import forbidden
from btfcheck.kconfig.state import State
from btfcheck.kconfig.why import why

PACKED = Path(__file__).parents[1] / "data/kconfig/configs.json.xz"
CONFIGS: list[dict[str, Any]] = json.loads(lzma.decompress(PACKED.read_bytes()))
MAKERS = [c for c in CONFIGS if c["file"] != "thinlto.config"]
THINLTO = next(c for c in CONFIGS if c["file"] == "thinlto.config")


def differences(kconf: Any, values: dict[str, str]) -> list[tuple[str, str, str]]:
    """(symbol, computed, recorded) of every symbol that the .config has otherwise."""
    state = State(kconf, values)
    own = set(tables.history()["arches"].values())  # `config X86` stands for def_bool y
    return [
        (s.name, state.text(s), values.get(s.name, "n"))
        for s in kconf.unique_defined_syms
        if s.name not in kconf.leaves
        and s.name not in own
        and s.orig_type in (kl.BOOL, kl.TRISTATE)
        and state.text(s) != values.get(s.name, "n")
    ]


def test_there_are_dozens() -> None:
    assert len(MAKERS) == 52
    assert {c["arch"] for c in MAKERS} >= {"x86", "arm64", "arm", "riscv", "s390", "powerpc", "loongarch", "mips"}


@pytest.mark.parametrize("config", MAKERS, ids=lambda c: f"{c['release']}-{c['file']}")
def test_every_symbol_gets_its_own_value(config: dict[str, Any]) -> None:
    # Where several texts may be the release's, at least one must give exactly what is recorded.
    loaded = [m.load() for m in tables.models(config["release"], config["arch"])]
    found = [differences(kconf, config["values"]) for kconf in loaded]
    assert [] in found
    assert not forbidden_for_sure(config)


def forbidden_for_sure(config: dict[str, Any]) -> list[str]:
    loaded = [m.load() for m in tables.models(config["release"], config["arch"])]
    return [f.symbol for f in forbidden(loaded, config["values"], tables.symbols()) if f.certain]


@pytest.mark.parametrize("config", MAKERS, ids=lambda c: f"{c['release']}-{c['file']}")
def test_a_known_release_forbids_nothing_at_all(config: dict[str, Any]) -> None:
    models = tables.models(config["release"], config["arch"])
    if len(models) == 1:
        assert forbidden([models[0].load()], config["values"], tables.symbols()) == ()
    else:
        assert config["release"] in ("6.1.176", "6.12.107")


def test_rust_is_explained_in_every_one() -> None:
    for config in MAKERS:
        loaded = [m.load() for m in tables.models(config["release"], config["arch"])]
        for answer in why(loaded, "RUST", config["values"]):
            assert answer.value == config["values"].get("RUST", "n"), config["file"]
            assert answer.granted or answer.blocking


def test_a_tree_with_the_clause_deleted_shows() -> None:
    loaded = [m.load() for m in tables.models(THINLTO["release"], THINLTO["arch"])]
    (found,) = forbidden(loaded, THINLTO["values"], tables.symbols())
    assert (found.symbol, found.value, found.defined, found.certain) == ("RUST", "y", True, True)
    assert [c.text for c in found.clauses] == ["depends on !DEBUG_INFO_BTF || (PAHOLE_HAS_LANG_EXCLUDE && !LTO)"]
    assert differences(loaded[0], THINLTO["values"]) == [("RUST", "n", "y")]


def test_between_two_trees_it_is_not_certain() -> None:
    loaded = [m.load() for m in tables.models("6.12.30", "x86")]
    (found,) = forbidden(loaded, THINLTO["values"], ["RUST"])
    assert not found.certain
    assert 0 < len(found.origins) < len(loaded)


def test_a_symbol_that_the_release_lacks() -> None:
    loaded = [m.load() for m in tables.models("6.12", "x86")]
    (found,) = forbidden(loaded, {**THINLTO["values"], "GENDWARFKSYMS": "y"}, ["GENDWARFKSYMS"])
    assert not found.defined
