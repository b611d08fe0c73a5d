# SPDX-License-Identifier: MIT
"""Reading a TOML file, with errors that name it."""

from __future__ import annotations

import sys
from typing import Any

from btfcheck.model import UsageError


def read(path: str) -> dict[str, Any]:
    """The file's tables. Raises UsageError."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        with open(path, "rb") as stream:
            data: dict[str, Any] = tomllib.load(stream)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path}: not TOML: {error}") from error
    return data
