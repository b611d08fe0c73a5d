# SPDX-License-Identifier: MIT
"""From a symptom to its cause: lines of logs, and symbols that were not granted."""
