"""Records as pandas data frames: one row a training run, an evaluation, or a line of the online log.

Figure 1(b)'s medians of MLP 1x512, from the committed records:

    >>> import rethinking
    >>> runs = rethinking.records("runs").frame()
    >>> plain = runs.query("model == 'mlp-1x512' and n == 50_000 and model_options == '' and regularizer == 'none'")
    >>> plain = plain.query("batch_size == 128 and learning_rate == 0.01 and seed == data_seed and keep == ''")
    >>> plain = plain[~plain.bootstrap & (plain.held_out == 0) & (plain.initial_weights == "glorot")]
    >>> plain = plain[plain.corruptions.str.fullmatch("none|random_labels|partial_labels=[0-9.]+")]
    >>> fit = plain.set_index(["p", "seed"]).steps_to_fit
    >>> baseline = fit.xs(0.0).reindex(fit.index, level="seed")  # of the same seed
    >>> (fit / baseline).groupby("p").median(skipna=False)  # <NA> where a run is censored or missing

A run that is missing, was censored or diverged has a `state` that says so. A measure that it lacks is <NA>, never a
number. pandas leaves <NA> out of a mean or a median unless told `skipna=False`.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import pandas as pd

from rethinking import catalog
from rethinking.arguments import path, taking
from rethinking.errors import InputError, shown
from rethinking.record.bundle import WHERE, committed
from rethinking.record.folder import Runs
from rethinking.record.read import Record
from rethinking.spec import Part, RunSpec, Spec

STATES = ("fitted", "censored", "diverged", "missing")
NONE = "none"  # no corruption, no regularizer
# The paper's words for the corruptions whose names are not their words.
_WORDS = {"partial_labels": "partially corrupted labels", "gaussian": "Gaussian"}
_RANDOM = ("random_labels", "random_signs")

_Columns = dict[str, tuple[str, Callable[[Any], Any]]]  # name -> its dtype, and its value

# What identifies a run: the fields of its spec.
SETTINGS: _Columns = {
    "run": ("string", lambda s: s.run_id),
    "data": ("string", lambda s: s.data),
    "n": ("int64", lambda s: s.n),
    "model": ("string", lambda s: s.model),
    "model_options": ("string", lambda s: ",".join(f"{k}={_word(v)}" for k, v in s.model_options.items())),
    "corruptions": ("string", lambda s: " + ".join(text("corruptions", p) for p in s.corruptions) or NONE),
    "condition": ("string", lambda s: condition(s)),
    "p": ("float64", lambda s: label_corruption(s)),
    "test_labels": ("string", lambda s: s.test_labels),
    "regularizer": ("string", lambda s: " + ".join(text("regularizers", p) for p in s.regularizers) or NONE),
    "strength": ("float64", lambda s: strength(s)),
    "held_out": ("int64", lambda s: s.held_out),
    "bootstrap": ("bool", lambda s: s.bootstrap),
    "batch_size": ("int64", lambda s: s.batch_size),
    "learning_rate": ("float64", lambda s: s.learning_rate),
    "momentum": ("float64", lambda s: s.momentum),
    "lr_decay": ("float64", lambda s: s.lr_decay),
    "decay_every": ("int64", lambda s: s.decay_every),
    "budget": ("int64", lambda s: s.steps),
    "stop": ("string", lambda s: s.stop),
    "stop_loss": ("Float64", lambda s: s.stop_loss),
    "eval_every": ("int64", lambda s: s.eval_every),
    "interim_test": ("int64", lambda s: s.interim_test),
    "evaluation": ("string", lambda s: s.evaluation),
    "precision": ("string", lambda s: s.precision),
    "keep": ("string", lambda s: ",".join(s.keep)),
    "crop": ("Int64", lambda s: s.crop),
    "initial_weights": ("string", lambda s: None if getattr(s, "own_network", False) else s.initial_weights),
    "data_seed": ("int64", lambda s: s.data_seed),
    "seed": ("int64", lambda s: s.seed),
}
# What was measured, at the last evaluation where a run has many; <NA> of a run that is missing.
MEASURES: _Columns = {
    "steps": ("Int64", lambda r: r.final["step"]),
    "steps_to_fit": ("Int64", lambda r: r.steps_to_fit()),
    "diverged_at": ("Int64", lambda r: r.result["diverged_at"]),
    "train_loss": ("Float64", lambda r: r.final["train_loss"]),
    "train_accuracy": ("Float64", lambda r: r.final["train_accuracy"]),
    "test_loss": ("Float64", lambda r: r.final["test_loss"]),
    "test_accuracy": ("Float64", lambda r: r.final["test_accuracy"]),
    "test_images": ("Int64", lambda r: r.final["test_images"]),
    "held_out_loss": ("Float64", lambda r: r.final.get("held_out_loss")),
    "held_out_accuracy": ("Float64", lambda r: r.final.get("held_out_accuracy")),
    "memorized_bits": ("Float64", lambda r: memorized_bits(r)),
    "seconds": ("Float64", lambda r: r.environment.get("seconds")),
    "commit": ("string", lambda r: r.environment.get("commit")),
    "device": ("string", lambda r: r.environment.get("device")),
}
# Of the curve. A run's settings have a learning rate of their own, the one at step 0.
_RENAMED = {"learning_rate": "learning_rate_now"}
_LOG = {"step": "Int64", "online_loss": "Float64", "online_accuracy": "Float64"}


@taking(root=path)
def records(root: str | Path = "runs") -> "Frames":
    """The records of the training runs in a folder, for `.frame()`, `.curves()` and `.online()`.

    Where there is no folder `runs`, those are read that came with the installed package.

    Raises InputError where there is no such folder.
    """
    (folder,) = committed(root)
    if not folder.is_dir():
        raise InputError(f"{root} is no folder of runs: name one, or train with `rethinking figure`; {WHERE}")
    return Frames(Runs(folder))


class Tidy:
    """Training runs as data frames.

    Attributes:
        records: the runs, each of a RunSpec.
    """

    records: list[Record]

    def frame(self, wanted: Iterable[Spec] = ()) -> pd.DataFrame:
        """One row a run, with its settings, its state and its measures.

        Columns, besides the fields of RunSpec under their names (`steps` is `budget` here, and corruptions, options and
        regularizers are as follows):

            run               the record's folder
            model_options     "width=4", or ""
            corruptions       as on the command line, "partial_labels=0.5,among=others"; several joined by " + "; "none"
            condition         "true labels", "random labels", "partially corrupted labels", "shuffled pixels", "random
                              pixels", "Gaussian"; several joined by " + "; "labels as given" and "inputs as given"
                              where an experiment was handed a data set that is corrupted already
            p                 probability of corrupting a label: 0 for true labels, 1 for random ones; NaN where a
                              corruption of labels has no p, or was there before
            regularizer       as on the command line, "weight_decay=0.0005"; several joined by " + "; "none"
            strength          the first option of a single regularizer where it is a number, else NaN
            state             "fitted": 99 % training accuracy was reached; "censored": not within the run; "diverged":
                              the loss was not finite; "missing": there is no record
            steps             taken, when it ended. steps_to_fit: to 99 % training accuracy, <NA> where not reached
            *_loss            nats an example, <NA> where not finite. *_accuracy: fractions. Both at the last evaluation
            memorized_bits    see `memorized_bits`
            initial_weights   <NA> of a network of one's own, which has the weights that it was handed over with
            seconds, commit, device    of the record's environment

        Args:
            wanted: specs of training runs. Those that have no record get a row, with the state "missing" and no
                measures.

        Raises:
            InputError: one of `wanted` is of no training run.
        """
        wanted = list(wanted)
        for other in wanted:
            if not isinstance(other, RunSpec):
                raise InputError(
                    f"wanted has {shown(other)}: a frame has training runs, so give specs of RunSpec alone"
                )
        specs = [r.spec for r in self.records]
        there = {s.run_id for s in specs}
        missing = list({s.run_id: s for s in wanted if s.run_id not in there}.values())
        columns = _columns(SETTINGS, [*specs, *missing])
        columns["state"] = _series("string", [*map(state, self.records), *["missing"] * len(missing)])
        columns |= _columns(MEASURES, self.records, len(missing))
        return pd.DataFrame(columns)

    def curves(self) -> pd.DataFrame:
        """One row an evaluation: the run's settings and state, then the curve's columns.

        `learning_rate` is the run's, at step 0; `learning_rate_now` is that of the step. Values that are not finite,
        and those of columns that a run has not, are <NA>.
        """
        curves = {
            _RENAMED.get(column.name, column.name): (
                "Int64" if column.whole else "Float64",
                [r.curve.get(column.name) for r in self.records],
            )
            for column in RunSpec.COLUMNS
        }
        return self._long([len(r.curve["step"]) for r in self.records], curves)

    def online(self) -> pd.DataFrame:
        """One row a line of the online log, of the runs that have one: settings and state, step, loss and accuracy."""
        logs = [r.online for r in self.records]
        return self._long([len(log["step"]) for log in logs], {k: (d, [g[k] for g in logs]) for k, d in _LOG.items()})

    def _long(self, lengths: list[int], values: dict[str, tuple[str, list[Any]]]) -> pd.DataFrame:
        """A run's settings and state, repeated; then columns of lists a run, or of None where a run has not."""
        frame = pd.DataFrame(_columns(SETTINGS, [r.spec for r in self.records]))
        frame["state"] = _series("string", map(state, self.records))
        frame = frame.loc[frame.index.repeat(lengths)].reset_index(drop=True)
        for name, (dtype, lists) in values.items():
            flat = [v for k, each in zip(lengths, lists, strict=True) for v in ([None] * k if each is None else each)]
            frame[name] = _series(dtype, flat)
        return frame


