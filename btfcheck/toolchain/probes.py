# SPDX-License-Identifier: MIT
"""The live toolchain as facts, in the names and integers that Kconfig records.

Each tool is asked by a function of its own, all at once, each within the time limit;
what a tool does not tell is an unknown fact with the reason. Sources: scripts/
Kconfig.include, init/Kconfig, arch/Kconfig, scripts/rust_is_available.sh (6.12 to 7.3).
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from time import monotonic

from btfcheck.model import Fact, Location
from btfcheck.toolchain import versions
from btfcheck.toolchain.tools import TOLD_BY_LOADER, Completed, Toolchain, ask, resolve, show
from btfcheck.toolchain.versions import Unreadable, Version

TIMEOUT = 10.0  # s, for all questions to one tool together


class Session:
    """One tool's turn: asks within the tool's time, and stops asking a tool that hangs."""

    def __init__(self, toolchain: Toolchain, timeout: float, cancel: threading.Event) -> None:
        self.toolchain = toolchain
        self.timeout = timeout
        self.cancel = cancel
        self.deadline = monotonic() + timeout
        self.hung: Completed | None = None

    def ask(self, *argv: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Completed:
        if self.hung is not None:
            return Completed(argv, problem=self.hung.problem)
        left = max(0.1, self.deadline - monotonic())
        done = ask(argv, timeout=left, stdin=stdin, env=env, cancel=self.cancel)
        if done.started and done.status is None:
            self.hung = done
        return done


Value = str | None
Facts = Iterator[Fact]


def _known(name: str, value: str, done: Completed, said: str = "", reason: str = "") -> Fact:
    return Fact(name, value, Location(show(done.argv), text=said), True, reason)


def _unknown(name: str, done: Completed, reason: str = "") -> Fact:
    return Fact(name, None, Location(show(done.argv)), True, reason or done.reason)


def _read(name: str, done: Completed, reading: versions.Reading, said: str = "") -> Fact:
    """The fact of a version's number, or unknown because the tool failed or its text is unreadable."""
    if not done.ok:
        return _unknown(name, done)
    if isinstance(reading, Unreadable):
        return _unknown(name, done, f"{show(done.argv)}: {reading.reason}")
    return _known(name, str(reading.number), done, said or _first(done.text))


def _first(text: str) -> str:
    return text.strip().partition("\n")[0].strip()


def _yes(value: bool) -> str:
    return "y" if value else "n"


# ---------------------------------------------------------------- pahole


def _pahole(session: Session) -> Facts:
    command = session.toolchain.commands["PAHOLE"]
    version, loader = _apart(session.ask(*command, "--version", env=TOLD_BY_LOADER))
    if version.missing:
        # pahole-version.sh prints 0, and that is what .config records.
        yield _known("PAHOLE_VERSION", "0", version, reason=version.reason)
        yield _unknown("PAHOLE_MAJOR", version)
    else:
        reading = versions.pahole(version.text)
        yield _read("PAHOLE_VERSION", version, reading)
        yield _pahole_major(version, reading)
    yield _has_lang_exclude(session.ask(*command, "--lang_exclude=rust", "--version"))
    yield _btf_features(session.ask(*command, "--supported_btf_features"))
    yield _elfutils(version, loader)


def _apart(done: Completed) -> tuple[Completed, str]:
    """What a tool said for itself, and what glibc's loader said before it ("  PID:\t...") under LD_DEBUG."""
    said: dict[bool, list[str]] = {True: [], False: []}
    for line in done.error_text.splitlines(keepends=True):
        said[re.match(r" *\d+:\t", line) is not None].append(line)
    return replace(done, stderr="".join(said[False]).encode()), "".join(said[True])


def _pahole_major(done: Completed, reading: versions.Reading) -> Fact:
    """The number before the point, which the kernel's script silently joins with the rest."""
    if done.ok and isinstance(reading, Version):
        return _known("PAHOLE_MAJOR", reading.clean.partition(".")[0], done, _first(done.text))
    return _unknown("PAHOLE_MAJOR", done, _read("", done, reading).reason)


