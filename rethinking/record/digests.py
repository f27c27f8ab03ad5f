"""Digests: what binds a record's files to each other, and a checkpoint to its run.

result.json, which is written last, holds

    digests    SHA-256 of the bytes of every other file of the record, by name
    digest     SHA-256 of the rest of result.json: of its JSON object without this key, written in ASCII with sorted
               keys, "," and ":" without spaces, and nothing after it

Records made before have neither. They are bound by the committed file runs/DIGESTS, a line a file: the SHA-256 of its
bytes, two spaces, its path from runs/. So `cd runs && sha256sum --check DIGESTS` checks it too. A line of its own binds
runs/ARCHIVE, see `rethinking.record.archive`.

The metadata of a checkpoint, and of the weights that a run ends with, hold

    run        the run's name
    sha256     SHA-256 of the file with the 64 digits of this value written as zeros

so that weights are bound, too, where their record was made before it held digests, and they were made again.
"""

import hashlib
import json
import os
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from rethinking.errors import InputError
from rethinking.files import DAMAGED, Refused, content_of, json_of, reason, state_of

LIST = "DIGESTS"
ARCHIVE = "ARCHIVE"
FILES = ("spec.json", "curve.csv", "online.csv", "environment.json", "arrays.npz")  # all but result.json
WEIGHTS = "weights.safetensors"  # ignored by git, and may be deleted: checked where it is, by `rethinking verify`
RESULT = frozenset({"status", "steps", "evaluations", "diverged_at", "final"})
OWN = frozenset({"digests", "digest"})
SINCE = "capability"  # what no environment.json had before records held digests, and every one has since
MEASURED = "weights"  # of a probe's environment.json: the SHA-256 of the file of weights that it measured
LARGEST = 4_000_000_000  # bytes of weights, of a checkpoint and of any other file of a record
MOST = 100_000_000  # bytes of runs/DIGESTS, which has some 600 a record
_ZEROS = "0" * 64
BEGIN_ANEW = "give --anew, and it is deleted and the run begins anew"


def sha256(path: Path | str) -> str:
    """Of a file's bytes, in hexadecimal. Raises as `bytes_of`."""
    return hashlib.sha256(bytes_of(path, "move it away")).hexdigest()


