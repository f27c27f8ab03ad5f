"""Which works a text or a figure cites.

A docstring cites by author and year, "Wan et al. 2013" or "Ioffe & Szegedy 2015"; `cited` finds these in a text.
"""

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import rethinking
from rethinking import catalog, figures
from rethinking.files import text_of
from rethinking.report.references import PAPER, WORKS
from rethinking.report.works import Work
from rethinking.spec import kind_of

PACKAGE = Path(rethinking.__file__).parent
_NAME = r"[A-Z][\w'-]+"
_CITATION = rf"\b(?:{_NAME}(?:, {_NAME})* & )?{_NAME}(?: et al\.)? (?:19|20)\d\d\b"  # "Wan et al. 2013", "Li & Ma 2019"


def cited(text: str) -> list[Work]:
    """The works that a text names by author and year, or as [zhang2017]; line breaks and commas do not matter."""
    words = " ".join(text.replace("#", " ").split())
    return [w for w in WORKS if any(re.search(rf"\b{re.escape(n)}\b", words) for n in w.names)]


@cache
def _source(path: Path) -> str:
    return text_of(path, "mend it, or take its folder out of RETHINKING_PLUGINS", catalog.SOURCE)


def _texts(path: Path, seen: set[Path]) -> list[str]:
    """A module's source; those of the modules of its own room that it imports; docstrings of the layers it imports."""
    if path in seen or not path.is_file():
        return []
    seen.add(path)
    texts = [_source(path)]
    if not path.is_relative_to(PACKAGE):
        return texts
    room = path.relative_to(PACKAGE).parts[0]
    for node in ast.parse(texts[0]).body:  # what a function imports later is not what the module is made of
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("rethinking."):
            continue
        module = PACKAGE.joinpath(*str(node.module).split(".")[1:])
        if node.module == "rethinking.layers":
            named = {alias.name for alias in node.names}
            layers = ast.parse(_source(PACKAGE / "layers.py")).body
            texts += [
                ast.get_docstring(each) or ""
                for each in layers
                if isinstance(each, ast.ClassDef | ast.FunctionDef) and each.name in named
            ]
        elif room == "theory":
            beside = [module / alias.name for alias in node.names] if module.name == room else [module]
            for each in beside:
                texts += _texts(each.with_suffix(".py"), seen) if each.parent.name == room else []
    return texts


@dataclass(frozen=True)
class Sources:
    """What a figure, and what its runs are made of, cite at any scale.

    Attributes:
        works: the paper first. others: what plug-ins cite by author and year that is not among the known works, as
        "sam (Foret et al. 2021)".
    """

    works: tuple[Work, ...]
    others: tuple[str, ...]


def of_figure(name: str) -> Sources:
    """The sources of a figure. Raises InputError where there is none of that name."""
    entries = [catalog.find("figures", name)]
    paths = []
    for scale in figures.SCALES:
        for model in entries[0].constants["MODELS"]:
            for spec in figures.unique(figures.specs(name, figures.setting(name, scale, model))):
                module = kind_of(spec).module.split(".")[1:]
                paths.append(PACKAGE.joinpath(*module).with_suffix(".py"))
                if module[0] == "training":  # whose networks start as their folder says
                    paths.append(PACKAGE / "models" / "__init__.py")
                entries += [catalog.find(*each) for each in spec.named]
    seen: set[Path] = set()
    texts = [text for path in [*(entry.path for entry in entries), *paths] for text in _texts(path, seen)]
    found = {work for text in texts for work in cited(text)} - {PAPER}
    plug_ins = {entry.path: entry for entry in entries if entry.digest and not entry.own}.values()
    others = ((entry.name, _unknown(_source(entry.path))) for entry in sorted(plug_ins, key=lambda e: e.name))
    works = (PAPER, *sorted(found, key=lambda work: work.key))
    return Sources(works, tuple(f"{each} ({', '.join(names)})" for each, names in others if names))


def _unknown(text: str) -> list[str]:
    """The citations by author and year of a text that name none of the known works."""
    known = {name for work in cited(text) for name in work.names}
    words = " ".join(text.replace("#", " ").split())
    return [each for each in dict.fromkeys(re.findall(_CITATION, words)) if each not in known]
