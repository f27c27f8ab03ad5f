"""Runs and figures of other data than the paper's: images as they come, and every word and number of that data."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from command import cli
from small_images import IMAGES, LABELS, RNG, TINY

import rethinking
from rethinking import catalog, claims, data, figures, plotting
from rethinking.api._experiment import _untrained
from rethinking.cli import main
from rethinking.engines.execute import execute
from rethinking.engines.local import resolve_device, resolve_precision
from rethinking.errors import InputError
from rethinking.figures import Subject, terms
from rethinking.figures.kit import declared
from rethinking.record import Record, Runs
from rethinking.report import model
from rethinking.spec import RunSpec, canonical_crop
from rethinking.training import Training

pytestmark = pytest.mark.usefixtures("home")


def _npz(at, **arrays):
    given = {"train_images": IMAGES, "train_labels": LABELS, "test_images": IMAGES[:9], "test_labels": LABELS[:9]}
    np.savez(at / "a.npz", **given | arrays)
    return at / "a.npz"


# --- no crop but where the set has one or the caller asks -----------------------------------------


def test_images_are_trained_on_whole_unless_the_set_or_the_caller_crops(tmp_path, toy):
    image = IMAGES.repeat(2, axis=1).repeat(2, axis=2)
    data.add("large", _npz(tmp_path, train_images=image, test_images=image[:9]))
    plain = RunSpec.make(data="large", **TINY)
    assert Training(plain).train_images.shape == (20, 3, 64, 64)
    cut = plain.replace(crop=28)
    assert Training(cut).train_images.shape == (20, 3, 28, 28)
    assert cut.run_id != plain.run_id
    assert "crop28" in cut.run_id
    assert "crop" not in plain.identity
    assert plain.replace(crop=64) == plain.replace(crop=999) == plain
    assert canonical_crop("cifar10", 28) is None
    assert canonical_crop("cifar10", 99) == 32
    assert Training(RunSpec.make(data="toy", **TINY), toy).side == 28  # its file says so
    with pytest.raises(InputError, match=r"tiny cannot take images of 64 x 64 pixels .*give --crop 28"):
        Training(plain.replace(model="tiny", model_options={}))
    data.add("wide", _npz(tmp_path, train_images=IMAGES[:, :20], test_images=IMAGES[:9, :20]))
    with pytest.raises(InputError, match="of 20 x 32 pixels, the networks take squares: give --crop 20"):
        RunSpec.make(data="wide", **TINY)
    assert RunSpec.make(data="wide", crop=20, **TINY).crop == 20


def test_a_network_is_loaded_for_the_images_that_its_run_saw(tmp_path):
    image = IMAGES.repeat(2, axis=1).repeat(2, axis=2)
    data.add("large", _npz(tmp_path, train_images=image, test_images=image[:9]))
    for crop in (None, 28, 20):
        spec = RunSpec.make(data="large", crop=crop, **TINY)
        _untrained(spec).load_state_dict(Training(spec).network.state_dict())


def test_a_comparison_names_the_crop_where_that_is_what_differs(tmp_path):
    data.add("mine", _npz(tmp_path))
    runs = Runs(tmp_path / "runs")
    specs = [RunSpec.make(data="mine", crop=crop, **TINY) for crop in (None, 20)]
    for spec in specs:
        execute(spec, runs)
    frame = rethinking.records(runs.root).frame()
    whole, cut = (frame[frame["run"] == spec.run_id] for spec in specs)
    assert rethinking.compare(cut, whole).changed == {"crop": (None, 20)}
    assert rethinking.compare(cut, cut).changed == {}


def test_data_that_are_handed_over_are_not_cropped():
    with pytest.raises(InputError, match="crop is 16: data that are handed over are taken whole"):
        rethinking.experiment((IMAGES, LABELS), "mlp-1x512", crop=16, steps=1)


# --- figures --------------------------------------------------------------------------------------

ABLE = [name for name, entry in catalog.entries("figures").items() if entry.constants.get("OTHER_DATA")]
FOREIGN = ("cifar", "zhang", "replicat", "the paper", "50,000", "yousan")


def of_mine(name, **more):
    return figures.setting(name, data="mine", **more)


@pytest.mark.parametrize("name", ABLE)
def test_every_word_of_a_figure_on_other_data_is_of_that_data(name, tmp_path):
    data.add("mine", _npz(tmp_path))
    setting = of_mine(name)
    assert all(spec.data == "mine" and spec.n <= 30 for spec in figures.unique(figures.specs(name, setting)))
    drawn = figures.draw(name, setting, Runs(tmp_path / "runs"), tmp_path)
    network = "-mlp-3x512" if name == "fig1a" else ""  # at quick an MLP, which learns all of the data in a minute
    assert drawn.files[0].name == f"{name}-quick-mine{network}.svg"
    told = json.dumps(drawn.numbers).lower()
    assert [word for word in FOREIGN if word in told] == []
    assert "mine: 30 training and 9 test images" in drawn.numbers["caption"]
    trained = {"early_stopping": "24 images, 6 more held out, in batches of 24"}
    assert f"A run trains on {trained.get(name, '')}" in drawn.numbers["departures"][2]
    assert all(row["data"] == "mine" for row in drawn.numbers["table"])
    assert {v.verdict for v in drawn.verdicts} <= {"not run", "not judged"}


@pytest.mark.parametrize("name", ["fig1a", "fig1b"])
def test_the_legend_of_other_data_stands_below_the_panels(name, tmp_path):
    """Its curves may lie anywhere; on the paper's data it stands where there is room."""
    data.add("mine", _npz(tmp_path))
    module, found = catalog.load("figures", name), []
    for setting in (of_mine(name), figures.setting(name)):
        with plotting.style():
            picture = figures.made(name, module, setting, Runs(tmp_path / "runs"))[1]()
        for legend in picture.legends:
            picture.draw_without_rendering()
            box = legend.get_window_extent()
            assert picture.bbox.x0 <= box.x0 < box.x1 <= picture.bbox.x1
        found.append((len(picture.legends), sum(axes.get_legend() is not None for axes in picture.axes)))
        plotting.pyplot().close(picture)
    assert found == [(1, 0), (0, 1)]


