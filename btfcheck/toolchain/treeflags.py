# SPDX-License-Identifier: MIT
"""The flags for pahole as a kernel source tree itself works them out: its script is run, or its makefile read.

scripts/pahole-flags.sh (to 6.6) asks the pahole that PAHOLE names; scripts/Makefile.btf (from 6.7) goes by
CONFIG_PAHOLE_VERSION. Both are executed, so a tree is trusted as `make` trusts it.
"""

from __future__ import annotations

import os
import tempfile

from btfcheck.model import InputError
from btfcheck.toolchain.pahole import LANG_EXCLUDE, Flags
from btfcheck.toolchain.tools import Completed, run, show

_SCRIPT, _MAKEFILE = "scripts/pahole-flags.sh", "scripts/Makefile.btf"
_MARK = "btfcheck-flags:"
_TIMEOUT = 30.0
_QUESTION = """\
srctree := {tree}
include {tree}/scripts/Kbuild.include
include {tree}/scripts/Makefile.btf
.PHONY: btfcheck-flags
btfcheck-flags:
\t@printf '%s\\n' '{mark}$(PAHOLE_FLAGS)' '{mark}$(MODULE_PAHOLE_FLAGS)' '{mark}$(RESOLVE_BTFIDS_FLAGS)'
"""


def flags_of_tree(
    tree: str, command: tuple[str, ...], version: int, *, external: bool = False, lang_exclude: bool | None = None,
) -> Flags:
    """What the tree's Kbuild passes to this pahole; `external` for an out-of-tree module.

    Raises InputError when the tree has neither file, or it does not work.
    """
    tree = os.path.abspath(tree)
    exclude = version >= 124 if lang_exclude is None else lang_exclude
    if os.path.isfile(os.path.join(tree, _MAKEFILE)):
        vmlinux, module, resolve = _from_makefile(tree, version, external, exclude)
    elif os.path.isfile(os.path.join(tree, _SCRIPT)):
        done = run(("sh", os.path.join(tree, _SCRIPT)), timeout=_TIMEOUT, cwd=tree, env={"PAHOLE": show(command)})
        vmlinux, module, resolve = _words(tree, _SCRIPT, done), (), ()
        if lang_exclude is not None:
            vmlinux = tuple(w for w in vmlinux if w != LANG_EXCLUDE) + ((LANG_EXCLUDE,) if lang_exclude else ())
    else:
        raise InputError(f"--tree {tree}: neither {_MAKEFILE} nor {_SCRIPT} is in it")
    args = tuple(dict.fromkeys(vmlinux + (module if external else ())))
    return Flags(args, resolve if external else (), tree, False)


def _from_makefile(
    tree: str, version: int, external: bool, exclude: bool
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """(flags for vmlinux, more for external modules, those of resolve_btfids)"""
    if any(c in tree for c in " \t#$:%'\""):
        raise InputError(f"--tree {tree}: make cannot work in a directory of that name")
    with tempfile.NamedTemporaryFile("w", prefix="btfcheck-", suffix=".mk") as question:
        question.write(_QUESTION.format(tree=tree, mark=_MARK))
        question.flush()
        settings = [f"CONFIG_PAHOLE_VERSION={version}", "KBUILD_VERBOSE=", "KBUILD_BUILD_TIMESTAMP=", "MAKEFLAGS="]
        settings += ["CONFIG_PAHOLE_HAS_LANG_EXCLUDE=y"] if exclude else []
        settings.append(f"KBUILD_EXTMOD={'external' if external else ''}")
        done = run(("make", "-s", "-f", question.name, "btfcheck-flags", *settings), timeout=_TIMEOUT, cwd=tree)
    if not done.ok:
        raise InputError(f"--tree {tree}: {_MAKEFILE}: {done.reason}")
    lines = [line.removeprefix(_MARK).split() for line in done.text.splitlines() if line.startswith(_MARK)]
    if len(lines) != 3:
        raise InputError(f"--tree {tree}: {_MAKEFILE}: make did not answer")
    first, second, third = lines
    return tuple(first), tuple(second), tuple(third)


def _words(tree: str, name: str, done: Completed) -> tuple[str, ...]:
    if not done.ok:
        raise InputError(f"--tree {tree}: {name}: {done.reason}")
    return tuple(done.text.split())
