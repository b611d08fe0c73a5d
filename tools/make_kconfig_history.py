#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write btfcheck/kconfig/history.json, the Kconfig entries that matter, release by release.

    tools/make_kconfig_history.py ../shared/facts/kconfig-history.json > btfcheck/kconfig/history.json

The input holds the entries as they stand in 22 kernel trees (which ones: TREES below). What it
lacks is added here, each with where it was read: the heads of the choices, what each
architecture selects, fixes that stable trees took, and what kind of symbol a leaf is.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

# Trees that are not plain kernel.org releases, and which release they stand for.
PROVENANCE = {
    "6.1rc7": ("6.1.0", "v6.1-rc7, standing for v6.1", ""),
    "6.1.192d": ("6.1.192", "Debian's linux-source-6.1", "debian"),
    "6.8.1u": ("6.8.1", "Ubuntu's 6.8.0-31 source", "ubuntu"),
    "6.12.117d": ("6.12.117", "Debian's linux-source-6.12", "debian"),
    "7.2.13d": ("7.2.13", "Debian's linux-source-7.2", "debian"),
    "7.3.4d": ("7.3.4", "Debian's linux-source-7.3", "debian"),
}

# Where an entry stands in its file, as far as order and enclosing choice matter. A list is a
# choice: its head, then its members. Read in Debian's 6.1.192, 6.12.117, 7.2.13 and 7.3.4.
LAYOUT: list[str | list[str]] = [
    "PAHOLE_VERSION", "RUSTC_VERSION", "RUSTC_LLVM_VERSION", "RUSTC_LLVM_MAJOR_VERSION",
    "RUSTC_CLANG_LLVM_COMPATIBLE", "RUST_IS_AVAILABLE", "RUST",
    "RUSTC_SUPPORTS_ARM64", "RUSTC_SUPPORTS_RISCV",
    "HAVE_RUST", "LTO", "LTO_CLANG", "HAS_LTO_CLANG",
    ["choice LTO", "LTO_NONE", "LTO_CLANG_FULL", "LTO_CLANG_THIN", "LTO_CLANG_THIN_DIST"],
    "CFI", "CFI_CLANG", "CFI_ICALL_NORMALIZE_INTEGERS", "HAVE_CFI_ICALL_NORMALIZE_INTEGERS",
    "HAVE_CFI_ICALL_NORMALIZE_INTEGERS_CLANG", "HAVE_CFI_ICALL_NORMALIZE_INTEGERS_RUSTC",
    "MODVERSIONS", ["choice MODVERSIONS", "GENKSYMS", "GENDWARFKSYMS"],
    "ASM_MODVERSIONS", "EXTENDED_MODVERSIONS", "BASIC_MODVERSIONS",
    "DEBUG_INFO",
    ["choice DEBUG_INFO", "DEBUG_INFO_NONE", "DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT", "DEBUG_INFO_DWARF4",
     "DEBUG_INFO_DWARF5"],
    "DEBUG_INFO_REDUCED", "DEBUG_INFO_COMPRESSED",
    ["choice DEBUG_INFO_COMPRESSED", "DEBUG_INFO_COMPRESSED_NONE", "DEBUG_INFO_COMPRESSED_ZLIB",
     "DEBUG_INFO_COMPRESSED_ZSTD"],
    "DEBUG_INFO_SPLIT", "DEBUG_INFO_BTF", "PAHOLE_HAS_SPLIT_BTF", "PAHOLE_HAS_BTF_TAG",
    "PAHOLE_HAS_LANG_EXCLUDE", "DEBUG_INFO_BTF_MODULES", "MODULE_ALLOW_BTF_MISMATCH",
    "RUST_INLINE_HELPERS",
]  # fmt: skip

