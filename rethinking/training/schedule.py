"""When a run is evaluated, and on what: rules that read nothing but the run's own numbers, so they resume exactly.

With the spec's evaluation "all", every `eval_every` steps and at the end, each time on the whole training set.

With "probe", for long runs, an evaluation takes PROBE training images, the first ones, which also give batch norm its
statistics. It comes every `eval_every` steps and, while the fit is near and not yet found, whenever the steps have
grown by RESOLUTION since the last one. Near: at least NEAR of the latest line of the online log, or of the last
evaluation, was right. Such an evaluation becomes one of the whole training set

- where the probe finds at least CANDIDATE right, and no whole evaluation has found FITTED yet (the one that does takes
  all test images);
- where the run stops when fitted, the probe finds all right, and so was SETTLED of the batches of the last epoch;
- where the run stops at a loss, and the probe's is that or less;
- at the end.

The time to fit is then known to within RESOLUTION of itself, for a few per cent of the training time.
"""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from rethinking.spec import FITTED, RunSpec

LOG_EVERY = 23  # steps between lines of the online log, at most: 17 lines an epoch of 391
NEAR, CANDIDATE, SETTLED = 0.9, 0.985, 0.999  # accuracies
RESOLUTION = 0.02  # of the number of steps


def log_every(spec: RunSpec) -> int:
    """Steps between lines of the online log: at least four an epoch, where it has as many steps."""
    return max(1, min(LOG_EVERY, spec.epoch_steps // 4))


@dataclass(frozen=True)
class Evaluation:
    """One row of a run's curve: RunSpec.COLUMNS say what each is. None: a column that the run has not."""

    step: int
    epoch: float
    learning_rate: float
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    test_images: int
    online_loss: float
    online_accuracy: float
    held_out_loss: float | None = None
    held_out_accuracy: float | None = None
    train_images: int | None = None

    def as_row(self) -> dict[str, Any]:
        """The attributes, in order, but for what is None."""
        return {k: v for k, v in asdict(self).items() if v is not None}


@dataclass
class Schedule:
    """Decides for one run, from what it is told.

    Attributes:
        last: step of the last evaluation, -1 before the first. seen: its training accuracy. found: whether an
        evaluation of the whole training set has found FITTED. lines: (right, images) of the online log's latest lines,
        as many as cover an epoch.
    """

    spec: RunSpec
    last: int = -1
    seen: float = 0.0
    found: bool = False
    lines: list[tuple[int, int]] = field(default_factory=list)

    @property
    def state(self) -> tuple[int, float, bool]:
        """What a checkpoint keeps of it; the lines are the log's."""
        return self.last, self.seen, self.found

    def logged(self, right: int, images: int) -> None:
        """A line of the online log."""
        self.lines = [*self.lines, (right, images)][-math.ceil(self.spec.epoch_steps / log_every(self.spec)) :]

    def evaluated(self, step: int, accuracy: float, whole: bool) -> None:
        """An evaluation, of the whole training set or of the probe."""
        self.last, self.seen = step, accuracy
        self.found = self.found or (whole and accuracy >= FITTED)

    def due(self, step: int) -> bool:
        """Whether the run is evaluated after `step` steps."""
        if step == self.last:
            return False
        if step == 0 or step % self.spec.eval_every == 0 or step >= self.spec.steps:
            return True
        every = log_every(self.spec)
        if self.spec.evaluation == "all" or self.found or step % every:
            return False
        near = self.seen >= NEAR or (bool(self.lines) and self.lines[-1][0] >= NEAR * self.lines[-1][1])
        return near and step + every > self.last * (1 + RESOLUTION)

    def whole(self, step: int, accuracy: float, loss: float = math.inf) -> bool:
        """Whether the whole training set is measured after the probe found `accuracy` and a mean cross-entropy."""
        if step >= self.spec.steps or (not self.found and accuracy >= CANDIDATE) or loss <= (self.spec.stop_loss or -1):
            return True
        right, images = (sum(column) for column in zip(*self.lines, strict=True)) if self.lines else (0, 0)
        return self.spec.stop == "fitted" and accuracy == 1.0 and right >= SETTLED * images > 0
