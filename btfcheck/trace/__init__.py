# SPDX-License-Identifier: MIT
"""Where BTF and DWARF meet."""
