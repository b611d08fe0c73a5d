# SPDX-License-Identifier: MIT
"""What this pahole really does to Rust: shown by giving it tiny files and looking at the BTF.

A version says less: distributions patch, and a pahole from git has the number of the last
release. What is asked (numbers of pahole releases where the answer is known to change):

    PAHOLE_EXCLUDES_RUST         one C unit, then one Rust unit, not merged      1.24: y
    PAHOLE_EXCLUDES_RUST_MERGED  the same with the kernel's LTO note = merged    1.28: y
    PAHOLE_ENCODES_RUST_FIRST    merged, the Rust unit first: does C come out?   never yet
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import monotonic

from btfcheck.btf.fault import Refused
from btfcheck.btf.header import read_sections
from btfcheck.btf.releases import NEWEST, rules_for
from btfcheck.btf.verify import VMLINUX
from btfcheck.files import workplace
from btfcheck.gate.sample import RUST, C, sample
from btfcheck.model import Fact, Location
from btfcheck.toolchain.pahole import flags, trees
from btfcheck.toolchain.probes import TIMEOUT, probe
from btfcheck.toolchain.tools import Completed, resolve, run, show

MEMORY = 4 << 30  # bytes; a pahole needs a few MB for these files, the rest is for its threads' stacks

STRUCTURES = {C: "btfcheck_from_c", RUST: "btfcheck_from_rust"}
_WORDS = {C: "C", RUST: "Rust"}


@dataclass(frozen=True)
class Trial:
    """What pahole made of one file: how it ended, and the names in the BTF (None: no BTF)."""

    done: Completed
    names: frozenset[str] | None

    @property
    def wrote(self) -> bool:
        return self.names is not None

    @property
    def told(self) -> str:
        """One line for people."""
        end = self.done.problem.rpartition(": ")[2] or f"exit status {self.done.status}"
        if self.names is None:
            return f"wrote no BTF, {end}"
        kept = [_WORDS[language] for language, name in STRUCTURES.items() if name in self.names]
        return f"wrote BTF with {' and '.join(kept) or 'neither C nor Rust'} types, {end}"


# Fact -> (the languages of its units in order, whether the file says that it is LTO'd)
TRIALS: Mapping[str, tuple[tuple[int, ...], bool]] = {
    "PAHOLE_EXCLUDES_RUST": ((C, RUST), False),
    "PAHOLE_EXCLUDES_RUST_MERGED": ((C, RUST), True),
    "PAHOLE_ENCODES_RUST_FIRST": ((RUST, C), True),
}
NAMES = tuple(TRIALS)

_known: dict[tuple[tuple[str, ...], tuple[str, ...], str], Trial] = {}


def behaviour(
    variables: Mapping[str, str],
    *,
    only: Iterable[str] | None = None,
    timeout: float = TIMEOUT,
    environ: Mapping[str, str] | None = None,
) -> dict[str, Fact]:
    """Live facts by name (NAMES, or those of `only`): "y", "n", or unknown with the reason.

    pahole gets the flags that the newest kernel in the table passes to its version, with
    --lang_exclude=rust where it has that option; `timeout` (s) bounds all trials together.
    """
    wanted = [name for name in NAMES if only is None or name in set(only)]
    if not wanted:
        return {}
    command = resolve(variables, environ).commands["PAHOLE"]
    about = probe(
        variables, only=("PAHOLE_VERSION", "PAHOLE_HAS_LANG_EXCLUDE"), timeout=timeout, environ=environ
    )
    version, exclude = about["PAHOLE_VERSION"], about["PAHOLE_HAS_LANG_EXCLUDE"]
    if version.value in (None, "0") or exclude.value is None:
        lacking = version if version.value in (None, "0") else exclude
        return {name: Fact(name, None, lacking.source, True, lacking.reason) for name in wanted}
    args = flags(trees()[-1].release, int(version.value or 0), lang_exclude=exclude.value == "y").args
    deadline = monotonic() + timeout
    return {name: _fact(name, _trial(name, command, args, deadline), command, args) for name in wanted}


def _trial(name: str, command: tuple[str, ...], args: tuple[str, ...], deadline: float) -> Trial:
    key = (command, args, name)
    if key not in _known:
        languages, merged = TRIALS[name]
        elf = sample([(language, STRUCTURES[language]) for language in languages], merged)
        _known[key] = encode(elf, command, args, max(0.1, deadline - monotonic()))
    return _known[key]


def forget() -> None:
    """Try every pahole anew (it was replaced)."""
    _known.clear()


def encode(elf: bytes, command: tuple[str, ...], args: tuple[str, ...], timeout: float) -> Trial:
    """Run pahole over a file with these bytes and read what it wrote."""
    with workplace() as folder:
        source, target = os.path.join(folder, "sample"), os.path.join(folder, "sample.btf")
        with open(source, "wb") as stream:
            stream.write(elf)
        argv = (*command, "-J", f"--btf_encode_detached={target}", *args, source)
        done = run(argv, timeout=timeout, memory=MEMORY)
        try:
            with open(target, "rb") as stream:
                return Trial(done, btf_names(stream.read(1 << 20)))
        except OSError:
            return Trial(done, None)


def _fact(name: str, trial: Trial, command: tuple[str, ...], args: tuple[str, ...]) -> Fact:
    source = Location(show((*command, "-J", *args)), text=trial.told, logical=_logical(name))
    names = trial.names or frozenset()
    if trial.done.status is None:
        return Fact(name, None, source, True, f"{show(command)}: {trial.told}")
    if name == "PAHOLE_ENCODES_RUST_FIRST":
        return Fact(name, "y" if STRUCTURES[C] in names else "n", source, True)
    if STRUCTURES[RUST] in names:
        return Fact(name, "n", source, True)
    if STRUCTURES[C] in names:
        return Fact(name, "y", source, True)
    return Fact(name, None, source, True, f"{show(command)}: {trial.told}")


def _logical(name: str) -> str:
    languages, merged = TRIALS[name]
    units = ", ".join(_WORDS[language] for language in languages)
    return f"{'merged' if merged else 'unmerged'} units: {units}"


def btf_names(data: bytes) -> frozenset[str] | None:
    """Every name in a BTF blob's string section; None when this is no whole BTF."""
    try:
        strings = read_sections(data, rules_for(NEWEST), VMLINUX, False, "little").strings
    except (Refused, struct.error):
        return None
    return frozenset(strings.decode("utf-8", "backslashreplace").split("\0"))
