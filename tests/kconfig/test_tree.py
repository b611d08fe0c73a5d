# SPDX-License-Identifier: MIT
"""Source trees: the values that the kernel's own conf gives, places of clauses, and broken or hostile files."""

from __future__ import annotations

import json
import lzma
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import kconfiglib as kl
import pytest

from btfcheck.kconfig import answers, environment, tree
from btfcheck.kconfig.changes import ways_out
from btfcheck.kconfig.forbidden import forbidden
from btfcheck.kconfig.guess import Guesses
from btfcheck.kconfig.proposal import Trial
from btfcheck.kconfig.why import why
from btfcheck.model import InputError
from btfcheck.toolchain import tools

from .small_tree import MARKS, make

PACKED = Path(__file__).parents[1] / "data/kconfig/tree-answers.json.xz"
ROWS: list[dict[str, Any]] = json.loads(lzma.decompress(PACKED.read_bytes()))
AROUND = environment.Environment({"ARCH": "x86", "SRCARCH": "x86", "KERNELVERSION": "9.8.7-test"})


pytestmark = pytest.mark.usefixtures("own_store")


def load(root: Path) -> tuple[tree.Tree, answers.Answers]:
    shell = answers.Answers(str(root), AROUND)
    try:
        return tree.load(str(root), AROUND.values, shell), shell
    finally:
        shell.close()


def written(kconf: tree.Tree) -> dict[str, str]:
    found = {}
    for symbol in kconf.unique_defined_syms:
        value = symbol.str_value
        if symbol._write_to_conf:
            quoted = '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'
            found[symbol.name] = quoted if symbol.orig_type is kl.STRING else value
    return found


@pytest.mark.parametrize("age", MARKS)
def test_every_value_is_what_conf_makes_it(age: str, tmp_path: Path) -> None:
    kconf, _ = load(make(tmp_path, age))
    rows = [row for row in ROWS if row["age"] == age]
    assert len(rows) >= 124
    for row in rows:
        tree.assign(kconf, row["given"])
        assert written(kconf) == row["made"], row["given"]


def test_the_ages_differ_in_these_very_answers() -> None:
    """Else the test above could not tell one age's rules from another's."""
    old, new = ({json.dumps(r["given"]): r["made"] for r in ROWS if r["age"] == age} for age in ("6.1", "6.12"))
    assert any(old[given] != new[given] for given in old.keys() & new.keys())


def test_trees_of_several_ages_in_one_process(tmp_path: Path) -> None:
    loaded = {age: load(make(tmp_path / age, age))[0] for age in MARKS}
    for _ in range(2):
        for age, kconf in loaded.items():
            row = next(r for r in ROWS if r["age"] == age and r["given"].get("CRYPTO") == "m")
            tree.assign(kconf, row["given"])
            assert written(kconf) == row["made"]


WANTED = {"RUST": "y", "DEBUG_INFO_BTF": "y", "LTO_CLANG_THIN": "y"}


def test_the_clause_that_blocks_has_its_line(tmp_path: Path) -> None:
    kconf, _ = load(make(tmp_path))
    (answer,) = why([kconf], "RUST", {**WANTED, **kconf.measured})
    (clause,) = answer.blocking
    assert (clause.file, clause.line) == ("init/Kconfig", 27)
    assert clause.text == "depends on !DEBUG_INFO_BTF || (PAHOLE_HAS_LANG_EXCLUDE && !LTO)"
    lto = next(leaf for leaf in clause.leaves if leaf.name == "LTO")
    assert (lto.value, lto.kind, lto.via) == ("y", "derived", "selected by LTO_CLANG_THIN")
    pahole = next(leaf for leaf in clause.leaves if leaf.name == "PAHOLE_HAS_LANG_EXCLUDE")
    assert pahole.sources[0]._replace(sources=()) == ("PAHOLE_VERSION", "125", "toolchain", "tool", (), "")


def test_ways_out_of_a_tree_hold_by_evaluation(tmp_path: Path) -> None:
    kconf, _ = load(make(tmp_path))
    found = ways_out([kconf], WANTED, kconf.measured)
    assert found.impossible
    assert found.clashes[0].goals == ("DEBUG_INFO_BTF", "LTO_CLANG_THIN", "RUST")
    assert {way.given_up for way in found.ways} == {("RUST",), ("LTO_CLANG_THIN",), ("DEBUG_INFO_BTF",)}
    for way in found.ways:
        words = {n: v for n, v in WANTED.items() if n not in way.given_up}
        tree.assign(kconf, {**{e.name: e.value for e in way.edits}, **words})
        assert all(kconf.syms[n].str_value == v for n, v in words.items())


