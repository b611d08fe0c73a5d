# SPDX-License-Identifier: MIT
"""Which combinations of Rust, BTF, LTO, module versions and tools a Kconfig allows, cell by cell.

Each cell is evaluated, not looked up: the combination is set on a configuration that has all else
it needs, and what is not granted is traced to its clause. A cell is forbidden only where the clause
follows from the combination and the tools alone; where something else that could be changed
stands in the way, it is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from btfcheck.kconfig.answers import SUFFICIENT
from btfcheck.kconfig.dialect import KernelKconfig
from btfcheck.kconfig.safety import safety
from btfcheck.kconfig.state import State, asks, conditions, settable
from btfcheck.kconfig.why import Clause, clause
from btfcheck.model import UsageError

PAHOLES = ("1.22", "1.24", "1.25", "1.28", "1.30", "1.32")
LTO = {
    "none": "LTO_NONE", "thin": "LTO_CLANG_THIN", "full": "LTO_CLANG_FULL", "thin-dist": "LTO_CLANG_THIN_DIST",
}  # fmt: skip
MODVERSIONS: Mapping[str, Mapping[str, str]] = {
    "off": {"MODVERSIONS": "n"},
    "genksyms": {"MODVERSIONS": "y", "GENKSYMS": "y"},
    "gendwarfksyms": {"MODVERSIONS": "y", "GENDWARFKSYMS": "y"},
}
_TOOLS = {
    "pahole": ("PAHOLE_VERSION",), "rustc": ("RUSTC_VERSION",), "llvm": ("CLANG_VERSION", "LLD_VERSION", "AS_VERSION"),
    "bindgen": (),
}  # fmt: skip
TOOLS = tuple(_TOOLS)
# What a user would set beside, so that nothing but the combination decides.
BASE: Mapping[str, str] = {
    "MODULES": "y", "EXPERT": "n", "COMPILE_TEST": "n", "BPF_SYSCALL": "y", "DEBUG_KERNEL": "y",
    "DEBUG_INFO_DWARF4": "y", "DEBUG_INFO_REDUCED": "n", "DEBUG_INFO_SPLIT": "n", "GCC_PLUGINS": "n",
    "RANDSTRUCT_NONE": "y", "KASAN": "n", "KCOV": "n", "GCOV_KERNEL": "n", "CFI_CLANG": "n", "CFI": "n",
    "MITIGATION_CALL_DEPTH_TRACKING": "n", "SHADOW_CALL_STACK": "n",
}  # fmt: skip
# What the built-in tables do not work out.
_ARCH: Mapping[str, str] = {
    "64BIT": "y", "HAVE_RUST": "y", "HAVE_ASM_MODVERSIONS": "y", "DEBUG_INFO": "y", "RUSTC_LLVM_MAJOR_VERSION": "22",
    "AS_HAS_NON_CONST_LEB128": "y", "AS_HAS_NON_CONST_ULEB128": "y", "$(shell,expr $(cc-version) / 10000)": "22",
}  # fmt: skip
# The variant of other architectures that has Rust.
VARIANT: Mapping[str, str] = {
    "CPU_LITTLE_ENDIAN": "y", "CMODEL_MEDANY": "y", "PPC64": "y", "CPU_32v7": "y", "EXPOLINE": "n",
}  # fmt: skip
_REACH = 6  # links from a clause to what the combination says; real ones are 4


class Cell(NamedTuple):
    """One combination. `allowed` is None where it could not be told; `blocked_by` are the clauses."""

    axes: Mapping[str, str]
    allowed: bool | None
    blocked_by: tuple[str, ...]
    safe: str
    why: str

    def data(self) -> dict[str, Any]:
        return {**self._asdict(), "axes": dict(self.axes), "blocked_by": list(self.blocked_by)}


def default_axes(kconf: KernelKconfig, paholes: Sequence[str] = PAHOLES) -> dict[str, tuple[str, ...]]:
    """The axes that this Kconfig knows: thin-dist from 7.2, gendwarfksyms from 6.14."""
    return {
        "RUST": ("n", "y"),
        "DEBUG_INFO_BTF": ("n", "y"),
        "LTO": tuple(n for n, s in LTO.items() if _defined(kconf, s)),
        "MODVERSIONS": ("off", "genksyms", *(["gendwarfksyms"] if _defined(kconf, "GENDWARFKSYMS") else [])),
        "pahole": tuple(paholes),
    }


def cells(
    kconf: KernelKconfig, axes: Mapping[str, Sequence[str]], *, kernel: str, tools: Mapping[str, str] | None = None,
    minimums: Mapping[str, str] | None = None,
) -> Iterable[Cell]:  # fmt: skip
    """Every combination of `axes` (name -> values), evaluated.

    RUST, DEBUG_INFO_BTF, LTO, MODVERSIONS and pahole mean what default_axes says, rustc, llvm and bindgen are
    versions too; any other name is a symbol. `tools` replaces the sufficient ones, `minimums` are the
    versions that scripts/min-tool-version.sh asks for, by tool.
    """
    board = _Board(kconf, {**SUFFICIENT, **(tools or {})})
    for values in product(*axes.values()):
        at = dict(zip(axes, values, strict=True))
        allowed, texts = _judge(board, at, _too_old(at, minimums or {}))
        safe, why = _safety(kconf, at)
        yield Cell({"kernel": kernel, **at}, allowed, texts, safe, why)


def _judge(board: _Board, at: Mapping[str, str], old: Mapping[str, str]) -> tuple[bool | None, tuple[str, ...]]:
    """Whether a combination is allowed, and the clauses in its way; `old` are tools below their minimum."""
    if "llvm" in old:  # no configuration is made at all
        return False, (old["llvm"],)
    goals, tools = _meaning(board.kconf, at)
    if old:
        tools["RUST_IS_AVAILABLE"] = "n"
    allowed, clauses = board.judge(goals, tools)
    texts = dict.fromkeys(_quote(c) for c in clauses)
    if any("RUST_IS_AVAILABLE" in text for text in texts):
        texts |= dict.fromkeys(old.values())
    return allowed, tuple(texts)


def _too_old(at: Mapping[str, str], minimums: Mapping[str, str]) -> dict[str, str]:
    """The tools of a combination that the kernel does not take, with the reason."""
    return {
        tool: f"scripts/min-tool-version.sh: {tool} {minimums[tool]} at least"
        for tool in TOOLS
        if tool in at and tool in minimums and _older(tool, at[tool], minimums[tool])
    }


def _older(tool: str, version: str, minimum: str) -> bool:
    if version.isdecimal():  # 17 is any 17.x
        minimum = minimum.partition(".")[0]
    return int(number(tool, version)) < int(number(tool, minimum))


def merge(several: Sequence[Cell]) -> Cell:
    """One cell of the candidate texts of a release that was not read: known where they agree."""
    first = several[0]
    allowed = first.allowed if len({c.allowed for c in several}) == 1 else None
    texts = tuple(dict.fromkeys(t for c in several for t in c.blocked_by))
    return first._replace(allowed=allowed, blocked_by=texts)


def number(tool: str, version: str) -> str:
    """Kconfig's number for a version of pahole, rustc or llvm; "none" is 0. Raises UsageError."""
    parts = [] if version == "none" else version.removeprefix("v").split(".")
    if len(parts) > 3 or not all(p.isascii() and p.isdigit() and len(p) < 4 for p in parts):
        raise UsageError(f"--{tool}: {version!r} is no version; 1.25 or none is meant")
    major, minor, patch = (int(p) for p in (*parts, "0", "0", "0")[:3])
    if tool == "pahole":
        return str(major * 100 + minor)
    return str(major * (100_000 if tool == "rustc" else 10_000) + minor * 100 + patch)


