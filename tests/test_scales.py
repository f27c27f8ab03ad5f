"""Images, epochs, precision and seeds as departures and docs/commands.md state them, against the specs of figures.

The numbers are written out here: no constant of the package decides both sides.
"""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from rethinking import catalog, figures
from rethinking.figures._parts import BUDGET, INCEPTION, UNSTATED
from rethinking.figures.table3 import FILTERS
from rethinking.spec import ImageNetSpec, ProbeSpec, RunSpec, theory

COMMANDS = Path(__file__).parents[1] / "docs" / "commands.md"
FULL = 50_000
MLP = (FULL, 35_190, "budget", "float32", 3)
# scale -> network -> training images, steps, what ends a run, precision, seeds
USUAL = {
    "quick": {
        "inception": (200, 200, "fitted", "float32", 1),
        "alexnet": (500, 400, "fitted", "float32", 1),
        "mlp-1x512": (2000, 1600, "fitted", "float32", 1),
        "mlp-3x512": (2000, 1600, "fitted", "float32", 1),
    },
    "cpu": {
        "inception": (2000, 3200, "fitted", "bfloat16", 1),
        "alexnet": (2000, 3200, "fitted", "bfloat16", 1),
        "mlp-1x512": MLP,
        "mlp-3x512": MLP,
    },
    "paper": {
        "inception": (FULL, 25_024, "budget", "bfloat16", 1),
        "alexnet": (FULL, 35_190, "budget", "bfloat16", 1),
        "mlp-1x512": MLP,
        "mlp-3x512": MLP,
    },
}
ON_ALL = {"mlp": (FULL, 90), "alexnet": (FULL, 90)}
SHORT = {"quick": {"mlp": (500, 45)}, "cpu": {"mlp": (2000, 50)}, "paper": {"mlp": (FULL, 90)}}
WITH_ONE = {"mlp": [(2000, 50), (2000, 100)]}
EQUAL = {"mlp": [(10_000, 200), (20_000, 200), (FULL, 90)]}
MIXED = {"mlp": [(10_000 + m, 200) for m in range(0, 5001, 1000)]}
# words of a figure's departures -> scale -> kind of network ("": every one) -> training images and epochs of its runs
TOLD = {
    "All 50,000 images: 90 epochs (35,190 steps)": {"paper": {"": (FULL, 90), "inception": (FULL, 64)}},
    "a run stops when every training example is right, or after 200 epochs (quick: 100)": {
        "quick": {"": (500, 100)},
        "cpu": {"": (2000, 200)},
    },
    "paper: all 50,000 images, 64 epochs": {"paper": {"": (FULL, 64)}},
    "cpu: mlp-3x512 (float32) on 2,000 images. quick: on 500. paper: all 50,000 images, 90 epochs.": SHORT,
    "cpu: mlp-3x512 (float32) and resnet-20 on 2,000 images, alexnet on 1,000": {
        **SHORT,
        "cpu": {"mlp": (2000, 50), "resnet": (2000, 120), "alexnet": (1000, 120)},
        "paper": {"": (FULL, 90)},
    },
    "Random labels with dropout have twice the budget": {
        "quick": {"mlp": (500, 90)},
        "cpu": {"mlp": (2000, 100), "alexnet": (1000, 240)},
        "paper": {"": (FULL, 180)},
    },
    "Twice the budget": {
        "quick": {"mlp": (500, 90)},
        "cpu": {"mlp": [(2000, 100), (1000, 50)], "alexnet": (1000, 240), "resnet": (2000, 240)},
        "paper": {"": (FULL, 180)},
    },
    "Eight times": {"quick": {"mlp": (500, 360)}, "cpu": {"mlp": (2000, 400)}, "paper": {"mlp": (FULL, 720)}},
    "4 times the steps": {"quick": {"mlp": (500, 180)}, "cpu": {"mlp": (2000, 200)}, "paper": {"mlp": (FULL, 360)}},
    "over twice the budget": {
        "quick": {"inception": (200, 200)},
        "cpu": {"inception": (2000, 400)},
        "paper": {"inception": (FULL, 128)},
    },
    "Regularizers: MLP 3x512 on 2,000 images (quick: 500), each regularizer at its typical strength": {
        "quick": {"mlp": [(500, 45), (500, 90)]},
        "cpu": WITH_ONE,
        "paper": WITH_ONE,
    },
    "and AlexNet (one) on all 50,000 images, at the end of the paper's schedule; quick: on 2,000 and 500 images": {
        "quick": {"mlp": (2000, 100), "alexnet": (500, 100)},
        "cpu": ON_ALL,
        "paper": ON_ALL,
    },
    "on 10,000 and 20,000 images for at most 200 epochs, on all 50,000 for the paper's 90": {
        "cpu": EQUAL,
        "paper": EQUAL,
    },
    "on 250, 1,000 and 2,000 images for at most 100": {"quick": {"mlp": [(250, 100), (1000, 100), (2000, 100)]}},
    "AlexNet, one seed, is trained on all 50,000 images in bfloat16 autocast to the end of the paper's schedule": {
        "quick": {"alexnet": (500, 100)},
        "cpu": {"alexnet": (FULL, 90)},
        "paper": {"alexnet": (FULL, 90)},
    },
    "The first 10,000 images have true labels (quick: 1,000), the next ones, up to 5,000 (quick: 500), random ones": {
        "quick": {"mlp": [(1000, 100), (1250, 100), (1500, 100)]},
        "cpu": MIXED,
        "paper": MIXED,
    },
    "or after 90 epochs (quick: 100). Networks that do not get there": {
        "quick": {"mlp": (2000, 100)},
        "cpu": {"mlp": (60_000, 90)},
        "paper": {"mlp": (60_000, 90)},
    },
    "cpu: 2,000 images, of which 400 are held out; quick: 500 and 100. The whole budget is trained: 100 epochs (quick "
    "40, paper 80).": {"quick": {"": (500, 40)}, "cpu": {"": (2000, 100)}, "paper": {"": (FULL, 80)}},
    "Runs on fewer than 50,000 images have the precision of cpu at every scale": {
        "quick": {"": [(n, 200) for n in (250, 500, 1000, 2000)]},
        "cpu": {"": [*((n, 200) for n in (1000, 2000, 5000, 10_000, 20_000)), (FULL, 90)]},
        "paper": {"": [(n, 200) for n in (1000, 2000, 5000, 10_000, 20_000)]},
    },
}
TO_BATCH_SIZE = "regularizers dose frontier budgets dropout_batchnorm dropout_advice l1_l2 capacity early_stopping"
TO_BATCH_SIZE = [*TO_BATCH_SIZE.split(), "ensembles", "batch_size"]
TABLES = ["table1", "table4"]
SIZES = {FULL, 1000, 2000, 5000, 10_000, 20_000}
SMALL = {250, 500, 1000, 1250, 1500, 2000}


