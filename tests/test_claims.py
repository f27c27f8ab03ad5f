"""Claims stand beside their examples: made-up frames and the verdict that each must get."""

import math
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from rethinking import catalog, claims, figures, plotting
from rethinking.claims import NOT_JUDGED, NOT_REPLICATED, NOT_RUN, REPLICATED, Claim, Reading, judge
from rethinking.figures.kit import Curves, Frame, Grid, declared, made
from rethinking.record import Record
from rethinking.spec import RunSpec


def every_claim() -> list:
    """(figure, claim as declared) at scale cpu, for every declared figure in the folders."""
    found = []
    for name in catalog.names("figures"):
        module = catalog.load("figures", name)
        if declared.is_declared(module):
            setting = figures.setting(name, "cpu")
            made_for = declared.declared(module, setting, "claims")
            found += [pytest.param(name, setting, claim, id=claim.id) for claim in made_for]
    return found


@pytest.mark.parametrize(("name", "setting", "claim"), every_claim())
def test_every_example_gets_its_verdict(name, setting, claim):
    one = claim.every()[0]
    assert one.id.startswith(f"{name}.")
    assert {verdict for _, verdict in claim.examples} >= {REPLICATED, NOT_REPLICATED}
    assert [one.verdict(frame) for frame, _ in claim.examples] == [verdict for _, verdict in claim.examples]


@pytest.mark.parametrize(("name", "setting", "claim"), every_claim())
def test_every_claim_has_an_id_of_its_own_and_is_about_conditions_that_there_are(name, setting, claim):
    module = catalog.load("figures", name)
    rules = declared.claims(module, setting)
    assert len({rule.name for rule in rules}) == len(rules)
    wanted = figures.runs_of(module, setting)
    for rule in rules:
        assert rule.conditions
        assert set(rule.conditions) <= set(wanted)
    assert all(re.fullmatch(r"[a-z][a-z0-9_.+-]*[a-z0-9]", rule.id) for rule in rules)
    ids = [one.id for each in every_claim() for one in each.values[2].every()]
    assert len(set(ids)) == len(ids)


SPECS = {"a": [RunSpec(n=100, seed=k) for k in range(3)]}


def one(holds=True, **needs):
    return Claim(
        "c",
        needs.pop("source", "zhang2017, Table 1"),
        "t",
        "p",
        "r",
        ("a",),
        lambda groups: Reading(holds, str(len(groups["a"])), {}),
        **needs,
    )


def test_verdicts():
    full, holed = {"a": [object()] * 3}, {"a": [object(), None, object()]}
    assert judge(one(), SPECS, full).verdict == REPLICATED
    assert judge(one(holds=False), SPECS, full).verdict == NOT_REPLICATED
    assert judge(one(), SPECS, holed).verdict == NOT_RUN
    assert SPECS["a"][1].run_id in judge(one(), SPECS, holed).reason
    assert judge(one(least_n=101), SPECS, full).verdict == NOT_JUDGED
    assert judge(one(least_seeds=4), SPECS, holed).verdict == NOT_JUDGED
    assert judge(one(least_n=100, least_seeds=3), SPECS, full).verdict == REPLICATED


def test_extensions_have_words_of_their_own():
    full = {"a": [object()] * 3}
    for source, own in (
        ("zhang2017, Table 1", True),
        ("zhang2017, Table 1, extended", False),
        ("Li et al. 2019", False),
    ):
        assert one(source=source).own == judge(one(source=source), SPECS, full).own == own
    said = [judge(one(source="Li et al. 2019", **more), SPECS, full).verdict for more in ({}, {"holds": False})]
    assert said == ["holds", "does not hold"]
    assert judge(one(source="Li et al. 2019", least_n=101), SPECS, full).verdict == "not judged"
    assert judge(one(source="Li et al. 2019"), SPECS, {"a": [None] * 3}).verdict == "not run"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([160, 144, 160], "160 (144 to 160)"),
        ([944, "censored", 928], "944 (928 to censored)"),
        (["censored", 800, "censored"], "censored (800 to censored)"),
        ([800, "censored"], "censored (800 to censored)"),
        (["censored", "censored"], "2 censored"),
        (["censored"], "censored"),
        ([2.5, "p = 0 censored", None], "2.50, 1 p = 0 censored, 2 of 3 seeds"),
        ([None], "not run"),
    ],
)
def test_a_censored_time_is_above_every_number(values, text):
    assert claims.told(values) == text


