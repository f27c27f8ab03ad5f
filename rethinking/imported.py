"""Which files of plug-ins a plug-in imports: its helpers, which determine what it does as much as its own file."""

import ast
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from rethinking.errors import InputError
from rethinking.files import text_of

LARGEST = 1_000_000  # bytes of a file
_PACKAGE = "rethinking"


def digest_of(text: str) -> str:
    """What a record keeps of a plug-in's file: the first 12 digits of its SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def helpers(kind: str, path: Path, tree: ast.Module, folders: Mapping[str, Sequence[Path]]) -> dict[str, str]:
    """Digests of the files in folders of plug-ins that a file imports, and that those import.

    An import counts wherever it stands in a file, as does a module's full name in quotes, which importlib may be given.

    Args:
        kind, path, tree: of the file. folders: of each kind, in the order in which Python looks into them; the first is
        the package's own, whose files a commit tells.

    Returns:
        By kind and place in its folder, as "models/_shared".
    """
    found: dict[str, str] = {}
    waiting, seen = [(kind, path, tree)], {path.resolve()}
    while waiting:
        kind, path, tree = waiting.pop()
        base = next((folder for folder in folders[kind] if path.is_relative_to(folder)), path.parent)
        package = (_PACKAGE, kind, *path.relative_to(base).parent.parts)
        for dotted in _imports(tree, package):
            for other, folder, file in _files(dotted, kind, path.parent, folders):
                if file.resolve() in seen:
                    continue
                seen.add(file.resolve())
                with suppress(InputError, SyntaxError, ValueError, MemoryError, RecursionError):  # told when imported
                    text = text_of(file, "mend it", LARGEST)
                    found[f"{other}/{file.relative_to(folder).with_suffix('').as_posix()}"] = digest_of(text)
                    waiting.append((other, file, ast.parse(text)))
    return dict(sorted(found.items()))


def _imports(tree: ast.Module, package: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The modules, and what may be one, that a file of `package` imports, by their full names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = (*above, *(node.module.split(".") if node.module else ()))
            yield module
            yield from ((*module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(f"{_PACKAGE}."):
            yield tuple(node.value.split("."))


def _files(
    dotted: tuple[str, ...], kind: str, beside: Path, folders: Mapping[str, Sequence[Path]]
) -> Iterator[tuple[str, Path, Path]]:
    """The files of plug-ins that an import of that name runs: each with its kind, and the folder that it counts from.

    kind: of who imports. beside: its folder, where a name of one word may lie, too.
    """
    if dotted[:1] == (_PACKAGE,) and len(dotted) > 2 and dotted[1] in folders:
        kind, places, names = dotted[1], folders[dotted[1]], dotted[2:]
    else:
        places, names = [folders[kind][0], beside], dotted
    for count in range(1, len(names) + 1):
        inner = Path(*names[:count])
        for k, folder in enumerate(places):
            file = next((f for f in (folder / inner / "__init__.py", folder / f"{inner}.py") if f.is_file()), None)
            if file is not None:
                if k:
                    yield kind, folder, file
                break
