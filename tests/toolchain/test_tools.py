# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btfcheck.toolchain import tools
from btfcheck.toolchain.tools import ENVIRONMENT, resolve, run
from tests.fakes import processes, write

ROOT = Path(__file__).parents[2]


def commands(*words: str, **environ: str) -> dict[str, str]:
    chosen = resolve(dict(w.split("=", 1) for w in words), environ).commands
    return {name: " ".join(argv) for name, argv in chosen.items()}


class TestMakeVariables:
    def test_plain_make_uses_gnu_tools(self) -> None:
        assert commands() == {
            "CC": "gcc",
            "LD": "ld",
            "AR": "ar",
            "NM": "nm",
            "OBJCOPY": "objcopy",
            "READELF": "readelf",
            "RUSTC": "rustc",
            "BINDGEN": "bindgen",
            "PAHOLE": "pahole",
            "RESOLVE_BTFIDS": "./tools/bpf/resolve_btfids/resolve_btfids",
        }

    @pytest.mark.parametrize(
        ("llvm", "cc", "ld", "nm"),
        [
            ("1", "clang", "ld.lld", "llvm-nm"),
            ("-19", "clang-19", "ld.lld-19", "llvm-nm-19"),
            ("/opt/llvm/bin/", "/opt/llvm/bin/clang", "/opt/llvm/bin/ld.lld", "/opt/llvm/bin/llvm-nm"),
            ("0", "clang", "ld.lld", "llvm-nm"),
            ("", "gcc", "ld", "nm"),
        ],
    )
    def test_llvm(self, llvm: str, cc: str, ld: str, nm: str) -> None:
        chosen = commands(f"LLVM={llvm}")
        assert (chosen["CC"], chosen["LD"], chosen["NM"]) == (cc, ld, nm)
        assert chosen["PAHOLE"] == "pahole"

    @pytest.mark.parametrize(
        ("value", "valid"),
        [("", True), ("1", True), ("-19", True), ("/x/", True), ("0", False), ("n", False), ("19", False)],
    )
    def test_llvm_values_that_stop_newer_kernels(self, value: str, valid: bool) -> None:
        assert resolve({"LLVM": value}, {}).llvm_valid is valid

    def test_cross_compile_is_for_gnu_tools_only(self) -> None:
        cross = "CROSS_COMPILE=aarch64-linux-gnu-"
        assert commands(cross)["CC"] == "aarch64-linux-gnu-gcc"
        assert commands(cross, "LLVM=1")["CC"] == "clang"
        assert commands(cross)["RUSTC"] == "rustc"

    def test_the_argument_wins_over_the_environment(self) -> None:
        assert commands("LLVM=1", LLVM="-19")["CC"] == "clang"
        assert commands("LLVM=", LLVM="1")["CC"] == "gcc", "an empty argument is an answer too"
        assert commands("CC=clang", LLVM="-19")["LD"] == "ld.lld-19"

    def test_a_command_may_have_several_words(self) -> None:
        assert resolve({"CC": "ccache 'my clang' -m32"}, {}).commands["CC"] == ("ccache", "my clang", "-m32")
        assert resolve({"CC": "it's"}, {}).commands["CC"] == ("it's",)
        assert resolve({"PAHOLE": "~/pahole"}, {}).commands["PAHOLE"] == (os.path.expanduser("~/pahole"),)

    def test_variables_that_make_does_not_take_from_the_environment(self) -> None:
        chosen = resolve({"PAHOLE": "p"}, {"CC": "clang", "LLVM": "1", "O": "out", "PAHOLE": "q"})
        assert chosen.unseen_by_make == {"CC": "clang", "O": "out"}
        assert chosen.origins["LLVM"] == ENVIRONMENT
        assert chosen.commands["PAHOLE"] == ("p",)

    def test_directories_and_names(self) -> None:
        chosen = resolve({"O": "out"}, {"KBUILD_OUTPUT": "other", "KCONFIG_CONFIG": "my.config"})
        assert chosen.build_dir == "out"
        assert chosen.config_name == "my.config"
        assert chosen.commands["RESOLVE_BTFIDS"] == ("out/tools/bpf/resolve_btfids/resolve_btfids",)
        assert resolve({}, {}).build_dir == "."
        assert "ARCH" not in resolve({}, {}).settings, "nothing is taken from the host silently"

    def test_assembler_of_clang(self) -> None:
        cross = {"CROSS_COMPILE": "/x/bin/aarch64-linux-gnu-", "LLVM": "1", "LLVM_IAS": "0"}
        assert resolve({"LLVM": "1"}, {}).integrated_assembler
        assert resolve({"LLVM": "1", "LLVM_IAS": "0"}, {}).assembler(True) == ("clang", "-fno-integrated-as")
        assert resolve(cross, {}).assembler(True) == (
            "clang",
            "--target=aarch64-linux-gnu",
            "--prefix=/x/bin/aarch64-linux-gnu-",
            "-fno-integrated-as",
        )
        assert resolve({}, {}).assembler(False) == ("gcc",)

    @given(
        st.dictionaries(
            st.sampled_from(["CC", "LLVM", "CROSS_COMPILE", "O", "PAHOLE", "LLVM_IAS"]), st.text()
        )
    )
    def test_any_values(self, variables: dict[str, str]) -> None:
        chosen = resolve(variables, {})
        assert set(chosen.commands) == set(tools.TOOLS)
        assert chosen.assembler(True) is not None


