# SPDX-License-Identifier: MIT
"""Which compiler, assembler and linker takes what, and which a kernel takes, for toolchains that are not there.

Only what sways Rust, BTF, LTO or what these need; of others nothing is said. Measured on
x86, arm64 and riscv with clang and lld 14, 16, 19 and 22, with gcc 12 and with binutils 2.40, on the others with
clang alone; where a version between two measured ones was the first, it is the one that the history of LLVM, GCC
and binutils names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

NEVER = 1 << 30
_X86, _ARM64, _RISCV = ("x86",), ("arm64",), ("riscv",)
_ALL = (*_X86, *_ARM64, *_RISCV, "loongarch", "s390", "powerpc", "arm", "mips")

_Row = tuple[str, tuple[str, ...], int, int]
# (options of one test, architectures, the first clang, the first gcc); versions as Kconfig counts them.
OPTIONS: tuple[_Row, ...] = (
    ("-fsanitize=kcfi", _ALL, 160000, NEVER),
    ("-fsanitize=shadow-call-stack", _RISCV, 170000, NEVER),
    ("-fsanitize=kcfi -fsanitize-cfi-icall-experimental-normalize-integers", _ALL, 170000, NEVER),
    ("-frandomize-layout-seed-file=/dev/null", _ALL, 150000, NEVER),
    ("-mharden-sls=all", _X86, 150000, 120100),
    ("-mfunction-return=thunk-extern", _X86, 150000, 80100),
    ("-fcf-protection=branch -mindirect-branch-register", _X86, NEVER, 90100),
    ("-mrecord-mcount", _X86, NEVER, 50100),
    ("-fsanitize=kernel-hwaddress", _X86, 110000, NEVER),
    ("-fsanitize=kernel-hwaddress", _ARM64, 70000, 110100),
    ("-fsanitize=kernel-hwaddress", _RISCV, NEVER, NEVER),
    ("-fsanitize=kernel-memory -mllvm -msan-disable-checks=1", _X86, 140000, NEVER),
    ("-fsanitize=kernel-memory -mllvm -msan-disable-checks=1", (*_ARM64, *_RISCV), NEVER, NEVER),
    ("-fsanitize=thread -mllvm -tsan-distinguish-volatile=1", (*_X86, *_ARM64), 110000, NEVER),
    ("-fsanitize=thread --param tsan-distinguish-volatile=1", (*_X86, *_ARM64), NEVER, 110100),
    ("-fsanitize=thread -mllvm -tsan-distinguish-volatile=1", _RISCV, 180000, NEVER),
    ("-fsanitize=thread --param tsan-distinguish-volatile=1", _RISCV, NEVER, 110100),
    ("-fsanitize=shadow-call-stack -ffixed-x18", _ARM64, 70000, 120100),
    ("-m64 -D__SIZEOF_INT128__=0", _X86, NEVER, NEVER),  # refused, as it is built in
    ("-D__SIZEOF_INT128__=0", (*_ARM64, *_RISCV), NEVER, NEVER),
    ("-fmin-function-alignment=8", _ALL, NEVER, 140100),
)
# (option of the linker, architectures, the first lld, the first GNU ld)
LINKER_OPTIONS: tuple[_Row, ...] = (("--no-relax-gp", _RISCV, 170000, 24100),)
# The first GNU assembler for a distance in .uleb128 that relaxation may change; LLVM's takes it everywhere.
_ULEB128 = {"x86": 0, "arm64": 0, "riscv": 24100}
_TEST = re.compile(r" -Werror (.*?) -c -x c /dev/null -o ")
_LINKER_TEST = re.compile(r"\S+ -v (--\S+)")
_ULEB128_TEST = re.compile(r'printf "%b\\n" "\.uleb128 (\S+) - (\S+)\\n\2:\\n\1:" \| .* -x assembler-with-cpp .*')
_LLVM_TOOL = re.compile(r"\S+ --help \| head -n 1 \| grep -qi llvm")


def passes(test: str, facts: Mapping[str, str | None], srcarch: str, flags: str) -> bool | None:
    """Whether a test of Kconfig's comes out with the tools of `facts`; None where nothing tells.

    `srcarch` is the directory under arch/, `flags` CLANG_FLAGS.
    """
    clang, lld = facts.get("CC_IS_CLANG") == "y", facts.get("LD_IS_LLD") == "y"
    if _LLVM_TOOL.fullmatch(test):  # nm and ar come with the linker
        return lld
    if linker := _LINKER_TEST.fullmatch(test):
        return _since(LINKER_OPTIONS, linker[1], srcarch, lld, facts.get("LLD_VERSION" if lld else "LD_VERSION"))
    if _ULEB128_TEST.fullmatch(test) and srcarch in _ULEB128:
        return facts.get("AS_IS_LLVM") == "y" or _reaches(facts.get("AS_VERSION"), _ULEB128[srcarch])
    found = _TEST.search(test)
    if not found:
        return None
    options = " ".join(f" {found[1]} ".replace(f" {flags} ", " ").split())
    return _since(OPTIONS, options, srcarch, clang, facts.get("CLANG_VERSION" if clang else "GCC_VERSION"))


def _since(table: tuple[_Row, ...], options: str, srcarch: str, llvm: bool, version: str | None) -> bool | None:
    for text, arches, first_llvm, first_gnu in table:
        if text == options and srcarch in arches:
            return _reaches(version, first_llvm if llvm else first_gnu)
    return None


def _reaches(version: str | None, first: int) -> bool | None:
    return int(version) >= first if version and version.isdecimal() else None


def minimums(script: str, srcarch: str) -> dict[str, str]:
    """The least versions by tool (gcc, llvm, rustc, bindgen ...) in the text of scripts/min-tool-version.sh."""
    found = {}
    for tool, body in re.findall(r"^(\w+)\)\n(.*?)^\s*;;", script, re.M | re.S):
        rows = re.findall(r'(?:if \[ "\$(?:SRC)?ARCH" = "?(\w+)"? \]; then\s+)?echo "?([\d.]+)', body)
        version = next((version for arch, version in rows if arch in (srcarch, "")), None)
        if version:
            found[tool] = version
    return found
