"""What panels draw, read back off the axes: the paper's mark on top, words for what has no number, the running best."""

import math
import shutil
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from rethinking import catalog, figures, plotting
from rethinking.errors import InputError
from rethinking.figures.kit import (
    Curves,
    Frame,
    Lines,
    Measure,
    NamedPoints,
    Points,
    Rows,
    Spans,
    declared,
    final,
    made,
)
from rethinking.figures.kit.measures import comparable
from rethinking.figures.kit.panels import of_one_seed, title
from rethinking.record import Record, Runs
from rethinking.spec import RunSpec

ACCURACY = Measure("accuracy", "accuracy (%)", lambda r: r.final["accuracy"])


@pytest.fixture
def axes():
    with plotting.style():
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots()
        yield axes
        plt.close(figure)


def rows_of(*accuracies, n=50_000, names="abcd"):
    """Made up: a row for each accuracy, one seed; None is a missing run, text a state."""
    row = list(names[: len(accuracies)])
    frame = made(row=row, accuracy=[1.0 if a is None else a for a in accuracies], n=n)
    frame.data["n"] = frame.data["n"].astype(int)
    for k, a in enumerate(accuracies):
        if a is None:
            frame.data.loc[k, ["accuracy", "accuracy_state"]] = [float("nan"), "missing"]
    return frame


def words(axes):
    """Text by the row beside which it stands."""
    return {round(text.xy[1]): text for text in axes.texts}


def test_a_row_says_in_words_what_has_no_number_and_never_draws_it(axes):
    panel = Rows(
        x=ACCURACY, by="row", paper={"a": "fails to converge", "b": 90.0, "c": "fails to converge"}, xlim=(0, 100)
    )
    panel.draw(axes, rows_of(99.0, None, None, "diverged"), [])
    told = {k: text.get_text() for k, text in words(axes).items()}
    assert told == {0: "paper: fails to converge", 1: "not run", 2: "paper: fails to converge; not run", 3: "diverged"}
    rings = [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines if line.get_marker() == "o"]
    assert rings == [(90.0, 1)]
    assert [tuple(xy) for dots in axes.collections for xy in dots.get_offsets()] == [(99.0, 0.0)]


def test_words_stand_where_neither_the_papers_mark_nor_ours_is(axes):
    panel = Rows(x=ACCURACY, by="row", paper={"a": "fails", "b": 90.0, "c": 10.0, "d": "fails"}, xlim=(0, 100))
    panel.draw(axes, rows_of(99.0, None, None, 5.0), [])
    sides = {k: text.get_horizontalalignment() for k, text in words(axes).items()}
    assert sides == {0: "left", 1: "left", 2: "right", 3: "right"}


@pytest.mark.parametrize(
    ("gone", "below", "legend"),
    [
        ([], [], ["a", "b"]),
        ([1], [], ["a, 1 of 2 points run", "b"]),
        ([0, 2], [(0, "not run")], ["a, 1 of 2 points run", "b, 1 of 2 points run"]),
        ([0, 1], [], ["a: not run", "b"]),
        ([0, 1, 2, 3], [(0, "not run"), (1, "not run")], ["a: not run", "b: not run"]),
    ],
)
def test_lines_say_below_the_axis_what_the_legend_does_not(axes, gone, below, legend):
    """A line of which nothing is run, or some points, says so in the legend alone, unless no line is run there."""
    frame = made(network=list("aabb"), p=[0, 1, 0, 1], accuracy=[1.0, 2.0, 3.0, 4.0], n=50_000, all=50_000)
    frame.data.loc[gone, ["accuracy", "accuracy_state", "state"]] = [float("nan"), "missing", "missing"]
    Lines(x="p", y=ACCURACY, hue="network").draw(axes, frame, [])
    assert sorted((text.xy[0], text.get_text()) for text in axes.texts) == below
    assert [text.get_text() for text in axes.get_legend().get_texts()] == legend


def test_a_point_with_some_of_its_seeds_says_so_below_the_axis(axes):
    frame = made(network=list("aab"), p=0, accuracy=[1.0, 2.0, 3.0], n=50_000, all=50_000)
    frame.data["seed"] = [0, 1, 0]
    frame.data.loc[1, ["accuracy", "accuracy_state", "state"]] = [float("nan"), "missing", "missing"]
    Lines(x="p", y=ACCURACY, hue="network").draw(axes, frame, [])
    assert [text.get_text() for text in axes.texts] == ["partly run"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]


