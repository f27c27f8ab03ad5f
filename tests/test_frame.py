"""Frames: every record's numbers, states that are no numbers, and Figure 1(b) redrawn from a frame."""

import doctest
import json
import math
from pathlib import Path
from statistics import median

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rethinking
from rethinking.errors import InputError
from rethinking.figures.kit import bits_memorized
from rethinking.record import Runs, frame, leased
from rethinking.spec import Part, RunSpec, Theorem1Spec

ROOT = Path(__file__).parents[1]
SPEC = RunSpec(n=100, model="mlp-1x512", steps=20)
EVALUATION = dict.fromkeys(RunSpec().columns, 0.5) | {"step": 0, "test_images": 64}


def complete(runs, spec, rows, status="budget", diverged_at=None, log=()):
    with leased(runs, spec) as writer:
        writer.finish(
            [EVALUATION | row for row in rows], status, diverged_at, {"commit": "abc", "seconds": 1.5}, log=log
        )


@pytest.fixture(scope="module")
def committed():
    return rethinking.records(ROOT / "runs")


def same(value, expected):
    """Equal, and <NA> where there is no number."""
    missing = expected is None or (isinstance(expected, float) and not math.isfinite(expected))
    return value is pd.NA if missing else value == expected


def test_a_frame_has_what_every_committed_record_has(committed):
    table = committed.frame().set_index("run")
    folders = [p.parent for p in sorted((ROOT / "runs").glob("*/result.json"))]
    trained = [f for f in folders if "kind" not in json.loads((f / "spec.json").read_text())]
    assert list(table.index) == [f.name for f in trained]
    assert len(trained) > 1000
    for each in committed.records:
        row, final, spec = table.loc[each.path.name], each.final, each.spec
        assert same(row.steps_to_fit, each.steps_to_fit())
        measured = ("train_loss", "train_accuracy", "test_loss", "test_accuracy", "test_images")
        assert all(same(row[name], final[name]) for name in measured)
        assert same(row.held_out_accuracy, final.get("held_out_accuracy"))
        assert (row.steps, row.seconds, row.commit) == (
            final["step"],
            each.environment["seconds"],
            each.environment["commit"],
        )
        diverged = each.result["status"] == "diverged"
        assert row.state == ("diverged" if diverged else "fitted" if each.steps_to_fit() is not None else "censored")
        assert (row.state == "censored") == (not diverged and row.steps_to_fit is pd.NA)
        same_name = ("data", "n", "model", "batch_size", "learning_rate", "momentum", "seed", "data_seed", "stop")
        assert all(row[name] == getattr(spec, name) for name in same_name)
        assert row.budget == spec.steps
        parts = [] if row.regularizer == frame.NONE else row.regularizer.split(" + ")
        parsed = [Part.parse("regularizers", part) for part in parts]
        assert spec.replace(regularizers=tuple(parsed)) == spec
        network = Part.parse("models", f"{row.model},{row.model_options}".rstrip(","))
        assert network.options == spec.model_options


def test_curves_have_every_evaluation_of_every_committed_record(committed):
    curves = committed.curves()
    assert len(curves) == sum(len(r.curve["step"]) for r in committed.records)
    starts = curves.groupby("run", sort=False).head(1).index
    for start, each in list(zip(starts, committed.records, strict=True))[::20]:
        rows = curves.iloc[start : start + len(each.curve["step"])]
        assert (rows.run == each.path.name).all()
        for name, values in each.curve.items():
            column = rows["learning_rate_now" if name == "learning_rate" else name]
            assert all(map(same, column, values))
        assert (rows.learning_rate == each.spec.learning_rate).all()
        if "train_images" not in each.curve:
            assert rows.train_images.isna().all()


def test_the_example_redraws_figure_1b(monkeypatch):
    monkeypatch.chdir(ROOT)
    examples = doctest.DocTestParser().get_examples(frame.__doc__)
    names: dict = {}
    for example in examples[:-1]:
        exec(example.source, names)
    ours = eval(examples[-1].source, names)
    drawn = json.loads((ROOT / "figures" / "fig1b-paper.json").read_text())["table"]
    theirs = {row["run"]: median(row["ratio"]) for row in drawn if row["run"].startswith("mlp-1x512")}
    assert {f"mlp-1x512, p = {p:g}": ratio for p, ratio in ours.items()} == theirs
    assert len(theirs) == 11


