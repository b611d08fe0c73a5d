#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Pack what the built-in Kconfig can see of complete .config files into configs.json.xz.

    tests/data/kconfig/make_configs.py DIR/*.config > tests/data/kconfig/configs.json.xz

The files were those of Debian's packages linux-config-6.1 (6.1.176-1, 6.1.192-2), linux-config-6.12
(6.12.107-1, 6.12.117-1~deb12u1), linux-config-7.2 (7.2.13-1) and linux-config-7.3
(7.3.4-1~bpo13+1), of every architecture that has them (/usr/src/linux-config-*/config.*.xz),
and ../shared/vectors/kernel/thinlto.config.
"""

from __future__ import annotations

import json
import lzma
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from btfcheck.kconfig import tables


def names() -> set[str]:
    found = {"CC_VERSION_TEXT"}
    for row in tables.history()["trees"]:
        for arch in tables.history()["arches"]:
            found |= {s.name for s in tables.models(row[1], arch)[0].load().unique_defined_syms}
    return found


def read(path: str, wanted: set[str]) -> dict[str, object]:
    text = Path(path).read_text()
    header = re.search(r"^# Linux/(\S+) (\S+) Kernel Configuration", text, re.M)
    assert header, path
    values = dict(re.findall(r"^CONFIG_(\w+)=(.*)$", text, re.M))
    values |= dict.fromkeys(re.findall(r"^# CONFIG_(\w+) is not set$", text, re.M), "n")
    return {
        "file": Path(path).name,
        "arch": header[1],
        "release": header[2],
        "values": {n: v.strip('"') for n, v in values.items() if n in wanted},
    }


def main() -> None:
    wanted = names()
    data = json.dumps([read(p, wanted) for p in sys.argv[1:]], indent=0).encode()
    sys.stdout.buffer.write(lzma.compress(data, preset=9))


if __name__ == "__main__":
    main()