def as_facts(tool: str, version: str) -> dict[str, str]:
    """The symbols that say this version of a tool."""
    return {name: number(tool, version) for name in _TOOLS[tool]}


def assumptions(kconf: KernelKconfig, axes: Mapping[str, Sequence[str]], tools: Mapping[str, str]) -> list[str]:
    """What the cells take for granted, as NAME=VALUE."""
    taken = {**SUFFICIENT, **tools, **{n: v for n, v in {**BASE, **VARIANT}.items() if _defined(kconf, n)}}
    told = {n for axis in axes for n in _TOOLS.get(axis, (axis,))}
    if "rustc" in axes or "bindgen" in axes:
        told.add("RUST_IS_AVAILABLE")  # then their versions decide it
    return [f"{n}={v}" for n, v in taken.items() if n not in told]


def _defined(kconf: KernelKconfig, name: str) -> bool:
    return name in kconf.syms and bool(kconf.syms[name].nodes)


def _meaning(kconf: KernelKconfig, at: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """(symbols that users set, what the tools answer) of a combination."""
    goals: dict[str, str] = {}
    tools: dict[str, str] = {}
    for axis, value in at.items():
        if axis == "LTO":
            goals[LTO[value]] = "y"
        elif axis == "MODVERSIONS":
            # Before 6.14 there is no choice: MODVERSIONS means genksyms.
            goals |= {n: v for n, v in MODVERSIONS[value].items() if n != "GENKSYMS" or _defined(kconf, n)}
        elif axis in _TOOLS:
            tools |= {n: v for n, v in as_facts(axis, value).items() if n in kconf.syms}
        elif axis in kconf.leaves and not asks(kconf.syms[axis]):
            tools[axis] = value
        else:
            goals[axis] = value
    return goals, tools


def _safety(kconf: KernelKconfig, at: Mapping[str, str]) -> tuple[str, str]:
    needed = ("RUST", "DEBUG_INFO_BTF", "LTO", "MODVERSIONS", "pahole")
    if missing := [n for n in needed if n not in at]:
        return "unknown", f"not told without {', '.join(missing)}"
    found = safety(
        rust=at["RUST"] == "y", btf=at["DEBUG_INFO_BTF"] == "y", lto=at["LTO"], versions=at["MODVERSIONS"],
        pahole=int(number("pahole", at["pahole"])), excludes=_defined(kconf, "PAHOLE_HAS_LANG_EXCLUDE"),
        x86=kconf.srcarch in ("x86", ""),
    )  # fmt: skip
    return found.safe, found.why


def _quote(item: Clause) -> str:
    place = f"{item.file}:{item.line}" if item.line else item.file
    return f"{place}: {item.text}"


_LTO_FIRST = {"x86": (6, 1), "arm64": (6, 1), "um": (6, 12), "riscv": (6, 12), "loongarch": (6, 12)}


def _of_arch(kconf: KernelKconfig) -> dict[str, str | None]:
    """What an architecture selects; None where no tree tells: three took up LTO between 6.1 and 6.12."""
    first = _LTO_FIRST.get(kconf.srcarch or "x86")
    line = kconf.line or first
    lto = "n" if first is None or line == (6, 1) != first else "y" if line is None or line >= first else None
    x86 = {"X86_64": "y"} if kconf.srcarch in ("x86", "um", "") else {}
    return {**x86, "ARCH_SUPPORTS_LTO_CLANG": lto, "ARCH_SUPPORTS_LTO_CLANG_THIN": lto}


class _Board:
    """A Kconfig object on which combinations are set, one after another."""

    def __init__(self, kconf: KernelKconfig, tools: Mapping[str, str]) -> None:
        self.kconf = kconf
        values: dict[str, str | None] = {n: "y" for n in kconf.leaves if n.startswith("$(")}
        values |= {**kconf.measured, **_of_arch(kconf), **_ARCH, **VARIANT, **BASE, **tools}
        self.values = {n: v for n, v in values.items() if n in kconf.syms}
        self.state = State(kconf, self.values)
        self.set: set[str] = set()
        self.open = {s.name for s in kconf.unique_defined_syms if settable(s)}

    def judge(self, goals: Mapping[str, str], tools: Mapping[str, str]) -> tuple[bool | None, list[Clause]]:
        absent = [n for n, v in goals.items() if v != "n" and not _defined(self.kconf, n)]
        if absent:
            return False, [_absent(n) for n in absent]
        goals = {n: v for n, v in goals.items() if _defined(self.kconf, n)}
        if rivals := _rivals([self.kconf.syms[n] for n, v in goals.items() if v == "y"]):
            return False, [rivals]
        self._put(goals, tools)
        if all(self.state.text(self.kconf.syms[n]) == v for n, v in goals.items()):
            return True, []
        return self._blocked(goals)

    def _put(self, goals: Mapping[str, str], tools: Mapping[str, str]) -> None:
        for name in self.set:
            symbol = self.kconf.syms[name]
            value = self.values.get(name)
            if name in self.kconf.leaves:
                symbol.give(value)
            elif value is None:
                symbol.unset_value()
            else:
                symbol.set_value(value)
        self.set = set()
        for name, value in {**goals, **tools}.items():
            symbol = self.kconf.syms[name]
            if symbol.choice and value == "y":
                for rival in symbol.choice.syms:
                    rival.set_value("n")
                    self.set.add(rival.name)
            self.set.add(name)
            if name in self.kconf.leaves:
                symbol.give(value)
            else:
                symbol.set_value(value)
        self.state.forget()

    def _blocked(self, goals: Mapping[str, str]) -> tuple[bool | None, list[Clause]]:
        """The clauses that are n with all goals held, and whether one of them is so for certain."""
        denied = [n for n, v in goals.items() if self.state.text(self.kconf.syms[n]) != v]
        for name, value in goals.items():
            self.kconf.syms[name].give(value)
        self.state.forget()
        blocking = [
            written
            for name in denied
            if goals[name] != "n"
            for written in conditions(self.kconf, self.kconf.syms[name])
            if self.state.bounds(written.expr)[1] == 0
        ]
        found = [clause(self.state, written) for written in blocking]
        # All else left open: what is n even so cannot be had.
        self.state.unknown, self.state.reach = self.open, _REACH
        self.state.forget()
        certain = any(self.state.bounds(written.expr)[1] == 0 for written in blocking)
        self.state.unknown, self.state.reach = set(), 0
        for name in goals:
            if name not in self.kconf.leaves:
                self.kconf.syms[name].give(None)
        self.state.forget()
        return (False if certain else None), found


def _rivals(symbols: Iterable[Any]) -> Clause | None:
    """Two of the symbols that cannot both be y because they are members of one choice."""
    chosen: dict[Any, Any] = {}
    for symbol in symbols:
        other = chosen.setdefault(symbol.choice, symbol) if symbol.choice else symbol
        if other is not symbol:
            text = f"{other.name} and {symbol.name} are members of one choice"
            return Clause(symbol.name, text, symbol.nodes[0].filename, None, "n")
    return None


def _absent(name: str) -> Clause:
    return Clause(name, f"this release has no {name}", "Kconfig", None, "n")
