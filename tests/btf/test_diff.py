# SPDX-License-Identifier: MIT
"""Differences between two BTFs, whatever ids they have."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from btfcheck.btf.diff import compare
from btfcheck.btf.format import Btf
from btfcheck.btf.releases import rules_for
from btfcheck.btf.verify import check
from btfcheck.release import parse
from tests.btf.blob import Blob, mutants
from tests.btf.vectors import seeds


def parsed(data: bytes) -> Btf:
    btf = check(data, rules_for(parse("7.3")), "vmlinux").btf
    assert btf is not None
    return btf


def kernel(front: int = 0, wide: bool = False) -> Blob:
    """A struct, a function, a typedef of an anonymous union; `front` types before them."""
    blob = Blob()
    for _ in range(front):
        blob.ptr(0)
    number = blob.int()
    long = blob.int("long", 8)
    device = blob.struct("device", 16, [("id", number, 0), ("ref", long if wide else number, 64)])
    blob.func("probe", blob.proto(number, [("dev", blob.ptr(device)), ("", 0)]))
    blob.typedef("cookie_t", blob.union("", 8, [("n", number), ("p", blob.ptr(0))]))
    return blob


def differences(old: Blob, new: Blob) -> dict[str, Any]:
    return compare(parsed(old.bytes()), parsed(new.bytes()))


def test_other_ids_are_no_difference() -> None:
    assert differences(kernel(), kernel(front=7)) == {"added": [], "removed": [], "changed": []}


def test_a_member_that_changed() -> None:
    found = differences(kernel(), kernel(front=3, wide=True))
    assert (found["added"], found["removed"]) == ([], [])
    assert found["changed"] == [{
        "kind": "struct", "name": "device",
        "lines": ["     int id;  /* at 0 */", "-    int ref;  /* at 8 */", "+    long ref;  /* at 8 */", " };"],
    }]


def test_what_came_and_went() -> None:
    old, new = kernel(), kernel()
    old.enum("state", [("ON", 1)])
    new.func("remove", new.proto())
    found = differences(old, new)
    assert found["removed"] == [{"kind": "enum", "name": "state", "definition": [
        "enum state {  /* 4 bytes */", "    ON = 1,", "};"]}]
    assert found["added"] == [{"kind": "function", "name": "remove", "definition": ["remove: void (void)"]}]


def test_anonymous_types_are_compared_where_they_are_used() -> None:
    old, new = kernel(), kernel()
    old.typedef("t", old.struct("", 4, [("a", 1, 0)]))
    new.typedef("t", new.struct("", 4, [("b", 1, 0)]))
    (change,) = differences(old, new)["changed"]
    assert change["lines"] == ["-t: struct { int a;  /* at 0 */ }", "+t: struct { int b;  /* at 0 */ }"]


def test_bitfields_enums_and_arguments() -> None:
    old, new = kernel(), kernel()
    for blob, width, value in ((old, 3, -1), (new, 4, -2)):
        blob.struct("flags", 4, [("f", 1, 5 | width << 24)], kflag=True)
        blob.add(6, "e", 4, blob.string("E"), value, vlen=1, kflag=True)
        blob.add(19, "e64", 8, blob.string("E"), value & 0xFFFFFFFF, 0xFFFFFFFF, vlen=1, kflag=True)
        blob.add(14, "v", blob.array(1, 1, width), 1)
    found = {c["name"]: c["lines"] for c in differences(old, new)["changed"]}
    assert "-    int f : 3;  /* at 0 bit 5 */" in found["flags"]
    assert "+    E = -2," in found["e"]
    assert "-    E = -1," in found["e64"]
    assert found["v"] == ["-v: int[3]", "+v: int[4]"]


def test_long_definitions_are_compared_in_linear_time() -> None:
    old, new = Blob(), Blob()
    old.enum("big", [(f"A{i}", i) for i in range(5000)])
    new.enum("big", [(f"B{i}", i) for i in range(5000)])
    (change,) = differences(old, new)["changed"]
    assert len(change["lines"]) == 10_000


def test_any_two_graphs() -> None:
    rules = rules_for(parse("7.3"))
    whole = [c.btf for blob in mutants(4, 400, list(seeds())) if (c := check(blob, rules, "vmlinux")).complete]
    for old, new in pairwise(whole):
        if old and new:
            compare(old, new)
            assert compare(new, new) == {"added": [], "removed": [], "changed": []}
