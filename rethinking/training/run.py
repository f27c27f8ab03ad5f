"""Training as a kind of run: see rethinking.spec.Kind."""

from rethinking.spec import Context, Outcome, Rows, RunSpec
from rethinking.training import bfloat16
from rethinking.training.keep import kept
from rethinking.training.loop import Training


def run(spec: RunSpec, context: Context) -> Rows:
    """The evaluations of a run, from its beginning or from the state that the context has.

    Raises:
        InputError: as `Training` does; bfloat16 is wrong on this machine.
    """
    training = Training(spec, context.images, str(context.device))
    bfloat16.check(training, context.made_with)
    if context.saved is not None:
        training.restore(context.saved)
    context.state = training.state
    for evaluation in training.evaluations(context.on_step, context.on_part):
        yield evaluation.as_row()
    weights = {k: v.detach().cpu().contiguous() for k, v in training.network.state_dict().items()}
    return Outcome(training.status, training.diverged_at, training.log, kept(training), weights)
