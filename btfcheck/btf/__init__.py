# SPDX-License-Identifier: MIT
"""BTF: bytes to types, and the kernel's verdict on them."""
