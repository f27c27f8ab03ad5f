"""One long run on several cores: only where it is asked for, and its record tells."""

import json

import pytest
import torch
from command import RUN, RUN_SPEC, cli, one_line

from rethinking import api, data, machine, verify
from rethinking.engines.estimate import past
from rethinking.engines.execute import execute
from rethinking.record import Runs
from rethinking.spec import Context, Part, ProbeSpec, Theorem1Spec
from rethinking.training import Training
from rethinking.training.run import run


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 2)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_a_run_on_two_cores_is_the_same_run_and_is_compared_on_as_many(toy_dir, tmp_path):
    words = (*RUN, "--runs", tmp_path, "--data-dir", toy_dir)
    assert cli(*words, "--threads", 2).returncode == 0
    record = Runs(tmp_path).find(RUN_SPEC)
    assert json.loads((record.path / "environment.json").read_text())["threads"] == 2
    compared = cli(*words, "--compare")
    assert (compared.returncode, "to the last bit" in compared.stdout) == (0, True)
    assert cli(*words, "--threads", 2).returncode == 0  # made already


def test_the_network_of_a_run_on_two_cores_is_trained_again_on_as_many(toy_dir, tmp_path, monkeypatch):
    """For a probe that is made again, whose own record tells another number, and for a notebook."""
    runs, probe = Runs(tmp_path), ProbeSpec.make(run=RUN_SPEC, probe=Part(name="capacity"))
    assert execute(RUN_SPEC, runs, data_dir=toy_dir, threads=2)
    assert execute(probe, runs, data_dir=toy_dir)
    assert (runs.find(RUN_SPEC).threads, runs.find(probe).threads) == (2, 1)
    told = []

    def here(specs, runs, *, data_dir, threads, until, **_):
        assert execute(*specs, runs, data_dir=data_dir, threads=threads, until=until)
        told.append(runs.find(RUN_SPEC).threads)

    monkeypatch.setattr(verify.local, "run", here)
    difference, _ = verify.made_again(runs.find(probe), data_dir=toy_dir)
    assert (difference, {*told}) == (None, {2})
    told.clear()
    evaluations = Training.evaluations
    noted = lambda *words: told.append(torch.get_num_threads()) or evaluations(*words)  # noqa: E731
    monkeypatch.setattr(Training, "evaluations", noted)
    runs.weights_of(RUN_SPEC).unlink()
    before = torch.get_num_threads()
    api.network(runs.find(RUN_SPEC), data_dir=toy_dir, device="cpu")
    assert (told, torch.get_num_threads()) == ([2], before)


def test_a_run_that_goes_on_with_another_number_of_cores_tells_both(toy_dir, tmp_path):
    runs = Runs(tmp_path)
    for threads, until in ((2, 2), (1, None)):
        assert execute(RUN_SPEC, runs, data_dir=toy_dir, threads=threads, until=until)
    record = runs.find(RUN_SPEC)
    assert (record.environment["threads"], record.threads, past(runs)) == ("2, then 1", 1, [])
    shown = cli("show", RUN_SPEC.run_id, "--runs", tmp_path)
    assert "2, then 1 threads" in shown.stdout


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch has no oneDNN")
def test_a_probe_has_its_run_in_bfloat16_trained_again_on_as_many_cores_and_one_itself(
    toy_dir, home, tmp_path, monkeypatch
):
    spec, runs = RUN_SPEC.replace(precision="bfloat16", keep=("test_logits",)), Runs(tmp_path)
    probe = ProbeSpec.make(run=spec, probe=Part(name="capacity"))
    assert execute(spec, runs, data_dir=toy_dir, threads=2)
    weights, told = runs.weights_of(spec), []
    content = weights.read_bytes()
    weights.unlink()
    logits = Training.logits
    noted = lambda *words: told.append(torch.get_num_threads()) or logits(*words)  # noqa: E731
    monkeypatch.setattr(Training, "logits", noted)
    assert execute(probe, runs, data_dir=toy_dir)
    assert weights.read_bytes() == content
    assert told == sorted(told, reverse=True)
    assert (set(told), runs.find(spec).threads, runs.find(probe).threads) == ({1, 2}, 2, 1)


@pytest.mark.parametrize("threads", [1, 2])
def test_training_has_as_many_threads_as_it_is_given(toy_dir, threads):
    context = Context(data.load("toy", toy_dir), torch.device("cpu"), threads)
    next(run(RUN_SPEC, context))
    assert torch.get_num_threads() == threads


def test_threads_that_cannot_be_had_are_refused(tmp_path):
    assert "--threads is 3, this process may use 1 to 2" in one_line(cli(*RUN, "--threads", 3))
    theory = tmp_path / "spec.json"
    theory.write_text(Theorem1Spec(n=10).to_json())
    refused = cli("run", "--spec", theory, "--threads", 2, "--runs", tmp_path)
    assert "which trains no network" in one_line(refused)
