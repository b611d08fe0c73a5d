# SPDX-License-Identifier: MIT
"""BTF530: is vmlinux what its configuration and its build directory would give now?

Contents decide where they can: the configuration inside the image (CONFIG_IKCONFIG), the compiler and the release that
the kernel's banner names. Times are looked at only beside the files of a real build, as make would.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from btfcheck.config import Config, read
from btfcheck.gate.places import Kernel
from btfcheck.model import InputError, Location, Outcome, Severity, Status

_FIRST = 10  # symbols that are listed
RULE = "BTF530"


class Sign(NamedTuple):
    """One reason to call vmlinux stale: what is told, the file that tells it, and details."""

    text: str
    path: str
    notes: tuple[str, ...] = ()


def staleness(vmlinux: str, config: str | None, kernel: Kernel, modules: Sequence[str], fix: str) -> list[Outcome]:
    """One outcome for vmlinux and, in a build directory, one for its modules."""
    name = os.path.basename(vmlinux)
    ok = Outcome(RULE, Status.OK, Severity.ERROR, name)
    signs = list(_signs(vmlinux, config, kernel))
    outcomes = [ok]
    if signs:
        outcomes = [ok._replace(
            status=Status.FINDING, message=f"vmlinux is stale: {'; '.join(sign.text for sign in signs)}",
            locations=(Location(vmlinux), *(Location(sign.path) for sign in signs)), fix=fix,
            notes=tuple(note for sign in signs for note in sign.notes),
        )]  # fmt: skip
    return outcomes + (_older_modules(vmlinux, modules, fix) if is_build(vmlinux) else [])


def _signs(vmlinux: str, config: str | None, kernel: Kernel) -> Iterator[Sign]:
    folder = os.path.dirname(os.path.abspath(vmlinux))
    settled = False
    if config and os.path.abspath(config) != os.path.abspath(vmlinux):
        written = read(config)
        compiler = _value(written, "CC_VERSION_TEXT")
        if compiler and kernel.banner and compiler not in kernel.banner:
            yield Sign("its compiler is not that of the configuration", config,
                       (f"configured for: {compiler}", f"built: {kernel.banner}"))
        if _value(written, "IKCONFIG") == "y" and not kernel.boot:
            settled = True
            yield from _other_config(vmlinux, config, written)
    if not is_build(vmlinux):
        return
    release = _line(os.path.join(folder, "include/config/kernel.release"))
    if release and kernel.uname and release != kernel.uname:
        place = os.path.join(folder, "include/config/kernel.release")
        yield Sign(f"it is {kernel.uname}, the build directory {release}", place)
    # .config and auto.conf say the same as what is inside; vmlinux.o is newer when the last link did not end.
    parts = ["vmlinux.o"] if settled else [".config", "include/config/auto.conf", "vmlinux.o"]
    if config and os.path.abspath(config) != os.path.join(folder, ".config"):
        parts = [part for part in parts if part != ".config"]
    newer = [part for part in parts if _time(os.path.join(folder, part)) > _time(vmlinux)]
    if newer:
        yield Sign(f"older than {', '.join(newer)}", os.path.join(folder, newer[0]))


def is_build(vmlinux: str) -> bool:
    """Whether make built it here; packages and copies have no such files beside it."""
    folder = os.path.dirname(os.path.abspath(vmlinux))
    return os.path.basename(vmlinux) == "vmlinux" and any(
        os.path.isfile(os.path.join(folder, name)) for name in (".config", "vmlinux.o", "include/config/auto.conf")
    )


def _other_config(vmlinux: str, config: str, written: Config) -> Iterator[Sign]:
    try:
        inside = read(vmlinux)
    except InputError:
        yield Sign("it has no configuration inside, and CONFIG_IKCONFIG=y", config)
        return
    names = sorted(written.words.keys() | inside.words.keys())
    other = [n for n in names if _word(written, n) != _word(inside, n)]
    if other:
        notes = [f"CONFIG_{n}: {_word(inside, n)} inside, {_word(written, n)} in {config}" for n in other[:_FIRST]]
        more = (f"and {len(other) - _FIRST} more",) if len(other) > _FIRST else ()
        yield Sign(f"{len(other)} symbols differ from the configuration inside it", config, (*notes, *more))


def _word(config: Config, name: str) -> str:
    return config.words.get(name, "n")


def _value(config: Config, name: str) -> str:
    fact = config.get(name)
    return (fact.value or "") if fact else ""


def _older_modules(vmlinux: str, modules: Sequence[str], fix: str) -> list[Outcome]:
    """make writes a module's BTF anew when vmlinux is newer, for its ids are those of vmlinux."""
    mine = _time(vmlinux)
    older = [path for path in modules if _time(path) < mine]
    if not modules:
        return []
    outcome = Outcome(RULE, Status.OK, Severity.WARNING, "modules", key="modules")
    if not older:
        return [outcome]
    return [outcome._replace(
        status=Status.FINDING, fix=fix, locations=(Location(vmlinux), Location(older[0])),
        message=f"{len(older)} of {len(modules)} modules are older than vmlinux: their BTF was made on the one before",
        notes=(", ".join(os.path.basename(path) for path in older[:_FIRST]),),
    )]  # fmt: skip


def _time(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _line(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.readline().strip()
    except OSError:
        return ""
