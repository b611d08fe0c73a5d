# SPDX-License-Identifier: MIT
"""Make variables -> commands, and the one place in the project that starts processes.

The variables mean what they mean to the kernel's own make (Documentation/kbuild/
{kbuild,llvm}.rst and the top Makefile of 6.1 to 7.3). A process is started without a
shell, in a session of its own, with bounds on time, memory and output, and is gone,
children included, when `run` returns or is interrupted.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import selectors
import shlex
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from time import monotonic, sleep
from types import MappingProxyType

# ---------------------------------------------------------------- make variables

ARGUMENT, ENVIRONMENT, DEFAULT = "argument", "environment", "default"

# Program name by make variable: (GNU, gets the CROSS_COMPILE prefix), (LLVM, gets
# LLVM='s prefix or suffix).
_SUITE = {
    "CC": ("gcc", "clang"),
    "LD": ("ld", "ld.lld"),
    "AR": ("ar", "llvm-ar"),
    "NM": ("nm", "llvm-nm"),
    "OBJCOPY": ("objcopy", "llvm-objcopy"),
    "READELF": ("readelf", "llvm-readelf"),
}
_ALONE = {"RUSTC": "rustc", "BINDGEN": "bindgen", "PAHOLE": "pahole"}
_SETTINGS = (
    "ARCH", "CROSS_COMPILE", "LLVM", "LLVM_IAS", "O", "KBUILD_OUTPUT", "KCONFIG_CONFIG", "RUST_LIB_SRC",
)

TOOLS = (*_SUITE, *_ALONE, "RESOLVE_BTFIDS")

# The top Makefile assigns these itself (`CC = $(CROSS_COMPILE)gcc`) or asks for
# `$(origin O)` = command line, so that the environment does not reach make.
_COMMAND_LINE_ONLY = (*TOOLS, "O")


@dataclass(frozen=True)
class Toolchain:
    """What make would run.

    `commands` has argv beginnings by variable (TOOLS), `settings` the other variables
    that were given (never invented: no ARCH is taken from the host), `origins` says
    where each value came from (ARGUMENT, ENVIRONMENT, DEFAULT).
    """

    commands: Mapping[str, tuple[str, ...]]
    settings: Mapping[str, str]
    origins: Mapping[str, str]

    @property
    def build_dir(self) -> str:
        """The output directory: O, else KBUILD_OUTPUT, else "." """
        return self.settings.get("O") or self.settings.get("KBUILD_OUTPUT") or "."

    @property
    def config_name(self) -> str:
        """KCONFIG_CONFIG, by default `.config`."""
        return self.settings.get("KCONFIG_CONFIG") or ".config"

    @property
    def llvm_valid(self) -> bool:
        """Whether LLVM= has a value that every release takes.

        Any other non-empty one, `LLVM=0` included, means 1 to kernels up to 6.12 at
        least; 7.2 and 7.3 stop with "Invalid value for LLVM" (top Makefile).
        """
        value = self.settings.get("LLVM", "")
        return value in ("", "1") or value.startswith("-") or value.endswith("/")

    @property
    def unseen_by_make(self) -> dict[str, str]:
        """Variables that were taken from the environment, where the kernel's make does not look."""
        return {
            name: self.settings[name] if name in self.settings else show(self.commands[name])
            for name in _COMMAND_LINE_ONLY if self.origins.get(name) == ENVIRONMENT
        }

    @property
    def integrated_assembler(self) -> bool:
        """Whether clang assembles by itself: always, unless LLVM_IAS=0."""
        return self.settings.get("LLVM_IAS") != "0"

    def assembler(self, clang: bool) -> tuple[str, ...]:
        """The compiler command with the flags that make it run an assembler of its own.

        For clang these are what scripts/Makefile.clang adds under LLVM_IAS=0: the
        assembler is the one beside CROSS_COMPILE's tools.
        """
        command = self.commands["CC"]
        if not clang:
            return command
        cross = self.settings.get("CROSS_COMPILE", "")
        if not cross:
            return (*command, "-fno-integrated-as")
        folder = os.path.dirname(shutil.which(f"{cross}elfedit") or shutil.which(f"{cross}as") or cross)
        name = os.path.basename(cross)
        return (*command, f"--target={name.rstrip('-')}", f"--prefix={os.path.join(folder, name)}",
                "-fno-integrated-as")


