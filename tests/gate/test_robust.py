# SPDX-License-Identifier: MIT
"""Killed, without room, read-only, two at once: no wrong verdict, no half of a file, nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from btfcheck import files
from btfcheck.model import InputError
from tests.commands.test_gate import UNITS, Build, fresh
from tests.fakes import processes
from tests.gate.scenes import scene

HERE = Path(__file__).parents[2]
ROOT = os.geteuid() == 0


class Run:
    """A running gate over `modules` modules, each encoded by a pahole that does this; "" encodes none."""

    def __init__(self, folder: Path, jobs: int, does: str = "hangs", modules: int = 3,
                 more: tuple[str, ...] = ()) -> None:  # fmt: skip
        self.folder, self.mark = folder, f"BTFCHECK_TEST_MARK={folder}"
        self.build = fresh(folder / "build", modules)
        self.tmp = folder / "tmp"
        self.tmp.mkdir()
        made = scene(f"pahole {does or 'nothing'}\nbtf struct device 8\n{UNITS}", folder / "fake")
        self.report = folder / "report.json"
        self.command = [
            sys.executable, "-m", "btfcheck", "gate", str(self.build.folder),
            *(["--encode", "--pahole", made.pahole] if does else ["--no-probe"]),
            "-j", str(jobs), "--cache", str(folder / "cache"), "--keep", str(folder / "keep"),
            "--output", f"json:{self.report}", *more,
        ]  # fmt: skip
        self.environment = {**os.environ, "BTFCHECK_TEST_MARK": str(folder), "TMPDIR": str(self.tmp)}
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self.command, cwd=HERE, env=self.environment, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, start_new_session=True)  # fmt: skip

    def wait_for_pahole(self, number: int) -> None:
        until(lambda: len(list(self.tmp.glob("btfcheck-work-*/"))) >= number)
        time.sleep(0.3)

    def nothing_runs(self) -> None:
        until(lambda: not processes(self.mark))
        assert processes(self.mark) == []

    def nothing_half(self) -> None:
        assert not self.report.exists()
        for path in [*self.folder.rglob(".btfcheck-*"), *(self.folder / "cache").rglob("*")]:
            assert path.is_dir() or path.suffix == ".json", path


def until(done: object, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:  # type: ignore[operator]
        time.sleep(0.05)


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda n: n.name)
def test_killed(number: signal.Signals, jobs: int, tmp_path: Path) -> None:
    run = Run(tmp_path, jobs)
    run.wait_for_pahole(jobs)
    run.process.send_signal(number)
    _, error = run.process.communicate(timeout=30)
    assert run.process.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    run.nothing_runs()
    run.nothing_half()
    if number == signal.SIGKILL:
        subprocess.run([*run.command[:5], "--no-probe", "-j2"], cwd=HERE, env=run.environment, check=False,
                       capture_output=True)  # fmt: skip
        with pytest.MonkeyPatch.context() as patch:  # whatever comes next cleans up
            patch.setattr("tempfile.tempdir", str(run.tmp))
            files.sweep()
    else:
        assert error == b"btfcheck: interrupted\n"
    assert list(run.tmp.iterdir()) == []


def test_ctrl_c_reaches_the_whole_group(tmp_path: Path) -> None:
    run = Run(tmp_path, 2)
    run.wait_for_pahole(2)
    os.killpg(run.process.pid, signal.SIGINT)
    _, error = run.process.communicate(timeout=30)
    assert (run.process.returncode, error) == (130, b"btfcheck: interrupted\n")
    run.nothing_runs()
    run.nothing_half()
    assert list(run.tmp.iterdir()) == []


def test_a_killed_worker(tmp_path: Path) -> None:
    run = Run(tmp_path, 2)
    run.wait_for_pahole(2)
    children = Path(f"/proc/{run.process.pid}/task/{run.process.pid}/children").read_text().split()
    workers = [int(c) for c in children if b"btfcheck" in Path(f"/proc/{c}/cmdline").read_bytes()]
    os.kill(workers[0], signal.SIGKILL)
    _, error = run.process.communicate(timeout=30)
    assert run.process.returncode == 3, error
    assert b"a worker process was ended from outside" in error
    run.nothing_runs()
    run.nothing_half()
    assert list(run.tmp.iterdir()) == []


@pytest.mark.accept
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_a_killed_run_on_dask(number: signal.Signals, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="extra btfcheck[dask] is not installed")
    run = Run(tmp_path, 2, more=("--executor", "dask:"))
    run.wait_for_pahole(3)  # the cluster's own, and two
    run.process.send_signal(number)
    _, error = run.process.communicate(timeout=60)
    assert (run.process.returncode, error) == (130, b"btfcheck: interrupted\n")
    run.nothing_runs()
    run.nothing_half()
    assert list(run.tmp.iterdir()) == []


def test_a_live_workplace_is_not_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dead = tmp_path / f"{files.PREFIX}dead"
    (dead / "sub").mkdir(parents=True)
    (tmp_path / f"{files.PREFIX}file").write_text("no directory")
    (tmp_path / f"{files.PREFIX}link").symlink_to(tmp_path)
    with files.workplace() as one, files.workplace() as two:
        assert os.path.isdir(one)
        assert os.path.isdir(two)
        assert not dead.exists()
    assert {p.name for p in tmp_path.iterdir()} == {f"{files.PREFIX}file", f"{files.PREFIX}link"}


def test_no_temporary_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nonexistent")
    with pytest.raises(InputError, match="no temporary directory"), files.workplace():
        pass


def test_an_interrupted_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    (tmp_path / "report").write_text("old")
    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        files.write_whole(str(tmp_path / "report"), b"new")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("report", "old")]


def gate(build: Build, *words: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-m", "btfcheck", "gate", str(build.folder), *words], cwd=HERE,
                          env={**os.environ, **environment}, capture_output=True, timeout=60, check=False)  # fmt: skip


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("output", ["text", "json", "sarif"])
def test_no_room_for_what_is_printed(output: str, tmp_path: Path) -> None:
    build = fresh(tmp_path / "build")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "btfcheck", "gate", str(build.folder), "--no-probe", "-j1", "--output", output],
            cwd=HERE, stdout=full, stderr=subprocess.PIPE, timeout=60, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (3, b"btfcheck: no verdict: stdout: No space left on device\n")


@pytest.mark.parametrize("damage", ["flip", "swap", "empty", "verdict"])
def test_a_damaged_entry_is_not_believed(damage: str, tmp_path: Path) -> None:
    build = fresh(tmp_path / "build")
    build.kernel([["struct", "device", "8"], ["struct", "Option<u32>", "4"]])
    words = ("--no-probe", "-j1", "--cache", str(tmp_path / "cache"), "--output", f"json:{tmp_path}/out")
    assert gate(build, *words).returncode == 1
    entries = sorted((tmp_path / "cache").rglob("*.json"))
    texts = [entry.read_text() for entry in entries]
    for entry, text in zip(entries, [*texts[1:], texts[0]], strict=True):
        old = entry.read_text()
        entry.write_text({
            "flip": old[:-20] + chr(ord(old[-20]) ^ 1) + old[-19:], "swap": text, "empty": "",
            "verdict": old.replace('"finding"', '"ok"').replace('"skip"', '"ok"'),
        }[damage])  # fmt: skip
    assert gate(build, *words).returncode == 1
    assert json.loads((tmp_path / "out").read_text())["build"]["cached"] == 0


# -- what needs root -------------------------------------------------------------------------------------------


@contextmanager
def small(place: Path, size: str) -> Iterator[Path]:
    """A file system of this size."""
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


needs_root = pytest.mark.skipif(not ROOT, reason="mounts file systems")


def fill(place: Path) -> None:
    try:
        with open(place / "ballast", "wb", buffering=0) as stream:
            while stream.write(bytes(4096)):
                pass
    except OSError:
        return


@pytest.mark.accept
@needs_root
@pytest.mark.parametrize("what", ["cache", "keep", "output"])
def test_a_full_disk(what: str, tmp_path: Path) -> None:
    build = fresh(tmp_path / "build")
    made = scene(f"pahole writes\nbtf struct device 8\n{UNITS}", tmp_path / "fake")
    with small(tmp_path / "full", "64k") as full:
        fill(full)
        (full / "report").write_text("") if what == "output" else None
        words = {"cache": ["--cache", f"{full}/cache"], "output": ["--output", f"json:{full}/report"],
                 "keep": ["--keep", f"{full}/keep", "--encode", "--pahole", made.pahole]}[what]  # fmt: skip
        done = gate(build, "-j2", *words)
        left = {p.name for p in full.rglob("*") if p.is_file()} - {"ballast"}
        if what == "cache":
            assert (done.returncode, left) == (0, set()), done.stderr
            assert b"results are not kept" in done.stderr
        else:
            assert done.returncode in (2, 3), done.stderr
            assert b"No space left" in done.stderr
            assert left <= {"report"}
            assert not left or (full / "report").read_bytes() == b""


@pytest.mark.accept
@needs_root
@pytest.mark.needs("pahole")
@pytest.mark.parametrize("size", ["16k", "200k"])
def test_no_room_for_the_work(size: str, tmp_path: Path) -> None:
    """The small kernel's BTF does not fit, or its unpacked copy."""
    import gzip

    packed = tmp_path / "vmlinux.gz"
    packed.write_bytes(gzip.compress((HERE / "tests/data/small_kernel/vmlinux").read_bytes()))
    with small(tmp_path / "full", size) as full:
        done = subprocess.run(
            [sys.executable, "-m", "btfcheck", "encode", str(packed), "--kernel", "6.12", "--output", "json"],
            cwd=HERE, env={**os.environ, "TMPDIR": str(full)}, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert list(full.iterdir()) == []
    rows = json.loads(done.stdout)["encodings"] if done.stdout else []
    assert done.returncode in (1, 3), done.stderr
    assert not any(row["accepted"] for row in rows)


@pytest.mark.accept
@needs_root
@pytest.mark.needs("unshare")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_everything_is_read_only(jobs: str, tmp_path: Path) -> None:
    private = subprocess.run([shutil.which("unshare") or "", "-m", "mount", "--make-rprivate", "/"], check=False,
                             capture_output=True)  # fmt: skip
    if private.returncode:
        pytest.skip(f"no mounts of its own here (a chroot, a container): {private.stderr.decode().strip()}")
    build = fresh(tmp_path / "build")
    script = ('mount --make-rprivate / && for m in / /tmp /dev /dev/shm /root /proc; do '
              'mount --bind -o ro "$m" "$m" 2>/dev/null; mount -o remount,bind,ro "$m" 2>/dev/null; done; '
              'cd "$0" && ! touch here 2>/dev/null && ! touch "$HOME/there" 2>/dev/null && exec "$@"')  # fmt: skip
    command = [sys.executable, "-m", "btfcheck", "gate", str(build.folder), "-j", jobs, "--cache",
               str(tmp_path / "cache"), "--no-probe"]
    done = subprocess.run(
        [shutil.which("unshare") or "", "-m", "sh", "-c", script, str(build.folder), *command],
        env={**os.environ, "PYTHONPATH": str(HERE), "HOME": str(tmp_path)}, capture_output=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"3 of 3 with BTF accepted" in done.stdout
    assert b"results are not kept" in done.stderr
    assert not (tmp_path / "cache").exists()


@pytest.mark.accept
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda n: n.name)
def test_one_of_two_on_a_cache_is_killed(number: signal.Signals, tmp_path: Path) -> None:
    run = Run(tmp_path, 2, "", 40)
    other = run.start()
    until(lambda: any((tmp_path / "cache").rglob("*.json")))
    run.process.send_signal(number)
    run.process.communicate(timeout=60)
    _, error = other.communicate(timeout=120)
    assert other.returncode == 0, error
    assert json.loads(run.report.read_text())["build"]["modules"] == 40
    again = run.start()
    again.communicate(timeout=120)
    assert (again.returncode, json.loads(run.report.read_text())["build"]["cached"]) == (0, 41)
    run.nothing_runs()
