"""The committed records and drawn figures that an installed package brings along, in one archive.

setup.py packs runs/ and figures/ into it when it builds the package. A clone has none: it reads its own folders. Where
there is no folder `runs` and no other is named, reading commands and functions read what is in the archive, which is
unpacked once into the user's cache.
"""

import os
import shutil
import tarfile
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from rethinking.errors import InputError
from rethinking.files import text_of
from rethinking.paths import data_dir, path_of
from rethinking.record.digests import sha256

ARCHIVE = Path(__file__).with_name("evidence.tar.xz")
LIST = "CONTENT"  # the names of the files that were unpacked, a line each
OWN = (Path("runs"), Path("figures"))  # what it holds
WHERE = "the committed ones come with a clone, and with a wheel that was built from one"


@cache
def unpacked() -> Path | None:
    """The folder that holds `runs` and `figures` as they were committed; None where the package has no archive.

    A folder of which a file is gone, as from a cache that was swept, is unpacked again.

    Raises:
        InputError: it cannot be unpacked.
    """
    if not ARCHIVE.is_file():
        return None
    try:
        place = data_dir() / ".evidence" / sha256(ARCHIVE)[:16]
        with suppress(InputError):
            names = text_of(place / LIST).splitlines()
            if all((place / name).is_file() for name in names):
                return place
        _unpack(place)
    except (OSError, tarfile.TarError, InputError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"the package's records cannot be unpacked ({reason}): unpack {ARCHIVE} yourself, and name its folder runs "
            "with --runs, in Python runs="
        ) from None
    return place


def _unpack(place: Path) -> None:
    """Unpack the archive so that `place` appears whole or not at all; another process may do the same."""
    place.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f"{place.name}-", dir=place.parent))
    try:
        with tarfile.open(ARCHIVE) as packed:
            packed.extractall(scratch, filter="data")
            names = packed.getnames()
        (scratch / LIST).write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
        scratch.chmod(0o755)
        shutil.rmtree(place, ignore_errors=True)
        try:
            os.rename(scratch, place)
        except OSError:
            if not (place / LIST).is_file():  # else another process was first
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def advice(root: Path) -> str:
    """What a line about a record that `root` lacks can add: where the committed ones are."""
    try:
        place = unpacked()
    except InputError:
        return f"; the package's own are packed in {ARCHIVE}"
    if place is not None and place / "runs" != root:
        return f"; the package's own are in {place / 'runs'}"
    return "" if root.is_dir() else f"; {WHERE}"


def committed(*folders: str | Path) -> list[Path]:
    """Folders to read from: as given; where the first is not there, `runs` and `figures` are the package's own.

    Raises InputError where the package's cannot be unpacked.
    """
    paths = [path_of(folder, "the folder of runs") for folder in folders]
    if paths[0] not in OWN or paths[0].exists():
        return paths
    place = unpacked()
    return [place / path if place is not None and path in OWN else path for path in paths]
