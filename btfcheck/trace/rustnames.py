# SPDX-License-Identifier: MIT
"""Names of Rust as tools write them: paths, mangled symbols, and names made fit for BTF.

Mangled: the v0 scheme (RFC 2603, "_R...") and the legacy one ("_ZN...17h<hash>E"). Fit for BTF: bpf-linker writes
every byte that C does not take as `_XX_` (`Option<u32>` becomes `Option_3C_u32_3E_`), and cuts names of over 128
bytes, which then end with a hash of the whole (src/llvm/di.rs, sanitize_type_name; the hash is Rust's
DefaultHasher, SipHash 1-3 with keys 0).
"""

from __future__ import annotations

import re

LINKER_LIMIT = 128  # bytes of a name that bpf-linker leaves whole
_HASH_DIGITS = 16
_PLAIN = re.compile(rb"[A-Za-z0-9_]")
_ESCAPE = re.compile(r"_([0-9A-F]{2})_")
_DEEP = 64
_LONGEST, _WORK = 4096, 1 << 18  # characters of a name, and of all its parts: back references double at every step


def split_path(name: str) -> list[str]:
    """The parts of a path; `::` inside of brackets does not part: core::option::Option<a::B> has three."""
    parts, depth, start = [], 0, 0
    for at, sign in enumerate(name):
        if sign in "<([{":
            depth += 1
        elif sign in ">)]}" and name[at - 1 : at + 1] != "->":
            depth = max(0, depth - 1)
        elif sign == ":" and not depth and name[at : at + 2] == "::":
            parts.append(name[start:at])
            start = at + 2
    return [*parts, name[start:]]


# -- made fit for BTF ------------------------------------------------------------------------------------


def sanitised(name: str) -> str:
    """A name with every byte that C does not take written as `_XX_`."""
    raw = name.encode("utf-8", "surrogateescape")
    return "".join(chr(b) if _PLAIN.match(bytes([b])) else f"_{b:X}_" for b in raw)


def linker_name(name: str) -> str:
    """The name that bpf-linker gives a type: sanitised, and of long ones the beginning and a hash."""
    whole = sanitised(name)
    if len(whole) <= LINKER_LIMIT:
        return whole
    return f"{whole[: LINKER_LIMIT - _HASH_DIGITS - 1]}_{siphash(whole.encode()):x}"


def unsanitised(name: str) -> str:
    """The name that was sanitised, as far as it can be told: what stands for no sign is left alone."""
    raw, at = bytearray(), 0
    for found in _ESCAPE.finditer(name):
        byte = int(found[1], 16)
        if found.start() < at or _PLAIN.match(bytes([byte])):
            continue
        raw += name[at : found.start()].encode("utf-8", "surrogateescape")
        raw.append(byte)
        at = found.end()
    raw += name[at:].encode("utf-8", "surrogateescape")
    return raw.decode("utf-8", "backslashreplace")


_MASK = (1 << 64) - 1


def siphash(data: bytes) -> int:
    """SipHash 1-3 with both keys 0, as Rust's DefaultHasher has it."""
    state = [0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573]

    def rounds(number: int) -> None:
        a, b, c, d = state
        for _ in range(number):
            a = (a + b) & _MASK
            b = _rotate(b, 13) ^ a
            a = _rotate(a, 32)
            c = (c + d) & _MASK
            d = _rotate(d, 16) ^ c
            a = (a + d) & _MASK
            d = _rotate(d, 21) ^ a
            c = (c + b) & _MASK
            b = _rotate(b, 17) ^ c
            c = _rotate(c, 32)
        state[:] = a, b, c, d

    padded = data + bytes(-(len(data) + 1) % 8) + bytes([len(data) & 0xFF])
    for at in range(0, len(padded), 8):
        word = int.from_bytes(padded[at : at + 8], "little")
        state[3] ^= word
        rounds(1)
        state[0] ^= word
    state[2] ^= 0xFF
    rounds(3)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def _rotate(word: int, by: int) -> int:
    return (word << by | word >> 64 - by) & _MASK


# -- mangled symbols -------------------------------------------------------------------------------------


def is_mangled(name: str) -> bool:
    return bool(re.match(r"_?_R[A-Z]|_ZN\d", name))


