# SPDX-License-Identifier: MIT
"""What all tests share: a clean environment, and the markers for outside tools and long runs."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# `make accept` asks for the long one, which looks elsewhere every time.
settings.register_profile("short", max_examples=100, deadline=None, derandomize=True)
settings.register_profile("long", max_examples=10_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))

# A shell lets its background jobs ignore Ctrl-C, and nohup hangups; so would all that the tests start and stop.
for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)

SHARED = Path(__file__).resolve().parents[2] / "shared"

# What make would read, and what would change a program's output.
_VARIABLES = ("ARCH", "CC", "LD", "AR", "NM", "LLVM", "RUSTC", "BINDGEN", "PAHOLE", "O", "KBUILD_OUTPUT",
              "KCONFIG_CONFIG", "CROSS_COMPILE", "NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE")  # fmt: skip


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache, for tests of what is kept from run to run and for those that must not meet it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The directory of measured vectors beside the checkout (accept tests only)."""
    return SHARED


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    accept = bool(config.getoption("-m")) and "accept" in config.getoption("-m")
    for item in items:
        needed = [tool for mark in item.iter_markers("needs") for tool in mark.args]
        missing = [tool for tool in needed if not (shutil.which(tool) or os.path.exists(tool))]
        if missing:
            item.add_marker(pytest.mark.skip(reason=f"not installed: {', '.join(missing)}"))
    if not accept:
        # Left out, not skipped: `make accept` runs them.
        chosen = [item for item in items if item.get_closest_marker("accept") is None]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
        items[:] = chosen


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """With BTFCHECK_NO_SKIPS=1 a skipped test is a failure: CI installs everything."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("BTFCHECK_NO_SKIPS") == "1" and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
