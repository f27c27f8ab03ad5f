"""Measures of made-up records: states are never numbers, seeds are paired by number, order does not matter."""

import math
import random
import re
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rethinking import claims, figures
from rethinking.figures import ensembles, fig2b, kit, l1_l2
from rethinking.figures.kit import declared
from rethinking.figures.kit.panels import title
from rethinking.record import Record
from rethinking.record.frame import state
from rethinking.spec import RunSpec


def record(train, test=None, losses=None, images=None, status="budget"):
    """A record with those accuracies, one evaluation every 10 steps and every 2 epochs."""
    count = len(train)
    curve = {"step": [10 * k for k in range(count)], "epoch": [2.0 * k for k in range(count)]}
    curve |= {"train_accuracy": list(train), "train_loss": list(losses or [1.0] * count)}
    curve |= {"test_accuracy": list(test or train), "test_images": list(images or [100] * count)}
    curve |= {"online_accuracy": [math.nan] + [0.25] * (count - 1), "held_out_accuracy": list(test or train)}
    return Record(Path(), RunSpec(), {"status": status}, {}, curve)


fractions = st.integers(0, 1000).map(lambda k: k / 1000)
curves = st.lists(fractions, min_size=2, max_size=8)
# Of a run: None where it is missing, "diverged", else when it reaches 99 % (None: not within its 9 evaluations).
fates = st.one_of(st.none(), st.just("diverged"), st.tuples(st.one_of(st.none(), st.integers(1, 8))))


def run_of(fate):
    if fate is None:
        return None
    if fate == "diverged":
        return record([0.1, 0.2], losses=[1.0, math.nan], status="diverged")
    return record([0.99 if fate[0] is not None and k >= fate[0] else 0.98 for k in range(9)])


def steps_of(fate):
    """What steps to fit must be: a number, a state, or None."""
    return None if fate is None else "censored" if fate == "diverged" or fate[0] is None else 10 * fate[0]


def cell_of(fate):
    """The same in a table, which says what a run that diverged did."""
    return fate if fate == "diverged" else steps_of(fate)


def frame_of(fates_by_condition, measures, order=None):
    """A frame of {p: fates, one a seed}, its rows in an order."""
    rows = [
        ({"p": p}, seed, 100, f"{p}-{seed}", run_of(fate))
        for p, group in fates_by_condition.items()
        for seed, fate in enumerate(group)
    ]
    if order:
        order.shuffle(rows)
    return kit.Frame.of(rows, measures)


STEPS, RATIO = kit.steps_to_fit(), kit.relative(kit.steps_to_fit(), p=0.0)
pairs = st.integers(1, 4).flatmap(
    lambda n: st.fixed_dictionaries({p: st.lists(fates, min_size=n, max_size=n) for p in (0.0, 0.5, 1.0)})
)


@given(pairs)
@settings(max_examples=60, deadline=None)
def test_every_run_keeps_its_row_and_its_state(groups):
    frame = frame_of(groups, [STEPS])
    fate = [fate for group in groups.values() for fate in group]
    assert frame.cells("steps", whole=True) == [cell_of(f) for f in fate]
    expected = [
        "missing" if f is None else f if f == "diverged" else "censored" if f[0] is None else "fitted" for f in fate
    ]
    assert frame.data["state"].tolist() == expected
    assert frame.fitted == (set(expected) == {"fitted"})
    is_number = [isinstance(steps_of(f), int) for f in fate]
    assert frame.data["steps"].notna().tolist() == is_number
    assert (frame.data["steps_state"] == "").tolist() == is_number
    assert len(frame.where(p=0.0).cells("steps")) == len(groups[0.0])


@given(pairs)
@settings(max_examples=60, deadline=None)
def test_a_ratio_is_to_the_baseline_of_the_same_seed_or_says_why_there_is_none(groups):
    frame = frame_of(groups, [STEPS, RATIO])
    for p, group in groups.items():
        expected = []
        for fate, start in zip(map(cell_of, group), map(cell_of, groups[0.0]), strict=True):
            if fate is None or start is None:
                expected.append(None)
            elif isinstance(start, str):
                expected.append(f"p = 0 {start}")
            else:
                expected.append(fate if isinstance(fate, str) else fate / start)
        assert frame.where(p=p).cells("steps_ratio") == expected


