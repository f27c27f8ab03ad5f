"""What limits memorization, size or values? Random labels fitted against width, with free and with restricted weights.

A network whose weights are {0, 1} or {-1, +1} times one scale a layer holds a bit a weight; a narrower one with free
weights holds fewer numbers of 32 bits. On the first layer, or on all of them.

    rethinking figure capacity                 500 images, one seed: minutes
    rethinking figure capacity --scale cpu     2,000 images, three seeds
"""

from statistics import median
from typing import Any

from rethinking.claims import Claim, Reading, Records, Specs, spread
from rethinking.figures import FULL, Setting
from rethinking.figures._parts import (
    STATISTIC,
    UNSTATED,
    labels,
    line,
    mark_missing,
    missing_note,
    percent,
    present,
    seeds_note,
    size_note,
    times_to_fit,
)
from rethinking.plotting import WIDTH, not_run
from rethinking.record import Record
from rethinking.spec import EPOCH, Part

MODELS = ["mlp-3x512", "mlp-1x512"]
SEEDS = {"quick": 1, "cpu": 3, "paper": 3}
CAPTION = "Training accuracy on random labels against width, with free weights and with weights held to two values."
DEPARTURES = [
    "An extension: the paper varies neither width nor the weights' values.",
    "The learning rate is the paper's for the network at every width; biases stay free.",
    "cpu: 2,000 images, quick: 500; a run stops when every training example is right, or after 200 epochs (quick: "
    "100). paper: all 50,000 images, 64 epochs. What is not fitted may be with more steps.",
    "Restricted: straight-through gradients (BinaryConnect), one fixed scale a layer. Weights of {0, 1} have a "
    "positive mean, so that units grow from layer to layer, the more the wider: in all layers it may be training that "
    "fails.",
    UNSTATED,
]
WIDTHS = {
    "quick": (8, 64, 512),
    "cpu": (2, 4, 8, 16, 32, 64, 128, 256, 512),
    "paper": (8, 32, 128, 512, 2048),
}
IMAGES = {"quick": 500, "cpu": 2000}
EPOCHS = {"quick": 100, "cpu": 200, "paper": 64}
FREE = "free"
KINDS: dict[str, tuple[Part, ...]] = {
    FREE: (),
    **{
        f"{name}, {words}": (Part(name="restricted_weights", options={"values": values, "layer": layer}),)
        for values, name in (("signs", "{−1, +1}"), ("bits", "{0, 1}"))
        for layer, words in ((1, "first layer"), (0, "all layers"))
    },
}
LOOKS: dict[str, dict[str, Any]] = dict(
    zip(
        KINDS,
        (
            {"color": "#000000", "linestyle": "-", "marker": "o"},
            {"color": "#0072B2", "linestyle": (0, (5, 1.5)), "marker": "^"},
            {"color": "#0072B2", "linestyle": (0, (1, 1)), "marker": "v"},
            {"color": "#D55E00", "linestyle": (0, (5, 1.5)), "marker": "s"},
            {"color": "#D55E00", "linestyle": (0, (1, 1)), "marker": "D"},
        ),
        strict=True,
    )
)


def _name(kind: str, width: int) -> str:
    return f"{kind}, width {width}"


def runs(setting: Setting) -> Specs:
    n = IMAGES.get(setting.scale, FULL)
    epoch = -(-n // 128)
    fields: dict[str, Any] = {"n": n, "corruptions": labels(1.0), "stop": "fitted", "eval_every": min(4 * epoch, EPOCH)}
    fields["steps"] = EPOCHS[setting.scale] * epoch
    return {
        _name(kind, width): [
            setting.spec(k, model_options={"width": width}, regularizers=parts, **fields) for k in range(setting.seeds)
        ]
        for kind, parts in KINDS.items()
        for width in WIDTHS[setting.scale]
    }


def draw(setting: Setting, records: Records) -> tuple[Any, dict[str, Any]]:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(WIDTH, 3.0))
    widths, n = WIDTHS[setting.scale], IMAGES.get(setting.scale, FULL)
    table = []
    for kind, look in LOOKS.items():
        groups = {w: records[_name(kind, w)] for w in widths}
        line(axes, {w: present(percent(g, "train_accuracy")) for w, g in groups.items()}, look, kind)
        for w, group in groups.items():
            table.append(
                {
                    "run": _name(kind, w),
                    "n": [n],
                    "training accuracy (%)": percent(group, "train_accuracy"),
                    "steps to 99 %": times_to_fit(group),
                }
            )
    for w in widths:
        mark_missing(axes, w, *(records[_name(kind, w)] for kind in LOOKS))
    axes.set_xscale("log", base=2)
    axes.set_xticks(widths, [str(w) for w in widths])
    axes.minorticks_off()
    axes.axhline(99, color="0.5", lw=0.6, linestyle="--")
    axes.axhline(10, color="0.5", lw=0.6, linestyle=":")
    axes.set(
        xlabel="units of each hidden layer", ylabel="training accuracy, random labels (%)\ndashed: 99 %; dotted: 10 %"
    )
    axes.set_ylim(0, 102)
    if any(any(group) for group in records.values()):
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), title="weights")
    else:
        not_run(axes)
    head = (
        f"{setting.model} of other widths, CIFAR-10, {size_note(n)}, {seeds_note(setting.seeds)}{missing_note(records)}"
    )
    figure.suptitle(f"{head}\nat most {EPOCHS[setting.scale]} epochs; {STATISTIC}", fontsize=7)
    return figure, {"table": table}


