"""Each part of the campaign with one of the package's checks taken away, which it must count.

    python tests/campaign/broken.py [PARTS]      a table: what is broken, the part, how its tries then ended

Whoever judges must be able to fail: a part that counts nothing here would count nothing there.
"""

import json
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    os.environ["RETHINKING_PLUGINS"] = str(Path(__file__).parents[1] / "plugins")

import click
import crowd
import fuzz
import kills
import numpy as np
import torch
from parts import PARTS
from tally import LOST, SILENT, TRACEBACK, Budget, Tally

from rethinking import catalog, data, paths, record, verify
from rethinking.cli.group import Group
from rethinking.data import _files, _image_folder, _sources, cifar10
from rethinking.engines import execute
from rethinking.record import digests, lease, litter, make
from rethinking.spec import from_json
from rethinking.training import bfloat16


class Broken(NamedTuple):
    """What is broken, by (where, name, what is put there); so many tries of the part must show it, as `outcome`."""

    what: str
    changes: list[tuple[Any, str, Any]]
    tries: int
    outcome: str
    more: dict[str, Any] = {}


def _opened_in_place(prefix: str, dir: Path) -> tuple[int, str]:
    path = str(Path(dir) / prefix[1:].removesuffix(paths.MARK))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), path


class _Tempfile:
    """The module tempfile, with files that are written in place."""

    mkstemp = staticmethod(_opened_in_place)


def _unchecked(file: bytes, *_: Any) -> dict[str, str]:
    return json.loads(file[8 : 8 + int.from_bytes(file[:8], "little")])["__metadata__"]


def _forgetful(found: Any = execute._saved) -> Any:
    def saved(*given: Any) -> Any:
        held = found(*given)
        return held and (held[0], {k: torch.zeros_like(v) if v.is_floating_point() else v for k, v in held[1].items()})

    return saved


@contextmanager
def _black(file: Path, found: Any = _image_folder._opened) -> Iterator[Any]:
    from PIL import Image

    try:
        with found(file) as image:
            image.load()
            yield image
    except Exception:
        image = Image.fromarray(np.zeros((8, 8, 3), np.uint8))
        image.tile = []  # as of a file whose pixels are read
        yield image


def _nothing(*_: Any, **__: Any) -> Any:
    return iter(())


def _everywhere(runs: record.Runs, path: Path) -> str:
    """Delete a run, and what is at its places elsewhere, whosoever it is."""
    for place in litter._places(runs, path):
        shutil.rmtree(place, ignore_errors=True)
    return ""


def _as_it_is(content: bytes, *_: Any) -> bytes:
    return content


def _known(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}


def _lenient(content: bytes) -> Any:
    """A spec of JSON as Python reads it, unknown fields left out."""
    held = json.loads(content)
    fields = type(from_json(json.dumps({k: held[k] for k in ("kind", "data") if k in held}))).model_fields
    return from_json(json.dumps({key: value for key, value in held.items() if key in fields}))


def _written(name: str) -> list[kills.Action]:
    return [action for action in kills.ACTIONS if action.name == name]


IN_PLACE = [(paths, "tempfile", _Tempfile)]
BINDING = {"among": _written("binding records")}
BARE = [(Group, "main", click.Group.main)]
BROKEN = {
    "calls": Broken("files are written in place", IN_PLACE, 12, LOST, BINDING),
    "no_room": Broken("files are written in place", IN_PLACE, 6, LOST, BINDING),
    "signals": Broken("a checkpoint's weights are lost", [(execute, "_saved", _forgetful())], 4, TRACEBACK),
    "processes": Broken("every lease is believed dead", [(lease, "held", lambda folder: False)], 2, SILENT),
    "shared": Broken(
        "whose a place is, is not asked",
        [(make, "_check_places", lambda *_: None), (litter, "_delete", _everywhere)],
        20,
        LOST,
    ),
    "full_disk": Broken("errors are not told in one line", BARE, 4, TRACEBACK),
    "records": Broken(
        "no digest of a record is compared",
        [(digests, "check", _nothing), (digests, "check_listed", _nothing), (digests, "_compare", _nothing)],
        40,
        SILENT,
    ),
    "lists": Broken("records are not verified", [(verify, "records", _nothing)], 20, SILENT),
    "leases": Broken(
        "a lease's file is believed to be JSON",
        [(lease, "_small", lambda path: json.loads(path.read_bytes()))],
        8,
        TRACEBACK,
    ),
    "checkpoints": Broken("a checkpoint's digest is not compared", [(digests, "_sealed", _unchecked)], 20, SILENT),
    "caches": Broken("arrays are not compared with their digests", [(data, "_verify", _nothing)], 12, SILENT),
    "bfloat16": Broken("what was found is believed", [(bfloat16, "_known", _known)], 2, SILENT),
    "folders": Broken("a picture that cannot be read is black", [(_image_folder, "_opened", _black)], 9, SILENT),
    "drawn": Broken("figures are not verified", [(verify, "drawn", _nothing)], 2, SILENT),
    "pictures": Broken("figures are not verified", [(verify, "drawn", _nothing)], 2, SILENT),
    "specs": Broken("a key may be given twice", [(fuzz, "from_bytes", _lenient)], 160, SILENT),
    "command_lines": Broken("errors are not told in one line", BARE, 12, TRACEBACK),
    "constants": Broken("constants are of any type", [(catalog, "wrong", lambda *_: None)], 24, TRACEBACK),
    "archives": Broken(
        "archives are opened unseen", [(_files, "official", _as_it_is), (cifar10, "official", _as_it_is)], 1, SILENT
    ),
    "hosts": Broken("downloads are decoded unseen", [(_sources, "official", _as_it_is)], 12, SILENT),
    "packages": Broken("packages are opened unseen", [(_files, "official", _as_it_is)], 12, SILENT),
    "many": Broken(
        "nothing is archived",
        [(record, "archived", lambda root: frozenset()), (crowd, "measure", crowd.forked)],
        40,
        LOST,
    ),
}


def tried(name: str, folder: Path, seed: int = 1) -> Tally:
    """A part with its breakage."""
    broken = BROKEN[name]
    with ExitStack() as stack:
        for where, what, instead in broken.changes:
            stack.enter_context(patch.object(where, what, instead))
        return PARTS[name][0](folder, Budget(broken.tries), random.Random(seed), **broken.more)


def main() -> None:
    """Print the table; exits with 1 where a part does not notice."""
    torch.set_num_threads(1)
    missed = 0
    for name in sys.argv[1:] or BROKEN:
        with tempfile.TemporaryDirectory() as folder:
            tally = tried(name, Path(folder))
        noticed = tally.ended[BROKEN[name].outcome]
        missed += not noticed
        ended = ", ".join(f"{count} {outcome}" for outcome, count in tally.ended.items())
        print(f"{'noticed' if noticed else 'MISSED'}: {name}, {BROKEN[name].what}: {ended}", flush=True)
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
