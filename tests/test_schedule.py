"""When a run is evaluated and on what: the rules of "probe", the online log, stops within an evaluation."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from rethinking.record import format_curve, format_log
from rethinking.spec import Part, RunSpec
from rethinking.training import Training, kept, loop, rows, schedule
from rethinking.training.schedule import Schedule

FIELDS = {"data": "toy", "model": "tiny", "n": 200, "steps": 120, "eval_every": 20, "interim_test": 16}
NOISE = (Part(name="random_labels"),)


def spec(**fields) -> RunSpec:
    return RunSpec.make(**(FIELDS | {"evaluation": "probe"} | fields))


@pytest.fixture
def small_probe(monkeypatch):
    """20 images instead of 2,000, evaluated and measured in parts of 8."""
    monkeypatch.setattr(loop, "PROBE", 20)
    monkeypatch.setattr(rows, "EVAL_BATCH", 8)


def rows_of(training) -> list[dict]:
    return [e.as_row() for e in training.evaluations()]


@pytest.mark.parametrize("evaluation", ["all", "probe"])
def test_evaluations_change_nothing_of_what_is_trained(toy, evaluation, small_probe):
    plain, other = Training(spec(evaluation="all", eval_every=120), toy), Training(spec(evaluation=evaluation), toy)
    rows_of(plain), rows_of(other)
    for a, b in zip(plain.network.parameters(), other.network.parameters(), strict=True):
        assert torch.equal(a, b)
    assert plain.log == other.log


def test_the_probe_is_the_first_images_and_the_end_is_measured_whole(toy, small_probe):
    training = Training(spec(steps=40, learning_rate=1e-6), toy)
    rows = []
    for evaluation in training.evaluations():
        rows.append(evaluation)
        size = evaluation.train_images
        training.network.eval()
        expected = training._measure(training.train_images[:size], training.train_labels[:size])
        training.network.train()
        assert (evaluation.train_loss, evaluation.train_accuracy) == expected
    assert [(r.step, r.train_images, r.test_images) for r in rows] == [(0, 20, 16), (20, 20, 16), (40, 200, 64)]


def test_a_run_with_the_probe_finds_the_fit_that_frequent_evaluations_find(toy, small_probe):
    """Time to fit within 2 % (or a line of the log) of that of a run that is measured whole after every step."""
    fields = {"corruptions": NOISE, "model": "mlp-1x512", "steps": 400, "stop": "fitted", "eval_every": 40}
    dense = Training(spec(**fields | {"evaluation": "all", "eval_every": 1}), toy)
    sparse = Training(spec(**fields), toy)
    at = next(r["step"] for r in rows_of(dense) if r["train_accuracy"] >= 0.99)
    rows = rows_of(sparse)
    found = next(r for r in rows if r["train_accuracy"] >= 0.99 and r["train_images"] == 200)
    assert at <= found["step"] <= max(1.03 * at, at + 2)
    assert found["test_images"] == 64  # all of them, where the fit is found
    assert rows[-1]["train_accuracy"] == 1.0
    assert sparse.fitted


def decided(lines, **fields):
    """(step, whole) of the evaluations of a run; lines: step -> accuracy of a log line, and of a probe."""
    run = RunSpec.make(n=50_000, steps=8000, evaluation="probe", **fields)
    rules, out = Schedule(run), []
    for step in range(run.steps + 1):
        if step and step % schedule.log_every(run) == 0:
            rules.logged(round(2944 * lines(step)[0]), 2944)
        if rules.due(step):
            accuracy = lines(step)[1]
            whole = rules.whole(step, accuracy)
            out.append((step, whole))
            rules.evaluated(step, accuracy, whole)
            if whole and accuracy == 1.0 and run.stop == "fitted":
                break
    return out


def test_far_from_the_fit_it_is_every_epoch_and_near_it_every_two_per_cent():
    def lines(step):  # the online accuracy reaches 90 % at step 4,000, the probe 98.5 % at 5,000 and 99 % at 5,100
        online = 0.5 if step < 4000 else 0.95
        return online, 0.6 if step < 4000 else 0.98 if step < 5000 else 0.985 if step < 5100 else 0.995

    found = decided(lines)
    far = [step for step, _ in found if step < 4000]
    assert far == list(range(0, 4000, 391))
    near = [step for step, _ in found if 4002 <= step <= 5100]
    assert max((b - a) / a for a, b in pairwise(near)) <= schedule.RESOLUTION
    whole = [step for step, is_whole in found if is_whole]
    assert 5000 <= whole[0] <= 5100
    first = next(step for step in whole if step >= 5100)
    assert first <= 1.02 * 5100
    assert whole[-1] == 8000
    assert [step for step in whole if first < step < 8000] == []  # found: no more before the end
    after = [step for step, _ in found if step > first]
    assert after == [s for s in range(0, 8000, 391) if s > first] + [8000]


@pytest.mark.parametrize(("online", "stops"), [(0.9995, True), (0.9985, False)])
def test_a_run_that_stops_when_fitted_is_measured_whole_once_its_epoch_is_right(online, stops):
    def lines(step):  # 99 % is found first, then all of the probe is right
        return (0.5, 0.5) if step < 2000 else (0.97, 0.995) if step < 3000 else (online, 1.0)

    found = decided(lines, stop="fitted")
    assert (found[-1][0] < 8000) == stops
    assert found[-1][1]


def test_an_accuracy_of_another_size_is_no_fit():
    rules = Schedule(RunSpec.make(n=50_000, evaluation="probe"))
    rules.evaluated(391, 1.0, whole=False)
    assert not rules.found
    rules.evaluated(414, 0.9899, whole=True)
    assert not rules.found
    rules.evaluated(437, 0.99, whole=True)
    assert rules.found


def test_the_online_log_is_the_means_of_the_batches_since_the_line_before(toy):
    """And an evaluation's online values are those of the batches since the evaluation before."""
    training = Training(spec(model="mlp-1x512", learning_rate=1e-30, n=256, steps=6, eval_every=2), toy)
    rows = rows_of(training)
    lines = format_log(training.log).splitlines()
    assert lines[0] == "step,online_loss,online_accuracy"
    assert [line.split(",")[0] for line in lines[1:]] == ["1", "2", "3", "4", "5", "6"]
    pairs = [[float(x) for x in line.split(",")[1:]] for line in lines[1:]]
    assert math.isnan(rows[0]["online_loss"])
    for k in (0, 2, 4):  # two batches are an epoch, and the network stands still
        expected = pytest.approx([rows[0]["train_loss"], rows[0]["train_accuracy"]], rel=1e-5)
        assert [(a + b) / 2 for a, b in zip(pairs[k], pairs[k + 1], strict=True)] == expected
        row = rows[1 + k // 2]
        assert [row["online_loss"], row["online_accuracy"]] == expected


@pytest.mark.parametrize("model", ["tiny", "carrier"])  # with batch norm, whose statistics are measured, and without
@pytest.mark.parametrize("evaluation", ["all", "probe"])
def test_stopped_within_any_part_of_any_evaluation_it_ends_the_same(toy, small_probe, evaluation, model):
    fields = {"evaluation": evaluation, "model": model, "n": 60, "steps": 4, "eval_every": 2, "batch_size": 25}
    run = spec(**fields, learning_rate=0.01)
    whole = Training(run, toy)
    parts = [0]
    expected = [e.as_row() for e in whole.evaluations(on_part=lambda: parts.__setitem__(0, parts[0] + 1))]

    class Stop(Exception):
        pass

    for moment in range(1, parts[0] + 1, 3):
        first, rows, left = Training(run, toy), [], [moment]

        def on_part(left=left):
            left[0] -= 1
            if not left[0]:
                raise Stop

        with pytest.raises(Stop):
            rows.extend(e.as_row() for e in first.evaluations(on_part=on_part))
        second = Training(run, toy)
        second.restore(first.state())
        rows += rows_of(second)
        assert format_curve(rows) == format_curve(expected)
        assert second.log == whole.log


def test_lines_of_the_log_are_at_least_four_an_epoch():
    assert schedule.log_every(RunSpec.make(n=50_000)) == 23
    assert schedule.log_every(RunSpec.make(n=2000)) == 4
    assert schedule.log_every(RunSpec.make(n=10)) == 1


@pytest.mark.parametrize("fields", [{"stop": "fitted", "n": 40, "steps": 400}, {"learning_rate": 1e20, "steps": 40}])
def test_a_run_that_has_ended_goes_on_to_nothing_from_its_last_state(toy, fields):
    """Fitted or diverged: its state says so, and what is measured after the last evaluation cannot be stopped."""
    run = spec(evaluation="all", keep=("test_logits",), model="mlp-1x512", **{"learning_rate": 0.03} | fields)
    first, asked = Training(run, toy), []
    rows = [e.as_row() for e in first.evaluations(on_part=lambda: asked.append(1))]
    assert first.fitted or first.diverged_at
    count = len(asked)
    arrays = kept(first)
    assert len(asked) == count
    second = Training(run, toy)
    second.restore(first.state())
    assert (second.fitted, second.diverged_at, second.finished) == (first.fitted, first.diverged_at, True)
    assert rows_of(second) == []
    assert rows[-1]["test_images"] == 64
    assert np.array_equal(kept(second)["test_logits"], arrays["test_logits"], equal_nan=True)
