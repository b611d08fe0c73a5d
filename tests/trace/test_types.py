# SPDX-License-Identifier: MIT
"""Why a type is in the BTF, or not: one small file for each cause, and for each kind of leak."""

from __future__ import annotations

from pathlib import Path

import pytest

from btfcheck.dwarf.units import Debug
from btfcheck.image import open_image
from btfcheck.trace.ground import Ground
from btfcheck.trace.lookup import trace
from btfcheck.trace.types import BESIDE, DECLARED_ONLY, FROM_RUST, IN_BTF, LEFT_OUT, LOST, NO_BTF, Fate, is_identifier
from tests.btf.blob import Blob
from tests.dwarf.conftest import TRUTH, samples
from tests.trace.asked import INT, C, answer, asked, reasons, types_of

samples = samples  # a fixture of the scan's tests
RUST = 'unit Rust "lib.rs"\n  namespace "klib"\n    structure_type "Registry" byte_size=4\n'
MERGED = "file note=1\n"


def test_a_type_of_c() -> None:
    one = answer("device", C + C.replace("main.c", "other.c"), "struct device 8 id:int")
    assert (one.kind, one.state, one.owners) == ("struct", IN_BTF, ("C",))
    assert reasons(one) == [("defined-in-c", "proven")]
    assert [(d.units, d.unit, d.size) for d in one.definitions] == [(2, "main.c", 8)]
    assert one.records[0].lines[0] == "struct device {  /* type 2, 8 bytes */"


def test_rust_in_unmerged_units_means_nothing_left_it_out() -> None:
    one = answer("Registry", C + RUST, "struct device 8 id:int; struct Registry 4")
    assert (one.state, one.owners) == (FROM_RUST, ("Rust",))
    assert reasons(one) == [("M0", "proven")]
    assert one.definitions[0].path == "klib::Registry"


@pytest.mark.parametrize(("versions", "certainty"), [((), "likely"), ((125,), "proven"), ((123,), "likely")])
def test_rust_in_merged_units(versions: tuple[int, ...], certainty: str) -> None:
    one = answer("Registry", MERGED + C + RUST, "struct Registry 4", versions=versions)
    assert reasons(one) == [("M1", certainty)]
    assert [str(f).split(" encodes")[0].split(" leaves")[0] for f in one.reasons[0].fates] == [
        "pahole up to 1.27", "pahole 1.28 and later"]


def test_rust_that_is_left_out() -> None:
    one = answer("Registry", MERGED + C + RUST, "struct device 8 id:int")
    assert (one.state, reasons(one)) == (LEFT_OUT, [("rust-excluded", "proven")])
    # Where the BTF has base types of Rust's, something of Rust was taken in after all.
    blob = Blob()
    blob.int("usize", 8)
    one = answer("Registry", MERGED + C + RUST, blob.bytes())
    assert reasons(one) == [("rust-excluded", "likely")]


def test_a_merged_file_that_begins_with_rust() -> None:
    one = answer("device", MERGED + RUST + C, "")
    assert (one.state, reasons(one)) == (LOST, [("M2", "proven")])


LEAKED = C + '  namespace "klib"\n    structure_type "Registry<u32>" byte_size=4\n'


def test_a_rust_type_in_a_c_unit() -> None:
    one = answer("Registry<u32>", LEAKED, "struct Registry<u32> 4")
    assert one.state == FROM_RUST
    assert reasons(one) == [("L3t", "proven"), ("refused-name", "proven")]
    assert str(one.reasons[0].fates[0]) == "every pahole encodes it"
    silent = answer("Registry", LEAKED.replace("<u32>", ""), "struct Registry 4")
    assert reasons(silent) == [("L3t", "proven")]


def test_a_type_inside_of_a_function_is_c_s() -> None:
    """Also in a unit that holds Rust."""
    local = '  subprogram "probe" low_pc=0x1000\n    structure_type "private" byte_size=4\n'
    one = answer("private", LEAKED + local, "struct private 4")
    assert (one.state, reasons(one)) == (IN_BTF, [("defined-in-c", "proven")])
    assert one.definitions[0].path == "probe::private"


