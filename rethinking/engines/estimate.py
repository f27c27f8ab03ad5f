"""How long runs would take here: from the records of runs like them, else measured by a few steps."""

import heapq
import json
import math
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from typing import Any

from rethinking import catalog
from rethinking.errors import InputError
from rethinking.machine import cores, processor
from rethinking.record import Runs, outdated
from rethinking.spec import PROBE, STATISTICS, ProbeSpec, RunSpec, Spec, image_size, kind_of

STEPS = 4  # of training, where nothing is known of a network
EVALUATION = 0.37  # of the time of a training step that an image takes in an evaluation, on a CPU
WHOLE = 4  # evaluations of the whole training set in a run with the probe
FITTED_EPOCHS = 24  # that a run takes until it is fitted, where no record tells: they hardly depend on n


@dataclass(frozen=True)
class Past:
    """What a complete training run took.

    Attributes:
        name: its run id. spec: its fields. device_name: the processor. steps: trained. image: seconds an image of
        training, evaluations counted as `work` does; of undisturbed stretches where the record has them. seconds: in
        all.
    """

    name: str
    spec: dict[str, Any]
    device_name: str
    steps: int
    image: float
    seconds: float


def past(runs: Runs) -> list[Past]:
    """The complete training runs of a folder, without reading their curves; damaged ones are left out."""
    found = []
    for name, spec, made, result in runs.summaries():
        if "kind" in spec:
            continue
        try:
            size = work(spec, result["steps"], result["evaluations"])
            _speed_keys(spec)  # of a data set that is known here
            if (made.get("threads") or 1) != 1:  # not as a worker trains; a GPU's record has none
                continue
            rate = made.get("steps_per_second")
            image = 1 / (rate * _batch(spec)) if rate else made["seconds"] / size
            found.append(Past(name, spec, made["device_name"], result["steps"], image, made["seconds"]))
        except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError):
            continue
    return found


def past_probes(runs: Runs, names: Collection[str], device_name: str) -> list[tuple[ProbeSpec, float]]:
    """The complete records of those probes made on that processor, and the seconds that each took."""
    found = []
    for _, spec, made, _ in runs.summaries() if names else ():
        with suppress(InputError, TypeError, KeyError, AttributeError):
            if spec["kind"] == "probe" and spec["probe"]["name"] in names and made["device_name"] == device_name:
                found.append((ProbeSpec.make(**{key: spec[key] for key in ("run", "probe")}), float(made["seconds"])))
    return found


def _batch(spec: dict[str, Any]) -> int:
    return min(spec["batch_size"], spec["n"] - spec.get("held_out", 0))