@given(pairs, st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_the_order_of_rows_does_not_matter(groups, seed):
    one, other = (frame_of(groups, [STEPS, RATIO], order) for order in (None, random.Random(seed)))
    for name in ("steps", "steps_ratio"):
        for p in groups:
            a, b = one.where(p=p), other.where(p=p)
            assert sorted(map(str, a.cells(name))) == sorted(map(str, b.cells(name)))
            if a.values(name):
                assert repr(a.median(name)) == repr(b.median(name))  # NaN too
        by_seed = [dict(zip(f.data["run"], f.cells(name), strict=True)) for f in (one, other)]
        assert by_seed[0] == by_seed[1]


@given(st.lists(fates, min_size=1, max_size=7))
@settings(max_examples=100, deadline=None)
def test_a_median_counts_censored_runs_above_every_number(group):
    frame, values = frame_of({0.0: group}, [STEPS]), [steps_of(f) for f in group]
    there = [math.inf if v == "censored" else v for v in values if v is not None]
    assert frame.values("steps") == there
    if there:
        assert frame.median("steps") == median(there)
        assert frame.medians("steps", "p") == {0.0: median(there)}
        assert frame.numbers("steps", whole=True) == [None if v == math.inf else v for v in there]
    if any(map(math.isfinite, there)):
        middle, *ends = re.split(r" \(| to |[),]", frame.text("steps", whole=True))
        late = ("censored", "diverged")
        assert middle == f"{median(there):.0f}" if math.isfinite(median(there)) else middle in late
        assert len(there) == 1 or ends[1] in (late if max(there) == math.inf else [str(max(there))])


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([100, "diverged", 200], "200 (100 to diverged)"),
        (["diverged", 112, "diverged"], "diverged (112 to diverged)"),
        ([112, "diverged", "censored"], "censored (112 to diverged)"),
        ([112, 115, "diverged", "censored"], "censored (112 to diverged)"),
        (["diverged", "censored", "diverged"], "diverged in 2 runs, censored in 1 run"),
        ([0.986, "without a finite loss", None], "0.99, without a finite loss in 1 run, 2 of 3 seeds"),
    ],
)
def test_a_time_of_a_run_that_diverged_is_above_every_number_and_named(values, text):
    assert claims.told(values) == text


@given(st.lists(st.one_of(st.none(), st.just("censored"), st.integers(0, 9999)), min_size=1, max_size=7), st.randoms())
@settings(max_examples=100, deadline=None)
def test_a_cell_says_how_many_of_its_seeds_there_are_and_ranks_censored_last(values, order):
    text = claims.told(values)
    there = [v for v in values if v is not None]
    assert (text == "not run") == (not there)
    assert text.endswith(f"{len(there)} of {len(values)} seeds") == (0 < len(there) < len(values))
    assert ("censored" in text) == ("censored" in there)
    numbers = sorted(v for v in there if v != "censored")
    if numbers:
        ranked = numbers + [math.inf] * there.count("censored")
        middle = f"{median(ranked):,.0f}".replace("inf", "censored")
        assert text.startswith(middle)
        if len(there) > 1:
            assert f"({numbers[0]:,} to {f'{ranked[-1]:,.0f}'.replace('inf', 'censored')})" in text
    shuffled = list(values)
    order.shuffle(shuffled)
    assert claims.told(shuffled) == text


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=7), st.randoms())
def test_a_spread_is_median_and_range_in_any_order(values, order):
    shuffled = list(values)
    order.shuffle(shuffled)
    text = claims.spread(shuffled, unit=" %")
    assert text.startswith(f"{median(values):,.2f} %")
    assert text.endswith(f" ({min(values):,.2f} to {max(values):,.2f})") == (len(values) > 1)


@pytest.mark.parametrize(("budgets", "told"), [([3200, 3200], "its budget of 3,200 steps"), ([10, 20], "its budget")])
def test_what_is_not_fitted_says_within_which_budget(budgets, told):
    words = dict.fromkeys(("id", "name", "source", "statement", "paper", "rule"), "x")
    records = [record([0.1, 0.5]) for _ in budgets]
    late = [
        Record(r.path, r.spec.replace(steps=most), r.result, {}, r.curve)
        for r, most in zip(records, budgets, strict=True)
    ]
    frame = kit.Frame.of([({"p": 0.5}, k, 100, f"run {k}", one) for k, one in enumerate(late)], [kit.highest()])
    claim = kit.fits(**words)
    assert claim.answered(frame, claim.judged(frame)) == f"not fitted within {told}"
    assert kit.Frame.of([({}, 0, 100, "gone", None)], []).budget == kit.made().budget == "its budget"


