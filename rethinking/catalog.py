"""What can be named: data sets, corruptions, networks, regularizers, probes, figures.

A file is named after what it holds.

A kind is a folder of this package; every file in it whose name does not begin with an underscore is one entry, and the
file's name is the entry's name. A file may hold named variants instead, as a literal `VARIANTS = {name: options}`.
The folders named in the environment variable RETHINKING_PLUGINS (separated like PATH) add to it: a file in
`<folder>/corruptions/` is found, listed, tested and used like the package's own.

A data set may also be one of somebody's own, which `rethinking data add` has put into the data folder: a folder with
the arrays and a description, whose name is the set's.

Listing reads the files without importing them, so it needs neither torch nor matplotlib: names, first docstring lines
and literal constants (VARIANTS, OPTIONS, PAPER ...) come from the syntax tree.
"""

import ast
import difflib
import hashlib
import importlib
import json
import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from rethinking.constants import USUAL, wrong
from rethinking.errors import InputError, not_imported
from rethinking.files import Refused, acting, content_of, json_in, reason, state_of, text_of
from rethinking.imported import LARGEST as SOURCE
from rethinking.imported import digest_of, helpers
from rethinking.paths import data_dir, expand, same

KINDS = ("data", "corruptions", "models", "regularizers", "probes", "figures")
# What a file of the kind must define.
_DEFINED = {
    "data": ("sources", "from_folder"),
    "corruptions": ("corrupt",),
    "models": ("build",),
    "regularizers": ("Regularizer",),
    "probes": ("measure",),
    "figures": ("CAPTION", "DEPARTURES"),
}
_NOUN = {
    "data": "data set",
    "corruptions": "corruption",
    "models": "network",
    "regularizers": "regularizer",
    "probes": "probe",
    "figures": "figure",
}
DESCRIPTION = "description.json"  # of an own data set: the constants of its kind, and what it was made of
NAME = r"[A-Za-z0-9][A-Za-z0-9_]{0,39}"  # what an own data set can be called
_DIGEST = "DIGEST"  # of a description, by which it binds itself; see `sealed`
_LONGEST = 4_000_000  # bytes of a description
# Folders that a newcomer may mean by a kind's.
_MISTAKEN = {"networks": "models", "datasets": "data", "plots": "figures", "augmentations": "regularizers"}


@dataclass(frozen=True)
class Entry:
    """One name of one kind.

    Attributes:
        kind, name: its place. path: the file. text: the file's docstring. summary: its first line.
        constants: the file's literal module-level constants, unimported. variant: its options in VARIANTS.
        digest: of what the file held when it was found, where it is not the package's own (which a commit tells).
        helpers: likewise of other files in the folders of plug-ins that it imports, and that those import, by their
        kind and their place in its folder: {"models/_shared": "1a2b3c4d5e6f"}.
    """

    kind: str
    name: str
    path: Path
    text: str = field(repr=False)
    constants: dict[str, Any] = field(repr=False)
    variant: dict[str, Any] = field(default_factory=dict)
    digest: str | None = None
    helpers: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def summary(self) -> str:
        """The first line of what the file says of itself, in the list."""
        return self.text.partition("\n")[0]

    @property
    def own(self) -> bool:
        """Whether it is an own data set, put into the data folder."""
        return self.path.name == DESCRIPTION

    @property
    def late(self) -> dict[str, Any]:
        """The defaults of options that came when there were runs already; at them they are not in a spec."""
        options = self.constants.get("OPTIONS", {})
        return {name: option["default"] for name, option in options.items() if option.get("late")}

    def load(self) -> ModuleType:
        """Import the file. Raises InputError where a plug-in cannot be, or lacks what its kind must define."""
        if self.own:
            return importlib.import_module("rethinking.data._own")
        place = f"rethinking.{self.kind}.{self.path.stem}"
        known = place in sys.modules
        with blame():
            module = importlib.import_module(place)
        if self.digest and not known and not self._unchanged():
            sys.modules.pop(place, None)
            raise InputError(f"{self.path}, or what it imports, was changed since this process began: start it again")
        declared = hasattr(module, "GRID") or hasattr(module, "grid")
        panels = "panels" if hasattr(module, "panels") else "PANELS"
        parts = ("spec", "TABLE", panels) if declared else ("runs", "draw", "claims")
        for word in (*_DEFINED[self.kind], *(parts if self.kind == "figures" else ())):
            if not hasattr(module, word):
                raise InputError(f"{self.path} has no {word}: every {_NOUN[self.kind]} needs one")
        return module

    def _unchanged(self) -> bool:
        """Whether a plug-in's file, and its helpers, hold what they held when they were found."""
        return any((now.digest, now.helpers) == (self.digest, self.helpers) for now in _read(self.kind, self.path))


