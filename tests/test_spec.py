"""RunSpec: identity, round trip, one name for what is the same, errors that teach."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rethinking import catalog
from rethinking.errors import InputError
from rethinking.spec import EPOCH, Part, RunSpec, from_json

SPECS = st.builds(
    RunSpec,
    n=st.integers(1, 50_000),
    model=st.sampled_from(["inception", "alexnet", "mlp-1x512"]),
    corruptions=st.sampled_from(
        [(), (Part(name="random_labels"),), (Part(name="partial_labels", options={"p": 0.3}), Part(name="gaussian"))]
    ),
    regularizers=st.sampled_from([(), (Part(name="weight_decay", options={"strength": 5e-4}),)]),
    learning_rate=st.floats(1e-6, 10),
    lr_decay=st.floats(0.01, 1),
    seed=st.integers(0, 2**32 - 1),
    stop=st.sampled_from(["fitted", "budget"]),
)


@settings(max_examples=50, deadline=None)
@given(a=SPECS, b=SPECS)
def test_identity_is_the_content_and_survives_json(a, b):
    assert (a.run_id == b.run_id) == (a == b)
    again = RunSpec.from_json(a.to_json())
    assert again == a
    assert again.run_id == a.run_id
    assert set(json.loads(a.to_json())) == set(RunSpec.model_fields)


def test_known_identity():
    """A change here orphans every committed record."""
    spec = RunSpec(n=2000, model="mlp-3x512", corruptions=(Part(name="random_labels"),), seed=1)
    assert spec.identity == {
        "n": 2000,
        "corruptions": [{"name": "random_labels"}],
        "model": "mlp-3x512",
        "learning_rate": 0.01,
        "seed": 1,
    }
    assert spec.run_id == "cifar10-2000-mlp-3x512-random_labels-s1-e43c40d7df"


def test_committed_runs_keep_their_names_whatever_field_came_later():
    paths = sorted((Path(__file__).parents[1] / "runs").glob("*/spec.json"))
    specs = {path: from_json(path.read_text(), str(path)) for path in paths}
    assert len(specs) > 1000
    assert [path.parent.name for path, spec in specs.items() if spec.run_id != path.parent.name] == []
    assert any("stop_loss" not in json.loads(path.read_text()) for path in paths)  # there are some of before
    assert RunSpec.make(stop_loss=None).run_id == RunSpec().run_id
    assert RunSpec.make(stop_loss=0.01).identity == RunSpec().identity | {"stop_loss": 0.01}


def test_what_is_the_same_has_one_name_and_what_differs_another():
    labels, pixels = Part(name="random_labels"), Part(name="gaussian")
    null = Part(name="weight_decay", options={"strength": 0.0})
    both, random = ("weight_quantiles", "test_logits"), {"corruptions": (labels,)}
    assert RunSpec(model="alexnet").learning_rate == 0.01
    for same in (
        {"momentum": 0.9, "steps": 64 * EPOCH, "precision": "float32"},
        {"n": 50_000, "learning_rate": 0.1, "regularizers": (null,), "test_labels": "corrupted"},
    ):
        assert RunSpec.make(**same).run_id == RunSpec().run_id
    for one, other in (
        ({"corruptions": (labels, pixels)}, {"corruptions": (pixels, labels)}),
        ({"keep": both}, {"keep": both[::-1]}),
        ({"model": "mlp-3x512", "model_options": {"width": 512}}, {"model": "mlp-3x512"}),
    ):
        assert RunSpec.make(**one).run_id == RunSpec.make(**other).run_id != RunSpec().run_id
    assert RunSpec.make(test_labels="corrupted", **random).run_id != RunSpec.make(**random).run_id
    with pytest.raises(ValueError, match="frozen"):
        RunSpec().n = 3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n": 0}, r"n is 0: .*greater than or equal to 1"),
        ({"n": 50_001}, r"n is 50001, cifar10 has 50000 training images"),
        ({"batch_size": 0}, r"batch_size is 0: .*greater than or equal to 1"),
        ({"seed": -1}, r"seed is -1"),
        ({"learning_rate": -0.1}, r"learning_rate is -0\.1: .*greater than 0"),
        ({"learning_rate": float("nan")}, r"learning_rate is nan: .*finite"),
        ({"learning_rate": "0.1"}, r"learning_rate is '0\.1': .*number"),
        ({"momentum": 1.0}, r"momentum is 1\.0: .*less than 1"),
        ({"stop_loss": 0.0}, r"stop_loss is 0\.0: .*greater than 0"),
        ({"stop": "never"}, r"stop is 'never': .*'fitted' or 'budget'"),
        ({"model": "incepton"}, r"unknown network 'incepton': did you mean 'inception'"),
        ({"data": "cifar"}, r"unknown data set 'cifar': did you mean 'cifar10'"),
        ({"corruptions": (Part(name="random_label"),)}, r"unknown corruption .*did you mean 'random_labels'"),
        ({"corruptions": (Part(name="partial_labels", options={"q": 1}),)}, r"partial_labels\.p is missing"),
        ({"regularizers": (Part(name="weight_decay", options={"strength": 1}),) * 2}, r"weight_decay is given 2 times"),
        ({"corruptions": (Part(name="shuffled_pixels"),) * 2}, r"shuffled_pixels is given more than once"),
        ({"epochs": 3}, r"unknown field 'epochs': known are data, n, corruptions"),
        ({"n": 300, "held_out": 300}, "held_out is 300 of n = 300: give 0 to 299"),
        (
            {"keep": ("crop_logits",), "corruptions": (Part(name="gaussian"),)},
            "crop_logits: gaussian is of the centre crop alone",
        ),
        ({"model": "mlp-3x512", "model_options": {"width": 0}}, "width"),
        ({"model": "mlp-3x512", "model_options": {"depth": 2}}, "unknown field"),
        ({"model": "alexnet", "model_options": {"width": 64}}, r"unknown field 'alexnet\.width'"),
    ],
)
def test_bad_fields_are_one_line_that_names_them(fields, message):
    with pytest.raises(InputError, match=message):
        RunSpec.make(**fields)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"n": 100', "not valid JSON"),
        ('{"n": "100"}', "n is '100'"),
        ('{"n": 100, "epochs": 3}', "unknown field 'epochs'"),
        (
            '{"corruptions": [{"name": "random_labels", "p": 1}]}',
            r"unknown field 'corruptions\.0\.p': known are name, opt",
        ),
        ("[1]", "should be an object"),
        ('{"kind": ["a"]}', r"kind is \['a'\], known are"),
        ('{"n": 100, "n": 200}', "n is given 2 times: give it once"),
        ("[" * 100_000, "not valid JSON"),
        ("\x00", "not valid JSON"),
    ],
)
def test_bad_json_is_one_line(text, message):
    with pytest.raises(InputError, match=message) as caught:
        from_json(text, "here.json")
    assert str(caught.value).startswith("here.json: ")


def test_parses_the_command_lines_parts():
    assert Part.parse("corruptions", "partial_labels=0.3").options == {"p": 0.3}
    assert Part.parse("corruptions", "partial_labels,p=0.3").options == {"p": 0.3}
    assert Part.parse("corruptions", "random_labels").options == {}
    for bad in ("random_labels=3", "partial_labels=0.3,p=0.4", "partial_labels,p"):
        with pytest.raises(InputError):
            Part.parse("corruptions", bad)


def test_schedule_is_the_papers():
    spec = RunSpec()
    assert spec.epoch_steps == EPOCH == 391
    assert spec.rate_at(0) == spec.rate_at(390) == 0.1
    assert spec.rate_at(391) == pytest.approx(0.095)
    assert RunSpec(n=1000).rate_at(10 * 391) == pytest.approx(0.1 * 0.95**10)  # by step, also where n is smaller
    held = RunSpec(n=300, held_out=100, batch_size=50)
    assert held.epoch_steps == 4
    assert held.columns == (*RunSpec().columns, "held_out_loss", "held_out_accuracy")


def test_a_runs_name_fits_a_file_system_and_holds_no_path(monkeypatch):
    names = [n for n in catalog.names("regularizers") if catalog.find("regularizers", n).constants["PRACTICE"]]
    parts = tuple(Part(name=name, options=catalog.find("regularizers", name).constants["PRACTICE"]) for name in names)
    one, other = (RunSpec(model="mlp-1x512", seed=k).model_copy(update={"regularizers": parts}) for k in (0, 1))
    assert len("-".join(one.words)) > 200 >= len(one.run_id) - 11
    assert one.run_id != other.run_id
    narrow = RunSpec(model="mlp-3x512", model_options={"width": 64})
    assert narrow.run_id.startswith("cifar10-50000-mlp-3x512-width-64-s0-")
    assert from_json(narrow.to_json()) == narrow
    monkeypatch.setattr(RunSpec, "words", ["toy", "../a b/ü", "s0"])
    assert RunSpec(seed=3).run_id.startswith("toy-.._a_b__-s0-")


def test_many_keys_are_read_at_once():
    many = json.dumps({f"k{k}": 1 for k in range(20_000)})
    twice = many[:-1] + ', "k0": 1}'
    began = time.process_time()
    for text, message in ((many, "unknown field 'k0'"), (twice, "k0 is given 2 times")):
        with pytest.raises(InputError, match=message):
            from_json(text)
    assert time.process_time() - began < 2  # seconds; a comparison of each with each takes many more


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (RunSpec, {"seed": "1"}, "seed is '1'"),
        (RunSpec, {"seeds": 1}, "unknown field 'seeds'"),
        (RunSpec, {"model": "\ud800"}, "unknown network|can be written"),
        (Part, {"options": {}}, "name is missing: give a value"),
        (Part, {"name": 1}, "name is 1"),
    ],
)
def test_what_is_made_of_wrong_fields_is_refused_in_one_line(kind, fields, message):
    with pytest.raises(InputError, match=message) as caught:
        kind(**fields)
    assert "\n" not in str(caught.value)