def test_a_spread_with_what_is_no_number_says_so_in_words():
    """And so does a claim whose bound is on a ratio to a baseline that is censored."""
    ratio = kit.relative(STEPS, p=0.0)
    cells = {"2.00 (1.50 to 3.00)": [1.5, 2.0, 3.0], "2.00, p = 0 censored in 2 runs": [2.0, *["p = 0 censored"] * 2]}
    cells |= {"3.00 (2.00 to censored)": [2.0, 3.0, "censored"], "3.00 %, not measured in 1 run": [3.0, "not measured"]}
    for told, values in cells.items():
        frame = kit.made(steps_ratio=values)
        assert frame.spread(ratio, " %" * ("%" in told)) == told
    words = dict.fromkeys(("id", "name", "source", "statement", "paper", "rule"), "x")
    claim = kit.bounded(kit.Bound(ratio, most=10), **words)
    frame = kit.made(steps_ratio=["p = 0 censored", 1.0, 2.0])
    assert claim.verdict(frame) == claims.NOT_REPLICATED
    assert claim.summary(frame) == ("1.50 (1.00 to 2.00), p = 0 censored in 1 run", {ratio.label: [None, 1.0, 2.0]})


@given(curves, st.data())
@settings(max_examples=100, deadline=None)
def test_readings_of_one_run(accuracies, data):
    tests = data.draw(st.lists(fractions, min_size=len(accuracies), max_size=len(accuracies)))
    run = record(accuracies, tests)
    assert kit.final("train_accuracy").of(run) == 100 * accuracies[-1]
    assert kit.final("test_accuracy").of(run) == 100 * tests[-1]
    assert kit.final("online_accuracy").of(run) == 25
    assert kit.error("test_accuracy").of(run) == 100 - 100 * tests[-1]
    assert kit.first_error("test_accuracy").of(run) == 100 * (1 - tests[1])
    assert kit.highest().of(run) == 100 * max(accuracies)
    reached = [k for k, a in enumerate(accuracies) if a >= 0.99]
    assert STEPS.of(run) == (10 * reached[0] if reached else "censored")
    assert kit.epochs_to_fit().of(run) == (2.0 * reached[0] if reached else "censored")
    assert state(run) == ("fitted" if reached else "censored")


@given(st.lists(fractions, min_size=3, max_size=8), fractions, st.integers(0, 2))
@settings(max_examples=100, deadline=None)
def test_early_stopping_is_read_off_evaluations_on_the_same_test_images(tests, last, fit):
    """The last evaluation is on other images, and another on the way may be."""
    images = [100] * len(tests) + [10_000]
    images[fit] = 100 if fit == 0 else 9_999
    run = record([0.5] * len(images), [*tests, last], images=images)
    there = [k for k in range(len(tests)) if images[k] == 100]
    assert kit.gain().of(run) == 100 * (max(tests[k] for k in there) - tests[there[-1]])
    later = there[1:] or range(len(images))
    best = max((*tests, last)[k] for k in later)
    first = next(k for k in later if (*tests, last)[k] == best)
    assert kit.best_epoch().of(run) == 2.0 * first
    assert kit.best_error().of(run) == 100 * (1 - best)


@given(curves)
@settings(max_examples=100, deadline=None)
def test_a_loss_that_is_not_finite_counts_for_nothing(accuracies):
    """Whatever the accuracy was then; and the run has diverged, fitted before or not."""
    losses = [1.0] * (len(accuracies) - 1) + [math.nan]
    run = record([*accuracies[:-1], 1.0], losses=losses, status="diverged")
    reached = [k for k, a in enumerate(accuracies[:-1]) if a >= 0.99]
    assert STEPS.of(run) == (10 * reached[0] if reached else "censored")
    assert kit.highest().of(run) == 100 * max(accuracies[:-1])
    assert state(run) == "diverged"


@given(st.integers(2, 5), st.integers(0, 4))
@settings(max_examples=30, deadline=None)
def test_a_difference_to_the_baseline_is_paired_by_seed_where_seeds_are_missing(count, gone):
    change = kit.minus(kit.final("test_accuracy"), "change", "", p=0.0)
    rows = [({"p": 0.0}, k, 100, "", record([0.5, 0.1 * k])) for k in range(count) if k != gone]
    rows += [({"p": 1.0}, k, 100, "", record([0.5, 0.1 * k + 0.05])) for k in reversed(range(count))]
    cells = kit.Frame.of(rows, [change]).where(p=1.0).cells("change")
    assert cells == [None if k == gone else pytest.approx(5.0) for k in reversed(range(count))]


