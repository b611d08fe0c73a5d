# SPDX-License-Identifier: MIT
"""resolve_btfids: fakes that misbehave, the lists of ids put back, and the real one."""

from __future__ import annotations

import contextlib
import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btfcheck.btf.releases import rules_for
from btfcheck.btf.verify import VMLINUX, check
from btfcheck.cli import main
from btfcheck.dwarf.writer import build
from btfcheck.gate.finish import applies, pristine
from btfcheck.image import Image
from btfcheck.model import InputError
from btfcheck.release import parse
from btfcheck.toolchain import tools
from tests.fakes import processes
from tests.gate.scenes import btf, scene, with_sections

DEVICE = 'kernel 7.1.3\npahole writes\nbtf struct device 8\nunit C "main.c"\n  structure_type "device" byte_size=8\n'
FUNCTIONS = ["b_kfunc", "a_kfunc", "c_kfunc"]  # in the order of the source, which is not that of their ids
FLAGS = dict(zip(FUNCTIONS, (2, 0, 64), strict=True))
SET8, PLAIN = "__BTF_ID__set8__kfuncs", "__BTF_ID__struct__device__9"


@pytest.fixture(autouse=True)
def _afresh() -> None:
    tools.forget()


def lists(resolved: dict[str, int] | None) -> tuple[bytes, list[tuple[str, int, int]]]:
    """.BTF_ids with one struct and one set of kfuncs, and (symbol, offset, size), as a compiler makes them or as
    resolve_btfids leaves them."""
    symbols = [(PLAIN, 0, 4), (SET8, 4, 8 + 8 * len(FUNCTIONS))]
    symbols += [(f"__BTF_ID__func__{name}__{n}", 12 + 8 * n, 4) for n, name in enumerate(FUNCTIONS)]
    if resolved is None:
        pairs = [(0, FLAGS[name]) for name in FUNCTIONS]
        return struct.pack("<III", 0, 0, 1) + b"".join(struct.pack("<II", *p) for p in pairs), symbols
    pairs = sorted((resolved[name], FLAGS[name]) for name in FUNCTIONS)
    head = struct.pack("<III", resolved["device"], len(FUNCTIONS), 1)
    return head + b"".join(struct.pack("<II", *p) for p in pairs), symbols


def with_lists(data: bytes, ids: bytes, symbols: list[tuple[str, int, int]], kind: int = 1) -> bytes:
    """The ELF file with .BTF_ids and its symbols; `kind` 8 is NOBITS, as in a separate debug file."""
    (number,) = struct.unpack_from("<H", data, 60)
    strings, table = b"\0", bytes(24)
    for name, at, size in symbols:
        table += struct.pack("<IBBHQQ", len(strings), 0, 0, number, at, size)
        strings += name.encode() + b"\0"
    return with_sections(data, {".BTF_ids": (kind, ids), ".strtab": (3, strings), ".symtab": (2, table)})


def plain() -> bytes:
    return build('unit C "main.c"\n  structure_type "device" byte_size=8\n')


OWN = check(btf([["struct", "device", "8"], *(["func", name] for name in sorted(FUNCTIONS))]),
            rules_for(parse("7.1.3")), VMLINUX).btf
assert OWN is not None
IDS = {OWN.name(tid): tid for tid in OWN.own_ids() if OWN.name(tid)}


def test_lists_that_were_never_resolved_stay_as_they_are() -> None:
    ids, symbols = lists(None)
    assert pristine(Image(with_lists(plain(), ids, symbols)), lambda: None) == ids


def test_resolved_lists_are_put_back() -> None:
    fresh, symbols = lists(None)
    done, _ = lists(IDS)
    assert done != fresh
    restored = pristine(Image(with_lists(plain(), done, symbols)), lambda: OWN)
    for n, name in enumerate(FUNCTIONS):
        assert struct.unpack_from("<II", restored, 12 + 8 * n) == (0, FLAGS[name])
    assert restored[:4] == bytes(4)


@pytest.mark.parametrize("what", ["no BTF", "other BTF", "no symbols", "no table", "elsewhere", "outside", "odd size"])
def test_what_cannot_be_put_back_is_not_guessed(what: str) -> None:
    done, symbols = lists(IDS)
    kind = 8 if what == "elsewhere" else 1
    if what == "no symbols":
        symbols = []
    elif what == "outside":
        symbols = [(name, at + 400, size) for name, at, size in symbols]
    elif what == "odd size":
        symbols[1] = (SET8, 4, 8 * 100)
    data = with_lists(plain(), done, symbols, kind)
    if what == "no table":
        data = with_sections(plain(), {".BTF_ids": (1, done)}).replace(b".symtab", b".nosyms")
        data = with_sections(data, {".nosyms": (1, b"")})
    other = check(btf([["struct", "device", "8"]]), rules_for(parse("7.1.3")), VMLINUX).btf
    with pytest.raises(InputError):
        pristine(Image(data), lambda: {"no BTF": None, "other BTF": other}.get(what, OWN))


