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
    """Train one run from the beginning; see `Training`."""
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
