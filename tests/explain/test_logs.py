# SPDX-License-Identifier: MIT
"""Logs: every known message is recognised in every dress, and the right cause comes first."""

from __future__ import annotations

import io
import json
import lzma
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btfcheck import cli
from btfcheck.explain.logreport import report
from btfcheck.explain.logs import Needles, lines
from btfcheck.explain.symptoms import Symptoms, read
from btfcheck.lint.messages import load
from btfcheck.model import UsageError

ROOT = Path(__file__).parents[2]
CATALOGUE = load()
EXAMPLES = [(m.id, e) for m in CATALOGUE.messages.values() if not m.run for e in m.examples]


def symptoms(text: str | bytes) -> Symptoms:
    return read(io.BytesIO(text if isinstance(text, bytes) else text.encode()), CATALOGUE)


def messages(text: str | bytes) -> set[str]:
    return {h.message.id for g in symptoms(text).groups for h in g.hits}


DRESSES: dict[str, Callable[[str], bytes]] = {
    "plain": lambda t: f"{t}\n".encode(),
    "no newline": lambda t: t.encode(),
    "CRLF": lambda t: (t.replace("\n", "\r\n") + "\r\n").encode(),
    "dmesg": lambda t: "".join(f"[   12.34567{i}] {x}\n" for i, x in enumerate(t.split("\n"))).encode(),
    "dmesg with caller": lambda t: "".join(f"<3>[    1.000001][  T214] {x}\n" for x in t.split("\n")).encode(),
    "journal": lambda t: "".join(f"Nov 21 17:04:39 build kernel: {x}\n" for x in t.split("\n")).encode(),
    "ISO": lambda t: "".join(f"2026-11-21T17:04:39.123456Z {x}\n" for x in t.split("\n")).encode(),
    "JSON": lambda t: "".join(
        json.dumps({"PRIORITY": "3", "MESSAGE": x, "_HOSTNAME": "build"}) + "\n" for x in t.split("\n")).encode(),
    "colours": lambda t: "".join(f"\x1b[32m[ 1.2]\x1b[0m \x1b[1;31m{x}\x1b[0m\n" for x in t.split("\n")).encode(),
    "UTF-16": lambda t: f"{t}\r\n".encode("utf-16"),
    "NULs": lambda t: b"\0\0\0" + t.encode().replace(b" ", b" \0") + b"\n\0",
    "a bad byte": lambda t: b"\xff\xfe\xfd\n" + t.encode() + b"\n\xc3\x28\n",
}


@pytest.mark.parametrize("dress", DRESSES)
@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_every_example_is_recognised(name: str, example: str, dress: str) -> None:
    # What libbpf and bpf() print has nothing before it; the tabs of a record would be lost behind a time.
    bare = CATALOGUE.messages[name].record and "BPF:" not in example
    if bare and dress in ("dmesg", "dmesg with caller", "journal", "ISO", "colours"):
        pieces = re.sub(r" (?=Invalid |Member |Loop )", "\n", example).split("\n")
        example = "\n".join(f"BPF: {piece}" for piece in pieces)
    assert name in messages(DRESSES[dress](example))


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_numbers_and_paths_do_not_matter(name: str, example: str) -> None:
    other = re.sub(r"0x[0-9a-f]{5,}", "0x1", example)
    other = other.replace("/home/u/drv", "/build/linux-6.12/debian/build").replace("vmlinux.BTF.1", "mod.BTF.1")
    assert name in messages(other)


def measured() -> list[str]:
    """What eleven kernels said last when they refused the cases of tests/data/btf; the F rules refuse in silence."""
    with lzma.open(ROOT / "tests/data/btf/cases.jsonl.xz", "rt") as stream:
        rows = [json.loads(line) for line in stream][1:]
    said = {r["last"] for r in rows if not r["accepted"] and r["last"] and r["scope"] == "core"}
    return sorted(x for x in said if re.search(r"[A-Za-z)] ?\S*$", x) and not re.search(r"=\S+$", x))


@pytest.mark.parametrize("last", measured())
def test_every_measured_refusal_is_recognised(last: str) -> None:
    dmesg = symptoms(f"BPF: [3] STRUCT x\nBPF: size=4 vlen=1\nBPF: {last}\n")
    assert dmesg.groups
    assert not dmesg.unknown
    # What other programs may say as well is taken for BTF's only behind "BPF:"; a name with a newline tears a line.
    torn = "b size=4 vlen=1 Invalid name"
    if last not in ("No data", "Invalid magic", "Unsupported version", "Unsupported flags", torn):
        assert symptoms(f"[3] STRUCT x size=4 vlen=1\n{last}\n").groups


