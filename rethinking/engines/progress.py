"""What is said while runs go on: a bar per running run in a terminal, a plain line now and then elsewhere."""

import sys
import time
from typing import Any

from tqdm import tqdm

from rethinking.spec import Spec

LINE_EVERY = 30.0  # seconds between plain lines of one run


class Progress:
    """Follows runs by their spec. On standard error; a context manager."""

    def __init__(self) -> None:
        self.terminal = sys.stderr is not None and sys.stderr.isatty()
        self.bars: dict[str, tqdm] = {}
        self.began: dict[str, tuple[float, int]] = {}
        self.spoken: dict[str, float] = {}
        self.row: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        for bar in self.bars.values():
            bar.close()

    def begin(self, spec: Spec) -> None:
        """A run starts."""
        name = spec.run_id
        self.began[name] = (time.monotonic(), -1)
        self.spoken[name] = time.monotonic()
        if self.terminal:
            self.bars[name] = tqdm(total=spec.steps, desc=name, unit="step", dynamic_ncols=True, leave=False)
        else:
            self._line(spec, "started")

    def resumed(self, spec: Spec, step: int) -> None:
        """A run goes on from its checkpoint."""
        self._line(spec, f"resumed at step {step}")

    def step(self, spec: Spec, step: int) -> None:
        """A run has done `step` steps."""
        name = spec.run_id
        if self.began[name][1] < 0:
            self.began[name] = (time.monotonic(), step)  # a resumed run starts later than at 0
        if self.terminal:
            bar = self.bars[name]
            if step > bar.n and bar.n == 0:
                bar.initial = step
            bar.update(step - bar.n)
        elif time.monotonic() - self.spoken[name] >= LINE_EVERY:
            self.spoken[name] = time.monotonic()
            since, first = self.began[name]
            rate = (time.monotonic() - since) / max(1, step - first)
            row = self.row.get(name, {})
            last = f", {spec.summary(row)}" if row else ""
            self._line(
                spec, f"step {step} of at most {spec.steps}{last}, {(spec.steps - step) * rate:.0f} s left at most"
            )

    def evaluation(self, spec: Spec, row: dict[str, Any]) -> None:
        """A run was evaluated."""
        self.row[spec.run_id] = row
        if self.terminal:
            self.bars[spec.run_id].set_postfix_str(spec.summary(row))

    def end(self, spec: Spec, how: str) -> None:
        """A run ended."""
        name = spec.run_id
        row = self.row.get(name, {})
        if row and how == "done":
            how = f"done at step {row['step']}: {spec.summary(row)}, {time.monotonic() - self.began[name][0]:.0f} s"
        if self.terminal and name in self.bars:
            self.bars.pop(name).close()
        self._line(spec, how)

    def _line(self, spec: Spec, text: str) -> None:
        if sys.stderr is not None:  # a program without a console has none
            tqdm.write(f"{spec.run_id}: {text}", file=sys.stderr)