def resolve(variables: Mapping[str, str], environ: Mapping[str, str] | None = None) -> Toolchain:
    """The toolchain that VAR=VALUE arguments and, where they are silent, the environment choose."""
    environ = os.environ if environ is None else environ
    given, origins = {}, {}
    for name in (*TOOLS, *_SETTINGS):
        if name in variables:
            given[name], origins[name] = variables[name], ARGUMENT
        elif environ.get(name):
            given[name], origins[name] = environ[name], ENVIRONMENT

    llvm, cross = given.get("LLVM", ""), given.get("CROSS_COMPILE", "")
    prefix = llvm if llvm.endswith("/") else ""
    suffix = llvm if llvm.startswith("-") and not prefix else ""
    defaults = {
        name: f"{prefix}{theirs}{suffix}" if llvm else f"{cross}{gnu}"
        for name, (gnu, theirs) in _SUITE.items()
    }
    out = given.get("O") or given.get("KBUILD_OUTPUT") or "."
    defaults |= _ALONE
    defaults["RESOLVE_BTFIDS"] = os.path.join(out, "tools/bpf/resolve_btfids/resolve_btfids")
    commands = {name: split(given.get(name, defaults[name])) for name in TOOLS}
    origins |= {name: DEFAULT for name in TOOLS if name not in given}
    settings = {name: given[name] for name in _SETTINGS if name in given}
    return Toolchain(MappingProxyType(commands), MappingProxyType(settings), MappingProxyType(origins))


def split(command: str) -> tuple[str, ...]:
    """A command as make's shell would split it ("ccache clang"); nothing is expanded but a leading ~."""
    try:
        words = shlex.split(command)
    except ValueError:  # a quote without its partner: no shell would run it, name it as it stands
        words = command.split()
    return (os.path.expanduser(words[0]), *words[1:]) if words else ()


# ---------------------------------------------------------------- processes

MEBIBYTE = 1 << 20
_TICK = 0.1  # s between looks at the things that a pipe does not tell
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Completed:
    """What came of one process.

    `problem` is empty when it ended by itself with an exit status, and else says why
    there is nothing to rely on (not found, not executable, killed by a signal, timed
    out, printed too much); `status` is None then. `started` is false when it never ran.
    `cpu` (s, user + system) and `peak` (bytes resident, of the largest process; never
    below this program's own, from which it was forked) include its children.
    """

    argv: tuple[str, ...]
    status: int | None = None
    stdout: bytes = b""
    stderr: bytes = b""
    problem: str = ""
    started: bool = False
    seconds: float = 0.0
    cpu: float = 0.0
    peak: int = 0

    @property
    def ok(self) -> bool:
        return self.status == 0

    @property
    def missing(self) -> bool:
        """There is no such program (rather than one that does not work)."""
        return self.problem.endswith((_NOT_FOUND, _NO_FILE))

    @property
    def text(self) -> str:
        return decode(self.stdout)

    @property
    def error_text(self) -> str:
        return decode(self.stderr)

    @property
    def reason(self) -> str:
        """Why this is no success, in one line; empty for exit status 0."""
        if self.problem or self.ok:
            return self.problem
        lines = (self.error_text or self.text).splitlines()
        said = next((line.strip() for line in lines if line.strip()), "")
        return f"{show(self.argv)}: exit status {self.status}" + (f": {said[:200]}" if said else "")


_NOT_FOUND = "not found in PATH"
_NO_FILE = "no such file"


def decode(data: bytes) -> str:
    """Tool output as text; bytes that are not UTF-8 stay visible as \\xNN."""
    return data.decode("utf-8", "backslashreplace")


def show(argv: Sequence[str]) -> str:
    """A command line that a shell would take."""
    return shlex.join(argv)


def find(name: str, path: str | None = None) -> tuple[str, str]:
    """(the file that runs as `name`, "") or ("", why there is none)."""
    if not name:
        return "", "no command given"
    if found := shutil.which(name, path=path):
        return found, ""
    search = "" if os.path.dirname(name) else path or os.environ.get("PATH") or os.defpath
    for folder in search.split(os.pathsep):
        candidate = os.path.join(folder, name)
        if os.path.isfile(candidate):
            return "", f"{candidate}: not executable"
        if os.path.exists(candidate) and os.path.dirname(name):
            return "", f"{candidate}: not a file that can be executed"
    return "", f"{name}: {_NO_FILE if os.path.dirname(name) else _NOT_FOUND}"


