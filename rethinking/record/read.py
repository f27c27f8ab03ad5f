"""Reading one record: what is missing, truncated or foreign is refused in one line."""

import csv
import io
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rethinking import catalog
from rethinking.errors import InputError
from rethinking.files import DAMAGED, json_of, reason, text_of, whole_number
from rethinking.record import digests, outdated
from rethinking.record.lease import held
from rethinking.record.write import LOG_COLUMNS, Row
from rethinking.spec import FITTED, ProbeSpec, Spec, from_file

if TYPE_CHECKING:
    import numpy as np

ARRAYS = 1_000_000_000  # bytes of arrays.npz, packed or not; the largest of this package has 200,000
STATUSES = ("budget", "fitted", "stopped", "diverged", "computed")  # how a run ended


ENDED = {
    "fitted": "every training example right",
    "budget": "at its budget",
    "stopped": "at its training loss",
    "diverged": "diverged",
}  # by the status of a training run


@dataclass(frozen=True)
class Record:
    """A complete run, read and checked.

    Attributes:
        path: its folder. spec, result: as written. environment: versions, commit, device, seconds.
        curve: column -> list of numbers, one per evaluation.
    """

    path: Path
    spec: Spec
    result: dict[str, Any]
    environment: dict[str, Any]
    curve: dict[str, list]

    @property
    def rows(self) -> list[Row]:
        """The evaluations, one by one."""
        return [dict(zip(self.curve, values, strict=True)) for values in zip(*self.curve.values(), strict=True)]

    @cached_property
    def final(self) -> Row:
        """The last evaluation, which uses all test images."""
        return self.rows[-1]

    @cached_property
    def arrays(self) -> "dict[str, np.ndarray]":
        """What the spec's `keep` names, by its name. Raises InputError where the file is damaged or not there."""
        from rethinking.arrays import arrays_at

        path = self.path / "arrays.npz"
        try:
            arrays = arrays_at(path, ARRAYS)
        except Exception as error:  # numpy, zipfile and its decoders raise what they like at foreign bytes
            raise InputError(f"{path} cannot be read ({reason(error)}): {DAMAGED}") from None
        problem = self.spec.misfit(arrays)
        if problem:
            raise InputError(f"{path} is not of its spec ({problem}): {DAMAGED}")
        return arrays

    @cached_property
    def online(self) -> dict[str, list[float]]:
        """The online log, by column; empty lists for a run made before it was kept. Raises InputError where damaged."""
        path = self.path / "online.csv"
        if not path.exists():
            return {name: [] for name in LOG_COLUMNS}
        return parse_log(text_of(path), path)

    @property
    def whole(self) -> list[bool]:
        """Of each evaluation, whether it measured the whole training set, with a finite loss."""
        finite = [math.isfinite(loss) for loss in self.curve["train_loss"]]
        if "train_images" not in self.curve:
            return finite
        size = self.spec.trained  # type: ignore[attr-defined]
        return [ok and images == size for ok, images in zip(finite, self.curve["train_images"], strict=True)]

    def steps_to_fit(self, threshold: float = FITTED) -> int | None:
        """Steps to the first evaluation of all training images with an accuracy >= threshold; None where censored."""
        columns = (self.curve["step"], self.curve["train_accuracy"], self.whole)
        return next((s for s, a, whole in zip(*columns, strict=True) if whole and a >= threshold), None)

    @property
    def threads(self) -> int:
        """Cores of a CPU that it was made with; 1 where it does not tell, or was made with several numbers of them."""
        told = self.environment.get("threads")
        return told if isinstance(told, int) else 1

    @property
    def ended(self) -> str:
        """How a training run ended, in a few words."""
        return ENDED[self.result["status"]]

    def up_to(self, step: int | None) -> "Record":
        """The record with its curve up to that step alone; None: as it is."""
        if step is None:
            return self
        count = sum(each <= step for each in self.curve["step"])
        return replace(self, curve={name: values[:count] for name, values in self.curve.items()})

    def apart(self, other: "Record") -> tuple[float, int] | None:
        """How far the training accuracy of another record of the same spec is from this one's, at most, and where.

        Only evaluations at equal steps, of equally many training images, are compared.

        Returns:
            The largest absolute difference, a fraction, and the first step that has it; None where nothing compares.
        """
        ours, theirs = (
            {(row["step"], row.get("train_images")): row["train_accuracy"] for row in record.rows}
            for record in (self, other)
        )
        both = [(abs(accuracy - theirs[key]), key[0]) for key, accuracy in ours.items() if key in theirs]
        return max(both, key=lambda each: each[0], default=None)

    def difference(self, other: "Record", until: int | None = None) -> str | None:
        """Where another record of the same spec first differs, in its curve or what is kept; None where it does not.

        until: compare the curves up to this step alone.
        """
        varying = {column.name for column in self.spec.described if column.varying}
        fixed = [name for name in self.spec.columns if name not in varying]
        counts = [sum(until is None or step <= until for step in r.curve["step"]) for r in (self, other)]
        if counts[0] != counts[1]:
            return f"{counts[0]} evaluations against {counts[1]}"
        for k, step in enumerate(self.curve["step"][: counts[0]]):
            for name in fixed:
                ours, theirs = self.curve[name][k], other.curve[name][k]
                if repr(ours) != repr(theirs):
                    return f"from step {step:,} on another curve: {name} {ours!r} against {theirs!r}"
        if until is not None:
            return None
        if self.online["step"] and other.online["step"] and self.online != other.online:
            return "the same curve, but another online log"
        if self.spec.kept:
            for name, array in self.arrays.items():
                if name not in other.arrays or array.tobytes() != other.arrays[name].tobytes():
                    return f"the same curve, but other arrays kept: {name}"
        return None


