# SPDX-License-Identifier: MIT
"""Modules on their base, on another one, and on a distilled one."""

from __future__ import annotations

import struct

import pytest

import btfcheck
from btfcheck.btf import split as splitting
from btfcheck.btf.fault import Verdict
from btfcheck.btf.judge import judge
from btfcheck.btf.releases import rules_for
from btfcheck.btf.split import Base, is_standalone, misfit
from btfcheck.btf.verify import check
from btfcheck.model import UsageError
from btfcheck.release import parse
from tests.btf.blob import Blob, wrap

RULES = rules_for(parse("6.12"))


def vmlinux(extra: int = 0) -> Blob:
    """int, struct device {int id;}, and `extra` more types in front."""
    blob = Blob()
    for i in range(extra):
        blob.int(f"{i}" * 40)  # a base type may be called anything
    number = blob.int()
    blob.struct("device", 4, [("id", number, 0)])
    return blob


def module(base: Blob, device: int = 2) -> Blob:
    """struct mine {struct device dev;}; int mine_init(void)."""
    blob = Blob(len(base.records) + 1, len(base.text))
    blob.struct("mine", 4, [("dev", device, 0)])
    proto = blob.proto(1)
    blob.func("mine_init", proto)
    return blob


def judged(base: Blob, own: bytes) -> Verdict:
    return btfcheck.validate(own, base=base.bytes(), kernel="6.12", path="module")


def test_a_module_on_its_base() -> None:
    base = vmlinux()
    own = module(base).bytes()
    assert judged(base, own) == Verdict(True, 0, "")
    assert btfcheck.validate(own, base=base.bytes(), kernel="6.12", path="user").accepted
    assert not btfcheck.validate(own, kernel="6.12", path="user").accepted


def test_an_empty_module() -> None:
    base = vmlinux()
    assert judged(base, Blob(3, len(base.text)).bytes()).accepted


def test_a_module_on_another_base() -> None:
    base, other = vmlinux(), vmlinux(extra=3)
    verdict = judged(other, module(base).bytes())
    assert not verdict.accepted
    assert "another vmlinux" in verdict.faults[0].cause
    smaller = Blob()
    smaller.int()
    verdict = judged(smaller, module(base).bytes())
    assert verdict.message.startswith("[")
    assert "Invalid name_offset" in verdict.message


def test_a_misfit_that_the_kernel_takes() -> None:
    """Same strings, one type more: every check of the kernel passes, and every own id is off by one."""
    base = vmlinux()
    other = vmlinux()
    other.ptr(1)
    checked = judge(module(base).bytes(), RULES, "module", Base(other.bytes()))
    assert checked.verdict.accepted
    assert checked.btf is not None
    wrong = misfit(checked.btf)
    assert wrong is not None
    assert wrong.example.endswith("mine_init")
    fitting = judge(module(base).bytes(), RULES, "module", Base(base.bytes()))
    assert fitting.btf is not None
    assert misfit(fitting.btf) is None


def test_standalone_btf() -> None:
    base = vmlinux()
    assert is_standalone(base.bytes(), RULES, Base(base.bytes()).machine)
    assert not is_standalone(module(base).bytes(), RULES, Base(base.bytes()).machine)


def test_the_base_is_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def counting(*args, **keywords):
        calls.append(args)
        return check(*args, **keywords)

    monkeypatch.setattr(splitting, "check", counting)
    blob = vmlinux()
    base = Base(blob.bytes())
    for _ in range(5):
        assert btfcheck.validate(module(blob).bytes(), base=base, kernel="6.12", path="module").accepted
    assert len(calls) == 1


def test_a_refused_base_refuses_its_modules() -> None:
    base = vmlinux()
    base.typedef("a<b>", 1)
    own = Blob(len(base.records) + 1, len(base.text))
    own.ptr(1)
    verdict = judged(base, own.bytes())
    assert verdict.message == "[3] TYPEDEF a<b> type_id=1 Invalid name"
    assert "its own vmlinux" in verdict.notes[0]


def test_the_kernel_asks_less_of_its_own() -> None:
    empty = wrap(b"", b"\0")
    assert btfcheck.validate(empty, kernel="6.12", path="vmlinux").accepted
    assert btfcheck.validate(empty, kernel="6.12").message == "No type found"


def test_what_the_module_path_does_not_see() -> None:
    """A dangling pointer, a member that does not fit, a function on an INT: none of it is looked at."""
    base = vmlinux()
    own = Blob(3, len(base.text))
    own.ptr(99)
    own.struct("small", 1, [("dev", 2, 0)])
    own.func("f", 1)
    assert judged(base, own.bytes()).accepted
    assert not btfcheck.validate(own.bytes(), base=base.bytes(), kernel="6.12", path="user").accepted


def test_a_chain_over_the_border() -> None:
    base = vmlinux()
    base.add(18, "user", 1)  # [3] TYPE_TAG
    own = Blob(4, len(base.text))
    own.const(3)
    assert judged(base, own.bytes()).message == "Type tags don't precede modifiers"
    assert btfcheck.validate(own.bytes(), base=base.bytes(), kernel="7.2", path="module").accepted


