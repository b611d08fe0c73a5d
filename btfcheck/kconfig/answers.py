# SPDX-License-Identifier: MIT
"""Answers to the $(shell,...) of Kconfig files: by rule, from the store on disk, or by running the command.

A kernel's Kconfig files ask about a hundred commands, none twice, and about the tools alone, never
about the configuration; so an answer holds as long as the tools, the scripts and the command stay.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any

from btfcheck.files import Stamp, cache_folder, stamp_of, thin_out, workplace, write_whole
from btfcheck.kconfig.compilers import passes
from btfcheck.kconfig.environment import Environment
from btfcheck.model import InputError
from btfcheck.toolchain import tools

_SECONDS = 30.0  # for one command; real ones need 0.1 s
_ROOM = 1 << 18  # bytes; what a test leaves for a moment is a tenth of that
_MOST = 4095  # bytes of output that conf reads
_TOOLS = ("CC", "LD", "AR", "NM", "OBJCOPY", "READELF", "RUSTC", "BINDGEN", "PAHOLE", "PYTHON3")
_ALSO = ("as", "ld", "sh")  # what compilers and scripts call by themselves
# Of the process's environment, what tools act upon; the rest that they see is in Environment.values.
_SEEN_BY_TOOLS = ("PATH", "RUST_LIB_SRC", "LIBCLANG_PATH", "LLVM_CONFIG_PATH", "RUSTUP_TOOLCHAIN", "RUSTUP_HOME",
                  "CPATH", "C_INCLUDE_PATH", "LIBRARY_PATH", "LD_LIBRARY_PATH", "GCC_EXEC_PREFIX", "COMPILER_PATH",
                  "BINDGEN_EXTRA_CLANG_ARGS")  # fmt: skip
_PLACES = ("srctree", "objtree", "KERNELVERSION", "O", "KBUILD_OUTPUT", "KCONFIG_CONFIG")  # not of the toolchain
# What changes when software is installed: headers, plugins, libclang, Rust's sources.
_INSTALLED = ("/etc/ld.so.cache", "/var/lib/dpkg/status", "/var/lib/rpm/rpmdb.sqlite", "/var/lib/rpm/Packages",
              "/usr/lib/sysimage/rpm/rpmdb.sqlite", "/usr/lib/sysimage/rpm/Packages.db", "/var/lib/pacman/local",
              "/lib/apk/db/installed")  # fmt: skip
_MOST_STORES = 40  # files of answers that are kept
_RUST_SOURCE = "lib/rustlib/src/rust/library/core/src/lib.rs"
_BESIDE = re.compile(rb"[\w.-]+\.(?:sh|h|c|py|pl|awk)\b")
# $(if-success,...) of scripts/Kconfig.include.
_IF_SUCCESS = re.compile(r'\{ (.*); \} >/dev/null 2>&1 && echo "(.*)" \|\| echo "(.*)"', re.S)

Rule = Callable[[str], "str | None"]


class Answers:
    """Answers commands, for one tree and one toolchain.

    With `execute` false nothing is ever run: what neither `rule` nor the store knows is taken to
    succeed, and listed in `assumed`. `ran` counts the commands that were run; `watch` is called
    with the place of each.
    """

    def __init__(
        self,
        root: str,
        environment: Environment,
        *,
        execute: bool = True,
        rule: Rule | None = None,
        folder: str | None = None,
    ) -> None:
        self.root = root
        self.environment = environment
        self.execute = execute
        self.rule = rule
        self.assumed: list[str] = []
        self.by_rule: list[str] = []
        self.ran = 0
        self.watch: Callable[[str], None] | None = None
        self.asked: dict[str, list[str]] = {}  # place -> the commands that stand there
        self._scripts: dict[str, str] = {}
        self._place = ""
        self._rooms = ExitStack()
        self._file = os.path.join(folder or cache_folder("answers"), self._identity() + ".json") if execute else ""
        self._stored = _load(self._file)
        self._new: dict[str, str] = {}

    def __call__(self, command: str, place: str) -> str:
        """The output of a command as conf takes it; InputError when it does not end or cannot be run."""
        self.asked.setdefault(place, []).append(command)
        if self.rule is not None and (said := self.rule(command)) is not None:
            self.by_rule.append(command)
            return said
        if not self.execute:
            self.assumed.append(command)
            return _taken(command)
        key = self._key(command)
        known = self._stored.get(key)
        if known is None:
            known = self._stored[key] = self._new[key] = self._run(command, place)
        return known

    def agrees(self, commands: Iterable[tuple[str, str, str]]) -> bool:
        """Whether all of these (command, place, answer) have the same answers now; if not, none counts as asked."""
        if all(self(command, place) == answer for command, place, answer in commands):
            return True
        self.asked.clear()
        self.assumed.clear()
        self.by_rule.clear()
        return False

    def reason(self, place: str) -> str:
        """What the test that stands at a place prints when it fails, which Kconfig throws away; "" for nothing."""
        for command in self.asked.get(place, ()) if self.execute else ():
            tests = _IF_SUCCESS.fullmatch(command)
            if tests is None or (self.rule is not None and self.rule(command) is not None):
                continue
            key = self._key(f"{{ {tests[1]}; }} 2>&1")
            if key not in self._stored:
                self._stored[key] = self._new[key] = self._run(f"{{ {tests[1]}; }} 2>&1", place)
                self.close()
            if self._stored[key]:
                return self._stored[key]
        return ""

    def close(self) -> None:
        """Keep the new answers on disk, and leave nothing else behind."""
        self._rooms.close()
        self._place = ""
        if self._new:
            _save(self._file, {**_load(self._file), **self._new})
            self._new = {}

    def _run(self, command: str, place: str) -> str:
        where = f"{self.root}/{place}"
        if not self._place:
            # Writable and private: cc-option makes a directory, and without it says n to everything.
            try:
                self._place = self._rooms.enter_context(workplace())
            except InputError as error:
                raise InputError(f"{where}: $(shell,...) needs a directory to write in (TMPDIR): {error}") from error
        self.ran += 1
        if self.watch is not None:
            self.watch(place)
        done = tools.run(
            ["/bin/sh", "-c", command],
            cwd=self._place,
            env={**self.environment.values, "srctree": self.root, "TMPDIR": self._place},
            timeout=_SECONDS,
        )
        if done.problem:
            raise InputError(f"{where}: $(shell,{command[:120]}): {done.problem.rsplit(': ', 1)[-1]}")
        if _full(self._place):  # then a compiler fails, and every option seems to be one that it does not know
            raise InputError(f"{where}: $(shell,{command[:120]}): the temporary directory is full (TMPDIR); "
                             "what a tool answers there cannot be relied on")
        text = done.stdout[:_MOST].rstrip(b"\n")
        return text.decode("utf-8", "surrogateescape").replace("\n", " ")

    def _key(self, command: str) -> str:
        """The command, free of where the tree lies, with what tells the scripts it names from those of other trees."""
        scripts = [self._digest(word) for word in re.findall(re.escape(self.root) + r"/[\w./-]+", command)]
        return " ".join([command.replace(self.root, "$(srctree)"), *scripts])

    def _digest(self, path: str) -> str:
        """Of a script and of the files beside it that it names: cc-version.sh asks min-tool-version.sh."""
        if path not in self._scripts:
            self._scripts[path] = "-"  # for one that names itself
            try:
                with open(path, "rb") as file:
                    text = file.read()
            except OSError:
                return "-"
            folder = os.path.dirname(path)
            beside = sorted({os.path.join(folder, os.fsdecode(name)) for name in _BESIDE.findall(text)})
            others = "".join(self._digest(other) for other in beside if os.path.isfile(other))
            self._scripts[path] = hashlib.sha256(text + others.encode()).hexdigest()[:16]
        return self._scripts[path]

    def _identity(self) -> str:
        """What tells this toolchain from others: its commands, the files they are, and their versions."""
        values = self.environment.values
        told: list[Any] = sorted((name, value) for name, value in values.items() if name not in _PLACES)
        told += [(name, os.environ.get(name, "")) for name in _SEEN_BY_TOOLS]
        words = [word for name in _TOOLS for word in tools.split(values.get(name, ""))]
        told += [_file_identity(word) for word in (*words, *_ALSO) if not word.startswith("-")]
        told += [stamp_of(path) for path in _INSTALLED]
        told.append(_rust_source(tools.split(values.get("RUSTC", ""))))
        return hashlib.sha256(json.dumps(told).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _full(folder: str) -> bool:
    """Whether what compilers write beside may not fit."""
    there = os.statvfs(folder)
    blocks = there.f_bavail if os.geteuid() else there.f_bfree
    return (there.f_blocks > 0 and blocks * there.f_frsize < _ROOM) or (there.f_files > 0 and there.f_ffree == 0)


def _file_identity(word: str) -> tuple[str, Stamp | None] | None:
    file, _ = tools.find(word)
    if not file:
        return None
    real = os.path.realpath(file)
    return real, stamp_of(real)


def _rust_source(rustc: tuple[str, ...]) -> tuple[str, Stamp | None] | None:
    """The core library's source, which scripts/rust_is_available.sh looks for."""
    file, _ = tools.find(rustc[0]) if rustc else ("", "")
    if not file:
        return None
    real = os.path.realpath(file)
    root = os.path.dirname(os.path.dirname(real))
    if not os.path.isdir(os.path.join(root, "lib/rustlib")):  # a launcher; only it knows
        root = tools.ask([*rustc, "--print", "sysroot"]).text.strip()
    source = os.environ.get("RUST_LIB_SRC") or os.path.join(root, _RUST_SOURCE)
    return source, stamp_of(source)