def environment_of(path: Path) -> dict[str, Any]:
    """What an environment.json holds. Raises InputError also where a value is not of its kind."""
    value = json_of(path)
    plug_ins, seconds = value.get("plug_ins", {}), value.get("seconds", 0)
    kinds = f"({'|'.join(catalog.KINDS)})/.+"
    named = isinstance(plug_ins, dict) and all(re.fullmatch(kinds, k, re.DOTALL) for k in plug_ins)
    wrong = None
    if not named or not all(isinstance(digest, str) for digest in plug_ins.values()):
        wrong = "plug_ins"
    elif seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0):
        wrong = "seconds"
    else:
        wrong = next(
            (k for k in ("commit", "device", digests.MEASURED) if not isinstance(value.get(k), str | None)), None
        )
    if wrong:
        raise InputError(f"{path} has {wrong} of another kind than a record: {DAMAGED}")
    return value


def read(path: Path) -> Record:
    """Read a complete record; again where another process replaces it meanwhile by one that was made again.

    Raises:
        InputError: a file that is missing, truncated or foreign; a curve that does not agree with its result; a file
        that has another digest than the record, or runs/DIGESTS, holds; it is being replaced.
    """
    while True:
        before = _which(path / "result.json")
        try:
            return _read(path)
        except InputError:
            busy = held(path)  # first: whoever is done then has left a result
            now = _which(path / "result.json")
            if now is None and busy:
                raise InputError(f"{path} is being replaced by another process: try again in a moment") from None
            if now in (None, before):
                raise