def test_in_deletion_no_regularizer_looks_like_labels_and_none_of_them_is_drawn_on_top_with_gaps():
    module = catalog.load("figures", "deletion")
    looks = {plotting.look_of(look)["color"] for look in module.REGULARIZERS.values()}
    assert looks.isdisjoint({plotting.look_of(word)["color"] for word in module.LABELS})
    few = [c["regularizer"] for c in module.GRID if c["images"] == module.SOME]
    assert list(dict.fromkeys(few))[-1] == module.NONE
    assert plotting.look_of(module.REGULARIZERS[module.NONE])["linestyle"] != "-"


def test_where_no_line_has_a_number_the_word_for_it_stands_above_the_axis(axes):
    """Not where one has, and not for what is censored, which is drawn on top."""
    cells = ["no margin", "no margin", "no margin", 2.0, "censored", 3.0]
    frame = made(p=[0, 0, 1, 1, 2, 2], accuracy=cells, n=50_000, all=50_000)
    frame.data["seed"] = [0, 1] * 3
    Lines(x="p", y=ACCURACY).draw(axes, frame, [])
    assert [(text.get_text(), text.xy[0]) for text in axes.texts if text.xy[1] == 0.02] == [("no margin", 0)]


def test_a_run_that_is_missing_or_has_no_baseline_is_not_called_missing(axes):
    frame = made(network=list("aabb"), p=[0, 1, 0, 1], accuracy=["no margin", 2.0, 1.0, 3.0], n=50_000, all=50_000)
    frame.data.loc[2, ["accuracy", "accuracy_state", "state"]] = [float("nan"), "missing", "missing"]
    frame.data.loc[1, ["accuracy", "accuracy_state"]] = [float("nan"), "missing"]
    frame.data.loc[3, ["accuracy", "accuracy_state"]] = [float("nan"), "missing"]
    Lines(x="p", y=ACCURACY, hue="network").draw(axes, frame, [])
    assert [text.get_text() for text in axes.texts] == ["no margin", "no baseline"]


def test_a_heading_counts_the_seeds_that_are_asked_for_whatever_is_missing():
    columns = {"network": list("aaab"), "n": 50_000, "all": 50_000, "run": list("1234")}
    for states in (
        ["computed"] * 4,
        ["computed"] * 3 + ["missing"],
        ["missing"] * 2 + ["computed"] * 2,
        ["missing"] * 4,
    ):
        frame = made(state=states, **columns)
        frame.data["seed"] = [0, 1, 2, 0]
        assert "1 to 3 seeds" in title("all", Frame(frame.data[["network", "seed", "n", "all", "run", "state"]]))


def missing(frame):
    """The same frame with no run."""
    frame.data[["accuracy", "accuracy_state", "state"]] = [float("nan"), "missing", "missing"]
    return frame


@pytest.mark.parametrize("log", [False, True])
def test_a_panel_without_numbers_has_none_on_its_axis_and_its_words_stand_beside_it(axes, log):
    frame = missing(made(network=list("aabb"), p=[1, 2000, 1, 2000], accuracy=1.0, n=50_000, all=50_000))
    Lines(x="p", y=ACCURACY, hue="network", log=log, legend="lower left").draw(axes, frame, [])
    axes.figure.draw_without_rendering()
    assert not axes.get_yticks().size
    left = axes.get_window_extent().x0
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == 2
    assert min(box.x0 for box in boxes) > left
    legend = axes.get_legend().get_window_extent()
    assert not any(legend.overlaps(box) for box in boxes)


def test_the_legend_shows_the_papers_mark_of_what_is_not_run(axes):
    frame = made(network=["inception", "mlp-1x512"], p=0, accuracy=[1.0, 2.0], n=50_000, all=50_000)
    frame.data.loc[0, ["accuracy", "accuracy_state", "state"]] = [float("nan"), "missing", "missing"]
    Lines(x="p", y=ACCURACY, hue="network", paper={"inception": {0: 3.0}}).draw(axes, frame, [])
    gone, run = axes.get_legend().legend_handles
    assert (gone.get_marker(), gone.get_markerfacecolor(), gone.get_linestyle()) == ("o", "none", "None")
    assert run.get_markerfacecolor() != "none"


def test_named_points_say_once_that_nothing_is_run(axes):
    frame = missing(made(network=list("ab"), accuracy=1.0))
    NamedPoints(x=ACCURACY, y=ACCURACY, by="network").draw(axes, frame, [])
    assert [text.get_text() for text in axes.texts] == ["not run"]
    assert axes.get_legend() is None
    assert not axes.get_xticks().size
    assert not axes.get_yticks().size


