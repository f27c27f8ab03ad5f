"""Toy figure: the tiny network on the toy set, for tests of the engine."""

import os

import matplotlib.pyplot as plt

from rethinking.claims import Claim, Reading
from rethinking.spec import Part, RunSpec

MODELS = ["tiny", "mlp-1x512"]
SEEDS = {"quick": 2, "cpu": 2, "paper": 2}
CAPTION = "Toy."
DEPARTURES = ["everything"]


def runs(setting):
    def spec(seed, *parts):
        return RunSpec(
            data="toy",
            n=200,
            model=setting.model,
            corruptions=parts,
            seed=seed,
            data_seed=seed,
            steps=int(os.environ.get("TOY_STEPS", "120")),
            eval_every=30,
        )

    return {
        "true labels": [spec(k) for k in range(setting.seeds)],
        "random labels": [spec(k, Part(name="random_labels")) for k in range(setting.seeds)],
    }


def draw(setting, records):
    figure, axes = plt.subplots()
    done = {c: [r.final["train_accuracy"] if r else None for r in group] for c, group in records.items()}
    for group in done.values():
        axes.plot([v for v in group if v is not None], "o")
    return figure, {"series": done}


def claims(setting):
    def measure(groups):
        values = [r.final["train_accuracy"] for r in groups["true labels"]]
        return Reading(min(values) > 0.9, str(values), {"training accuracy": list(values)})

    return [
        Claim("fits", "nobody", "it fits", "1", "above 0.9", ("true labels",), measure),
        Claim("big", "nobody", "it fits", "1", "above 0.9", ("true labels",), measure, least_n=1000),
    ]
