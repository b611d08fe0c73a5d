# SPDX-License-Identifier: MIT
"""Why a function is missing in the BTF: one small file for each cause; the causes are those that pahole -V prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from btfcheck.trace.types import FROM_RUST, IN_BTF, LEFT_OUT, NO_BTF
from tests.trace.asked import C, answer, reasons

OTHER = "struct device 8 id:int"


PLACE = " location=0x9100!exprloc"  # in memory, which says nothing of registers


def function(name: str, *parameters: str, low_pc: str = "low_pc=0x1000", unit: str = "") -> str:
    lines = [f'  subprogram "{name}" {low_pc}', *(f"    formal_parameter {p}{PLACE}" for p in parameters)]
    text = "\n".join(lines) + "\n"
    return (f'unit C "{unit}"\n  base_type "int" byte_size=4 encoding=5 as oi\n' if unit else "") + text


def test_a_function_of_c() -> None:
    one = answer("probe", C + function("probe"), "func probe", "probe")
    assert (one.state, reasons(one)) == (IN_BTF, [("defined-in-c", "proven")])
    assert one.definitions[0].text == "void probe(void)"
    assert answer("probe", C + function("probe"), symbols="probe").state == NO_BTF


@pytest.mark.parametrize("symbols", ["", "probe.cold", "device_add"])
def test_inlined_everywhere(symbols: str) -> None:
    units = C + function("probe", low_pc="inline=1")
    one = answer("probe", units, OTHER, symbols)
    assert (one.state, reasons(one)) == (LEFT_OUT, [("inlined", "proven")])
    assert reasons(answer("probe", units, OTHER)) == [("inlined", "likely")]


def test_an_out_of_line_copy_has_no_name_of_its_own() -> None:
    text = '  subprogram "probe" inline=1 as whole\n  subprogram abstract_origin=@whole low_pc=0x1000\n'
    one = answer("probe", C + text, OTHER, "probe")
    assert reasons(one) == [("function-lost", "unknown")]
    assert not one.known


def test_a_symbol_that_is_not_there() -> None:
    one = answer("probe", C + function("probe"), OTHER, "other")
    assert reasons(one) == [("not-a-symbol", "proven")]
    one = answer("probe", C + function("probe"), OTHER, "probe.part.0 probe.cold")
    assert reasons(one) == [("not-a-symbol", "proven")]
    assert "probe.cold, probe.part.0" in one.reasons[0].text or "probe.part.0" in one.reasons[0].text


def test_only_changed_copies() -> None:
    one = answer("probe", C + function("probe"), OTHER, "probe.isra.0")
    assert reasons(one) == [("renamed-copy", "likely")]
    assert "probe.isra.0" in one.reasons[0].text


DIFFERENT = C + function("probe", '"a" type=@int') + function("probe", '"a" type=@oi', '"b" type=@oi', unit="other.c")


@pytest.mark.parametrize(("versions", "certainty"), [((), "likely"), ((130,), "proven")])
def test_two_prototypes(versions: tuple[int, ...], certainty: str) -> None:
    one = answer("probe", DIFFERENT, OTHER, "probe", versions)
    assert reasons(one) == [("inconsistent-prototypes", certainty)]
    assert "void probe(int a) (main.c); void probe(int a, int b) (other.c)" in one.reasons[0].text


def test_two_prototypes_and_a_pahole_that_does_not_mind() -> None:
    assert reasons(answer("probe", DIFFERENT, OTHER, "probe", (124,))) == [("function-lost", "unknown")]
    assert reasons(answer("probe", DIFFERENT, "func probe", "probe")) == [
        ("defined-in-c", "proven"), ("inconsistent-prototypes", "proven")]


def test_names_of_parameters_make_no_other_prototype() -> None:
    same = C + function("probe", '"a" type=@int') + function("probe", '"b" type=@oi', unit="other.c")
    assert reasons(answer("probe", same, OTHER, "probe")) == [("function-lost", "unknown")]


def test_several_addresses() -> None:
    one = answer("probe", C + function("probe"), OTHER, "probe=2")
    assert reasons(one) == [("ambiguous-address", "likely")]
    one = answer("probe", C + function("probe"), OTHER, "probe=2", (132,))
    assert reasons(one) == [("ambiguous-address", "proven")]
    one = answer("probe", C + function("probe"), OTHER, "probe=2", (130,))
    assert reasons(one) == [("function-lost", "unknown")]


def test_a_piece_beside_it() -> None:
    assert reasons(answer("probe", C + function("probe"), OTHER, "probe probe.part.0")) == [("piece-beside", "likely")]


def test_a_parameter_without_a_name() -> None:
    one = answer("probe", C + function("probe", "type=@int"), OTHER, "probe")
    assert reasons(one) == [("nameless-parameter", "proven")]


# DW_OP_reg4 is rsi, DW_OP_reg5 rdi, DW_OP_fbreg 0x91, DW_OP_entry_value 0xa3 with the size of what follows.
@pytest.mark.parametrize(("expression", "expected"), [
    ("0x54", [("unexpected-register", "likely")]), ("0x55", [("function-lost", "unknown")]),
    ("0x9100", [("function-lost", "unknown")]), ("0xa301559f", [("function-lost", "unknown")]),
    ("0xa301549f", [("unexpected-register", "likely")]),
])  # fmt: skip
def test_registers(expression: str, expected: list[tuple[str, str]]) -> None:
    units = C + function("probe", '"a" type=@int').replace(PLACE, f" location={expression}!exprloc")
    one = answer("probe", units, OTHER, "probe")
    assert reasons(one) == expected
    if expected[0][0] == "unexpected-register":
        assert "looks for a in rdi, and the debug information has it in rsi" in one.reasons[0].text


def test_a_parameter_that_was_dropped() -> None:
    units = C + function("probe", '"a" type=@int').replace(PLACE, " const_value=7")
    one = answer("probe", units, OTHER, "probe")
    assert reasons(one) == [("optimized-parameter", "likely")]


def test_what_pahole_says_itself_counts() -> None:
    one = answer("probe", DIFFERENT, OTHER, "probe", said={"probe": "param count mismatch; 1 param(s) != 2 param(s)"})
    assert reasons(one) == [("pahole-says", "proven")]


def test_rust_functions() -> None:
    rust = 'unit Rust "lib.rs"\n  namespace "klib"\n    subprogram "rust_probe" low_pc=0x2000\n'
    assert reasons(answer("rust_probe", C + rust, OTHER, "rust_probe")) == [("rust-excluded", "proven")]
    one = answer("rust_probe", C + rust, "func rust_probe", "rust_probe")
    assert (one.state, reasons(one)) == (FROM_RUST, [("M0", "proven")])
    assert reasons(answer("rust_probe", C + rust, OTHER, "_RNvC4klib10rust_probe")) == [("not-a-symbol", "proven")]


def test_functions_of_assembler_and_of_nobody() -> None:
    declared = C + '  subprogram "memcpy_orig" declaration=yes\n'
    assert reasons(answer("memcpy_orig", declared, OTHER, "memcpy_orig")) == [("assembler", "likely")]
    assert reasons(answer("memcpy_orig", declared, OTHER, "other")) == [("declared-only", "proven")]
    one = answer("stranger", C, "func stranger", "stranger")
    assert (one.state, reasons(one)) == (IN_BTF, [("untraced", "likely")])


def test_a_result_that_became_void() -> None:
    units = (
        'file note=1\nunit C "main.c"\n  subprogram "probe" low_pc=0x1000 type=@p\n'
        '    formal_parameter "arg" type=@p\n  pointer_type type=@fn as p\n'
        'unit Rust "lib.rs"\n  subroutine_type as fn\n'
    )
    one = answer("probe", units, "func probe", "probe")
    assert [r.id for r in one.reasons] == ["defined-in-c", "L2", "L2"]
    assert [r.text.split(" (")[0] for r in one.reasons[1:]] == ["its type", "the type of arg"]


@pytest.mark.accept
@pytest.mark.parametrize(("version", "explained"), [(130, 0.98), (132, 1.0)])
def test_every_function_that_pahole_leaves_out(version: int, explained: float) -> None:
    """Debian's cloud kernel: a reason for each function that is missing, without asking pahole, and the right one."""
    import os

    from btfcheck.dwarf.census import FUNC as FUNCTION
    from btfcheck.dwarf.find import FUNCTIONS, Found, find
    from btfcheck.gate import encode
    from btfcheck.gate.subject import Subject
    from btfcheck.release import parse as release
    from btfcheck.toolchain.pahole import flags
    from btfcheck.trace.compare import names
    from btfcheck.trace.definitions import gather
    from btfcheck.trace.functions import of_function
    from btfcheck.trace.ground import Ground
    from tests.trace.asked import types_of

    paholes = Path(os.environ.get("BTFCHECK_PAHOLES", "/nonexistent"))
    command = paholes / f"pahole-1.{version - 100}/pahole"
    kernels = sorted(paholes.glob("dbg-cloud-6.12/usr/lib/debug/boot/vmlinux-*"))
    if not command.exists() or not kernels:
        pytest.skip("BTFCHECK_PAHOLES names no directory with this pahole and this kernel")
    kernel = release("6.12.117")
    made = encode.encode(str(kernels[0]), (str(command),), version, kernel, chosen=flags(kernel, version))
    said = encode.left_out(made, str(kernels[0]), kernel)
    assert said is not None
    subject = Subject(str(kernels[0]))
    assert subject.debug is not None
    assert subject.symbols is not None
    found = types_of(made.btf)
    have = {name for kind, name in names(found) if kind == FUNCTION}
    ground = Ground(subject.debug, found, symbols=subject.symbols, machine=subject.image.machine)
    census = subject.census()
    assert census is not None
    missing = {n for k, n in census.c if k == FUNCTION and n in subject.symbols and n not in have}
    right = wrong = 0
    hits: dict[str, list[Found]] = {}
    for hit in find(subject.debug, missing, FUNCTIONS):
        hits.setdefault(hit.name, []).append(hit)
    for name in sorted(missing):
        gathered = gather(ground, hits[name])
        key = FUNCTION, name
        one = of_function(ground, key, gathered.definitions.get(key, ()), 0, gathered.hits.get(key, ()), (), (version,))
        ids = {r.id for r in one.reasons}
        right += bool(ids & _matching(said.get(name, "unexpected register")))
        wrong += not ids & {*_matching(said.get(name, "unexpected register")), "function-lost"}
    subject.close()
    assert wrong == 0
    assert right >= explained * len(missing)


def _matching(said: str) -> set[str]:
    """The causes that fit pahole's words."""
    if re.match(r"param|return|inconsist", said):
        return {"inconsistent-prototypes", "piece-beside"}
    if "ambiguous" in said:
        return {"ambiguous-address"}
    if "optimized" in said:
        return {"optimized-parameter", "renamed-copy", "unexpected-register"}
    if "reordered" in said:
        return {"unexpected-register", "piece-beside"}
    return {"unexpected-register"}
