"""The order of the rooms: each imports only from those below it, at the top of a file and within functions alike."""

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import rethinking

ROOT = Path(rethinking.__file__).parent
# From the top. Rooms on one line may not import each other. `spec` names plug-ins by the catalog, which reads their
# files without importing them, so it stands below them: a regularizer is built from a Part of a spec.
ROOMS = [
    {"__main__", "cli"},  # the entry point in two places: one room
    {"api"},
    {"bench"},
    {"verify"},
    {"report"},
    {"imagenet"},
    {"engines"},
    {"figures"},
    {"claims"},
    {"probes"},
    {"theory"},
    {"training"},
    {"record"},
    {"regularizers", "models", "corruptions", "data"},
    {"surgery"},
    {"layers"},
    {"spec"},
    {"images", "seeds"},
    {"catalog"},
    {"constants", "imported"},
    {"arguments", "arithmetic", "precision", "intervals", "plotting", "style", "revision", "machine"},
    {"streams"},
    {"paths"},
    {"arrays"},
    {"files"},
    {"errors"},
    {"rethinking"},  # the package itself, which imports its rooms when they are first asked for
]
# Imports against the order, with the reason: (importing module, imported module) without "rethinking.".
AGAINST: dict[tuple[str, str], str] = {}
# Imports within functions that would close a circle at the top of a file, each within one room, with the reason.
CLOSING = {
    ("corruptions", "corruptions._dataset"): "wrappers need torch, and are made when first asked for",
    ("corruptions._labels", "corruptions._dataset"): "the labels of a wrapper inside a wrapper are asked of it",
}
LONGEST = 400  # lines of a file
# Packages that take a second or more to import: only what computes or draws may.
SLOW = ("torch", "torchvision", "matplotlib", "seaborn")


@dataclass(frozen=True)
class Import:
    """One import: who imports what, modules without "rethinking."; deferred: within a function; typing: for mypy."""

    who: str
    what: str
    deferred: bool
    typing: bool


def _name(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts) or "rethinking"


@cache
def _modules() -> dict[str, Path]:
    return {_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def _imports_of(source: str, who: str, known: frozenset[str]) -> Iterator[Import]:
    """The imports of this package's modules in a source text."""

    def named(module: str) -> str:
        return module.removeprefix("rethinking").removeprefix(".") or "rethinking"

    def walk(node: ast.AST, deferred: bool, typing: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            inside = deferred or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            checked = typing or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test))
            modules = []
            if isinstance(child, ast.Import):
                modules = [alias.name for alias in child.names]
            elif isinstance(child, ast.ImportFrom):
                assert not child.level, f"{who} imports by a relative name"
                longer = [f"{child.module}.{alias.name}" for alias in child.names]
                modules = [one if named(one) in known else str(child.module) for one in longer]
            for module in modules:
                if module.split(".")[0] == "rethinking":
                    yield Import(who, named(module), deferred, typing)
            yield from walk(child, inside, checked)

    yield from walk(ast.parse(source), False, False)


@cache
def _imports() -> list[Import]:
    known = frozenset(_modules())
    return [each for name, path in _modules().items() for each in _imports_of(path.read_text("utf-8"), name, known)]


def _room(module: str) -> str:
    return module.partition(".")[0]


def _floor(room: str) -> int:
    return next(k for k, rooms in enumerate(ROOMS) if room in rooms)


def _against(imports: list[Import]) -> set[tuple[str, str]]:
    """The imports of another room that is not below."""
    return {
        (each.who, each.what)
        for each in imports
        if _room(each.who) != _room(each.what)
        and not {_room(each.who), _room(each.what)} <= ROOMS[0]
        and _floor(_room(each.who)) >= _floor(_room(each.what))
        and _room(each.who) != "rethinking"
    }


def _circle(edges: set[tuple[str, str]]) -> list[str]:
    """A circle of modules, or an empty list."""
    beyond: dict[str, list[str]] = {}
    for who, what in sorted(edges):
        beyond.setdefault(who, []).append(what)
    done: set[str] = set()

    def visit(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return []
        found = next((c for one in beyond.get(module, ()) if (c := visit(one, [*path, module]))), [])
        done.add(module)
        return found

    return next((c for module in beyond if (c := visit(module, []))), [])


def test_every_module_has_its_room():
    placed = [room for rooms in ROOMS for room in rooms]
    assert len(placed) == len(set(placed))
    assert {_room(module) for module in _modules()} <= set(placed)


def test_a_room_imports_only_from_those_below_it():
    assert _against(_imports()) == AGAINST.keys()


def test_no_imports_close_a_circle_but_those_named():
    imports = [each for each in _imports() if not each.typing and each.who != "rethinking"]
    edges = {(each.who, each.what) for each in imports if each.who != each.what}
    assert _circle({(each.who, each.what) for each in imports if not each.deferred and each.who != each.what}) == []
    assert _circle(edges - CLOSING.keys()) == []
    for pair in CLOSING:  # each is needed
        assert _circle(edges - (CLOSING.keys() - {pair})), pair


@pytest.mark.parametrize(
    ("who", "line", "refused"),
    [
        ("record.read", "from rethinking.training import Training", True),
        ("record.read", "def f():\n    from rethinking import training", True),
        ("figures.fig1a", "from rethinking.record import Record", False),
        ("record.read", "from rethinking.record.write import Row", False),
    ],
)
def test_an_import_against_the_order_is_seen_wherever_it_stands(who, line, refused):
    known = frozenset(_modules())
    assert bool(_against(list(_imports_of(line, who, known)))) is refused


# What one process does in turn, and what none of it imports.
LIGHT = """
import sys
def never(*names):
    assert not set(names) & set(sys.modules), set(names) & set(sys.modules)
def call(*words):
    from rethinking.cli import main
    main(words, standalone_mode=False)
runs, drawn = sys.argv[1:]
import rethinking
never("numpy", "pydantic", "click", *SLOW)
call("--help"), call("list"), call("figure", "--help"), call("data", "where", "toy")
never(*SLOW)
import rethinking.spec, rethinking.record.frame, rethinking.figures
never(*SLOW)
from rethinking import catalog, figures
for name in set(catalog.names("figures")) - {"toyfig"}:
    figures.numbers(name, figures.setting(name), rethinking.record.Runs(drawn + "/none"))
call("report", "--json", "--out", drawn, "--html", drawn + "/page.html")
call("verify", "--runs", runs, "--out", drawn + "/none")
never(*SLOW)
call("plan", "toyfig", "--device", "cpu", "--runs", runs)
never("torch", "torchvision")
call("figure", "toyfig", "--device", "cpu", "--runs", runs, "--out", drawn)
never("torch", "torchvision")
"""


def test_what_reads_plans_lists_and_draws_imports_nothing_slow(toy_runs, tmp_path):
    for path in ROOT.parent.glob("figures/theorem1-cpu.*"):
        shutil.copy(path, tmp_path)
    (tmp_path / "none").mkdir()
    words = [sys.executable, "-c", f"SLOW = {SLOW!r}\n{LIGHT}", toy_runs, tmp_path]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT.parent)
    assert (done.returncode, done.stderr) == (0, "")


def test_no_file_is_longer_than_is_read_at_once():
    lines = {path: len(path.read_text().splitlines()) for path in ROOT.rglob("*.py")}
    assert {str(path): count for path, count in lines.items() if count > LONGEST} == {}