# Heads of the choices: (first tree, last tree, file, lines). The one of MODVERSIONS: commit
# texts of 9c3681f9b992 ("kbuild: Add gendwarfksyms as an alternative to genksyms") and of the
# later change to `if MODVERSIONS`, and the trees above.
HEADS = {
    "choice LTO": [("6.1rc7", "7.3.4d", "arch/Kconfig", ['prompt "Link Time Optimization (LTO)"', "default LTO_NONE"])],
    "choice MODVERSIONS": [
        (
            "6.14.0",
            "6.19.0",
            "kernel/module/Kconfig",
            ["[if MODULES]", 'prompt "Module versioning implementation"', "depends on MODVERSIONS"],
        ),
        (
            "7.0.0",
            "7.3.4d",
            "kernel/module/Kconfig",
            ["[if MODULES && MODVERSIONS]", 'prompt "Module versioning implementation"'],
        ),
    ],
    "choice DEBUG_INFO": [
        ("6.1rc7", "7.3.4d", "lib/Kconfig.debug", ['prompt "Debug information"', "depends on DEBUG_KERNEL"])
    ],
    "choice DEBUG_INFO_COMPRESSED": [
        (
            "6.2.1",
            "7.3.4d",
            "lib/Kconfig.debug",
            ["[if DEBUG_INFO]", 'prompt "Compressed Debug information"'],
        )
    ],
}

# What architectures select: kernel-facts.md 1.4 and 3; the LTO lines of um, loongarch and riscv
# only where a tree was read for them (elsewhere ARCH_SUPPORTS_LTO_CLANG is taken as recorded).
_LTO = ["select ARCH_SUPPORTS_LTO_CLANG", "select ARCH_SUPPORTS_LTO_CLANG_THIN"]
_LTO_LE = ["select ARCH_SUPPORTS_LTO_CLANG if CPU_LITTLE_ENDIAN", "select ARCH_SUPPORTS_LTO_CLANG_THIN"]
_RV612 = [
    "select ARCH_SUPPORTS_LTO_CLANG if LLD_VERSION >= 140000 && CMODEL_MEDANY",
    "select ARCH_SUPPORTS_LTO_CLANG_THIN if LLD_VERSION >= 140000",
]
_RV72 = ["select ARCH_SUPPORTS_LTO_CLANG if CMODEL_MEDANY", "select ARCH_SUPPORTS_LTO_CLANG_THIN"]
_ARM = "select HAVE_RUST if CPU_LITTLE_ENDIAN && CPU_32v7"
ARCHES: dict[str, tuple[str, list[tuple[str, str, list[str]]]]] = {
    "x86": ("X86", [("6.1rc7", "7.3.4d", [*_LTO, "select HAVE_RUST if X86_64"])]),
    "um": (
        "UML",
        [
            ("6.3.8", "6.10.0", ["select HAVE_RUST if X86_64"]),
            ("6.11.11", "6.12.0", ["select HAVE_RUST"]),
            ("6.12.117d", "6.12.117d", [*_LTO, "select HAVE_RUST"]),
            ("6.13.7", "7.1.3", ["select HAVE_RUST"]),
            ("7.2.13d", "7.3.4d", [*_LTO, "select HAVE_RUST"]),
        ],
    ),
    "loongarch": (
        "LOONGARCH",
        [
            ("6.8.1u", "6.12.0", ["select HAVE_RUST"]),
            ("6.12.117d", "6.12.117d", [*_LTO, "select HAVE_RUST if !KASAN"]),
            ("6.13.7", "7.1.3", ["select HAVE_RUST"]),
            ("7.2.13d", "7.3.4d", [*_LTO, "select HAVE_RUST if !KASAN"]),
        ],
    ),
    "arm64": (
        "ARM64",
        [
            ("6.1rc7", "6.8.1u", _LTO_LE),
            ("6.9.3", "6.11.11", [*_LTO_LE, "select HAVE_RUST if CPU_LITTLE_ENDIAN"]),
            ("6.12.0", "7.3.4d", [*_LTO_LE, "select HAVE_RUST if RUSTC_SUPPORTS_ARM64"]),
        ],
    ),
    "riscv": (
        "RISCV",
        [
            ("6.10.0", "6.10.0", ["select HAVE_RUST if 64BIT"]),
            ("6.11.11", "6.11.11", ["select HAVE_RUST if 64BIT && CC_IS_CLANG"]),
            ("6.12.0", "6.12.0", ["select HAVE_RUST if RUSTC_SUPPORTS_RISCV && CC_IS_CLANG"]),
            ("6.12.117d", "6.12.117d", [*_RV612, "select HAVE_RUST if RUSTC_SUPPORTS_RISCV && CC_IS_CLANG"]),
            ("6.13.7", "7.1.3", ["select HAVE_RUST if RUSTC_SUPPORTS_RISCV && CC_IS_CLANG"]),
            ("7.2.13d", "7.3.4d", [*_RV72, "select HAVE_RUST if RUSTC_SUPPORTS_RISCV && CC_IS_CLANG"]),
        ],
    ),
    "arm": ("ARM", [("6.18.2", "7.0.0", [_ARM]), ("7.1.3", "7.3.4d", [_ARM + " && !KASAN"])]),
    "s390": ("S390", [("7.2.13d", "7.3.4d", ["select HAVE_RUST if !EXPOLINE"])]),
    "powerpc": (
        "PPC",
        [
            (
                "7.3.4d",
                "7.3.4d",
                ["select HAVE_RUST if PPC32", "select HAVE_RUST if PPC64 && CPU_LITTLE_ENDIAN"],
            )
        ],
    ),
}

