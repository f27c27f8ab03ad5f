"""What can be named: data sets, corruptions, networks, regularizers, figures. A file is named after what it holds.

A kind is a folder of this package; every file in it whose name does not begin with an underscore is one entry, and the
file's name is the entry's name. A file may hold named variants instead, as a literal `VARIANTS = {name: options}`.
The folders named in the environment variable RETHINKING_PLUGINS (separated like PATH) add to it: a file in
`<folder>/corruptions/` is found, listed, tested and used like the package's own.

Listing reads the files without importing them, so it needs neither torch nor matplotlib: names, first docstring lines
and literal constants (VARIANTS, OPTIONS, PAPER ...) come from the syntax tree.
"""

import ast
import difflib
import hashlib
import importlib
import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from rethinking.errors import InputError

KINDS = ("data", "corruptions", "models", "regularizers", "figures")
# The literal constants that a file of the kind must have.
_NEEDED = {
    "data": ("SIZES", "SHAPE", "CLASSES", "MEAN", "VARIANCE", "SHA256"),
    "corruptions": ("ACTS_ON",),
    "models": (),
    "regularizers": ("OPTIONS", "NULL", "PRACTICE"),
    "figures": ("MODELS", "SEEDS"),
}
_NOUN = {
    "data": "data set",
    "corruptions": "corruption",
    "models": "network",
    "regularizers": "regularizer",
    "figures": "figure",
}


@dataclass(frozen=True)
class Entry:
    """One name of one kind.

    Attributes:
        kind, name: its place. path: the file. summary: first line of the file's docstring.
        constants: the file's literal module-level constants, unimported. variant: its options in VARIANTS.
        digest: of what the file held when it was found, where it is not the package's own (which a commit tells).
    """

    kind: str
    name: str
    path: Path
    summary: str
    constants: dict[str, Any] = field(repr=False)
    variant: dict[str, Any] = field(default_factory=dict)
    digest: str | None = None

    def load(self) -> ModuleType:
        """Import the file."""
        return importlib.import_module(f"rethinking.{self.kind}.{self.path.stem}")


def plugin_folders(kind: str) -> list[str]:
    """The existing folders for `kind` under RETHINKING_PLUGINS."""
    roots = [r for r in os.environ.get("RETHINKING_PLUGINS", "").split(os.pathsep) if r]
    for root in roots:
        if not Path(root).is_dir():
            raise InputError(f"RETHINKING_PLUGINS names {root!r}, not a folder: create it or mend the variable")
    return [str(Path(r) / kind) for r in roots if (Path(r) / kind).is_dir()]


@cache
def entries(kind: str) -> dict[str, Entry]:
    """All entries of a kind, by name, sorted.

    Raises:
        InputError: two files claim one name; a file that is not Python, or lacks a constant that its kind must have.
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}, allowed are {KINDS}")
    found: dict[str, Entry] = {}
    for folder in [Path(__file__).parent / kind, *map(Path, plugin_folders(kind))]:
        for path in sorted(folder.glob("[!_]*.py")):
            for entry in _read(kind, path):
                if entry.name in found:
                    raise InputError(
                        f"{path} and {found[entry.name].path} both hold the {_NOUN[kind]} {entry.name!r}: rename one"
                    )
                found[entry.name] = entry
    return dict(sorted(found.items()))


def _read(kind: str, path: Path) -> list[Entry]:
    try:
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
    except SyntaxError as error:
        raise InputError(f"{path}, line {error.lineno}: {error.msg}: mend the file or take it away") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as Python ({error}): mend the file or take it away") from None
    constants: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            targets: list[ast.expr] = node.targets
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets = [node.target]
        else:
            continue
        for target in targets:
            if isinstance(target, ast.Name) and target.id.isupper():
                try:
                    constants[target.id] = ast.literal_eval(node.value)  # type: ignore[arg-type]
                except ValueError:
                    continue  # not a literal: known only after import
    for needed in _NEEDED[kind]:
        if needed not in constants:
            raise InputError(f"{path} has no constant {needed} that can be read without importing it: write it there")
    summary = (ast.get_docstring(tree) or "").split("\n")[0]
    own = path.parent.parent == Path(__file__).parent
    digest = None if own else hashlib.sha256(text.encode()).hexdigest()[:12]
    variants = constants.get("VARIANTS", {path.stem: {}})
    return [Entry(kind, name, path, summary, constants, options, digest) for name, options in variants.items()]


def names(kind: str) -> list[str]:
    """The names of a kind, sorted."""
    return list(entries(kind))


def find(kind: str, name: str) -> Entry:
    """The entry of that name. Raises InputError that offers the nearest known name."""
    known = entries(kind)
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise InputError(f"unknown {_NOUN[kind]} {name!r}: {hint}known are {', '.join(known)}")


def load(kind: str, name: str) -> ModuleType:
    """Import the module that holds `name`. Raises InputError as `find` does."""
    return find(kind, name).load()
