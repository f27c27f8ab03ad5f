"""Writing a record. Every file appears whole or not at all: temporary file, fsync, rename."""

import io
import json
import math
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rethinking.errors import InputError
from rethinking.files import content_of, text_of
from rethinking.paths import MARK, write, written_as
from rethinking.record import digests
from rethinking.spec import Spec

if TYPE_CHECKING:
    import numpy as np

Row = dict[str, Any]
CHECKPOINT = "checkpoint.safetensors"
CHECKPOINTS = "checkpoint"  # of a run on ImageNet: a folder, with those of rethinking.imagenet.checkpoint
OWN = frozenset({*digests.FILES, "result.json", digests.WEIGHTS, CHECKPOINT})  # all that is written into a run's folder
LOG_COLUMNS = ("step", "online_loss", "online_accuracy")


def format_curve(rows: Sequence[Row]) -> str:
    """curve.csv of evaluations; floats as the shortest text that reads back to the same bits."""
    lines = [",".join(rows[0])]
    lines += [",".join(repr(row[name]) for name in rows[0]) for row in rows]
    return "\n".join(lines) + "\n"


def format_log(log: Sequence[Sequence[float]]) -> str:
    """online.csv of a `Training.log`: means of six digits."""
    lines = [f"{step:.0f},{loss / images:.6g},{right / images:.6g}" for step, loss, right, images in log]
    return "\n".join([",".join(LOG_COLUMNS), *lines]) + "\n"


def others(weights: Path, beside: bool = False) -> InputError:
    """What there is to say of a file of weights that is in the way of another record's.

    beside: whether it lies where the record itself would, so that no other place for its weights helps.
    """
    whose = " for that record" if beside else ""
    told = f"{weights} is there, and of another record"
    return InputError(f"{told}: name another folder with --weights{whose}, or delete it")


class Writer:
    """Writes one run's record; obtained from `leased`, so no other process writes it.

    Attributes:
        notes: how far the run is, changed by whoever makes it: `rethinking status` reads them beside its lease.
    """

    def __init__(
        self,
        path: Path,
        spec: Spec,
        checkpoints: Path | None = None,
        notes: dict[str, Any] | None = None,
        weights: Path | None = None,
    ) -> None:
        self.path, self.spec = path, spec
        self.notes: dict[str, Any] = {} if notes is None else notes
        self.checkpoint_path = (checkpoints or path.parent) / path.name / CHECKPOINT
        self.weights_path = (weights or path.parent) / path.name / digests.WEIGHTS

    @property
    def checkpoint(self) -> tuple[bytes, dict[str, str]] | None:
        """The last checkpoint and its metadata, None where there is none.

        Raises InputError where it is damaged or another run's.
        """
        try:
            saved = digests.bytes_of(self.checkpoint_path, digests.BEGIN_ANEW)
        except FileNotFoundError:
            return None
        return saved, digests.check_checkpoint(saved, self.spec.run_id, self.checkpoint_path)

    def check_rows(self, rows: Sequence[Row]) -> None:
        """Raise InputError where the evaluations of a checkpoint do not go on from the curve.csv that is there.

        A checkpoint is written before its curve, and before a run is completed, so it has at least as many. One put
        back from a copy need not.
        """
        curve = self.path / "curve.csv"
        if curve.exists() and not (format_curve(rows) if rows else "").startswith(text_of(curve, digests.BEGIN_ANEW)):
            what = f"{self.checkpoint_path} is stale, its evaluations are not those of {curve}"
            raise InputError(f"{what}: {digests.BEGIN_ANEW}")

    def discard(self) -> None:
        """Delete what there is of the run so far: it begins anew."""
        for path in (self.checkpoint_path, self.path / "curve.csv", self.path / "environment.json"):
            path.unlink(missing_ok=True)

    def save(self, rows: Sequence[Row], checkpoint: bytes, environment: dict[str, Any]) -> None:
        """Keep what is needed to go on from here.

        checkpoint: a safetensors file, with the metadata of `digests.seal` besides its own.
        """
        write(self.checkpoint_path, digests.stamped(checkpoint))
        write(self.path / "environment.json", json.dumps(environment, indent=2) + "\n")
        if not rows:  # stopped within the first evaluation
            return
        write(self.path / "curve.csv", format_curve(rows))

    def keep(self, weights: bytes) -> None:
        """Write the file of the trained weights; outside the record's folder not over those of another record.

        Raises InputError where there are such.
        """
        elsewhere = self.weights_path.parent != self.path
        if elsewhere and self.weights_path.is_file() and content_of(self.weights_path, digests.LARGEST) != weights:
            raise others(self.weights_path)
        write(self.weights_path, weights)

    def finish(
        self,
        rows: Sequence[Row],
        status: str,
        diverged_at: int | None,
        environment: dict[str, Any],
        arrays: "dict[str, np.ndarray] | None" = None,
        log: Sequence[Sequence[float]] = (),
    ) -> None:
        """Complete the record. status: as of an Outcome, of a run that trains nothing "computed".

        log: of `Training.log`.
        """
        last = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in rows[-1].items()}
        result = {
            "status": status,
            "steps": rows[-1]["step"],
            "evaluations": len(rows),
            "diverged_at": diverged_at,
            "final": last,
        }
        write(self.path / "curve.csv", format_curve(rows))
        write(self.path / "environment.json", json.dumps(environment, indent=2) + "\n")
        if arrays:
            import numpy as np

            packed = io.BytesIO()
            np.savez_compressed(packed, **arrays)  # type: ignore[arg-type]
            write(self.path / "arrays.npz", packed.getvalue())
        if log:
            write(self.path / "online.csv", format_log(log))
        sealed = digests.sealed(result, self.path, self.weights_path)
        self.complete(json.dumps(sealed, indent=2, allow_nan=False) + "\n")

    def complete(self, result: str | bytes) -> None:
        """Write the result, with which the record is complete, and delete what the run went on from."""
        write(self.path / "result.json", result)
        self.checkpoint_path.unlink(missing_ok=True)
        for folder in {self.path, self.checkpoint_path.parent}:
            for left in folder.glob(f".*{MARK}*"):  # by a sitting that was killed while it wrote
                if written_as(left.name) in OWN and left.is_file():
                    left.unlink(missing_ok=True)
        if self.checkpoint_path.parent != self.path:
            with suppress(OSError):  # there is none, or something else is in it
                self.checkpoint_path.parent.rmdir()