def _refuses_option(done: Completed) -> bool:
    """argp's words, glibc's and the standalone one's alike, and its EX_USAGE."""
    return done.status not in (0, None) and bool(
        re.search("(unrecognized|unknown|invalid|illegal) option", done.error_text)
    )


def _has_lang_exclude(done: Completed) -> Fact:
    """Whether the option is taken: distributions carry it back, so that the version does not say."""
    name = "PAHOLE_HAS_LANG_EXCLUDE"
    if done.ok and isinstance(versions.pahole(done.text), Version):
        return _known(name, "y", done, _first(done.text))
    if _refuses_option(done):
        return _known(name, "n", done, _first(done.error_text))
    return _unknown(name, done, done.reason or f"{show(done.argv)}: printed {versions.quoted(done.text)}")


def _btf_features(done: Completed) -> Fact:
    """Comma-separated, empty for a pahole before --btf_features (1.26)."""
    name = "PAHOLE_BTF_FEATURES"
    if _refuses_option(done):
        return _known(name, "", done, _first(done.error_text), "this pahole has no --btf_features")
    if not done.ok:
        return _unknown(name, done)
    names = versions.features(done.text)
    if isinstance(names, Unreadable):
        return _unknown(name, done, f"{show(done.argv)}: {names.reason}")
    return _known(name, ",".join(names), done, _first(done.text))


def _elfutils(done: Completed, loader: str) -> Fact:
    """The release of the libdw that is really loaded.

    glibc's loader names the file (LD_DEBUG=libs), also behind a wrapper script, and
    elfutils installs the library under a name that has the release in it.
    """
    name = "PAHOLE_ELFUTILS_VERSION"
    if not done.ok:
        return _unknown(name, done)
    if found := re.search(r"calling init: (\S*/libdw\.so\S*)", loader):
        file = os.path.realpath(found[1])
        reading = versions.elfutils(os.path.basename(file))
        if isinstance(reading, Version):
            return _known(name, str(reading.number), done, f"loads {file}")
        return _unknown(name, done, f"{show(done.argv)}: loads {file}, whose name tells no elfutils release")
    reason = "the loader does not say which libdw it loads (static, or not glibc's loader)"
    return _unknown(name, done, f"{show(done.argv)}: {reason}")


# ---------------------------------------------------------------- Rust


def _rustc(session: Session) -> Facts:
    command = session.toolchain.commands["RUSTC"]
    done = session.ask(*command, "-vV")
    if done.missing:
        yield _known("RUSTC_VERSION", "0", done, reason=done.reason)  # as rustc-version.sh prints
        yield _unknown("RUSTC_VERSION_TEXT", done)
    else:
        reading = versions.rustc(done.text)
        yield _read("RUSTC_VERSION", done, reading)
        if done.ok and isinstance(reading, Version):
            yield _known("RUSTC_VERSION_TEXT", _first(done.text), done, _first(done.text))
        else:
            yield _unknown("RUSTC_VERSION_TEXT", done, _read("", done, reading).reason)
    llvm = next((line for line in done.text.splitlines() if line.startswith("LLVM")), "")
    yield _read("RUSTC_LLVM_VERSION", done, versions.rustc_llvm(done.text), llvm)
    yield _rust_src(session, command)


def _rust_src(session: Session, command: tuple[str, ...]) -> Fact:
    """Whether the source of `core` is where the kernel's build looks for it."""
    name = "RUST_SRC"
    place = Location("RUST_LIB_SRC")
    folder = session.toolchain.settings.get("RUST_LIB_SRC", "")
    if not folder:
        done = session.ask(*command, "--print", "sysroot")
        root = done.text.strip()
        if not done.ok or not os.path.isdir(root):
            reason = done.reason or f"{show(done.argv)}: {versions.quoted(root)} is no directory"
            return _unknown(name, done, reason)
        place = Location(show(done.argv))
        folder = os.path.join(root, "lib/rustlib/src/rust/library")
    file = os.path.join(folder, "core/src/lib.rs")
    there = os.path.exists(file)
    place = Location(place.path, text=file)
    return Fact(name, _yes(there), place, True, "" if there else "there is no such file")