@given(curves, st.integers(1, 9))
@settings(max_examples=100, deadline=None)
def test_stopping_returns_the_best_evaluation_before_it_lost_patience(held, patience):
    run = record([0.5] * len(held), held)
    best = seen = 0
    while seen + 1 < len(held) and seen - best < patience:
        seen += 1
        best = seen if held[seen] > held[best] else best
    assert kit.returned_epoch().of(run, patience=patience) == 2.0 * best
    assert kit.stopping_gain().of(run, patience=patience) == 100 * (held[best] - held[-1])
    if patience > len(held):
        assert held[best] == max(held)


def test_rows_of_a_probe_are_averaged_where_their_columns_have_the_values_of_the_reading():
    curve = {"step": [1, 2, 3, 4], "layer": [0, 0, 0, 1], "share": [0.0, 0.3, 0.3, 0.3], "right": [1.0, 0.5, 0.25, 9.0]}
    runs = [Record(Path(), RunSpec(), {"status": "computed"}, {}, curve), None, record([0.5, 1.0])]
    mean = kit.over_rows(
        "mean", lambda row: 100 * row["right"], "", lambda share: {"layer": 0, "share": share}, ("share",)
    )
    rows = [({"share": share}, seed, 100, "run", r) for share in (0.1 + 0.2, 0.4) for seed, r in enumerate(runs)]
    found = kit.Frame.of(rows, [mean]).cells("mean")
    assert found == [37.5, None, "not measured", "not measured", None, "not measured"]


def with_tests(accuracies, images):
    return record([0.99] * len(accuracies), accuracies, images=images)


def test_a_run_and_its_baseline_are_read_at_the_last_step_that_both_evaluate_on_as_many_images():
    gap = kit.at_last_shared("gap", lambda a, b: a["test_accuracy"] - b["test_accuracy"], arm="without")
    long, short = with_tests([0.1, 0.5, 0.75, 0.9], [2, 2, 2, 9]), with_tests([0.1, 0.25, 0.8], [2, 2, 9])
    other = with_tests([0.1], [3])
    pairs = [(long, short), (short, long), (long, None), (None, short), (long, other)]
    both = [(seed, arm, r) for seed, pair in enumerate(pairs) for arm, r in zip(("with", "without"), pair, strict=True)]
    frame = kit.Frame.of([({"arm": arm}, seed, 100, "run", r) for seed, arm, r in both], [gap]).where(arm="with")
    assert frame.cells("gap") == [0.25, -0.25, None, None, "no shared evaluation"]


def test_runs_that_differ_in_one_coordinate_are_read_together_and_one_missing_leaves_no_number():
    total = kit.Together(
        "total", "", lambda rs, k: sum(len(r.curve["step"]) for r in rs[:k]), parameters=("k",), over="k"
    )
    runs = {0: [record([0.5] * 2), record([0.5] * 4)], 1: [record([0.5] * 9), None]}
    rows = [({"k": k}, seed, 100, "run", runs[seed][k - 1]) for k in (1, 2) for seed in (0, 1)]
    assert kit.Frame.of(rows, [total]).cells("total") == [2, None, 6, None]


def test_votes_and_mean_probabilities_differ_where_one_is_sure_and_two_are_not():
    sure, unsure = np.array([[9.0, 0.0, 0.0]]), np.array([[0.0, 0.1, 0.0]])
    assert ensembles.joined([sure, unsure, unsure], ensembles.VOTE).tolist() == [1]
    assert ensembles.joined([sure, unsure, unsure], ensembles.MEAN).tolist() == [0]
    assert ensembles.joined([unsure, sure], ensembles.VOTE).tolist() == [0]  # of a tied vote the smallest


