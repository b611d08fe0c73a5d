# SPDX-License-Identifier: MIT
"""What resolve_btfids adds to functions, told apart from functions that only look like it."""

from __future__ import annotations

import pytest

from btfcheck.btf.kfuncs import with_implicit_arguments
from btfcheck.btf.releases import rules_for
from btfcheck.btf.verify import VMLINUX, check
from btfcheck.release import parse
from tests.btf.blob import Blob


def found(few: tuple[str, ...], many: tuple[str, ...], tag: str = "bpf_kfunc", impl: str = "f_impl") -> frozenset[str]:
    blob = Blob()
    number = blob.int()
    kfunc = blob.func("f", blob.proto(number, [(name, number) for name in few]))
    blob.func(impl, blob.proto(number, [(name, number) for name in many]))
    blob.tag(tag, kfunc)
    checked = check(blob.bytes(), rules_for(parse("7.2")), VMLINUX)
    assert checked.verdict.accepted
    assert checked.btf is not None
    return with_implicit_arguments(checked.btf)


@pytest.mark.parametrize(("few", "many"), [(("a",), ("a", "aux")), ((), ("aux",)), (("a", "b"), ("a", "aux", "b"))])
def test_a_kfunc_with_implicit_arguments(few: tuple[str, ...], many: tuple[str, ...]) -> None:
    assert found(few, many) == {"f_impl"}


def test_what_only_looks_like_one() -> None:
    assert not found(("a",), ("a", "aux"), tag="another")
    assert not found(("a",), ("a", "aux"), impl="g_impl")
    assert not found(("a",), ("a",))
    assert not found(("a",), ("b", "aux"))
    assert not found(("a", "b"), ("b", "a", "aux"))
