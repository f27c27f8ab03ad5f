"""A finished record as bytes: packed on the machine that made it, checked and put in place on the one that keeps it.

A parcel is the files of a record's folder by name: those of `digests.FILES` that there are, weights and result.json.
"""

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rethinking import files
from rethinking.errors import InputError
from rethinking.files import DAMAGED, json_in
from rethinking.paths import write
from rethinking.record import digests
from rethinking.record.read import ARRAYS, Record, check_current, read
from rethinking.record.write import Writer
from rethinking.spec import Spec, from_bytes

Parcel = dict[str, bytes]
RESULT = "result.json"
AGAIN = "give the command again, and the run is made again"
UNPACKED = "rethinking-parcel-"  # what the names of folders begin with in which a parcel is read before it is kept
LARGEST = {
    **dict.fromkeys(("spec.json", "environment.json", RESULT), files.LARGEST),
    **dict.fromkeys(("curve.csv", "online.csv"), files.TEXT),
    "arrays.npz": ARRAYS,
    digests.WEIGHTS: digests.LARGEST,
}  # bytes of each file that a parcel may have


def pack(folder: Path, weights: Path | None = None) -> Parcel:
    """The files of the complete record in a folder. weights: their file, where it lies elsewhere.

    Raises OSError, or InputError, where one cannot be read.
    """
    paths = {name: folder / name for name in (*digests.FILES, digests.WEIGHTS, RESULT)}
    paths[digests.WEIGHTS] = weights or paths[digests.WEIGHTS]
    return {name: digests.bytes_of(path, "move it away") for name, path in paths.items() if os.path.lexists(path)}


def spread(parcel: Parcel, folder: Path) -> None:
    """Write the files of a parcel into a folder, which is made: a record as it was, the result last."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in sorted(parcel, key=lambda name: name == RESULT):
        (folder / name).write_bytes(parcel[name])


def check(parcel: Parcel, spec: Spec, place: Path) -> None:
    """Raise InputError unless a parcel is the whole record of `spec`, and would be read as such where it is to be.

    place: the folder that the record is for. Raises OSError where there is no room to unpack it in.
    """
    try:
        _check_files(parcel)
        result = json_in(parcel[RESULT].decode())
        held = {file: hashlib.sha256(content).hexdigest() for file, content in parcel.items() if file != RESULT}
        if result["digests"] != held:
            raise InputError("it does not agree with its own SHA-256")
        if from_bytes(parcel["spec.json"]) != spec:
            raise InputError("it is of another spec")
        with TemporaryDirectory(prefix=UNPACKED) as scratch:
            folder = Path(scratch) / spec.run_id
            spread(parcel, folder)
            try:
                record = read(folder)
                _ = record.online, record.arrays if spec.kept else None
                if digests.WEIGHTS in parcel:
                    digests.check_weights(folder / digests.WEIGHTS, {})  # by their own seal
            except InputError as error:
                raise InputError(str(error).replace(f"{folder}{os.sep}", "").removesuffix(f": {DAMAGED}")) from None
        check_current(replace(record, path=place))
    except InputError as error:
        raise InputError(f"the record of {spec.run_id} that a node sent is refused ({error}): {AGAIN}") from None
    except (KeyError, TypeError, AttributeError, ValueError):
        raise InputError(f"the record of {spec.run_id} that a node sent is not whole: {AGAIN}") from None


def weights_in(parcel: Parcel, record: Record) -> bytes:
    """The weights of a recorded run, all that a parcel holds. Raises InputError where they are others, or more."""
    name = record.spec.run_id
    try:
        _check_files(parcel)
        if parcel.keys() != {digests.WEIGHTS}:
            raise InputError("they are not one file")
        with TemporaryDirectory(prefix=UNPACKED) as scratch:
            spread(parcel, Path(scratch) / name)
            try:
                digests.check_weights(Path(scratch) / name / digests.WEIGHTS, record.result)
            except InputError as error:
                raise InputError(str(error).replace(f"{scratch}{os.sep}", "")) from None
    except InputError as error:
        raise InputError(f"the weights of {name} that a node sent are refused ({error}): {AGAIN}") from None
    return parcel[digests.WEIGHTS]


def _check_files(parcel: Parcel) -> None:
    """Raise InputError unless a parcel is files of a record, none larger than its kind can be."""
    if not isinstance(parcel, dict) or not all(isinstance(content, bytes) for content in parcel.values()):
        raise InputError("it is no files")
    for name, content in parcel.items():
        if name not in LARGEST:
            raise InputError(f"it has {str(name)[:40]!r}, which is no file of a record")
        if len(content) > LARGEST[name]:
            raise InputError(f"its {name} is larger than {LARGEST[name]:,} bytes")


def place(writer: Writer, parcel: Parcel) -> None:
    """Complete the record of a writer with what another machine has made. The result is renamed into its place last.

    Raises:
        InputError: it is not a sound record of the writer's spec. OSError: the disk is full, or not writable.
    """
    check(parcel, writer.spec, writer.path)
    for name in digests.FILES:
        path = writer.path / name
        if name not in parcel:
            path.unlink(missing_ok=True)
        elif not path.is_file() or path.read_bytes() != parcel[name]:  # the spec is there since the lease is held
            write(path, parcel[name])
    if digests.WEIGHTS in parcel:
        writer.keep(parcel[digests.WEIGHTS])
    writer.complete(parcel[RESULT])
