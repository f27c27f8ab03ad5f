"""Training from the beginning, and as a kind of run: see rethinking.spec.Kind."""

from collections.abc import Iterator

import torch

from rethinking.arguments import function, one_of, taking
from rethinking.images import ImageSet
from rethinking.spec import Context, Outcome, Rows, RunSpec
from rethinking.training import bfloat16
from rethinking.training.batches import Tensors
from rethinking.training.keep import kept
from rethinking.training.loop import Training
from rethinking.training.network import Source, apart
from rethinking.training.schedule import Evaluation


@taking(spec=one_of(RunSpec), data=one_of(ImageSet, Tensors), device=one_of(str, torch.device), network=function)
def train(
    spec: RunSpec,
    data: ImageSet | Tensors | None = None,
    device: str = "cpu",
    network: Source | None = None,
) -> Iterator[Evaluation]:
    """Train one run from the beginning. No record is written; `rethinking.experiment` writes one.

    Args:
        spec: what to train. data: the data set, as `rethinking.data.load` gives it; loaded where none is given.
        device: a name of torch's, "cpu" or "cuda" but not "auto"; on the CPU the process has one thread from then on.
        network: a module to train a copy of, or a function that makes one; else the spec's own network.

    Yields:
        An object an evaluation, with the columns of `curve.csv` as attributes, step, epoch, train_loss (nats),
        train_accuracy (a fraction), test_accuracy ...; None where the run has no such column.

    Raises:
        InputError: as the first evaluation is asked for: no data on disk, or data that are not the spec's; a device
            that is not there; a regularizer that the network cannot carry; a network that does not fit the data.
    """
    yield from Training(spec, data, device, network).evaluations()


def run(spec: RunSpec, context: Context) -> Rows:
    """The evaluations of a run, from its beginning or from the state that the context has.

    Raises:
        InputError: as `Training` does; bfloat16 is wrong on this machine.
    """
    training = Training(spec, context.images, str(context.device), threads=context.threads)
    bfloat16.check(training, context.made_with)
    if context.saved is not None:
        training.restore(context.saved)
    context.state = training.state
    for evaluation in training.evaluations(context.on_step, context.on_part):
        yield evaluation.as_row()
    weights = apart(training.network.state_dict())
    return Outcome(training.status, training.diverged_at, training.log, kept(training), weights)
