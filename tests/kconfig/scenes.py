# SPDX-License-Identifier: MIT
"""Values that several tests start from."""

from __future__ import annotations

from collections.abc import Mapping

from btfcheck.kconfig import tables
from btfcheck.kconfig.dialect import KernelKconfig

# A clang build on x86-64 that has everything Rust, BTF and LTO want of the tools.
CLANG: Mapping[str, str] = {
    "X86_64": "y", "64BIT": "y", "CC_IS_CLANG": "y", "CLANG_VERSION": "190107", "GCC_VERSION": "0",
    "LD_IS_LLD": "y", "LLD_VERSION": "190107", "AS_IS_LLVM": "y", "AS_VERSION": "190107",
    "PAHOLE_VERSION": "130", "RUSTC_VERSION": "108500", "RUSTC_LLVM_VERSION": "190107",
    "RUSTC_LLVM_MAJOR_VERSION": "19", "RUST_IS_AVAILABLE": "y", "HAS_LTO_CLANG": "y",
    "ARCH_SUPPORTS_LTO_CLANG": "y", "ARCH_SUPPORTS_LTO_CLANG_THIN": "y",
    "MODULES": "y", "BPF_SYSCALL": "y", "DEBUG_KERNEL": "y", "DEBUG_INFO": "y",
    "DEBUG_INFO_DWARF5": "y", "DEBUG_INFO_NONE": "n", "DEBUG_INFO_COMPRESSED_NONE": "y",
}  # fmt: skip
BTF: Mapping[str, str] = {**CLANG, "DEBUG_INFO_BTF": "y", "LTO_NONE": "y", "RUST": "n"}
BTF_LTO: Mapping[str, str] = {**BTF, "LTO_NONE": "n", "LTO_CLANG_THIN": "y", "LTO_CLANG_FULL": "n"}


def load(release: str, arch: str = "x86") -> list[KernelKconfig]:
    return [m.load() for m in tables.models(release, arch)]