def test_curves_are_of_the_online_log_where_every_run_has_one():
    import matplotlib.pyplot as plt

    class Run:
        result, curve = {"status": "budget"}, {"step": [0, 100], "train_loss": [2.0, 1.0], "train_accuracy": [0.1, 0.1]}

        def __init__(self, steps):
            self.online = {"step": steps, "online_loss": [2.5, 1.5, 0.5][: len(steps)]}

        def steps_to_fit(self):
            return None

    panel = Curves(columns={"train_loss": None}, online="online_loss", hue="c", ylabel="loss")
    for logs, expected in (([[25, 50, 100]] * 2, [2.5, 1.5, 0.5]), ([[25, 50, 100], []], [2.0, 1.0])):
        runs = [({"c": "true labels"}, seed, 100, "run", Run(steps)) for seed, steps in enumerate(logs)]
        _, axes = plt.subplots()
        panel.draw(axes, Frame.of(runs, []), [r for *_, r in runs])
        lines = [list(line.get_ydata()) for line in axes.get_lines() if len(line.get_ydata()) > 1]
        assert lines == [expected] * 2
        assert axes.get_ylabel() == ("loss, of the batches" if len(expected) == 3 else "loss")
        plt.close()


def test_a_measure_with_a_parameter_reads_every_run_at_each_of_its_values():
    from rethinking.figures.kit import Table, returned_epoch, stopping_gain
    from rethinking.figures.kit.panels import title

    held, test = [0.1, 0.3, 0.2, 0.4], [0.1, 0.3, 0.2, 0.25]
    curve = {"step": [0, 1, 2, 3], "epoch": [0.0, 1.0, 2.0, 3.0], "held_out_accuracy": held, "test_accuracy": test}
    curve |= {"train_accuracy": [0.1] * 4, "train_loss": [1.0] * 4}
    run = Record(Path(), RunSpec(), {"status": "budget"}, {}, curve)
    measures = {"epoch": returned_epoch(), "gain": stopping_gain()}
    module = SimpleNamespace(
        GRID=Grid("{labels}", labels=["true", "random"]),
        READ_AT={"patience": (1, 2)},
        TABLE=Table("run", measures, by="{labels}, patience {patience}"),
        PANELS=[],
        spec=lambda setting, seed, labels: RunSpec(n=100, seed=seed, data_seed=len(labels)),
    )
    setting = figures.Setting("quick", "mlp-1x512", 2)
    frame, found, labels = declared.frame(module, setting, {"true": [run, None], "random": [None, None]})
    assert [len(found), len(labels)] == [len(frame.data)] * 2 == [8, 8]
    assert module.TABLE.rows(frame, labels) == [
        {"run": "true, patience 1", "n": [100], "epoch": [1.0, None], "gain": [pytest.approx(5.0), None]},
        {"run": "true, patience 2", "n": [100], "epoch": [3.0, None], "gain": [0.0, None]},
        {"run": "random, patience 1", "n": [100], "epoch": [None] * 2, "gain": [None] * 2},
        {"run": "random, patience 2", "n": [100], "epoch": [None] * 2, "gain": [None] * 2},
    ]
    once = frame.where(**declared.readings_of(module)[0])
    assert title("mlp-1x512", once).endswith("2 seeds; 3 of 4 runs not run")  # a run is counted once


@pytest.mark.parametrize("name", sorted({each.values[0] for each in every_claim()}))
def test_every_line_of_a_figure_has_a_look_of_its_own(name):
    module, setting = catalog.load("figures", name), figures.setting(name, "cpu")
    grid = declared.declared(module, setting, "grid")
    for panel in (
        each
        for each in declared.declared(module, setting, "panels")
        if getattr(each, "hue", None) and not getattr(each, "shades", False)
    ):
        looks = [panel.look(value) for value in grid.coordinates[panel.hue]]
        assert len({(look["color"], str(look["linestyle"])) for look in looks}) == len(looks)
        assert plotting.look_of("no such name") not in looks


def run_with(tests, images, status="fitted"):
    """A record with those test accuracies, one a step, each of so many test images."""
    curve = {"step": list(range(len(tests))), "test_accuracy": tests, "test_images": images}
    curve |= {"train_accuracy": [0.99] * len(tests), "train_loss": [1.0] * len(tests)}
    return Record(Path(), RunSpec(), {"status": status}, {}, curve)


def test_a_run_and_its_baseline_are_read_at_the_last_step_that_both_evaluate_on_as_many_images():
    from rethinking.figures.kit import at_last_shared

    gap = at_last_shared("gap", "", lambda a, b: a["test_accuracy"] - b["test_accuracy"], arm="without")
    long, short = run_with([0.1, 0.5, 0.75, 0.9], [2, 2, 2, 9]), run_with([0.1, 0.25, 0.8], [2, 2, 9])
    other = run_with([0.1], [3])
    pairs = [(long, short), (short, long), (long, None), (None, short), (long, other)]
    both = [(seed, arm, r) for seed, pair in enumerate(pairs) for arm, r in zip(("with", "without"), pair, strict=True)]
    rows = [({"arm": arm}, seed, 100, "run", r) for seed, arm, r in both]
    frame = Frame.of(rows, [gap]).where(arm="with")
    assert frame.cells("gap") == [0.25, -0.25, None, None, "no shared evaluation"]


