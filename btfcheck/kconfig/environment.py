# SPDX-License-Identifier: MIT
"""The environment in which make starts Kconfig, without running make.

What the Kconfig files and their scripts read was taken from the variables that kconfiglib
looked up in 6.1, 6.12 and 7.3. Some of them missing change values without a word (no AR: no
LTO; no RUSTC: RUSTC_VERSION=0), so what is missing is told.
Source: the top Makefile and scripts/Makefile.clang.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from typing import NamedTuple

from btfcheck.model import InputError
from btfcheck.toolchain import tools

# uname -m to make's ARCH (scripts/subarch.include), first match.
_SUBARCH = (
    (r"i.86", "x86"), (r"x86_64", "x86"), (r"sun4u", "sparc64"), (r"arm.*", "arm"), (r"sa110", "arm"),
    (r"s390x", "s390"), (r"ppc.*", "powerpc"), (r"mips.*", "mips"), (r"sh[234].*", "sh"),
    (r"aarch64.*", "arm64"), (r"riscv.*", "riscv"), (r"loongarch.*", "loongarch"), (r"parisc64", "parisc"),
)  # fmt: skip
# make's ARCH where it is not the directory under arch/ (Makefile, SRCARCH).
_SRCARCH = {"x86_64": "x86", "i386": "x86", "sparc32": "sparc", "sparc64": "sparc", "parisc64": "parisc"}
_X86 = ("x86", "x86_64", "i386")  # what arch/um takes for x86
# Variables of make that are worked out here and not taken as given.
_OURS = ("ARCH", "SRCARCH", "srctree", "objtree", "HEADER_ARCH")
# What goes missing with a tool, where nothing in Kconfig says so.
_SILENT = {
    "NM": "LTO needs an llvm-nm", "AR": "LTO needs an llvm-ar", "RUSTC": "RUSTC_VERSION is 0",
    "PAHOLE": "PAHOLE_VERSION is 0", "OBJCOPY": "TOOLS_SUPPORT_RELR is off",
}  # fmt: skip
_DIRECTIVE = re.compile(r"^(\w+)\s*:?\+?=\s*(.*?)\s*$", re.M)


class Environment(NamedTuple):
    """`values` are the variables, `missing` says what the tools that are not there take away."""

    values: Mapping[str, str]
    missing: tuple[str, ...] = ()


def kernel_version(root: str) -> str:
    """What `make kernelversion` prints in this tree. Raises InputError where there is no kernel's Makefile."""
    text = read(root, "Makefile")
    pairs = re.findall(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION)[ \t]*=[ \t]*(\S*)", text, re.M)
    found: dict[str, str] = dict(pairs)
    if not {"VERSION", "PATCHLEVEL"} <= found.keys():
        raise InputError(f"{root}/Makefile: not the top of a Linux source tree (no VERSION and PATCHLEVEL)")
    numbers = ".".join(n for n in (found["VERSION"], found["PATCHLEVEL"], found.get("SUBLEVEL", "")) if n)
    return numbers + found.get("EXTRAVERSION", "")


