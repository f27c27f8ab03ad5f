"""How long runs would take here, measured by a few steps of each kind."""

import heapq
import importlib
import time
from collections.abc import Sequence

import torch

from rethinking import catalog
from rethinking.data import synthetic
from rethinking.engines.machine import cores
from rethinking.layers import OffsetBatchNorm2d
from rethinking.spec import RunSpec, Spec
from rethinking.training import Training
from rethinking.training.loop import STATISTICS_IMAGES
from rethinking.training.schedule import PROBE

STEPS = 4
# How much of its budget a run that stops when fitted takes, on average: the committed runs of figure dose, without and
# with a regularizer.
FITTED_SHARE = {False: 0.2, True: 0.55}


def seconds(specs: Sequence[Spec], device: str) -> dict[str, tuple[float, float]]:
    """Seconds of one run on one worker, by run_id, training and evaluations: expected, and to the end of its budget."""
    rates: dict[str, tuple[float, float, int]] = {}
    out = {}
    where = "cuda:0" if device == "cuda" else device
    for spec in specs:
        if not isinstance(spec, RunSpec):
            if device == "cpu":
                torch.set_num_threads(cores() if spec.ALONE else 1)  # as in the run
            known = importlib.import_module(spec.RUNNER).estimate(spec, torch.device(where))
            out[spec.run_id] = known, known
            continue
        kind = (spec.model, str(spec.model_options), spec.batch_size, spec.precision, spec.data, spec.regularizers)
        key = str(kind)
        if key not in rates:
            with catalog.blame(catalog.find("models", spec.model)):
                rates[key] = _measure(spec, where)
        step, image, statistics = rates[key]
        assert spec.n is not None
        evaluations = spec.steps // spec.eval_every + 1
        probed = PROBE if spec.evaluation == "probe" else spec.n
        images = min(spec.n, probed) + spec.interim_test + min(spec.n, probed, statistics)
        most = spec.steps * step + evaluations * images * image
        share = FITTED_SHARE[bool(spec.regularizers)] if spec.stop == "fitted" else 1.0
        out[spec.run_id] = share * most, most
    return out


def _measure(spec: RunSpec, device: str) -> tuple[float, float, int]:
    """Seconds per training step, and per image of an evaluation; images that batch-norm statistics are measured on."""
    assert spec.n is not None
    n = min(spec.n, spec.batch_size * STEPS)  # a small set has smaller batches
    training = Training(spec.replace(n=n, held_out=0), synthetic(spec.data, n), device)
    normalized = any(isinstance(m, OffsetBatchNorm2d) and m.momentum is None for m in training.network.modules())

    def clock() -> float:
        if training.device.type == "cuda":
            torch.cuda.synchronize(training.device)
        return time.perf_counter()

    training.train_step()
    start = clock()
    for _ in range(STEPS):
        training.train_step()
    step = (clock() - start) / STEPS
    training.network.eval()
    training.logits(training.train_images)
    start = clock()
    training.logits(training.train_images)
    return step, (clock() - start) / len(training.train_images), STATISTICS_IMAGES if normalized else 0


def makespan(seconds: Sequence[float], workers: int) -> float:
    """Seconds until the last of `workers` is done, runs taken in order as workers come free."""
    free = [0.0] * workers
    for each in seconds:
        heapq.heapreplace(free, free[0] + each)
    return max(free)