def test_the_search_without_a_solver_finds_what_a_module_needs(tmp_path: Path) -> None:
    kconf, _ = load(make(tmp_path))
    (way,) = Guesses(Trial(kconf, {**kconf.measured, "CRYPTO": "n", "DM": "n"}, True)).run({"XTS": "m"})
    assert (way.given_up, [(e.name, e.value) for e in way.edits]) == ((), [("CRYPTO", "y")])
    (way,) = Guesses(Trial(kconf, {**kconf.measured, "MODULES": "n", "DM": "n"}, True)).run({"XTS": "m"})
    assert [(e.name, e.value) for e in way.edits] == [("CRYPTO", "y"), ("MODULES", "y")]


def test_the_search_without_a_solver_finds_the_condition_of_a_select(tmp_path: Path) -> None:
    root = make(tmp_path)
    with (root / "init/Kconfig").open("a") as file:
        file.write('config WIDE\n\tbool "w"\nconfig ARCH_A\n\tdef_bool y\n\tselect HAVE_IT if WIDE\n'
                   'config HAVE_IT\n\tbool\nconfig WISH\n\tbool "i"\n\tdepends on HAVE_IT\n')  # fmt: skip
    kconf, _ = load(root)
    (way,) = Guesses(Trial(kconf, kconf.measured, True)).run({"WISH": "y"})
    assert [(e.name, e.value) for e in way.edits] == [("WIDE", "y")]


def test_an_older_pahole_is_a_way_to_change_the_tools(tmp_path: Path) -> None:
    kconf, _ = load(make(tmp_path))
    found = ways_out([kconf], {"RUST": "y", "DEBUG_INFO_BTF": "y"}, {**kconf.measured, "PAHOLE_VERSION": "120"})
    edits = {(e.name, e.value, e.tool) for way in found.ways for e in way.edits if not way.given_up}
    assert edits == {("PAHOLE_VERSION", "124", True)}


def test_what_a_config_turns_on_against_the_tree(tmp_path: Path) -> None:
    kconf, _ = load(make(tmp_path))
    computed = dict.fromkeys(("LTO", "PAHOLE_HAS_LANG_EXCLUDE", "HAVE_RUST", "64BIT", "X86"), "y")
    values = {**kconf.measured, **WANTED, **computed}
    (found,) = forbidden([kconf], values, ["RUST", "DEBUG_INFO_BTF"])
    assert (found.symbol, found.clauses[0].line) == ("RUST", 27)


# The store of answers.


def test_the_second_load_runs_no_command(tmp_path: Path) -> None:
    root = make(tmp_path)
    first, second = load(root)[1], load(root)[1]
    assert first.ran > 3
    assert second.ran == 0


def test_where_the_tree_lies_does_not_matter_but_its_scripts_do(tmp_path: Path) -> None:
    root = make(tmp_path)
    load(root)
    moved = root.rename(tmp_path / "moved")
    assert load(moved)[1].ran == 0
    (moved / "scripts/pahole-version.sh").write_text("#!/bin/sh\necho 131\n")
    kconf, shell = load(moved)
    # The script, and $(success,test -z "131"), which is another command now.
    assert shell.ran == 2
    assert kconf.measured["PAHOLE_VERSION"] == "131"


def test_answers_end_with_the_scripts_that_a_script_asks(tmp_path: Path) -> None:
    """Each release has its own min-tool-version.sh, by which the same cc-version.sh takes a compiler or not."""
    root = make(tmp_path)
    (root / "scripts/pahole-version.sh").write_text('#!/bin/sh\n# pahole-version.sh\n"$(dirname "$0")/min-tool.sh"\n')
    (root / "scripts/min-tool.sh").write_text("#!/bin/sh\necho 125\n")
    (root / "scripts/min-tool.sh").chmod(0o755)
    assert load(root)[0].measured["PAHOLE_VERSION"] == "125"
    (root / "scripts/min-tool.sh").write_text("#!/bin/sh\necho 130\n")
    assert load(root)[0].measured["PAHOLE_VERSION"] == "130"
    assert load(root)[1].ran == 0


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"a": 1}', "\0\1\2"])
def test_a_damaged_store_only_costs_time(damage: str, tmp_path: Path) -> None:
    root = make(tmp_path)
    load(root)
    (store,) = (tmp_path / "cache/btfcheck/answers").iterdir()
    store.write_text(damage)
    kconf, shell = load(root)
    assert shell.ran > 3
    assert kconf.measured["PAHOLE_VERSION"] == "125"


