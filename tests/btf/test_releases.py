# SPDX-License-Identifier: MIT
"""The table of releases: every change, seen on both sides."""

from __future__ import annotations

import struct

import pytest

import btfcheck
from btfcheck.btf.releases import CHANGES, NEWEST, OLDEST, Rules, rules_for
from btfcheck.model import UsageError
from btfcheck.release import parse
from tests.btf.blob import Blob, wrap


def section(name: str) -> bytes:
    blob = Blob()
    var = blob.add(14, "v", blob.int(), 1)
    blob.add(15, name, 4, var, 0, 4, vlen=1)
    return blob.bytes()


def dotted() -> bytes:
    blob = Blob()
    blob.typedef("a.b", blob.int())
    return blob.bytes()


def tag_with_kflag() -> bytes:
    blob = Blob()
    blob.add(18, "t", blob.int(), kflag=True)
    return blob.bytes()


def tag_behind_const() -> bytes:
    blob = Blob()
    tag = blob.add(18, "t", blob.int())
    blob.const(tag)
    return blob.bytes()


def long_header() -> bytes:
    blob = Blob()
    blob.int("number")
    plain = blob.bytes()
    header = struct.pack("<HBBI", 0xEB9F, 1, 0, 32) + plain[8:24] + struct.pack("<II", len(plain) - 24, 4)
    return header + plain[24:] + bytes(4)


def many_members() -> bytes:
    """A struct of 70,000 members, which needs more than 16 bits."""
    types = struct.pack("<4I", 1, 1 << 24, 4, 32) + struct.pack("<3I", 0, 4 << 24 | 70_000, 4)
    return wrap(types + struct.pack("<3I", 0, 1, 0) * 70_000, b"\0int\0")


def locks_and_lists() -> bytes:
    """A list head without the tag that says what it holds (rule F.5)."""
    blob = Blob()
    head = blob.struct("bpf_list_head", 16, [])
    blob.struct("mine", 16, [("head", head, 0)])
    return blob.bytes()


@pytest.mark.parametrize(("blob", "before", "since"), [
    (locks_and_lists(), "6.1", "6.2"),
])
def test_refused_from_on(blob: bytes, before: str, since: str) -> None:
    assert btfcheck.validate(blob, kernel=before).accepted
    assert not btfcheck.validate(blob, kernel=since).accepted


@pytest.mark.parametrize(("blob", "before", "since", "rule"), [
    (dotted(), "6.4.5", "6.4.6", "TYPEDEF.4"),
    (dotted(), "6.3.13", "6.5", "TYPEDEF.4"),
    (dotted(), "6.2", "6.1", "TYPEDEF.4"),
    (section(".data..per cpu"), "6.8", "6.9", "DATASEC.4"),
    (section("1st"), "6.1.192", "6.9-rc1", "DATASEC.4"),
    (tag_with_kflag(), "6.14.11", "6.15", "TYPE_TAG.2k"),
    (long_header(), "7.0.13", "7.1", "H3"),
    (many_members(), "7.1.13", "7.2-rc1", "Y4"),
    (tag_behind_const(), "7.1", "7.2", "G.2"),
])
def test_accepted_from_on(blob: bytes, before: str, since: str, rule: str) -> None:
    verdict = btfcheck.validate(blob, kernel=before)
    assert [fault.rule for fault in verdict.faults[:1]] == [rule]
    assert btfcheck.validate(blob, kernel=since).accepted


def test_the_first_byte_of_section_names_was_free_for_two_releases() -> None:
    blob = section("\x01ata")
    assert [btfcheck.validate(blob, kernel=k).accepted for k in ("6.8", "6.9", "6.10", "6.11")] == [
        False, True, True, False,
    ]  # fmt: skip


def test_every_change_names_a_field_and_does_something() -> None:
    for change in CHANGES:
        assert change.field in Rules._fields
        before = change.since._replace(minor=change.since.minor - 1) if change.since.minor else parse("6.19")
        if not change.only_line and before >= OLDEST:
            assert getattr(rules_for(change.since), change.field) == change.value
            assert getattr(rules_for(before), change.field) != change.value or change.field == "dots"


def test_older_releases_are_refused_and_newer_ones_judged_as_the_newest() -> None:
    with pytest.raises(UsageError, match="oldest release"):
        btfcheck.validate(dotted(), kernel="5.15")
    verdict = btfcheck.validate(dotted(), kernel="8.2")
    assert verdict.accepted
    assert verdict.notes == (f"8.2 is newer than what is known; judged as {NEWEST}",)
    assert rules_for(parse("8.2")) == rules_for(NEWEST)
