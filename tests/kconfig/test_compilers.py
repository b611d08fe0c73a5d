# SPDX-License-Identifier: MIT
"""Compiler options by version, and least versions, without a compiler."""

from __future__ import annotations

import pytest

from btfcheck.kconfig import compilers

FLAGS = "--target=x86_64-linux-gnu -fintegrated-as -Werror=unknown-warning-option"
CLANG = {"CC_IS_CLANG": "y", "CLANG_VERSION": "160006", "GCC_VERSION": "0", "LD_IS_LLD": "y"}
GCC = {"CC_IS_GCC": "y", "CLANG_VERSION": "0", "GCC_VERSION": "120200", "LD_IS_LLD": "n"}


def takes(options: str, facts: dict[str, str] = CLANG, arch: str = "x86") -> bool | None:
    """Whether cc-option takes them, as Kconfig.include asks."""
    command = f"mkdir .tmp_$$; cc -Werror {FLAGS} {options} -c -x c /dev/null -o .tmp_$$/tmp.o"
    return compilers.passes(command, facts, arch, FLAGS)


@pytest.mark.parametrize(
    ("options", "clang", "gcc"),
    [
        ("-fsanitize=kcfi", True, False),
        ("-fsanitize=kcfi -fsanitize-cfi-icall-experimental-normalize-integers", False, False),
        (" -fsanitize=kernel-hwaddress", True, False),
        ("-mrecord-mcount", False, True),
        ("-mharden-sls=all", True, True),
        ("-fsanitize=kcfi -fsanitize-kcfi-arity", None, None),
        ("-fzero-call-used-regs=used-gpr", None, None),
    ],
)
def test_options(options: str, clang: bool | None, gcc: bool | None) -> None:
    assert (takes(options), takes(options, GCC)) == (clang, gcc)


def test_an_older_compiler_lacks_what_came_later() -> None:
    for version, good in (("140006", False), ("150007", False), ("160000", True), ("220108", True)):
        assert takes("-fsanitize=kcfi", {**CLANG, "CLANG_VERSION": version}) is good


def test_nothing_is_said_of_an_architecture_that_was_not_measured() -> None:
    assert takes("-fsanitize=kcfi", arch="sparc") is None
    assert takes("-fsanitize=kcfi", arch="s390") is True
    assert takes("-mharden-sls=all", arch="arm64") is None


def test_nothing_is_said_without_a_version() -> None:
    assert takes("-fsanitize=kcfi", {}) is None
    assert takes("-fsanitize=kcfi", {"CC_IS_CLANG": "y", "CLANG_VERSION": "sixteen"}) is None


def test_nm_and_ar_come_with_the_linker() -> None:
    command = "/usr/bin/llvm-nm --help | head -n 1 | grep -qi llvm"
    assert compilers.passes(command, CLANG, "x86", "") is True
    assert compilers.passes(command, GCC, "x86", "") is False


@pytest.mark.parametrize(("lld", "bfd", "good"), [(160006, 0, False), (190107, 0, True), (0, 24000, False),
                                                  (0, 24400, True)])  # fmt: skip
def test_relaxation_that_the_shadow_call_stack_cannot_have(lld: int, bfd: int, good: bool) -> None:
    facts = {"LD_IS_LLD": "y" if lld else "n", "LLD_VERSION": str(lld), "LD_VERSION": str(bfd)}
    assert compilers.passes("ld.lld -v --no-relax-gp", facts, "riscv", "") is good
    assert compilers.passes("ld.lld -v --another", facts, "riscv", "") is None
    assert compilers.passes("ld.lld -v --no-relax-gp", {}, "riscv", "") is None


ULEB128 = (
    r'printf "%b\n" ".uleb128 .Lexpr_end4 - .Lexpr_start3\n.Lexpr_start3:\n.Lexpr_end4:" '
    "| clang -fintegrated-as -Wa,--fatal-warnings -c -x assembler-with-cpp -o /dev/null -"
)


@pytest.mark.parametrize(
    ("arch", "llvm", "version", "good"),
    [
        ("riscv", "n", "24000", False), ("riscv", "n", "24100", True), ("riscv", "y", "140006", True),
        ("x86", "n", "23000", True), ("arm64", "y", "220108", True), ("loongarch", "n", "24000", None),
        ("riscv", "n", None, None),
    ],
)  # fmt: skip
def test_distances_in_uleb128(arch: str, llvm: str, version: str | None, good: bool | None) -> None:
    assert compilers.passes(ULEB128, {"AS_IS_LLVM": llvm, "AS_VERSION": version}, arch, "") is good


def test_sanitizers_that_only_some_architectures_have() -> None:
    for options, arches in (("-fsanitize=kernel-hwaddress", ("x86", "arm64")),
                            ("-fsanitize=kernel-memory -mllvm -msan-disable-checks=1", ("x86",))):  # fmt: skip
        assert [a for a in ("x86", "arm64", "riscv") if takes(options, CLANG, a)] == list(arches)


def test_thread_sanitizer_on_riscv() -> None:
    for version, good in (("160006", False), ("190107", True)):
        facts = {**CLANG, "CLANG_VERSION": version}
        assert takes("-fsanitize=thread -mllvm -tsan-distinguish-volatile=1", facts, "riscv") is good
    assert takes("-fsanitize=thread --param tsan-distinguish-volatile=1", GCC, "riscv") is True


SCRIPT = """\
case "$1" in
gcc)
	if [ "$ARCH" = parisc64 ]; then
		echo 12.0.0
	else
		echo 8.1.0
	fi
	;;
llvm)
	if [ "$SRCARCH" = s390 ]; then
		echo 15.0.0
	elif [ "$SRCARCH" = loongarch ]; then
		echo 18.0.0
	else
		echo 13.0.1
	fi
	;;
rustc)
	echo 1.85.0
	;;
*)
	echo "$1: unknown tool" >&2
	exit 1
	;;
esac
"""


@pytest.mark.parametrize(("arch", "llvm"), [("x86", "13.0.1"), ("s390", "15.0.0"), ("loongarch", "18.0.0")])
def test_least_versions(arch: str, llvm: str) -> None:
    assert compilers.minimums(SCRIPT, arch) == {"gcc": "8.1.0", "llvm": llvm, "rustc": "1.85.0"}
    assert compilers.minimums("", arch) == {}