def test_every_state_is_a_row_and_no_number(tmp_path):
    runs = Runs(tmp_path)
    complete(runs, SPEC, [{"train_accuracy": 0.1}, {"step": 20, "train_accuracy": 0.995, "train_loss": 0.25}])
    complete(runs, SPEC.replace(seed=1), [{}, {"step": 20}])
    nan = {"train_loss": math.nan, "test_loss": math.inf}
    complete(runs, SPEC.replace(seed=2), [{}, {"step": 10} | nan], "diverged", 10)
    complete(runs, SPEC.replace(seed=3), [{"train_accuracy": 1.0}, {"step": 10} | nan], "diverged", 10)
    with leased(runs, SPEC.replace(seed=4)):
        pass  # begun, and not complete
    wanted = [SPEC.replace(seed=k) for k in (0, 4, 5, 5)]
    table = rethinking.records(tmp_path).frame(wanted).set_index("seed").sort_index()
    assert table.state.to_dict() == dict(
        enumerate(["fitted", "censored", "diverged", "diverged", "missing", "missing"])
    )
    assert table.steps_to_fit.tolist() == [20, pd.NA, pd.NA, 0, pd.NA, pd.NA]
    assert table.train_loss.tolist() == [0.25, 0.5, pd.NA, pd.NA, pd.NA, pd.NA]
    assert table.test_accuracy.tolist() == [0.5, 0.5, 0.5, 0.5, pd.NA, pd.NA]
    assert table.memorized_bits.tolist() == [
        pytest.approx(100 * (math.log2(10) - 0.25 * math.log2(math.e))),
        pytest.approx(100 * (math.log2(10) - 0.5 * math.log2(math.e))),
        *[pd.NA] * 4,
    ]
    assert table.loc[5, "run"] == SPEC.replace(seed=5).run_id
    assert len(table.groupby("state").size()) == 4
    assert pd.isna(table.steps_to_fit.median(skipna=False))  # and is not left out where asked
    assert table[["seconds", "commit"]].iloc[3:5].values.tolist() == [[1.5, "abc"], [pd.NA, pd.NA]]


def test_memorized_bits_are_of_the_classes_there_are_and_not_below_0(tmp_path):
    signs = SPEC.replace(corruptions=(Part(name="random_signs"),), held_out=40)
    held = {"held_out_loss": 0.7, "held_out_accuracy": 0.5}
    for spec, more in ((SPEC, {}), (signs, held)):
        complete(Runs(tmp_path), spec, [{**more}, {"step": 20, "train_loss": 0.0 if more else 5.0, **more}])
    table = rethinking.records(tmp_path).frame().set_index("condition")
    assert table.memorized_bits.to_dict() == {"true labels": 0.0, "random signs": 60.0}  # a bit a label
    assert table.held_out_loss[["true labels", "random signs"]].tolist() == [pd.NA, 0.7]


def test_a_bootstrap_sample_has_no_bits_as_a_label_drawn_twice_is_one_label(tmp_path):
    runs, spec = Runs(tmp_path), SPEC.replace(bootstrap=True)
    complete(runs, spec, [{}, {"step": 20, "train_loss": 0.0}])
    assert rethinking.records(tmp_path).frame().memorized_bits.tolist() == [pd.NA]
    assert bits_memorized().of(runs.find(spec)) == "not measured"


def test_a_spec_of_another_kind_has_no_row(tmp_path):
    with pytest.raises(InputError, match=r"wanted has .* give specs of RunSpec alone"):
        rethinking.records(tmp_path).frame([SPEC, Theorem1Spec()])


@pytest.mark.parametrize(
    "given", [[], ["random_labels"], ["partial_labels=0.5,among=others"], ["gaussian", "random_tail=40"]]
)
def test_corruptions_are_told_as_on_the_command_line(given, tmp_path):
    spec = SPEC.replace(corruptions=tuple(Part.parse("corruptions", each) for each in given))
    row = rethinking.records(tmp_path).frame([spec]).iloc[0]
    assert row.corruptions == (" + ".join(given) or "none")


@pytest.mark.parametrize(
    ("corruptions", "words", "p"),
    [
        ([], "true labels", 0.0),
        ([("random_labels", {})], "random labels", 1.0),
        ([("partial_labels", {"p": 0.3})], "partially corrupted labels", 0.3),
        ([("partial_labels", {"p": 1.0})], "random labels", 1.0),
        ([("random_labels", {}), ("gaussian", {})], "Gaussian + random labels", 1.0),
    ],
)
def test_conditions_are_in_the_papers_words(corruptions, words, p):
    spec = SPEC.replace(corruptions=tuple(Part(name=n, options=o) for n, o in corruptions))
    assert (frame.condition(spec), frame.label_corruption(spec)) == (words, p)


