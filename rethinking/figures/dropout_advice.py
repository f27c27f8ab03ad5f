"""The advice that came with dropout, one step at a time: wider, faster, bounded, longer; and how to average.

Srivastava et al. 2014 (JMLR 15), appendix A: n units become n/p, p the probability of keeping (A.1); a learning rate
10 to 100 times as high and momentum 0.95 to 0.99 (A.2); the norms of incoming weights at most 3 or 4 (A.3); section
7.5: scaling the weights at test time against averaging over sampled masks. Does it let random labels be fitted again?
All of it, and all but the learning rate and momentum.

    rethinking figure dropout_advice                 500 images, one seed: minutes
    rethinking figure dropout_advice --scale cpu     2,000 images, three seeds
"""

from typing import Any

from rethinking.claims import exact, rounded, spread
from rethinking.figures import Setting
from rethinking.figures._parts import INTERIM, UNSTATED
from rethinking.figures._stacks import LEARNS, better, shared, stack_panels, stack_table
from rethinking.figures._sweeps import CAVEAT, IMAGES, MLP_SIZE, NETWORKS, WORDS, budget, run
from rethinking.figures.kit import Claim, Frame, Grid, Measure, made
from rethinking.figures.kit.measures import UNMEASURED, final, highest
from rethinking.record import Record
from rethinking.spec import Part, Spec

NETWORK = NETWORKS[0]
CAPTION = "Dropout's advice one step at a time: training accuracy on random labels, test accuracy on true labels."
RATE, WIDER, FASTER, MOMENTUM, NORM, LONGER = 0.5, 1024, 0.1, 0.95, 3.0, 4
SLOW = "all but faster"
THEIRS = (
    "Nothing of its own; Srivastava et al. 2014: with dropout a network should be wider, learn faster, with bounded "
    "norms, for longer."
)
DEPARTURES = [
    "An extension: the paper has dropout on ImageNet alone (Table 2), at one rate.",
    f"Steps add up: dropout {RATE:g} of hidden units, {WIDER:,} units instead of 512, learning rate {FASTER:g} instead "
    f"of 0.01, momentum {MOMENTUM:g} instead of 0.9 (the lower ends of what is advised), norms of at most {NORM:g}, "
    f"{LONGER} times the steps. {SLOW!r} keeps the usual learning rate and momentum: it was added after the "
    "runs of the other steps, which do not train with the higher ones.",
    "Dropout divides what is kept by p, so that all units at test time are the network with scaled weights; the "
    "original's form scales at test time only, and so trains otherwise at the same learning rate. Claims on "
    "the latter were made after the runs.",
    CAVEAT,
    INTERIM,
    MLP_SIZE,
    UNSTATED,
]
PLAIN, SCALED, MASKED = (
    Part(name="dropout", options={"rate": RATE, "mode": mode}) for mode in ("inverted", "weight_scaling", "monte_carlo")
)
BOUND = Part(name="max_norm", options={"bound": NORM})
WIDE: dict[str, Any] = {"model_options": {"width": WIDER}}
FAST: dict[str, Any] = {**WIDE, "learning_rate": FASTER, "momentum": MOMENTUM}
ALL, MASKS, WITHOUT, STEPS_OFF = "+ longer", "averaged over masks", "without dropout", "no dropout"
ORIGINAL = "scaled at test"
ENOUGH = 50  # masks, from about which on the source finds that both agree
# Regularizers, changed fields, times the budget.
STEPS: dict[str, tuple[tuple[Part, ...], dict[str, Any], int]] = {
    STEPS_OFF: ((), {}, 1),
    "dropout": ((PLAIN,), {}, 1),
    "+ wider": ((PLAIN,), WIDE, 1),
    "+ faster": ((PLAIN,), FAST, 1),
    "+ max-norm": ((PLAIN, BOUND), FAST, 1),
}
for whole, fields in ((ALL, FAST), (SLOW, WIDE)):  # the advice as a whole, in the original's form, and so on
    STEPS[whole] = (PLAIN, BOUND), fields, LONGER
    STEPS[f"{whole}, {ORIGINAL}"] = (SCALED, BOUND), fields, LONGER
    STEPS[f"{whole}, {MASKS}"] = (MASKED, BOUND), fields, LONGER
    STEPS[f"{whole}, {WITHOUT}"] = (BOUND,), fields, LONGER
