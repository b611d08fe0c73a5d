# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from btfcheck.model import Fact
from btfcheck.toolchain import tools
from btfcheck.toolchain.probes import NAMES, PROBES, probe
from tests.fakes import BROKEN, processes, write

Make = Callable[..., dict[str, Fact]]


@pytest.fixture
def run(tmp_path: Path) -> Make:
    """probe() with only these fake tools: PAHOLE="script", ..."""
    tools.forget()

    def probing(
        *,
        only: set[str] | None = None,
        timeout: float = 5.0,
        variables: dict[str, str] | None = None,
        **scripts: str,
    ) -> dict[str, Fact]:
        fakes = {name: write(tmp_path / name.lower(), script) for name, script in scripts.items()}
        missing = {
            p.tool: f"{tmp_path}/no-{p.tool.lower()}" for p in PROBES if p.tool not in ("LLVM", *fakes)
        }
        return probe({**missing, **fakes, **(variables or {})}, only=only, timeout=timeout, environ={})

    return probing


OLD = """
case "$1" in
    --version) echo v1.23;;
    *) echo "pahole: unrecognized option '$1'" >&2; exit 64;;
esac"""
NEW = """
case "$1" in
    --lang_exclude=rust|--version) echo v1.31;;
    --supported_btf_features) echo encode_force,var,float;;
    *) exit 64;;
esac"""


class TestPahole:
    def test_new(self, run: Make) -> None:
        facts = run(PAHOLE=NEW)
        assert facts["PAHOLE_VERSION"].value == "131"
        assert facts["PAHOLE_VERSION"].source.path.endswith("/pahole --version")
        assert facts["PAHOLE_VERSION"].source.text == "v1.31"
        assert facts["PAHOLE_HAS_LANG_EXCLUDE"].value == "y"
        assert facts["PAHOLE_BTF_FEATURES"].value == "encode_force,var,float"
        assert all(fact.live for fact in facts.values())

    def test_without_the_options(self, run: Make) -> None:
        facts = run(PAHOLE=OLD)
        assert facts["PAHOLE_VERSION"].value == "123"
        assert facts["PAHOLE_HAS_LANG_EXCLUDE"].value == "n"
        assert facts["PAHOLE_BTF_FEATURES"].value == ""

    def test_the_option_counts_and_not_the_version(self, run: Make) -> None:
        facts = run(PAHOLE=NEW.replace("v1.31", "v1.20"))
        assert facts["PAHOLE_VERSION"].value == "120"
        assert facts["PAHOLE_HAS_LANG_EXCLUDE"].value == "y"

    def test_missing_is_version_0_as_kconfig_records_it(self, run: Make, tmp_path: Path) -> None:
        facts = run()
        assert facts["PAHOLE_VERSION"].value == "0"
        assert facts["PAHOLE_VERSION"].reason == f"{tmp_path}/no-pahole: no such file"
        for name in ("PAHOLE_HAS_LANG_EXCLUDE", "PAHOLE_BTF_FEATURES", "PAHOLE_ELFUTILS_VERSION"):
            assert facts[name].value is None
            assert facts[name].reason == f"{tmp_path}/no-pahole: no such file"

    def test_not_executable_is_unknown(self, run: Make, tmp_path: Path) -> None:
        (tmp_path / "plain").write_text("#!/bin/sh\necho v1.31\n")
        fact = run(variables={"PAHOLE": f"{tmp_path}/plain"})["PAHOLE_VERSION"]
        assert (fact.value, fact.reason) == (None, f"{tmp_path}/plain: not executable")

    def test_elfutils_by_the_file_that_the_loader_names(self, run: Make, tmp_path: Path) -> None:
        (tmp_path / "libdw-0.189.so").touch()
        (tmp_path / "libdw.so.1").symlink_to("libdw-0.189.so")
        loads = f'[ -z "$LD_DEBUG" ] || printf "   77:\\tcalling init: {tmp_path}/libdw.so.1\\n" >&2'
        facts = run(PAHOLE=f"{loads}\n{NEW}")
        assert facts["PAHOLE_ELFUTILS_VERSION"].value == "189"
        assert facts["PAHOLE_ELFUTILS_VERSION"].source.text == f"loads {tmp_path}/libdw-0.189.so"
        assert facts["PAHOLE_VERSION"].value == "131"

    def test_the_loaders_words_are_no_reason(self, run: Make) -> None:
        talk = r"printf '   77:\tcalling init: /lib/libc.so.6\n' >&2; echo broken >&2; exit 1"
        assert run(PAHOLE=talk)["PAHOLE_VERSION"].reason.endswith("exit status 1: broken")

    def test_elfutils_that_nothing_names(self, run: Make, tmp_path: Path) -> None:
        facts = run(PAHOLE=NEW)
        assert facts["PAHOLE_ELFUTILS_VERSION"].value is None
        (tmp_path / "libdw.so.1").touch()
        tools.forget()
        facts = run(PAHOLE=f"printf ' 1:\\tcalling init: {tmp_path}/libdw.so.1\\n' >&2\n{NEW}")
        assert facts["PAHOLE_ELFUTILS_VERSION"].value is None
        assert "tells no elfutils release" in facts["PAHOLE_ELFUTILS_VERSION"].reason


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_tool_gives_unknown_facts_with_the_reason(run: Make, fault: str) -> None:
    script, word = BROKEN[fault]
    begin = time.monotonic()
    facts = run(
        timeout=0.5, PAHOLE=script, RUSTC=script, BINDGEN=script, CC=script, LD=script, AR=script, NM=script
    )
    assert time.monotonic() - begin < 10
    facts.pop("LLVM_VALUE_VALID")
    assert facts.pop("BINDGEN_FOUND").value == "y"
    if "prints" in fault:  # --help of another tool than llvm's is an answer
        assert facts.pop("LLVM_AR").value == "n"
        assert facts.pop("LLVM_NM").value == "n"
        if fault not in ("prints nothing", "prints its version on stderr"):
            facts.pop("CC_VERSION_TEXT")
    assert {name: fact.value for name, fact in facts.items()} == dict.fromkeys(facts)
    assert word in facts["PAHOLE_VERSION"].reason
    assert all(fact.reason for fact in facts.values())


