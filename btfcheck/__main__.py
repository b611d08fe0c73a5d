# SPDX-License-Identifier: MIT
"""`python -m btfcheck`."""

from btfcheck.cli import entry

entry()