@pytest.mark.parametrize(("path", "base"), [("module", None), ("vmlinux", vmlinux().bytes()), ("kernel", None)])
def test_wrong_questions(path: str, base: bytes | None) -> None:
    with pytest.raises(UsageError):
        btfcheck.validate(b"", base=base, kernel="6.12", path=path)


def test_another_byte_order() -> None:
    big = Base(b"").machine._replace(byteorder="big")
    base = vmlinux().bytes(">")
    own = module(vmlinux()).bytes(">")
    assert btfcheck.validate(base, kernel="6.12", path="vmlinux", machine=big).accepted
    assert btfcheck.validate(own, base=base, kernel="6.12", path="module", machine=big).accepted
    assert not btfcheck.validate(base, kernel="6.12", path="vmlinux").accepted


# -- distilled bases ------------------------------------------------------------------------------------


def distilled(device_size: int = 4) -> Blob:
    blob = Blob()
    blob.int()
    blob.struct("device", device_size, [])
    return blob


def on_distilled(base: Blob | None, below: Blob, own: bytes, release: str = "6.12") -> Verdict:
    whole = Base(base.bytes()) if base else None
    return judge(own, rules_for(parse(release)), "module", whole, distilled=below.bytes()).verdict


def test_relocation_to_another_vmlinux() -> None:
    below = distilled()
    assert on_distilled(vmlinux(extra=5), below, module(below).bytes()).accepted


def test_before_6_11_a_distilled_base_is_not_read() -> None:
    below = distilled()
    assert not on_distilled(vmlinux(extra=5), below, module(below).bytes(), "6.10").accepted


def test_no_vmlinux_leaves_relocation_open() -> None:
    below = distilled()
    verdict = on_distilled(None, below, module(below).bytes())
    assert verdict.accepted
    assert "depends on the kernel" in verdict.notes[0]


def test_embedded_structs_must_have_the_size() -> None:
    """The kernel looks for embedded structs only among the first own ids, so the module has some more."""
    below = distilled(device_size=8)
    own = module(below)
    for _ in range(3):
        own.ptr(1)
    verdict = on_distilled(vmlinux(), below, own.bytes())
    assert verdict[:3] == (False, 22, "distilled base BTF type 'device' [2] is not mapped to base BTF id")
    assert verdict.faults[0].rule == "B.3"


def test_two_candidates() -> None:
    base, below = vmlinux(), distilled()
    base.struct("device", 4, [])
    verdict = on_distilled(base, below, module(below).bytes())
    assert verdict.faults[0].rule == "B.2"
    assert "multiple candidates of the same size (ids [2, 3])" in verdict.message


@pytest.mark.parametrize(("spoil", "message"), [
    (lambda blob: blob.ptr(1), "type [3] in distilled based BTF has unexpected kind [2]"),
    (lambda blob: blob.struct("", 4, []), "type [3], kind [4] is invalid for distilled base BTF; it is anonymous"),
    (lambda blob: blob.add(7, "gone", 0), "distilled base BTF type 'gone' [3] is not mapped to base BTF id"),
])
def test_distilled_bases_that_cannot_be_relocated(spoil, message: str) -> None:
    below = distilled()
    spoil(below)
    assert on_distilled(vmlinux(), below, module(below).bytes()).message == message


def test_strings_that_no_match_maps() -> None:
    below = distilled()
    offset = below.string("lost")
    own = module(below)
    own.records[0][3] = offset  # the name of mine's member
    verdict = on_distilled(vmlinux(), below, own.bytes())
    assert (verdict.errno, verdict.message) == (2, f"string '' [offset {offset}] is not mapped to base BTF")


def test_a_distilled_base_that_is_refused() -> None:
    below = distilled()
    below.typedef("1", 1)
    verdict = on_distilled(vmlinux(), below, module(below).bytes())
    assert verdict.message == "[3] TYPEDEF 1 type_id=1 Invalid name"
    assert verdict.notes == ("in .BTF.base",)


@pytest.mark.parametrize(("kind", "kflag", "matches"), [("fwd", 0, True), ("fwd", 1, False), ("struct", 0, True),
                                                        ("struct", 1, False), ("union", 1, True), ("union", 0, False)])
def test_declarations_match_by_kind(kind: str, kflag: int, matches: bool) -> None:
    below = distilled()
    below.add(7, "opaque", 0, kflag=kind == "union")
    base = vmlinux()
    base.add({"fwd": 7, "struct": 4, "union": 5}[kind], "opaque", 0, kflag=bool(kflag))
    assert on_distilled(base, below, module(below).bytes()).accepted is matches


def test_broken_headers_of_joined_blobs() -> None:
    verdict = btfcheck.validate(b"\x9f\xeb" + bytes(9), base=vmlinux().bytes(), kernel="6.12", path="user")
    assert verdict.message == "Invalid magic"
    assert struct.calcsize("I") == 4