def test_a_store_that_cannot_be_written_only_costs_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert load(make(tmp_path))[0].measured["CC_GOOD"] == "y"


def test_another_tool_is_another_store(tmp_path: Path) -> None:
    tool = tmp_path / "cc"
    stores = set()
    for text in ("#!/bin/sh\n", "#!/bin/sh\n# newer\n"):
        tool.write_text(text)
        tool.chmod(0o755)
        around = environment.Environment({**AROUND.values, "CC": str(tool)})
        stores.add(answers.Answers("/", around)._file)
    assert len(stores) == 2


def test_commands_run_in_a_directory_of_their_own_that_is_gone_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make(tmp_path)
    place = tmp_path / "temporary"  # others use the usual one meanwhile
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    here = set(Path.cwd().iterdir())
    kconf, shell = load(root)
    assert shell.ran > 0
    assert (kconf.measured["CC_GOOD"], kconf.syms["CC_BAD"].str_value) == ("y", "n")
    assert set(Path.cwd().iterdir()) == here
    assert list(place.iterdir()) == []


def test_what_a_command_leaves_in_the_temporary_directory_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make(tmp_path)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (root / "scripts/pahole-version.sh").write_text('#!/bin/sh\necho x > "$TMPDIR/left"\necho 125\n')
    assert load(root)[0].measured["PAHOLE_VERSION"] == "125"
    assert list((tmp_path / "tmp").iterdir()) == []


def test_answers_from_a_full_disk_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make(tmp_path)
    there = os.statvfs(tmp_path)
    monkeypatch.setattr(answers, "_ROOM", there.f_blocks * there.f_frsize + 1)
    with pytest.raises(InputError, match=r"scripts/Kconfig.include:\d+: .*the temporary directory is full"):
        load(root)
    monkeypatch.undo()
    assert load(root)[0].measured["CC_GOOD"] == "y"


def test_a_command_that_does_not_end_is_an_error_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make(tmp_path)
    monkeypatch.setattr(answers, "_SECONDS", 0.3)
    (root / "scripts/pahole-version.sh").write_text("#!/bin/sh\nsleep 20\n")
    with pytest.raises(InputError, match=r"scripts/Kconfig.include:4: .*pahole-version.sh.*timed out"):
        load(root)


def test_the_tool_that_denies_a_symbol_is_quoted(tmp_path: Path) -> None:
    root = make(tmp_path)
    (root / "scripts/available.sh").write_text("#!/bin/sh\necho '*** bindgen is missing' >&2\nexit 1\n")
    (root / "scripts/available.sh").chmod(0o755)
    with (root / "init/Kconfig").open("a") as file:
        file.write("config AVAILABLE\n\tbool\n\tdefault $(success,$(srctree)/scripts/available.sh)\n\n"
                   'config ASKED\n\tbool "Asked"\n\tdepends on AVAILABLE\n')  # fmt: skip
    for ran in (1, 0):  # the words are kept, too
        kconf, shell = load(root)
        before = shell.ran
        (answer,) = why([kconf], "ASKED", kconf.measured)
        assert answer.blocking[0].leaves[0].said == "bindgen is missing"
        assert shell.ran - before == ran
    assert not list(Path(tempfile.gettempdir()).glob(f"*btfcheck-work-*/{tmp_path.name}"))


def test_no_tool_is_asked_for_its_words_where_none_may_be_run(tmp_path: Path) -> None:
    root = make(tmp_path)
    kconf = tree.open_tree(str(root), {"ARCH": "x86"}, facts={"CC_IS_GCC": "y", "GCC_VERSION": "140200"})
    assert kconf.said(kconf.syms["CC_BAD"]) == ""
    assert load(root)[0].said(kconf.syms["NAME"]) == ""