@given(st.binary(max_size=60), st.lists(st.tuples(st.sampled_from([SET8, PLAIN, "__BTF_ID__func__x__1", "__BTF_ID__"]),
                                                  st.integers(0, 2**40), st.integers(0, 2**40)), max_size=4))
def test_any_bytes(ids: bytes, symbols: list[tuple[str, int, int]]) -> None:
    with contextlib.suppress(InputError):
        assert len(pristine(Image(with_lists(plain(), ids, symbols)), lambda: OWN)) == len(ids)


def test_no_lists_at_all() -> None:
    assert pristine(Image(plain()), lambda: None) == b""


def test_which_releases() -> None:
    assert [applies(parse(r)) for r in ("6.19", "7.0", "7.3.4")] == [False, True, True]


# -- through the verb --------------------------------------------------------------------------------------------


def encode(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code = main(["encode", "--output", "json", "--timeout", "2", *words])
    return code, json.loads(capsys.readouterr().out)


def words_of(made: Any) -> list[str]:
    return [str(made.elf), "--pahole", made.pahole, "--kernel", made.kernel, f"RESOLVE_BTFIDS={made.resolve}"]


@pytest.mark.parametrize("does", ["fails", "nothing", "hangs", "cuts"])
def test_a_bad_resolve_btfids_is_never_accepted(does: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = scene(DEVICE + f"resolve {does}\n", tmp_path)
    code, data = encode(capsys, *words_of(made))
    (row,) = data["encodings"]
    assert (code, row["result"], row["accepted"]) == (1, "resolve-failed", False)


def test_the_verdict_is_that_of_what_came_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = scene(DEVICE + "resolve spoils\n", tmp_path)
    code, data = encode(capsys, *words_of(made))
    (row,) = data["encodings"]
    assert (code, row["result"], row["resolve_btfids"]["exit"]) == (1, "refused", 0)
    (found,) = [o for o in data["outcomes"] if o["rule"] == "BTF507"]
    assert "that resolve_btfids made of it" in found["message"]


def test_nothing_is_written_to_or_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("BTFCHECK_TEST_MARK", str(tmp_path))
    for does in ("writes", "hangs", "fails"):
        made = scene(DEVICE + f"resolve {does}\n", tmp_path / does)
        before = made.elf.read_bytes(), made.elf.stat().st_mtime_ns
        encode(capsys, *words_of(made), "--keep", str(tmp_path / "kept"))
        assert (made.elf.read_bytes(), made.elf.stat().st_mtime_ns) == before
    assert list(place.iterdir()) == []
    assert (tmp_path / "kept/vmlinux.pahole-1.32.finished.btf").read_bytes() == made.btf.read_bytes()
    assert [p for p in processes(f"BTFCHECK_TEST_MARK={tmp_path}") if p != os.getpid()] == []


def test_lists_that_cannot_be_put_back_leave_it_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = scene(DEVICE + "resolve writes\n", tmp_path)
    done, symbols = lists(IDS)
    made.elf.write_bytes(with_lists(build('unit C "main.c"\n  structure_type "device" byte_size=8\n'), done, symbols))
    code, data = encode(capsys, *words_of(made))
    (found,) = [o for o in data["outcomes"] if o["rule"] == "BTF520"]
    assert (code, found["status"]) == (3, "unknown")


def test_before_7_0_none_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = scene(DEVICE.replace("7.1.3", "6.19") + "resolve fails\n", tmp_path)
    code, data = encode(capsys, *words_of(made))
    assert (code, data["encodings"][0]["result"]) == (0, "accepted")


# -- the real one ------------------------------------------------------------------------------------------------

REAL = Path(os.environ.get("BTFCHECK_PAHOLES", "/nonexistent"))
PAHOLE = REAL / "pahole-1.30/pahole"
SMALL = Path(__file__).parents[1] / "data/small_kernel/vmlinux"


@pytest.mark.accept
@pytest.mark.skipif(not [*REAL.glob("resolve_btfids-*")] or not PAHOLE.exists(),
                    reason="needs BTFCHECK_PAHOLES=DIR, filled by tests/fetch-paholes DIR")  # fmt: skip
def test_the_real_one_exits_0_on_what_the_kernel_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sound = tmp_path / "vmlinux"
    sound.write_bytes(build('unit C "main.c"\n  structure_type "device" byte_size=8\n'))
    for resolve in REAL.glob("resolve_btfids-*/resolve_btfids"):
        release = resolve.parent.name.partition("-")[2]
        results = []
        for path in (SMALL, sound):
            _, data = encode(capsys, str(path), "--timeout", "60", "--pahole", str(PAHOLE), "--kernel", release,
                             f"RESOLVE_BTFIDS={resolve}")
            (row,) = data["encodings"]
            assert row["resolve_btfids"]["exit"] == 0, data
            results.append(row["result"])
        assert results == ["refused", "accepted"]