def _bindgen(session: Session) -> Facts:
    command = session.toolchain.commands["BINDGEN"]
    # bindgen 0.69.0 wants a header even for --version; the kernel gives it this one.
    done = session.ask(*command, "--version", "workaround-for-0.69.0")
    found = _yes(not done.missing)
    yield _known("BINDGEN_FOUND", found, done, reason=done.reason if done.missing else "")
    reading = versions.bindgen(done.text)
    yield _read("BINDGEN_VERSION", done, reading)
    if done.ok and isinstance(reading, Version):
        yield _known("BINDGEN_VERSION_TEXT", _first(done.text), done, _first(done.text))
    else:
        yield _unknown("BINDGEN_VERSION_TEXT", done, _read("", done, reading).reason)
    yield _libclang(session, command, done)


_HEADER = os.path.join(os.path.dirname(__file__), "libclang.h")


def _libclang(session: Session, command: tuple[str, ...], version: Completed) -> Fact:
    """The libclang that bindgen loads, which is not always that of the clang in PATH."""
    name = "BINDGEN_LIBCLANG_VERSION"
    if version.status is None:
        return _unknown(name, version)
    done = session.ask(*command, _HEADER)
    shown = replace(done, argv=(*command, os.path.basename(_HEADER)))
    said = next((line for line in done.error_text.splitlines() if "clang version" in line), "")
    return _read(name, shown, versions.libclang(done.error_text), said.rpartition(": ")[2])


# ---------------------------------------------------------------- compiler, linker, assembler


def _cc(session: Session) -> Facts:
    command = session.toolchain.commands["CC"]
    text = session.ask(*command, "--version")
    if text.ok and _first(text.text):
        # `#` is taken out by the top Makefile, which would read a comment there.
        yield _known("CC_VERSION_TEXT", _first(text.text).replace("#", ""), text, _first(text.text))
    else:
        yield _unknown("CC_VERSION_TEXT", text, text.reason or f"{show(text.argv)}: printed nothing")
    done = session.ask(*command, "-E", "-P", "-x", "c", "-", stdin=versions.MACROS)
    reading = versions.compiler(done.text)
    kinds = {"GCC": ("CC_IS_GCC", "GCC_VERSION"), "Clang": ("CC_IS_CLANG", "CLANG_VERSION")}
    yield from _kinds(done, reading, kinds)
    yield from _as(session, done, reading)


def _ld(session: Session) -> Facts:
    done = session.ask(*session.toolchain.commands["LD"], "--version")
    kinds = {"BFD": ("LD_IS_BFD", "LD_VERSION"), "LLD": ("LD_IS_LLD", "LLD_VERSION")}
    yield from _kinds(done, versions.linker(done.text), kinds)


def _as(session: Session, cc: Completed, compiler: versions.Reading) -> Facts:
    """The assembler behind the compiler; clang's own one has clang's version."""
    kinds = {"GNU": ("AS_IS_GNU", "AS_VERSION"), "LLVM": ("AS_IS_LLVM", "AS_VERSION")}
    clang = isinstance(compiler, Version) and compiler.kind == "Clang"
    if not cc.ok or isinstance(compiler, Unreadable):
        yield from _kinds(cc, compiler, kinds)
        return
    if clang and session.toolchain.integrated_assembler:
        yield from _kinds(cc, replace(compiler, kind="LLVM"), kinds)
        return
    command = session.toolchain.assembler(clang)
    argv = (*command, "-Wa,--version", "-c", "-x", "assembler-with-cpp", os.devnull, "-o", os.devnull)
    done = session.ask(*argv)
    yield from _kinds(done, versions.assembler(done.text), kinds)


def _kinds(done: Completed, reading: versions.Reading, kinds: Mapping[str, tuple[str, str]]) -> Facts:
    """X_IS_A, A_VERSION, X_IS_B, B_VERSION: what is not there has version 0, as in .config."""
    said = _first(done.text)
    numbers: dict[str, Fact] = {}
    for kind, (is_kind, number) in kinds.items():
        if not done.ok or isinstance(reading, Unreadable):
            yield _read(is_kind, done, reading)
            numbers[number] = _read(number, done, reading)
            continue
        mine = reading.kind == kind
        yield _known(is_kind, _yes(mine), done, said)
        if mine or number not in numbers:
            numbers[number] = _known(number, str(reading.number if mine else 0), done, said)
    yield from numbers.values()