def test_a_tool_that_hangs_at_one_option_only(run: Make) -> None:
    facts = run(timeout=1.0, PAHOLE='case "$1" in --version) echo v1.31;; *) sleep 600;; esac')
    assert facts["PAHOLE_VERSION"].value == "131"
    assert facts["PAHOLE_HAS_LANG_EXCLUDE"].value is None
    assert "timed out" in facts["PAHOLE_HAS_LANG_EXCLUDE"].reason


class TestCompilers:
    GCC = """
    case "$*" in
        *-Wa,--version*) echo "GNU assembler (GNU Binutils) 2.40";;
        *-E*) cat >/dev/null; echo "GCC 12 2 0";;
        *) echo "gcc (Fake #1) 12.2.0";;
    esac"""
    CLANG = """
    case "$*" in
        *no-integrated-as*-Wa,--version*) echo "GNU assembler (GNU Binutils) 2.41";;
        *-E*) cat >/dev/null; echo "Clang 19 1 7";;
        *) echo "clang version 19.1.7";;
    esac"""

    @staticmethod
    def values(facts: dict[str, Fact]) -> dict[str, str | None]:
        return {n: f.value for n, f in facts.items() if n.startswith(("CC_", "GCC_", "CLANG_", "AS_"))}

    def test_gcc(self, run: Make) -> None:
        assert self.values(run(CC=self.GCC)) == {
            "CC_VERSION_TEXT": "gcc (Fake 1) 12.2.0",
            "CC_IS_GCC": "y",
            "CC_IS_CLANG": "n",
            "GCC_VERSION": "120200",
            "CLANG_VERSION": "0",
            "AS_IS_GNU": "y",
            "AS_IS_LLVM": "n",
            "AS_VERSION": "24000",
        }

    def test_clang(self, run: Make) -> None:
        assert self.values(run(CC=self.CLANG)) == {
            "CC_VERSION_TEXT": "clang version 19.1.7",
            "CC_IS_GCC": "n",
            "CC_IS_CLANG": "y",
            "GCC_VERSION": "0",
            "CLANG_VERSION": "190107",
            "AS_IS_GNU": "n",
            "AS_IS_LLVM": "y",
            "AS_VERSION": "190107",
        }

    def test_clang_with_the_gnu_assembler(self, run: Make) -> None:
        values = self.values(run(CC=self.CLANG, variables={"LLVM_IAS": "0"}))
        assert values["AS_IS_GNU"] == "y"
        assert values["AS_VERSION"] == "24100"

    def test_a_compiler_behind_a_wrapper(self, run: Make, tmp_path: Path) -> None:
        wrapper, real = write(tmp_path / "ccache", 'exec "$@"'), write(tmp_path / "my-clang", self.CLANG)
        assert run(variables={"CC": f"{wrapper} {real}"})["CLANG_VERSION"].value == "190107"

    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            (
                "GNU ld (GNU Binutils) 2.40",
                {"LD_IS_BFD": "y", "LD_IS_LLD": "n", "LD_VERSION": "24000", "LLD_VERSION": "0"},
            ),
            (
                "LLD 19.1.7 (x)",
                {"LD_IS_BFD": "n", "LD_IS_LLD": "y", "LD_VERSION": "0", "LLD_VERSION": "190107"},
            ),
        ],
    )
    def test_linker(self, run: Make, line: str, expected: dict[str, str]) -> None:
        facts = run(LD=f"echo '{line}'", only=set(expected))
        assert {n: f.value for n, f in facts.items()} == expected

    def test_llvm_binutils(self, run: Make) -> None:
        facts = run(AR="echo 'OVERVIEW: LLVM Archiver'", NM="echo 'Usage: nm'")
        assert facts["LLVM_AR"].value == "y"
        assert facts["LLVM_NM"].value == "n"