def test_fig1a_answers_the_papers_questions_of_other_data(tmp_path):
    assert {"fig1a", "fig1b", "fig1c", "curves", "data_size", "batch_size"} <= set(ABLE)
    shades = np.repeat([40, 120, 220], 20)[:, None, None, None] + RNG.integers(-9, 10, (60, 8, 8, 1))
    shades[:, :, :4] //= 2
    labels, order = np.repeat([0, 1, 2], 20), RNG.permutation(60)
    arrays = {"train_images": shades[order].astype(np.uint8), "train_labels": labels[order]}
    data.add("mine", _npz(tmp_path, **arrays, test_images=shades[::2].astype(np.uint8), test_labels=labels[::2]))
    here = resolve_precision("auto", resolve_device("auto"))
    setting, runs = of_mine("fig1a", model="mlp-1x512", precision=here), Runs(tmp_path / "runs")
    for spec in figures.unique(figures.specs("fig1a", setting)):
        execute(spec, runs)
    drawn = figures.draw("fig1a", setting, runs, tmp_path)
    assert drawn.files[0].name == "fig1a-quick-mine-mlp-1x512.svg"
    assert not drawn.missing
    by_name = {v.name: v for v in drawn.verdicts}
    chance = by_name["random labels do not generalize"]
    assert "at chance" in chance.ours  # or not, and fitted or not: what one minute trains
    assert chance.ours.endswith("chance is 33.3 %")
    assert {v.verdict for v in drawn.verdicts} <= set(claims.EXTENSION.values())
    assert {(v.source, v.paper) for v in drawn.verdicts} == {("fig1a, asked of mine", "")}
    assert rethinking.figure("fig1a", data="mine", model="mlp-1x512", runs=runs.root).numbers == drawn.numbers
    with pytest.raises(InputError, match="`rethinking figure fig1a --scale cpu --data mine --crop 4`"):
        rethinking.figure("fig1a", "cpu", data="mine", crop=4, runs=runs.root)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch has no oneDNN")
