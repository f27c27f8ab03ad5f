"""Frames and tables of runs of several kinds: what a kind has not is a state, never a number."""

import math
from pathlib import Path

import pytest

from rethinking.figures.kit import Conditions, Frame, Table, Tables, column, falls, final, highest, of_row, steps_to_fit
from rethinking.record import Record
from rethinking.spec import RunSpec

KERNEL = {"step": [1, 2, 3], "filters": [10, 20, 20], "penalty": [0.5, 0.5, 0.0], "norm": [1.0, 2.0, 4.0]}
TRAINED = {"step": [1], "train_accuracy": [1.0], "train_loss": [0.0], "test_accuracy": [0.5]}


def record(curve):
    return Record(Path(), RunSpec(), {"status": "computed"}, {}, curve)


def frame(*measures):
    conditions = [{"filters": 20, "penalty": 0.0}, {"filters": 20, "penalty": 0.5}, {"filters": 10, "penalty": 0.0}]
    rows = [(c, 0, 9, f"run {k}", record(KERNEL)) for k, c in enumerate(conditions)]
    rows += [
        ({"network": "mlp"}, 0, 9, "trained", record(TRAINED)),
        ({"filters": 20, "penalty": 0.0}, 1, 9, "gone", None),
    ]
    return Frame.of(rows, measures)


def test_a_column_is_read_at_the_last_row_with_the_conditions_coordinates():
    at = ("filters", "penalty")
    double = of_row("double", lambda row: 2 * row["norm"], at=at)
    table = frame(column("norm", at=at), double)
    assert table.cells("norm") == [4.0, 2.0, "not measured", "not measured", None]
    assert table.cells("double") == [8.0, 4.0, "not measured", "not measured", None]
    assert math.isnan(table.values("norm")[2])


def test_training_and_other_kinds_stand_in_one_frame_with_their_states():
    table = frame(highest(), steps_to_fit(), column("norm"))
    assert list(table.data["state"]) == ["computed"] * 3 + ["fitted", "missing"]
    assert table.cells("highest") == ["not measured"] * 3 + [100.0, None]
    assert table.cells("steps") == ["not measured"] * 3 + [1.0, None]
    assert table.cells("norm") == [4.0, 4.0, 4.0, "not measured", None]
    assert list(table.data.columns[:4]) == ["filters", "penalty", "network", "seed"]  # coordinates come first


def test_a_measure_named_as_a_coordinate_is_refused():
    with pytest.raises(ValueError, match="'filters'"):
        frame(column("filters"))


def test_tables_of_several_kinds_keep_their_own_columns_and_formats():
    norm, accuracy = column("norm", form="{:.2f}"), final("train_accuracy")
    kernels = Table("run", {"norm": norm, "paper": lambda t: 7 * int(t.data["filters"].iloc[0])}, only={"filters": 20})
    tables = Tables(kernels, Table("run", {"accuracy": accuracy}, by="network {network}", only={"network": "mlp"}))
    assert len(tables.columns) == 3
    table = frame(norm)
    trained = Frame.of([({"network": "mlp"}, 0, 9, "trained", record(TRAINED))], [accuracy])
    rows = kernels.rows(table, ["a", "b", "c", "d", "a"])
    assert rows == [
        {"run": "a", "n": [9], "norm": "4.00, 1 of 2 seeds", "paper": [140]},
        {"run": "b", "n": [9], "norm": ["4.00"], "paper": [140]},
    ]
    assert tables.tables[1].rows(trained, ["e"]) == [{"run": "network mlp", "n": [9], "accuracy": [100.0]}]


def test_several_seeds_of_a_number_with_a_form_are_median_and_range_in_that_form():
    def told(form, *norms):
        records = [None if v is None else record({"norm": [v]}) for v in norms]
        measure = column("norm", form=form)
        rows = Frame.of([({"case": 1}, k, 9, f"run {k}", r) for k, r in enumerate(records)], [measure])
        (row,) = Table("run", {"norm": measure}).rows(rows, ["a"] * len(norms))
        return row["norm"]

    assert told("{:.4f}", 0.00984, 0.00979, 0.00991) == "0.0098 (0.0098 to 0.0099)"
    assert told("{:.0f}", 6356.0, 1200.2) == "3,778 (1,200 to 6,356)"
    assert told("{:.1g}", 2e-12, None, 4e-12) == "3e-12 (2e-12 to 4e-12), 2 of 3 seeds"
    assert told("{:+.1f}", 0.25, -1.5) == "-0.6 (-1.5 to +0.2)"
    assert told("{:,.0f}", 6356.0, 1200.2) == "3,778 (1,200 to 6,356)"
    assert told("{:8.2f}", 2.0, 4.0).split() == ["3.00", "(", "2.00", "to", "4.00)"]
    assert told("{:.0f}", 6356.0) == ["6356"]
    assert told("{:.0f}", None, None) == [None, None]


def test_cases_need_not_have_the_same_coordinates():
    cases = Conditions(lambda a=0, b=0: f"a {a}, b {b}", [{"a": 1}, {"b": 2}, {"a": 3, "b": 2}])
    assert [cases.label(case) for case in cases] == ["a 1, b 0", "a 0, b 2", "a 3, b 2"]
    assert cases.coordinates == {"a": [1, 3], "b": [2]}


@pytest.mark.parametrize(("above", "expected"), [(0.0, 0.5), (math.exp(-1.1), 0.5), (0.9, "not measured")])
def test_a_rate_of_falling_is_that_of_the_later_half(above, expected):
    epochs = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    run = record({"epoch": epochs, "distance": [math.exp(-0.5 * e) for e in epochs]})
    rate = falls("distance", above).of(run)
    assert rate == (expected if isinstance(expected, str) else pytest.approx(expected))
    assert falls("distance", above).of(record(TRAINED)) == "not measured"