def run(
    argv: Sequence[str],
    *,
    timeout: float = 10.0,
    memory: int | None = None,
    output: int = MEBIBYTE,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    stdin: bytes = b"",
    cancel: threading.Event | None = None,
    tied: bool = False,
    only: bytes = b"",
) -> Completed:
    """Run a program to its end, or to the first bound that it breaks.

    timeout  s of wall time.
    memory   bytes of address space of each process; None for no bound.
    output   bytes of stdout and stderr together; what came until then is kept.
    env      additions to this process's environment (LC_ALL=C is always set).
    cancel   when set by another thread, the program is stopped within 0.3 s.
    tied     for what runs long: it ends also when this process is killed by SIGKILL, which
             leaves no chance to end it (done by util-linux' setpriv, where that is there).
    only     keep only the lines that contain this; then `output` bounds these.

    A bad tool never raises, see Completed.problem. KeyboardInterrupt passes through
    after the program and everything in its process group is dead.
    """
    words = tuple(argv)
    environment = {**os.environ, "LC_ALL": "C", **(env or {})}
    file, problem = find(words[0] if words else "", environment.get("PATH"))
    if problem:
        return Completed(words, problem=problem)
    begin = monotonic()
    process: subprocess.Popen[bytes] | None = None
    try:
        with _signals_deferred():
            process = subprocess.Popen(
                *_start(words, os.path.abspath(file), tied), cwd=cwd, env=environment,
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            )
        _limit(process.pid, memory)
        watch = _Watch(process, begin + timeout, output, cancel, only)
        stopped = watch.pump(stdin) or watch.wait()
        status, usage = _end(process)
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in a word
        return Completed(words, problem=_not_started(file, cwd, error))
    finally:
        if process is not None and process.returncode is None:
            _end(process)
    problem = {
        _TIMED_OUT: f"timed out after {timeout:g} s",
        _TOO_MUCH: f"printed more than {output} bytes",
        _CANCELLED: "interrupted",
    }.get(stopped, f"killed by {_signal_name(-status)}" if status < 0 else "")
    return Completed(
        words, None if problem else status, bytes(watch.stdout), bytes(watch.stderr),
        f"{show(words)}: {problem}" if problem else "", True,
        monotonic() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024,
    )


def _start(words: tuple[str, ...], file: str, tied: bool) -> tuple[tuple[str, ...], int, str]:
    """The first three arguments of Popen: argv, its bufsize (unbuffered), the file to execute."""
    if tied and (guard := shutil.which("setpriv")):
        return (guard, "--pdeathsig", "KILL", "--", file, *words[1:]), 0, guard
    return words, 0, file


_PATIENCE = 0.2  # s for a program that is to end by itself
_TIMED_OUT, _TOO_MUCH, _CANCELLED = "time", "output", "cancel"


class _Watch:
    """Feeds and reads one process until it ends or breaks a bound; names the bound."""

    def __init__(
        self, process: subprocess.Popen[bytes], deadline: float, output: int, cancel: threading.Event | None,
        only: bytes = b"",
    ) -> None:
        self.process, self.deadline, self.room, self.cancel = process, deadline, output, cancel
        self.stdout, self.stderr = bytearray(), bytearray()
        self.only, self.begun = only, dict[int, bytes]()

    def broken(self) -> str:
        if self.cancel is not None and self.cancel.is_set():
            return _CANCELLED
        return _TIMED_OUT if monotonic() >= self.deadline else ""

    def pump(self, stdin: bytes) -> str:
        """Move bytes until both outputs are closed, or the process ended and left them to a child."""
        process, rest = self.process, memoryview(stdin)
        assert process.stdout is not None
        assert process.stderr is not None
        sinks = {process.stdout.fileno(): self.stdout, process.stderr.fileno(): self.stderr}
        with selectors.DefaultSelector() as selector:
            for fd in sinks:
                selector.register(fd, selectors.EVENT_READ)
            if process.stdin is not None:
                os.set_blocking(process.stdin.fileno(), False)
                selector.register(process.stdin.fileno(), selectors.EVENT_WRITE)
            over = False
            while sinks:
                if why := self.broken():
                    return why
                events = selector.select(0 if over else max(0.0, min(_TICK, self.deadline - monotonic())))
                if not events:
                    if over:
                        return ""
                    over = _ended(self.process)  # it may have written since; that is still to be read
                for key, _ in events:
                    if key.fd not in sinks:
                        rest = _feed(process, rest)
                        if not rest:
                            selector.unregister(key.fd)
                            process.stdin.close()  # type: ignore[union-attr]
                    elif data := os.read(key.fd, _CHUNK):
                        if self.only:
                            data = self.wanted(key.fd, data)
                        sinks[key.fd] += data[: self.room]
                        if len(data) > self.room:
                            return _TOO_MUCH
                        self.room -= len(data)
                    else:
                        selector.unregister(key.fd)
                        del sinks[key.fd]
        return ""

    def wanted(self, fd: int, data: bytes) -> bytes:
        """The whole lines with `only` in them; what has no end yet waits for its rest."""
        data = self.begun.get(fd, b"") + data
        end = data.rfind(b"\n") + 1
        self.begun[fd] = data[end:][-_CHUNK:]
        if self.only not in data:
            return b""
        return b"".join(line for line in data[:end].splitlines(True) if self.only in line)

    def wait(self) -> str:
        """Wait for the end; a process that closed its outputs mostly has ended already."""
        pause = 0.0005
        while not _ended(self.process):
            if why := self.broken():
                return why
            sleep(pause)
            pause = min(pause * 2, _TICK)
        return ""


