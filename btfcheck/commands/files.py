# SPDX-License-Identifier: MIT
"""Files that a verb writes besides its report."""

from __future__ import annotations

import contextlib
import os
import tempfile

from btfcheck.model import UsageError


def write_beside(path: str, data: bytes, option: str) -> None:
    """Write beside `path` and rename, so that no half of it is ever seen; directories are made.

    Raises UsageError, which names the `option` that asked for it.
    """
    folder = os.path.dirname(path) or "."
    beside = ""
    try:
        os.makedirs(folder, exist_ok=True)
        handle, beside = tempfile.mkstemp(prefix=".btfcheck-", dir=folder)
        with open(handle, "wb") as stream:
            stream.write(data)
        os.chmod(beside, 0o644)
        os.replace(beside, path)
    except OSError as error:
        if beside:
            with contextlib.suppress(OSError):
                os.unlink(beside)
        raise UsageError(f"{option} {path}: {error.strerror or error}") from error
