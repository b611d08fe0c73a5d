# SPDX-License-Identifier: MIT
"""Files that are there as a whole or not at all, and private directories that go away."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from btfcheck.model import InputError

PREFIX = "btfcheck-work-"


Stamp = tuple[int, int, int, int, int]


def stamp(found: os.stat_result) -> Stamp:
    """What tells that a file is not the one that was looked at before."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def stamp_of(path: str) -> Stamp | None:
    """The stamp of the file that a path leads to, None where there is none."""
    try:
        return stamp(os.stat(path))
    except OSError:
        return None


def cache_folder(name: str = "") -> str:
    """Where this user's results are kept from run to run; a place that cannot be, where there is no home."""
    bases = (os.environ.get("XDG_CACHE_HOME", ""), os.path.join(os.path.expanduser("~"), ".cache"), os.devnull)
    base = next(base for base in bases if os.path.isabs(base))  # a relative one is invalid, by XDG's own words
    return os.path.join(base, "btfcheck", name)


def write_whole(path: str, data: bytes) -> None:
    """Write beside `path` and rename, so that no half of it is ever seen, whatever ends this program meanwhile.

    Raises OSError, and leaves nothing then.
    """
    import tempfile

    handle, beside = tempfile.mkstemp(prefix=".btfcheck-", dir=os.path.dirname(path) or ".")
    try:
        with open(handle, "wb") as stream:
            stream.write(data)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(beside, 0o666 & ~umask)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise


def thin_out(folder: str, most: int) -> None:
    """Leave the newest `most` files of a folder. Raises OSError."""
    files = [(entry.stat().st_mtime_ns, entry.path) for entry in os.scandir(folder) if not entry.name.startswith(".")]
    for _, path in sorted(files)[:-most]:
        os.unlink(path)


@contextlib.contextmanager
def workplace() -> Iterator[str]:
    """A private directory that is gone afterwards; InputError where none can be made.

    What a killed run left goes too: a directory is locked as long as its maker lives.
    """
    import shutil
    import tempfile

    try:
        sweep()
        folder = tempfile.mkdtemp(prefix=f".{PREFIX}")
    except OSError as error:
        raise InputError(f"no temporary directory: {error.strerror or error}") from error
    lock = None
    try:
        lock = _locked(folder)
        named = os.path.join(os.path.dirname(folder), os.path.basename(folder)[1:])
        os.rename(folder, named)  # only what is locked has the name that is swept
        folder = named
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def sweep() -> None:
    """Remove the workplaces of this user's runs that are dead."""
    import shutil
    import tempfile

    top = tempfile.gettempdir()
    for name in os.listdir(top):
        if not name.startswith(PREFIX):
            continue
        place = os.path.join(top, name)
        with contextlib.suppress(OSError):
            if os.lstat(place).st_uid == os.geteuid() and (lock := _locked(place)) is not None:
                shutil.rmtree(place, ignore_errors=True)
                os.close(lock)


def _locked(folder: str) -> int | None:
    """A descriptor that holds the lock of a directory; None when another process has it, or there are no locks."""
    import fcntl

    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle
