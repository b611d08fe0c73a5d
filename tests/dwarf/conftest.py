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


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the 104 ELF files of tests/data/leak; build-sample and src/ there made them."""
    folder = tmp_path_factory.mktemp("leak")
    with tarfile.open(LEAK / "samples.tar.xz") as archive:
        for member in archive:
            assert not member.name.startswith(("/", "..")), member.name
        archive.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    return folder
