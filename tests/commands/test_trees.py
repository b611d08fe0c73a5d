# SPDX-License-Identifier: MIT
"""A source tree as its users meet it: where its configuration lies, what is broken, full, missing or closed."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from btfcheck.cli import main

sys.path.append(str(Path(__file__).parents[1] / "kconfig"))
import small_tree

ROOT = Path(__file__).parents[2]
CONFIG = "# Linux/x86 9.8.7-test Kernel Configuration\nCONFIG_PAHOLE_VERSION=125\nCONFIG_DEBUG_INFO_BTF=y\n"


pytestmark = pytest.mark.usefixtures("own_store")


def run(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, Any, str]:
    code = main([*words, "--output", "json"])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else None, err


# ---------------------------------------------------------------- where the configuration lies


@pytest.mark.parametrize(("at", "words"), [
    ("linux/.config", ["--tree", "linux"]),
    ("linux/.config", ["--tree", "linux", "O="]),
    ("build/.config", ["--tree", "linux", "O=build"]),
    ("build/.config", ["--tree", "linux", "KBUILD_OUTPUT=build"]),
    ("build/my", ["--tree", "linux", "KBUILD_OUTPUT=build", "KCONFIG_CONFIG=my"]),
])  # fmt: skip
def test_the_configuration_of_a_tree_is_found(
    at: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    small_tree.make(tmp_path)
    (tmp_path / "build").mkdir()
    (tmp_path / at).write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    code, _, err = run(["check", *words, "--no-probe"], capsys)
    assert code == 0
    assert f"judging {at}" in err


@pytest.mark.parametrize("words", [["--tree", "linux"], ["O=nowhere"], ["KCONFIG_CONFIG=nowhere"]])
def test_the_running_kernel_is_not_judged_in_place_of_what_was_named(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    small_tree.make(tmp_path)
    monkeypatch.chdir(tmp_path)
    code, _, err = run(["check", *words, "--no-probe"], capsys)
    assert code == 3
    assert "no configuration is named, and there is no " in err


def test_a_configuration_that_another_release_wrote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = small_tree.make(tmp_path)
    monkeypatch.chdir(root)
    (root / ".config").write_text(CONFIG.replace("9.8.7-test", "6.12.117"))
    _, _, err = run(["check", "--no-probe"], capsys)
    assert "judging for Linux 6.12.117, which wrote .config; the source there is Linux 9.8.7-test: --tree ." in err
    _, _, err = run(["check", "--no-probe", "--tree", "."], capsys)
    assert "which wrote" not in err
    (root / ".config").write_text(CONFIG)
    _, _, err = run(["check", "--no-probe"], capsys)
    assert "which wrote" not in err


# ---------------------------------------------------------------- what the tree does not grant


def check(
    root: Path, text: str, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, Any, str]:
    (root.parent / ".config").write_text(text)
    return run(["check", str(root.parent / ".config"), "--tree", str(root), *words], capsys)


def finding(data: Any, rule: str) -> Any:
    return next((o for o in data["outcomes"] if o["rule"] == rule and o["status"] == "finding"), None)


def test_what_only_the_tools_of_this_build_deny_was_not_edited_by_hand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = small_tree.make(tmp_path)
    recorded = CONFIG + "CONFIG_DEBUG_INFO_BTF_MODULES=y\n"
    (root / "scripts/pahole-version.sh").write_text("#!/bin/sh\necho 0\n")
    _, data, _ = check(root, recorded, capsys)
    found = finding(data, "BTF125")
    assert found["subject"] == "DEBUG_INFO_BTF"
    assert found["message"].endswith("drops it with these tools")
    assert "by hand" not in str(found)
    _, data, _ = check(root, recorded.replace("125", "110"), capsys, "--no-probe")
    found = finding(data, "BTF125")
    assert found["message"].endswith("forbids it")
    assert "by hand" in str(found)


def test_a_configuration_of_another_release_was_not_edited_by_hand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = small_tree.make(tmp_path)
    _, data, _ = check(root, CONFIG.replace("125", "110").replace("9.8.7-test", "9.1.0"), capsys, "--no-probe")
    assert "Linux 9.1 made this configuration" in str(finding(data, "BTF125"))
    assert "by hand" not in str(finding(data, "BTF125"))


def test_a_dependency_that_is_m_denies_no_bool(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = small_tree.make(tmp_path)
    with (root / "init/Kconfig").open("a") as file:
        file.write('config A_MODULE\n\ttristate "a"\n')
        file.write('config A_BOOL\n\tbool "b"\n\tdepends on A_MODULE\n\tdepends on NONE\n')
    _, data, _ = check(root, f"{CONFIG}CONFIG_MODULES=y\nCONFIG_A_MODULE=m\nCONFIG_A_BOOL=y\n", capsys, "--no-probe")
    assert [group["clause"]["text"] for group in data["not_granted"]] == ["depends on NONE"]


def test_a_long_list_is_cut_in_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = small_tree.make(tmp_path)
    names = [f"LOST_{n}" for n in range(14)]
    with (root / "init/Kconfig").open("a") as file:
        file.writelines(f'config {name}\n\tbool "x"\n\tdepends on NONE{i}\n' for i, name in enumerate(names[:13]))
        file.write("if NONE\n" + "".join(f'config ALSO_{name}\n\tbool "x"\n' for name in names) + "endif\n")
    (tmp_path / ".config").write_text(CONFIG + "".join(f"CONFIG_{n}=y\nCONFIG_ALSO_{n}=y\n" for n in names))
    words = ["check", str(tmp_path / ".config"), "--tree", str(root), "--no-probe"]
    main(words)
    text = capsys.readouterr().out
    assert "ALSO_LOST_11=y, and 2 more  (" in text
    assert "and 2 more causes (-v)" in text
    main([*words, "-v"])
    text = capsys.readouterr().out
    assert "ALSO_LOST_13=y  (" in text
    assert "more cause" not in text


# ---------------------------------------------------------------- what a run shows, and leaves


def at_terminal(words: list[str], cwd: Path, **more: str) -> tuple[str, str]:
    """stdout, and what a terminal on stderr gets."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(cwd / "cache"), "TERM": "xterm", **more}
    done = subprocess.run([sys.executable, "-m", "btfcheck", *words], stdout=subprocess.PIPE, stderr=theirs, cwd=cwd,
                          env=env, text=True, timeout=60)  # fmt: skip
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # the end of a terminal
        while data := os.read(ours, 1 << 16):
            shown += data
    os.close(ours)
    return done.stdout, shown.decode()


