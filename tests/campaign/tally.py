"""What is counted: how each try ended; and trying something in a process of its own that may be killed."""

import os
import select
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from rethinking.errors import InputError

DETECTED = "detected"  # one line that says so
HARMLESS = "harmless"  # what is read back means the same, or the same command goes on to the same end
SILENT = "silent"  # taken for sound, and of another meaning
TRACEBACK = "tracebacks"  # an error that is no InputError, or more than one line
LOST = "lost"  # a complete record is gone or another
HANG = "hangs"
OUTCOMES = (DETECTED, HARMLESS, SILENT, TRACEBACK, LOST, HANG)
PATIENCE = 120.0  # seconds that one try may take


@dataclass
class Tally:
    """The tries of one part.

    Attributes:
        ended: how many ended how. reasons: why harmless ones are. bad: what was tried where it ended badly.
    """

    part: str
    ended: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)

    def add(self, outcome: str, tried: str, reason: str = "") -> None:
        """One try. reason: of what is harmless why, of what ended badly what was seen."""
        self.ended[outcome] += 1
        if outcome == HARMLESS:
            self.reasons[reason] += 1
        elif outcome != DETECTED:
            self.bad.append(f"{outcome}: {self.part}, {tried}: {reason}")

    def judge(self, tried: str, use: Callable[[], Any], right: Any, reason: str = "it means the same") -> None:
        """Use something damaged in this process. right: what `use` gives of the sound one."""
        try:
            with limited():
                now = use()
        except InputError as error:
            many = "\n" in str(error)
            self.add(TRACEBACK if many else DETECTED, tried, f"{str(error)!r} has several lines" if many else "")
        except TimeoutError:
            self.add(HANG, tried)
        except Exception:
            self.add(TRACEBACK, tried, traceback.format_exc(limit=-3))
        else:
            self.add(HARMLESS if now == right else SILENT, tried, reason if now == right else f"it is {str(now)[:300]}")


class limited:
    """Raises TimeoutError in the main thread after PATIENCE seconds."""

    def __enter__(self) -> None:
        def late(*_: Any) -> None:
            raise TimeoutError

        self.before = signal.signal(signal.SIGALRM, late)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self.before)


def apart(action: Callable[[], Any]) -> tuple[int | None, str]:
    """Call something in a forked process, as a command would be.

    Returns:
        The exit status, minus the signal that ended it, None where it took longer than PATIENCE and was killed; and
        what it wrote to standard error.
    """
    sys.stdout.flush()
    with tempfile.TemporaryFile("w+") as errors, open(os.devnull, "w") as nothing:
        pid = os.fork()
        if not pid:
            os.setpgid(0, 0)
            os.dup2(nothing.fileno(), 1)
            os.dup2(errors.fileno(), 2)
            sys.stdout, sys.stderr = (os.fdopen(os.dup(k), "w", buffering=1) for k in (1, 2))
            status = 1
            try:
                action()
                status = 0
            except SystemExit as end:
                status = end.code if isinstance(end.code, int) else 1
            except InputError as error:
                print(f"rethinking: {error}", file=sys.stderr)
                status = 2
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        status = _waited(pid)
        errors.seek(0)
        return status, errors.read()


def _waited(pid: int) -> int | None:
    handle = os.pidfd_open(pid)
    try:
        over = not select.select([handle], [], [], PATIENCE)[0]
    finally:
        os.close(handle)
    if over:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return None if over else status


def table(tallies: list[Tally]) -> str:
    """All parts, a line each, with why what is harmless is so, and then what ended badly."""
    rows = [["part", "tried", *OUTCOMES]]
    rows += [
        [t.part, f"{t.ended.total():,}", *(f"{t.ended[outcome]:,}" for outcome in OUTCOMES)]
        for t in (*tallies, sum_of(tallies))
    ]
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(w) if not k else cell.rjust(w) for k, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    for t in tallies:
        lines += [f"harmless, {t.part}: {count:,} because {reason}" for reason, count in t.reasons.items()]
    return "\n".join([*lines, *(line for t in tallies for line in t.bad)])


def sum_of(tallies: list[Tally]) -> Tally:
    """All parts as one."""
    return Tally("all", sum((t.ended for t in tallies), Counter()), bad=[line for t in tallies for line in t.bad])


class Budget:
    """How much of a part there is time for.

    Args:
        tries: at most. seconds: after which no more are begun.
    """

    def __init__(self, tries: int, seconds: float = float("inf")):
        self.tries, self.end = tries, time.monotonic() + seconds

    def __iter__(self) -> Any:
        for k in range(self.tries):
            if time.monotonic() >= self.end:
                return
            yield k
