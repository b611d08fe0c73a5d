# SPDX-License-Identifier: MIT
"""The running kernel as judge of fresh mutants, and what happens where it cannot be asked."""

from __future__ import annotations

import errno
import os

import pytest

from btfcheck.btf import oracle
from btfcheck.btf.judge import running_structs
from btfcheck.btf.releases import rules_for
from btfcheck.btf.source import running
from btfcheck.btf.verify import check
from btfcheck.model import InputError
from tests.btf.blob import Blob, mutants
from tests.btf.vectors import seeds

SEED = int(os.environ.get("BTFCHECK_SEED", "20261"))


def good() -> bytes:
    blob = Blob()
    blob.int()
    return blob.bytes()


@pytest.mark.accept
def test_twenty_thousand_mutants() -> None:
    try:
        oracle.ask(good())
    except InputError as error:
        pytest.skip(str(error))
    rules = rules_for(running())
    wrong = []
    accepted = refused = 0
    for number, blob in enumerate(mutants(SEED, 20_000, list(seeds()))):
        answer = oracle.ask(blob)
        verdict = check(blob, rules, kernel_structs=running_structs).verdict
        if (verdict.accepted, verdict.errno, verdict.message) != answer:
            wrong.append((SEED, number, tuple(verdict[:3]), tuple(answer)))
        accepted += answer.accepted
        refused += not answer.accepted
    assert wrong == []
    assert accepted > 1000
    assert refused > 1000


def test_mutants_are_the_same_for_the_same_seed() -> None:
    some = list(seeds())
    assert list(mutants(5, 50, some)) == list(mutants(5, 50, some))
    assert list(mutants(5, 50, some)) != list(mutants(6, 50, some))


def answering(monkeypatch: pytest.MonkeyPatch, codes: list[int], log: bytes = b"") -> None:
    """The syscall gives these errnos, one for each call."""
    monkeypatch.setattr(oracle.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(oracle.sys, "platform", "linux")

    def load(number: int, _: bytes, buffer) -> int:
        assert number == 321
        if buffer is not None:
            buffer.value = log
        return codes.pop(0)

    monkeypatch.setattr(oracle, "_load", load)


def test_an_answer_takes_two_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, [22, 22], b"magic: 0xeb9f\n[1] INT int Invalid name\xd7\n")
    assert oracle.ask(good()) == (False, 22, "[1] INT int Invalid name\xd7")
    answering(monkeypatch, [0])
    assert oracle.ask(good()) == (True, 0, "")


def test_a_log_that_is_too_small_is_made_larger(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, [22, errno.ENOSPC, 22], b"No type found\n")
    assert oracle.ask(good()).message == "No type found"


@pytest.mark.parametrize(("code", "text"), [(errno.EPERM, "root or CAP_BPF"), (errno.ENOSYS, "no bpf")])
def test_a_kernel_that_will_not_be_asked(monkeypatch: pytest.MonkeyPatch, code: int, text: str) -> None:
    answering(monkeypatch, [code])
    with pytest.raises(InputError, match=text):
        oracle.ask(good())


def test_no_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle.sys, "platform", "darwin")
    with pytest.raises(InputError, match="cannot be asked"):
        oracle.ask(good())