def test_rows_of_points_say_which_are_not_run_and_which_partly():
    import matplotlib.pyplot as plt

    from rethinking.figures.kit import Spans, final

    run, test = run_with([0.25], [9]), final("test_accuracy")
    found = {("true", "a"): [run, run], ("true", "b"): [run, None], ("true", "c"): [None, None]}
    found |= {("random", stack): [run, run] if stack != "c" else [None, None] for stack in "abc"}
    rows = [
        ({"labels": labels, "stack": stack}, seed, 100, "run", r)
        for (labels, stack), group in found.items()
        for seed, r in enumerate(group)
    ]
    frame = Frame.of(rows, [test])
    _, axes = plt.subplots(1, 2)
    for one, labels in zip(axes, ("random", "true"), strict=True):
        panel = Spans(x=test, by="stack", only={"labels": labels}, shown_as="true labels", named=labels == "random")
        panel.draw(one, frame, [r for *_, r in rows])
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["a", "b (1 of 2 seeds)", "c"]
    assert not any(label.get_text() for label in axes[1].get_yticklabels())
    assert [(text.get_text(), text.xy[1]) for one in axes for text in one.texts] == [("not run", 2)] * 2
    plt.close()


def test_runs_that_differ_in_one_coordinate_are_read_together_and_one_missing_leaves_no_number():
    from rethinking.figures.kit import Together

    def of(records, k):
        return sum(r.curve["step"][-1] for r in records[:k])

    total = Together("total", "", of, parameters=("k",), over="k")
    runs = {0: [run_with([0.0] * 2, [1]), run_with([0.0] * 4, [1])], 1: [run_with([0.0] * 9, [1]), None]}
    rows = [({"k": k}, seed, 100, "run", runs[seed][k - 1]) for k in (1, 2) for seed in (0, 1)]
    assert Frame.of(rows, [total]).cells("total") == [1, None, 4, None]


def test_votes_and_mean_probabilities_differ_where_one_is_sure_and_two_are_not():
    import numpy as np

    from rethinking.figures.ensembles import MEAN, VOTE, joined

    sure, unsure = np.array([[9.0, 0.0, 0.0]]), np.array([[0.0, 0.1, 0.0]])
    assert joined([sure, unsure, unsure], VOTE).tolist() == [1]
    assert joined([sure, unsure, unsure], MEAN).tolist() == [0]
    assert joined([unsure, sure], VOTE).tolist() == [0]  # of a tied vote the smallest


def test_a_cell_that_is_a_truth_is_told_as_yes_or_no():
    from rethinking.figures.kit import Table

    frame = made(k=[1, 2, 3, 4], n=100, value=[1.0, 2.0, 3.0, 4.0])
    table = Table("k", {"even": lambda t: {1: False, 2: True, 3: None, 4: "four"}[t.data["k"].iloc[0]]}, by="k")
    assert [row["even"] for row in table.rows(frame, [])] == [["no"], ["yes"], [None], ["four"]]


def test_zeros_and_axes_are_counted_from_what_is_kept():
    import numpy as np

    from rethinking.figures.l1_l2 import EDGES, RADII, ZEROS, density, on_axes

    run = run_with([0.5], [9])
    run.__dict__["arrays"] = {"zeros/a": np.array([1, 4]), "zeros/b": np.array([2, 4]), "zeros/c": np.array([0, 0])}
    run.arrays["quantiles/layers.0.weight"] = np.array([-0.05, 0.0, 0.0, 0.05])
    assert ZEROS.of(run) == 37.5
    held = density(run)
    assert held.shape == (len(EDGES) - 1,)
    assert sorted(held[held > 0]) == [25.0, 25.0, 50.0]
    curve = {"step": list(range(6)), "radius": [0.0] * 6}
    curve |= {"l1_first": [0.0, 0.0, 0.0, 1.0, 2.0, 3.0], "l1_second": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]}
    curve |= {"l2_first": [0.0, -1.0, 1.0, 2.0, 2.0, 0.0], "l2_second": [0.0, 1.0, 1.0, 1.0, 1.0, 1.0]}
    found = Record(Path(), RunSpec(), {"status": "done"}, {}, curve)
    assert [m.of(found) for m in (on_axes("l1"), on_axes("l2"), RADII)] == [2, 1, 4]


