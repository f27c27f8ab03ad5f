"""A finished record as bytes: packed on the machine that made it, checked and put in place on the one that keeps it.

A parcel is the files of a record's folder by name: those of `digests.FILES` that there are, weights and result.json.
"""

import hashlib
import os
from pathlib import Path
from typing import Any

from rethinking.errors import InputError
from rethinking.files import json_in
from rethinking.paths import write
from rethinking.record import digests
from rethinking.record.write import Writer
from rethinking.spec import Spec, from_bytes

Parcel = dict[str, bytes]
RESULT = "result.json"
AGAIN = "give the command again, and the run is made again"


def pack(folder: Path, weights: Path | None = None) -> Parcel:
    """The files of the complete record in a folder. weights: their file, where it lies elsewhere.

    Raises OSError, or InputError, where one cannot be read.
    """
    files = {name: folder / name for name in (*digests.FILES, digests.WEIGHTS, RESULT)}
    files[digests.WEIGHTS] = weights or files[digests.WEIGHTS]
    return {name: digests.bytes_of(path, "move it away") for name, path in files.items() if os.path.lexists(path)}


def spread(parcel: Parcel, folder: Path) -> None:
    """Write the files of a parcel into a folder, which is made: a record as it was, the result last."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in sorted(parcel, key=lambda name: name == RESULT):
        (folder / name).write_bytes(parcel[name])


def check(parcel: Parcel, spec: Spec) -> dict[str, Any]:
    """The result of a parcel. Raises InputError where it is not the whole record of `spec`, by its own digests."""
    name = spec.run_id
    try:
        result = json_in(parcel[RESULT].decode())
        held = {file: hashlib.sha256(content).hexdigest() for file, content in parcel.items() if file != RESULT}
        if result["digests"] != held or digests.of_result(result) != result["digest"]:
            raise InputError(f"the record of {name} does not agree with its own SHA-256: {AGAIN}")
        if from_bytes(parcel["spec.json"]) != spec:
            raise InputError(f"a record came for {name} that is of another spec: {AGAIN}")
    except InputError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError):
        raise InputError(f"the record of {name} is not whole: {AGAIN}") from None
    return result


def place(writer: Writer, parcel: Parcel) -> None:
    """Complete the record of a writer with what another machine has made. The result is renamed into its place last.

    Raises:
        InputError: it is not the whole record of the writer's spec. OSError: the disk is full, or not writable.
    """
    check(parcel, writer.spec)
    for name in digests.FILES:
        path = writer.path / name
        if name not in parcel:
            path.unlink(missing_ok=True)
        elif not path.is_file() or path.read_bytes() != parcel[name]:  # the spec is there since the lease is held
            write(path, parcel[name])
    if digests.WEIGHTS in parcel:
        writer.keep(parcel[digests.WEIGHTS])
    writer.complete(parcel[RESULT])
