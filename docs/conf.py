"""Sphinx configuration: `make docs` builds with every warning an error."""
from __future__ import annotations

import fastconv

project = "fastconv"
author = "the fastconv developers"
copyright = "2026, the fastconv developers"
version = release = fastconv.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.mathjax", "numpydoc"]
exclude_patterns = ["_build"]
default_role = "py:obj"  # as numpydoc has it: `name` in a docstring is a reference where there is one

autosummary_generate = True
autodoc_typehints = "none"  # the docstring's Parameters section says it better
numpydoc_show_class_members = False

html_theme = "furo"
html_title = f"fastconv {release}"
html_show_sourcelink = False
html_copy_source = False
