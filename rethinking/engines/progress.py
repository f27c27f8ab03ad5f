"""What is said while runs go on: a bar per running run in a terminal, a plain line now and then elsewhere.

Of several runs a line tells how the whole of them stands: 2 of 5 runs, about 3 min left.
"""

import sys
import time
from collections.abc import Sequence
from typing import Any

from tqdm import tqdm

from rethinking.spec import ProbeSpec, Spec

LINE_EVERY = 30.0  # seconds between plain lines of one run
# Fields that a title leaves out: of how long and how often it is measured.
MEASURED = {"steps", "stop", "stop_loss", "eval_every", "interim_test", "evaluation"}


def duration(seconds: float) -> str:
    """A time in words: 40 s, 12 min, 3.5 h, 11,000 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 360_000 else f"{rounded(seconds / 3600)} h"


def rounded(value: float) -> str:
    """A number to two digits: 0.36, 3.6, 36, 23,000."""
    number = float(f"{value:.2g}")
    return f"{number:,.0f}" if number >= 10 else f"{number:g}"


def for_weights(network: str, step: int, steps: int) -> str:
    """That the run `network` is trained for the weights that a probe measures, and has done `step` of its steps."""
    return f"training {network} for its weights: step {step:,} of at most {steps:,}"


def titles(specs: Sequence[Spec]) -> dict[str, str]:
    """A title for each run, by run id: the id, and what tells it from others of these runs whose ids have its words.

    So of runs with batches of 64 and of 128 each tells which: "cifar10-...-s0-1a2b3c4d5e (batch_size 64)".
    """
    fields = {spec.run_id: _fields(spec) for spec in specs}
    alike: dict[str, dict[str, set[str]]] = {}  # words -> field -> values
    for name, own in fields.items():
        for key, value in own.items():
            alike.setdefault(_words(name), {}).setdefault(key, set()).add(str(value))

    def title(name: str, own: dict[str, Any]) -> str:
        told = [f"{key} {_word(value)}" for key, value in own.items() if len(alike[_words(name)][key]) > 1]
        return f"{name} ({', '.join(told)})" if told else name

    return {name: title(name, own) for name, own in fields.items()}


def _words(name: str) -> str:
    """A run's id without the digits that end it."""
    return name.rpartition("-")[0]


def _fields(spec: Spec) -> dict[str, Any]:
    """What a run is, or the run that it measures, but for when it ends and is evaluated."""
    if isinstance(spec, ProbeSpec):
        return _fields(spec.run)
    return spec.model_dump(mode="json", exclude=MEASURED)