def test_zeros_and_axes_are_counted_from_what_is_kept():
    run = record([0.5])
    vars(run)["arrays"] = {"zeros/a": np.array([1, 4]), "zeros/b": np.array([2, 4]), "zeros/c": np.array([0, 0])}
    run.arrays["quantiles/layers.0.weight"] = np.array([-0.05, 0.0, 0.0, 0.05])
    assert l1_l2.ZEROS.of(run) == 37.5
    held = l1_l2.density(run)
    assert held.shape == (len(l1_l2.EDGES) - 1,)
    assert sorted(held[held > 0]) == [25.0, 25.0, 50.0]
    curve = {"step": list(range(6)), "radius": [0.0] * 6}
    curve |= {"l1_first": [0.0, 0.0, 0.0, 1.0, 2.0, 3.0], "l1_second": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]}
    curve |= {"l2_first": [0.0, -1.0, 1.0, 2.0, 2.0, 0.0], "l2_second": [0.0, 1.0, 1.0, 1.0, 1.0, 1.0]}
    found = Record(Path(), RunSpec(), {"status": "done"}, {}, curve)
    assert [m.of(found) for m in (l1_l2.on_axes("l1"), l1_l2.on_axes("l2"), l1_l2.RADII)] == [2, 1, 4]


@pytest.mark.parametrize(
    ("loss", "share"),
    [(0.0, 1.0), (math.log(10), 0.0), (math.log(10) / 4, 0.75), (9.0, 0.0), (math.nan, "without a finite loss")],
)
def test_bits_memorized_are_a_share_of_what_the_labels_hold(loss, share):
    (cell,) = kit.Frame.of([({}, 0, 100, "run", record([0.1], losses=[loss]))], [kit.bits_memorized()]).cells("bits")
    assert cell == (share if isinstance(share, str) else pytest.approx(share, abs=1e-12))


def test_a_measure_with_a_parameter_reads_every_run_at_each_of_its_values():
    run = record([0.1] * 4, [0.1, 0.3, 0.2, 0.4])
    run.curve["test_accuracy"] = [0.1, 0.3, 0.2, 0.25]
    measures = {"epoch": kit.returned_epoch(), "gain": kit.stopping_gain()}
    module = SimpleNamespace(
        GRID=kit.Grid("{labels}", labels=["true", "random"]),
        READ_AT={"patience": (1, 2)},
        TABLE=kit.Table("run", measures, by="{labels}, patience {patience}"),
        PANELS=[],
        spec=lambda setting, seed, labels: RunSpec(n=100, seed=seed, data_seed=len(labels)),
    )
    setting = figures.Setting("quick", "mlp-1x512", 2)
    frame, found, labels = declared.frame(module, setting, {"true": [run, None], "random": [None, None]})
    assert [len(found), len(labels)] == [len(frame.data)] * 2 == [8, 8]
    assert module.TABLE.rows(frame, labels) == [
        {"run": "true, patience 1", "n": [100], "epoch": [2.0, None], "gain": [pytest.approx(5.0), None]},
        {"run": "true, patience 2", "n": [100], "epoch": [6.0, None], "gain": [0.0, None]},
        {"run": "random, patience 1", "n": [100], "epoch": [None] * 2, "gain": [None] * 2},
        {"run": "random, patience 2", "n": [100], "epoch": [None] * 2, "gain": [None] * 2},
    ]
    once = frame.where(**declared.readings_of(module)[0])
    assert title("mlp-1x512", once).endswith("2 seeds; 3 of 4 runs not run")  # a run is counted once


@pytest.mark.parametrize(
    ("losses", "right", "found"),
    [
        ([2.0, 1.0, 1.5, 0.5, 0.75], [0.1] * 5, 1000 * (1.5 + 1.5 + 1.25) / 3),
        ([2.0, 1.0, 1.5, 0.5, 0.75], [0.1, 0.5, 0.5, 0.99, 0.99], 1000 * (1.5 + 1.5) / 2),  # nothing after the fit
        ([2.0, 1.5, 1.0, 0.5], [0.1] * 4, 0.0),
        ([2.0, 1.0, 0.0], [0.1] * 3, 0.0),  # nor how fast it falls
        ([2.0, math.nan, 0.5], [0.1] * 3, "without a finite loss"),
        ([2.0, 1.0, 0.5, math.nan], [0.1, 0.2, 0.99, 1.0], 1000 * 0.5),
        ([2.0, 1.0, 0.5], [0.1, 0.99, 1.0], "not measured"),
        ([2.0, 1.0], [0.1] * 2, "not measured"),
        ([], [], "not measured"),
    ],
)
def test_roughness_is_the_mean_second_difference_of_the_online_loss_until_the_fit(losses, right, found):
    run = record([0.1, 1.0])
    vars(run)["online"] = {"step": list(range(len(losses))), "online_loss": losses, "online_accuracy": right}
    given = fig2b.roughness(run)
    assert given == (found if isinstance(found, str) else pytest.approx(found))