GRID = Grid("{step}, {labels} labels", labels=list(WORDS), step=list(STEPS))


def spec(setting: Setting, seed: int, step: str, **condition: str) -> Spec:
    """With as many evaluations whatever the budget: one over masks takes as long as 20."""
    parts, fields, times = STEPS[step]
    usual = run(setting, seed, NETWORK, condition["labels"], *parts, times=times)
    return usual.replace(**fields, eval_every=times * usual.eval_every)


def masks_of(record: Record) -> int | str:
    """Over how many masks a run's evaluations average."""
    parts = [part.options for part in getattr(record.spec, "regularizers", ())]
    return next((each["samples"] for each in parts if each.get("mode") == "monte_carlo"), UNMEASURED)


TRAIN, HIGHEST, TEST = final("train_accuracy"), highest(), final("test_accuracy")
COUNT = Measure("masks", "masks averaged over", masks_of, whole=True)
SHARED = {whole: shared("step", whole) for whole in (ALL, SLOW)}
MEASURES = [COUNT, *(measure for group in SHARED.values() for measure in group)]
TABLE, PANELS = stack_table("step"), stack_panels("step", chance=True)
HEIGHT = 4.2


def notes(setting: Setting) -> list[str]:
    return [
        budget(setting, NETWORK),
        f"{LONGER} times these steps from {ALL!r} on; {SLOW!r}: at the usual rate and momentum",
    ]


def finding(t: Frame, network: str) -> str | None:
    every, usual, none = (t.one(TEST, labels="true", step=step) for step in (ALL, SLOW, STEPS_OFF))
    all_of_it, slow, off = (f"{rounded(v):.1f} %" for v in (every, usual, none))
    if every < LEARNS:
        return (
            f"All of dropout's advice leaves {network} untrained ({all_of_it}); at the usual rate and momentum it "
            f"reaches {slow}, without dropout {off}"
        )
    return (
        f"With all of dropout's advice {network} reaches {all_of_it} test accuracy, at the usual rate and momentum "
        f"{slow}, without dropout {off}"
    )


def masks_agree(whole: str, advised: str, **texts: Any) -> Claim:
    """Averaging over masks against one pass of all units."""
    masks = f"{whole}, {MASKS}"
    averaged, scaled, gap, same = SHARED[whole]

    def learned(t: Frame) -> list[float]:
        return [v for measure in (averaged, scaled) for v in t.where(step=masks).values(measure)]

    def agree(t: Frame) -> bool | None:
        pairs = t.where(step=masks)
        if min(learned(t)) < LEARNS or not min(pairs.values(COUNT)) >= ENOUGH:
            return None
        return all(pairs.values(same)) and all(exact(abs(v)) <= 1 for v in pairs.values(gap))

    def ours(t: Frame) -> str:
        if min(learned(t)) < LEARNS:
            return f"nothing is trained: {spread(learned(t))} %"
        pairs = t.where(step=masks)
        count = min(pairs.values(COUNT))
        few = f", fewer than {ENOUGH}" * (count < ENOUGH)
        return f"{pairs.spread(gap, ' points')} with {count:.0f} masks{few}"

    def pair(
        points: list[float], averages: float = 20.0, all_units: float = 20.0, alike: float = 1.0, count: int = ENOUGH
    ) -> Frame:
        """Made up: the gap by seed; the accuracies; whether the last seed's online loss is the same; the masks."""
        losses = [1.0] * (len(points) - 1) + [alike]
        columns = {averaged.name: averages, scaled.name: all_units, gap.name: points, same.name: losses}
        return made(seeds=1, step=[masks] * len(points), masks=count, **columns)

    return Claim(
        name=f"masks against scaling, {whole}",
        where={"labels": "true", "step": [masks, whole]},
        source="Srivastava et al. 2014, section 7.5",
        statement=f"with dropout {advised}, averaging over masks predicts as well as one pass with all units",
        paper="from about 50 masks on the two agree within a standard deviation",
        rule="on true labels, at the last step where both are evaluated on the same test images, their test accuracies "
        "are within 1 point and their online losses the same, in every seed; not judged where one is below twice "
        f"chance, or where fewer than {ENOUGH} masks are averaged over, from about which on the source has them agree; "
        "a rule made after the runs: before, it was judged with fewer masks, too, and did not hold where "
        "both are trained",
        holds=agree,
        ours=ours,
        numbers=lambda t: {"points": t.where(step=masks).numbers(gap)},
        met=[pair([1.0, -1.0])],
        missed=[pair([1.1, 0.0]), pair([0.0, -1.1]), pair([0.0, 0.0], alike=0.0)],
        unjudged=[
            pair([0.0, 0.0], averages=19.9),
            pair([0.0, 0.0], all_units=19.9),
            *(pair(points, count=ENOUGH - 1) for points in ([0.0, 0.0], [1.1, 0.0])),
        ],
        **texts,
    )