def _ar(session: Session) -> Facts:
    yield _is_llvm("LLVM_AR", session.ask(*session.toolchain.commands["AR"], "--help"))


def _nm(session: Session) -> Facts:
    yield _is_llvm("LLVM_NM", session.ask(*session.toolchain.commands["NM"], "--help"))


def _is_llvm(name: str, done: Completed) -> Fact:
    """As LTO_CLANG's clauses ask: does the first line of --help speak of LLVM?"""
    if not done.ok:
        return _unknown(name, done)
    return _known(name, _yes("llvm" in _first(done.text).lower()), done, _first(done.text))


def _make(session: Session) -> Facts:
    """What make itself thinks of its variables; no tool is run."""
    toolchain = session.toolchain
    value = toolchain.settings.get("LLVM", "")
    source = Location("make variables", text=f"LLVM={value}")
    reason = "" if toolchain.llvm_valid else (
        f"LLVM={value} means LLVM=1 to kernels up to 6.12 at least, and stops make in 7.2 and later"
    )
    yield Fact("LLVM_VALUE_VALID", _yes(toolchain.llvm_valid), source, True, reason)


# ---------------------------------------------------------------- all of them

@dataclass(frozen=True)
class Probe:
    """One tool: the make variable that names it, who asks it, the facts that come of it."""

    tool: str
    ask: Callable[[Session], Facts]
    names: tuple[str, ...]


# In the order in which the facts are shown.
PROBES = (
    Probe("PAHOLE", _pahole, (
        "PAHOLE_VERSION", "PAHOLE_MAJOR", "PAHOLE_HAS_LANG_EXCLUDE", "PAHOLE_BTF_FEATURES",
        "PAHOLE_ELFUTILS_VERSION")),
    Probe("RUSTC", _rustc, ("RUSTC_VERSION", "RUSTC_VERSION_TEXT", "RUSTC_LLVM_VERSION", "RUST_SRC")),
    Probe("BINDGEN", _bindgen, (
        "BINDGEN_FOUND", "BINDGEN_VERSION", "BINDGEN_VERSION_TEXT", "BINDGEN_LIBCLANG_VERSION")),
    Probe("CC", _cc, (
        "CC_VERSION_TEXT", "CC_IS_GCC", "CC_IS_CLANG", "GCC_VERSION", "CLANG_VERSION",
        "AS_IS_GNU", "AS_IS_LLVM", "AS_VERSION")),
    Probe("LD", _ld, ("LD_IS_BFD", "LD_IS_LLD", "LD_VERSION", "LLD_VERSION")),
    Probe("AR", _ar, ("LLVM_AR",)),
    Probe("NM", _nm, ("LLVM_NM",)),
    Probe("LLVM", _make, ("LLVM_VALUE_VALID",)),
)
NAMES = tuple(name for probe in PROBES for name in probe.names)


def probe(
    variables: Mapping[str, str],
    *,
    only: Iterable[str] | None = None,
    timeout: float = TIMEOUT,
    environ: Mapping[str, str] | None = None,
) -> dict[str, Fact]:
    """Live facts by name (NAMES, or those of `only`), unknown ones included with the reason.

    `variables` are make's VAR=VALUE arguments. Only the tools that the wanted facts need
    are run, side by side; `timeout` (s) bounds each tool and so the whole. Interrupted
    (KeyboardInterrupt), it leaves no process behind.
    """
    wanted = set(NAMES if only is None else only)
    toolchain = resolve(variables, environ)
    chosen = [tool.ask for tool in PROBES if wanted & set(tool.names)]
    if not chosen:
        return {}
    cancel = threading.Event()

    def turn(asking: Callable[[Session], Facts]) -> list[Fact]:
        return list(asking(Session(toolchain, timeout, cancel)))

    with ThreadPoolExecutor(len(chosen), thread_name_prefix="probe") as pool:
        try:
            found = [fact for facts in pool.map(turn, chosen) for fact in facts]
        finally:
            cancel.set()
    by_name = {fact.name: fact for fact in found}
    return {name: by_name[name] for name in NAMES if name in wanted}
