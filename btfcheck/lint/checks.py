# SPDX-License-Identifier: MIT
"""Rules that no expression can state: what Kconfig grants and forbids."""

from __future__ import annotations
