# SPDX-License-Identifier: MIT
"""The tools of a kernel build: which they are, and what they can do."""