def environment(root: str, variables: Mapping[str, str], arch: str = "", *, probe: bool = True) -> Environment:
    """The environment for the tree at `root`, with make's `variables` as its command line.

    `arch` is what to build for where ARCH is not given, "" for this machine. Without `probe` no
    tool is asked, and the texts of their versions stay empty. Raises InputError.
    """
    toolchain = tools.resolve(variables)
    release = kernel_version(root)
    arch = toolchain.settings.get("ARCH") or arch or _host_arch()
    srcarch = _SRCARCH.get(arch, arch)
    if not os.path.isdir(os.path.join(root, "arch", srcarch)):
        raise InputError(f"{root}: has no arch/{srcarch} (ARCH={arch})")
    values = {name: tools.show(toolchain.commands[name]) for name in tools.TOOLS}
    values |= {
        "ARCH": arch, "SRCARCH": srcarch, "srctree": root, "objtree": toolchain.build_dir, "PYTHON3": "python3",
        "KERNELVERSION": release, "RUSTC_BOOTSTRAP": "1", "CONFIG_SHELL": "sh",
        "CROSS_COMPILE": toolchain.settings.get("CROSS_COMPILE", ""), "LLVM": toolchain.settings.get("LLVM", ""),
        "LC_COLLATE": "C", "LC_NUMERIC": "C", "CC_VERSION_TEXT": "", "RUSTC_VERSION_TEXT": "", "PAHOLE_VERSION": "0",
    }  # fmt: skip
    if srcarch == "um":
        subarch = variables.get("SUBARCH") or _host_arch()
        values |= {"SUBARCH": subarch, "HEADER_ARCH": "x86" if subarch in _X86 else subarch}
    if probe:
        values["CC_VERSION_TEXT"] = _first_line(toolchain.commands["CC"])
        # The questions of toolchain.probes, so that no tool is run twice.
        rustc = toolchain.commands["RUSTC"]
        values["RUSTC_VERSION_TEXT"] = _first_line(rustc, "-vV") or _first_line(rustc)
        values["PAHOLE_VERSION"] = pahole_version(_first_line(toolchain.commands["PAHOLE"], env=tools.TOLD_BY_LOADER))
    # make hands its command line on as environment, over what its files compute.
    values |= {n: v for n, v in variables.items() if n not in (*tools.TOOLS, *_OURS)}
    if "clang" in values["CC_VERSION_TEXT"] and "CLANG_FLAGS" not in variables:
        values["CLANG_FLAGS"] = clang_flags(root, srcarch, toolchain, values.get("SUBARCH", ""))
    missing = [
        f"{name}={values[name] or '(empty)'} is not there: {loss}"
        for name, loss in _SILENT.items()
        if probe and not (toolchain.commands[name] and shutil.which(toolchain.commands[name][0]))
    ]
    return Environment(values, tuple(missing))


def pahole_version(text: str) -> str:
    """PAHOLE_VERSION for what `pahole --version` prints (scripts/pahole-version.sh): "v1.30" is 130."""
    return re.sub(r"v([0-9]+)\.([0-9]+)", r"\1\2", text) or "0"


def clang_flags(root: str, srcarch: str, toolchain: tools.Toolchain, subarch: str = "") -> str:
    """CLANG_FLAGS, read off this tree's scripts/Makefile.clang; `subarch` is what a user-mode kernel runs on."""
    text = read(root, "scripts/Makefile.clang")
    targets = {k.removeprefix("CLANG_TARGET_FLAGS_"): v for k, v in _DIRECTIVE.findall(text) if "_FLAGS_" in k}
    cross = toolchain.settings.get("CROSS_COMPILE", "")
    target = targets.get(subarch if srcarch == "um" else srcarch, "")
    if cross and "ifeq ($(CROSS_COMPILE),)" in text:  # up to 6.1
        target = os.path.basename(cross).removesuffix("-")
    if not target:
        raise InputError(f"{root}/scripts/Makefile.clang: no --target= for {srcarch}: clang cannot build it")
    flags = [f"--target={target}"]
    if toolchain.integrated_assembler:
        flags.append("-fintegrated-as")
    else:
        flags.append("-fno-integrated-as")
        beside = shutil.which(f"{cross}elfedit") or ""
        flags.append(f"--prefix={beside[: beside.rfind('/') + 1]}{os.path.basename(cross)}")
    return " ".join([*flags, *re.findall(r"^CLANG_FLAGS\s*\+=\s*(-Werror=\S+)", text, re.M)])


def _first_line(command: tuple[str, ...], option: str = "--version", env: Mapping[str, str] | None = None) -> str:
    if not command:
        return ""
    lines = tools.ask([*command, option], env=env).text.splitlines()
    return lines[0].replace("#", "") if lines else ""


def _host_arch() -> str:
    machine = os.uname().machine
    return next((arch for pattern, arch in _SUBARCH if re.fullmatch(pattern, machine)), machine)


def read(root: str, name: str) -> str:
    """The text of a file of a kernel's source; InputError where there is none."""
    path = os.path.join(root, name)
    try:
        if os.path.exists(path) and not os.path.isfile(path):  # a pipe would never end
            raise InputError(f"{path}: not a regular file")
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; is this the top of a Linux source tree?") from error
