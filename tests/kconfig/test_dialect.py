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


def test_what_names_an_environment_variable_in_a_string_is_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACE", "somewhere")
    text = 'config A\n\tstring\n\tdefault "$PLACE $UNAME_RELEASE $(PLACE) ${PLACE}"\n'
    assert value(load(tmp_path, text, monkeypatch), "A") == "$PLACE $UNAME_RELEASE somewhere ${PLACE}"


def test_arguments_of_a_macro_start_at_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = 'f = [$(1)$(0)$(-1)$(2)]\nconfig A\n\tstring\n\tdefault "$(f,x,y)"\n'
    assert value(load(tmp_path, text, monkeypatch), "A") == "[xy]"


def test_a_comment_ends_with_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "# a drawing /\\\nconfig A\n\tdef_bool y\n\t# again \\\n\tdepends on \\\n\t\tB\n"
    kconf = load(tmp_path, text, monkeypatch)
    assert value(kconf, "A") == "n"
    ((depends,),) = kconf.definitions(kconf.syms["A"])
    assert (depends.text, depends.line) == ("depends on B", 6)


def test_the_first_type_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kconf = load(tmp_path, "config A\n\tint\n\tdefault 5\nconfig A\n\tbool\n", monkeypatch)
    assert value(kconf, "A") == "5"


def test_a_tristate_gives_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = 'config A\n\tdef_bool y\nconfig B\n\tstring\n\tdefault A\nconfig C\n\tstring\n\tdefault y\n'
    kconf = load(tmp_path, text, monkeypatch)
    assert (value(kconf, "B"), value(kconf, "C")) == ("n", "y")


def test_what_one_definition_depends_on_holds_for_one_that_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = "config B\n\tbool\n", "config B\n\tbool\n\tdepends on OFF\n"
    for both in (first + second, second + first):
        kconf = load(tmp_path, f"config A\n\tdef_bool y\n\timply B\n{both}", monkeypatch)
        assert value(kconf, "B") == "n"
    kconf = load(tmp_path, f"config A\n\tdef_bool y\n\timply B\n{first}{first}", monkeypatch)
    assert value(kconf, "B") == "y"


def test_only_a_configuration_sets_a_transitional_symbol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "config OLD\n\ttristate\n\ttransitional\nconfig A\n\tdef_bool y\n\tselect OLD\n\timply OLD\n"
    kconf = load(tmp_path, text, monkeypatch)
    assert value(kconf, "OLD") == "n"
    kconf.syms["OLD"].set_value("m")
    assert value(kconf, "OLD") == "y"  # there are no modules


def test_an_undefined_condition_of_a_dependency_is_not_n(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = 'config A\n\tbool "a"\n\tdepends on B if UNDEFINED\nconfig B\n\tbool "b"\n'
    kconf = load(tmp_path, text, monkeypatch)
    kconf.syms["A"].set_value("y")
    assert value(kconf, "A") == "n"
    kconf.syms["B"].set_value("y")
    assert value(kconf, "A") == "y"


OLD = Rules(choices=False, clamps=False, zero=False)
RANGED = """\
config N
	int "n"
	range 1 9
	default 4
config FAR
	def_bool N > 8
config WIDE
	int "wide"
	range 0 N
"""


def test_a_number_out_of_range_is_forgotten_when_all_is_worked_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kconf = load(tmp_path, RANGED, monkeypatch, OLD)
    kconf.syms["N"].set_value("50")
    kconf.settle()
    assert (value(kconf, "N"), value(kconf, "FAR")) == ("4", "y")
    kconf.syms["N"].set_value("6")
    kconf.settle()
    assert (value(kconf, "N"), value(kconf, "FAR")) == ("6", "n")
    kconf.syms["N"].set_value("50")
    kconf.settle()
    kconf.syms["N"].unset_value()
    assert (value(kconf, "N"), value(kconf, "FAR")) == ("4", "n")


def test_newer_kernels_take_the_nearest_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kconf = load(tmp_path, RANGED, monkeypatch)
    kconf.syms["N"].set_value("50")
    kconf.settle()
    assert (value(kconf, "N"), value(kconf, "FAR")) == ("9", "y")


def test_m_after_y_leaves_a_choice_of_tristates_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    members = "".join(f'config {n}\n\ttristate "{n}"\n' for n in ("ONE", "TWO"))
    text = f'config MODULES\n\tdef_bool y\n\tmodules\nchoice\n\tprompt "which"\n{members}endchoice\n'
    kconf = load(tmp_path, text, monkeypatch, OLD)
    kconf.syms["ONE"].set_value("y")
    assert (value(kconf, "ONE"), value(kconf, "TWO")) == ("y", "n")
    kconf.syms["TWO"].set_value("m")
    assert (value(kconf, "ONE"), value(kconf, "TWO")) == ("m", "m")


def test_modules_that_would_have_to_know_themselves_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kconf = load(tmp_path, "config MODULES\n\ttristate\n\tmodules\n\tdefault m\n", monkeypatch)
    assert value(kconf, "MODULES") == "y"