def demangled(symbol: str) -> str | None:
    """The path that a Rust symbol stands for, without crate hashes; None for what is no such symbol.

    A suffix that LLVM added (".llvm.123") is left out.
    """
    if symbol.startswith("_ZN"):
        return _legacy(symbol)
    if match := re.match(r"_?_R(?=[A-Z])", symbol):
        reader = _Symbol(symbol[match.end() :].partition(".")[0])
        try:
            return reader.path(value=True)
        except _BadSymbol:
            return None
    return None


_LEGACY_SIGNS = {"SP": "@", "BP": "*", "RF": "&", "LT": "<", "GT": ">", "LP": "(", "RP": ")", "C": ","}


def _legacy(symbol: str) -> str | None:
    at, parts = 3, []
    while at < len(symbol) and symbol[at].isdecimal():
        number = re.match(r"\d{1,6}", symbol[at:])
        assert number is not None
        start = at + number.end()
        at = start + int(number[0])
        if at > len(symbol):
            return None
        parts.append(symbol[start:at])
    if len(parts) < 2 or symbol[at : at + 1] != "E" or not re.fullmatch(r"h[0-9a-f]{16}", parts[-1]):
        return None
    return "::".join(_legacy_part(part) for part in parts[:-1])


def _legacy_part(part: str) -> str:
    def sign(match: re.Match[str]) -> str:
        word = match[1]
        if re.fullmatch(r"u[0-9a-f]{1,6}", word) and int(word[1:], 16) < 0x110000:
            return chr(int(word[1:], 16))
        return _LEGACY_SIGNS.get(word, match[0])

    if part.startswith("_$"):
        part = part[1:]
    return re.sub(r"\$(\w{1,7})\$", sign, part).replace("..", "::")


class _BadSymbol(Exception):  # noqa: N818
    """Not a symbol of the v0 scheme."""


_BASIC = {
    "a": "i8", "b": "bool", "c": "char", "d": "f64", "e": "str", "f": "f32", "h": "u8", "i": "isize", "j": "usize",
    "l": "i32", "m": "u32", "n": "i128", "o": "u128", "s": "i16", "t": "u16", "u": "()", "v": "...", "x": "i64",
    "y": "u64", "z": "!", "p": "_",
}  # fmt: skip


