# SPDX-License-Identifier: MIT
"""Will this kernel's BTF be accepted by this kernel, and if not, why not."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from btfcheck.btf.judge import validate as validate
    from btfcheck.commands.check import check_config as check_config
    from btfcheck.dwarf.leaks import scan as scan

__version__ = "0.1.0"

# What the package offers to Python, and where it is; imported when first asked for.
_LAZY = {
    "check_config": "btfcheck.commands.check",
    "scan": "btfcheck.dwarf.leaks",
    "validate": "btfcheck.btf.judge",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