# Fixes that went to stable trees, oldest first (kernel-facts.md 1.2 and 4). `lines`: the stable
# lines of which a tree after the last one read may have it. `old` is taken out, `new` put in.
_LANG = "depends on !DEBUG_INFO_BTF || PAHOLE_HAS_LANG_EXCLUDE"
FIXES: list[dict[str, Any]] = [
    {
        "commit": "c1177979af9c",
        "symbol": "RUST",
        "old": "depends on !DEBUG_INFO_BTF",
        "new": _LANG,
        "lines": [],
        "read_in": "6.3.8",
    },
    {
        "commit": "5daa0c35a1f0",
        "symbol": "RUST",
        "old": _LANG,
        "new": "depends on !DEBUG_INFO_BTF || (PAHOLE_HAS_LANG_EXCLUDE && !LTO)",
        "lines": ["6.13"],
        "read_in": "6.14.0",
    },
    {
        "commit": "9520a2b3f0b5",
        "symbol": "GENDWARFKSYMS",
        "old": "",
        "new": "depends on !X86 || !DEBUG_INFO_BTF || PAHOLE_VERSION < 128 || PAHOLE_VERSION > 129",
        "lines": ["6.14"],
        "read_in": "6.18.2",
    },
    {
        "commit": "20260408-kasan-rust-sw-tags",
        "symbol": "RUST",
        "old": "",
        "new": "depends on !KASAN || CC_IS_CLANG",
        "lines": ["6.18", "7.1"],
        "read_in": "7.2.13d",
    },
]

# Trees of which only one entry was read: the rest is the line's other tree (kernel-facts.md 0, 1.2).
PARTIAL = {
    "6.6.31": {"like": "6.6.9", "without": "5daa0c35a1f0"},
    "6.6.93": {"like": "6.6.9", "with": "5daa0c35a1f0"},
}

# Ubuntu took `depends on !MODVERSIONS` out of RUST; 6.7.3 and 6.9.3 both have it, and nothing else
# differs from 6.7.3 there. So mainline 6.8 has the entry of 6.7.3.
MAINLINE = {"6.8.1u": {"RUST": "6.7.3"}}

# What a leaf is: "user" has a prompt, "toolchain" comes from $(...), the rest follows from other
# symbols. Read in the four Debian trees. Numbers are the int symbols.
USER = [
    "MODULES", "KASAN", "KASAN_SW_TAGS", "KASAN_HW_TAGS", "KASAN_GENERIC", "MITIGATION_RETHUNK",
    "SHADOW_CALL_STACK", "BPF_SYSCALL", "COMPILE_TEST", "DEBUG_KERNEL", "EXPERT", "GCOV_KERNEL", "KCOV",
    "UNWIND_PATCH_PAC_INTO_SCS", "GCC_PLUGINS", "EXPOLINE",
]  # fmt: skip
NUMBERS = ["CLANG_VERSION", "GCC_VERSION", "AS_VERSION", "LLD_VERSION"]
TOOLCHAIN = [
    "CC_IS_CLANG", "LD_IS_LLD", "AS_IS_LLVM", "AS_IS_GNU", "AS_HAS_NON_CONST_LEB128",
    "AS_HAS_NON_CONST_ULEB128", *NUMBERS,
]  # fmt: skip
# How a user turns off what has no prompt (def_bool of another symbol; security/Kconfig.hardening).
SETTERS = {"RANDSTRUCT": {"n": "RANDSTRUCT_NONE"}, "GCC_PLUGIN_RANDSTRUCT": {"n": "RANDSTRUCT_NONE"}}
# $(shell,...) that is arithmetic on another symbol: name -> (symbol, divisor).
COMPUTED = {
    "RUSTC_LLVM_MAJOR_VERSION": ["RUSTC_LLVM_VERSION", 10000],
    "$(shell,expr $(cc-version) / 10000)": ["CLANG_VERSION", 10000],
}
# Seen in these trees, and they do not select LTO: what to use instead (kernel-facts.md 3).
INSTEAD_OF_LTO = {"AUTOFDO_CLANG": "7.2.13d", "PROPELLER_CLANG": "7.2.13d"}