@pytest.mark.parametrize("named", [True, False])
def test_named_points_have_their_names_where_no_legend_of_another_panel_tells_them(axes, named):
    frame = made(network=list("ab"), accuracy=[1.0, 2.0])
    NamedPoints(x=ACCURACY, y=ACCURACY, by="network", named=named).draw(axes, frame, [])
    assert [text.get_text() for text in axes.texts] == (["a", "b"] if named else [])


def test_bars_are_the_intervals_of_every_run_where_they_have_some(axes):
    low, high = (Measure(name, "", lambda r: 0.0) for name in ("low", "high"))
    frame = made(p=[0, 0, 1], accuracy=[2.0, 4.0, -9.0], low=[1.0, 3.5, -9.5], high=[3.0, 6.0, -8.0], n=1, all=1)
    frame.data["seed"] = [0, 1, 0]
    panel = Lines(x="p", y=ACCURACY, interval=(low, high))
    panel.draw(axes, frame, [])
    segments = [[tuple(xy) for xy in s] for c in axes.collections for s in getattr(c, "get_segments", list)()]
    assert segments == [[(0, 1.0), (0, 3.0)], [(0, 3.5), (0, 6.0)], [(1, -9.5), (1, -8.0)]]
    assert panel.note == "line: median over seeds; a point a seed, its bar the 95 % interval"
    axes.clear()
    below = made(p=[0, 1], accuracy=[-10.0, -20.0], n=1, all=1)
    Lines(x="p", y=ACCURACY, room=0.1).draw(axes, below, [])
    assert axes.get_ylim()[1] == pytest.approx(-9.0)  # above the highest, where that is below nothing