def test_a_rust_function_in_a_c_unit() -> None:
    units = C + '  namespace "klib"\n    subprogram "rust_assoc" low_pc=0x1000\n'
    assert reasons(answer("rust_assoc", units, "func rust_assoc", "rust_assoc")) == [("L3f", "proven")]


def test_a_rust_twin_of_a_c_type() -> None:
    twin = 'unit Rust "lib.rs"\n  structure_type "device" byte_size=16\n    member "id" data_member_location=0\n'
    one = answer("device", C + twin, "struct device 8 id:int; struct device 16 id:int")
    assert (one.state, one.owners) == (BESIDE, ("C", "Rust"))
    assert [r.id for r in one.reasons] == ["M0", "beside-c", "defined-in-c"]
    assert [d.language for d in one.definitions] == ["C", "Rust"]


def test_two_layouts_of_c_and_records_that_were_not_merged() -> None:
    other = 'unit C "other.c"\n  structure_type "device" byte_size=24\n'
    one = answer("device", C + other, "struct device 8 id:int; struct device 24")
    assert [r.id for r in one.reasons] == ["defined-in-c", "several-layouts"]
    one = answer("device", C, "struct device 8 id:int; struct device 8 id:int")
    assert [r.id for r in one.reasons] == ["defined-in-c", "not-merged"]


def test_only_declared() -> None:
    units = 'unit C "main.c"\n  structure_type "opaque" declaration=yes\n'
    blob = Blob()
    blob.add(7, "opaque", 0)
    one = answer("opaque", units, blob.bytes())
    assert (one.state, one.declared, reasons(one)) == (DECLARED_ONLY, 1, [("declared-only", "proven")])
    hidden = units + 'unit Rust "l.rs"\n  structure_type "opaque" byte_size=4\n'
    assert reasons(answer("opaque", hidden, blob.bytes())) == [("rust-excluded", "proven")]


def test_a_type_of_c_that_is_lost_cannot_be_told_why() -> None:
    one = answer("device", C, "struct other 8")
    assert (one.state, reasons(one), one.known) == (LOST, [("lost", "unknown")], False)
    assert "btfcheck encode {file} --pahole pahole" in one.next


def test_a_typedef_in_a_rust_unit_is_c_s() -> None:
    units = C + f'unit Rust "lib.rs"\n{INT}  typedef "u32_t" type=@int\n'
    assert reasons(answer("u32_t", units.replace("as int", "as i", 1).replace("@int", "@i", 1), "struct device 8")) == [
        ("L4", "proven")]


def test_a_rust_unit_without_the_old_label() -> None:
    units = C + 'unit Rust "lib.rs" by_name=yes\n  structure_type "Registry" byte_size=4\n'
    assert reasons(answer("Registry", units, "struct Registry 4")) == [("L7", "likely")]


HOOKS = (
    'unit C "main.c"\n  structure_type "hooks" byte_size=8\n    member "hook" type=@p data_member_location=0\n'
    '  pointer_type type=@fn as p\n' + INT + 'unit Rust "lib.rs"\n  subroutine_type as fn\n'
)  # fmt: skip


def test_a_member_that_became_void() -> None:
    one = answer("hooks", MERGED + HOOKS, "struct hooks 8 hook:ptr")
    assert [r.id for r in one.reasons] == ["defined-in-c", "L2"]
    assert "became void" in one.reasons[1].text
    for name in ("hooks.hook", "hook"):
        found = asked(name, MERGED + HOOKS, "struct hooks 8 hook:ptr")
        assert not found.answers
        (member,) = found.members
        assert (member.of, member.btf, member.dwarf) == ("hooks", "void *hook", "void (*hook)(void)")
        assert [(r.id, r.certainty) for r in member.reasons] == [("L2", "proven")]
    kept = answer("hooks", MERGED + HOOKS, "struct hooks 8 hook:int")
    assert "this BTF has it" in kept.reasons[1].text
    # Units that are not merged: pahole up to 1.31 puts some earlier type there.
    assert reasons(answer("hooks", "file note=0\n" + HOOKS, "struct hooks 8 hook:int"))[1] == ("L2", "likely")
    blob = Blob()
    blob.struct("hooks", 8, [("hook", 0, 0)])
    assert "the kernel refuses that" in answer("hooks", MERGED + HOOKS, blob.bytes()).reasons[1].text
    without = asked("hook", HOOKS)
    assert [(m.of, m.btf, m.dwarf) for m in without.members] == [("hooks", "", "void (*hook)(void)")]