def of_result(result: dict[str, Any]) -> str:
    """Of a result.json's content, as its `digest`."""
    rest = {k: v for k, v in result.items() if k != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def sealed(result: dict[str, Any], folder: Path, weights: Path | None = None) -> dict[str, Any]:
    """The result of the record whose other files are in `folder`, with its digests. weights: the file, if elsewhere."""
    files = [*(folder / name for name in FILES), weights or folder / WEIGHTS]
    result = result | {"digests": {p.name: sha256(p) for p in files if p.is_file()}}
    return result | {"digest": of_result(result)}


def check(folder: Path, result: dict[str, Any], weights: bool = False, of: tuple[str, ...] = FILES) -> None:
    """Raise InputError unless a record's files are those that it was completed with.

    Args:
        folder: of the record. result: its result.json. weights: whether the weights, where they are, are checked too.
        of: the files that are looked at, besides result.json.
    """
    if weights and (folder / WEIGHTS).is_file():
        check_weights(folder / WEIGHTS, result)
    if not OWN & result.keys():
        check_listed(folder, of)
        return
    file = folder / "result.json"
    if result.keys() != RESULT | OWN or of_result(result) != result["digest"]:
        raise InputError(f"{file} does not agree with its own SHA-256: {DAMAGED}")
    held = result["digests"]
    if not isinstance(held, dict):
        raise InputError(f"{file} has digests that are no JSON object: {DAMAGED}")
    _compare(folder, of, held, "result.json")


def check_weights(path: Path, result: dict[str, Any]) -> None:
    """Raise InputError unless weights are those that their record was completed with, or hold a digest and its name.

    Args:
        path: in a folder with the run's name. result: the record's result.json.
    """
    digests = result.get("digests", {})
    held = digests.get(WEIGHTS) if isinstance(digests, dict) else None
    if held is not None and sha256(path) != held:
        raise InputError(f"{path} is another file than its record was completed with, by its SHA-256: move it away")
    if held is None:
        run, advice = path.parent.name, "delete it, and the run is trained again"
        metadata = _sealed(bytes_of(path, advice), path, advice)
        if metadata.keys() != {"run", "sha256"}:
            raise InputError(f"{path} is bound to its record by no digest: {advice}")
        if metadata["run"] != run:
            raise InputError(f"{path} is of {metadata['run']}, not of {run}: move it there, or {advice}")


def check_bound(folder: Path, result: dict[str, Any], environment: dict[str, Any]) -> None:
    """Raise InputError where a record has no digests, and was made by a version that writes them."""
    if SINCE in environment and not OWN & result.keys():
        raise InputError(f"{folder / 'result.json'} has lost its digests, which such a record has: {DAMAGED}")


def check_not_lost(folder: Path) -> None:
    """Raise InputError where a record has lines in runs/DIGESTS and its curve, but no result.json any more."""
    held = listed(folder.parent).get(folder.name, {})
    file = folder / "result.json"
    if file.name in held and not file.exists():
        with suppress(FileNotFoundError, NotADirectoryError):
            if sha256(folder / "curve.csv") == held.get("curve.csv"):
                raise InputError(f"{file} is missing, by the SHA-256 in {LIST}: bring it back, or move the folder away")


def check_measured(folder: Path, run: str, environment: dict[str, Any], weights: bool = False) -> None:
    """Raise InputError where a probe's record is of other weights than the record of its run, beside it, has.

    Args:
        folder: of the probe's record, made with `environment`; one made before that told its weights is left alone.
        run: the name of the training run. weights: whether the file is read where the run's record tells none.
    """
    held, beside = environment.get(MEASURED), folder.parent / run
    if held is None or not (beside / "result.json").is_file():
        return
    known = json_of(beside / "result.json").get("digests", {})
    now = known.get(WEIGHTS) if isinstance(known, dict) else None
    if now is None and weights and (beside / WEIGHTS).is_file():
        now = sha256(beside / WEIGHTS)
    if now not in (None, held):
        advice = "delete it, and give `rethinking probe` again"
        raise InputError(f"{folder} was measured on other weights than {beside} has, by their SHA-256: {advice}")


def check_listed(folder: Path, of: tuple[str, ...] = FILES) -> None:
    """Raise InputError where a record has lines in runs/DIGESTS, and its result or one of its files is another."""
    held = listed(folder.parent).get(folder.name)
    if held is not None:
        _compare(folder, (*of, "result.json"), held, LIST)


def _compare(folder: Path, names: tuple[str, ...], held: dict[str, str], by: str) -> None:
    for name in names:
        path = f"{folder}{os.sep}{name}"
        try:
            now = sha256(path)
        except (FileNotFoundError, NotADirectoryError):
            now = None
        if now != held.get(name):
            what = "is missing" if now is None else "does not belong to it" if name not in held else "was changed"
            raise InputError(f"{path} {what}, by the SHA-256 in {by}: {DAMAGED}")


def listed(root: Path) -> dict[str, dict[str, str]]:
    """What runs/DIGESTS holds: run -> file -> SHA-256; none where it is not there. Raises InputError for a bad line.

    That of runs/ARCHIVE stands as of a run and a file of its name.
    """
    path = root / LIST
    try:
        state = state_of(path, MOST)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except Refused:  # which reading it tells
        state = ()
    return _parsed(path, *state)


@lru_cache(maxsize=4)
def _parsed(path: Path, *_: int | str) -> dict[str, dict[str, str]]:
    """The lines of the list; the rest is its state, so that another one is read again."""
    found: dict[str, dict[str, str]] = {}
    try:
        lines = content_of(path, MOST).decode("ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        told = "not ASCII text" if isinstance(error, UnicodeDecodeError) else reason(error)
        raise InputError(f"{path} cannot be read ({told}): take it from the repository's history") from None
    for number, line in enumerate(lines, 1):
        digest, gap, place = line.partition("  ")
        run, slash, name = place.partition("/")
        files = found.setdefault(run, {})
        if place == ARCHIVE:
            name, known = ARCHIVE, not files
        else:
            known = bool(slash and run) and name in (*FILES, "result.json") and name not in files
        if not (gap and known and len(digest) == 64 and set(digest) <= set("0123456789abcdef")):
            raise InputError(f"{path}, line {number} is no digest of a file, or its second: mend the line")
        files[name] = digest
    return found


def unlisted(root: Path, runs: list[str]) -> list[str]:
    """The lines that runs/DIGESTS lacks: of the files of complete records that hold no digests and have no line.

    Args:
        runs: names of records that have been read, and so agree with the lines there are.
    """
    known, lines = listed(root), []
    for run in runs:
        folder = root / run
        if run not in known and not OWN & json_of(folder / "result.json").keys():
            there = [folder / name for name in (*FILES, "result.json") if (folder / name).is_file()]
            lines += [f"{sha256(path)}  {run}/{path.name}" for path in there]
    return lines


def archive_line(root: Path) -> str | None:
    """The line that binds runs/ARCHIVE as it is; None where there is no such list, or the line is there."""
    path = root / ARCHIVE
    now = sha256(path) if path.exists() else None
    return None if now == listed(root).get(ARCHIVE, {}).get(ARCHIVE) or now is None else f"{now}  {ARCHIVE}"


# --- checkpoints ----------------------------------------------------------------------------------


def bytes_of(path: Path | str, advice: str) -> bytes:
    """What a file of a record holds.

    Raises:
        InputError: it cannot be read. FileNotFoundError, NotADirectoryError: it is not there.
    """
    try:
        return content_of(path, LARGEST)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise InputError(f"{path} cannot be read ({reason(error)}): {advice}") from None


def seal(run: str) -> dict[str, str]:
    """The metadata of a checkpoint or of weights of `run` before it is stamped."""
    return {"run": run, "sha256": _ZEROS}


def stamped(file: bytes) -> bytes:
    """A safetensors file with the metadata of `seal`, with its SHA-256 in them: the same bytes for the same content.

    Safetensors writes metadata in another order from one process to the next; here they are sorted.
    """
    size = int.from_bytes(file[:8], "little")
    header = json.loads(file[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8
    file = len(text).to_bytes(8, "little") + text + file[8 + size :]
    at = _place(file)
    digest = hashlib.sha256(file).hexdigest().encode()
    return file[:at] + digest + file[at + 64 :]


def _place(file: bytes) -> int:
    """Where the 64 digits begin: at the first hit, as quotes within other strings of the header are escaped."""
    mark = b'"sha256":"'
    end = 8 + int.from_bytes(file[:8], "little")
    return file.index(mark, 8, end) + len(mark)


def _sealed(file: bytes, path: Path, advice: str) -> dict[str, str]:
    """The metadata of a safetensors file. Raises InputError where it has a seal's and is not the file that was sealed.

    One of an earlier version holds no digest: who calls decides.
    """
    try:
        size = int.from_bytes(file[:8], "little")
        metadata = json.loads(file[8 : 8 + size]).get("__metadata__", {})
        if "sha256" not in metadata:
            return metadata
        at = _place(file)
        digest = hashlib.sha256(file[:at] + _ZEROS.encode() + file[at + 64 :]).hexdigest()
        if digest != metadata["sha256"] or digest.encode() != file[at : at + 64]:
            raise ValueError("another SHA-256")
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, MemoryError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({reason(error)}): {advice}") from None
    return metadata


def check_checkpoint(checkpoint: bytes, run: str, path: Path) -> dict[str, str]:
    """The metadata of a checkpoint of `run`.

    Raises InputError where it is damaged or another run's, or tells neither, as one of an earlier version.
    """
    metadata = _sealed(checkpoint, path, BEGIN_ANEW)
    if metadata.keys() == {"notes"}:
        raise InputError(f"{path} is of an earlier version of this package, and holds no digest: {BEGIN_ANEW}")
    if metadata.keys() != {"notes", "run", "sha256"}:
        raise InputError(f"{path} is damaged (other metadata): {BEGIN_ANEW}")
    if metadata["run"] != run:
        raise InputError(f"{path} is a checkpoint of {metadata['run']}, not of {run}: move it there, or {BEGIN_ANEW}")
    return metadata
