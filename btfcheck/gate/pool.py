# SPDX-License-Identifier: MIT
"""Where the work is done: this machine's processes, or any concurrent.futures executor.

`--executor MODULE:NAME` names a callable that returns one (it gets the number of jobs), `--executor
dask:ADDRESS` a Dask scheduler (extra `btfcheck[dask]`; `dask:` alone starts a cluster on this machine).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeVar

from btfcheck.files import sweep, workplace
from btfcheck.model import InputError, UsageError

_PR_SET_PDEATHSIG = 1
_SILENT = 100  # above every level of logging
_ENDED = 128 + signal.SIGTERM
_GRACE = 5  # s that a worker gets for cleaning up

_busy = False  # in a worker: in a task

Task = TypeVar("Task")
Result = TypeVar("Result")


def _tied(parent: int) -> None:
    """In a worker: end with the program, even when that is killed by SIGKILL; Ctrl-C is the program's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(_ENDED)


def _leave(number: int, frame: object) -> None:  # noqa: ARG001
    """Out of a task by an exception, so that it cleans up; where that is swallowed (in a destructor), without."""
    if not _busy or number == signal.SIGALRM:
        os._exit(_ENDED)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the second, when the program ends, must not break into that
    signal.signal(signal.SIGALRM, _leave)
    signal.alarm(_GRACE)
    raise SystemExit(_ENDED)


class _Local(ProcessPoolExecutor):
    """Processes of this machine, that clean up and end when they are told to."""

    def __init__(self, jobs: int) -> None:
        super().__init__(jobs, initializer=_tied, initargs=(os.getpid(),))

    def submit(self, fn: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        return super().submit(_work, fn, args, kwargs)


def _work(fn: Callable[..., Result], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Result:
    """In a worker, which would take the next task where only this one was ended."""
    global _busy
    _busy = True
    try:
        return fn(*args, **kwargs)
    except (KeyboardInterrupt, SystemExit):
        os._exit(_ENDED)
    finally:
        _busy = False


@contextmanager
def executor(entry: str | None, jobs: int) -> Iterator[Executor | None]:
    """The executor that `entry` names, local processes without one, None for one job.

    Raises UsageError when the entry names none.
    """
    if entry is None and jobs < 2:
        yield None
        return
    try:
        found, close = _made(entry, jobs)
    except (OSError, ImportError):  # no semaphores: /dev/shm is read-only, or not there
        if entry is not None:
            raise
        yield None
        return
    try:
        yield found
    except BrokenExecutor as error:
        found.shutdown(wait=False)
        raise InputError("a worker process was ended from outside, as by a lack of memory: fewer --jobs want less"
                         ) from error
    except BaseException as error:
        for process in list((getattr(found, "_processes", None) or {}).values()):
            process.terminate()  # its SIGTERM ends the pahole that it runs
        found.shutdown(wait=False)
        if type(error).__module__.startswith("distributed"):
            raise InputError(f"--executor {entry}: {type(error).__name__}: {error}") from error
        raise
    else:
        found.shutdown()
    finally:
        close()
        with contextlib.suppress(OSError):
            sweep()  # what a killed worker left


def _made(entry: str | None, jobs: int) -> tuple[Executor, Callable[[], Any]]:
    if entry is None:
        return _Local(jobs), lambda: None
    module, _, name = entry.partition(":")
    if module == "dask":
        return _dask(name, jobs)
    try:
        made = getattr(import_module(module), name)(jobs)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise UsageError(f"--executor {entry}: {error}") from error
    if not hasattr(made, "submit"):
        raise UsageError(f"--executor {entry}: {type(made).__name__} is no concurrent.futures executor")
    return made, lambda: None


def _dask(address: str, jobs: int) -> tuple[Executor, Callable[[], Any]]:
    try:
        distributed = import_module("distributed")
    except ImportError as error:
        raise UsageError("--executor dask: needs the extra btfcheck[dask]") from error
    with contextlib.ExitStack() as closing:
        try:
            if address:
                client = distributed.Client(address)
            else:
                import_module("dask").config.set(temporary_directory=closing.enter_context(workplace()))
                client = distributed.Client(n_workers=jobs, threads_per_worker=1, dashboard_address=None,
                                            silence_logs=_SILENT)  # fmt: skip
        except (OSError, ValueError) as error:
            raise UsageError(f"--executor dask:{address}: {error}") from error
        closing.callback(client.close)
        made: Executor = client.get_executor()
        return made, closing.pop_all().close


def each(
    pool: Executor | None, work: Callable[[Task], Result], tasks: Sequence[Task]
) -> Iterator[tuple[Task, Result]]:
    """(task, result) in the order of the tasks; every one is handed out at once."""
    if pool is None:
        for task in tasks:
            yield task, work(task)
        return
    futures = [pool.submit(work, task) for task in tasks]
    try:
        for task, future in zip(tasks, futures, strict=True):
            yield task, future.result()
    except BaseException:
        for future in futures:
            future.cancel()
        raise
