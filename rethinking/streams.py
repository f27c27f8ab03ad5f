"""Standard streams that may be closed, or whose reader, head or less, may go: what is running goes on."""

import codecs
import errno
import io
import os
import sys
from typing import TextIO


class _Raw(io.FileIO):
    """A descriptor that takes everything once its reader has gone. forgiving: also after any other error."""

    def __init__(self, descriptor: int, forgiving: bool):
        super().__init__(descriptor, "w", closefd=False)
        self.forgiving = forgiving

    def write(self, data) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if not self.forgiving and error.errno not in (errno.EPIPE, errno.ESHUTDOWN):
                raise
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, self.fileno())
        os.close(sink)
        return len(memoryview(data).cast("B"))


def _written(error: UnicodeError) -> tuple[str | bytes, int]:
    """The bytes of a file's name that are no text are written as they are, what else cannot be as its number."""
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("backslashreplace")(error)


codecs.register_error("rethinking", _written)
_ERRORS = dict.fromkeys(("strict", "surrogateescape"), "rethinking")  # what takes their place: no name ends a command


def prepare(forgiving: bool = False) -> None:
    """Open what of the three standard descriptors is closed, and let no write fail for a reader that has gone.

    Nothing that standard error cannot take, for whatever reason, ends a command; standard output still tells that a
    disk is full, unless it is forgiving, too. A stream that somebody has put in the place of these is left alone.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # the null device gets the lowest number that is free; else the next file would
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdin is None:  # it was closed when Python started: now it is at its end
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 (a standard stream stays open)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        now: TextIO | None = getattr(sys, name)
        if now is not None and (now is not getattr(sys, f"__{name}__") or now.fileno() != descriptor):
            continue
        if os.name == "nt" and os.isatty(descriptor):  # a console has a stream of its own kind
            continue
        if now is not None:
            now.flush()
        stream = io.TextIOWrapper(
            io.BufferedWriter(_Raw(descriptor, forgiving or name == "stderr")),
            encoding=now.encoding if now else "utf-8",
            errors="backslashreplace" if name == "stderr" or now is None else _ERRORS.get(str(now.errors), now.errors),
            line_buffering=name == "stderr" or os.isatty(descriptor),
        )
        setattr(sys, name, stream)


def finish() -> None:
    """Write what standard output still holds. Raises OSError where that cannot be, and then drops it."""
    try:
        sys.stdout.flush()
    except OSError:
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, sys.stdout.fileno())
        os.close(sink)
        raise


def plain(text: object) -> str:
    """Text in one line without control characters: those that would move a cursor or turn the writing are escaped."""
    words = " ".join(str(text).split())
    return "".join(mark if mark.isprintable() else mark.encode("unicode_escape").decode() for mark in words)