def test_a_member_that_its_source_declares_void() -> None:
    units = 'unit C "main.c"\n  structure_type "s" byte_size=8\n    member "p" type=@p data_member_location=0\n'
    found = asked("s.p", units + "  pointer_type as p\n", "struct s 8 p:ptr")
    assert [(r.id, r.certainty) for r in found.members[0].reasons] == [("declared-void", "proven")]


def test_a_type_of_c_23_that_stands_in_a_rust_unit() -> None:
    units = (
        'unit C "main.c"\n  structure_type "flags" byte_size=1\n    member "on" type=@bool data_member_location=0\n'
        'unit Rust "lib.rs"\n  base_type "bool" byte_size=1 encoding=2 as bool\n'
    )
    assert [r.id for r in answer("bool", MERGED + units).reasons] == ["rust-unit", "L2"]
    assert "struct flags.on" in answer("bool", MERGED + units).reasons[1].text


def test_nothing_but_btf() -> None:
    one = answer("device", "", "struct device 8 id:int")
    assert (reasons(one), one.owners) == ([("no-dwarf", "unknown")], ("nobody",))
    assert reasons(answer("Option<u32>", "", "struct Option<u32> 8")) == [
        ("rust-name", "proven"), ("refused-name", "proven")]
    blob = Blob()
    blob.struct("task", 8, [("state", blob.int("u32"), 0)])
    assert reasons(answer("task", "", blob.bytes())) == [("rust-members", "likely")]


def test_what_no_unit_defines() -> None:
    assert reasons(answer("stranger", C, "struct stranger 4")) == [("untraced", "likely")]
    # A unit that cannot be read, but has the name somewhere; where it has not, nothing is open.
    broken = C + 'unit C "bad.c"\n  structure_type "{}" byte_size=1!0x7e\n'
    one = asked("stranger", broken.format("stranger"), "struct stranger 4")
    assert reasons(one.answers[0]) == [("untraced", "unknown")]
    assert len(one.problems) == 1
    assert reasons(answer("stranger", broken.format("other"), "struct stranger 4")) == [("untraced", "likely")]
    found = answer("Registry", broken.format("Registry") + RUST, "struct device 8")
    assert reasons(found) == [("rust-excluded", "likely")]


@pytest.mark.parametrize("name", [
    "core::option::Option<u32>", "option::Option<u32>", "Option<u32>", "Option_3C_u32_3E_",
    "core_3A__3A_option_3A__3A_Option_3C_u32_3E_",
])  # fmt: skip
def test_ways_to_name_a_rust_type(name: str) -> None:
    units = C + ('unit Rust "core.rs"\n  namespace "core"\n    namespace "option"\n'
                 '      structure_type "Option<u32>" byte_size=8\n        variant_part\n')  # fmt: skip
    one = answer(name, units)
    assert (one.name, one.definitions[0].path, one.definitions[0].data) == (
        "Option<u32>", "core::option::Option<u32>", True)
    assert not asked("std::option::Option<u32>", units).answers


def test_a_type_that_bpf_linker_renamed() -> None:
    units = C + 'unit Rust "core.rs"\n  structure_type "Option<u32>" byte_size=8\n'
    found = asked("Option<u32>", units, "struct Option_3C_u32_3E_ 8")
    assert [a.name for a in found.answers] == ["Option<u32>", "Option_3C_u32_3E_"]


