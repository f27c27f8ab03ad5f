"""What the tests of regularizers share: small networks and runs that carry one."""

import torch
from torch import nn

from rethinking import catalog, models, regularizers
from rethinking.record import format_curve
from rethinking.spec import Part, RunSpec
from rethinking.training import Training, train

ALL = catalog.names("regularizers")
CLASSES = 4  # of the toy data set
LABELS = torch.arange(200) % CLASSES


class Twice(nn.Module):
    """One encoder of five numbers, called twice; the last layer is defined first."""

    def __init__(self):
        super().__init__()
        self.out, self.encoder = nn.Linear(16, 4), nn.Sequential(nn.Linear(5, 16), nn.ReLU())

    def forward(self, x):
        return self.out(self.encoder(x) - self.encoder(-x))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def build(name: str, **options) -> regularizers.Base:
    """A regularizer in a run of its own."""
    return regularizers.build(Part(name=name, options=options), regularizers.Run(CLASSES, generator()))


def with_it(name: str, model: str, num_classes: int = 10, **options) -> nn.Module:
    """A network of the package with one regularizer, with the weights of seed 0."""
    return models.initialise(build(name, **options).network(models.build(model, num_classes)), 0)


def spec(*parts: Part, **fields) -> RunSpec:
    """A small run whose parts go through the loop as they are, nulls too."""
    common = {"data": "toy", "model": "carrier", "n": 80, "batch_size": 32, "steps": 20, "eval_every": 8}
    return RunSpec.make(**(common | fields)).model_copy(update={"regularizers": parts})


def curve(run: RunSpec, toy) -> str:
    return format_curve([e.as_row() for e in train(run, toy)])


def broken_off(run: RunSpec, toy) -> tuple[Training, list[dict]]:
    """A run of `spec`, and its curve so far, after 8 steps: in the midst of an epoch, which has 3."""
    training, rows = Training(run, toy), []
    for evaluation in training.evaluations():
        rows.append(evaluation.as_row())
        if evaluation.step == 8:
            break
    return training, rows


def gone_on(training: Training, rows: list[dict]) -> str:
    return format_curve(rows + [e.as_row() for e in training.evaluations()])


def part(name: str, which: str) -> Part:
    return Part(name=name, options=catalog.find("regularizers", name).constants[which])


AUGMENTATION = [name for name in ALL if build(name, **part(name, "PRACTICE").options).wants_originals]
