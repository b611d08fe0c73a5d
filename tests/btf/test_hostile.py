# SPDX-License-Identifier: MIT
"""No input makes the checks crash, hang, or take more memory than 30 times its size and 100 MB."""

from __future__ import annotations

import random
import resource
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import btfcheck
from btfcheck.btf.format import DECL_TAG, ENUM, FLOAT, INT, STRUCT, TYPE_TAG
from btfcheck.btf.releases import rules_for
from btfcheck.btf.verify import MOST_FAULTS, check
from btfcheck.release import parse
from tests.btf.blob import Blob, mutants, wrap
from tests.btf.vectors import seeds

KERNELS = ("6.1", "6.12.117", "7.3")


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    for kernel in KERNELS:
        for path in ("user", "vmlinux"):
            btfcheck.validate(data, kernel=kernel, path=path)
        btfcheck.validate(data, base=GOOD, kernel=kernel, path="module")


@given(st.lists(st.integers(0, 0xFFFFFFFF) | st.integers(0, 20), max_size=60), st.binary(max_size=20))
def test_any_words(words: list[int], strings: bytes) -> None:
    data = wrap(struct.pack(f"<{len(words)}I", *words), b"\0" + strings + b"\0")
    for kernel in KERNELS:
        btfcheck.validate(data, kernel=kernel, path="user")
        btfcheck.validate(data, base=data, kernel=kernel, path="module")


def good() -> bytes:
    blob = Blob()
    blob.struct("device", 4, [("id", blob.int(), 0)])
    return blob.bytes()


GOOD = good()


def test_mutants_on_every_path_of_every_release() -> None:
    for blob in mutants(21, 300, list(seeds())):
        for kernel in KERNELS:
            btfcheck.validate(blob, kernel=kernel, path="user")
            btfcheck.validate(blob, base=GOOD, kernel=kernel, path="module")
            btfcheck.validate(GOOD, base=blob, kernel=kernel, path="user")


def seconds(data: bytes, kernel: str = "6.18") -> float:
    start = time.process_time()
    btfcheck.validate(data, kernel=kernel, path="user")
    return time.process_time() - start


def fan_out() -> bytes:
    """Every struct holds the one before twice, and there are special fields to look for."""
    blob = Blob()
    lock = blob.struct("bpf_spin_lock", 4, [("v", blob.int(), 0)])
    below = blob.struct("s", 8, [("a", 1, 0), ("b", 1, 32)])
    for _ in range(24):
        below = blob.struct("s", 1 << 31, [("a", below, 0), ("b", below, 0)])
    blob.struct("top", 1 << 31, [("l", lock, 0), ("x", below, 32), ("y", below, 32)])
    return blob.bytes()


def long_parameters() -> bytes:
    """Prototypes whose listing is a megabyte each, with every parameter at fault."""
    blob = Blob()
    name = "x" * 1000
    for _ in range(20):
        blob.proto(0, [(name, 99)] * 2000)
    return blob.bytes()


def one_long_string() -> bytes:
    """Every record names the same megabyte of text."""
    text = b"\0" + b"-" * (1 << 20) + b"\0"
    kinds = (TYPE_TAG << 24, DECL_TAG << 24, INT << 24, STRUCT << 24, ENUM << 24)
    records = []
    for i in range(4000):
        info = kinds[i % len(kinds)]
        records.append(struct.pack("<3I", 1, info, 4) + (b"\0\0\0\0" if info >> 24 in (DECL_TAG, INT) else b""))
    return wrap(b"".join(records), text)


def prototypes_of_prototypes() -> bytes:
    blob = Blob()
    for i in range(40):
        blob.ptr(2 * i + 2)
        blob.proto(2 * i + 3, [("p", 2 * i + 3)] * 12)
    return blob.bytes()


def contains_tags() -> bytes:
    blob = Blob()
    head = blob.struct("bpf_list_head", 16, [])
    for i in range(3000):
        blob.tag("contains:" * 400 + str(i), blob.struct("m", 16, [("h", head, 0)]) + 1, 0)
    return blob.bytes()