@pytest.mark.parametrize("context", CATALOGUE.contexts.values(), ids=list(CATALOGUE.contexts))
def test_contexts_have_examples(context: object) -> None:
    for example in context.examples:  # type: ignore[attr-defined]
        assert context.pattern.search(example), example  # type: ignore[attr-defined]


# kernel-facts section 8: what users saw, and what it was.
REPORTS = {
    "8.1 Rust types": (
        "BPF: width type_id=54975 bits_offset=0\nBPF:\nBPF: Invalid member bits_offset\nBPF:\n"
        + "".join(f"failed to validate module [{m}] BTF: -22\n" for m in ("rapl", "fat", "xfs", "kvm")),
        "rust-types-in-btf", "likely",
    ),
    "8.2 bcachefs": ("kernel does not have CONFIG_RUST enabled", "kernel-without-rust", "likely"),
    "8.2 linux-tkg": ("This gets disabled if Clang Thin or Full LTO is set", "rust-dropped", "proven"),
    "8.3 menuconfig": ("(!MODVERSIONS [=y] || GENDWARFKSYMS [=n])", "rust-modversions", "proven"),
    "8.5 gendwarfksyms": (
        "BPF: [96812] DATASEC .data..percpu\nBPF: size=1 vlen=3\nBPF: \t type_id=1 offset=0 size=8\n"
        "BPF: Invalid offset\nfailed to validate module [x] BTF: -22",
        "gendwarfksyms-pahole", "likely",
    ),
    "8.6 segfault": (
        "/bin/sh: line 1: 7 Segmentation fault (core dumped) pahole -J --btf_base vmlinux a.ko\n"
        "make[2]: *** [scripts/Makefile.modfinal:57: a.ko] Error 139",
        "pahole-crashed", "proven",
    ),
    "8.7 zstd": (
        "libbpf: BTF header not found\npahole: .tmp_vmlinux.btf: Invalid argument\n"
        "FAILED: load BTF from vmlinux: Invalid argument",
        "zstd-elfutils", "likely",
    ),
    "8.8 ENUM64": ("FAILED: load BTF from vmlinux: Unknown error -22", "enum64-old-kernel", "possible"),
    "8.10 no pahole": (
        "BTF: .tmp_vmlinux.btf: pahole (pahole) is not available\nFailed to generate BTF for vmlinux\n"
        "Try to disable CONFIG_DEBUG_INFO_BTF",
        "pahole-missing", "proven",
    ),
    "8.11 struct module": (
        "x86/modules: Invalid relocation target, existing value is nonzero for type 1",
        "struct-module-layout", "likely",
    ),
    "8.12 other pahole": (
        "warning: pahole version differs from the one used to build the kernel", "pahole-differs", "proven",
    ),
    "8.13 objcopy": (
        "llvm-objcopy: error: '.tmp_vmlinux1.btf.o': The file was not recognized as a valid object file\n"
        "Failed to generate BTF for vmlinux",
        "objcopy-lto", "proven",
    ),
    "8.14 duplicates": (
        "WARN: multiple IDs found for 'task_struct': 209, 44360 - using 209", "rust-types-in-btf", "possible",
    ),
    "8.14 fatal with WERROR": (
        "WARN: resolve_btfids: unresolved symbol bpf_crypto_ctx\nFailed to generate BTF for vmlinux",
        "symbol-not-in-btf-fatal", "likely",
    ),
    "8.14 without": (
        "WARN: resolve_btfids: unresolved symbol bpf_crypto_ctx\n", "symbol-not-in-btf", "proven",
    ),
    "8.15 C++": (
        "Unsupported DW_TAG_reference_type(0x10): type: 0x5fb\n"
        "die__process_function: tag not supported 0x2f (template_type_parameter)!\n"
        "Encountered error while encoding BTF.",
        "language-without-btf", "proven",
    ),
    "8.16 Rust tags": (
        "die__process_class: tag not supported 0x33 (variant_part)!", "rust-noise-of-old-pahole", "likely",
    ),
    "8.17 mismatch": (
        "BPF: [129365] Invalid name_offset:2322721\nfailed to validate module [x] BTF: -22",
        "module-vmlinux-mismatch", "likely",
    ),
    "8.17 tolerated": (
        "Kernel module BTF mismatch detected, BTF debug info may be unavailable for some modules",
        "btf-mismatch-tolerated", "proven",
    ),
    "8.18 base": (
        "libbpf: Malformed BTF string section, did you forget to provide base BTF?", "base-btf-not-given", "likely",
    ),
    "8.19 bbr": ("FAILED unresolved symbol bbr_min_tso_segs", "symbol-not-in-btf-fatal", "proven"),
}  # fmt: skip


