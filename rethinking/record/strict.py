"""Reading the files of a record: what Python would read with another meaning, or not whole, is refused in one line."""

import json
import math
import re
from pathlib import Path
from typing import Any

from rethinking.errors import InputError

LARGEST = 1_000_000  # bytes of a JSON file of a record; those of this package have a thousand
DEPTH = 20  # of lists and objects within each other in it


def text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise InputError(f"{path} cannot be read ({reason}): the record is damaged; move it away") from None


def json_of(path: Path, advice: str = "the record is damaged; move it away") -> dict[str, Any]:
    """The JSON object that a file of a record holds.

    Its numbers are finite and fit into 64 bits, its text can be written as UTF-8, and no key is given twice. All that
    Python would read with another meaning is refused.

    Args:
        advice: the end of the line where it is damaged.

    Raises:
        InputError: it cannot be read, or is none.
    """
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path} cannot be read (not a file): {advice}")
        with path.open("rb") as stream:
            content = stream.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise InputError(f"{path} cannot be read (larger than {LARGEST:,} bytes): {advice}")
        text = content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text in UTF-8"
        raise InputError(f"{path} cannot be read ({reason}): {advice}") from None
    try:
        if text.startswith("\ufeff"):
            raise ValueError("it begins with a byte-order mark")
        value = json.loads(
            text, object_pairs_hook=_once, parse_float=_float, parse_int=whole_number, parse_constant=_float
        )
        _check_text(value)
    except RecursionError:
        raise InputError(f"{path} is not valid JSON (nested too deeply): {advice}") from None
    except ValueError as error:
        half = "half of a surrogate pair" if isinstance(error, UnicodeEncodeError) else None
        reason = half or getattr(error, "msg", str(error))
        raise InputError(f"{path} is not valid JSON ({reason}): {advice}") from None
    if not isinstance(value, dict):
        raise InputError(f"{path} is not a JSON object: {advice}")
    return value


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
