"""Two runs, or two folders of records, against each other: each difference in words, and none that is not there."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from command import cli, one_line

from rethinking import catalog, plotting
from rethinking.errors import InputError
from rethinking.record import Record, Runs, digests, leased, read
from rethinking.report import difference
from rethinking.revision import VERSION
from rethinking.spec import (
    KINDS,
    ImageNetSpec,
    KernelSpec,
    LinearSpec,
    Part,
    ProbeSpec,
    RunSpec,
    Theorem1Spec,
    TwoWeightsSpec,
)

ROOT = Path(__file__).parents[1]
SPEC = RunSpec.make(data="toy", n=64, model="tiny", steps=4, eval_every=2)
MADE = {"commit": "abc", "torch": "2.0", "device_name": "a", "seconds": 1.0}
COMPUTED = ("computed", None, MADE)
ROOTS = (Path("ours"), Path("mine"))


def record(runs: Runs, spec: RunSpec, accuracy: float = 1.0, **made) -> str:
    """A record with a made-up curve. Returns its name."""
    rows = [
        dict.fromkeys(spec.columns, 0.5)
        | {"step": step, "train_accuracy": accuracy * step / 4, "test_images": 40, "learning_rate": spec.rate_at(step)}
        for step in (0, 2, 4)
    ]
    with leased(runs, spec) as writer:
        writer.finish(rows, "budget", None, MADE | made)
    return spec.run_id


@pytest.fixture
def folders(tmp_path):
    """Ours and theirs: one seed differs, one version, one curve, and one record of theirs is damaged."""
    ours, theirs = Runs(tmp_path / "ours"), Runs(tmp_path / "theirs")
    same, version, curve, damaged = (SPEC.replace(batch_size=k) for k in (8, 16, 32, 64))
    names = {"same": record(ours, same), "version": record(ours, version)}
    names |= {"curve": record(ours, curve), "damaged": record(ours, damaged), "seed": record(ours, SPEC)}
    record(theirs, same)
    record(theirs, version, torch="2.1\x1b[31m")
    record(theirs, curve, 0.9)
    shutil.copytree(ours.root / names["damaged"], theirs.root / names["damaged"])
    file = theirs.root / names["damaged"] / "curve.csv"
    file.write_bytes(file.read_bytes().replace(b"0.5", b"0.4", 1))
    names["other seed"] = record(theirs, SPEC.replace(seed=7))
    return ours.root, theirs.root, names


def test_two_folders_that_differ_in_a_seed_a_version_and_a_damaged_record_say_each(folders):
    ours, theirs, names = folders
    done = cli("compare", ours, theirs)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    found = {word: [line for line in lines if line.startswith(f"{word}: ")] for word in ("damaged", "seed", "curve")}
    assert lines[0] == f"records: 5 in {ours}, 5 in {theirs}"
    assert [names["damaged"] in line and "theirs" in line for line in found["damaged"]] == [True]
    assert found["seed"] == [f"seed: {names['seed']} against {names['other seed']}: seed 0 against 7"]
    assert f"environment: torch 2.0 against 2.1\\x1b[31m in 1 of 4 runs: {names['version']}" in lines
    assert names["curve"] in found["curve"][0]
    assert "at most 10.00 points apart, at step 4" in found["curve"][0]
    assert found["curve"][1:] == ["curve: the same to the last bit in 2 of 3 runs that both have"]
    assert not any(line.startswith("only in") for line in lines)
    assert "\x1b" not in done.stdout
    assert len(json.loads(cli("compare", ours, theirs, "--json").stdout)["lines"]) == len(lines)


def test_a_folder_against_itself_differs_in_nothing(folders):
    ours, _, names = folders
    lines = difference.of_folders(ours, ours).lines
    assert lines[1:3] == ["environment: the same", "curve: the same to the last bit in 5 of 5 runs that both have"]
    (ours / names["same"]).rename(ours.parent / names["same"])
    missing = difference.of_folders(ours.parent / "ours", ours.parent / "theirs").lines
    assert f"only in {ours.parent / 'theirs'}: 1 run: {names['same']}" in missing


def test_two_runs_say_what_differs_in_spec_environment_curve_and_verdict(folders):
    ours, theirs, names = folders
    found = difference.of_runs(read(ours / names["seed"]), read(theirs / names["other seed"])).lines
    assert found[:3] == ["spec: seed 0 against 7", "environment: the same", found[2]]
    assert found[2].startswith("curve: of another spec; training accuracy at most 0.00 points apart")
    assert found[3].startswith("verdict: the same: ended at its budget, step 4; 99 % training accuracy at step 4; ")
    slower = difference.of_runs(read(ours / names["curve"]), read(theirs / names["curve"])).lines
    assert "not reached" in slower[-1]
    told = cli("compare", names["version"], theirs / names["version"], "--runs", ours).stdout
    assert "environment: torch 2.0 against 2.1" in told


def test_it_is_drawn_for_runs_and_for_folders_and_bad_input_is_one_line(folders, tmp_path):
    ours, theirs, names = folders
    for a, b, name in ((ours, theirs, "f.svg"), (ours / names["curve"], theirs / names["curve"], "r.png")):
        assert cli("compare", a, b, "--out", tmp_path / name).returncode == 0
        assert (tmp_path / name).stat().st_size > 1000
        assert cli("compare", a, b, "--out", tmp_path / name).returncode == 0  # its own is replaced
        told = cli("whence", tmp_path / name, "--runs", ours).stdout
        assert f"{a} and {b} compared, drawn with version {VERSION}" in told
        assert re.search(rf"  {names['curve']}\n(.*\n)*", told)
    (tmp_path / "mine.svg").write_text("mine")
    for name in ("mine.svg", "mine.SVG"):
        assert "mine.svg is there, and was not written" in one_line(
            cli("compare", ours, theirs, "--out", tmp_path / name)
        )
    assert (tmp_path / "mine.svg").read_text() == "mine"
    assert "two runs, or two folders" in one_line(cli("compare", ours, theirs / names["same"]))
    assert "no complete record" in one_line(cli("compare", ours, tmp_path))
    endings = one_line(cli("compare", ours, theirs, "--out", tmp_path / "x.gif"))
    assert all(form in endings for form in plotting.FORMATS)


OF_EVERY_KIND = [
    SPEC,
    Theorem1Spec.make(n=4),
    KernelSpec.make(data="toy", n=48),
    LinearSpec.make(data="toy", n=48),
    TwoWeightsSpec.make(data="toy", n=48),
    *(ProbeSpec.make(run=SPEC, probe=Part(name=name)) for name in catalog.names("probes")),
    ImageNetSpec.make(data="rehearsal", n=64, test=32, classes=4, network="small", image_size=32),
]


def test_the_test_of_plots_has_every_kind():
    assert {type(spec) for spec in OF_EVERY_KIND} == {kind.spec for kind in KINDS.values()}


@pytest.mark.parametrize("spec", OF_EVERY_KIND, ids=lambda spec: "-".join(spec.words))
def test_two_runs_or_folders_of_every_kind_are_drawn(spec, tmp_path):
    curve = {c.name: [1 if c.whole else 0.5] for c in spec.described}  # one row, which is shown as a dot
    one = Record(tmp_path / spec.run_id, spec, {"status": "computed"}, MADE, curve)
    for name, pairs in (("two.svg", [(one, one)]), ("folders.svg", [(one, one)] * 2)):
        drawn = difference.plot(difference.Difference(pairs=pairs), ("a", "b"), tmp_path / name)
        assert drawn.stat().st_size > 1000
    assert "fill: #e69f00" in (tmp_path / "two.svg").read_text()
    other = replace(one, spec=ImageNetSpec(), curve={"step": [0], "epoch": [0.0]})
    with pytest.raises(InputError, match="no measure in common"):
        difference.plot(difference.Difference(pairs=[(one, other)]), ("a", "b"), tmp_path / "none.svg")


def test_a_comparison_up_to_a_step_says_how_far_it_went_and_no_further(tmp_path):
    """Of a copy that differs later, and of a kind that is made to its end whatever it is compared up to."""
    mine, other = Runs(tmp_path / "mine"), Runs(tmp_path / "other")
    kernel = KernelSpec.make(data="toy", n=48)
    with leased(mine, kernel) as writer:
        writer.finish([{c.name: k if c.whole else 0.5 for c in kernel.described} for k in (1, 2)], *COMPUTED)
    record(mine, SPEC)
    for spec, column, until, compared in ((SPEC, "train_loss", 3, 2), (kernel, "norm", 1, 1)):
        shutil.copytree(mine.path(spec), other.path(spec))
        (other.path(spec) / "result.json").unlink()
        lines = (other.path(spec) / "curve.csv").read_text().splitlines()
        cells = lines[-1].split(",")
        cells[lines[0].split(",").index(column)] = "9.75"
        (other.path(spec) / "curve.csv").write_text("\n".join([*lines[:-1], ",".join(cells), ""]))
        words = ("run", "--spec", mine.path(spec) / "spec.json", "--compare", "--with", other.root, "--runs", mine.root)
        same = cli(*words, "--until", until)
        assert same.returncode == 0
        assert same.stdout == f"{spec.run_id}: the same curve up to step {compared}, to the last bit\n"
        assert cli(*words).returncode == 1
    told = "--until is 0, and the first row of " + kernel.run_id + " is at step 1: give that step or a later one"
    assert told in one_line(cli(*words, "--until", 0))


def test_a_changed_copy_that_nothing_binds_any_more_is_damaged_and_one_made_again_is_not(tmp_path):
    """Of a record of before digests, which runs/DIGESTS binds."""
    folders = [Runs(tmp_path / name) for name in ("ours", "copied", "again")]
    for runs, accuracy, made in zip(folders, (1.0, 0.9, 0.9), ({}, {}, {"seconds": 2.0}), strict=True):
        folder = runs.root / record(runs, SPEC, accuracy, **made)
        result = json.loads((folder / "result.json").read_text())
        (folder / "result.json").write_text(json.dumps({k: v for k, v in result.items() if k not in digests.OWN}))
    ours, copied, again = (runs.root for runs in folders)
    (ours / digests.LIST).write_text("".join(f"{line}\n" for line in digests.unlisted(ours, [SPEC.run_id])))
    lines = difference.of_folders(ours, copied).lines
    file = copied / SPEC.run_id / "curve.csv"
    told = f"damaged: {file} is not the file of that run, by its SHA-256 in {ours / 'DIGESTS'}"
    assert [line for line in lines if line.startswith("damaged")] == [f"{told}: bring that back"]
    assert [line for line in difference.of_folders(copied, ours).lines if line.startswith("damaged")]
    lines = difference.of_folders(ours, again).lines
    assert not any(line.startswith("damaged") for line in lines)
    assert any("at most 10.00 points apart" in line for line in lines)


def test_a_learning_rate_that_is_not_the_specs_is_damage_though_nothing_binds_the_record(tmp_path):
    ours, theirs = (Runs(tmp_path / name) for name in ("ours", "theirs"))
    for runs in (ours, theirs):
        folder = runs.root / record(runs, SPEC)
        result = json.loads((folder / "result.json").read_text())
        (folder / "result.json").write_text(json.dumps({k: v for k, v in result.items() if k not in digests.OWN}))
    lines = (folder / "curve.csv").read_text().splitlines()
    column, cells = lines[0].split(",").index("learning_rate"), lines[2].split(",")
    cells[column] = str(2 * float(cells[column]))
    (folder / "curve.csv").write_text("\n".join([*lines[:2], ",".join(cells), *lines[3:], ""]))
    found = [line for line in difference.of_folders(ours.root, theirs.root).lines if line.startswith("damaged")]
    assert len(found) == 1
    assert found[0].startswith(
        f"damaged: {folder / 'curve.csv'}: its learning rate at step 2 is 0.1, not the spec's 0.05"
    )
    assert not any("damaged" in line for line in difference.of_folders(ours.root, ours.root).lines)


def test_claims_that_are_judged_nowhere_are_told_once():
    """Of one record of a figure: too few for any claim."""
    names = json.loads((ROOT / "figures" / "fig1b-paper.json").read_text())["runs"]
    name = min(name for name in names if "partial_labels" in name)
    (last,) = difference._verdicts(*[{name: read(ROOT / "runs" / name)}] * 2, ROOTS)
    assert re.fullmatch(r"verdict: [\d,]+ claims need these runs, and none of them is judged in either", last)


def test_only_claims_that_both_folders_judge_are_counted():
    """Of three records of a figure with more claims; a folder that has but one of them contradicts no verdict."""
    names = sorted(json.loads((ROOT / "figures" / "rademacher-cpu.json").read_text())["runs"])
    ours = {name: read(ROOT / "runs" / name) for name in names[-3:]}
    (last,) = difference._verdicts(ours, ours, ROOTS)
    found = re.fullmatch(r"verdict: the same in (\d+) of (\d+) claims? judged in both; (\d+) more .* in neither", last)
    assert 1 <= int(found[1]) == int(found[2]) < 4 <= int(found[3])
    theirs = {name: replace(r, curve={key: [0.0] * len(v) for key, v in r.curve.items()}) for name, r in ours.items()}
    *differing, last = difference._verdicts(ours, theirs, ROOTS)
    told = r"verdict: rademacher\S+ of rademacher-\w+: replicated \(.+\) against not replicated \(.+\)"
    assert differing
    assert all(re.fullmatch(told, line) for line in differing), differing
    assert last.startswith(f"verdict: the same in {int(found[1]) - len(differing)} of {found[1]} claim")
    for both in ((ours, {names[-1]: ours[names[-1]]}), ({names[-1]: ours[names[-1]]}, ours)):
        alone, last = difference._verdicts(*both, ROOTS)
        root = "ours" if both[0] is ours else "mine"
        assert re.match(rf"verdict: {found[1]} claims? judged in {root} alone: rademacher\S+ of rademacher-cpu", alone)
        assert last.startswith("verdict: no claim judged in both")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ([{"name": "weight_decay", "options": {"strength": 0.0005}}], "weight_decay strength 0.0005"),
        (
            [{"name": "random_crop", "options": {}}, {"name": "dropout", "options": {"p": 0.5}}],
            "random_crop and dropout p 0.5",
        ),
        ([], "none"),
        (None, "not said"),
        (True, "yes"),
        ({"width": 8}, "width 8"),
        ({}, "none"),
        ("auto", "auto"),
    ],
)
def test_values_are_words(value, told):
    assert difference._told(value) == told