@pytest.mark.parametrize("name", ["curves", "data_size", "fig1a", "fig1b"])
def test_a_figure_of_convolutions_in_bfloat16_is_drawn_of_trained_runs(name, tmp_path, monkeypatch):
    data.add("mine", _npz(tmp_path, train_images=IMAGES[:, 2:30, 2:30, :1], test_images=IMAGES[:9, 2:30, 2:30, :1]))
    monkeypatch.setattr(figures.Setting, "reduced_steps", lambda *_: 2)
    setting, runs = of_mine(name, model="alexnet", precision="bfloat16"), Runs(tmp_path / "runs")
    for spec in figures.unique(figures.specs(name, setting)):
        assert execute(spec, runs)
        assert spec.precision == "bfloat16"
    drawn = figures.draw(name, setting, runs, tmp_path)
    assert drawn.files[0].name == f"{name}-quick-mine-alexnet.svg"
    assert not drawn.missing
    assert {v.verdict for v in drawn.verdicts} <= {*claims.EXTENSION.values(), claims.NOT_JUDGED}


@pytest.mark.parametrize(
    ("accuracy", "fit", "told"),
    [
        (0.1, 1.0, "at chance: 10.00 %"),
        (0.1, 0.5, "at chance, not fitted: 10.00 %"),
        (0.3, 1.0, "not at chance: 30.00 %"),
        (0.3, 0.5, "not at chance, not fitted: 30.00 %"),
    ],
)
def test_random_labels_at_chance_are_told_apart_from_random_labels_fitted(accuracy, fit, told):
    setting = figures.setting("fig1a", model="tiny")  # a network of a plug-in, on the paper's data
    curve = {"step": [0, 1], "train_loss": [1.0, 1.0], "train_accuracy": [0.1, fit], "test_accuracy": [accuracy] * 2}
    wanted = figures.specs("fig1a", setting)["random labels"]
    runs = [Record(Path(), spec, {"status": "budget"}, {}, curve) for spec in wanted]
    (chance,) = (c for c in figures.claims_of(catalog.load("figures", "fig1a"), setting) if "chance" in c.id)
    reading = chance.measure({"random labels": runs})
    assert (reading.ours, reading.holds) == (told, told.startswith("at chance: "))


@pytest.mark.parametrize("name", ["fig1b", "fig1c"])
def test_a_figure_of_several_networks_can_be_of_one_on_other_data(name, tmp_path):
    data.add("mine", _npz(tmp_path))
    for network, named in (("mlp-1x512", {}), ("resnet-20", {"network": "resnet-20"})):
        setting = of_mine(name, model=network)
        assert {spec.model for spec in figures.unique(figures.specs(name, setting))} == {network}
        drawn = figures.draw(name, setting, Runs(tmp_path / "runs"), tmp_path)
        assert drawn.files[0].name == f"{name}-quick-mine-{network}.svg"
        assert {v.id.endswith(f".{network}") and v.id.count(network) == 1 for v in drawn.verdicts} == {True}
        assert {v.source for v in drawn.verdicts} == {f"{name}, asked of {' and '.join(['mine', *named.values()])}"}
        assert figures.setting_of(drawn.numbers) == setting
    with pytest.raises(InputError, match="is not of one network, --model mlp-1x512 is given: leave it out"):
        figures.setting(name, model="mlp-1x512")