def each(names, **images):
    """Training images by kind of network, the same of several figures."""
    return dict.fromkeys(names, images)


OWN = {
    **each(["data_size"], mlp=SIZES, alexnet=SIZES),
    **each(["capacity_measures"], mlp={2000, 10_000, 20_000, FULL}, alexnet={FULL}),
    **each(["sharpness"], mlp={10_000, 20_000, FULL}),
    **each(["confusion_set"], mlp=set(range(10_000, 15_001, 1000))),
    **each(["hidden_units"], mlp={60_000}),
    **each(["deletion", "one_pixel", "shift"], mlp={2000, FULL}, alexnet={FULL}),
}
# scale -> training images by figure ("": of all others), as docs/commands.md says
IMAGES = {
    "quick": {
        **each([""], mlp={2000}, alexnet={500}, inception={200}),
        **each(TO_BATCH_SIZE, mlp={500}, alexnet={500}),
        **each(OWN, mlp=SMALL, alexnet={500}),
        **each(["data_size"], mlp=SMALL, alexnet=SMALL),
    },
    "cpu": {
        **each([""], mlp={FULL}, alexnet={2000}, inception={2000}),
        **each([*TABLES, "effects", "weight_decay", "unstated"], mlp={FULL}, alexnet={FULL}, inception={2000}),
        **each(TO_BATCH_SIZE, mlp={1000, 2000}, alexnet={1000, 2000}, resnet={2000}),
        **OWN,
    },
    "paper": {**each(["", *TO_BATCH_SIZE], mlp={FULL}, alexnet={FULL}, inception={FULL}, resnet={FULL}), **OWN},
}
SAID = {
    "quick": "200 or 500 images (Inception), 500 (AlexNet), 2,000 (MLPs; 500 in the figures from `regularizers` to "
    "`batch_size`; 250 to 2,000 in `data_size`, as AlexNet there, and in those from `deletion` on), 1 seed, stops when",
    "cpu": "MLPs on all 50,000 images for 90 epochs, 3 seeds; AlexNet the same in the tables, `effects`, "
    "`weight_decay` and `unstated`, 1 seed; `theorem1` and `table3` all images; figures on regularizers 2,000 (AlexNet "
    "mostly 1,000), "
    "3 seeds; `data_size` 1,000 to 50,000; from `deletion` on the networks on all images, those with regularizers on "
    "2,000, `capacity_measures` and `sharpness` on 10,000 and 20,000 too, `confusion_set` on 10,000 to 15,000, "
    "`hidden_units` on 60,000 of MNIST; else 2,000 images (`min_norm` 12,000); MLPs in float32, other networks in "
    "bfloat16",
    "paper": "all 50,000 images (`data_size`, and from `deletion` on, as at `cpu`): Inception 25,024 steps or until "
    "fitted (in `table4` with augmentation 50,048), 1 seed, in bfloat16; MLPs 90 epochs, in the paper's own figures "
    "the records of `cpu`; AlexNet likewise in the tables, in `fig1a`, `fig1b` and `fig1c` until fitted, within 90 "
    "epochs;",
}
NAMES = [name for name, entry in catalog.entries("figures").items() if not entry.digest]