@dataclass(frozen=True, repr=False)
class Frames(Tidy):
    """The complete training runs of a folder as data frames.

    Records are read and checked once, when first asked for. Runs that train no network are left out: their curves have
    other columns. All three methods raise InputError for a damaged record, or for one made with another version of a
    plug-in than is there now.
    """

    runs: Runs

    @cached_property
    def records(self) -> list[Record]:  # type: ignore[override]
        """Every complete training run, sorted by name."""
        return [r for r in self.runs.complete_records() if isinstance(r.spec, RunSpec)]

    def __repr__(self) -> str:
        return f"training runs in {self.runs.root}: a row a run by .frame(), an evaluation by .curves()"


def _columns(columns: _Columns, rows: list[Any], missing: int = 0) -> dict[str, pd.Series]:
    return {name: _series(dtype, [*map(of, rows), *[None] * missing]) for name, (dtype, of) in columns.items()}


def _series(dtype: str, values: Iterable[Any]) -> pd.Series:
    """A column; None and, where its dtype is nullable, numbers that are not finite become <NA>."""
    if dtype == "Float64":
        values = [v if v is not None and math.isfinite(v) else None for v in values]
    return pd.Series(list(values), dtype=dtype)


def state(record: Record) -> str:
    """One of STATES."""
    if record.result["status"] == "diverged":
        return "diverged"
    return "censored" if record.steps_to_fit() is None else "fitted"