def plugin_folders(kind: str) -> list[str]:
    """The existing folders for `kind` under RETHINKING_PLUGINS."""
    named = [expand(r) for r in os.environ.get("RETHINKING_PLUGINS", "").split(os.pathsep) if r]
    roots = [str(r) for k, r in enumerate(named) if not any(same(r, before) for before in named[:k])]  # each once
    for root in roots:
        if not Path(root).is_dir():
            raise InputError(f"RETHINKING_PLUGINS names {root!r}, not a folder: create it or mend the variable")
        for path in Path(root).iterdir():
            near = difflib.get_close_matches(path.name.lower(), [*KINDS, *_MISTAKEN], n=1, cutoff=0.8)
            if near and path.name not in KINDS and path.is_dir():
                kind = _MISTAKEN.get(near[0], near[0])
                raise InputError(f"{path} is of no kind ({', '.join(KINDS)}): did you mean {kind!r}? rename it")
            if path.suffix == ".py" and not path.name.startswith("_"):
                raise InputError(f"{path} is in no folder of its kind ({', '.join(KINDS)}): move it into one")
    return [str(Path(r) / kind) for r in roots if (Path(r) / kind).is_dir()]


def entries(kind: str) -> dict[str, Entry]:
    """All entries of a kind, by name, sorted.

    Raises:
        InputError: two files claim one name; a file that is not Python, or whose constants are not what its kind needs;
        a damaged description of an own data set.
    """
    found = _files(kind)
    return dict(sorted((_own_sets() | found).items())) if kind == "data" else found


def _own_sets() -> dict[str, Entry]:
    try:
        folder = data_dir()
    except InputError:  # there is none
        return {}
    found = (own_set(path.parent.name, folder) for path in sorted(folder.glob(f"*/{DESCRIPTION}")))
    return {entry.name: entry for entry in found if entry}


def own_set(name: str, root: str | Path | None = None) -> Entry | None:
    """The own data set of that name in a data folder, see `paths.data_dir`; None where there is none.

    Raises InputError for a name that is no text, and a description that is damaged, or changed since it was written.
    """
    if not isinstance(name, str):
        raise InputError(f"the data set's name is {name!r}: give text, as 'cifar10'")
    if name in _files("data") or not re.fullmatch(NAME, name):
        return None
    try:
        path = data_dir(root) / name / DESCRIPTION
        state = state_of(path, _LONGEST)
    except Refused:
        state = ()
    except (InputError, OSError):
        return None
    return _described(path, *state)


