"""The command's group: signals, and what goes wrong, in one line each."""

import errno
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from rethinking import catalog, streams
from rethinking.errors import InputError, not_imported

WORD, LINE = 200, 1000  # characters of one word or quotation, and of all, that a line about an error shows


class _Terminated(BaseException):
    """SIGTERM came, outside of training, which has its own way to stop."""


@contextmanager
def signals() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, SIGTERM _Terminated; signals that are ignored stay so."""

    def terminate(*_: Any) -> None:
        raise _Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else terminate)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _shown(text: str) -> str:
    """A message in one line, what is long in it, as a value that was given, cut in its middle."""

    def cut(text: str, most: int) -> str:
        left_out = len(text) - most
        return text if left_out <= 0 else f"{text[: most * 3 // 4]}…({left_out:,} more)…{text[-(most // 4) :]}"

    long = rf"\S{{{WORD},}}|'[^']{{{WORD},}}'|\"[^\"]{{{WORD},}}\""
    return cut(re.sub(long, lambda word: cut(word[0], WORD), streams.plain(text)), LINE)


def _advised(error: click.ClickException) -> str:
    """click's message, with what to do."""
    text, context = error.format_message(), getattr(error, "ctx", None)
    if context is None or "--help" in text:
        return text
    command = " ".join(["rethinking", *context.command_path.split()[1:]])
    return f"{text.rstrip('.')}: `{command} --help` says what it takes"


class Group(click.Group):
    """What goes wrong is one line on standard error, no traceback; docs/contributing.md has the exit statuses."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """As click does; a figure's name is no command, but is told which one takes it."""
        if args and args[0] not in self.commands and args[0] in catalog.names("figures"):
            raise InputError(f"{args[0]!r} is a figure, not a command: give `rethinking figure {args[0]}`")
        return super().resolve_command(ctx, args)

    def _main_shell_completion(self, *args: Any, **kwargs: Any) -> None:
        try:
            super()._main_shell_completion(*args, **kwargs)
        except (KeyError, ValueError):
            told = "COMP_WORDS and COMP_CWORD are not a shell's words and the number of one"
            raise InputError(f"{told}: let the shell set them, or unset _RETHINKING_COMPLETE") from None

    def main(self, *args: Any, **kwargs: Any) -> Any:
        standalone = kwargs.pop("standalone_mode", True)
        kwargs.setdefault("prog_name", "rethinking")  # also where it is started by `python -m`
        if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
            kwargs.setdefault("color", False)
        streams.prepare()
        try:
            with signals():
                result: Any = super().main(*args, standalone_mode=False, **kwargs)  # type: ignore[call-overload]
                streams.finish()
        except click.ClickException as error:
            text, status = _advised(error), 2
        except InputError as error:
            text, status = str(error), 2
        except (click.Abort, KeyboardInterrupt, _Terminated) as error:
            words = list(args[0] if args else kwargs.get("args") or sys.argv[1:])
            resumes = words[:1] in (["run"], ["figure"]) and "--compare" not in words
            by, status = (" by SIGTERM", 143) if isinstance(error, _Terminated) else ("", 130)
            text = f"stopped{by}" + ("; the same command goes on from here" if resumes else "")
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            room = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            advice = "make room, and try again" if room else "mend that or name another folder, and try again"
            text, status = f"{error.strerror or error}{where}: {advice}", 2
        except Exception as error:
            told = not_imported(error)
            if told is None:
                raise
            text, status = str(told), 2
        else:
            if standalone:
                sys.exit(result if isinstance(result, int) else 0)
            return result
        with suppress(OSError):
            streams.finish()
        click.echo(f"rethinking: {_shown(text)}", err=True)
        sys.exit(status)