def entry_text(lines: list[str]) -> str:
    """One string, continuation lines joined."""
    return re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))


def tools(lines: list[str]) -> dict[str, Any]:
    """min-tool-version.sh as tool -> version, or tool -> {arch: version, "": otherwise}."""
    found: dict[str, Any] = {}
    tool = arch = ""
    for line in lines:
        if line.endswith(")") and not line.startswith("*"):
            tool, arch = line[:-1], ""
        elif match := re.search(r'= "?(\w+)"? \]', line):
            arch = match[1]
        elif line == "else":
            arch = ""
        elif tool and (match := re.match(r"echo ([\d.]+)$", line)):
            found.setdefault(tool, {})[arch] = match[1]
        elif line == ";;":
            tool = ""
    return {k: v[""] if list(v) == [""] else v for k, v in found.items()}


def runs(rows: list[tuple[str, str, str, str]], keys: list[str]) -> list[list[Any]]:
    return [[keys.index(first), keys.index(last), file, text] for first, last, file, text in rows]


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        history = json.load(file)
    keys: list[str] = history["trees"]
    symbols = {
        name: runs([(r["from"], r["to"], r["file"], entry_text(r["entry"])) for r in rows if r["entry"]], keys)
        for name, rows in history["symbols"].items()
        if not name.endswith("_VERSION_TEXT")
    }
    symbols |= {name: runs([(a, b, f, entry_text(t)) for a, b, f, t in rows], keys) for name, rows in HEADS.items()}
    symbols |= {
        symbol: runs([(a, b, f"arch/{arch}/Kconfig", entry_text(["def_bool y", *t])) for a, b, t in rows], keys)
        for arch, (symbol, rows) in ARCHES.items()
    }
    placed = {n for item in LAYOUT for n in (item if isinstance(item, list) else [item])}
    placed |= {symbol for symbol, _ in ARCHES.values()}
    assert placed == set(symbols), placed ^ set(symbols)
    minimums: list[list[Any]] = []
    for number, key in enumerate(keys):
        table = tools(history["min_tools"][key])
        if minimums and minimums[-1][2] == table:
            minimums[-1][1] = number
        else:
            minimums.append([number, number, table])
    data = {
        "trees": [[key, *PROVENANCE.get(key, (key, "", ""))] for key in keys],
        "layout": LAYOUT,
        "arches": {arch: symbol for arch, (symbol, _) in ARCHES.items()},
        "partial": PARTIAL,
        "mainline": MAINLINE,
        "fixes": FIXES,
        "user": USER,
        "toolchain": TOOLCHAIN,
        "numbers": NUMBERS,
        "setters": SETTERS,
        "computed": COMPUTED,
        "instead_of_lto": INSTEAD_OF_LTO,
        "symbols": symbols,
        "minimum_tools": minimums,
    }
    # One key, one symbol a line: small, and a change shows as one line.
    body = ",\n".join(
        json.dumps(key)
        + ": "
        + (
            "{\n" + ",\n".join(f" {json.dumps(n)}: {json.dumps(v)}" for n, v in value.items()) + "\n}"
            if key == "symbols"
            else json.dumps(value)
        )
        for key, value in data.items()
    )
    print("{" + body + "}")


if __name__ == "__main__":
    main()