def _ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has ended; it is not reaped."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _feed(process: subprocess.Popen[bytes], rest: memoryview) -> memoryview:
    assert process.stdin is not None
    try:
        return rest[os.write(process.stdin.fileno(), rest[:_CHUNK]):]
    except BrokenPipeError:  # it does not want the rest
        return rest[:0]


def _end(process: subprocess.Popen[bytes]) -> tuple[int, resource.struct_rusage]:
    """Kill what is left of the process group, reap the process: (exit status or -signal, what it used).

    In this order: as long as the process is not reaped its number cannot belong to another group.
    One that still runs is asked first: a compiler then takes its temporary files away.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if not _ended(process):
            os.killpg(process.pid, signal.SIGTERM)
            patience = monotonic() + _PATIENCE
            while not _ended(process) and monotonic() < patience:
                sleep(0.002)
        os.killpg(process.pid, signal.SIGKILL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    return process.returncode, usage


def _limit(pid: int, memory: int | None) -> None:
    """Bounds that the kernel keeps, set from outside: code between fork and exec is unsafe with threads."""
    bounds = {resource.RLIMIT_CORE: 0}
    if memory is not None:
        bounds[resource.RLIMIT_AS] = memory
    for kind, most in bounds.items():
        with contextlib.suppress(OSError, ValueError):  # ended already, or a stricter hard limit
            resource.prlimit(pid, kind, (most, most))


@contextlib.contextmanager
def _signals_deferred() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back for a moment, so that no process is started and then forgotten."""
    if threading.current_thread() is not threading.main_thread():  # Python delivers signals there only
        yield
        return
    pending: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {n: signal.signal(n, lambda number, _: pending.append(number)) for n in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in pending:
            signal.raise_signal(late)


def _not_started(file: str, cwd: str | None, error: OSError | ValueError) -> str:
    if cwd is not None and not os.path.isdir(cwd):
        return f"{file}: cannot be run in {cwd}: no such directory"
    if isinstance(error, OSError):
        if error.errno == errno.ENOENT:
            return f"{file}: cannot be run: its interpreter or loader is missing"
        return f"{file}: cannot be run: {error.strerror}"
    return f"{file}: cannot be run: {error}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


# ---------------------------------------------------------------- questions

# With it glibc's loader says which libraries it takes; of pahole's, libdw matters.
TOLD_BY_LOADER = {"LD_DEBUG": "libs"}
_Question = tuple[tuple[str, ...], tuple[tuple[str, str], ...], bytes, "str | None", "str | None"]
_answers: dict[_Question, Future[Completed]] = {}
_lock = threading.Lock()


def ask(
    argv: Sequence[str],
    *,
    timeout: float = 10.0,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    cancel: threading.Event | None = None,
) -> Completed:
    """`run` for what has the same answer every time (`--version`): once per process and command line."""
    key = (tuple(argv), tuple(sorted((env or {}).items())), stdin, os.environ.get("PATH"), _here())
    with _lock:
        answer = _answers.get(key)
        mine = answer is None
        if answer is None:
            answer = _answers[key] = Future()
    if not mine:
        return answer.result()
    try:
        result = run(argv, timeout=timeout, env=env, stdin=stdin, cancel=cancel)
    except BaseException as error:
        with _lock:
            del _answers[key]
        answer.set_exception(error)
        raise
    if cancel is not None and cancel.is_set():
        with _lock:
            del _answers[key]
    answer.set_result(result)
    return result


def _here() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None


def answers() -> list[Completed]:
    """Every question asked so far that has its answer, in the order of asking."""
    with _lock:
        return [f.result() for f in _answers.values() if f.done() and f.exception() is None]


def forget() -> None:
    """Ask everything anew (a tool was replaced)."""
    with _lock:
        _answers.clear()