def test_mangled_names_lead_to_the_function() -> None:
    method = (
        'unit Rust "klib.rs"\n  namespace "klib"\n    structure_type "Registry" byte_size=4\n'
        '      subprogram "bump" linkage_name="_RNvMC4klibNtB2_8Registry4bump" declaration=yes as decl\n'
        "  subprogram specification=@decl low_pc=0x1000\n"
    )
    found = asked("_RNvMC4klibNtB2_8Registry4bump", C + method, symbols="_RNvMC4klibNtB2_8Registry4bump")
    assert found.notes == ("_RNvMC4klibNtB2_8Registry4bump is the Rust function <klib::Registry>::bump",)
    (one,) = found.answers
    assert (one.name, one.definitions[0].path, one.definitions[0].code) == (
        "bump", "klib::Registry::bump", "out of line")
    assert reasons(one) == [("not-a-symbol", "proven")]
    unknown = asked("_RNvC6_123foo3bar", C)
    assert (unknown.answers, unknown.notes) == ((), ("_RNvC6_123foo3bar is the Rust function 123foo::bar",))


def test_similar_names() -> None:
    units = C + 'unit Rust "core.rs"\n  structure_type "Option<u8>" byte_size=8\n  structure_type "Option<u32>"\n'
    records = "struct device 8; struct devise 8; func device_add"
    assert set(asked("devcie", units, records).similar) == {"device", "devise"}
    assert asked("DEVICE", units, records).similar == ("device",)
    records += "; struct Option<u32> 8; struct Option<u8> 2"
    assert asked("Option", units, records).similar == ("Option<u8>", "Option<u32>")
    assert asked("xyzzy", units, records).similar == ()


def test_a_kind_in_front() -> None:
    units = C + '  typedef "device" type=@int\n'
    assert [a.kind for a in asked("device", units).answers] == ["struct", "typedef"]
    assert [a.kind for a in asked("typedef device", units).answers] == ["typedef"]
    assert asked("union device", units).answers == ()
    long = 'unit C "main.c"\n  base_type "long unsigned int" byte_size=8 encoding=7\n'
    assert asked("long unsigned int", long).answers[0].kind == "base type"


def test_fates() -> None:
    spans = {(0, 127): "pahole up to 1.27 x", (128, 0): "pahole 1.28 and later x", (124, 131): "pahole 1.24 to 1.31 x",
             (0, 0): "every pahole x", (129, 129): "pahole 1.29 x"}  # fmt: skip
    assert {span: str(Fate(*span, "x")) for span in spans} == spans
    assert [Fate(124, 127, "").holds(v) for v in (123, 124, 127, 128)] == [False, True, True, False]


def test_names_that_the_kernel_takes() -> None:
    assert is_identifier("device")
    assert is_identifier("x" * 512)
    assert not is_identifier("x" * 513)
    assert not is_identifier("")
    assert not is_identifier("1x")
    assert not is_identifier("Option<u32>")
    assert is_identifier("a.b")
    assert not is_identifier("a.b", dots=False)


# -- what compilers made ------------------------------------------------------------------------------------

# Sample by sample: a name, the unit kinds that have it, and the causes, read off the DWARF with llvm-dwarfdump.
SAMPLES = [
    ("kb-22-fullns-5/vmlinux", "Registry<klib::State>", ["L3t"]),
    ("kb-22-fullns-5/vmlinux.o", "klib::Registry<klib::State>", ["L3t"]),
    ("b-22-fullns-4/vmlinux", "State", ["L3t"]),
    ("kf-22-fullns-5/vmlinux", "c_thing", ["defined-in-c"]),
    ("ka-22-thin-5/vmlinux", "klib::net::inner::State", ["rust-unit"]),
    ("ka-22-none-5/vmlinux", "klib::net::inner::State", ["rust-unit"]),
    ("a-22-full-5/vmlinux", "device", ["M2"]),
    ("a-22-full-4/vmlinux.o", "device", ["M2"]),
    ("kd-22-full-5/vmlinux", "bool", ["rust-unit", "L2"]),
    ("kd-22-full-5/vmlinux", "flags", ["defined-in-c", "L2"]),
    ("kd-22-fullns-5/vmlinux", "bool", ["defined-in-c"]),
    ("g-gcc-lto-5/vmlinux", "device", ["defined-in-c"]),
    ("g-gcc-none-4/vmlinux", "only_for_helper", ["defined-in-c"]),
    ("g-gcc-none-4/vmlinux", "none_such", None),
    ("x-typeunits-cfirst/vmlinux", "State", ["L5"]),
    ("x-dwarf6/vmlinux.o", "State", ["L3t"]),
]


