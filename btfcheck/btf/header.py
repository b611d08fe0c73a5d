# SPDX-License-Identifier: MIT
"""Header, sections and strings: rules H, X, T, L, Y1 and Y2."""

from __future__ import annotations

import struct
from typing import NamedTuple

from btfcheck.btf.fault import E2BIG, EINVAL, ENOTSUPP, Refused, fault
from btfcheck.btf.format import MAX_NAME_OFFSET
from btfcheck.btf.releases import Rules

MAGIC = 0xEB9F
BASE_HEADER = 24


class Sections(NamedTuple):
    """The type and string sections, and where each starts behind the header."""

    types: bytes
    strings: bytes


def _refuse(rule: str, message: str, errno: int = EINVAL) -> Refused:
    return Refused(fault(rule, "", message, errno, stream=True))


def read_sections(data: bytes, rules: Rules, path: str, split: bool, byteorder: str) -> Sections:
    """The two sections of a blob that passes these rules; raises Refused with the first that fails.

    Rules L and Y belong to the system call: the kernel does not ask them of its own BTF, nor of modules.
    """
    order = "<" if byteorder == "little" else ">"
    if len(data) < 8:
        raise _refuse("H1", "hdr_len not found")
    (hdr_len,) = struct.unpack_from(f"{order}I", data, 4)
    if len(data) < hdr_len:
        raise _refuse("H2", "btf_header not found")
    if hdr_len > rules.header and any(data[rules.header : hdr_len]):
        raise _refuse("H3", "Unsupported btf_header", E2BIG)
    # H8: what a short header lacks reads as 0.
    known = data[: min(hdr_len, rules.header)].ljust(32, b"\0")
    magic, version, flags, _, type_off, type_len, str_off, str_len, layout_off, layout_len = struct.unpack(
        f"{order}HBBIIIIIII", known
    )
    if magic != MAGIC:
        raise _refuse("H4", "Invalid magic")
    if version != 1:
        raise _refuse("H5", "Unsupported version", ENOTSUPP)
    if flags:
        raise _refuse("H6", "Unsupported flags", ENOTSUPP)
    if len(data) == hdr_len and not split:
        raise _refuse("H7", "No data")
    has_layout = rules.header >= 32 and hdr_len >= 32
    spans = [(type_off, type_len), (str_off, str_len)]
    if has_layout and layout_len:
        spans.append((layout_off, layout_len))
    _check_spans(spans, len(data) - hdr_len)

    if not has_layout and hdr_len + str_off + str_len != len(data):
        raise _refuse("T1", "String section is not at the end")
    strings = data[hdr_len + str_off : hdr_len + str_off + str_len]
    _check_strings(strings, split)
    if has_layout and layout_len and path == "user":
        _check_layout(layout_off, layout_len)
    if path == "user" and type_off % 4:
        raise _refuse("Y1", "Unaligned type_off")
    if path == "user" and not type_len and not split:
        raise _refuse("Y2", "No type found")
    return Sections(data[hdr_len + type_off : hdr_len + type_off + type_len], strings)


def _check_spans(spans: list[tuple[int, int]], avail: int) -> None:
    total = 0
    for offset, length in _in_order(spans):
        if offset > avail:
            raise _refuse("X1", "Invalid section offset")
        if offset > total:
            raise _refuse("X2", "Unsupported section found")
        if offset < total:
            raise _refuse("X3", "Section overlap found")
        if length > avail - total:
            raise _refuse("X4", "Total section length too long")
        total += length
    if total != avail:
        raise _refuse("X5", "Unsupported section found")


def _in_order(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """By offset, then length. The kernel compares differences as signed 32-bit numbers, so two that are
    2^31 apart are both less than the other, and stay as they are."""
    order: list[tuple[int, int]] = []
    for span in spans:
        at = len(order)
        while at and not _is_less(order[at - 1], span) and order[at - 1] != span:
            at -= 1
        order.insert(at, span)
    return order


def _is_less(one: tuple[int, int], two: tuple[int, int]) -> bool:
    difference = one[0] - two[0] or one[1] - two[1]
    return bool(difference >> 31 & 1)


def _check_strings(strings: bytes, split: bool) -> None:
    if split and not strings:
        return
    if not strings or len(strings) - 1 > MAX_NAME_OFFSET:
        raise _refuse("T2", "Invalid string section")
    if strings[-1]:
        raise _refuse("T3", "Invalid string section")
    if strings[0] and not split:
        raise _refuse("T4", "Invalid string section")


def _check_layout(offset: int, length: int) -> None:
    """L (7.1 and later): the entries themselves are never looked at."""
    if offset % 4:
        raise _refuse("L.1", "Unaligned layout_off")
    if length < 4:
        raise _refuse("L.2", "Layout section is too small")
    if length % 4:
        raise _refuse("L.3", "layout_len is not multiple of 4")
