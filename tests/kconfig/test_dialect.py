# SPDX-License-Identifier: MIT
"""The Kconfig language of today's kernels, on small files: syntax, values, and where clauses stand."""

from __future__ import annotations

from pathlib import Path

import kconfiglib as kl
import pytest

from btfcheck.kconfig.dialect import KernelKconfig, Rules


def load(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch, rules: Rules | None = None) -> KernelKconfig:
    (tmp_path / "Kconfig").write_text(text)
    monkeypatch.setenv("srctree", str(tmp_path))
    return KernelKconfig(rules=rules)


def value(kconf: KernelKconfig, name: str) -> str:
    return str(kconf.syms[name].str_value)


def test_modules_and_transitional_and_conditional_dependencies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """\
config MODULES
	bool "modules"
	modules
config OLD
	bool
	transitional
config NEW
	bool "new"
	default OLD
config USB
	tristate "usb"
config GADGET
	tristate "gadget"
config CDNS
	tristate "cdns"
	depends on USB if GADGET
"""
    kconf = load(tmp_path, text, monkeypatch)
    kconf.syms["OLD"].set_value("y")
    assert value(kconf, "NEW") == "y"
    kconf.syms["MODULES"].set_value("y")
    kconf.syms["CDNS"].set_value("y")
    assert value(kconf, "CDNS") == "y"
    for usb, gadget, limit in (("n", "y", "n"), ("m", "y", "m"), ("n", "m", "n"), ("n", "n", "y"), ("y", "m", "y")):
        kconf.syms["USB"].set_value(usb)
        kconf.syms["GADGET"].set_value(gadget)
        assert value(kconf, "CDNS") == limit, (usb, gadget)


def test_an_implied_symbol_obeys_its_dependencies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kconf = load(
        tmp_path,
        'config A\n\tbool "a"\n\timply B\nconfig DEP\n\tbool "dep"\nconfig B\n\tbool "b"\n\tdepends on DEP\n',
        monkeypatch,
    )
    kconf.syms["A"].set_value("y")
    assert value(kconf, "B") == "n"
    kconf.syms["DEP"].set_value("y")
    assert value(kconf, "B") == "y"
    kconf.syms["B"].set_value("n")
    assert value(kconf, "B") == "n"


CHOICE = """\
config ON
	bool "on"
choice
	prompt "which"
	default TWO
config ONE
	bool "one"
config TWO
	bool "two"
config THREE
	bool "three"
	depends on ON
endchoice
"""


# (assignments in order, the member that is y under the rules since 6.10)
@pytest.mark.parametrize(
    ("assignments", "chosen"),
    [
        ("", "TWO"),
        ("ONE=y", "ONE"),
        ("ONE=y TWO=y", "TWO"),
        ("TWO=y ONE=y", "ONE"),
        ("TWO=n", "ONE"),
        ("ONE=n TWO=n", "ONE"),
        ("TWO=n ONE=n", "TWO"),
        ("THREE=y", "TWO"),
        ("ON=y THREE=y", "THREE"),
        ("ON=y ONE=n TWO=n", "THREE"),
    ],
)
def test_choices_since_6_10(assignments: str, chosen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kconf = load(tmp_path, CHOICE, monkeypatch, Rules(choices=True))
    for word in assignments.split():
        name, new = word.split("=")
        kconf.syms[name].set_value(new)
    assert [s for s in ("ONE", "TWO", "THREE") if value(kconf, s) == "y"] == [chosen]


def test_before_6_10_an_explicit_no_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kconf = load(tmp_path, CHOICE, monkeypatch, Rules(choices=False))
    kconf.syms["TWO"].set_value("n")
    assert value(kconf, "TWO") == "y"


def test_members_follow_the_dependencies_of_the_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = CHOICE.replace("\tdefault TWO\n", "\tdefault TWO\n\tdepends on ON\n")
    kconf = load(tmp_path, text, monkeypatch)
    assert value(kconf, "TWO") == "n"
    kconf.syms["ON"].set_value("y")
    assert value(kconf, "TWO") == "y"


def test_a_value_that_is_given_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kconf = load(tmp_path, 'config A\n\tbool\nconfig B\n\tdef_bool A\nconfig N\n\tint\nconfig C\n\tdef_bool N >= 5\n',
                 monkeypatch)  # fmt: skip
    assert (value(kconf, "B"), value(kconf, "C")) == ("n", "n")
    kconf.syms["A"].give("y")
    kconf.syms["N"].give("5")
    assert (value(kconf, "B"), value(kconf, "C")) == ("y", "y")
    kconf.syms["A"].give(None)
    assert value(kconf, "B") == "n"


def test_unsetting_a_member_leaves_no_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for choices in (True, False):
        kconf = load(tmp_path, CHOICE, monkeypatch, Rules(choices=choices))
        kconf.syms["ONE"].set_value("y")
        kconf.syms["ONE"].unset_value()
        assert value(kconf, "TWO") == "y"


def test_a_member_that_was_looked_at_follows_the_next_assignment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for choices in (True, False):
        kconf = load(tmp_path, CHOICE, monkeypatch, Rules(choices=choices))
        for name in ("ONE", "TWO", "ONE"):
            kconf.syms[name].set_value("y")
            assert [s for s in ("ONE", "TWO", "THREE") if value(kconf, s) == "y"] == [name]


def test_where_each_condition_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """\
config A
	bool "a"
if A
menu "menu"
	depends on C
config B
	bool "b" if C
	depends on A && \\
		(C || A)
	help
		depends on nothing
endmenu
endif
config C
	bool "c"
"""
    kconf = load(tmp_path, text, monkeypatch)
    (conditions,) = kconf.definitions(kconf.syms["B"])
    assert [(w.kind, w.text, w.file, w.line) for w in conditions] == [
        ("if", "if A", "Kconfig", 3),
        ("depends on", "depends on C", "Kconfig", 5),
        ("prompt", 'bool "b" if C', "Kconfig", 7),
        ("depends on", "depends on A && (C || A)", "Kconfig", 9),
    ]


@pytest.mark.parametrize("line", ["frobnicate", "depends on A if", "depends on A B", "select"])
def test_what_cannot_be_parsed_is_an_error_with_its_place(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(kl.KconfigError, match="Kconfig:3"):
        load(tmp_path, f'config A\n\tbool "a"\n\t{line}\n', monkeypatch)


def test_a_dollar_alone_is_a_letter_and_what_is_set_at_once_is_not_expanded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = """\
$ := 1
a$b := 2
dollar := $
once := $(dollar)(X)
X := wrong
again = $(once)
config A
	string
	default "$($)$(a$b) $(once) $(again)"
"""
    assert value(load(tmp_path, text, monkeypatch), "A") == "12 $(X) $(X)"