def test_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make(tmp_path)

    def refuse(**_: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    with pytest.raises(InputError, match=r"scripts/Kconfig.include:.*needs a directory to write in.*Permission denied"):
        load(root)


def test_answers_end_with_the_software_that_gave_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "status"
    installed.write_text("one")
    monkeypatch.setattr(answers, "_INSTALLED", (str(installed),))
    root = make(tmp_path)
    load(root)
    assert load(root)[1].ran == 0
    installed.write_text("one and another")
    assert load(root)[1].ran > 3


def test_only_so_many_stores_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_MOST_STORES", 2)
    root = make(tmp_path)
    for number in range(4):
        around = environment.Environment({**AROUND.values, "USERCFLAGS": f"-D{number}"})
        shell = answers.Answers(str(root), around)
        tree.load(str(root), around.values, shell)
        shell.close()
    assert len(list((tmp_path / "cache/btfcheck/answers").iterdir())) == 2


# Trees that are not to be trusted.


def test_without_the_shell_nothing_of_the_tree_is_run(tmp_path: Path) -> None:
    root = make(tmp_path)
    trace = tmp_path / "trace"
    with (root / "init/Kconfig").open("a") as file:
        file.write(f'config EVIL\n\tdef_bool $(success,touch {trace})\n\nconfig TOO\n\tstring\n'
                   f'\tdefault "$(shell,echo x > {trace})"\n')  # fmt: skip
    (root / "scripts/Makefile.clang").write_text("")
    facts = {"CC_IS_GCC": "y", "GCC_VERSION": "140200", "PAHOLE_VERSION": "128"}
    kconf = tree.open_tree(str(root), {}, "x86", facts=facts)
    assert not trace.exists()
    assert kconf.measured["PAHOLE_VERSION"] == "128"
    assert any("touch" in command for command in kconf.assumed)
    assert kconf.measured["CC_GOOD"] == "y"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("frobnicate everything", "init/Kconfig:3: .*frobnicate"),
        ('source "init/Missing"', "init/Kconfig:3: .*init/Missing"),
        ('source "init/Kconfig"', "recursive 'source'"),
        ("config A B", "init/Kconfig:3:"),
        ("endmenu", "init/Kconfig:3:"),
        ("$(error-if,y,Sorry)", "init/Kconfig:3: Sorry"),
        ("config A\n\tdepends on B if", "init/Kconfig:4:"),
        ("\xff\xfe", "init/Kconfig:3:"),
        ("if A\n\nconfig B\n", "init/Kconfig:6: no endif"),
        ("config A\n\tbool\n\tdepends on B\nconfig B\n\tbool\n\tdepends on A", "[Dd]ependency loop"),
        ("X = $(X)\n$(X)", "init/Kconfig:4: .*recursive"),
        ('rsource "arch"', "init/Kconfig:3: .*unknown keyword 'rsource'"),
        ("config A\n\tdef_int 3", "init/Kconfig:4: .*unknown keyword 'def_int'"),
        ("choice\n\toptional", "init/Kconfig:4: .*unknown keyword 'optional'"),
        ('source "arch/*/Kconfig"', r'init/Kconfig:3: cannot open "arch/\*/Kconfig"'),
        ("config A\n\tbool\n\ttransitional\n\tdefault y", "init/Kconfig:3: .*only have a help"),
        ("config A\n\tint\n\ttransitional\n\trange 1 2", "init/Kconfig:3: .*only have a help"),
        ('source "arch/x86/Kconfig"\nsource "arch/x86/Kconfig"', "init/Kconfig:4: .*repeated inclusion of arch/x86/K"),
    ],
)
def test_what_cannot_be_loaded_is_told_with_its_place(line: str, told: str, tmp_path: Path) -> None:
    root = make(tmp_path)
    (root / "init/Kconfig").write_bytes(f"\n\n{line}\n".encode("latin-1"))
    with pytest.raises(InputError, match=told) as error:
        load(root)
    assert error.value.exit_code == 3
    assert str(error.value).startswith(str(root))


def test_words_in_another_encoding_are_no_error(tmp_path: Path) -> None:
    root = make(tmp_path)
    with (root / "init/Kconfig").open("ab") as file:
        file.write(b'# by M\xfcller\nconfig A\n\tbool "a by M\xfcller"\n\thelp\n\t  M\xfcller.\n')
    assert "A" in load(root)[0].syms