@pytest.mark.parametrize("report", REPORTS)
def test_field_reports_have_the_right_cause_first(report: str) -> None:
    text, cause, certainty = REPORTS[report]
    first = symptoms(text).groups[0]
    assert (first.causes[0].id, first.certainty) == (cause, certainty)


def test_one_cause_of_a_thousand_lines() -> None:
    text = "BPF: [8] STRUCT Option<u32>\nBPF: size=8 vlen=0\nBPF: Invalid name\n"
    text += "".join(f"[ 1.{i}] failed to validate module [m{i}] BTF: -22\n" for i in range(1000))
    text += "in-kernel BTF is malformed\n"
    (group,) = symptoms(text).groups
    assert (group.causes[0].id, group.certainty, group.lines) == ("rust-types-in-btf", "proven", 1002)


def test_a_plain_bad_name_is_not_called_rust() -> None:
    (group,) = symptoms("BPF: [129365] STRUCT ruct_ops\nBPF: size=48 vlen=6\nBPF: Invalid name\n").groups
    assert group.certainty == "possible"
    assert [c.id for c in group.causes] == ["module-vmlinux-mismatch", "rust-types-in-btf"]


def test_many_modules_after_one_refusal_clear_the_modules() -> None:
    text = "BPF: [9] STRUCT x\nBPF: Invalid name\n" + "".join(
        f"failed to validate module [m{i}] BTF: -22\n" for i in range(5)
    )
    (group,) = symptoms(text).groups
    assert [c.id for c in group.causes] == ["rust-types-in-btf"]
    assert any("one refusal" in r for r in group.reasons)


def test_noise_of_an_old_pahole_is_harmful_in_an_lto_build() -> None:
    noise = "die__process_class: tag not supported 0x33 (variant_part)!\n"
    (quiet,) = symptoms(noise).groups
    (loud,) = symptoms("clang -flto=thin -c x.c\n" + noise).groups
    assert quiet.causes[0].severity.value == "note"
    assert (loud.causes[0].id, loud.certainty) == ("rust-types-in-btf", "likely")


def test_other_lines_between_the_pieces_of_a_record() -> None:
    text = "BPF: [8] STRUCT Vec<u8>\nusb 1-1: new device\nBPF: size=8 vlen=1\nRUSTC L rust/core.o\nBPF: Invalid name\n"
    assert messages(text) == {"kernel-rust-name"}


def test_records_of_two_callers_are_told_apart() -> None:
    text = (
        "[ 1.1][ T214] BPF: [8] STRUCT Vec<u8>\n[ 1.1][ T215] BPF: [9] STRUCT x\n[ 1.2][ T214] BPF: size=8 vlen=1\n"
        "[ 1.2][ T215] BPF: size=16 vlen=2\n[ 1.3][ T215] BPF: Invalid name\n[ 1.3][ T214] BPF: Invalid name\n"
    )
    examples = {h.example for g in symptoms(text).groups for h in g.hits}
    assert examples == {"[8] STRUCT Vec<u8> size=8 vlen=1 Invalid name", "[9] STRUCT x size=16 vlen=2 Invalid name"}


def test_many_callers_take_no_memory_for_ever() -> None:
    text = "".join(f"[ 1.1][ T{i}] BPF: [8] STRUCT x\n" for i in range(1000)) + "BPF: Invalid magic\n"
    assert messages(text) == {"kernel-sections"}


def test_a_listing_without_a_refusal_says_nothing() -> None:
    text = "magic: 0xeb9f\n[1] INT int size=4 bits_offset=0 nr_bits=32 encoding=SIGNED\n[2] STRUCT a size=4 vlen=1\n"
    found = symptoms(text + "\tx type_id=1 bits_offset=0\n[3] FWD Option<u8> struct\n")
    assert not found.groups
    assert not found.unknown