class TestRust:
    RUSTC = """
    case "$1" in
        -vV) printf 'rustc 1.85.0 (4d91de4e4 2025-02-17)\\nrelease: 1.85.0\\nLLVM version: 19.1.7\\n';;
        --print) dirname "$0";;
    esac"""
    BINDGEN = """
    [ "$1" = --version ] && [ "$2" = workaround-for-0.69.0 ] && { echo bindgen 0.71.1; exit; }
    grep -q __clang_version__ "$1" && echo "$1:3:9: warning: clang version 19.1.7 [-W#pragma-messages]" >&2"""

    def test_rustc(self, run: Make, tmp_path: Path) -> None:
        facts = run(RUSTC=self.RUSTC)
        assert facts["RUSTC_VERSION"].value == "108500"
        assert facts["RUSTC_VERSION_TEXT"].value == "rustc 1.85.0 (4d91de4e4 2025-02-17)"
        assert facts["RUSTC_LLVM_VERSION"].value == "190107"
        assert facts["RUSTC_LLVM_VERSION"].source.text == "LLVM version: 19.1.7"
        assert facts["RUST_SRC"].value == "n"
        source = tmp_path / "lib/rustlib/src/rust/library/core/src"
        source.mkdir(parents=True)
        (source / "lib.rs").touch()
        assert run(RUSTC=self.RUSTC)["RUST_SRC"].value == "y"

    def test_rust_lib_src_wins(self, run: Make, tmp_path: Path) -> None:
        fact = run(RUSTC=self.RUSTC, variables={"RUST_LIB_SRC": f"{tmp_path}/lib"})["RUST_SRC"]
        assert (fact.value, fact.source.path) == ("n", "RUST_LIB_SRC")
        (tmp_path / "lib/core/src").mkdir(parents=True)
        (tmp_path / "lib/core/src/lib.rs").touch()
        fact = run(variables={"RUST_LIB_SRC": f"{tmp_path}/lib"})["RUST_SRC"]
        assert fact.value == "y", "known although there is no rustc"

    def test_missing_rustc(self, run: Make) -> None:
        facts = run()
        assert facts["RUSTC_VERSION"].value == "0"
        assert facts["RUSTC_VERSION"].reason
        assert facts["RUSTC_LLVM_VERSION"].value is None
        assert facts["RUST_SRC"].value is None

    def test_bindgen(self, run: Make) -> None:
        facts = run(BINDGEN=self.BINDGEN)
        assert facts["BINDGEN_VERSION"].value == "7101"
        assert facts["BINDGEN_VERSION_TEXT"].value == "bindgen 0.71.1"
        assert facts["BINDGEN_LIBCLANG_VERSION"].value == "190107"
        assert facts["BINDGEN_LIBCLANG_VERSION"].source.text == "clang version 19.1.7 [-W#pragma-messages]"


def test_only_what_is_wanted_is_run(run: Make, tmp_path: Path) -> None:
    facts = run(
        only={"LD_VERSION"}, LD="echo GNU ld 2.40", PAHOLE=f"touch {tmp_path}/ran", CC=f"touch {tmp_path}/ran"
    )
    assert list(facts) == ["LD_VERSION"]
    assert not (tmp_path / "ran").exists()
    assert run(only=set()) == {}


