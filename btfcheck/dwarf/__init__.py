# SPDX-License-Identifier: MIT
"""DWARF: units, the walk over DIEs, and what Rust in C units means."""
