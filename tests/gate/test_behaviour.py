# SPDX-License-Identifier: MIT
from __future__ import annotations

import io
import os
import struct
import time
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import given
from hypothesis import strategies as st

from btfcheck.gate import behaviour as room
from btfcheck.gate.behaviour import NAMES, STRUCTURES, behaviour, btf_names, encode
from btfcheck.gate.sample import RUST, C, sample
from btfcheck.toolchain import tools
from tests.fakes import BROKEN, write


@pytest.fixture(autouse=True)
def _forget() -> None:
    tools.forget()
    room.forget()


def values(pahole: str, **options: float) -> dict[str, str | None]:
    return {name: fact.value for name, fact in behaviour({"PAHOLE": pahole}, environ={}, **options).items()}


def btf(*names: str) -> bytes:
    """A BTF blob without types that has these names."""
    strings = b"\0" + b"".join(name.encode() + b"\0" for name in names)
    return struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, 0, 0, len(strings)) + strings


class TestSample:
    @pytest.mark.parametrize("merged", [False, True])
    def test_units_as_another_reader_sees_them(self, merged: bool) -> None:
        file = ELFFile(io.BytesIO(sample([(C, "one"), (RUST, "two")], merged)))
        units = list(file.get_dwarf_info().iter_CUs())
        tops = [unit.get_top_DIE() for unit in units]
        assert [top.attributes["DW_AT_language"].value for top in tops] == [C, RUST]
        names = []
        for top in tops:
            base, structure = top.iter_children()
            (member,) = structure.iter_children()
            assert member.get_DIE_from_attribute("DW_AT_type") == base
            names.append(structure.attributes["DW_AT_name"].value)
        assert names == [b"one", b"two"]
        (note,) = file.get_section_by_name(".note.Linux").iter_notes()
        assert (note["n_name"], note["n_type"]) == ("Linux", 0x101)
        assert note["n_descdata"] == bytes([merged, 0, 0, 0])


class TestNames:
    def test_names(self) -> None:
        assert btf_names(btf("a", "b")) == {"", "a", "b"}

    def test_half_a_file_is_no_btf(self) -> None:
        assert btf_names(btf("abc")[:-1]) is None
        assert btf_names(b"") is None
        assert btf_names(b"\x9f\xeb") is None

    @given(st.binary(max_size=64))
    def test_any_bytes(self, data: bytes) -> None:
        btf_names(data)
        btf_names(btf()[:4] + data)


# A pahole that says v1.31 and writes what its variable BTF names.
FAKE = r"""
for word; do case "$word" in
    --version|--supported_btf_features) echo v1.31; exit;;
    --btf_encode_detached=*) out=${word#*=};;
esac; last=$word; done
"""


