"""Text that others wrote, as it may stand in LaTeX and BibTeX; `rethinking.streams.plain` is for the terminal."""

from rethinking.streams import plain

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "−": "$-$",
    "×": r"$\times$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "→": r"$\rightarrow$",
    "·": r"$\cdot$",
} | {mark: f"\\{mark}" for mark in "&%$#_{}"}


def latex(text: str) -> str:
    """Text as it stands in a LaTeX document, or in the braces of a BibTeX field: no command, one line."""
    return "".join(_LATEX.get(mark, mark) for mark in plain(text))