class TestRun:
    def test_a_good_tool(self) -> None:
        done = run(["sh", "-c", "cat; echo $LC_ALL $X; echo warn >&2"], stdin=b"in ", env={"X": "1"}, cwd="/")
        assert done.ok
        assert (done.status, done.stdout, done.stderr, done.problem) == (0, b"in C 1\n", b"warn\n", "")
        assert done.started
        assert done.cpu > 0
        assert done.peak > 0

    def test_an_exit_status_is_told_with_the_first_line(self) -> None:
        done = run(["sh", "-c", "echo >&2; echo bad >&2; exit 7"])
        assert not done.ok
        assert done.problem == ""
        assert done.reason == "sh -c 'echo >&2; echo bad >&2; exit 7': exit status 7: bad"

    def test_missing(self, tmp_path: Path) -> None:
        done = run(["btfcheck-no-such-tool"])
        assert done.missing
        assert done.problem == "btfcheck-no-such-tool: not found in PATH"
        assert run([str(tmp_path / "nothing")]).missing
        assert run([]).problem == "no command given"
        assert run([""]).problem == "no command given"
        assert not done.started

    def test_not_executable(self, tmp_path: Path) -> None:
        (tmp_path / "tool").write_text("#!/bin/sh\n")
        done = run([str(tmp_path / "tool")])
        assert done.problem == f"{tmp_path}/tool: not executable"
        assert not done.missing
        assert "not executable" in run(["tool"], env={"PATH": str(tmp_path)}).problem
        assert "not a file" in run([str(tmp_path)]).problem

    def test_not_a_program(self, tmp_path: Path) -> None:
        assert "interpreter" in run([write(tmp_path / "a", "", "#!/nonexistent/sh")]).problem
        (tmp_path / "b").write_bytes(b"\x7fELF rubbish")
        (tmp_path / "b").chmod(0o755)
        assert "Exec format error" in run([str(tmp_path / "b")]).problem
        assert "no such directory" in run(["true"], cwd=str(tmp_path / "gone")).problem
        assert "null byte" in run(["true", "a\0b"]).problem

    def test_a_relative_tool_with_another_directory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(tmp_path / "tool", "pwd")
        monkeypatch.chdir(tmp_path)
        assert run(["./tool"], cwd="/").stdout == b"/\n"

    def test_timeout_takes_the_children_along(self, tmp_path: Path) -> None:
        mark = f"BTFCHECK_TEST={tmp_path}"
        script = write(tmp_path / "tool", "trap '' TERM INT; sleep 600 & (sleep 600; true) & sleep 600")
        begin = time.monotonic()
        done = run([script], timeout=0.3, env=dict([mark.split("=")]))
        assert time.monotonic() - begin < 3
        assert done.problem == f"{script}: timed out after 0.3 s"
        assert done.status is None
        time.sleep(0.1)
        assert processes(mark) == []

    def test_a_tool_that_is_stopped_may_clean_up(self, tmp_path: Path) -> None:
        left = tmp_path / "temporary"
        tool = write(tmp_path / "tool", f"trap 'rm {left}; exit 1' TERM; touch {left}; sleep 60 & wait")
        assert run([str(tool)], timeout=0.5).problem.endswith("timed out after 0.5 s")
        assert not left.exists()

    def test_what_a_tool_leaves_running_is_ended(self, tmp_path: Path) -> None:
        mark = f"BTFCHECK_TEST={tmp_path}"
        begin = time.monotonic()
        done = run(["sh", "-c", "sleep 600 & echo done"], timeout=60, env=dict([mark.split("=")]))
        assert done.ok
        assert done.stdout == b"done\n"
        assert time.monotonic() - begin < 5, "the pipe that the child holds is not waited for"
        time.sleep(0.1)
        assert processes(mark) == []

    @pytest.mark.parametrize("stream", ["", " >&2"])
    def test_flood(self, stream: str) -> None:
        done = run(["sh", "-c", f"exec yes{stream}"], output=10000)
        assert done.problem.endswith("printed more than 10000 bytes")
        assert len(done.stdout) + len(done.stderr) == 10000

    def test_output_up_to_the_bound(self) -> None:
        done = run(["sh", "-c", "head -c 10000 /dev/zero"], output=10000)
        assert done.ok
        assert len(done.stdout) == 10000

    def test_killed(self) -> None:
        done = run(["sh", "-c", "echo a; kill -SEGV $$"])
        assert done.status is None
        assert done.problem.endswith("killed by SIGSEGV")
        assert done.stdout == b"a\n"

    def test_memory(self) -> None:
        program = "import time; time.sleep(0.2); bytearray(1 << 30); print('had it')"
        assert run([sys.executable, "-c", program], memory=1 << 40).ok
        assert b"MemoryError" in run([sys.executable, "-c", program], memory=300 << 20).stderr

    def test_stdin_that_nobody_reads(self) -> None:
        assert run(["true"], stdin=b"x" * 1_000_000).ok
        assert run(["cat"], stdin=b"x" * 1_000_000).stdout == b"x" * 1_000_000

    def test_closed_outputs(self) -> None:
        assert run(["sh", "-c", "exec >&- 2>&-; sleep 0.2; exit 4"]).status == 4

    def test_cancel(self) -> None:
        cancel = threading.Event()
        threading.Timer(0.2, cancel.set).start()
        begin = time.monotonic()
        assert run(["sleep", "600"], timeout=600, cancel=cancel).problem == "sleep 600: interrupted"
        assert time.monotonic() - begin < 3

    def test_no_descriptor_is_left_open(self) -> None:
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            run(["true"])
            run(["btfcheck-no-such-tool"])
            run(["sleep", "9"], timeout=0.01)
        assert len(os.listdir("/proc/self/fd")) == before

    @given(st.lists(st.text(max_size=20), max_size=3))
    def test_any_argv_gives_a_value(self, argv: list[str]) -> None:
        done = run(["/nonexistent/tool", *argv])
        assert done.missing

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_an_interrupt_leaves_no_process(self, tmp_path: Path, number: signal.Signals) -> None:
        script = write(
            tmp_path / "tool", f"trap '' INT TERM HUP; echo x > {tmp_path}/runs; sleep 600 & sleep 600"
        )
        program = textwrap.dedent(f"""
            import signal
            from btfcheck.toolchain.tools import run
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            run([{script!r}], timeout=600)
        """)
        mark = f"BTFCHECK_TEST={tmp_path}"
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "BTFCHECK_TEST": str(tmp_path)}
        with subprocess.Popen(
            [sys.executable, "-c", program], env=environ, stderr=subprocess.DEVNULL
        ) as main:
            while not (tmp_path / "runs").exists():
                assert main.poll() is None
                time.sleep(0.02)
            assert len(processes(mark)) >= 3
            main.send_signal(number)
            main.wait(10)
        time.sleep(0.1)
        assert processes(mark) == []

    @pytest.mark.needs("setpriv")
    def test_a_tied_tool_dies_with_us(self, tmp_path: Path) -> None:
        script = write(tmp_path / "tool", f"trap '' INT TERM; echo x > {tmp_path}/runs; while :; do :; done")
        program = f"from btfcheck.toolchain.tools import run; run([{script!r}], timeout=600, tied=True)"
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "BTFCHECK_TEST": str(tmp_path)}
        with subprocess.Popen([sys.executable, "-c", program], env=environ) as main:
            while not (tmp_path / "runs").exists():
                assert main.poll() is None
                time.sleep(0.02)
            main.kill()
        time.sleep(0.2)
        assert processes(f"BTFCHECK_TEST={tmp_path}") == []

    def test_a_tied_tool_is_run_like_any(self) -> None:
        done = run(["sh", "-c", "cat; exit 3"], stdin=b"x", tied=True)
        assert (done.argv[0], done.status, done.stdout) == ("sh", 3, b"x")
        assert run(["sleep", "600"], timeout=0.2, tied=True).problem.endswith("timed out after 0.2 s")


