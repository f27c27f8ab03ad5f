"""What a figure is drawn for: scale, network, seeds, data; and the run that all figures start from there."""

from dataclasses import dataclass
from types import ModuleType
from typing import Any

from rethinking import catalog
from rethinking.errors import InputError
from rethinking.figures._subject import FULL, Subject
from rethinking.spec import EPOCH, RunSpec

SCALES = ("quick", "cpu", "paper")
MOST_SEEDS = 1000  # of a figure

# Training images at each scale, for the networks that do not run on all 50,000 there.
REDUCED_N = {
    "quick": {"mlp-1x512": 2000, "mlp-3x512": 2000, "alexnet": 500},
    "cpu": {"mlp-1x512": 50_000, "mlp-3x512": 50_000},
}
OTHER_N = {"quick": 200, "cpu": 2000}
QUICK_BFLOAT16_N = 500  # Inception at quick, where the processor multiplies bfloat16: two and a half times as fast
LEAST_N = 100  # of quick runs of convolutions on images of more pixels than the paper's, which are fewer
PIXELS = 28 * 28
LEAST_EPOCH = 16  # steps; of other data a run has those that as many epochs of 2,000 images have, at least
ALL = "all"  # the model of a figure that compares networks, or trains none
# At scales cpu and paper these have several seeds in figures of all networks and train in float32, evaluated every
# epoch; others have one seed, and train in bfloat16, evaluated every fifth epoch of all images or with the probe.
CHEAP = ("mlp-1x512", "mlp-3x512")


@dataclass(frozen=True)
class Setting:
    """What a figure is drawn for.

    Attributes:
        scale: one of SCALES. model: a network, or ALL. seeds: number of seeds; run k has training and data seed k.
        precision: of quick runs, resolved for this machine (and with it Inception's n); cpu and paper fix theirs, so
        that their records are found from any machine. asked: the number of seeds was asked for, and makes other runs
        than the figure's own. data, crop: as in a spec; another data set than the paper's is not compared with it.
    """

    scale: str
    model: str
    seeds: int
    precision: str = "float32"
    asked: bool = False
    data: str = "cifar10"
    crop: int | None = None

    @property
    def subject(self) -> Subject:
        """The data set that it is of."""
        return Subject(self.data, self.crop)

    @property
    def papers(self) -> bool:
        """Whether both data and network are the paper's: else what is found extends the paper, at most."""
        return self.subject.papers and not self.other_network

    @property
    def other_network(self) -> bool:
        """Whether it is of one network that is not the paper's."""
        return self.model != ALL and "parameters" not in catalog.find("models", self.model).constants.get("PAPER", {})

    @property
    def epoch(self) -> int:
        """Steps of batch 128 in one pass over all training images: the unit of the paper's schedule."""
        return EPOCH if self.subject.papers else -(-self.subject.full // 128)

    def images(self, model: str) -> int:
        """The training images that runs of a network have, where a figure does not say."""
        full = self.subject.full
        usual = REDUCED_N.get(self.scale, {}).get(model, OTHER_N.get(self.scale, FULL))
        if self.scale == "quick" and self.precision == "bfloat16" and model.startswith("inception"):
            usual = QUICK_BFLOAT16_N
        if self.subject.papers:
            return usual
        height, width = self.subject.size
        if self.scale == "quick" and model not in CHEAP and height * width > PIXELS:
            usual = max(LEAST_N, usual * PIXELS // (height * width) // 10 * 10)
        return full if self.scale == "paper" else min(usual, full)

    def reduced_steps(self, n: int) -> int:
        """The budget of a run on n images that stops when fitted: 100 epochs at quick, 200 at cpu.

        Of other data, whose time to fit is not known before, at least as many steps as 2,000 images would have: 1,600
        or 3,200, in whole epochs.
        """
        epoch, epochs = -(-n // 128), 100 if self.scale == "quick" else 200
        if not self.subject.papers:
            epochs = max(epochs, -(-epochs * LEAST_EPOCH // epoch))
        return epochs * epoch

    def spec(self, seed: int, **fields: Any) -> RunSpec:
        """The spec that all figures start from at this scale, with `fields` on top.

        quick and cpu, reduced: stops when fitted, or after `reduced_steps`. All 50,000 images: the paper's schedule for
        90 epochs, or for Inception 64 (25,024 steps, the length of Figure 1(a)), evaluated with the probe. quick's
        interim evaluations use 250 test images, and MLPs on other data are evaluated every epoch. Networks of
        convolutions are in bfloat16 at cpu and paper.

        Raises:
            InputError: fields that no spec can have; in a figure of all networks, none given as `model`.
        """
        model = fields.pop("model", self.model)
        if model == ALL:
            raise InputError("the figure is of all networks (MODELS): give spec(seed, model=...) one")
        n = fields.pop("n", self.images(model))
        papers = self.subject.papers
        common: dict[str, Any] = {"data": self.data, "n": n, "model": model, "seed": seed, "data_seed": seed}
        if self.crop is not None:
            common["crop"] = self.crop
        if not papers and self.scale == "paper":
            common["decay_every"] = self.epoch
        if n < FULL if papers else self.scale != "paper":
            often = 1 if self.scale == "quick" and model in CHEAP and not papers else 4
            common |= {"steps": self.reduced_steps(n), "stop": "fitted", "eval_every": often * -(-n // 128)}
        elif self.scale == "paper" and model.startswith("inception"):
            common |= {"steps": 64 * self.epoch, "eval_every": self.epoch, "evaluation": "probe"}
        else:
            common |= {"steps": 90 * self.epoch, "eval_every": self.epoch if model in CHEAP else 5 * self.epoch}
        if self.scale == "quick":
            common |= {"interim_test": 250, "precision": self.precision}
        elif model not in CHEAP:
            common |= {"precision": "bfloat16"}
        return RunSpec.make(**(common | fields))

    def until_fitted(self, seed: int, **fields: Any) -> RunSpec:
        """The same for a run that is asked when it fits: at scale paper, all but the cheap networks stop there, and are
        evaluated with the probe, so that the time is known to 2 %.
        """
        if self.scale == "paper" and fields.get("model", self.model) not in CHEAP:
            fields = {"stop": "fitted", "eval_every": self.epoch, "evaluation": "probe"} | fields
        return self.spec(seed, **fields)

    def seeds_of(self, model: str) -> range:
        """The seeds of `model`: at scales cpu and paper, unless asked for, one where a run is long."""
        return range(1 if self.scale != "quick" and model not in CHEAP and not self.asked else self.seeds)

    def within(self, n: int) -> int:
        """A number of training images that a figure names, as far as other data than the paper's have them."""
        if self.subject.papers:
            return n
        return self.subject.full if self.scale == "paper" else min(n, self.subject.full)


def usual_model(module: ModuleType) -> str:
    """The network that a figure of the paper's data is drawn for where none is named."""
    return getattr(module, "MODELS", [ALL])[0]