def test_levels_shade_where_the_rule_holds_and_name_every_place():
    import matplotlib.pyplot as plt

    from rethinking.figures.kit import Lines, Measure

    test = Measure("test", "test (%)", lambda r: 100 * r.final["test_accuracy"])
    values = {0.0: 0.5, 0.1: 0.25, 1.0: None}
    rows = [
        ({"net": "a", "s": s}, 0, 100, f"{s}", None if v is None else run_with([v], [9])) for s, v in values.items()
    ]
    rule = (lambda t: t.values("test") == [25.0], "a quarter")
    panel = Lines(x="s", y=test, hue="net", xlabel="s", band=(20.0, 30.0, "paper"), places=True, shaded=rule)
    _, axes = plt.subplots()
    panel.draw(axes, Frame.of(rows, [test]), [r for *_, r in rows])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "0.1", "1"]
    assert [(text.get_text(), text.xy[0]) for text in axes.texts if text.get_text() == "not run"] == [("not run", 2)]
    assert [round(p.get_x(), 1) for p in axes.patches if round(p.get_width(), 1) == 0.8] == [0.6]
    assert panel.note.endswith("dark columns: a quarter")


def test_listed_conditions_keep_their_order_and_numbers_are_named_as_readers_write_them():
    from rethinking.figures.kit import Conditions

    rows = [{"what": "a", "strength": 25.0}, {"what": "b", "strength": True}, {"what": "a", "strength": "signs"}]
    grid = Conditions("{what} {strength}", rows)
    assert list(grid) == rows
    assert [grid.label(c) for c in grid] == ["a 25", "b on", "a signs"]
    assert grid.coordinates == {"what": ["a", "b"], "strength": [25.0, True, "signs"]}
    frame = made(what=["a", "b"], strength=[25.0, 0.5])
    assert list(frame.groups("{strength}, {what}")) == ["25, a", "0.5, b"]


@pytest.mark.parametrize(
    ("loss", "share"), [(0.0, 1.0), (math.log(10), 0.0), (math.log(10) / 4, 0.75), (9.0, 0.0), (math.nan, "diverged")]
)
def test_bits_memorized_are_a_share_of_what_the_labels_hold(loss, share):
    from rethinking.figures.kit import bits_memorized

    run = run_with([0.1], [9])
    run.curve["train_loss"] = [loss]
    (cell,) = Frame.of([({}, 0, 100, "run", run)], [bits_memorized()]).cells("bits")
    assert cell == (share if isinstance(share, str) else pytest.approx(share, abs=1e-12))


def test_a_censored_point_is_hollow_on_the_edge_and_a_diverged_one_is_not_drawn():
    import matplotlib.pyplot as plt

    from rethinking.figures.kit import Measure, Points

    x, y = (Measure(k, k, lambda r: r) for k in "xy")
    columns = {"kind": ["weights"] * 3, "what": ["a", "b", "c"], "x": [2.0, "censored", 3.0], "y": [1.0, 2.0, 3.0]}
    frame = made(state=["fitted", "censored", "diverged"], **columns)
    panel = Points(x=(x, {}), y=(y, {}), by="{what}", hue="kind", names=True, xlim=(0.5, 5), xticks=(1, 2))
    _, axes = plt.subplots()
    panel.draw(axes, frame, [])
    assert [text.get_text() for text in axes.texts] == ["b"]
    assert [tuple(map(float, c)) for c in axes.collections[0].get_offsets()] == [(2.0, 1.0)]
    hollow = [line for line in axes.get_lines() if line.get_markerfacecolor() == "white"]
    assert [(list(line.get_xdata()), list(line.get_ydata())) for line in hollow] == [([5], [2.0])]
    plt.close()


def test_shades_of_a_row_mark_what_is_censored_and_name_what_is_not_run():
    import matplotlib.pyplot as plt

    from rethinking.figures.kit import Measure, Spans

    steps = Measure("steps", "", lambda r: r)
    columns = {"what": ["a"] * 3, "times": [1, 2, 8], "steps": ["censored", 7.0, "missing"]}
    frame = made(state=["censored", "fitted", "missing"], **columns)
    _, axes = plt.subplots()
    Spans(x=steps, by="what", shades="times", shown_as="random labels").draw(axes, frame, [])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a: 1, 2, 8 (not run)"]
    assert [line.get_marker() for line in axes.get_lines() if line.get_marker() in (">", "x")] == [">"]
    assert [float(c[0]) for c in axes.collections[0].get_offsets()] == [7.0]
    plt.close()