def _epoch(spec: dict[str, Any]) -> int:
    """Steps of one pass over the images."""
    return -(-(spec["n"] - spec.get("held_out", 0)) // _batch(spec))


def work(spec: dict[str, Any], steps: float, evaluations: float) -> float:
    """Images of training that a run of `spec` (its fields) is worth, evaluations included."""
    n = spec["n"] - spec.get("held_out", 0)
    has = catalog.find("models", spec["model"]).constants.get("HAS") or ()
    has = has.get(spec["model"], ()) if isinstance(has, dict) else has
    normalized = "batch normalization" in has or any(p["name"] == "batch_norm" for p in spec["regularizers"])
    probe = spec.get("evaluation") == "probe" and n > PROBE
    each = (PROBE if probe else n) + spec["interim_test"]
    each += min(n, PROBE if probe else STATISTICS) if normalized else 0
    whole = WHOLE * (n + (STATISTICS if normalized else 0)) if probe else 0
    return steps * _batch(spec) + EVALUATION * (evaluations * each + whole)


def _parts(spec: dict[str, Any], kind: str) -> tuple[str, ...]:
    return tuple(json.dumps(part, sort_keys=True) for part in spec[kind])


def _names(spec: dict[str, Any]) -> tuple[str, ...]:
    return tuple(part["name"] for part in spec["regularizers"])


def _speed_keys(spec: dict[str, Any]) -> list[tuple]:
    """What runs of one speed share, the nearest first."""
    options = json.dumps(spec.get("model_options", {}), sort_keys=True)
    plain = (spec["model"], options, spec["precision"], image_size(spec["data"], spec.get("crop")))
    return [(*plain, spec["batch_size"], _names(spec)), (*plain, _names(spec)), plain]


def _length_keys(spec: dict[str, Any]) -> list[tuple]:
    """What runs that are fitted after like times share, the nearest first."""
    end = spec.get("stop_loss")  # None: where every training example is right
    near = (end, spec["data"], spec["model"], spec["n"], spec["batch_size"], _parts(spec, "corruptions"))
    labels = (end, spec["model"], _parts(spec, "corruptions"))
    return [(*near, _parts(spec, "regularizers")), (*near, _names(spec)), near, labels, (end, spec["model"])]


def _ends_early(spec: dict[str, Any]) -> bool:
    return spec["stop"] == "fitted" or spec.get("stop_loss") is not None


class Known:
    """What the records tell of speeds and lengths.

    Args:
        runs: of `past`. device_name: the processor asked about. kept: whether a run's weights are there. probes: of
        `past_probes`.

    Attributes:
        measured: seconds an image of training takes, of networks that no record tells of. made: ids of the runs whose
        weights will be there, as they are trained before their probes.
    """

    def __init__(
        self,
        runs: Iterable[Past],
        device_name: str,
        kept: Callable[[RunSpec], bool] = lambda run: False,
        probes: Sequence[tuple[ProbeSpec, float]] = (),
    ):
        self.measured: dict[str, float] = {}
        self._kept, self.made = kept, set[str]()
        self._speeds: defaultdict[tuple, list[tuple[str, float]]] = defaultdict(list)
        self._epochs: defaultdict[tuple, list[tuple[str, float]]] = defaultdict(list)
        took: dict[str, float] = {}
        for run in runs:
            took[run.name] = run.seconds
            if run.device_name == device_name:
                for key in _speed_keys(run.spec):
                    self._speeds[key].append((run.name, run.image))
            if _ends_early(run.spec):
                for key in _length_keys(run.spec):
                    self._epochs[key].append((run.name, run.steps / _epoch(run.spec)))

        # One that took as long as its run may have trained it again for its weights.
        self._probes = [(spec, taken) for spec, taken in probes if taken < took.get(spec.run.run_id, math.inf)]

    def probed(self, spec: ProbeSpec) -> list[tuple[ProbeSpec, float]]:
        """The records of such a probe of such a network, and their seconds: on the same labels where there are any."""

        def alike(other: ProbeSpec) -> bool:
            same = other.run.model == spec.run.model and other.run.precision == spec.run.precision
            return same and other.probe.name == spec.probe.name

        found = [each for each in self._probes if alike(each[0])]
        return [each for each in found if each[0].run.corruptions == spec.run.corruptions] or found

    def lacks(self, run: RunSpec) -> bool:
        """Whether the run must be trained for its weights; asked again it has been, as the next probe finds them."""
        lacks = run.run_id not in self.made and not self._kept(run)
        self.made.add(run.run_id)
        return lacks

    @staticmethod
    def _look(table: dict[tuple, list[tuple[str, float]]], keys: list[tuple], but: str) -> float | None:
        for key in keys:
            values = [value for name, value in table.get(key, ()) if name != but]
            if values:
                return median(values)
        return None

    def image(self, spec: dict[str, Any], but: str = "") -> float | None:
        """Seconds an image of training; None where no run of such a network is known. but: a run left out."""
        return self._look(self._speeds, _speed_keys(spec), but)

    def image_on(self, spec: RunSpec, device: str) -> float:
        """The same on a device, measured by a few steps where nothing is known of such a network."""
        fields = spec.model_dump(mode="json")
        image = self.image(fields)
        if image is None:
            key = str(_speed_keys(fields)[0])
            if key not in self.measured:
                with catalog.blame(catalog.find("models", spec.model)):
                    self.measured[key] = _measure(spec, device)
            image = self.measured[key]
        return image

    def share(self, spec: dict[str, Any], but: str = "") -> float:
        """The share of its budget that a run is expected to take."""
        if not _ends_early(spec):
            return 1.0
        known = self._look(self._epochs, _length_keys(spec), but)
        epochs = FITTED_EPOCHS if known is None else known
        return min(1.0, epochs * _epoch(spec) / spec["steps"])

    def seconds(self, spec: dict[str, Any], image: float, but: str = "") -> tuple[float, float]:
        """Seconds of a run: expected, and to the end of its budget."""

        def whole(share: float) -> float:
            steps = share * spec["steps"]
            return image * work(spec, steps, steps / spec["eval_every"] + 1)

        return whole(self.share(spec, but)), whole(1.0)


def seconds(specs: Sequence[Spec], device: str, runs: Runs) -> dict[str, tuple[float, float]]:
    """Seconds of one run on one worker, by run_id, training and evaluations: expected, and to the end of its budget.

    Args:
        device: where they would run. runs: the records that tell; a network that they do not tell of on this processor
        is measured.
    """
    name = processor() if device == "cpu" else _gpu()
    probes = past_probes(runs, {spec.probe.name for spec in specs if isinstance(spec, ProbeSpec)}, name)

    def kept(run: RunSpec) -> bool:
        return runs.weights_of(run).is_file() and not outdated.by(runs.path(run), run)

    known = Known(past(runs), name, kept, probes)
    known.made |= {spec.run_id for spec in specs if isinstance(spec, RunSpec)}
    place = "cuda:0" if device == "cuda" else device
    out = {}
    for spec in specs:
        kind = kind_of(spec)
        if device == "cpu" and kind.alone:
            import torch

            torch.set_num_threads(cores())  # as in the run
        out[spec.run_id] = kind.estimate(spec, place, known)
    return out


def estimate(spec: RunSpec, device: str, known: Known) -> tuple[float, float]:
    """Of a training run."""
    return known.seconds(spec.model_dump(mode="json"), known.image_on(spec, device))


def _gpu() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else ""


def _measure(spec: RunSpec, device: str) -> float:
    """Seconds an image of training takes, by a few steps on images made up."""
    import torch

    from rethinking.data import synthetic
    from rethinking.training import Training

    assert spec.n is not None
    n = min(spec.n, spec.batch_size * STEPS)  # a small set has smaller batches
    training = Training(spec.replace(n=n, held_out=0), synthetic(spec.data, n), device)

    def clock() -> float:
        if training.device.type == "cuda":
            torch.cuda.synchronize(training.device)
        return time.perf_counter()

    training.train_step()
    start = clock()
    for _ in range(STEPS):
        training.train_step()
    return (clock() - start) / STEPS / min(spec.batch_size, n)


def makespan(seconds: Sequence[float], workers: int) -> float:
    """Seconds until the last of `workers` is done, runs taken in order as workers come free."""
    free = [0.0] * (min(workers, len(seconds)) or 1)
    for each in seconds:
        heapq.heapreplace(free, free[0] + each)
    return max(free)
