"""The documentation site: ``nox -s docs``, or ``sphinx-build -W --keep-going docs docs/_build``."""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path

import xentropy

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))
# What the API reference imports, and what the pages' own processes inherit.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

_project = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
project = "xentropy"
author = _project["authors"][0]["name"]
project_copyright = author
release = xentropy.__version__

extensions = ["everywhere", "mathml", "myst_nb", "numpydoc", "sphinx.ext.autodoc", "sphinx_design"]
exclude_patterns = ["_build", "_ext"]
nitpicky = True

html_theme = "furo"
html_math_renderer = "mathml"
html_title = f"xentropy {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False

# Pages are Markdown that reads well without this site too.
myst_enable_extensions = ["attrs_inline", "colon_fence", "dollarmath", "html_image"]
myst_heading_anchors = 3

# A page whose cells are executed says so in its front matter; an error in one ends the build.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_timeout = 120

# A name in single backticks in a docstring is a link, or the build fails; the frameworks' names and
# Python's belong to other sites, which a build does not ask.
default_role = "py:obj"
nitpick_ignore_regex = [
    ("py:.*", r"(dask|jax|keras|np|numpy|optax|scipy|tf|tensorflow|torch)(\..*)?"),
    ("py:.*", r"functools\.partial|repr"),
]
autodoc_typehints = "none"
autodoc_inherit_docstrings = False
numpydoc_show_class_members = False
