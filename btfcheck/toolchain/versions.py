# SPDX-License-Identifier: MIT
"""What tools print -> Kconfig's integers and clean X.Y.Z.

Each reader takes the tool's whole output and gives a Version, or Unreadable with the
reason; no text makes it raise. The integers are those of the kernel's scripts/
{pahole,rustc,rustc-llvm,cc,ld,as}-version.sh (6.12 to 7.3).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.version import Version as Comparable


@dataclass(frozen=True)
class Version:
    """`number` as Kconfig records it, `clean` "X.Y" or "X.Y.Z"; `kind` says which tool it is."""

    number: int
    clean: str
    kind: str = ""

    @property
    def comparable(self) -> Comparable:
        from packaging.version import Version as Comparable

        return Comparable(self.clean)


@dataclass(frozen=True)
class Unreadable:
    """No version in that text, and why."""

    reason: str


Reading = Version | Unreadable

# At most 6 digits: no tool has more, and int() refuses thousands of them.
_N = "([0-9]{1,6})(?![0-9])"
_XYZ = rf"(?<![0-9.]){_N}\.{_N}(?:\.{_N})?"


def quoted(text: str) -> str:
    """The first line of a text, short enough to be shown."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return repr(line[:80]) if line else "nothing"


def _version(parts: tuple[str | None, ...], scale: tuple[int, int] = (10000, 100), kind: str = "") -> Version:
    x, y, z = (int(part or 0) for part in parts)
    return Version(scale[0] * x + scale[1] * y + z, f"{x}.{y}.{z}", kind)


_RUST_SCALE = (100000, 100)  # one digit more, for 1.100


def pahole(text: str) -> Reading:
    """`pahole --version`: "v1.31" -> 131, as pahole-version.sh's sed does it.

    "v2.0" -> 20: that is what Kconfig would see, and why `clean` ("2.0") is kept beside it.
    """
    if found := re.fullmatch(rf"v{_N}\.{_N}", text.strip()):
        major, minor = (str(int(n)) if i == 0 else n for i, n in enumerate(found.groups()))
        return Version(int(major + minor), f"{major}.{int(minor)}")
    return Unreadable(f"printed {quoted(text)}, not vX.Y as pahole does")


def rustc(text: str) -> Reading:
    """`rustc --version` or `-vV`: "rustc 1.95.0-nightly (...)" -> 109500, 1.100.0 -> 110000."""
    return _named(text, "rustc", _RUST_SCALE)


def bindgen(text: str) -> Reading:
    """`bindgen --version`: "bindgen 0.71.1" -> 7101, on rustc's scale."""
    return _named(text, "bindgen", _RUST_SCALE)


def _named(text: str, name: str, scale: tuple[int, int]) -> Reading:
    """As rust_is_available.sh: the last "NAME X.Y.Z" on the first line, whatever follows."""
    found = re.findall(rf"{name} {_N}\.{_N}\.{_N}", text.partition("\n")[0])
    if found:
        return _version(found[-1], scale)
    return Unreadable(f"printed {quoted(text)}, not '{name} X.Y.Z'")


def rustc_llvm(text: str) -> Reading:
    """`rustc -vV`: "LLVM version: 22.1.2" -> 220102."""
    if found := re.search(rf"^LLVM version: {_XYZ}", text, re.MULTILINE):
        return _version(found.groups())
    return Unreadable("names no LLVM version")


def compiler(text: str) -> Reading:
    """The preprocessed MACROS: kind "Clang" or "GCC", 14.0.6 -> 140006."""
    if found := re.search(rf"^(Clang|GCC)\s+{_N}\s+{_N}\s+{_N}\s*$", text, re.MULTILINE):
        return _version(found.groups()[1:], kind=found[1])
    return Unreadable(f"is neither GCC nor Clang (its macros give {quoted(text)})")


MACROS = b"""\
#if defined(__clang__)
Clang __clang_major__ __clang_minor__ __clang_patchlevel__
#elif defined(__GNUC__)
GCC __GNUC__ __GNUC_MINOR__ __GNUC_PATCHLEVEL__
#else
unknown
#endif
"""


def linker(text: str) -> Reading:
    """`ld --version`: kind "BFD" or "LLD", "GNU ld (...) 2.40" -> 24000.

    The version is the last word of the first line for GNU (a fourth field, as in
    2.35.1.20201116, does not count), the word after "LLD" for lld.
    """
    words = text.partition("\n")[0].split()
    if words[:2] == ["GNU", "ld"]:
        return _word(words[-1], "BFD", text)
    if words[:2] == ["GNU", "gold"]:
        return Unreadable("is gold, which cannot link the kernel")
    if "LLD" in words[:-1]:
        return _word(words[words.index("LLD") + 1], "LLD", text)
    return Unreadable(f"is neither GNU ld nor LLD (printed {quoted(text)})")


def assembler(text: str) -> Reading:
    """`cc -Wa,--version`: "GNU assembler (...) 2.40" -> 24000."""
    words = text.partition("\n")[0].split()
    if words[:2] == ["GNU", "assembler"]:
        return _word(words[-1], "GNU", text)
    return Unreadable(f"is not the GNU assembler (printed {quoted(text)})")


def _word(word: str, kind: str, text: str) -> Reading:
    if found := re.match(_XYZ, word):
        return _version(found.groups(), kind=kind)
    return Unreadable(f"printed {quoted(text)}, which has no version where it should be")


def libclang(text: str) -> Reading:
    """What clang's `#pragma message` printed through bindgen: "clang version 14.0.6" -> 140006."""
    if found := re.search(rf"clang version {_N}\.{_N}\.{_N}", text):
        return _version(found.groups())
    return Unreadable(f"printed {quoted(text)}, not its libclang's version")


def elfutils(name: str) -> Reading:
    """The file that libdw.so.1 is a link to: "libdw-0.188.so" -> 188."""
    if found := re.fullmatch(rf"lib(?:dw|elf)-0\.{_N}\.so", name):
        return Version(int(found[1]), f"0.{int(found[1])}")
    return Unreadable(f"{quoted(name)} names no elfutils release")


def features(text: str) -> tuple[str, ...] | Unreadable:
    """`pahole --supported_btf_features`: "encode_force,var,..." as a tuple."""
    names = tuple(name.strip() for name in text.strip().split(","))
    # Every pahole that has the option (1.26 and later) has the first feature.
    if "encode_force" in names and all(re.fullmatch("[a-z0-9_]{1,64}", name) for name in names):
        return names
    return Unreadable(f"printed {quoted(text)}, not a list of features")