@pytest.mark.parametrize(("train", "test"), [(10, 4), (320, 40), (1200, 300)])
def test_every_figure_of_any_set_compares_at_least_two_sizes_and_has_no_rule_that_cannot_be_met(train, test, tmp_path):
    images = RNG.integers(0, 256, (train + test, 4, 4, 1), dtype=np.uint8)
    labels = np.arange(train + test) % 2
    arrays = {"train_images": images[:train], "train_labels": labels[:train]}
    data.add("mine", _npz(tmp_path, **arrays, test_images=images[train:], test_labels=labels[train:]))
    for name in ABLE:
        module, has = catalog.load("figures", name), {}
        for scale in ("paper", "cpu", "quick"):
            setting = of_mine(name, scale=scale)
            wanted, asked = figures.runs_of(module, setting), figures.claims_of(module, setting)
            if name in ("data_size", "batch_size"):
                values = next(v for k, v in module.grid(setting).coordinates.items() if k in ("images", "batch"))
                assert len(set(values)) == len(values) >= 2
                assert max(values) <= train
            for claim in asked:
                least = min(spec.n for condition in claim.conditions for spec in wanted[condition])
                assert claim.larger in ("", *has)
                assert (least < claim.least_n) == bool(claim.larger)
                if claim.larger and claim.id in has[claim.larger]:
                    assert has[claim.larger][claim.id] >= claim.least_n
                has.setdefault(scale, {})[claim.id] = least


@pytest.mark.parametrize(
    ("side", "sizes"), [(4, set()), (8, set()), (9, {8, 16}), (12, {8, 16, 20}), (13, {8, 16, 24})]
)
def test_a_sweep_leaves_out_the_squares_that_would_cover_an_image(side, sizes, tmp_path):
    images = RNG.integers(0, 256, (60, side, side, 1), dtype=np.uint8)
    data.add(
        "mine",
        _npz(
            tmp_path,
            train_images=images,
            train_labels=np.arange(60) % 2,
            test_images=images[:20],
            test_labels=np.arange(20) % 2,
        ),
    )
    for name in ("dose", "frontier", "regularizers"):
        wanted = figures.unique(figures.specs(name, of_mine(name)))
        cut = {part.options["size"] for spec in wanted for part in spec.regularizers if part.name == "cutout"}
        assert cut == (sizes if name != "regularizers" else sizes & {16})


def test_rules_on_accuracies_are_not_judged_on_too_few_test_images(tmp_path):
    labels = np.arange(30) % 2
    data.add("mine", _npz(tmp_path, train_labels=labels, test_images=IMAGES[:4], test_labels=labels[:4]))
    for name, of_accuracies in {
        "fig1a": ["fig1a.generalizes", "fig1a.chance"],
        "fig1c": ["fig1c.rises.{network}", "fig1c.chance.{network}"],
        "curves": ["curves.starts_above"],
        "early_stopping": [f"early_stopping.{mix} labels" for mix in ("true", "half random", "random")],
    }.items():
        for claim in declared.declared(catalog.load("figures", name), of_mine(name), "claims"):
            met = claim.verdict(claim.met[0])
            assert (met == claims.NOT_JUDGED) == (claim.id in of_accuracies), claim.id


def test_a_figure_that_cannot_be_of_other_data_says_so(tmp_path):
    data.add("mine", _npz(tmp_path))
    for name in set(catalog.names("figures")) - set(ABLE):
        with pytest.raises(InputError, match=f"{name} is of CIFAR-10 alone.*figures of other data are batch_size"):
            of_mine(name)


def test_another_network_than_the_papers_is_an_extension():
    setting = figures.setting("fig1a", model="tiny")
    made = figures.claims_of(catalog.load("figures", "fig1a"), setting)
    assert all(not claim.own and "zhang2017" not in claim.source for claim in made)
    assert all(c.own for c in figures.claims_of(catalog.load("figures", "fig1a"), figures.setting("fig1a")))


@pytest.mark.parametrize(("scale", "epochs"), [("quick", 100), ("cpu", 200)])
def test_a_small_set_has_as_many_steps_as_2000_images_and_the_papers_data_have_their_epochs(scale, epochs):
    """400 steps did not fit random labels of 388 photographs, which the same network fits in 608."""
    for n, epoch in ((1, 1), (388, 4), (640, 5), (2000, 16), (5000, 40)):
        own, papers = (figures.Setting(scale, "mlp-3x512", 1, data=name).spec(0, n=n) for name in ("mnist", "cifar10"))
        assert papers.steps == epochs * epoch
        assert (own.steps % epoch, own.steps < epochs * max(epoch, 16) + epoch) == (0, True)
        assert own.steps >= epochs * max(epoch, 16)