@pytest.mark.parametrize(
    ("given", "text", "strength"),
    [
        ([], "none", None),
        (["dropout=0.5,mode=monte_carlo"], "dropout=0.5,mode=monte_carlo", 0.5),
        (["batch_norm=true"], "batch_norm=true", None),
        (["dropout=0.5", "max_norm=3"], "dropout=0.5 + max_norm=3.0", None),
    ],
)
def test_regularizers_are_told_as_on_the_command_line(given, text, strength, tmp_path):
    parts = tuple(Part.parse("regularizers", each) for each in given)
    row = rethinking.records(tmp_path).frame([SPEC.replace(regularizers=parts)]).iloc[0]
    assert row.regularizer == text
    assert same(pd.NA if math.isnan(row.strength) else row.strength, strength)


numbers = st.floats(allow_nan=True, allow_infinity=True, width=32)
evaluations = st.lists(st.tuples(st.floats(0, 1), numbers, numbers), min_size=2, max_size=6)


@settings(max_examples=25, deadline=None)
@given(rows=evaluations, p=st.floats(0, 1), log=st.lists(st.tuples(st.floats(0, 9), st.integers(0, 8)), max_size=4))
def test_any_record_comes_back(tmp_path_factory, rows, p, log):
    runs = Runs(tmp_path_factory.mktemp("runs"))
    spec = SPEC.replace(steps=len(rows) - 1, corruptions=(Part(name="partial_labels", options={"p": p}),))
    curve = [
        {"step": k, "train_accuracy": a, "train_loss": loss, "test_loss": other}
        for k, (a, loss, other) in enumerate(rows)
    ]
    complete(runs, spec, curve, log=[(k, loss, right, 8) for k, (loss, right) in enumerate(log, 1)])
    frames = rethinking.records(runs.root)
    table, curves, online = frames.frame(), frames.curves(), frames.online()
    assert table.p.tolist() == [p]
    assert [all(map(same, curves[name], [row[name] for row in curve])) for name in curve[0]] == [True] * len(curve[0])
    reached = next((k for k, (a, loss, _) in enumerate(rows) if a >= 0.99 and math.isfinite(loss)), None)
    assert same(table.steps_to_fit[0], reached)
    assert table.state[0] == ("censored" if reached is None else "fitted")
    assert same(table.train_loss[0], rows[-1][1])
    assert (table.memorized_bits[0] is pd.NA) == (not math.isfinite(rows[-1][1]))
    assert online.step.tolist() == list(range(1, len(log) + 1))
    assert online.online_accuracy.tolist() == [pytest.approx(right / 8) for _, right in log]
    assert (online.run == spec.run_id).all()


def test_no_folder_and_a_damaged_record_are_one_line(tmp_path):
    with pytest.raises(InputError, match="is no folder of runs"):
        rethinking.records(tmp_path / "none")
    runs = Runs(tmp_path)
    complete(runs, SPEC, [{}, {"step": 20}])
    (runs.path(SPEC) / "curve.csv").write_text("step\n")
    with pytest.raises(InputError, match="is not a curve"):
        rethinking.records(tmp_path).frame()


def test_the_budget_of_a_sweep_is_five_times_what_its_network_takes(committed):
    budgets = {("mlp-3x512", 2000): 800, ("mlp-3x512", 1000): 400, ("resnet-20", 2000): 1920, ("alexnet", 1000): 960}
    runs = committed.frame().query("regularizer == 'none' and condition == 'random labels' and stop == 'fitted'")
    runs = runs.query("seed == 0 and data_seed == 0 and momentum == 0.9 and batch_size == 128 and held_out == 0")
    runs = runs[~runs.bootstrap & (runs.model_options == "") & (runs.keep == "") & (runs.initial_weights == "glorot")]
    steps = runs.groupby(["model", "n"]).steps_to_fit.min()  # of the finest evaluations
    measured = {key: 5 * steps[key] for key in budgets if key in steps}
    assert measured.keys() >= {("mlp-3x512", 2000), ("mlp-3x512", 1000), ("alexnet", 1000)}
    assert measured == {key: budgets[key] for key in measured}