def memorized_bits(record: Record) -> float | None:
    """m log2(classes) minus the cross-entropy of the m training labels in bits, not below 0; None where not finite.

    It is what the network saves in sending the labels to somebody who has the images, against sending them as they are.
    A run on a bootstrap sample has none: its loss counts a label as often as it was drawn, and it need be sent once.
    """
    spec = cast(RunSpec, record.spec)
    loss, bits = record.final["train_loss"], label_bits(spec)
    if bits is None or not math.isfinite(loss):
        return None
    return max(0.0, bits - spec.trained * loss / math.log(2))


def label_bits(spec: RunSpec) -> float | None:
    """m log2(classes): the bits of the m training labels, each class being as likely; None of a bootstrap sample."""
    return None if spec.bootstrap else spec.trained * math.log2(classes(spec))


def classes(spec: RunSpec) -> int:
    """How many values the labels of a run can have."""
    if any(catalog.find("corruptions", c.name).constants.get("ONE_LOGIT") for c in spec.corruptions):
        return 2
    own = getattr(spec, "num_classes", 0)  # of data without a name
    return own or len(catalog.find("data", spec.data).constants["CLASSES"])


def condition(spec: RunSpec) -> str:
    """The corruptions of a run in the paper's words."""
    given = [f"{what} as given" for what in getattr(spec, "as_given", ())]  # by data sets that were corrupted before
    parts = [_WORDS.get(c.name, c.name.replace("_", " ")) for c in spec.corruptions]
    return " + ".join(given + parts) or "true labels"


def label_corruption(spec: RunSpec) -> float:
    """The probability of corrupting a label; NaN where a corruption of labels has none to tell."""
    before = "labels" in getattr(spec, "as_given", ())
    for part in spec.corruptions:
        if catalog.find("corruptions", part.name).constants["ACTS_ON"] == "labels":
            return 1.0 if part.name in _RANDOM else math.nan if before else float(part.options.get("p", math.nan))
    return math.nan if before else 0.0


def strength(spec: RunSpec) -> float:
    """The first declared option of a run's one regularizer; NaN for none, several, or one that is not a number."""
    if len(spec.regularizers) != 1:
        return math.nan
    (part,) = spec.regularizers
    options = catalog.find("regularizers", part.name).constants.get("OPTIONS", {})
    value = part.options.get(next(iter(options), ""))
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def text(kind: str, part: Part) -> str:
    """A corruption or regularizer as on the command line, options at their defaults left out; Part.parse reads it."""
    first, *rest = catalog.find(kind, part.name).constants.get("OPTIONS", {}).items() or [("", {})]
    options = part.options
    head = f"{part.name}={_word(options[first[0]])}" if first[0] in options else part.name
    changed = [(k, options[k]) for k, o in rest if k in options and options[k] != o.get("default")]
    return ",".join([head, *(f"{k}={_word(v)}" for k, v in changed)])


def _word(value: float | int | bool | str) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