def test_chance_and_what_counts_as_learned(monkeypatch):
    paper = Subject()
    assert (paper.chance, paper.tolerance, paper.learned, paper.learned_words) == (10, 2, 20, "twice chance")
    assert paper.within == "within 2 points"
    digits = Subject("mnist")
    assert (digits.chance, digits.largest, digits.learned, digits.balanced) == (10, pytest.approx(11.35), 21.2, True)
    assert digits.learned_words == "a ninth of the way from 11.4 %, the share of the largest class, to 100 %"
    assert terms(digits, [RunSpec()])[-1].endswith("; the largest class has 11.35 % of the test images.")
    assert terms(Subject("toy"), [RunSpec()])[-1] == "Chance is 25 %, a class guessed at random."

    def of(classes, test, largest):
        constants = {
            "CLASSES": [*range(classes)],
            "SIZES": {"train": 9, "test": test},
            "LARGEST_CLASS": {"test": largest},
        }
        monkeypatch.setattr(Subject, "_constants", property(lambda self: constants))
        return Subject()

    large = of(2, 100, 0.91)
    assert (large.chance, large.tolerance, large.learned, large.balanced, large.tells) == (50, 15, 99.7, False, True)
    six = of(6, 10_000, 0.19)
    assert (six.learned, six.learned_words) == (
        28,
        "a ninth of the way from 19 %, the share of the largest class, to 100 %",
    )
    assert of(6, 300, 1 / 6).learned_words == "a ninth of the way from 16.7 %, chance, to 100 %"
    twenty = of(20, 10_000, 0.1)
    assert (twenty.learned, twenty.learned_words) == (20, six.learned_words.replace("19", "10"))  # four times chance
    assert of(16, 10_000, 1 / 16).learned_words == "a ninth of the way from 6.3 %, chance, to 100 %"
    # One and a half times an equal share, to the last digit, and chance shown to two.
    shares = {(3, 1.5): True, (300, 1.4): True, (1900, 2.5): False, (3000, 1): True, (65_536, 1.51): False}
    for (classes, times), alike in shares.items():
        assert of(classes, 10_000, times / classes).balanced == alike
    many = of(3000, 10_000, 1 / 3000)
    assert (many.chance, many.learned_words) == (0.033, "a ninth of the way from 0.033 %, chance, to 100 %")
    assert (of(100, 10_000, 0.01).chance, of(160, 10_000, 1 / 160).chance) == (1, 0.63)
    for classes in (2, 3, 6, 100):
        for test in (4, 20, 80, 300, 10_000):
            one = of(classes, test, 1 / classes)
            if one.tells:
                assert one.chance + one.tolerance < one.learned <= 100
                assert one.chance + one.tolerance <= 50 + one.chance / 2
    assert not of(2, 4, 0.5).tells
    assert of(2, 80, 0.5).tells