# Tools that grant all that Rust, BTF and LTO ask of tools in every release up to 7.3.
SUFFICIENT: Mapping[str, str] = {
    "CC_IS_CLANG": "y", "CLANG_VERSION": "220108", "GCC_VERSION": "0", "AS_IS_LLVM": "y", "AS_VERSION": "220108",
    "LD_IS_LLD": "y", "LLD_VERSION": "220108", "LD_VERSION": "0", "PAHOLE_VERSION": "130",
    "RUSTC_VERSION": "109500", "RUSTC_LLVM_VERSION": "220108", "RUST_IS_AVAILABLE": "y",
}  # fmt: skip


def by_facts(facts: Mapping[str, str | None], srcarch: str = "", flags: str = "") -> Rule:
    """Answers that follow from versions in Kconfig's own names (CLANG_VERSION ...), for tools that are not there.

    `srcarch` and `flags` as for compilers.passes.
    """
    name, number = _either(facts, ("CC_IS_CLANG", "Clang", "CLANG_VERSION"), ("CC_IS_GCC", "GCC", "GCC_VERSION"))
    told = {
        "cc-version.sh": f"{name} {number}" if number else None,
        "as-version.sh": _named(facts, ("AS_IS_LLVM", "LLVM", "AS_VERSION"), ("AS_IS_GNU", "GNU", "AS_VERSION")),
        "ld-version.sh": _named(facts, ("LD_IS_LLD", "LLD", "LLD_VERSION"), ("LD_IS_BFD", "BFD", "LD_VERSION")),
        "pahole-version.sh": facts.get("PAHOLE_VERSION"),
        "rustc-version.sh": facts.get("RUSTC_VERSION"),
        "rustc-llvm-version.sh": facts.get("RUSTC_LLVM_VERSION"),
    }

    def rule(command: str) -> str | None:
        script = re.match(r"\S+/scripts/([\w-]+\.sh)\b", command)
        if script:
            return told.get(script[1])
        word = re.fullmatch(r"set -- (.*?) && echo \$(\d)", command)
        if word:
            words = word[1].split()
            return words[int(word[2]) - 1] if 0 < int(word[2]) <= len(words) else ""
        quotient = re.fullmatch(r"expr ([0-9]+) / ([1-9][0-9]*)", command)
        if quotient:
            return str(int(quotient[1]) // int(quotient[2]))
        if "/scripts/rust_is_available.sh;" in command:
            return facts.get("RUST_IS_AVAILABLE")
        compared = _tested(command)
        tests = _IF_SUCCESS.fullmatch(command)
        if compared is not None or tests is None:
            return compared
        good = passes(tests[1], facts, srcarch, flags)
        return None if good is None else tests[2] if good else tests[3]

    return rule


def _tested(command: str) -> str | None:
    """What a $(success,test ...) that compares nothing but texts says, as for $(cc-name); None for other commands."""
    question = _IF_SUCCESS.fullmatch(command)
    if question is None:
        return None
    if empty := re.fullmatch(r'test -z "([^"$`]*)"', question[1]):
        return question[3] if empty[1] else question[2]
    if same := re.fullmatch(r'test "?([\w.-]*)"? = "?([\w.-]+)"?', question[1]):
        return question[2] if same[1] == same[2] else question[3]
    return None


_Kind = tuple[str, str, str]


def _either(facts: Mapping[str, str | None], *kinds: _Kind) -> tuple[str, str | None]:
    return next(((name, facts.get(number)) for flag, name, number in kinds if facts.get(flag) == "y"), ("", None))


def _named(facts: Mapping[str, str | None], *kinds: _Kind) -> str | None:
    name, number = _either(facts, *kinds)
    return f"{name} {number}" if number else None


def _taken(command: str) -> str:
    """What is taken for the answer of a command that may not be run: that it succeeds."""
    found = _IF_SUCCESS.fullmatch(command)
    return found[2] if found else ""


def _load(file: str) -> dict[str, str]:
    """The stored answers; none where the file is missing or damaged."""
    try:
        with open(file, encoding="utf-8", errors="surrogateescape") as stream:
            data = json.load(stream)
    except (OSError, ValueError):
        return {}
    good = isinstance(data, dict) and all(isinstance(v, str) for v in data.values())
    return data if good else {}


def _save(file: str, answers: Mapping[str, str]) -> None:
    """Write beside and rename; a store that cannot be written only costs time."""
    try:
        os.makedirs(os.path.dirname(file), mode=0o700, exist_ok=True)
        write_whole(file, json.dumps(answers, indent=0).encode("ascii"))
        thin_out(os.path.dirname(file), _MOST_STORES)
    except OSError:
        return
