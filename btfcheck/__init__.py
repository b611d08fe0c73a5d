# SPDX-License-Identifier: MIT
"""Will this kernel's BTF be accepted by this kernel, and if not, why not."""

__version__ = "0.1.0"
