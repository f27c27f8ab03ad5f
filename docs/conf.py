"""The site of these pages: `make docs`, or `sphinx-build -W -b html docs docs/_build`."""

import re
from pathlib import Path
from typing import Any

import rethinking
from rethinking.report import cite, references

# One list of works: rethinking/report/references.py.
Path(__file__).with_name("references.bib").write_text(cite.bibtex_of(references.WORKS) + "\n", encoding="utf-8")

project = "rethinking"
author = "The rethinking authors"
copyright = author
release = rethinking.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinxcontrib.bibtex",
]
exclude_patterns = ["_build", "notebooks"]
suppress_warnings = ["myst.header"]  # a generated page may go from # to ###
bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "alpha"
myst_heading_anchors = 3
smartquotes = False  # "--" is an option

autodoc_typehints = "none"  # docstrings say types, shapes and units
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
napoleon_use_rtype = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = "rethinking"
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_copy_source = False
html_show_sphinx = False

_SECTIONS = ("Args:", "Returns:", "Raises:", "Attributes:", "Yields:")


def _as_rst(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are plain text: their marks are escaped, their drawings and tables are kept as they stand."""
    out: list[str] = []
    section, drawing = False, False
    for line in lines:
        indented = line.startswith("    ")
        if line.strip() in _SECTIONS:
            section, drawing = True, False
        elif line and not indented:
            section, drawing = False, False
        elif indented and not section and not drawing:
            out += ["", "::", ""]  # what is indented after a paragraph is code, a table or a drawing
            drawing = True
        if drawing:
            out.append(line)
            continue
        line = re.sub(r"`([^`]+)`", r"``\1``", line)
        parts = re.split(r"(``[^`]+``)", line)
        out.append(
            "".join(p if p.startswith("``") else re.sub(r"([*|\\]|(?<=\w)_(?=\W|$))", r"\\\1", p) for p in parts)
        )
    lines[:] = out


def _as_typed(app: Any, context: Any, lines: list[str]) -> None:
    """Examples in a command's help, which sphinx-click gives as line blocks, keep their columns."""
    out: list[str] = []
    for line in lines:
        if not line.startswith("| "):
            out.append(line)
            continue
        if not out or not out[-1].startswith("    "):
            out += ["", "::", ""]
        out.append("    " + line[2:])
    lines[:] = out


def _level(app: Any, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """The captions of the theme's contents, which it calls headings, get the level that screen readers need."""
    contents = context.get("furo_navigation_tree", "")
    context["furo_navigation_tree"] = contents.replace('role="heading"', 'role="heading" aria-level="2"')


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("html-page-context", _level, priority=900)  # after the theme
    app.connect("sphinx-click-process-description", _as_typed)
    app.connect("autodoc-process-docstring", _as_rst, priority=100)  # before napoleon
