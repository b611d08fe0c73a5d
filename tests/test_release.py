# SPDX-License-Identifier: MIT
from __future__ import annotations

import contextlib
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btfcheck.model import UsageError
from btfcheck.release import FINAL, Release, parse, stated

DEBIAN = (
    "Linux version 6.1.0-56-cloud-amd64 (debian-kernel@lists.debian.org) (gcc-12 (Debian 12.2.0-14+deb12u1) "
    "12.2.0, GNU ld (GNU Binutils for Debian) 2.40) #1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-10-11)"
)


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ("6.12", Release(6, 12)),
        ("v6.12", Release(6, 12)),
        ("6.12.117-1~deb12u1", Release(6, 12, 117)),
        ("6.12.117+deb12-amd64", Release(6, 12, 117)),
        ("7.3-rc7", Release(7, 3, 0, 7)),
        ("7.3.0-rc7+", Release(7, 3, 0, 7)),
        ("6.12~rc6-1~exp1", Release(6, 12, 0, 6)),
        ("6.12.0-0.rc3.20241015gitabcdef.30.fc42.x86_64", Release(6, 12, 0, 3)),
        ("6.18.44-fc-v657", Release(6, 18, 44)),
        ("5.15.153.1-microsoft-standard-WSL2", Release(5, 15, 153)),
        (DEBIAN, Release(6, 1, 192)),
        (f"[    0.000000] {DEBIAN}", Release(6, 1, 192)),
        ("Linux version 6.18.44-fc-v657 (u@h) (gcc 14) #1 SMP PREEMPT_DYNAMIC @0", Release(6, 18, 44)),
        ("Ubuntu 6.8.0-45.45-generic 6.8.12", Release(6, 8, 12)),
    ],
)
def test_known_spellings(text: str, release: Release) -> None:
    assert parse(text) == release


NONSENSE = ["", "running", "7", "6.", "6.y", "6.1rc7x", "99999.1", "Linux version generic"]


@pytest.mark.parametrize("text", NONSENSE)
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse(text)


def test_order() -> None:
    names = ["6.1", "6.1.192", "6.12-rc1", "6.12", "6.12.1", "7.3-rc6", "7.3-rc7", "7.3", "7.3.4"]
    releases = [parse(name) for name in names]
    assert all(older < newer for older, newer in pairwise(releases))
    assert not releases[0] < releases[0]
    assert [str(r) for r in releases] == names


@given(st.integers(0, 9999), st.integers(0, 9999), st.integers(0, 9999), st.integers(0, 999) | st.just(FINAL))
def test_text_and_back(major: int, minor: int, patch: int, rc: int) -> None:
    release = Release(major, minor, patch, rc)
    assert parse(str(release)) == release


@given(st.text())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with contextlib.suppress(UsageError):
        parse(text)


def test_a_distribution_name_that_hides_the_stable_release() -> None:
    with pytest.raises(UsageError, match=r"hides the stable release; give that, as in 6\.1\.192"):
        stated("6.1.0-99-nosuch")
    assert stated("6.12.117+deb12-amd64") == Release(6, 12, 117)
    assert stated("6.12") == Release(6, 12)


def test_the_running_kernel() -> None:
    assert stated("running") == parse(Path("/proc/version").read_text())