def test_unknown_messages_are_listed_once_for_each_shape() -> None:
    text = "".join(f"libbpf: BTF failed oddly at {i}\n" for i in range(9)) + "BPF: Quite new refusal\n"
    odd, new = symptoms(text).unknown
    assert (odd.lines, odd.refusal, new.refusal) == (9, False, True)


def test_a_baseline_knows_an_unknown_message_again() -> None:
    first, later = (
        report(symptoms(f"[ {n}.5] libbpf: BTF failed oddly at {n} of /build/{n}/a.o\n"), "log").outcomes[0].fingerprint
        for n in (12, 4711)
    )
    assert first == later


@pytest.mark.parametrize(("text", "code"), [
    ("Nov 21 host sshd: hello\n", 4),
    ("  BTF     vmlinux\n  RUSTC L rust/core.o\n", 0),
    ("Filtering CU rust/core.o written in rust.\n", 0),
    ("BPF: Invalid magic\n", 1),
    ("BPF: Quite new refusal\n", 3),
    ("", 4),
])  # fmt: skip
def test_exit_codes(text: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log"
    log.write_text(text)
    assert cli.main(["explain", "--log", str(log)]) == code
    assert "Traceback" not in capsys.readouterr().err


def test_an_unreadable_log_is_not_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "--log", str(tmp_path / "none")]) == 3
    assert cli.main(["explain", "--log", str(tmp_path)]) == 3
    assert cli.main(["explain", "BTF101", "--log", "-"]) == 2
    assert capsys.readouterr().err.count("\n") == 3


def test_text_says_cause_certainty_proof_and_fix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log"
    log.write_text("x\nBPF: [8] STRUCT Option<u32>\nBPF: Invalid name\nfailed to validate module [xfs] BTF: -22\n")
    assert cli.main(["explain", "--log", str(log)]) == 1
    out = capsys.readouterr().out
    for part in (f"{log}:3", "Option<u32>", "proven: ", "to prove it: btfcheck scan", "fix: pahole 1.28", "xfs"):
        assert part in out


def test_lines_far_apart_keep_their_numbers() -> None:
    filler = b"x" * 79 + b"\n"
    text = filler * 9000 + b"BTF one\n" + filler * 9000 + b"BTF two"
    found = list(lines(io.BytesIO(text), Needles(["BTF"])))
    assert [(x.number, x.text) for x in found] == [(9001, "BTF one"), (18002, "BTF two")]


def test_a_line_without_end_takes_no_memory_for_ever() -> None:
    found = list(lines(io.BytesIO(b"y" * (5 << 20) + b" BTF here\n"), Needles(["BTF"])))
    assert len(found) == 1
    assert len(found[0].text) <= 4096


@given(st.binary(max_size=3000))
def test_any_bytes(data: bytes) -> None:
    symptoms(data)


@given(st.lists(st.sampled_from([e for _, e in EXAMPLES]), max_size=12))
def test_any_mix_of_messages_is_grouped_without_loss(chosen: list[str]) -> None:
    found = symptoms("\n".join(chosen))
    for one in found.groups:
        assert one.causes
        assert one.certainty in ("proven", "likely", "possible")
        assert (one.certainty == "possible") == (len(one.causes) > 1)
    assert {h.message.id for g in found.groups for h in g.hits} >= {
        name for name, example in EXAMPLES if example in chosen and not CATALOGUE.messages[name].record
    }


@pytest.mark.parametrize(("text", "words"), [
    ("[cause.x]\ntitle = 1", "missing"),
    ("[rule.x]\n", "unknown table"),
    ("[message.x]\nprogram='p'\npattern='('\nmeans='m'\ncauses=[]\nexamples=[]\nfind='f'", "[message.x]"),
    ("[message.x]\nprogram='p'\npattern='a'\nmeans='m'\ncauses=['no']\nexamples=[]\nfind='f'", "there is no no"),
    ("[message.x]\nodd=1", "unknown key"),
    ("a = [", "not TOML"),
])  # fmt: skip
def test_a_bad_file_is_told_with_table_and_key(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "messages.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=re.escape(words)):
        load(str(path))