def _word(value: Any) -> str:
    if isinstance(value, list):
        return "+".join(map(_word, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


class Progress:
    """Follows runs by their spec. On standard error; a context manager.

    Args:
        specs: all the runs. workers: how many of them run at once. quiet: say nothing.
    """

    def __init__(self, specs: Sequence[Spec] = (), workers: int = 1, quiet: bool = False) -> None:
        self.terminal = sys.stderr is not None and sys.stderr.isatty() and not quiet
        self.quiet, self.total, self.workers = quiet, len(specs), workers
        self.titles = titles(specs)
        self.bars: dict[str, tqdm] = {}
        self.given: dict[str, float] = {}  # when a run was given to a worker
        self.began: dict[str, tuple[float, int]] = {}  # when it said its first step, and which
        self.spoken: dict[str, float] = {}
        self.row: dict[str, dict[str, Any]] = {}
        self.running: dict[str, float] = {}  # the share of its budget that is done, of this sitting's runs
        self.took: list[float] = []  # seconds of runs that are done
        self.gone: set[str] = set()  # failed, or made by another process
        self.whole: tqdm | None = None
        if self.terminal and self.total > 1:
            self.whole = tqdm(total=self.total, bar_format="{desc}", leave=False, position=0)
            self._tell_whole()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        for bar in (*self.bars.values(), *([self.whole] if self.whole is not None else [])):
            bar.close()

    def note(self, line: str) -> None:
        """Something worth knowing that is of no one run."""
        if sys.stderr is not None and not self.quiet:
            tqdm.write(f"rethinking: {line}", file=sys.stderr)

    def begin(self, spec: Spec) -> None:
        """A run is given to a worker, which may have to start."""
        name = spec.run_id
        self.given[name] = self.spoken[name] = time.monotonic()
        self.began[name] = (self.given[name], -1)
        self.running[name] = 0.0
        self.gone.discard(name)
        if self.terminal:
            title = self.titles.get(name, name)
            self.bars[name] = tqdm(total=spec.steps, desc=title, unit="step", dynamic_ncols=True, leave=False)
            self.bars[name].set_postfix_str("starting")
        else:
            self._line(spec, "starting")

    def resumed(self, spec: Spec, step: int) -> None:
        """A run goes on from its checkpoint."""
        self._line(spec, f"resumed at step {step}")

    def step(self, spec: Spec, step: int, network: str = "", steps: int = 0) -> None:
        """A run has done `step` steps.

        network: a run, of `steps` at most, that a probe wants trained first and that has done them instead.
        """
        name = spec.run_id
        if network:
            text = for_weights(network, step, steps)
            if self.terminal:
                self.bars[name].set_postfix_str(text)
            elif time.monotonic() - self.spoken[name] >= LINE_EVERY:
                self.spoken[name] = time.monotonic()
                self._line(spec, text)
            return
        if self.began[name][1] < 0:
            self.began[name] = (time.monotonic(), step)  # a resumed run starts later than at 0
            if self.terminal and name not in self.row:
                self.bars[name].set_postfix_str("")
        since, first = self.began[name]
        self.running[name] = (step - first) / max(1, spec.steps - first)
        if self.terminal:
            bar = self.bars[name]
            if step > bar.n and bar.n == 0:
                bar.initial = step
            bar.update(step - bar.n)
            self._tell_whole()
        elif time.monotonic() - self.spoken[name] >= LINE_EVERY:
            self.spoken[name] = time.monotonic()
            row = self.row.get(name, {})
            last = f", {spec.summary(row)}" if row else ""
            left = ""
            if step > first:  # else nothing tells its speed yet
                seconds = (spec.steps - step) * (time.monotonic() - since) / (step - first)
                left = f", {duration(seconds)} left at most"
            self._line(spec, f"step {step} of at most {spec.steps}{last}{left}")

    def evaluation(self, spec: Spec, row: dict[str, Any]) -> None:
        """A run was evaluated."""
        self.row[spec.run_id] = row
        if self.terminal:
            self.bars[spec.run_id].set_postfix_str(spec.summary(row))

    def end(self, spec: Spec, how: str) -> None:
        """A run ended."""
        name = spec.run_id
        row = self.row.pop(name, {})
        self.running.pop(name, None)
        self.spoken.pop(name, None)
        given = self.given.pop(name, time.monotonic())
        began, _ = self.began.pop(name, (given, 0))
        done = how == "done"
        if done:
            # A probe may train its network before its first step, and many say no step but their last.
            self.took.append(time.monotonic() - (given if isinstance(spec, ProbeSpec) else began))
            how = f"done at step {row['step']}: {spec.summary(row)}, {self.took[-1]:.0f} s" if row else how
        else:
            self.gone.add(name)
        if self.terminal and name in self.bars:
            self.bars.pop(name).close()
        self._line(spec, how)
        if done:
            self._tell_whole()

    def left(self) -> float | None:
        """Seconds until the last run is done, by those that are done or under way; None where that tells nothing yet.

        A run that is not begun takes as long as those do on average; one that stops when fitted may take less.
        """
        now = time.monotonic()
        under_way = [(now - self.began[name][0], share) for name, share in self.running.items() if share > 0]
        known = [*self.took, *(passed / share for passed, share in under_way)]
        if not known:
            return None
        usual = sum(known) / len(known)
        rest = [passed / share - passed for passed, share in under_way]
        others = self.total - len(self.took) - len(self.gone) - len(rest)
        return max([(sum(rest) + others * usual) / self.workers, *rest])

    def _tell_whole(self) -> None:
        if self.total < 2 or self.quiet:
            return
        left = self.left()
        text = f"{len(self.took)} of {self.total} runs"
        if len(self.took) < self.total and left is not None:
            text += f", about {duration(left)} left"
        if self.whole is not None:
            self.whole.set_description_str(text)
        elif not self.terminal and sys.stderr is not None:
            tqdm.write(text, file=sys.stderr)

    def _line(self, spec: Spec, text: str) -> None:
        if sys.stderr is not None and not self.quiet:  # a program without a console has none
            tqdm.write(f"{self.titles.get(spec.run_id, spec.run_id)}: {text}", file=sys.stderr)
