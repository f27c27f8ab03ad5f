"""Runs that train nothing keep the records' contract, and leave the identities of training runs as they were."""

import importlib
import inspect
import json
from typing import get_args

import pytest

import rethinking.spec
from rethinking.engines import local
from rethinking.engines.execute import execute
from rethinking.record import Runs
from rethinking.spec import (
    KINDS,
    AnySpec,
    ImageNetSpec,
    KernelSpec,
    LinearSpec,
    Part,
    ProbeSpec,
    RunSpec,
    Spec,
    Theorem1Spec,
    TwoWeightsSpec,
    from_json,
    kind_of,
)

SPECS = [  # of runs that engines make
    Theorem1Spec(data="toy", n=60, depth=3),
    KernelSpec(data="toy", n=60),
    KernelSpec(data="toy", n=60, kernel="linear", penalties=(0.1, 0.2)),
    LinearSpec(data="toy", n=20, steps=200, eval_every=50),
    TwoWeightsSpec(data="toy", n=60, radii=5),
    ProbeSpec(
        run=RunSpec(data="toy", n=64, model="tiny", steps=2),
        probe=Part(name="deletion", options={"images": 20, "points": 2}),
    ),
]


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.run_id)
def test_round_trips_through_json_by_its_kind(spec):
    again = from_json(spec.to_json())
    assert again == spec
    assert type(again) is type(spec)
    assert again.run_id == spec.run_id
    assert json.loads(spec.to_json())["kind"] == spec.kind
    assert spec.identity["kind"] == spec.kind


def test_a_training_spec_has_no_kind_and_its_old_name():
    spec = RunSpec(n=2000, model="mlp-3x512", seed=1)
    assert "kind" not in json.loads(spec.to_json())
    assert "kind" not in spec.identity
    assert from_json(spec.to_json()) == spec


def test_the_table_of_kinds_is_their_union_by_the_names_in_their_files():
    classes = [kind.spec for kind in KINDS.values()]
    assert set(get_args(AnySpec)) == set(classes) == {type(s) for s in SPECS} | {RunSpec, ImageNetSpec}
    assert {spec for spec in vars(rethinking.spec).values() if isinstance(spec, type) and issubclass(spec, Spec)} == {
        Spec,
        *classes,
    }
    for name, kind in KINDS.items():
        spec = next(s for s in [*SPECS, RunSpec(), ImageNetSpec()] if type(s) is kind.spec)
        assert kind_of(spec) is kind
        assert spec.kind == name if "kind" in kind.spec.model_fields else name == "training"


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_every_kind_has_what_its_contract_names(kind):
    for module, name, arguments in (
        (kind.module, "run", ["spec", "context"]),
        (kind.estimator, "estimate", ["spec", "device", "known"]),
    ):
        function = getattr(importlib.import_module(module), name)
        assert list(inspect.signature(function).parameters) == arguments
        assert function.__annotations__["spec"] is kind.spec
    assert kind.resumable == ("step" in kind.state)


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_every_column_has_its_meaning_and_unit(kind):
    columns = kind.spec.COLUMNS
    assert columns[0].name == "step"
    assert columns[0].whole
    assert len({column.name for column in columns}) == len(columns)
    assert all(column.meaning and column.unit for column in columns)
    assert all(column.varying == (column.unit in ("seconds", "10^9 bytes")) for column in columns)


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.run_id)
def test_is_recorded_once_and_read_back(spec, toy_dir, tmp_path):
    runs, rows = Runs(tmp_path), []
    assert execute(spec, runs, data_dir=str(toy_dir), on_evaluation=rows.append)
    found = runs.find(spec)
    assert found.spec == spec
    assert found.result["status"] == "computed"
    assert tuple(found.curve) == spec.columns
    written = [list(map(repr, row)) for row in zip(*found.curve.values(), strict=True)]
    assert written == [list(map(repr, row.values())) for row in rows]
    whole = {column.name for column in spec.described if column.whole}
    assert all(isinstance(value, int) == (name in whole) for row in rows for name, value in row.items())
    assert spec.summary(found.final)
    assert {p.name for p in found.path.iterdir()} == {"spec.json", "curve.csv", "environment.json", "result.json"}
    again = Runs(tmp_path / "again")
    assert execute(spec, again, data_dir=str(toy_dir))
    assert found.difference(again.find(spec)) is None  # but for seconds and memory


def test_workers_take_runs_of_all_kinds(toy_dir, tmp_path):
    training = RunSpec(data="toy", n=64, model="tiny", steps=4, eval_every=2)
    runs = Runs(tmp_path)
    assert local.run([SPECS[1], training, SPECS[0], SPECS[3]], runs, workers=2, data_dir=str(toy_dir)) == []
    assert all(runs.complete(s) for s in (SPECS[1], training, SPECS[0], SPECS[3]))