@pytest.mark.parametrize("make", [fan_out, long_parameters, one_long_string, prototypes_of_prototypes, contains_tags])
def test_no_more_than_moments(make) -> None:
    assert seconds(make()) < 5


def test_faults_are_listed_up_to_a_number() -> None:
    bad = struct.pack("<3I", 0, FLOAT << 24, 5)
    verdict = check(wrap(bad * (MOST_FAULTS + 10), b"\0"), rules_for(parse("6.18"))).verdict
    assert len(verdict.faults) == MOST_FAULTS
    assert verdict.truncated


MEASURE = """
import resource, sys
sys.path.insert(0, sys.argv[1])
import btfcheck
data = open(sys.argv[2], "rb").read()
print(btfcheck.validate(data, kernel="7.3", path=sys.argv[3])[:2])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def largest(kind: str) -> bytes:
    """Blobs of 12 to 16 MB."""
    draw = random.Random(1)
    if kind == "floats":
        return wrap(struct.pack("<3I", 0, FLOAT << 24, 4) * 0x100010, b"\0")
    if kind == "faulty":
        return wrap(struct.pack("<3I", 0, FLOAT << 24, 5) * 0x100000, b"\0")
    if kind == "names":
        return wrap(struct.pack("<3I", 0, FLOAT << 24, 4), b"\0" + draw.randbytes(1 << 24 - 1)[: (1 << 23)] + b"\0")
    if kind == "members":
        return wrap(struct.pack("<7I", 1, 1 << 24, 4, 32, 0, 4 << 24 | 1_000_000, 1 << 31)
                    + b"".join(struct.pack("<3I", 1, 1, i) for i in range(1_000_000)), b"\0int\0")
    return draw.randbytes(12 << 20)


@pytest.mark.accept
@pytest.mark.parametrize("path", ["user", "vmlinux"])
@pytest.mark.parametrize("kind", ["floats", "faulty", "names", "members", "noise"])
def test_memory(tmp_path: Path, kind: str, path: str) -> None:
    file = tmp_path / "large.btf"
    file.write_bytes(largest(kind))
    root = Path(btfcheck.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", MEASURE, str(root), str(file), path],
                          capture_output=True, text=True, check=True, timeout=120)
    used = int(done.stdout.split()[-1]) << 10
    assert used < 30 * file.stat().st_size + (100 << 20)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime < 600


@pytest.mark.accept
@pytest.mark.parametrize(("number", "bad", "accepted"), [
    (0xFFFFE, None, True), (0x100010, None, True), (0xFFFFE, 0xFFFFE, False), (0xFFFFF, 0xFFFFF, False),
])
def test_the_number_of_types(number: int, bad: int | None, accepted: bool) -> None:
    """As measured: records beyond 0xFFFFE are checked one by one, and then dropped."""
    types = bytearray(struct.pack("<3I", 0, FLOAT << 24, 4) * number)
    if bad:
        struct.pack_into("<I", types, 12 * bad - 4, 5)
    assert btfcheck.validate(wrap(bytes(types), b"\0"), kernel="6.18.44").accepted is accepted


@pytest.mark.accept
def test_who_refers_to_a_dropped_type() -> None:
    floats = struct.pack("<3I", 0, FLOAT << 24, 4) * 0x100000
    for target, accepted in ((0xFFFFE, True), (0xFFFFF, False)):
        data = wrap(struct.pack("<3I", 0, 2 << 24, target) + floats, b"\0")
        verdict = btfcheck.validate(data, kernel="6.18.44")
        assert verdict.accepted is accepted
    assert verdict.message == "Exceeded max num of types[1] PTR (anon) type_id=1048575 Invalid type_id"


@pytest.mark.accept
@pytest.mark.parametrize(("size", "errno"), [(1 << 24, 0), ((1 << 24) + 1, 7)])
def test_the_largest_blob(size: int, errno: int) -> None:
    types = struct.pack("<3I", 0, FLOAT << 24, 4)
    data = wrap(types * 60_000, b"\0".ljust(size - 24 - 12 * 60_000, b"\0"))
    assert btfcheck.validate(data, kernel="6.18.44").errno == errno
