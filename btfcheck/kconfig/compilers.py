# SPDX-License-Identifier: MIT
"""Which compiler version takes which option, and which a kernel takes, for toolchains that are not there.

Only options that sway Rust, BTF, LTO or what these need; of others nothing is said. Measured on
x86, arm64 and riscv with clang 14, 16, 19 and 22 and with gcc 12; where a version between two measured ones
was the first, it is the one that the release notes of LLVM and GCC name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

NEVER = 1 << 30
_X86, _ARM64, _RISCV = ("x86",), ("arm64",), ("riscv",)
_ALL = (*_X86, *_ARM64, *_RISCV)

# (options of one test, architectures, the first clang, the first gcc); versions as Kconfig counts them.
OPTIONS: tuple[tuple[str, tuple[str, ...], int, int], ...] = (
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
    ("-fsanitize=kernel-memory -mllvm -msan-disable-checks=1", _X86, 140000, NEVER),
    ("-fsanitize=thread -mllvm -tsan-distinguish-volatile=1", (*_X86, *_ARM64), 110000, NEVER),
    ("-fsanitize=thread --param tsan-distinguish-volatile=1", (*_X86, *_ARM64), NEVER, 110100),
    ("-fsanitize=shadow-call-stack -ffixed-x18", _ARM64, 70000, 120100),
    ("-m64 -D__SIZEOF_INT128__=0", _X86, NEVER, NEVER),  # refused, as it is built in
    ("-D__SIZEOF_INT128__=0", (*_ARM64, *_RISCV), NEVER, NEVER),
    ("-fmin-function-alignment=8", _ALL, NEVER, 140100),
)
_TEST = re.compile(r" -Werror (.*?) -c -x c /dev/null -o ")
_LLVM_TOOL = re.compile(r"\S+ --help \| head -n 1 \| grep -qi llvm")


def passes(test: str, facts: Mapping[str, str | None], srcarch: str, flags: str) -> bool | None:
    """Whether a test of Kconfig's comes out with the tools of `facts`; None where nothing tells.

    `srcarch` is the directory under arch/, `flags` CLANG_FLAGS.
    """
    clang = facts.get("CC_IS_CLANG") == "y"
    if _LLVM_TOOL.fullmatch(test):  # nm and ar come with the linker
        return facts.get("LD_IS_LLD") == "y"
    found = _TEST.search(test)
    version = facts.get("CLANG_VERSION" if clang else "GCC_VERSION") or ""
    if not found or not version.isdecimal():
        return None
    options = " ".join(f" {found[1]} ".replace(f" {flags} ", " ").split())
    for text, arches, first_clang, first_gcc in OPTIONS:
        if text == options and srcarch in arches:
            return int(version) >= (first_clang if clang else first_gcc)
    return None


def minimums(script: str, srcarch: str) -> dict[str, str]:
    """The least versions by tool (gcc, llvm, rustc, bindgen ...) in the text of scripts/min-tool-version.sh."""
    found = {}
    for tool, body in re.findall(r"^(\w+)\)\n(.*?)^\s*;;", script, re.M | re.S):
        rows = re.findall(r'(?:if \[ "\$(?:SRC)?ARCH" = "?(\w+)"? \]; then\s+)?echo "?([\d.]+)', body)
        version = next((version for arch, version in rows if arch in (srcarch, "")), None)
        if version:
            found[tool] = version
    return found