def test_every_name_in_order(run: Make) -> None:
    assert tuple(run()) == NAMES
    assert len(set(NAMES)) == len(NAMES)


def test_llvm_0(run: Make) -> None:
    assert run(variables={"LLVM": "0"})["LLVM_VALUE_VALID"].value == "n"
    assert run(variables={"LLVM": "-19"})["LLVM_VALUE_VALID"].value == "y"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C while every tool hangs: all of them are gone, and it does not take long."""
    script = f"trap '' INT; echo x >> {tmp_path}/runs; sleep 600 & sleep 600"
    words = [f"{p.tool}={write(tmp_path / p.tool, script)}" for p in PROBES if p.tool != "LLVM"]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "BTFCHECK_TEST": str(tmp_path)}
    argv = [sys.executable, "-m", "btfcheck", "probe", *words]
    with subprocess.Popen(argv, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as main:
        runs = tmp_path / "runs"
        while not runs.exists() or len(runs.read_text()) != 2 * len(words):
            assert main.poll() is None
            time.sleep(0.05)
        begin = time.monotonic()
        main.send_signal(number)
        out, err = main.communicate(timeout=20)
    assert time.monotonic() - begin < 5
    assert (main.returncode, out, err) == (130, b"", b"btfcheck: interrupted\n")
    time.sleep(0.1)
    assert processes(f"BTFCHECK_TEST={tmp_path}") == []


# ---------------------------------------------------------------- real tools


@pytest.mark.needs("pahole")
def test_real_pahole() -> None:
    facts = probe({}, only={"PAHOLE_VERSION", "PAHOLE_HAS_LANG_EXCLUDE", "PAHOLE_BTF_FEATURES"}, environ={})
    shown = subprocess.run(
        ["pahole", "--numeric_version"], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert facts["PAHOLE_VERSION"].value == shown
    text = subprocess.run(["pahole", "--help"], capture_output=True, text=True, check=True).stdout
    assert (facts["PAHOLE_HAS_LANG_EXCLUDE"].value == "y") == ("--lang_exclude" in text)
    assert bool(facts["PAHOLE_BTF_FEATURES"].value) == ("--supported_btf_features" in text)


@pytest.mark.needs("pahole", "ldd")
def test_real_elfutils() -> None:
    fact = probe({}, only={"PAHOLE_ELFUTILS_VERSION"}, environ={})["PAHOLE_ELFUTILS_VERSION"]
    path = shutil.which("pahole")
    assert path
    linked = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
    line = next(line for line in linked.splitlines() if "libdw.so" in line)
    assert f"libdw-0.{fact.value}.so" == os.path.basename(os.path.realpath(line.split()[2]))


@pytest.mark.needs("gcc", "ld")
def test_real_gcc() -> None:
    facts = probe({}, only={"GCC_VERSION", "LD_IS_BFD", "AS_IS_GNU"}, environ={})
    number = subprocess.run(["gcc", "-dumpfullversion"], capture_output=True, text=True, check=True).stdout
    x, y, z = map(int, number.split("."))
    assert facts["GCC_VERSION"].value == str(10000 * x + 100 * y + z)
    assert facts["LD_IS_BFD"].value == facts["AS_IS_GNU"].value == "y"


@pytest.mark.needs("clang", "ld.lld", "llvm-ar", "llvm-nm")
def test_real_llvm() -> None:
    facts = probe(
        {"LLVM": "1"},
        environ={},
        only={"CC_IS_CLANG", "CLANG_VERSION", "AS_VERSION", "LD_IS_LLD", "LLD_VERSION", "LLVM_AR", "LLVM_NM"},
    )
    assert {facts[n].value for n in ("CC_IS_CLANG", "LD_IS_LLD", "LLVM_AR", "LLVM_NM")} == {"y"}
    assert facts["CLANG_VERSION"].value == facts["AS_VERSION"].value
    assert int(facts["LLD_VERSION"].value or 0) > 110000


@pytest.mark.needs("rustc")
def test_real_rustc() -> None:
    facts = probe({}, only={"RUSTC_VERSION", "RUSTC_LLVM_VERSION", "RUST_SRC"}, environ={})
    assert int(facts["RUSTC_VERSION"].value or 0) >= 106300
    assert int(facts["RUSTC_LLVM_VERSION"].value or 0) >= 140000
    assert facts["RUST_SRC"].value in ("y", "n")
