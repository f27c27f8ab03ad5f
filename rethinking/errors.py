"""The one error that users cause and can mend."""

import traceback
from typing import Any

RUN = "<module>"  # what Python calls the code of a module, which runs when it is imported


class InputError(ValueError):
    """Bad input: one clear line that says what was given, what is allowed, and what to do.

    The command line prints it without a traceback and exits with status 2. What was given may have several lines.
    """

    def __init__(self, line: str):
        super().__init__(" ".join(line.splitlines()))


def shown(value: Any, most: int = 80) -> str:
    """A value as a line about an error shows it: in one line, not long, whatever its own way to show itself does."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # of somebody's class
        text = f"an object of type {type(value).__name__}"
    return text if len(text) <= most else f"{text[:most]}…"


def not_imported(error: Exception) -> InputError | None:
    """What there is to say of an error that arose while a library was being imported; None where it did not.

    So end variables and files of settings that a library reads, and cannot, when it is imported. One that is not there
    is told by Python's own error.
    """
    modules = (
        f.f_globals.get("__name__") for f, _ in traceback.walk_tb(error.__traceback__) if f.f_code.co_name == RUN
    )
    others = [
        name for name in (str(each).partition(".")[0] for each in modules) if name not in ("rethinking", "__main__")
    ]
    if not others or isinstance(error, ImportError | InputError):
        return None
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    mend = "mend the environment variables and the files of settings that it reads"
    return InputError(f"{others[0]} cannot be imported ({reason}): {mend}")