# --- claims ---------------------------------------------------------------------------------------


def claims(setting: Setting) -> list[Claim]:
    widths = WIDTHS[setting.scale]

    def accuracy(groups: dict[str, list[Record]], kind: str, width: int) -> float:
        return median(present(percent(groups[_name(kind, width)], "train_accuracy")))

    def fitted_at(kind: str) -> Claim:
        """Whether some width swept fits random labels."""
        names = tuple(_name(kind, w) for w in widths)

        def measure(groups: dict[str, list[Record]]) -> Reading:
            steps = {w: [r.steps_to_fit() for r in groups[_name(kind, w)]] for w in widths}
            fits = [w for w in widths if 2 * sum(s is not None for s in steps[w]) > len(steps[w])]
            best = max(widths, key=lambda w: accuracy(groups, kind, w))
            values = [100 * r.final["train_accuracy"] for r in groups[_name(kind, best)]]
            text = f"from width {fits[0]} on" if fits else f"at none; {spread(values)} % at width {best}"
            return Reading(bool(fits), text, {"narrowest width that fits": [float(w) for w in fits[:1]]})

        return Claim(
            name=f"{kind}: fitted",
            source="zhang2017, section 2.2, extended",
            statement=f"random labels are fitted at some width, weights {kind}",
            paper="the effective capacity suffices to memorize the data",
            tolerance="99 % training accuracy within the budget, in most seeds, at one of the widths swept",
            conditions=names,
            measure=measure,
            least_n=2000,
            least_seeds=3,
        )

    def narrowest(groups: dict[str, list[Record]]) -> Reading:
        values = [100 * r.final["train_accuracy"] for r in groups[_name(FREE, widths[0])]]
        fails = [r.steps_to_fit() is None and r.result["status"] != "diverged" for r in groups[_name(FREE, widths[0])]]
        return Reading(all(fails), spread(values, unit=" %"), {"training accuracy (%)": list(values)})

    signs = next(k for k in KINDS if k.startswith("{−1") and k.endswith("all layers"))

    def values_or_size(groups: dict[str, list[Record]]) -> Reading:
        short = [w for w in widths if accuracy(groups, signs, w) < 99]
        if not short:  # at the ceiling there is nothing to compare
            return Reading(None, f"fitted at every width with {signs}", {})
        restricted = accuracy(groups, signs, short[-1])
        same = next((w for w in widths if accuracy(groups, FREE, w) >= restricted), None)
        text = f"{restricted:.2f} % with {signs} at width {short[-1]}; free weights reach that at width {same}"
        return Reading(same is not None and same < short[-1], text, {"width of free weights": [same and float(same)]})

    return [
        *(fitted_at(kind) for kind in KINDS),
        Claim(
            name="size limits",
            source="the project's own question",
            statement=f"free weights at width {widths[0]} do not memorize: random labels are not fitted",
            paper="none",
            tolerance="99 % training accuracy in no seed within the budget, and none diverged",
            conditions=(_name(FREE, widths[0]),),
            measure=narrowest,
            least_n=2000,
            least_seeds=3,
        ),
        Claim(
            name="values limit",
            source="the survey's claim on capacity",
            statement=f"weights of {signs} memorize no more than free ones of a narrower network",
            paper="what values weights may take limits capacity, not only how many there are",
            tolerance="median training accuracy over seeds, at the end of the budget or when fitted, at the widest "
            "width where it is below 99 %; a rule made after the runs",
            conditions=tuple(_name(kind, w) for kind in (signs, FREE) for w in widths),
            measure=values_or_size,
            least_n=2000,
            least_seeds=3,
        ),
    ]