@pytest.mark.parametrize(("file", "name", "expected"), SAMPLES, ids=[f"{f}:{n}" for f, n, _ in SAMPLES])
def test_samples(file: str, name: str, expected: list[str] | None, samples: Path) -> None:
    with open_image(samples / file) as image:
        found = trace(Ground(Debug(image)), name)
        if expected is None:
            assert not found.answers
            return
        (one,) = found.answers
        assert [r.id for r in one.reasons] == expected
        assert one.state == NO_BTF
        assert not found.problems


@pytest.mark.parametrize("file", sorted(TRUTH))
def test_every_sample_is_asked_without_error(file: str, samples: Path) -> None:
    """State, device and u32 of every sample: each answer has a reason, and what the scan calls L3t is told as such."""
    with open_image(samples / file) as image:
        ground = Ground(Debug(image))
        leaked = set()
        for name in ("State", "device", "u32", "Registry<klib::State>"):
            for one in trace(ground, name).answers:
                assert one.reasons
                leaked |= {r.id for r in one.reasons if r.id in ("L3t", "L5")}
    if leaked:
        assert "L3type" in TRUTH[file]["kinds"]


def test_split_debug_information_is_not_told(samples: Path) -> None:
    with open_image(samples / "x-split-cfirst/vmlinux") as image:
        found = trace(Ground(Debug(image)), "State")
    assert not found.answers
    assert ".dwo" in found.problems[0]


@pytest.mark.accept
def test_the_thinlto_kernel(shared: Path) -> None:
    """Counts and layouts as pahole and llvm-dwarfdump show them."""
    folder = shared / "vectors/kernel"
    bad = types_of((folder / "thinlto-pahole-1.25.btf").read_bytes())
    good = types_of((folder / "thinlto-pahole-1.28.btf").read_bytes())
    with open_image(folder / "linux-6.12.117-rust-thinlto.debug.zst") as image:
        debug = Debug(image)
        (one,) = trace(Ground(debug, bad), "task_struct", versions=(125,)).answers
        assert one.state == BESIDE
        assert (one.owners.count("Rust"), one.owners.count("C")) == (2, 3)
        assert reasons(one)[0] == ("M1", "proven")
        assert {(d.path, d.units) for d in one.definitions} == {
            ("task_struct", 1164), ("bindings::bindings_raw::task_struct", 2), ("uapi::task_struct", 1)}
        (one,) = trace(Ground(debug, good), "task_struct").answers
        assert (one.state, one.owners) == (IN_BTF, ("C",))
        (one,) = trace(Ground(debug, bad), "core::option::Option<u32>").answers
        assert reasons(one) == [("M1", "likely"), ("refused-name", "proven")]
        (one,) = trace(Ground(debug, good), "core::option::Option<u32>").answers
        assert (one.state, reasons(one)) == (LEFT_OUT, [("rust-excluded", "proven")])
        (one,) = trace(Ground(debug, good), "vfs_open", "function").answers
        assert one.state == IN_BTF


def test_references_in_circles_end() -> None:
    units = (
        'unit Rust "l.rs"\n  subprogram linkage_name="_RNvC1a1f" specification=@b low_pc=0x10 as a\n'
        "  subprogram specification=@a as b\n"
        'unit C "main.c"\n  structure_type "s" byte_size=8\n    member "m" type=@p data_member_location=0\n'
        "  pointer_type type=@q as p\n  const_type type=@p as q\n"
    )
    assert asked("_RNvC1a1f", units).answers[0].kind == "function"
    assert "..." in asked("s.m", units).members[0].dwarf