def written(description: dict[str, Any]) -> str:
    """The text of an own data set's description."""
    return json.dumps(description, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def sealed(description: dict[str, Any]) -> dict[str, Any]:
    """A description that binds itself: with the SHA-256, as its DIGEST, of what is `written` of it without that key.

    Its first digits are what a record keeps of the data set that it was made with.
    """
    rest = {key: value for key, value in description.items() if key != _DIGEST}
    return rest | {_DIGEST: hashlib.sha256(written(rest).encode()).hexdigest()}


@lru_cache(maxsize=1000)
def _described(path: Path, *_: int | str) -> Entry:
    again = f"remove {path.parent.name} with `rethinking data remove`, and add it again"
    damaged = f"{path} is damaged: {again}"
    try:
        content = content_of(path, _LONGEST)
        constants = json_in(content.decode())
        text, right = constants["TEXT"], sealed(constants)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{damaged} ({reason(error)})") from None
    problem = wrong("data", constants, set()) or (None if isinstance(text, str) else "TEXT is no text")
    if problem:
        raise InputError(f"{damaged} ({problem})")
    if _DIGEST not in constants:
        raise InputError(f"{path} has no {_DIGEST}, as of an earlier version, so a change would go unseen: {again}")
    if constants != right:
        raise InputError(f"{path} was changed since it was written, by its own SHA-256: {again}")
    return Entry("data", path.parent.name, path, text, constants, digest=right[_DIGEST][:12])


@cache
def _files(kind: str) -> dict[str, Entry]:
    if kind not in KINDS:
        raise InputError(f"kind is {kind!r}, allowed are {', '.join(KINDS)}")
    found: dict[str, Entry] = {}
    stems: dict[str, Path] = {}  # files are imported by theirs
    for folder in [Path(__file__).parent / kind, *map(Path, plugin_folders(kind))]:
        for path in sorted(folder.glob("[!_]*.py")):
            if "." in path.stem:
                raise InputError(f"{path} cannot be imported, for the dot in its name: rename it")
            for entry in _read(kind, path):
                if entry.name in found:
                    raise InputError(
                        f"{path} and {found[entry.name].path} both hold the {_NOUN[kind]} {entry.name!r}: rename one"
                    )
                found[entry.name] = entry
            if path.stem in stems:
                raise InputError(f"{path} and {stems[path.stem]} have one file name: rename one")
            stems[path.stem] = path
    return dict(sorted(found.items()))


def _read(kind: str, path: Path) -> list[Entry]:
    advice = "mend the file or take it away"
    text = text_of(path, advice, SOURCE)
    try:
        tree = ast.parse(text.encode())  # as it is imported: in the encoding that it names
    except SyntaxError as error:
        place = f"{path}, line {error.lineno}" if error.lineno else path
        raise InputError(f"{place}: {error.msg}: {advice}") from None
    except (ValueError, MemoryError, RecursionError) as error:  # the last two: nested too deeply
        raise InputError(f"{path} cannot be read as Python ({reason(error)}): {advice}") from None
    constants: dict[str, Any] = {}
    computed: set[str] = set()
    lines: dict[str, int] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            targets: list[ast.expr] = node.targets
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets = [node.target]
        else:
            continue
        for target in targets:
            if isinstance(target, ast.Name) and target.id.isupper():
                lines[target.id] = node.lineno
                try:
                    constants[target.id] = ast.literal_eval(node.value)  # type: ignore[arg-type]
                except ValueError:
                    computed.add(target.id)
                except (TypeError, MemoryError, RecursionError) as error:  # of {[]: 1}, and of deep nesting
                    raise InputError(f"{path}, line {node.lineno}: {target.id}: {reason(error)}: {advice}") from None
    problem = wrong(kind, constants, computed - constants.keys())
    if problem:
        line = lines.get(problem.partition(" ")[0].partition("[")[0])
        raise InputError(f"{path}{f', line {line}' if line else ''}: {problem}: mend the file")
    about = ast.get_docstring(tree) or ""
    for name, value in {"the docstring": about, **constants}.items():
        if mark := acting(value):
            place = f"{path}, line {lines.get(name, 1)}: {name}"
            raise InputError(f"{place} has the character {mark!a}, which would act on a terminal: take it out")
    constants = USUAL.get(kind, {}) | constants
    own = path.parent.parent == Path(__file__).parent
    digest, used = None, {}
    if not own:
        folders = {k: [Path(__file__).parent / k, *map(Path, plugin_folders(k))] for k in KINDS}
        digest, used = digest_of(text), helpers(kind, path, tree, folders)
    variants = constants.get("VARIANTS", {path.stem: {}})
    return [Entry(kind, name, path, about, constants, options, digest, used) for name, options in variants.items()]


def plug_in_line(error: BaseException) -> str | None:
    """Where in a plug-in an error arose, "plugins/regularizers/mine.py, line 22"; None where in none."""
    own = tuple(f"{folder}{os.sep}" for kind in KINDS for folder in plugin_folders(kind))
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(own)]
    return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else None


@contextmanager
def blame(entry: Entry | None = None) -> Iterator[None]:
    """Turn an error that arises in a plug-in into an InputError that names file and line; others pass.

    Args:
        entry: whose file is blamed for an error that arises elsewhere, where it is a plug-in.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        told = not_imported(error)
        if told is not None:
            raise told from None
        place = plug_in_line(error) or (str(entry.path) if entry and entry.digest else None)
        if place is None:
            raise
        raise InputError(f"{place}: {type(error).__name__}: {error}: mend the file") from None


def names(kind: str) -> list[str]:
    """The names of a kind, sorted."""
    return list(entries(kind))


def find(kind: str, name: str) -> Entry:
    """The entry of that name. Raises InputError that offers the nearest known name."""
    files = _files(kind)
    if not isinstance(name, str):
        raise InputError(f"the {_NOUN[kind]} is {name!r}: give its name, one of {', '.join(files)}")
    if name in files:
        return files[name]
    known = files
    if kind == "data":
        own = own_set(name)
        if own:
            return own
        known = entries(kind)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    if kind == "data" and os.path.exists(name):
        hint = f"`rethinking data add NAME {name}` makes a file or folder one; "
    elif kind == "data" and re.fullmatch(NAME, name) and not near:
        hint = f"`rethinking data add {name} PATH` adds your own; "
    elif name.endswith(".py"):
        hint = f"put the file into the folder {kind} of one that RETHINKING_PLUGINS names, and give its name; "
    is_one = next((f", which is a {_NOUN[k]}" for k in KINDS if name in (entries(k) if k == "data" else _files(k))), "")
    raise InputError(f"unknown {_NOUN[kind]} {name!r}{is_one}: {hint}known are {', '.join(known)}")


def load(kind: str, name: str) -> ModuleType:
    """Import the module that holds `name`. Raises InputError as `find` does."""
    return find(kind, name).load()