class TestFakes:
    @pytest.fixture
    def fake(self, tmp_path: Path) -> str:
        (tmp_path / "both").write_bytes(btf(*STRUCTURES.values()))
        (tmp_path / "c").write_bytes(btf(STRUCTURES[C]))
        (tmp_path / "half").write_bytes(btf(STRUCTURES[C])[:-3])
        return str(tmp_path / "pahole")

    def test_leaks(self, fake: str, tmp_path: Path) -> None:
        write(Path(fake), FAKE + f"cp {tmp_path}/both $out")
        assert values(fake) == dict(zip(NAMES, ("n", "n", "y"), strict=True))

    def test_filters(self, fake: str, tmp_path: Path) -> None:
        write(Path(fake), FAKE + f"cp {tmp_path}/c $out")
        assert values(fake) == dict(zip(NAMES, ("y", "y", "y"), strict=True))

    @pytest.mark.parametrize(
        "script", ["exit 0", "exit 1", "cp {0}/half $out", "echo > $out", ": > $out", "mkdir $out"]
    )
    def test_no_whole_btf_is_unknown_whatever_the_exit_status(
        self, fake: str, tmp_path: Path, script: str
    ) -> None:
        write(Path(fake), FAKE + script.format(tmp_path))
        facts = behaviour({"PAHOLE": fake}, environ={})
        assert [fact.value for fact in facts.values()] == [None, None, "n"]
        assert "wrote no BTF, exit status" in facts["PAHOLE_EXCLUDES_RUST"].reason

    def test_btf_and_a_crash_is_unknown(self, fake: str, tmp_path: Path) -> None:
        write(Path(fake), FAKE + f"cp {tmp_path}/c $out; kill -SEGV $$")
        facts = behaviour({"PAHOLE": fake}, environ={})
        assert {fact.value for fact in facts.values()} == {None}
        assert "killed by SIGSEGV" in facts["PAHOLE_EXCLUDES_RUST"].reason

    def test_hang_is_bounded(self, fake: str) -> None:
        write(Path(fake), FAKE + "sleep 600")
        begin = time.monotonic()
        assert set(values(fake, timeout=0.5).values()) == {None}
        assert time.monotonic() - begin < 5

    @pytest.mark.parametrize("fault", BROKEN)
    def test_a_pahole_without_version_is_not_tried(self, fake: str, fault: str) -> None:
        write(Path(fake), BROKEN[fault][0])
        assert values(fake, timeout=0.5) == dict.fromkeys(NAMES)

    def test_missing(self, fake: str) -> None:
        facts = behaviour({"PAHOLE": fake}, environ={})
        assert {fact.value for fact in facts.values()} == {None}
        assert facts["PAHOLE_EXCLUDES_RUST"].reason == f"{fake}: no such file"

    def test_flags_are_the_kernels_for_this_pahole(self, fake: str, tmp_path: Path) -> None:
        write(Path(fake), FAKE + f'echo "$*" >> {tmp_path}/flags')
        behaviour({"PAHOLE": fake}, environ={}, only=["PAHOLE_EXCLUDES_RUST"])
        (line,) = (tmp_path / "flags").read_text().splitlines()
        assert line.startswith("-J --btf_encode_detached=")
        assert " -j --btf_features=encode_force," in line
        assert " --lang_exclude=rust " in line
        assert not os.path.exists(line.split()[-1]), "nothing is left behind"

    def test_an_option_that_is_not_there_is_not_passed(self, fake: str, tmp_path: Path) -> None:
        refuse = 'case "$1" in --lang*) echo "pahole: unrecognized option" >&2; exit 64;; esac\n'
        write(
            Path(fake),
            refuse
            + FAKE.replace("v1.31", "v1.22")
            + f'echo "$*" > {tmp_path}/flags; cp {tmp_path}/both $out',
        )
        assert values(fake)["PAHOLE_EXCLUDES_RUST"] == "n"
        assert "lang_exclude" not in (tmp_path / "flags").read_text()

    def test_no_pahole_is_run_twice(self, fake: str, tmp_path: Path) -> None:
        write(Path(fake), f'echo "$@" >> {tmp_path}/runs\n{FAKE} cp {tmp_path}/c $out')
        assert values(fake) == values(fake)
        assert len((tmp_path / "runs").read_text().splitlines()) == 3 + len(NAMES)

    def test_only(self, fake: str) -> None:
        assert behaviour({"PAHOLE": fake}, environ={}, only=["RUSTC_VERSION"]) == {}


@pytest.mark.needs("pahole")
class TestRealPahole:
    def test_unmerged(self) -> None:
        facts = behaviour({}, environ={})
        assert facts["PAHOLE_EXCLUDES_RUST"].value == "y"
        assert facts["PAHOLE_ENCODES_RUST_FIRST"].value == "n"
        assert facts["PAHOLE_EXCLUDES_RUST"].live

    def test_merged_by_version(self) -> None:
        """1.24 to 1.27 keep Rust in a merged file, 1.28 and later do not (commit b98565e7b17e)."""
        from btfcheck.toolchain.probes import probe

        version = int(probe({}, only={"PAHOLE_VERSION"}, environ={})["PAHOLE_VERSION"].value or 0)
        assert behaviour({}, environ={})["PAHOLE_EXCLUDES_RUST_MERGED"].value == (
            "y" if version >= 128 else "n"
        )

    def test_without_the_option_rust_is_encoded(self) -> None:
        elf = sample([(C, STRUCTURES[C]), (RUST, STRUCTURES[RUST])], False)
        trial = encode(elf, ("pahole",), (), 10)
        assert trial.names is not None
        assert set(STRUCTURES.values()) <= trial.names
        assert trial.told == "wrote BTF with C and Rust types, exit status 0"


FETCHED = sorted(Path(os.environ.get("BTFCHECK_PAHOLES", "/nonexistent")).glob("pahole-*/pahole"))


@pytest.mark.accept
@pytest.mark.skipif(not FETCHED, reason="needs BTFCHECK_PAHOLES=DIR, filled by tests/fetch-paholes DIR")
@pytest.mark.parametrize("pahole", FETCHED, ids=lambda path: path.parent.name)
def test_fetched_paholes(pahole: Path) -> None:
    assert values(str(pahole)) == dict(zip(NAMES, ("y", "y", "n"), strict=True))