class TestAsk:
    def test_no_question_is_asked_twice(self, tmp_path: Path) -> None:
        script = write(tmp_path / "tool", f"echo x >> {tmp_path}/count; echo $1; sleep 0.2")
        threads = [threading.Thread(target=tools.ask, args=([script, "a"],)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert tools.ask([script, "a"]).stdout == b"a\n"
        assert (tmp_path / "count").read_text() == "x\n"
        tools.ask([script, "b"])
        tools.ask([script, "a"], env={"X": "1"})
        assert (tmp_path / "count").read_text() == "x\n" * 3
        assert [a.argv for a in tools.answers()][-3:] == [(script, "a"), (script, "b"), (script, "a")]

    def test_an_interrupted_answer_is_not_kept(self, tmp_path: Path) -> None:
        cancel = threading.Event()
        cancel.set()
        script = write(tmp_path / "tool", "sleep 0.3; echo ok")
        assert tools.ask([script], cancel=cancel).problem.endswith("interrupted")
        assert tools.ask([script]).stdout == b"ok\n"

    def test_forget(self, tmp_path: Path) -> None:
        script = write(tmp_path / "tool", "echo 1")
        assert tools.ask([script]).stdout == b"1\n"
        write(tmp_path / "tool", "echo 2")
        assert tools.ask([script]).stdout == b"1\n"
        tools.forget()
        assert tools.ask([script]).stdout == b"2\n"


def test_only_some_lines_are_kept() -> None:
    lines = 'i=0; while [ $i -lt 20000 ]; do echo "line $i of many"; i=$((i+1)); done'
    script = f'{lines}; echo "x due to y"; echo tail >&2'
    done = run(["sh", "-c", script], output=100, only=b" due to ")
    assert (done.ok, done.stdout, done.stderr) == (True, b"x due to y\n", b"")
    assert "printed more than" in run(["sh", "-c", "yes 'a due to b'"], output=100, only=b" due to ").problem


def test_what_is_written_between_two_looks_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool that writes and ends after a look at its outputs found nothing, and before one at whether it ended."""
    at_once = tools._ended

    def ended(process: subprocess.Popen[bytes]) -> bool:
        time.sleep(0.3)
        return at_once(process)

    monkeypatch.setattr(tools, "_ended", ended)
    assert run(["sh", "-c", "sleep 0.2; echo late; echo later >&2"]).stdout == b"late\n"
