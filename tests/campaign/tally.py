"""What is counted: how each try ended; and trying something in a process of its own that may be killed."""

import fcntl
import os
import select
import signal
import sys
import time
import traceback
import warnings
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
LOST = "lost"  # something of value beside it that was there before is gone or another
HANG = "hangs"  # it took longer, or more memory, than is allowed
OUTCOMES = (DETECTED, HARMLESS, SILENT, TRACEBACK, LOST, HANG)
UNREADABLE = "an independent reading refuses it"
PATIENCE = 120.0  # seconds that one try may take


@dataclass
class Tally:
    """The tries of one part.

    Attributes:
        ended: how many ended how. reasons: why harmless ones are. bad: what was tried where it ended badly.
        notes: what else there is to know of the part, a line each.
    """

    part: str
    ended: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, outcome: str, tried: str, reason: str = "") -> None:
        """One try. reason: of what is harmless why, of what ended badly what was seen."""
        self.ended[outcome] += 1
        if outcome == HARMLESS:
            self.reasons[reason] += 1
        elif outcome != DETECTED:
            self.bad.append(f"{outcome}: {self.part}, {tried}: {reason}")

    def judge(self, tried: str, use: Callable[[], Any], right: Any, reason: str = "it means the same") -> None:
        """Use something damaged in this process. right: what `use` gives of the sound one, or a reading of it."""
        if callable(right):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of what is damaged
                    right = right()
            except Exception:  # of damage: whatever a decoder raises
                right = UNREADABLE
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
    return Process(action).end()


class Process:
    """A forked process that does something, as a command would.

    Attributes:
        pid: its number, and that of its group.
    """

    def __init__(self, action: Callable[[], Any]):
        sys.stdout.flush()
        self._errors, theirs = os.pipe()  # a file would be limited where files are
        fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, 1 << 20)
        os.set_blocking(self._errors, False)
        self.pid = os.fork()
        if self.pid:
            os.close(theirs)
            return
        os.setpgid(0, 0)
        with open(os.devnull, "r+") as nothing:
            for descriptor, source in enumerate((nothing.fileno(), nothing.fileno(), theirs)):
                os.dup2(source, descriptor)
        sys.stdout, sys.stderr = (os.fdopen(os.dup(k), "w", buffering=1) for k in (1, 2))
        signal.signal(signal.SIGINT, signal.default_int_handler)
        warnings.simplefilter("default")  # as a command has it, whatever the tests have
        warnings.simplefilter("ignore", ResourceWarning)
        finish(action)

    def end(self, patience: float = PATIENCE) -> tuple[int | None, str]:
        """Wait for it, and return what `apart` returns."""
        handle = os.pidfd_open(self.pid)
        try:
            over = not select.select([handle], [], [], patience)[0]
        finally:
            os.close(handle)
        if over:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        with os.fdopen(self._errors, "rb", buffering=0) as errors:
            said = b""
            while chunk := errors.read(1 << 16):  # None where a process that goes on may still write
                said += chunk
        return None if over else status, said.decode(errors="replace")


def finish(action: Callable[[], Any]) -> None:
    """Do something, and end this forked process with its exit status."""
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
        with suppress(OSError):
            traceback.print_exc()
    finally:
        try:
            sys.stderr.flush()
        finally:  # also on a full disk: else two processes would go on from here
            os._exit(status)


def alive(pid: int) -> bool:
    """Whether a process runs: it is there, and no zombie."""
    try:
        with open(f"/proc/{pid}/stat") as stream:
            return stream.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def children(pid: int) -> list[int]:
    """The processes that a process has started, and that are there."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as stream:
            return [int(word) for word in stream.read().split()]
    except OSError:
        return []


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
    lines += [f"{t.part}: {note}" for t in tallies for note in t.notes]
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
        self.tries, self.seconds, self.end = tries, seconds, time.monotonic() + seconds

    def __iter__(self) -> Any:
        for k in range(self.tries):
            if time.monotonic() >= self.end:
                return
            yield k