class _Symbol:
    """A reader over a v0 symbol, its prefix taken off; the grammar is that of RFC 2603."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.made = 0

    def next(self) -> str:
        if self.at >= len(self.text):
            raise _BadSymbol
        self.at += 1
        return self.text[self.at - 1]

    def eat(self, sign: str) -> bool:
        if self.text[self.at : self.at + 1] == sign:
            self.at += 1
            return True
        return False

    def base62(self) -> int:
        if self.eat("_"):
            return 0
        value = 0
        while (sign := self.next()) != "_":
            digit = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".find(sign)
            if digit < 0 or value > 1 << 64:
                raise _BadSymbol
            value = value * 62 + digit
        return value + 1

    def optional62(self, tag: str) -> int:
        return self.base62() + 1 if self.eat(tag) else 0

    def identifier(self) -> tuple[str, int]:
        """(name, disambiguator)"""
        disambiguator = self.optional62("s")
        puny = self.eat("u")
        digits = re.match(r"0|[1-9]\d{0,5}", self.text[self.at :])
        if not digits:
            raise _BadSymbol
        self.at += digits.end()
        self.eat("_")
        end = self.at + int(digits[0])
        if end > len(self.text):
            raise _BadSymbol
        name = self.text[self.at : end]
        self.at = end
        if puny:
            try:
                head, _, tail = name.rpartition("_")
                name = f"{head}-{tail}".lstrip("-").encode("ascii").decode("punycode")
            except (UnicodeError, ValueError) as error:
                raise _BadSymbol from error
        return name, disambiguator

    def inside(self, text: str) -> str:
        self.made += len(text)
        if self.made > _WORK or len(text) > _LONGEST:
            raise _BadSymbol
        return text

    def path(self, value: bool = False) -> str:
        self.depth += 1
        if self.depth > _DEEP:
            raise _BadSymbol
        found = self.inside(self._path(value))
        self.depth -= 1
        return found

    def _path(self, value: bool) -> str:
        tag = self.next()
        if tag == "C":
            return self.identifier()[0]
        if tag in "MX":  # the path of the impl itself says nothing
            self.optional62("s")
            self.path()
        if tag == "M":
            return f"<{self.type()}>"
        if tag in "XY":
            return f"<{self.type()} as {self.path()}>"
        if tag == "N":
            space, outer = self.next(), self.path(value)
            name, number = self.identifier()
            if space.isupper():
                kind = {"C": "closure", "S": "shim"}.get(space, space)
                return f"{outer}::{{{kind}{':' if name else ''}{name}#{number}}}"
            return f"{outer}::{name}" if name else outer
        if tag == "I":
            outer = self.path(value)
            return f"{outer}{'::' if value else ''}<{', '.join(self.until_end(self.argument))}>"
        if tag == "B":
            return self.back(lambda: self.path(value))
        raise _BadSymbol

    def until_end(self, read: object) -> list[str]:
        assert callable(read)
        found: list[str] = []
        while not self.eat("E"):
            found.append(read())
        return found

    def back(self, read: object) -> str:
        assert callable(read)
        start = self.at - 1
        target = self.base62()
        if target >= start:
            raise _BadSymbol
        here, self.at = self.at, target
        self.depth += 1
        if self.depth > _DEEP:
            raise _BadSymbol
        found: str = self.inside(read())
        self.depth -= 1
        self.at = here
        return found

    def argument(self) -> str:
        if self.eat("L"):
            number = self.base62()
            return "'_" if not number else f"'{number}"
        if self.eat("K"):
            return self.constant()
        return self.type()

    def type(self) -> str:
        self.depth += 1
        if self.depth > _DEEP:
            raise _BadSymbol
        found = self.inside(self._type())
        self.depth -= 1
        return found

    def _type(self) -> str:
        tag = self.next()
        if tag in _BASIC:
            return _BASIC[tag]
        if tag in "RQ":
            if self.eat("L"):
                self.base62()
            return f"&{'mut ' if tag == 'Q' else ''}{self.type()}"
        if tag in "PO":
            return f"*{'const' if tag == 'P' else 'mut'} {self.type()}"
        if tag == "A":
            return f"[{self.type()}; {self.constant()}]"
        if tag == "S":
            return f"[{self.type()}]"
        if tag == "T":
            parts = self.until_end(self.type)
            return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
        if tag == "F":
            return self.function()
        if tag == "D":
            return self.dynamic()
        if tag == "B":
            return self.back(self.type)
        self.at -= 1
        return self.path()

    def function(self) -> str:
        self.optional62("G")
        head = "unsafe " if self.eat("U") else ""
        if self.eat("K"):
            abi = "C" if self.eat("C") else self.identifier()[0].replace("_", "-")
            head += f'extern "{abi}" '
        arguments = self.until_end(self.type)
        result = self.type()
        return f"{head}fn({', '.join(arguments)}){'' if result == '()' else f' -> {result}'}"

    def dynamic(self) -> str:
        self.optional62("G")
        traits = []
        while not self.eat("E"):
            trait = self.path()
            bound = []
            while self.eat("p"):
                name, _ = self.identifier()
                bound.append(f"{name} = {self.type()}")
            if bound:
                joined = ", ".join(bound)
                trait = f"{trait[:-1]}, {joined}>" if trait.endswith(">") else f"{trait}<{joined}>"
            traits.append(trait)
        if not self.eat("L"):
            raise _BadSymbol
        self.base62()
        return f"dyn {' + '.join(traits)}"

    def constant(self) -> str:
        tag = self.next()
        if tag == "p":
            return "_"
        if tag == "B":
            return self.back(self.constant)
        if tag not in "hmytojaslxnibc":
            raise _BadSymbol
        minus = "-" if self.eat("n") else ""
        digits = re.match(r"[0-9a-f]{0,32}_", self.text[self.at :])
        if not digits:
            raise _BadSymbol
        self.at += digits.end()
        number = int(digits[0][:-1] or "0", 16)
        if tag == "b":
            return "true" if number else "false"
        if tag == "c":
            return repr(chr(number)) if number < 0x110000 else "'?'"
        return f"{minus}{number}"