def test_a_terminal_sees_how_far_the_first_load_is(tmp_path: Path) -> None:
    root = small_tree.make(tmp_path)
    (root / ".config").write_text(CONFIG)
    words = ["check", ".config", "--tree", "."]
    out, shown = at_terminal(words, root)
    assert "asking the tools, this once: 4  init/Kconfig:18" in shown
    assert shown.endswith("\r\x1b[K")
    assert "asking" not in out
    assert "asking" not in at_terminal(words, root)[1]  # nothing is asked again
    for cache, more in (("q", ["-q"]), ("dumb", [])):
        _, shown = at_terminal([*words, *more], root, XDG_CACHE_HOME=str(tmp_path / cache),
                               **({} if more else {"TERM": "dumb"}))  # fmt: skip
        assert "asking" not in shown


SLOW = "#!/bin/sh\necho x > left\necho x > $TMPDIR/left\ntouch '{0}/begun'\nsleep {1} &\nsleep {1}\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_load_leaves_nothing(number: int, tmp_path: Path) -> None:
    root = small_tree.make(tmp_path)
    seconds = f"77.{os.getpid()}{number}"  # no other run's
    (root / "scripts/pahole-version.sh").write_text(SLOW.format(tmp_path, seconds))
    (tmp_path / ".config").write_text(CONFIG)
    (tmp_path / "tmp").mkdir()
    env = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path / "cache"),
           "TMPDIR": str(tmp_path / "tmp")}  # fmt: skip
    words = [sys.executable, "-c", "from btfcheck.cli import entry; entry()", "check", ".config", "--tree", "linux"]
    process = subprocess.Popen(words, cwd=tmp_path, env=env, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    until = time.monotonic() + 30
    while not (tmp_path / "begun").exists() and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err.splitlines()[-1]) == (130, "", "btfcheck: interrupted")
    assert list((tmp_path / "tmp").iterdir()) == []
    kept = [p.name for p in (tmp_path / "cache").rglob("*") if p.is_file()]
    assert not any(name.startswith(".") for name in kept)
    assert f"sleep {seconds}" not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout


def test_two_first_loads_at_once(tmp_path: Path) -> None:
    root = small_tree.make(tmp_path)
    (tmp_path / ".config").write_text(CONFIG)
    env = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    words = [sys.executable, "-m", "btfcheck", "check", ".config", "--tree", str(root), "--output", "json"]
    both = [subprocess.Popen(words, cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    first, second = (process.communicate(timeout=60)[0] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert first == second
    assert list((tmp_path / "cache").rglob(".*")) == []
    assert subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60).stdout == first


def test_a_tree_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = small_tree.make(tmp_path)
    before = sorted(root.rglob("*"))
    folders = [place for place in (root, *before) if place.is_dir()]
    for place in folders:
        place.chmod(0o555)
    code, _, _ = check(root, CONFIG, capsys)
    assert code == 0
    assert sorted(root.rglob("*")) == before
    for place in folders:  # for whoever cleans up
        place.chmod(0o755)


def test_no_home_only_costs_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = small_tree.make(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    for home in ("/proc", "/dev/null/home", ""):
        monkeypatch.setenv("HOME", home)
        assert check(root, CONFIG, capsys)[0] == 0
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # a user without an entry
    monkeypatch.chdir(tmp_path)
    assert check(root, CONFIG, capsys)[0] == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == [".config", "linux"]


def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    root = small_tree.make(tmp_path)
    (tmp_path / ".config").write_text(CONFIG)
    env = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    for words in (f"check .config --tree {root}", f"matrix --tree {root}", f"explain RUST .config --tree {root}"):
        shell = f"{sys.executable} -m btfcheck {words} -q | true"
        done = subprocess.run(["sh", "-c", shell], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
        assert done.stderr.replace(f"btfcheck: reading {root}\n", "") == ""


# ---------------------------------------------------------------- names that a tree does not have


def test_what_a_tree_has_no_name_for_is_not_passed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = small_tree.make(tmp_path)
    for text in (CONFIG, CONFIG + "CONFIG_DEBUG_INFO_BTS=y\n"):  # Kconfig drops the line
        code, data, _ = check(root, text, capsys, "--no-probe", "--want", "DEBUG_INFO_BTS")
        assert code == 1
        found = next(o for o in data["outcomes"] if o["subject"] == "DEBUG_INFO_BTS")
        assert found["message"] == "CONFIG_DEBUG_INFO_BTS=y was asked for, and Linux 9.8.7 has no such symbol"
        assert found["fix"] == "did you mean DEBUG_INFO_BTF?"
    code, data, _ = check(root, CONFIG, capsys, "--no-probe", "--want", "DEBUG_INFO_BTS=n")
    assert code == 0
    (tmp_path / "fragment").write_text("CONFIG_DEBUG_INFO_BTS=y\n")
    code, _, _ = run(["check", str(tmp_path / "fragment"), "--tree", str(root), "--no-probe"], capsys)
    assert code == 1


def test_what_is_in_the_configuration_and_the_tree_drops_is_not_passed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = small_tree.make(tmp_path)
    with (root / "init/Kconfig").open("a") as file:
        file.write('config WISHED\n\tbool "w"\n\tdepends on STRICT\n')
    for more, code in (("CONFIG_STRICT=y\n", 0), ("", 1)):
        found, data, _ = check(root, f"{CONFIG}{more}CONFIG_WISHED=y\n", capsys, "--no-probe", "--want", "WISHED")
        assert found == code
    told = finding(data, "BTF100")
    assert told["message"] == "CONFIG_WISHED=y was asked for, and Linux 9.8.7 does not grant it"
    assert "way out 1: CONFIG_STRICT=y" in told["notes"]


def test_explain_names_what_was_meant(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = small_tree.make(tmp_path)
    (tmp_path / ".config").write_text(CONFIG)
    words = ["explain", "DEBUG_INFO_BTS", str(tmp_path / ".config"), "--no-probe"]
    assert main([*words, "--tree", str(root)]) == 2
    told = capsys.readouterr().err
    assert "no symbol DEBUG_INFO_BTS is known for Linux 9.8.7; did you mean DEBUG_INFO_BTF?" in told
    assert "--tree" not in told
    assert main([*words, "--kernel", "6.12.117"]) == 2
    told = capsys.readouterr().err
    assert "; did you mean DEBUG_INFO_BTF" in told
    assert "; --tree DIR asks a kernel's source" in told