def runs_of(name, scale):
    """The trainings that a figure asks for at a scale, of every network that it can be drawn for."""
    models = catalog.find("figures", name).constants["MODELS"]
    settings = [replace(figures.setting(name, scale, model), precision="float32") for model in models]
    specs = [spec for setting in settings for spec in figures.unique(figures.specs(name, setting))]
    return [run for spec in specs if isinstance(run := getattr(spec, "run", spec), RunSpec)]


def said_of(run, told):
    """Whether words say a run's images and epochs. told: kind of network -> (images, epochs), or several."""
    cells = told.get(run.model.partition("-")[0], told.get("", []))
    return (run.n, round(run.steps / run.epoch_steps)) in (cells if isinstance(cells, list) else [cells])


@pytest.mark.parametrize("scale", figures.SCALES)
def test_scales_are_what_is_written_of_them(scale):
    for model, (n, steps, stop, precision, seeds) in USUAL[scale].items():
        usual = replace(figures.setting("table1", scale), precision="float32")
        run = usual.spec(0, model=model)
        assert (run.n, run.steps, run.stop, run.precision) == (n, steps, stop, precision), model
        assert len(usual.seeds_of(model)) == seeds
        assert (run.evaluation == "probe") == (scale == "paper" and model == "inception")
        assert (run.batch_size, run.decay_every) == (128, 391)
    if scale == "quick":
        assert replace(usual, precision="bfloat16").spec(0, model="inception").n == 500
    assert "90 epochs (35,190 steps)" in BUDGET
    assert "64 epochs (25,024 steps)" in INCEPTION


@pytest.mark.parametrize("scale", figures.SCALES)
def test_the_table_of_scales_says_what_every_figure_trains(scale):
    text, images = COMMANDS.read_text("utf-8"), IMAGES[scale]
    (row,) = re.findall(rf"^\| `{scale}`.*", text, re.M)
    assert SAID[scale] in row
    cells = [line.split("|")[1] for line in re.findall(r"^\| `.*", text, re.M)]
    listed = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    assert listed[listed.index("regularizers") : listed.index("deletion")] == TO_BATCH_SIZE
    assert {*listed[listed.index("deletion") :], "data_size"} == OWN.keys()
    for name in NAMES:
        for run in runs_of(name, scale):
            kind = run.model.partition("-")[0]
            assert run.n in images.get(name, images[""])[kind], (name, run.run_id)
            if scale == "paper" and kind == "inception":
                augmented = {part.name for part in run.regularizers} - {"weight_decay"}
                epochs = 128 if name == "table4" and augmented else 64
                assert run.steps == epochs * run.epoch_steps, (name, run.run_id)
            if scale == "paper" and kind == "alexnet" and name.startswith("fig1"):
                assert (run.steps, run.stop) == (35_190, "fitted"), (name, run.run_id)


