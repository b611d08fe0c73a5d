# SPDX-License-Identifier: MIT
"""Facts and rules to outcomes."""
