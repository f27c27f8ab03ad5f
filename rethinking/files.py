"""Reading files: whatever lies at a path may be damaged, huge, nested, of another type, a FIFO or a device.

`opened` is the one door: a regular file, no larger than its kind can be, or an OSError that says why not. What Python
would read with another meaning, or not whole, is refused in one line by `text_of` and `json_of`.
"""

import errno
import hashlib
import json
import math
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Any

from rethinking.errors import InputError

LARGEST = 1_000_000  # bytes of a JSON file of a record; those of this package have a thousand
TEXT = 100_000_000  # bytes of a curve, a list or a page
DEPTH = 20  # of lists and objects within each other in JSON
GRAIN = 2_000_000_000  # nanoseconds within which a file may change twice and bear one time, on any file system
DAMAGED = "the record is damaged; move it away"


class Refused(OSError):
    """What is no regular file, or is larger than its kind can be; `strerror` says which."""

    def __init__(self, reason: str, path: Path | str):
        super().__init__(errno.EINVAL, reason, str(path))


def _raw(path: Path | str, most: int) -> FileIO:
    try:
        stream = FileIO(path, opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
    except IsADirectoryError:
        raise Refused("not a regular file", path) from None
    try:
        found = os.fstat(stream.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise Refused("not a regular file", path)
        if found.st_size > most:
            raise Refused(f"larger than {most:,} bytes", path)
        if not found.st_size and stream.read(4096):  # what the kernel makes up, and which may have no end
            raise Refused("longer than its size says", path)
    except OSError:
        stream.close()
        raise
    return stream


@contextmanager
def opened(path: Path, most: int) -> "Iterator[BufferedReader[FileIO]]":
    """A regular file of at most so many bytes, to be read; a FIFO or a device is not waited for.

    Raises:
        Refused: it is none, or is larger. OSError: it cannot be opened.
    """
    with BufferedReader(_raw(path, most)) as stream:
        yield stream


def content_of(path: Path | str, most: int) -> bytes:
    """What a regular file of at most so many bytes holds. Raises OSError as `opened` does."""
    try:
        with _raw(path, most) as stream:
            content = stream.readall()
    except MemoryError:
        raise Refused("larger than the memory that is free", path) from None
    if len(content) > most:  # it grows meanwhile
        raise Refused(f"larger than {most:,} bytes", path)
    return content


def state_of(path: Path, most: int) -> tuple[int | str, ...]:
    """What is another whenever a file has been changed, even to the same size and with its time put back.

    It is made of the file's times, size and number; of its content, too, where it was changed so lately that another
    change could bear the same time. Raises OSError as `opened` does.
    """
    found = path.stat()
    state = (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)
    if time.time_ns() - max(state[:2]) > GRAIN:
        return state
    return (*state, hashlib.sha256(content_of(path, most)).hexdigest())


def text_of(path: Path, advice: str = DAMAGED, most: int = TEXT) -> str:
    """The text of a file in UTF-8. Raises InputError, whose line ends in `advice`, where it cannot be read."""
    try:
        return content_of(path, most).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({reason(error)}): {advice}") from None


def json_of(path: Path, advice: str = DAMAGED, most: int = LARGEST) -> dict[str, Any]:
    """The JSON object that a file holds, as `json_in` reads it.

    Args:
        advice: the end of the line where it is damaged. most: bytes that it may have.

    Raises:
        InputError: it cannot be read, or is none.
    """
    text = text_of(path, advice, most)
    try:
        value = json_in(text)
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON ({reason(error)}): {advice}") from None
    if not isinstance(value, dict):
        raise InputError(f"{path} is not a JSON object: {advice}")
    return value


def json_in(text: str) -> Any:
    """The value of a JSON text that means one thing alone.

    Its numbers are finite and fit into 64 bits, its text can be written as UTF-8, and no key is given twice. All that
    Python would read with another meaning raises ValueError.
    """
    if text.startswith("\ufeff"):
        raise ValueError("it begins with a byte-order mark")
    try:
        value = json.loads(
            text, object_pairs_hook=_once, parse_float=_float, parse_int=whole_number, parse_constant=_float
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None
    _check_text(value)
    return value


def reason(error: Exception) -> str:
    """Why something could not be read, in some words of one line."""
    if isinstance(error, UnicodeDecodeError):
        return "not text in UTF-8"
    if isinstance(error, UnicodeEncodeError):
        return "half of a surrogate pair"
    told = error.msg if isinstance(error, json.JSONDecodeError) else getattr(error, "strerror", None) or error
    return " ".join(str(told).split())[:200] or type(error).__name__


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is given twice")
    return found


def _float(word: str) -> float:
    value = float(word)
    if not math.isfinite(value) or (value == 0 and re.match("-?[0.]*[1-9]", word)):
        raise ValueError(f"{word[:20]} is no number that a float can hold")
    return value


def whole_number(word: str) -> int:
    """Of 64 bits. Raises ValueError."""
    if len(word) > 20 or not -(2**63) <= int(word) < 2**63:
        raise ValueError("a whole number of more than 64 bits")
    return int(word)


def _check_text(value: Any, depth: int = 0) -> None:
    """Raise ValueError for text that is not Unicode, a half of a surrogate pair, and for nesting deeper than DEPTH."""
    if depth > DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(value, str):
        value.encode()  # UnicodeEncodeError is a ValueError
    elif isinstance(value, dict | list):
        for part in [*value, *value.values()] if isinstance(value, dict) else value:
            _check_text(part, depth + 1)