def test_the_command_line_adds_trains_and_removes(tmp_path, home):
    def run(*words):
        done = CliRunner().invoke(main, list(map(str, words)))
        assert done.exit_code == 0, done.output
        return done.output

    path, where = _npz(tmp_path), ("--data-dir", tmp_path / "else")
    assert "mine: 30 training and 9 test images" in run("data", "add", "mine", path, *where)
    told = json.loads(run("data", "add", "twice", _npz(tmp_path, test_labels=LABELS[:9][::-1]), *where, "--json"))
    assert (told["name"], told["SIZES"], told["CLASSES"]) == ("twice", {"train": 30, "test": 9}, ["0", "1", "2"])
    assert "mine: right" in run("data", "check", "mine", *where)
    assert os.environ["RETHINKING_DATA"] == str(home)
    refused = CliRunner().invoke(main, ["data", "check", "mine"])
    assert refused.exit_code == 2
    assert "unknown data set 'mine'" in refused.output
    assert "5 runs, 5 to train" in run("plan", "fig1a", "--model", "mlp-1x512", "--data", "mine", *where)
    words = ("--model", "mlp-1x512,width=8", "--steps", 4, "--eval-every", 2, "--crop", 16)
    assert "mine-30-" in run("run", "--data", "mine", *words, "--runs", tmp_path / "runs", *where)
    for answer, told in (("", "'remove mine from {}?' got no answer"), ("n\n", "mine: kept"), ("y\n", "mine: removed")):
        assert (tmp_path / "else" / "mine").is_dir()
        done = CliRunner().invoke(main, ["data", "remove", "mine", *map(str, where)], input=answer)
        assert told.format(tmp_path / "else" / "mine") in done.output
        assert done.exit_code == (0 if answer else 2)
    assert not (tmp_path / "else" / "mine").exists()
    done = CliRunner().invoke(main, ["data", "remove", "mine", *map(str, where)])
    assert "mine is not in" in done.output  # before anything is asked


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch has no oneDNN")
@pytest.mark.parametrize(
    "more", [{}, {"corruption": "random_labels", "regularizers": "horizontal_flip", "precision": "bfloat16"}]
)
def test_an_experiment_and_its_network_are_of_an_own_set_in_the_folder_that_is_named(tmp_path, home, more):
    where = {"data_dir": tmp_path / "else", "device": "cpu", "progress": False}
    data.add("mine", _npz(tmp_path), where["data_dir"])
    fields = {"n": 20, "steps": 4, "eval_every": 2, "crop": 16} | where | more
    saved = rethinking.experiment("mine", "mlp-1x512,width=8", **fields, save=tmp_path / "runs")
    for result in (saved, rethinking.experiment("mine", "mlp-1x512,width=8", **fields)):
        assert result.frame()["memorized_bits"].notna().all()
        assert "bits memorized" in repr(result)
    same = rethinking.compare(saved, result)
    assert (same.changed, same.frame()["memorized_bits"].tolist()) == ({}, [0])
    rethinking.experiment("mine", lambda: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(768, 3)), **fields)
    run = saved.records[0].path
    for kept in (True, False):
        if not kept:
            (run / "weights.safetensors").unlink()
        network = rethinking.network(run, **where)
        assert all(map(torch.equal, network.parameters(), result.network.parameters()))
    assert os.environ["RETHINKING_DATA"] == str(home)
    for call in (lambda: rethinking.experiment("mine", "tiny", progress=False), lambda: rethinking.network(run)):
        with pytest.raises(InputError, match="unknown data set 'mine'"):
            call()


def test_arrays_are_added_with_their_labels_and_a_test_set_or_a_share_and_removed_unasked(tmp_path):
    for name, array in {"x": IMAGES, "y": LABELS, "tx": IMAGES[:9], "ty": LABELS[:9]}.items():
        np.save(tmp_path / f"{name}.npy", array)
    x, y, tx, ty = (tmp_path / f"{name}.npy" for name in ("x", "y", "tx", "ty"))
    where = ("--data-dir", tmp_path / "data")
    for more, sizes in ((("--test", tx, "--test-labels", ty), (30, 9)), (("--hold-out", 0.2), (24, 6))):
        told = cli("data", "add", "mine", x, "--labels", y, *more, *where).stdout
        assert "mine: {} training and {} test images".format(*sizes) in told
        assert cli("data", "remove", "mine", "--yes", *where).stdout == f"mine: removed from {tmp_path / 'data/mine'}\n"
        assert not (tmp_path / "data" / "mine").exists()


def test_a_figure_of_other_data_is_no_part_of_the_results(tmp_path):
    data.add("mine", _npz(tmp_path))
    runs = Runs(tmp_path / "runs")
    setting = of_mine("fig1a", scale="cpu", model="mlp-1x512")
    drawn = figures.draw("fig1a", setting, runs, tmp_path / "figures")
    assert figures.setting_of(drawn.numbers) == setting
    assert model.results(runs, tmp_path / "figures") == []
    figures.draw("fig1a", figures.setting("fig1a", "cpu", "mlp-1x512"), runs, tmp_path / "figures")
    assert [result.stem for result in model.results(runs, tmp_path / "figures")] == ["fig1a-cpu-mlp-1x512"]