def test_the_paper_s_own_figures_share_the_records_of_cpu_where_that_is_said():
    for name in ("fig1a", "fig1b", "fig1c", *TABLES):
        shared = {run.run_id for run in runs_of(name, "cpu")}
        for run in runs_of(name, "paper"):
            same = run.model.startswith("mlp") or (run.model == "alexnet" and name in TABLES)
            assert (run.run_id in shared) == same, (name, run.run_id)


@pytest.mark.parametrize("name", NAMES)
def test_departures_state_the_images_epochs_and_precision_of_their_figures_runs(name):
    module = catalog.load("figures", name)
    text = " ".join(" ".join(module.DEPARTURES).split())
    told = {words: of for words, of in TOLD.items() if words in text}
    for scale in figures.SCALES:
        runs = runs_of(name, scale)
        for words, of in told.items():
            assert scale not in of or any(said_of(run, of[scale]) for run in runs), words
        for run in runs:
            n, steps, *_ = USUAL[scale].get(run.model.removesuffix("-nobn"), (0, 0))
            by_epochs = run.steps if run.batch_size == 128 else run.steps * -(-run.n // 128) / run.epoch_steps
            usual = (run.n, by_epochs) == (n, steps)
            tables = name in (*TABLES, "effects", "weight_decay", "unstated") and said_of(run, ON_ALL)
            assert usual or tables or any(said_of(run, of.get(scale, {})) for of in told.values()), run.run_id
            parts = {part.name for part in run.regularizers}
            if scale != "quick" and (parts or run.model != "resnet-20"):  # whose baselines are in both
                precise = run.model.startswith("mlp") or "local_response_norm" in parts
                assert run.precision == ("float32" if precise else "bfloat16"), run.run_id
            if UNSTATED in module.DEPARTURES:
                assert run.batch_size == 128 or name in ("batch_size", "unstated")
                every = 469 if run.data == "mnist" and run.n == 60_000 else 391
                if name == "unstated":  # where the rate falls by epochs, whatever the batch size
                    every = round(every * run.epoch_steps / -(-run.n // 128))
                assert run.decay_every == every
            if BUDGET in module.DEPARTURES:
                assert run.stop_loss is None or f"at {run.stop_loss} nats is therefore compared too" in text
                assert run.stop == "fitted" or run.stop_loss or run.regularizers or run.n == FULL
    if "three seeds" in text:  # and one of AlexNet
        seeds = {(run.model, run.seed) for run in runs_of(name, "cpu")}
        assert seeds <= {*((m, k) for m in ("mlp-1x512", "mlp-3x512") for k in range(3)), ("alexnet", 0)}
        assert len(seeds) in (6, 7)
    if told and "alexnet" in text.lower():
        assert any(run.model == "alexnet" for scale in figures.SCALES for run in runs_of(name, scale))
    if told and "regularizers" in text.lower():
        assert any(run.regularizers for scale in figures.SCALES for run in runs_of(name, scale))


def test_a_figure_of_own_data_is_what_its_page_says():
    text = " ".join((COMMANDS.parent / "own-data.md").read_text("utf-8").split())
    for words, scale, model, network, n, steps, seeds in (
        ("of MLP 3x512 on the first 2,000 images", "quick", None, "mlp-3x512", 2000, 1600, 1),
        ("cpu --model mlp-3x512` takes up to 50,000 images, 3 seeds", "cpu", "mlp-3x512", "mlp-3x512", FULL, 78_200, 3),
        ("Without `--model`, `--scale cpu` is of Inception", "cpu", None, "inception", 2000, 3200, 3),
        ("`--model inception` is of fewer images", "quick", "inception", "inception", 200, 1600, 1),
    ):
        own = figures.setting("fig1a", scale, model, data="fashion_mnist")
        runs = figures.unique(figures.specs("fig1a", own))
        assert {(run.model, run.n, run.steps) for run in runs} == {(network, n, steps)}
        assert len(runs) == 5 * seeds
        assert words in text


def test_the_page_on_theory_names_the_filters_of_table_3():
    text = " ".join((COMMANDS.parent / "theory.md").read_text("utf-8").split())
    cpu, paper = (
        f"{', '.join(f'{n:,}' for n in few)} and {most:,}" for *few, most in map(FILTERS.get, ("cpu", "paper"))
    )
    assert f"`--scale paper` has rows of {paper} random filters instead of {cpu};" in text


def test_every_statement_of_sizes_is_of_some_figure():
    texts = [" ".join(" ".join(catalog.load("figures", name).DEPARTURES).split()) for name in NAMES]
    assert [words for words in TOLD if not any(words in text for text in texts)] == []
    held = [{run.held_out for run in runs_of("early_stopping", scale)} for scale in ("cpu", "quick")]
    assert held == [{400}, {100}]


@pytest.mark.parametrize(
    ("name", "kind", "quick", "cpu"),
    [
        ("min_norm", theory.KernelSpec, {2000}, {12_000}),
        ("min_norm", theory.LinearSpec, {50, 100, 300}, {50, 100, 300, 600, 2000}),
        ("table3", theory.KernelSpec, {2000}, {50_000, 60_000}),
        ("theorem1", theory.Theorem1Spec, {100, 300, 1000, 2000}, {100, 300, 1000, 3000, 10_000, 50_000}),
        ("table2", ImageNetSpec, {200}, {1_281_167}),
        ("fig2a", ImageNetSpec, {200}, {1_281_167}),
    ],
)
def test_what_is_no_training_on_small_images_has_the_images_that_are_stated(name, kind, quick, cpu):
    for scale, images in (("quick", quick), ("cpu", cpu)):
        specs = figures.unique(figures.specs(name, figures.setting(name, scale)))
        assert {spec.n for spec in specs if isinstance(spec, kind)} == images


@pytest.mark.parametrize(
    ("name", "probe", "kind", "options", "quick", "cpu"),
    [
        ("deletion", "deletion", "mlp", ("images", "repeats", "points"), {(500, 2, 16)}, {(2000, 10, 16)}),
        ("deletion", "deletion", "alexnet", ("images", "repeats", "points"), {(500, 2, 16)}, {(2000, 3, 16)}),
        ("deletion", "noise", "mlp", ("images", "repeats"), {(500, 2)}, {(2000, 3)}),
        ("deletion", "selectivity", "mlp", ("images",), {(100,)}, {(1000,)}),
        ("one_pixel", "one_pixel", "mlp", ("images",), {(20,)}, {(200,)}),
        ("one_pixel", "one_pixel", "alexnet", ("images",), set(), {(50,)}),
        ("sharpness", "sharpness", "mlp", ("images", "restarts", "steps"), {(2000, 1, 10)}, {(2000, 3, 20)}),
        ("sharpness", "pac_bayes", "mlp", ("images", "draws"), {(500, 3)}, {(1000, 10)}),
        ("shift", "shift", "mlp", ("images",), {(500,)}, {(5000,)}),
    ],
)
def test_probes_measure_as_much_as_departures_state(name, probe, kind, options, quick, cpu):
    usual = {k: told["default"] for k, told in catalog.find("probes", probe).constants["OPTIONS"].items()}
    for scale, stated in (("quick", quick), ("cpu", cpu)):
        specs = figures.unique(figures.specs(name, figures.setting(name, scale)))
        asked = [s.probe for s in specs if isinstance(s, ProbeSpec) and s.run.model.startswith(kind)]
        found = [usual | part.options for part in asked if part.name == probe]
        assert {tuple(each[option] for option in options) for each in found} == stated


def test_imagenets_set_up_is_that_of_its_departures():
    specs = figures.unique(figures.specs("table2", figures.setting("table2", "paper")))
    for s in specs:
        assert (s.processes, s.batch_size // s.processes, s.interim_train, s.seed) == (8, 32, 50_000, 0)
        assert (s.learning_rate, s.lr_decay, s.decay_epochs, round(s.epoch_at(s.steps), 3)) == (0.1, 0.16, 30, 90)
        assert (s.rms_decay, s.momentum, s.epsilon, s.batch_norm_decay) == (0.9, 0.9, 1, 0.9997)
        assert (s.label_smoothing, s.auxiliary, s.centre, s.precision) == (0.1, 0.4, 0.875, "bfloat16")
    assert ({s.weight_decay for s in specs}, {s.dropout for s in specs}) == ({0, 4e-5}, {0, 0.2})