def memorizes(t: Frame) -> bool | None:
    learned = t.where(labels="true").values(TRAIN)
    return None if min(learned) < LEARNS else t.where(labels="random").fitted


def memorized(t: Frame) -> str:
    if memorizes(t) is None:
        return f"nothing is learned: training accuracy on true labels {t.where(labels='true').spread(TRAIN)} %"
    return f"{t.where(labels='random').spread(HIGHEST, ' %')} at the highest"


def both(true: float, random: str = "fitted") -> Frame:
    """Made up: the training accuracy on true labels, how the run on random ones stands."""
    return made(labels=["random", "true"], train_accuracy=[99.0, true], state=[random, "fitted"])


def claims_of(whole: str, key: str, advised: str) -> list[Claim]:
    least: dict[str, Any] = {"least_n": IMAGES[NETWORK], "least_seeds": 3}

    def higher(told: str, statement: str, *others: str) -> list[Claim]:
        """The claim that dropout generalizes better, of each of its two forms."""
        texts = {"source": "Srivastava et al. 2014, appendix A", "paper": "it advises these settings"}
        forms = {"": (whole, "in its inverted form"), "original_": (f"{whole}, {ORIGINAL}", "in the original's form")}
        return [
            better(
                "step",
                step,
                *others,
                id=f"dropout_advice.{key}.{which}{told}",
                name=f"{step} over {others[0]}",
                statement=f"dropout {advised}, {form}, generalizes better than {statement}",
                **texts,
            )
            for which, (step, form) in forms.items()
        ]

    return [
        *higher("over_none", "no dropout, with and without the rest of the advice", STEPS_OFF, f"{whole}, {WITHOUT}"),
        *higher("over_plain", "plain dropout", "dropout"),
        masks_agree(whole, advised, id=f"dropout_advice.{key}.masks", **least),
        Claim(
            id=f"dropout_advice.{key}.memorizes",
            name=f"memorizes, {whole}",
            where={"step": whole},
            source="zhang2017, section 3, extended",
            statement=f"dropout used {advised} still lets random labels be fitted",
            paper="regularization does not stop memorization",
            rule="every seed reaches 99 % training accuracy on random labels within the budget; not judged where "
            "training accuracy on true labels stays below twice chance",
            holds=memorizes,
            ours=memorized,
            numbers=lambda t: {"highest training accuracy (%)": t.where(labels="random").numbers(HIGHEST)},
            met=[both(20.0)],
            missed=[both(20.0, "censored")],
            unjudged=[both(19.9)],
            **least,
        ),
    ]


CLAIMS = [
    *claims_of(ALL, "longer", "as advised"),
    *claims_of(SLOW, "all_but_faster", "as advised at the usual learning rate"),
]
