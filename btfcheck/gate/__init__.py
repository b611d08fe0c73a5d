# SPDX-License-Identifier: MIT
"""Running pahole, and what came out."""
