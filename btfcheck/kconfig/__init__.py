# SPDX-License-Identifier: MIT
"""Kconfig: the built-in model, real trees, and why a symbol has its value."""
