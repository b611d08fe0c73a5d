# SPDX-License-Identifier: MIT
"""Sphinx: `make docs`. Most pages are made from the rules and parsers, by pages.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pages

from btfcheck import __version__
from btfcheck.lint.rules import load

pages.write(Path(__file__).parent)

project = "btfcheck"
author = "the btfcheck authors"
project_copyright = "MIT licence"
version = release = __version__
extensions = ["myst_parser"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
exclude_patterns = ["man"]
smartquotes = False  # -- is an option, not a dash
nitpicky = True
html_theme = "alabaster"
html_theme_options = {
    "description": "will this kernel accept its own BTF?", "fixed_sidebar": True, "page_width": "1100px",
    "sidebar_width": "250px", "globaltoc_maxdepth": 1, "globaltoc_includehidden": True,
}  # fmt: skip
html_sidebars = {"**": ["about.html", "searchfield.html", "globaltoc.html"]}
html_copy_source = False
html_show_sphinx = False
man_pages = [
    (f"rules/{rule.id}", f"btfcheck-{rule.id}", rule.name, author, 7) for rule in load().rules.values()
]