def test_a_line_is_the_median_that_rules_use_and_breaks_where_that_is_no_number(axes):
    late, lost = "censored", "p = 0 censored"
    cells = [1.0, 1.0, 1.0, 2.0, 3.0, late, 4.0, late, late, 5.0, 6.0, 7.0, 8.0, lost, lost]
    frame = made(p=[k // 3 for k in range(15)], accuracy=cells, n=50_000, all=50_000)
    frame.data["seed"] = [0, 1, 2] * 5
    Lines(x="p", y=ACCURACY).draw(axes, frame, [])
    (line,) = (line for line in axes.get_lines() if len(line.get_xdata()) == 5)
    assert list(line.get_xdata()) == [0, 1, 2, 3, 4]
    assert [None if y != y else y for y in line.get_ydata()] == [1.0, 3.0, None, 6.0, None]
    bars = [[tuple(xy) for xy in s] for c in axes.collections for s in getattr(c, "get_segments", list)()]
    assert bars == [[(0, 1.0), (0, 1.0)], [(1, 2.0), (1, 3.0)], [(3, 5.0), (3, 7.0)]]


def test_where_every_seed_is_a_mark_the_note_says_so_and_no_line_is_wider_than_a_page():
    rule = (lambda t: True, "a quarter")
    lines = Lines(x="p", y=ACCURACY, shaded=rule).note
    assert lines == "line: median over seeds; a point a seed; bar: their range\ndark columns: a quarter"
    seeds = {"x": ACCURACY, "by": "network", "shown_as": "true labels"}
    assert Spans(**seeds).note == "a point a seed, the line their range"
    assert Spans(**seeds, shades="p").note.startswith("median over seeds; the bar is their range; light to dark: ")
    with plotting.style():
        import matplotlib.pyplot as plt

        blank = plt.figure()
        for name in catalog.entries("figures"):
            module, setting = catalog.load("figures", name), figures.setting(name, "cpu")
            if not declared.is_declared(module):
                continue
            notes = [panel.note for panel in declared.declared(module, setting, "panels")]
            for line in "\n".join([*notes, *declared.declared(module, setting, "notes")]).split("\n"):
                assert line == plotting.wrapped(blank, line, plotting.STYLE["figure.titlesize"], plotting.WIDTH), name
        plt.close(blank)


@pytest.mark.parametrize("only", [{}, {"network": ["b", "alexnet"]}])
def test_names_without_a_look_of_their_own_are_told_apart_alike_in_every_panel(axes, only):
    names = ["a", "alexnet", "b", "c"]
    network = [name for name in names for _ in range(2)]
    frame = made(network=network, p=[0.0, 1.0] * 4, accuracy=[float(k) for k in range(8)], n=50_000)
    Lines(x="p", y=ACCURACY, hue="network", only=only).draw(axes, frame, [None] * 8)
    handles, labels = axes.get_legend_handles_labels()
    looks = {
        label: (line.get_color(), str(line.get_linestyle()), line.get_marker())
        for line, label in zip(handles, labels, strict=True)
    }
    assert len(set(looks.values())) == len(looks) == (2 if only else 4)
    axes.clear()
    Lines(x="p", y=ACCURACY, hue="network").draw(axes, frame, [None] * 8)
    alone = {label: line.get_color() for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    assert {label: look[0] for label, look in looks.items()}.items() <= alone.items()


def test_a_row_with_some_of_its_seeds_says_so(axes):
    frame = rows_of(50.0, None, names="aa")
    frame.data["seed"] = [0, 1]
    Rows(x=ACCURACY, by="row", named=True, xlim=(0, 100)).draw(axes, frame, [])
    assert [text.get_text() for text in axes.texts] == ["partly run"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a, 2 seeds"]


def test_a_row_of_several_widths_says_in_the_legend_which_are_not_run_and_no_point_is_called_a_seed(axes):
    frame = made(row="a", width=[1.0, 2.0], accuracy=[50.0, 60.0], n=50_000)
    frame.data.loc[1, ["accuracy", "accuracy_state", "state"]] = [float("nan"), "missing", "missing"]
    panel = Rows(x=ACCURACY, by="row", hue="width", spans=True, looks={w: f"width {w:g}" for w in (1.0, 2.0)})
    panel.draw(axes, frame, [])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["width 1", "width 2: not run"]
    assert panel.note == "grey: our range"
    for name in ("table3", "frontier", "min_norm"):  # ticks 0.5, 1, 2, 5 alone do not tell that an axis is logarithmic
        module = catalog.load("figures", name)
        first, *_ = declared.declared(module, figures.setting(name, "cpu"), "panels")
        assert "logarithmic" in (first.ylabel if name == "min_norm" else first.xlabel)


def test_ours_never_hides_the_papers_mark_and_a_reduced_row_says_so(axes):
    panel = Rows(x=ACCURACY, by="row", looks={"a": "alexnet"}, paper={"a": 50.0})
    panel.draw(axes, rows_of(50.0, n=2000), [])
    (ring,) = axes.lines
    (ours,) = axes.collections
    assert ring.get_markerfacecolor() == "none"
    assert ring.get_zorder() > ours.get_zorder()
    assert ring.get_markersize() ** 2 > ours.get_sizes()[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a (REDUCED: n = 2,000)"]
    import matplotlib

    assert tuple(ours.get_facecolor()[0]) == matplotlib.colors.to_rgba(plotting.look_of("alexnet")["color"])


@pytest.mark.parametrize("error", [False, True])
def test_shaded_is_what_falls_short_of_the_best_so_far_on_the_same_test_images(axes, error):
    curve = {
        "step": [0, 1, 2, 3, 4],
        "test_accuracy": [0.1, 0.5, 0.3, 0.6, 0.2],
        "test_images": [250, 250, 250, 250, 10_000],
    }
    record = SimpleNamespace(curve=curve, online={"step": []}, steps_to_fit=lambda: None)
    assert comparable(record) == [0, 1, 2, 3]
    frame = Frame(made(hue="a").data)
    panel = Curves(columns={"test_accuracy": "-"}, factor=100, error=error, shaded=True, hue="hue", legend=None)
    panel.draw(axes, frame, [record])
    (area,) = [c for c in axes.collections if len(c.get_paths()) and len(c.get_paths()[0].vertices) > 4]
    corners = {(float(x), round(float(y), 6)) for x, y in area.get_paths()[0].vertices}
    expected = {(0, 10), (1, 50), (2, 30), (2, 50), (3, 60)}
    assert corners == ({(x, 100 - y) for x, y in expected} if error else expected)


def test_curves_are_of_the_online_log_where_every_run_has_one(axes):
    panel = Curves(columns={"train_loss": None}, online="online_loss", hue="c", ylabel="loss")
    curve = {"step": [0, 100], "train_loss": [2.0, 1.0], "train_accuracy": [0.1, 0.1]}
    for logs, expected in (([[25, 50, 100]] * 2, [2.5, 1.5, 0.5]), ([[25, 50, 100], []], [2.0, 1.0])):
        online = [{"step": steps, "online_loss": [2.5, 1.5, 0.5][: len(steps)]} for steps in logs]
        given = {"spec": RunSpec(), "result": {"status": "budget"}, "curve": curve, "steps_to_fit": lambda: None}
        runs = [({"c": "true labels"}, k, 100, "run", SimpleNamespace(online=o, **given)) for k, o in enumerate(online)]
        axes.clear()
        panel.draw(axes, Frame.of(runs, []), [r for *_, r in runs])
        lines = [list(line.get_ydata()) for line in axes.get_lines() if len(line.get_ydata()) > 1]
        assert lines == [expected] * 2
        assert axes.get_ylabel() == ("loss, of the batches" if len(expected) == 3 else "loss")


def marks(axes):
    """Where there are marks: the lines of one point, by colour."""
    return {line.get_color(): tuple(*line.get_xydata()) for line in axes.get_lines() if len(line.get_xdata()) == 1}


@pytest.mark.parametrize(
    ("shown", "told", "first", "second"),
    [(1.5, "99 % of the training images right", (15, 1.5), None), (None, "the run's end", (30, 0.0), (30, 1.0))],
)
def test_a_curves_mark_is_where_the_note_says(axes, shown, told, first, second):
    """That is where the axis is cut at a time to fit at that time, and not at the end, which may be beyond it."""
    online = {"step": [0, 10, 20, 30]}
    given = {"spec": RunSpec(), "result": {"status": "budget"}, "online": online}
    columns = {"true labels": ([3.0, 2.0, 1.0, 0.0], 15), "random labels": ([3.0, 2.0, 2.0, 1.0], None)}
    runs = []
    for name, (loss, time) in columns.items():
        curve = {"step": online["step"], "train_loss": loss, "train_accuracy": [0.1] * 4}
        record = SimpleNamespace(curve=curve, steps_to_fit=lambda time=time: time, **given)
        runs.append(({"c": name}, 0, 100, "run", record))
    panel = Curves(columns={"train_loss": None}, hue="c", shown=shown)
    panel.draw(axes, Frame.of(runs, []), [r for *_, r in runs])
    found = {name: marks(axes)[plotting.look_of(name)["color"]] for name in columns}
    assert panel.note == f"a curve's mark: {told}"
    assert found["true labels"] == first
    assert math.isnan(found["random labels"][0]) if second is None else found["random labels"] == second


def test_the_zones_of_a_curve_are_named_once_above_and_not_over_the_wrong_part_of_it():
    (panel, *_) = catalog.load("figures", "curves").PANELS
    assert panel.note.endswith("\ndotted: the best epoch; before it the run underfits, after it it overfits")


def test_the_marks_at_the_ends_of_the_longest_runs_stand_inside_a_logarithmic_axis(axes):
    curve = {"epoch": [0, 10, 100], "distance": [1.0, 0.5, 0.1]}
    record = SimpleNamespace(curve=curve, steps_to_fit=lambda: None, spec=RunSpec(), result={"status": "budget"})
    frame = Frame(made(hue="a").data)
    Curves(x="epoch", columns={"distance": None}, hue="hue", symlog=True).draw(axes, frame, [record])
    assert axes.get_xlim() == pytest.approx((0, 130))


def test_a_picture_of_one_seed_says_nothing_of_several(tmp_path):
    assert of_one_seed(Lines(x="p", y=ACCURACY).note) == ""
    assert of_one_seed(Lines(x="p", y=ACCURACY, paper={"a": {0: 1.0}}).note) == "hollow: the paper's"
    spans = Spans(x=ACCURACY, by="p", shown_as="true labels", shades="p").note
    assert of_one_seed(spans).startswith("light to dark: rising p\n")
    assert of_one_seed(Spans(x=ACCURACY, by="p", shown_as="true labels").note) == ""
    assert of_one_seed(Lines(x="p", y=ACCURACY, interval=(ACCURACY, ACCURACY)).note) == "bar: the 95 % interval"
    assert of_one_seed(Rows(x=ACCURACY, by="row", paper={"a": 1.0}).note) == "paper hollow, ours filled"
    for name, several in (("min_norm", False), ("batch_size", True)):
        module, setting = catalog.load("figures", name), figures.setting(name, "cpu")
        _, picture = figures.made(name, module, setting, Runs(tmp_path / "runs"))
        with plotting.style():
            import matplotlib.pyplot as plt

            drawn = picture()
            assert ("median over seeds" in drawn.get_suptitle()) == several
            plt.close(drawn)


def run_with(accuracy):
    return Record(Path(), RunSpec(), {"status": "fitted"}, {}, {"step": [0], "test_accuracy": [accuracy]})


def frame_of(coordinate, values, measure, **more):
    """A frame of one condition a value, a list of test accuracies by seed; None is a missing run."""
    rows = [
        ({coordinate: at} | more, seed, 100, "run", None if v is None else run_with(v))
        for at, group in values.items()
        for seed, v in enumerate(group)
    ]
    return Frame.of(rows, [measure]), [r for *_, r in rows]


def test_rows_of_points_say_which_are_not_run_and_which_partly(axes):
    test, here = final("test_accuracy"), [0.25, 0.25]
    true, one = frame_of("stack", {"a": here, "b": [0.25, None], "c": [None, None]}, test, labels="true")
    random, other = frame_of("stack", {"a": here, "b": here, "c": [None, None]}, test, labels="random")
    frame = Frame(pd.concat([true.data, random.data], ignore_index=True))
    both = dict(zip(("random", "true"), axes.figure.subplots(1, 2), strict=True))
    for labels, each in both.items():
        panel = Spans(x=test, by="stack", only={"labels": labels}, shown_as="true labels", named=labels == "random")
        panel.draw(each, frame, [*one, *other])
    assert [label.get_text() for label in both["random"].get_yticklabels()] == ["a", "b (1 of 2 seeds)", "c"]
    assert not any(label.get_text() for label in both["true"].get_yticklabels())
    assert [(text.get_text(), text.xy[1]) for each in both.values() for text in each.texts] == [("not run", 2)] * 2


def test_levels_shade_where_the_rule_holds_and_name_every_place(axes):
    test = final("test_accuracy")
    frame, records = frame_of("s", {0.0: [0.5], 0.1: [0.25], 1.0: [None]}, test, net="a")
    rule = (lambda t: t.values(test.name) == [25.0], "a quarter")
    panel = Lines(x="s", y=test, hue="net", xlabel="s", band=(20.0, 30.0, "paper"), places=True, shaded=rule)
    panel.draw(axes, frame, records)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "0.1", "1"]
    assert [(text.get_text(), text.xy[0]) for text in axes.texts if text.get_text() == "not run"] == [("not run", 2)]
    assert [round(p.get_x(), 1) for p in axes.patches if round(p.get_width(), 1) == 0.8] == [0.6]
    assert panel.note.endswith("dark columns: a quarter")


def test_a_censored_point_is_hollow_on_the_edge_and_a_diverged_one_is_not_drawn(axes):
    x, y = (Measure(k, k, lambda r: r) for k in "xy")
    columns = {"kind": ["weights"] * 3, "what": ["a", "b", "c"], "x": [2.0, "censored", 3.0], "y": [1.0, 2.0, 3.0]}
    frame = made(state=["fitted", "censored", "diverged"], **columns)
    panel = Points(x=(x, {}), y=(y, {}), by="{what}", hue="kind", names=True, xlim=(0.5, 5), xticks=(1, 2))
    panel.draw(axes, frame, [])
    assert [text.get_text() for text in axes.texts] == ["b"]
    assert [tuple(map(float, c)) for c in axes.collections[0].get_offsets()] == [(2.0, 1.0)]
    hollow = [line for line in axes.get_lines() if line.get_markerfacecolor() == "white"]
    assert [(list(line.get_xdata()), list(line.get_ydata())) for line in hollow] == [([5], [2.0])]


def test_the_line_of_a_name_beside_the_edge_starts_at_that_name_however_steep_it_is(axes):
    x, y = (Measure(k, k, lambda r: r) for k in "xy")
    names = [str(k) for k in range(12)]
    times = {"x": ["censored"] * 12 + [1.0], "y": [*(1 + k / 1000 for k in range(12)), 5.0]}
    frame = made(kind="weights", what=[*names, "12"], state="censored", **times)
    Points(x=(x, {}), y=(y, {}), by="{what}", hue="kind", names=True, xlim=(0.5, 5), ylim=(0, 30)).draw(axes, frame, [])
    axes.figure.draw_without_rendering()
    assert [text.get_text() for text in axes.texts] == names
    for text in axes.texts:
        (_, start), *_ = text.arrow_patch.get_path().vertices
        words = super(type(text), text).get_window_extent()  # without their line
        assert words.y0 < start < words.y1


def test_points_on_each_other_at_the_edge_are_counted(axes):
    x, y = (Measure(k, k, lambda r: r) for k in "xy")
    late = ["censored", "censored"]
    frame = made(kind="weights", what=list("abcd"), x=[*late, "censored", 1.0], y=[*late, 2.0, 3.0], state="censored")
    Points(x=(x, {}), y=(y, {}), by="{what}", hue="kind", xlim=(0.5, 5), ylim=(0.5, 9)).draw(axes, frame, [])
    assert [(text.get_text(), text.xy) for text in axes.texts] == [("2 points", (5, 9))]


def test_where_no_budget_tells_how_long_times_are_axes_end_beyond_their_numbers(axes):
    x, y = (Measure(k, k, lambda r: r) for k in "xy")
    frame = made(
        kind="weights", what=list("abc"), x=[0.1, 20.0, "censored"], y=[1.0, 11.0, 1.0], state="fitted", times=1
    )
    points = {"x": (x, {}), "y": (y, {}), "by": "{what}", "hue": "kind", "diagonal": True, "xticks": (0.5, 40)}
    ends = (0.1 / 1.3, 26.0)
    for limits, expected in (((None, None), ends), ((0.28, 5.6), (0.28, 5.6))):
        axes.clear()
        Points(xlim=limits, **points).draw(axes, frame, [])
        assert axes.get_xlim() == pytest.approx(expected)
        hollow = [line.get_xdata()[0] for line in axes.get_lines() if line.get_markerfacecolor() == "white"]
        assert hollow == pytest.approx([expected[1]])
        axes.clear()
        Spans(x=x, by="what", shown_as="random labels", log=True, xticks=(0.5, 40), xlim=limits).draw(axes, frame, [])
        assert axes.get_xlim() == pytest.approx(expected)
    for name in ("dose", "frontier", "regularizers"):
        module = catalog.load("figures", name)
        for setting, known in (
            (figures.setting(name, "cpu"), True),
            (figures.setting(name, "paper"), False),
            (figures.setting(name, data="mnist"), False),
        ):
            assert (None not in declared.declared(module, setting, "panels")[0].xlim) == known


def test_a_point_of_a_line_that_has_no_time_is_called_as_in_tables(axes):
    steps = Measure("steps", "steps", lambda r: r)
    columns = {"p": [0, 1, 1, 2, 2], "steps": [7.0, *["censored"] * 4]}
    frame = made(state=["fitted", "censored", "censored", "diverged", "censored"], **columns)
    Lines(x="p", y=steps).draw(axes, frame, [])
    assert [(text.xy[0], text.get_text()) for text in axes.texts] == [(1, "censored"), (2, "censored and diverged")]


def test_shades_of_a_row_mark_what_is_censored_and_name_what_is_not_run(axes):
    steps = Measure("steps", "", lambda r: r)
    columns = {"what": ["a"] * 3, "times": [1, 2, 8], "steps": ["censored", 7.0, "missing"]}
    frame = made(state=["censored", "fitted", "missing"], **columns)
    Spans(x=steps, by="what", shades="times", shown_as="random labels").draw(axes, frame, [])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a: 1, 2, 8 (not run)"]
    assert [line.get_marker() for line in axes.get_lines() if line.get_marker() in (">", "x")] == [">"]
    assert [float(c[0]) for c in axes.collections[0].get_offsets()] == [7.0]


@pytest.mark.parametrize("alike", ["once, twice, 8 times", ""])
def test_a_shade_is_of_one_value_in_all_rows_where_the_note_says_so(axes, alike):
    steps = Measure("steps", "", lambda r: r)
    frame = made(what=list("aaabbc"), times=[1, 2, 8, 1, 2, 1], steps=[1.0, 2.0, 8.0, 1.0, 2.0, 1.0], state="fitted")
    panel = Spans(x=steps, by="what", shades="times", alike=alike, shown_as="random labels")
    panel.draw(axes, frame, [])
    (dots,) = axes.collections
    shades = {}
    for (x, _), color in zip(dots.get_offsets(), dots.get_facecolors(), strict=True):
        shades.setdefault(float(x), set()).add(tuple(color))
    assert [len(shades[x]) for x in (1.0, 2.0, 8.0)] == ([1, 1, 1] if alike else [3, 2, 1])
    assert f"light to dark: {alike or 'rising times'}\n" in panel.note


def test_shades_of_a_row_are_medians_and_a_cross_is_what_diverges_not_what_has_no_baseline(axes):
    ratio = Measure("ratio", "", lambda r: r)
    for what, cells, state, crosses, said in (
        ("diverged", ["diverged", 0.9, "diverged"], ["diverged", "fitted", "diverged"], 1, []),
        ("diverged", [0.9, "diverged", "diverged"], ["fitted", "diverged", "diverged"], 1, []),
        ("no loss", ["without a finite loss", 0.9, "without a finite loss"], ["diverged", "fitted", "diverged"], 1, []),
        ("no baseline", ["baseline censored", 2.0, 3.0], "fitted", 0, ["baseline censored"]),
        ("a median", [2.0, 4.0, 3.0], "fitted", 0, []),
    ):
        axes.clear()
        frame = made(what="a", times=1, ratio=cells, state=state)
        frame.data["seed"] = [0, 1, 2]
        Spans(x=ratio, by="what", shades="times", shown_as="random labels").draw(axes, frame, [])
        assert [line.get_marker() for line in axes.get_lines() if line.get_marker() in (">", "x")] == ["x"] * crosses, (
            what
        )
        assert [text.get_text() for text in axes.texts] == said, what
        dots = [float(x) for dots in axes.collections for x, _ in dots.get_offsets()]
        assert dots == ([3.0] if what == "a median" else []), what


def test_pictures_are_set_in_the_font_that_matplotlib_brings_not_in_the_systems(tmp_path, monkeypatch):
    from matplotlib import font_manager, get_data_path

    manager, family = font_manager.fontManager, plotting.STYLE["font.sans-serif"][0]
    own = font_manager.findfont(family, rebuild_if_missing=False)
    other = Path(shutil.copy(own, tmp_path))
    monkeypatch.setattr(
        manager, "ttflist", [font_manager.ttfFontProperty(font_manager.get_font(other)), *manager.ttflist]
    )
    manager._findfont_cached.cache_clear()
    assert font_manager.findfont(family) == str(other)
    plotting._own_fonts_first.__wrapped__()
    assert Path(font_manager.findfont(family)).is_relative_to(get_data_path())


HOSTILE_FIGURE = '''
"""A figure whose labels look like mathematics."""
from rethinking.figures.kit import Grid, Lines, Rows, Table, final
CAPTION = "A caption with $ and {."
DEPARTURES = ["$_$"]
NAMES = ["$a_$", "{\\\\frac", "WORD"]
GRID = Grid("{row}", row=NAMES)
def spec(setting, seed, row):
    return setting.spec(seed, data="toy", n=20, model="tiny", steps=NAMES.index(row) + 2)
TRAIN = final("train_accuracy")
TABLE = Table("row", {"train $x_$": TRAIN})
PANELS = [Rows(x=TRAIN, by="row", xlabel="$x_$ LABEL", title="$_$")]
NOTES = ["$_$"]
CLAIMS = []
'''


def test_labels_that_look_like_mathematics_are_drawn_as_they_are(found, tmp_path):
    found(figures__odd=HOSTILE_FIGURE)
    drawn = figures.draw("odd", figures.setting("odd"), Runs(tmp_path / "runs"), tmp_path, ("svg",))
    assert [row["row"] for row in drawn.numbers["table"]] == ["$a_$", "{\\frac", "WORD"]
    assert ">$a_$ (REDUCED: n = 20)</text>" in drawn.files[0].read_text("utf-8")


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("A caption", "line 4: CAPTION has the character"),
        ("A figure", "the docstring has the character"),
        ("WORD", "NAMES has the character"),
        ("LABEL", "draws the character"),
    ],
)
def test_a_character_that_acts_on_a_terminal_is_refused_in_one_line(found, tmp_path, place, told):
    found(figures__odd=HOSTILE_FIGURE.replace(place, place + r"\x1b[31m"))
    with pytest.raises(InputError) as error:
        figures.draw("odd", figures.setting("odd"), Runs(tmp_path / "runs"), tmp_path, ("svg",))
    assert told in str(error.value)
    assert "\\x1b" in str(error.value)
    assert "\x1b" not in str(error.value)
    assert not list(tmp_path.glob("odd*"))


def test_a_computed_text_that_acts_on_a_terminal_is_refused(found, tmp_path):
    found(figures__odd=HOSTILE_FIGURE.replace('["$_$"]\nNAMES', '["a" + chr(27)]\nNAMES'))
    with pytest.raises(InputError, match="says the character"):
        figures.draw("odd", figures.setting("odd"), Runs(tmp_path / "runs"), tmp_path, ("svg",))


def test_powers_on_logarithmic_axes_are_plain_characters():
    with plotting.style():
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots()
        axes.plot([1e-3, 1, 1e4], [0.1, 0.1, 0.2])
        axes.set(xscale="log", yscale="log")
        plotting.without_mathematics(figure)
        figure.draw_without_rendering()
        texts = {t.get_text() for axis in (axes.xaxis, axes.yaxis) for t in axis.get_ticklabels(which="both")}
        plt.close(figure)
    assert {"10⁻³", "10⁰", "10⁴"} <= texts
    assert any(text.startswith("2×10⁻¹") for text in texts)
    assert not any(mark in text for text in texts for mark in "$\\{^")
