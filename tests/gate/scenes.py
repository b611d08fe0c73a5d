# SPDX-License-Identifier: MIT
"""Small kernels and paholes that do one thing: what the examples of the rules BTF5xx describe."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import NamedTuple

from btfcheck.btf.format import STRUCT, UNION
from btfcheck.dwarf.writer import build
from tests.btf.blob import Blob
from tests.fakes import write

_FAKE = """\
out=
for word; do
    case $word in
    --version) echo v1.32; exit ;;
    --numeric_version) echo 132; exit ;;
    --help|--supported_btf_features) echo --lang_exclude; exit ;;
    --btf_encode_detached=*) out=${word#*=} ;;
    esac
    input=$word
done
"""
_DOES = {
    "writes": "cp {btf} $out",
    "writes and crashes": "cp {btf} $out; kill -SEGV $$",
    "writes and touches": "cp {btf} $out; chmod u+w $input; touch -d @1 $input",
    "writes rubbish": "echo rubbish rubbish rubbish > $out",
    "nothing": "exit 0",
    "crashes": "kill -SEGV $$",
    "hangs": "exec sleep 600",
    "hangs with a child": "sleep 600 & sleep 600",
    "floods": "exec yes",
    "fails": "exit 1",
    "cuts": "head -c 60 {btf} > $out",
    "tails": "cat {btf} {btf} > $out",
    "empties": ": > $out",
}


_FAKE_RESOLVE = """\
for word; do
    [ "$last" = --btf ] && made=$word
    last=$word
done
"""
_RESOLVES = {
    "writes": "cp $made $last.BTF",
    "nothing": "exit 0",
    "fails": "echo 'FAILED to sort BTF: Invalid argument' >&2; exit 255",
    "warns": "echo 'WARN: resolve_btfids: unresolved symbol bpf_lost' >&2; cp $made $last.BTF",
    "hangs": "exec sleep 600",
    "spoils": "cp {spoilt} $last.BTF",
    "cuts": "head -c 60 $made > $last.BTF",
}


class Scene(NamedTuple):
    """An example's files: the kernel, the pahole, the release to judge for, and the resolve_btfids or ""."""

    elf: Path
    btf: Path
    pahole: str
    kernel: str
    resolve: str = ""


def scene(text: str, folder: Path) -> Scene:
    """The files that an example's lines describe."""
    lines = text.splitlines()
    said = [line.removeprefix("says ") for line in lines if line.startswith("says ")]
    records = [line.split()[1:] for line in lines if line.startswith("btf ")]
    does = next((line.removeprefix("pahole ") for line in lines if line.startswith("pahole ")), "writes")
    kernel = next((line.split()[1] for line in lines if line.startswith("kernel ")), "6.12")
    rest = [line for line in lines if re.match(r"(unit|file| )", line)]
    folder.mkdir(exist_ok=True)
    (folder / "made.btf").write_bytes(btf(records))
    (folder / "says").write_text("".join(f"{line}\n" for line in said))
    (folder / "vmlinux").write_bytes(build("\n".join(rest)))
    pahole = str(folder / "no-pahole")
    if does != "is missing":
        body = _DOES[does].format(btf=folder / "made.btf")
        pahole = write(folder / "pahole", f"{_FAKE}cat {folder / 'says'} >&2\n{body}")
    resolve = next((line.removeprefix("resolve ") for line in lines if line.startswith("resolve ")), "")
    if resolve:
        path = folder / "resolve_btfids"
        if resolve != "is missing":
            (folder / "spoilt.btf").write_bytes(btf([["struct", "Option<u32>", "4"]]))
            write(path, _FAKE_RESOLVE + _RESOLVES[resolve].format(spoilt=folder / "spoilt.btf"))
        resolve = str(path)
    return Scene(folder / "vmlinux", folder / "made.btf", pahole, kernel, resolve)


def with_sections(data: bytes, sections: dict[str, tuple[int, bytes]]) -> bytes:
    """An ELF64 file with these sections, (sh_type, contents) by name, anew where it has them; .symtab is linked to
    .strtab."""
    (shoff,) = struct.unpack_from("<Q", data, 40)
    number, names_at = struct.unpack_from("<HH", data, 60)
    rows = [list(struct.unpack_from("<IIQQQQIIQQ", data, shoff + 64 * i)) for i in range(number)]
    at, size = rows[names_at][4:6]
    names, body = bytearray(data[at : at + size]), bytearray(data[:shoff])
    there = {bytes(names[row[0] : names.find(b"\0", row[0])]).decode(): i for i, row in enumerate(rows)}
    for name in sections:
        if name not in there:
            there[name] = len(rows)
            rows.append([len(names), *[0] * 9])
            names += name.encode() + b"\0"
    for name, (kind, contents) in sections.items():
        body += bytes(-len(body) % 8)
        link, info, entry = (there[".strtab"], 1, 24) if kind == 2 else (0, 0, 0)
        rows[there[name]][1:] = [kind, 0, 0, len(body), len(contents), link, info, 4 if kind == 7 else 8, entry]
        body += contents
    rows[names_at][4:6] = [len(body), len(names)]
    body += names
    body += bytes(-len(body) % 8)
    struct.pack_into("<Q", body, 40, len(body))
    struct.pack_into("<H", body, 60, len(rows))
    return bytes(body) + b"".join(struct.pack("<IIQQQQIIQQ", *row) for row in rows)


def btf(records: list[list[str]]) -> bytes:
    """`struct NAME SIZE [member:TYPE[@BIT] ...]`, `union`, `typedef NAME`, `func NAME [argument:TYPE ...]`; a type is
    int, long, char, ptr or the name of an earlier struct or union."""
    blob = Blob()
    number = blob.int()
    types: dict[str, int] = {"int": number}

    def named(name: str) -> int:
        if name == "ptr":
            return blob.ptr()
        if name in ("long", "char") and name not in types:
            types[name] = blob.int(name, {"long": 8, "char": 1}[name])
        return types[name]

    for kind, name, *rest in records:
        if kind in ("struct", "union"):
            members = []
            for place, word in enumerate(rest[1:]):
                member, _, of = word.partition(":")
                of, _, bit = of.partition("@")
                members.append((member, named(of or "int"), int(bit or place * 64)))
            types[name] = blob.struct(name, int(rest[0]), members, STRUCT if kind == "struct" else UNION)
        elif kind == "typedef":
            blob.typedef(name, number)
        else:
            arguments = [(word.partition(":")[0], named(word.partition(":")[2])) for word in rest]
            blob.func(name, blob.proto(0, arguments))
    return blob.bytes()
