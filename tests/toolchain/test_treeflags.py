# SPDX-License-Identifier: MIT
"""A tree's own word on pahole's flags."""

from __future__ import annotations

from pathlib import Path

import pytest

from btfcheck.model import InputError
from btfcheck.toolchain.treeflags import flags_of_tree
from tests.fakes import write

MAKEFILE = """\
pahole-flags-$(call test-ge, $(CONFIG_PAHOLE_VERSION), 126) := -j$(JOBS) --btf_features=var
pahole-flags-$(CONFIG_PAHOLE_HAS_LANG_EXCLUDE) += --lang_exclude=rust
ifneq ($(KBUILD_EXTMOD),)
MODULE_PAHOLE_FLAGS := --btf_features=distilled_base
RESOLVE_BTFIDS_FLAGS := --distill_base
endif
export PAHOLE_FLAGS := $(pahole-flags-y)
"""
INCLUDE = "test-ge = $(shell test $(strip $1)0 -ge $(strip $2)0 && echo y)\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/Kbuild.include").write_text(INCLUDE)
    (tmp_path / "scripts/Makefile.btf").write_text(MAKEFILE)
    return tmp_path


@pytest.mark.needs("make")
@pytest.mark.parametrize(
    ("version", "exclude", "external", "args", "resolve"),
    [
        (130, None, False, "-j --btf_features=var --lang_exclude=rust", ""),
        (130, False, False, "-j --btf_features=var", ""),
        (122, None, False, "", ""),
        (130, None, True, "-j --btf_features=var --lang_exclude=rust --btf_features=distilled_base", "--distill_base"),
    ],
)
def test_makefile(tree: Path, version: int, exclude: bool | None, external: bool, args: str, resolve: str) -> None:
    found = flags_of_tree(str(tree), ("pahole",), version, external=external, lang_exclude=exclude)
    assert (" ".join(found.args), " ".join(found.resolve_btfids)) == (args, resolve)
    assert (found.row, found.assumed) == (str(tree), False)


def test_script_asks_the_pahole_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    script = tmp_path / "scripts/pahole-flags.sh"
    script.write_text('echo "--of=$($PAHOLE --version) --lang_exclude=rust"\n')
    pahole = write(tmp_path / "pahole", "echo v1.25")
    assert flags_of_tree(str(tmp_path), (pahole,), 125).args == ("--of=v1.25", "--lang_exclude=rust")
    assert flags_of_tree(str(tmp_path), (pahole,), 125, lang_exclude=False).args == ("--of=v1.25",)
    script.write_text("exit 3\n")
    with pytest.raises(InputError, match="exit status 3"):
        flags_of_tree(str(tmp_path), (pahole,), 125)


@pytest.mark.needs("make")
def test_what_does_not_work_is_told(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither"):
        flags_of_tree(str(tmp_path / "none"), ("pahole",), 130)
    (tree / "scripts/Makefile.btf").write_text("$(error broken)\n")
    with pytest.raises(InputError, match="broken"):
        flags_of_tree(str(tree), ("pahole",), 130)
    odd = tmp_path / "a b"
    (odd / "scripts").mkdir(parents=True)
    (odd / "scripts/Makefile.btf").write_text("")
    with pytest.raises(InputError, match="directory of that name"):
        flags_of_tree(str(odd), ("pahole",), 130)
