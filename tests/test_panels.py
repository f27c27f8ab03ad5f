"""What panels draw, read back off the axes: the paper's mark on top, words for what has no number, the running best."""

from types import SimpleNamespace

import pytest

from rethinking import plotting
from rethinking.figures.kit import Curves, Frame, Lines, Measure, Rows, made
from rethinking.figures.kit.measures import comparable

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
        ([1], [(1, "partly run")], ["a", "b"]),
        ([0, 1], [], ["a: not run", "b"]),
        ([0, 1, 2, 3], [(0, "not run"), (1, "not run")], ["a: not run", "b: not run"]),
    ],
)
def test_lines_say_below_the_axis_what_the_legend_does_not(axes, gone, below, legend):
    """A line of which nothing is run is named in the legend alone, unless no line is run."""
    frame = made(network=list("aabb"), p=[0, 1, 0, 1], accuracy=[1.0, 2.0, 3.0, 4.0], n=50_000, all=50_000)
    frame.data.loc[gone, ["accuracy", "accuracy_state", "state"]] = [float("nan"), "missing", "missing"]
    Lines(x="p", y=ACCURACY, hue="network").draw(axes, frame, [])
    assert sorted((text.xy[0], text.get_text()) for text in axes.texts) == below
    assert [text.get_text() for text in axes.get_legend().get_texts()] == legend


def test_bars_are_the_intervals_of_every_run_where_they_have_some(axes):
    low, high = (Measure(name, "", lambda r: 0.0) for name in ("low", "high"))
    frame = made(p=[0, 0, 1], accuracy=[2.0, 4.0, -9.0], low=[1.0, 3.5, -9.5], high=[3.0, 6.0, -8.0], n=1, all=1)
    frame.data["seed"] = [0, 1, 0]
    panel = Lines(x="p", y=ACCURACY, interval=(low, high))
    panel.draw(axes, frame, [])
    segments = [[tuple(xy) for xy in s] for c in axes.collections for s in getattr(c, "get_segments", list)()]
    assert segments == [[(0, 1.0), (0, 3.0)], [(0, 3.5), (0, 6.0)], [(1, -9.5), (1, -8.0)]]
    assert panel.note == "median over seeds; a bar a seed is its 95 % interval"
    axes.clear()
    below = made(p=[0, 1], accuracy=[-10.0, -20.0], n=1, all=1)
    Lines(x="p", y=ACCURACY, room=0.1).draw(axes, below, [])
    assert axes.get_ylim()[1] == pytest.approx(-9.0)  # above the highest, where that is below nothing


def test_a_row_with_some_of_its_seeds_says_so(axes):
    frame = rows_of(50.0, None, names="aa")
    frame.data["seed"] = [0, 1]
    Rows(x=ACCURACY, by="row", named=True, xlim=(0, 100)).draw(axes, frame, [])
    assert [text.get_text() for text in axes.texts] == ["partly run"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a, 2 seeds"]


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

    assert tuple(ours.get_facecolor()[0]) == matplotlib.colors.to_rgba(plotting.NETWORKS["alexnet"]["color"])


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
