# SPDX-License-Identifier: MIT
"""The leak samples, unpacked once."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

LEAK = Path(__file__).parents[1] / "data" / "leak"
TRUTH: dict[str, dict[str, Any]] = json.loads((LEAK / "truth.json").read_text())


def unpacked(name: str, folder: Path) -> Path:
    """An archive of tests/data/leak, or one named by its whole path, in a folder."""
    with tarfile.open(LEAK / name) as archive:
        archive.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    return folder


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the 104 ELF files of tests/data/leak; build-sample and src/ there made them."""
    return unpacked("samples.tar.xz", tmp_path_factory.mktemp("leak"))


@pytest.fixture
def more(tmp_path: Path) -> Path:
    """Samples of clang 14 with rustc 1.63 and of split DWARF, which build-more made."""
    return unpacked("more.tar.xz", tmp_path / "more")