@pytest.mark.parametrize("name", ["init/Kconfig", "Kconfig", "Makefile", "scripts/kconfig/symbol.c"])
@pytest.mark.parametrize("kind", ["nothing", "directory", "pipe", "loop"])
def test_a_file_that_cannot_be_read(kind: str, name: str, tmp_path: Path) -> None:
    root = make(tmp_path)
    (root / name).unlink()
    if kind == "directory":
        (root / name).mkdir()
    elif kind == "pipe":
        os.mkfifo(root / name)
    elif kind == "loop":
        (root / name).symlink_to((root / name).name)
    place = f"{root}/Kconfig:4: " if name == "init/Kconfig" else f"{root}/{name}: "
    with pytest.raises(InputError, match=f"^{re.escape(place)}"):
        tree.open_tree(str(root), {"ARCH": "x86"})


@pytest.mark.parametrize("name", ["a b", "a:b", "$(touch x)", "a[b]", "a;b", "a'b"])
def test_a_path_that_the_shell_would_take_apart(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(InputError, match="cannot have"):
        tree.open_tree(str(make(tmp_path / name)), {"ARCH": "x86"})


def test_a_directory_that_is_no_tree(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is this the top of a Linux source tree"):
        tree.open_tree(str(tmp_path), {})
    (tmp_path / "Makefile").write_text("all:\n")
    with pytest.raises(InputError, match="no VERSION and PATCHLEVEL"):
        environment.environment(str(tmp_path), {"ARCH": "x86"}, probe=False)


def test_an_architecture_that_the_tree_lacks(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no arch/vax"):
        tree.open_tree(str(make(tmp_path)), {"ARCH": "vax"})


# The environment.


def test_the_release_is_what_make_kernelversion_prints(tmp_path: Path) -> None:
    assert environment.kernel_version(str(make(tmp_path))) == "9.8.7-test"


CLANG = """\
CLANG_TARGET_FLAGS_x86		:= x86_64-linux-gnu
CLANG_FLAGS	+= --target=$(CLANG_TARGET_FLAGS)
CLANG_FLAGS	+= -Werror=unknown-warning-option
export CLANG_FLAGS
"""


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "--target=x86_64-linux-gnu -fintegrated-as -Werror=unknown-warning-option"),
        ({"LLVM_IAS": "0"}, "--target=x86_64-linux-gnu -fno-integrated-as --prefix= -Werror=unknown-warning-option"),
    ],
)
def test_clang_flags_are_the_trees_own(
    variables: dict[str, str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/Makefile.clang").write_text(CLANG)
    assert environment.clang_flags(str(tmp_path), "x86", tools.resolve(variables)) == expected


def test_clang_flags_before_6_2_take_the_target_from_the_cross_compiler(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/Makefile.clang").write_text("ifeq ($(CROSS_COMPILE),)\n" + CLANG)
    found = environment.clang_flags(str(tmp_path), "arm64", tools.resolve({"CROSS_COMPILE": "/opt/aarch64-linux-gnu-"}))
    assert found.startswith("--target=aarch64-linux-gnu ")


@pytest.mark.parametrize(("said", "number"), [("v1.25", "125"), ("v1.30", "130"), ("", "0"), ("1.9", "1.9")])
def test_pahole_version_as_the_kernels_script_has_it(said: str, number: str) -> None:
    assert environment.pahole_version(said) == number


@pytest.mark.parametrize(
    ("variables", "name", "value"),
    [
        ({"PAHOLE_VERSION": "131"}, "PAHOLE_VERSION", "131"),
        ({"CC_VERSION_TEXT": "clang version 30"}, "CC_VERSION_TEXT", "clang version 30"),
        ({"CC_VERSION_TEXT": "clang 30", "CLANG_FLAGS": "-mine"}, "CLANG_FLAGS", "-mine"),
        ({"USERCFLAGS": "-Os"}, "USERCFLAGS", "-Os"),
        ({"srctree": "/elsewhere"}, "SRCARCH", "x86"),
    ],
)
def test_the_command_line_of_make_wins(
    variables: dict[str, str], name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make(tmp_path)
    (root / "scripts/Makefile.clang").write_text(CLANG)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    found = environment.environment(str(root), variables, "x86").values
    assert found[name] == value
    assert found["srctree"] == str(root)


def test_a_user_mode_kernel_knows_what_it_runs_on(tmp_path: Path) -> None:
    root = make(tmp_path)
    (root / "arch/um").mkdir()
    for subarch, header in (("i386", "x86"), ("x86_64", "x86"), ("arm64", "arm64")):
        found = environment.environment(str(root), {"ARCH": "um", "SUBARCH": subarch}, probe=False).values
        assert (found["SUBARCH"], found["HEADER_ARCH"], found["SRCARCH"]) == (subarch, header, "um")


def test_missing_tools_that_nothing_in_kconfig_tells_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    found = environment.environment(str(make(tmp_path)), {}, "x86")
    assert {text.partition("=")[0] for text in found.missing} == {"NM", "AR", "RUSTC", "PAHOLE", "OBJCOPY"}


# Answers by rule, for tools that are not there.


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("/linux/scripts/cc-version.sh clang", "Clang 220108"),
        ("/linux/scripts/as-version.sh clang --target=x", "LLVM 220108"),
        ("/linux/scripts/ld-version.sh ld.lld", "LLD 220108"),
        ("/linux/scripts/pahole-version.sh pahole", "130"),
        ("/linux/scripts/rustc-version.sh rustc", "109500"),
        ("/linux/scripts/rustc-llvm-version.sh rustc", "220108"),
        ("/linux/scripts/other.sh", None),
        ("set -- Clang 220108 && echo $2", "220108"),
        ("set -- Clang && echo $2", ""),
        ("expr 220108 / 10000", "22"),
        ('{ /linux/scripts/rust_is_available.sh; } >/dev/null 2>&1 && echo "y" || echo "n"', "y"),
        ('{ test -z ""; } >/dev/null 2>&1 && echo "y" || echo "n"', "y"),
        ('{ test -z "GCC"; } >/dev/null 2>&1 && echo "y" || echo "n"', "n"),
        ('{ test "GCC" = GCC; } >/dev/null 2>&1 && echo "y" || echo "n"', "y"),
        ('{ test "GCC" = Clang; } >/dev/null 2>&1 && echo "y" || echo "n"', "n"),
        ('{ test "$(uname)" = Clang; } >/dev/null 2>&1 && echo "y" || echo "n"', None),
        ("rm -rf /", None),
    ],
)
def test_answers_that_follow_from_versions(command: str, answer: str | None) -> None:
    assert answers.by_facts(answers.SUFFICIENT)(command) == answer


def test_no_module_is_imported_from_the_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "kconfigfunctions", raising=False)
    root = make(tmp_path)
    (root / "kconfigfunctions.py").write_text("raise SystemExit('run')\n")
    monkeypatch.syspath_prepend(str(root))
    load(root)


def test_the_process_is_left_as_it_was(tmp_path: Path) -> None:
    before = dict(os.environ), kl._shell_fn, kl.Symbol.str_value, kl.Kconfig._tokenize
    load(make(tmp_path))
    assert (dict(os.environ), kl._shell_fn, kl.Symbol.str_value, kl.Kconfig._tokenize) == before


@pytest.mark.parametrize(("words", "told"), [
    ({"ARCH": "arm64"}, True), ({"ARCH": "x86"}, False), ({"ARCH": "i386"}, False), ({"ARCH": "um"}, False),
    ({"ARCH": "arm64", "CROSS_COMPILE": "aarch64-linux-gnu-"}, False), ({"ARCH": "arm64", "LLVM": "1"}, False),
    ({"ARCH": "arm64", "CC": "a64-gcc"}, False),
])  # fmt: skip
def test_the_compiler_of_this_machine_for_another_one_is_told(
    words: dict[str, str], told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make(tmp_path)
    (root / "arch/arm64").mkdir()
    (root / "arch/um").mkdir()
    (root / "scripts/Makefile.clang").write_text("CLANG_TARGET_FLAGS_arm64 := aarch64-linux-gnu\n")
    monkeypatch.setattr(environment, "_host_arch", lambda: "x86")
    said = {("clang",): "clang version 22"}
    monkeypatch.setattr(environment, "_first_line", lambda command, *_, **__: said.get(command, "gcc 12"))
    missing = environment.environment(str(root), words).missing
    assert ("CC=gcc builds for x86, not for arm64: give CROSS_COMPILE= or LLVM=1" in missing) is told