def _which(file: Path) -> tuple[int, ...] | None:
    """What is another where a file was replaced; None where there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns


def _read(path: Path) -> Record:
    result, environment = json_of(path / "result.json"), environment_of(path / "environment.json")
    try:
        spec = from_file(path / "spec.json")
    except InputError as error:
        gone = [name for name in environment.get("plug_ins", {}) if _is_gone(*name.split("/", 1))]
        raise InputError(f"{error}: {_advice(gone) if gone else DAMAGED}") from None
    curve = parse_curve(text_of(path / "curve.csv"), path / "curve.csv", spec)
    if spec.run_id != path.name:
        raise InputError(f"{path} holds the spec of {spec.run_id}: a foreign record; move it away")
    if result.keys() - digests.OWN != digests.RESULT:
        raise InputError(f"{path / 'result.json'} has other fields than a result: {DAMAGED}")
    if result.get("status") not in STATUSES or not isinstance(result.get("diverged_at", ""), int | None):
        raise InputError(f"{path / 'result.json'} has no status of a run: {DAMAGED}")
    last = {name: value if math.isfinite(value) else None for name, value in ((k, v[-1]) for k, v in curve.items())}
    told = tuple(result.get(k) for k in ("steps", "evaluations", "final"))
    if told != (curve["step"][-1], len(curve["step"]), last):
        raise InputError(f"{path / 'curve.csv'} does not agree with result.json: {DAMAGED}")
    problem = spec.contradiction(result, curve)
    if spec.kept and not (path / "arrays.npz").is_file():
        problem = problem or "arrays.npz is missing"
    if problem:
        raise InputError(f"{path}{os.sep}{problem}: {DAMAGED}")
    digests.check_bound(path, result, environment)
    digests.check(path, result)
    return Record(path, spec, result, environment, curve)


def _is_gone(kind: str, name: str) -> bool:
    """Whether a plug-in is not here; helpers, whose place has an underscore or a folder, are not asked for by name."""
    return not name.startswith("_") and "/" not in name and name not in catalog.names(kind)


def _advice(gone: Sequence[str]) -> str:
    """How to read a record again whose plug-ins, "models/mine" or "data/mine", are not here."""
    files = [each for each in gone if not each.startswith("data/")]
    if len(files) > 1:
        names = f"{', '.join(files[:-1])} and {files[-1]}"
        return f"it was made with the plug-ins {names}, which are not here: name their folders in RETHINKING_PLUGINS"
    if files:
        return f"it was made with the plug-in {files[0]}, which is not here: name its folder in RETHINKING_PLUGINS"
    name = gone[0].partition("/")[2]
    again = f"add the same images again with `rethinking data add {name} PATH`"
    place = "name the folder that has it in RETHINKING_DATA (one with a plug-in, in RETHINKING_PLUGINS)"
    return f"it was made with the data set {name}, which is not here: {again}, or {place}"


def check_plug_ins(spec: Spec, environment: dict[str, Any], path: Path) -> None:
    """Raise InputError where a run of `spec`, in the folder `path`, was made with other plug-ins than are there now."""
    lines = [outdated.line(name, [str(path)]) for name in outdated.changed(spec, environment)]
    if lines:
        raise InputError("; ".join(lines))


def check_current(record: Record, weights: bool = False) -> None:
    """Raise InputError where what a record was made with is not what is there now.

    That is plug-ins, and of a probe the weights of its run. weights: whether their file is read where need be.
    """
    check_plug_ins(record.spec, record.environment, record.path)
    if isinstance(record.spec, ProbeSpec):
        digests.check_measured(record.path, record.spec.run.run_id, record.environment, weights)


def parse_curve(text: str, path: Path, spec: Spec) -> dict[str, list]:
    """The columns of a curve.csv. Raises InputError where it is truncated or has other columns than the spec's."""
    columns, whole = spec.columns, {column.name for column in spec.described if column.whole}
    try:
        rows = list(csv.reader(io.StringIO(text)))
    except csv.Error:  # a field of more than 128 KiB
        rows = []
    if not rows or tuple(rows[0]) != columns or len(rows) < 2:
        raise InputError(f"{path} is not a curve (columns {','.join(columns)}): {DAMAGED}")
    curve: dict[str, list] = {name: [] for name in columns}
    for number, row in enumerate(rows[1:], 2):
        try:
            for name, value in zip(columns, row, strict=True):
                curve[name].append(whole_number(value) if name in whole else float(value))
        except ValueError:
            raise InputError(f"{path}, line {number} is damaged: move the record away") from None
    return curve


def parse_log(text: str, path: Path) -> dict[str, list[float]]:
    """The columns of an online.csv. Raises InputError where it is damaged."""
    head, *lines = text.splitlines() or [""]
    try:
        rows = [tuple(map(float, line.split(","))) for line in lines]
        if head != ",".join(LOG_COLUMNS) or any(a[0] >= b[0] for a, b in pairwise(rows)):
            raise ValueError
        return {name: [row[k] for row in rows] for k, name in enumerate(LOG_COLUMNS)}
    except (ValueError, IndexError):
        raise InputError(f"{path} is no online log: {DAMAGED}") from None
