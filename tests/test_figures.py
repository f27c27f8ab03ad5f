"""Figures and verdicts: what is missing is shown as missing, what is drawn is drawn the same every time."""

import dataclasses
import json
import math
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from command import RUN_SPEC, cli, one_line

from rethinking import catalog, claims, figures, plotting, report
from rethinking.claims import EXTENSION, NOT_JUDGED, NOT_REPLICATED, NOT_RUN, REPLICATED, judge
from rethinking.engines import estimate
from rethinking.engines.progress import titles
from rethinking.errors import InputError
from rethinking.figures import _probed, _sweeps, budgets
from rethinking.figures.kit import Frame, declared, listed
from rethinking.figures.kit import highest as kit_highest
from rethinking.figures.kit import made as kit_made
from rethinking.figures.kit.frame import Untold
from rethinking.record import Record, Runs, archived, read
from rethinking.spec import RunSpec, Spec

FIGURES = catalog.names("figures")
ROOT = Path(__file__).parents[1]


def arrays(spec: Spec, seed: float = 0.0):
    """What such a record keeps, drawn at random."""
    rng = np.random.default_rng(int(seed))
    held = {}
    for name in getattr(spec, "keep", ()):
        if name == "weight_quantiles":
            held["quantiles/layers.0.weight"] = np.sort(rng.normal(0, 0.05, 1001)).astype(np.float32)
            held["zeros/layers.0.weight"] = np.array([3, 1000])
        else:
            held[name] = rng.normal(size=(5,) * (name == "crop_logits") + (100, 10)).astype(np.float16)
            held["test_labels"] = np.arange(100, dtype=np.uint8) % 10
    return held


class Held:
    """Records that are in memory alone, in the place of a folder's."""

    def __init__(self):
        self.records = {}

    def find(self, spec):
        return self.records.get(spec.run_id)

    def keep(self, spec: Spec, rows, status, diverged_at=None, seed: float = 0.0):
        curve = {name: [row[name] for row in rows] for name in rows[0]}
        result = {"status": status, "diverged_at": diverged_at, "steps": rows[-1]["step"]}
        record = Record(Path(spec.run_id), spec, result, {"commit": "abc", "seconds": 1.0}, curve)
        vars(record)["arrays"] = arrays(spec, seed)
        self.records[spec.run_id] = record


def made_up(held: Held, spec: Spec, seed: float = 0.0):
    """A record with a plausible curve that no network has seen."""
    rows = []
    for k in range(6):
        if not isinstance(spec, RunSpec):
            row = {c.name: 10 * k if c.whole else 0.1 + k / 10 + seed / 1000 for c in spec.described}
            rows.append(row | ({"penalty": 0.1 * (k % 2)} if "penalty" in row else {}))
            continue
        values = dict.fromkeys(spec.columns, 0.5) | {"step": spec.steps * k // 5, "train_loss": 2.3 / (k + 1)}
        values |= {"train_accuracy": min(1.0, 0.1 + k / 5 + seed / 100)}
        rows.append(values | {"test_accuracy": 0.1, "test_images": 10_000})
    held.keep(spec, rows, "budget" if isinstance(spec, RunSpec) else "computed", seed=seed)


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("scale", figures.SCALES)
def test_every_figure_declares_its_runs(name, scale):
    for model in catalog.find("figures", name).constants["MODELS"]:
        setting = figures.setting(name, scale, model)
        wanted = figures.specs(name, setting)
        assert wanted
        assert all(isinstance(s, Spec) for group in wanted.values() for s in group)
        for each in figures.claims_of(catalog.load("figures", name), setting):
            assert set(each.conditions) <= set(wanted)
            assert each.tolerance


@pytest.mark.parametrize("name", FIGURES)
def test_the_runs_of_every_figure_are_planned_and_listed_by_a_title_of_their_own(name, tmp_path, monkeypatch):
    monkeypatch.setattr(estimate, "_measure", lambda spec, device: 1e-3)  # seconds an image, and no step is trained
    for scale in figures.SCALES:
        wanted = figures.unique(figures.specs(name, figures.setting(name, scale)))
        named = titles(wanted)
        assert [*named] == [spec.run_id for spec in wanted]
        assert all(run == title.split(" (")[0] for run, title in named.items())
    done = cli("plan", name, "--device", "cpu", "--runs", tmp_path)
    quick = figures.unique(figures.specs(name, figures.setting(name)))
    assert done.returncode == 0, done.stderr
    assert f"\n{len(quick)} runs, " in done.stdout


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_draws_with_none_some_and_all_runs(name, tmp_path):
    setting = figures.setting(name)
    held = Held()
    wanted = figures.unique(figures.specs(name, setting))
    for count in (0, 1, len(wanted)):
        for k, spec in enumerate(wanted[:count]):
            made_up(held, spec, k)
        if count == 1:
            numbers = figures.numbers(name, setting, held)
        else:
            drawn = figures.draw(name, setting, held, tmp_path, ["svg"])
            assert len(drawn.files) == 2
            numbers = json.loads(drawn.files[-1].read_text())
        assert numbers["missing"] == [s.run_id for s in wanted[count:]]
        assert sorted(numbers["runs"]) == sorted(s.run_id for s in wanted[:count])
        verdicts = {claim["verdict"] for claim in numbers["claims"]}
        found = catalog.find("figures", name)
        if count == 0 and (not found.digest or hasattr(found.load(), "finding")):  # a plug-in's need not have one
            assert numbers.get("finding") is None
            none = "No finding yet: none of its runs is made"
            assert figures.headline(numbers) == none
        if count == 0:
            assert verdicts <= {NOT_RUN, NOT_JUDGED, EXTENSION[NOT_JUDGED]}
        else:
            assert NOT_RUN not in verdicts or count < len(wanted)


def test_a_finding_of_other_data_is_of_that_and_a_title_has_two_lines_at_most():
    import matplotlib.pyplot as plt

    held, setting = Held(), figures.setting("fig1a", data="mnist")
    for spec in figures.unique(figures.specs("fig1a", setting)):
        made_up(held, spec)
    told = figures.numbers("fig1a", setting, held)
    assert told["finding"].startswith("MNIST: MLP 3x512 fits random labels in ")
    for path in sorted((ROOT / "figures").glob("*.json")):
        if (told := figures.drawn(path))["scale"] == "quick":
            continue
        width = float(re.search(r'<svg [^>]*width="([\d.]+)pt"', path.with_suffix(".svg").read_text())[1]) / 72
        with plotting.style():
            lines = plotting.wrapped(plt.figure(), figures.headline(told), plotting.FINDING, 0.97 * width, "bold")
            plt.close()
        assert lines.count("\n") <= 1, path.name
        assert not re.search(r"replicated|\bnan\b|\binf\b", lines)


@pytest.mark.parametrize(
    ("sizes", "sentence", "told"),
    [
        ([50_000, 50_000], "A", "A"),
        ([2000, 2000], "A", "A (2,000 images)"),
        ([2000, 50_000], "A", "A (2,000 to 50,000 images)"),
        ([2000, 50_000], "A on 2,000 images", "A on 2,000 images"),
        ([2000, 2000], "A on 2,000 test images", "A on 2,000 test images (2,000 images)"),
    ],
)
def test_a_finding_says_where_some_of_its_numbers_are_of_few_images(sizes, sentence, told):
    module = SimpleNamespace(finding=lambda t, network: sentence)
    assert declared._finding(module, figures.setting("fig1b"), kit_made(n=sizes)) == told


def test_what_is_missing_or_no_number_is_not_told():
    t = kit_made(p=[0.0, 0.5, 1.0], state=["fitted", "missing", "censored"], steps=[10.0, "missing", "censored"])
    assert t.one("steps", p=0.0) == 10
    assert t.known("steps", "p") == {0.0: 10.0}
    for p in (0.5, 1.0, 2.0, [0.0, 0.5]):
        with pytest.raises(Untold):
            t.one("steps", p=p)
    with pytest.raises(Untold):
        t.known("steps", "p", p=[0.5, 1.0])
    assert [listed("a"), listed("ab"), listed("abc")] == ["a", "a and b", "a, b and c"]


ALTERNATELY = ["diverged", "censored"]
THEN = "fitted, then diverged"
AT_TIMES = ["fitted", "fitted", THEN]
# What a title may say of fits where nothing is fitted.
NO_FIT = (
    r"[Nn]ot fitted|unfitted|none was fitted|fitted in 0 of|0 are fitted then"
    r"|At no strength .* fitted|fitted with (?!.* units)"
)


def wayward(held: Held, spec: Spec, kind: str):
    """A record of a run that diverged before the second of its evaluations, or after it, or was never fitted."""
    if kind == "fitted" or not isinstance(spec, RunSpec):
        made_up(held, spec)
        return
    values = dict.fromkeys(spec.columns, 0.5)
    first = values | {"step": 0, "train_accuracy": 0.1, "test_accuracy": 0.1, "test_images": 10_000}
    nothing = {"train_loss": float("nan"), "test_loss": float("nan"), "train_accuracy": 0.0}
    rows = [first, first | {"step": 20, "epoch": 2.0} | nothing]
    if kind == THEN:
        rows.insert(1, first | {"step": 10, "epoch": 1.0, "train_accuracy": 1.0})
    if kind == "censored":
        rows = [first | {"step": spec.steps * k // 5, "epoch": float(k), "train_accuracy": 0.3} for k in range(6)]
    held.keep(spec, rows, *(("budget",) if kind == "censored" else ("diverged", 17)))


@pytest.mark.parametrize(
    ("scale", "seeds", "kinds"),
    [("quick", None, ALTERNATELY), ("quick", None, AT_TIMES), *[("cpu", 4, [k]) for k in (*ALTERNATELY, THEN)]],
)
@pytest.mark.parametrize("name", FIGURES)
def test_what_went_wrong_is_drawn_and_no_fit_is_claimed(name, scale, seeds, kinds, tmp_path):
    """Runs that diverged or never fitted: strict JSON, no row "not run", and nothing that asks for a fit replicated."""
    setting, held = figures.setting(name, scale, None, seeds), Held()
    wanted = figures.unique(figures.specs(name, setting))
    for k, spec in enumerate(wanted):
        wayward(held, spec, kinds[k % len(kinds)])
    numbers = figures.numbers(name, setting, held)  # refuses what is not JSON
    assert not numbers["missing"]
    if all(isinstance(spec, RunSpec) for spec in wanted):
        assert not re.search(r"\b(nan|inf)\b", json.dumps([numbers["claims"], numbers.get("finding")]))
    if name not in ("theorem1", "table3", "min_norm"):
        assert all(claims.told(v) != "not run" for row in numbers.get("table", []) for v in row.values())
    if "fitted" in kinds:
        return
    assert "fit" not in re.sub(NO_FIT, "", str(numbers.get("finding", "")))  # a caption may say what is measured
    if name not in ("theorem1", "table3", "min_norm"):
        asking = [c for c in numbers["claims"] if c["verdict"] in HOLDS and "fit" in c["statement"]]
        assert all("not fitted" in c["statement"] for c in asking), asking


def test_all_text_of_an_svg_is_text_and_names_the_same_fonts(tmp_path):
    with plotting.style():
        drawing, axes = plt.subplots()
        axes.set_title("a title, 10 % & more")
        axes.set_xlabel("$10^{-3}$")
        (path,) = plotting.save(drawing, tmp_path / "drawn", ["svg"])
    texts = list(plotting.svg_of(path.read_bytes()).iter("{http://www.w3.org/2000/svg}text"))
    words = ["".join("".join(text.itertext()).split()) for text in texts]
    assert {"atitle,10%&more", "$10^{-3}$"} <= set(words)
    fonts = set(re.findall(r"font-family: ([^;\"]*)", path.read_text("utf-8")))
    assert fonts == {"'DejaVu Sans', 'Verdana', sans-serif"}


def committed():
    return sorted((ROOT / "figures").glob("*-cpu*.json")) + sorted((ROOT / "figures").glob("*-paper*.json"))


def test_there_are_committed_figures():
    assert len(committed()) > 30


@pytest.mark.parametrize("path", committed(), ids=lambda path: path.stem)
def test_committed_figures_come_from_committed_records(path, tmp_path):
    """Drawn again they are the same, .svg and the numbers of .json to the byte, under the pinned versions."""
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    for package in ("matplotlib", "seaborn", "numpy"):
        if version(package) != pins[package]:
            pytest.skip(f"{package} is {version(package)}, not the {pins[package]} that the figures were drawn with")
    numbers = json.loads(path.read_text())
    setting = figures.setting_of(numbers)
    figures.draw(numbers["figure"], setting, Runs(path.parents[1] / "runs"), tmp_path)
    assert figures.wrong_pictures(path, numbers) == []
    svg = path.with_suffix(".svg")
    assert (tmp_path / svg.name).read_bytes() == svg.read_bytes(), svg.name
    again = json.loads((tmp_path / path.name).read_text())
    assert json.dumps(figures.unbound(again)) == json.dumps(figures.unbound(numbers)), path.name
    for held in (numbers, again):
        held["digests"].pop(f"{path.stem}.pdf")  # which depends on more libraries
    assert again["digests"] == numbers["digests"], path.name


COMMITTED = json.loads((ROOT / "figures" / "table3-cpu.json").read_text())
ODD = [None, True, 0, -1, 10**14, 1.5, "", "x", "../x", [], [[]], [None], {}, {"x": {}}, {"x": None}, {"../..": {}}]


def odd_drawings():
    """The numbers of a committed figure with a value of another kind at one key, or without it: the key, and they."""
    claim, (run, made) = COMMITTED["claims"][0], next(iter(COMMITTED["runs"].items()))
    known = {"figure": str, "scale": str, "model": str, "seeds": int, "asked": bool, "caption": str}
    known |= dict.fromkeys(("departures", "claims", "missing", "table"), list) | {"runs": dict}
    never = (-1, 0, 10**14, [[]], [None], {"x": {}}, {"x": None}, {"../..": {}})
    for key, kind in known.items():
        for value in ODD:
            if type(value) is not kind or value in never:
                yield key, COMMITTED | {key: value}
        if key != "table":
            yield key, {k: v for k, v in COMMITTED.items() if k != key}
    for key, value in (
        ("scale", "x"),
        ("data", None),
        ("digests", None),
        ("digests", {"a": 1}),
        ("table", [{}]),
        ("crop", "28"),
    ):
        yield key, COMMITTED | {key: value}
    for key in claim:
        yield f"claims.0.{key}", COMMITTED | {"claims": [claim | {key: 1.5}]}
        yield f"claims.0.{key}", COMMITTED | {"claims": [{k: v for k, v in claim.items() if k != key}]}
    for key in made:
        for value in ([], {}, True, -1):
            yield f"runs.{run}.{key}", COMMITTED | {"runs": {run: made | {key: value}}}


def test_a_drawn_figure_has_one_shape_and_what_has_another_is_one_line_that_names_the_key(tmp_path):
    path, count = tmp_path / "table3-cpu.json", 0
    path.write_text(json.dumps(COMMITTED))
    assert figures.drawn(path) == COMMITTED
    for key, numbers in odd_drawings():
        path.write_text(json.dumps(numbers))
        with pytest.raises(InputError, match=r" is not a drawn figure \(") as caught:
            figures.drawn(path)
        line = str(caught.value)
        assert line.startswith(f"{path} is not a drawn figure ({key}"), (key, line)
        assert "\n" not in line
        count += 1
    assert count > 150


@pytest.mark.parametrize(
    "words",
    [
        "verify", "prune --yes", "figure --redraw", "report --check --readme README.md", "report --html a.html",
        "export latex --to tex", "slides --figures figures --out slides", "whence figures/table3-cpu.json",
        "cite table3.x",
    ],
)  # fmt: skip
def test_every_command_that_reads_a_damaged_drawing_says_so_in_one_line(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    for folder in ("figures", "runs"):
        Path(folder).mkdir()
    Path("README.md").write_text(f"{report.BEGIN}\n{report.END}\n")
    run = next(iter(COMMITTED["runs"]))
    Path("figures/table3-cpu.json").write_text(json.dumps(COMMITTED | {"runs": {run: None}}))
    done = cli(*words.split())
    told = f"figures/table3-cpu.json is not a drawn figure (runs.{run}: "
    assert told in (done.stdout if words == "verify" else one_line(done))
    assert done.returncode == (1 if words == "verify" else 2)


def test_every_committed_record_is_whole():
    folders = [path.parent for path in (ROOT / "runs").glob("*/result.json")]
    assert len(folders) > 100
    for folder in folders:
        record = read(folder)
        if isinstance(record.spec, RunSpec):
            assert record.final["test_images"] == catalog.find("data", record.spec.data).constants["SIZES"]["test"]
        assert record.environment["precision"] == record.spec.precision


def test_scales_differ_only_in_spec_fields_and_fix_their_precision():
    for scale, model, precision in (
        ("cpu", "mlp-3x512", "float32"),
        ("cpu", "inception", "bfloat16"),
        ("paper", "mlp-3x512", "float32"),
        ("paper", "inception", "bfloat16"),
    ):
        for here in ("float32", "bfloat16"):
            assert figures.Setting(scale, model, 1, here).spec(0).precision == precision
            assert figures.Setting(scale, "all", 1, here).spec(0, model=model).precision == precision
    assert figures.Setting("quick", "inception", 1, "bfloat16").spec(0).precision == "bfloat16"
    paper = figures.Setting("paper", "inception", 3).spec(2)
    assert (paper.n, paper.steps, paper.learning_rate) == (50_000, 25_024, 0.1)
    assert (paper.seed, paper.data_seed) == (2, 2)


def test_every_committed_record_is_of_a_committed_figure_or_archived():
    """A user's own runs lie beside them, and are nobody's business here."""
    drawn = {run for path in committed() for run in json.loads(path.read_text())["runs"]}
    assert drawn <= {path.parent.name for path in (ROOT / "runs").glob("*/result.json")}
    drawn |= Runs(ROOT / "runs").measured(drawn)
    words = ["git", "-C", str(ROOT), "ls-files", "runs/*/result.json"]
    listed = subprocess.run(words, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout: what is committed cannot be told")
    held = {Path(line).parent.name for line in listed.stdout.splitlines()}
    assert len(held) > 100
    kept = archived(ROOT / "runs")
    assert held - drawn == kept


def test_an_archive_list_is_read_line_by_line_and_its_faults_are_named(tmp_path):
    assert archived(tmp_path) == frozenset()
    path = tmp_path / "ARCHIVE"
    path.write_text("# why\n\none-a\ntwo-b  # since then\n")
    assert archived(tmp_path) == {"one-a", "two-b"}
    for text, told in (
        ("one-a\none-a\n", "line 2: one-a is named in line 1 already"),
        ("one-a two-b\n", "line 1: 'one-a two-b' is not the name of a run"),
        ("../x\n", "line 1: '../x' is not the name of a run"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=re.escape(told)):
            archived(tmp_path)
    path.write_bytes(b"\xff\n")
    with pytest.raises(InputError, match="cannot be read"):
        archived(tmp_path)


def test_an_archive_list_is_bound_by_a_line_of_digests(tmp_path):
    path, runs = tmp_path / "ARCHIVE", Runs(tmp_path)
    path.write_text("# why\none-a\n")
    assert (runs.digest(), runs.digest()) == (1, 0)
    for damaged in (b"# why\none-b\n", b"# why", b"", b"# whx\none-a\n"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="was changed, by the SHA-256 in DIGESTS: bring it back"):
            archived(tmp_path)
    path.unlink()
    with pytest.raises(InputError, match="is missing, but has a line in DIGESTS"):
        archived(tmp_path)
    path.write_text("one-a\ntwo-b\n")
    assert runs.digest() == 1
    assert archived(tmp_path) == {"one-a", "two-b"}
    assert (tmp_path / "DIGESTS").read_text().count("ARCHIVE") == 1


def test_prune_never_offers_what_is_archived(toy_runs, tmp_path):
    runs = Runs(tmp_path)
    shutil.copytree(toy_runs / RUN_SPEC.run_id, runs.path(RUN_SPEC))
    words = ("prune", "--unreferenced", "--yes", "--runs", tmp_path, "--out", tmp_path)
    (tmp_path / "ARCHIVE").write_text(f"{RUN_SPEC.run_id}\n")
    assert cli(*words).stdout == "nothing to prune\n"
    result = runs.path(RUN_SPEC) / "result.json"
    whole = result.read_bytes()
    result.unlink()  # an unfinished run
    assert cli(*words).stdout == "nothing to prune\n"
    result.write_bytes(whole)
    (tmp_path / "ARCHIVE").unlink()
    assert cli(*words).stdout.endswith("deleted 1 runs\n")
    assert not runs.complete(RUN_SPEC)


def test_names_of_drawn_files_keep_quick_from_evidence():
    def stem(*args):
        return figures.stem("fig1a", figures.setting("fig1a", *args))

    assert stem("quick") == "fig1a-quick"
    assert stem("cpu", "mlp-3x512") == "fig1a-cpu-mlp-3x512"
    assert stem("cpu", None, 5) == "fig1a-cpu-5seeds"
    assert stem("cpu", None, 3) == "fig1a-cpu"  # the figure's own
    with pytest.raises(InputError, match="scale is 'big'"):
        stem("big")


def test_seeds_that_are_asked_for_are_those_of_every_network(tmp_path):
    own, given = figures.setting("fig1b", "cpu"), figures.setting("fig1b", "cpu", None, 3)
    assert own.seeds == given.seeds
    for setting, seeds in ((own, {0}), (given, {0, 1, 2})):
        assert {s.seed for s in figures.unique(figures.specs("fig1b", setting)) if s.model == "alexnet"} == seeds
    assert figures.stem("fig1b", given) == "fig1b-cpu-3seeds"
    figures.draw("fig1b", given, Runs(tmp_path / "runs"), tmp_path)
    ((name, read_back),) = figures.evidence(tmp_path)
    assert (name, read_back) == ("fig1b", given)


@pytest.mark.parametrize("name", ["l1_l2"])
def test_a_seed_keeps_its_number_and_its_label_where_the_first_is_missing(name):
    setting, module = figures.setting(name, "quick", None, 2), catalog.load("figures", name)
    wanted, held = figures.specs(name, setting), Held()
    for spec in figures.unique(wanted):
        made_up(held, spec)
    seeds, labels = [], []
    for missing in (1, 0):
        records = {
            condition: [None if getattr(s, "seed", None) == missing else held.find(s) for s in group]
            for condition, group in wanted.items()
        }
        numbers, picture = figures.numbers_and_picture(module, setting, records)
        figure = picture()
        seeds.append({key.rpartition("seed ")[2] for key in numbers["series"] if "seed " in key})
        labels.append([len(axes.get_legend_handles_labels()[1]) for axes in figure.axes])
    assert seeds == [{"0"}, {"1"}]
    assert labels[0] == labels[1]


# --- verdicts ---------------------------------------------------------------------------------


def run_of(*accuracies, status="budget", last_loss=1.0):
    """A record with that training accuracy at each evaluation."""
    count = len(accuracies)
    curve = {"step": [10 * k for k in range(count)], "train_accuracy": list(accuracies)}
    curve["train_loss"] = [1.0] * (count - 1) + [last_loss]
    return Record(Path(), RunSpec(), {"status": status}, {}, curve)


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize(
    ("odd", "highest", "holds"),
    [
        (run_of(0.1, 0.99), 99.0, True),
        (run_of(0.1, 1.0, 0.5), 100.0, True),  # at some evaluation
        (run_of(0.1, 0.9899), 98.99, False),
        (run_of(0.1, 1.0, 0.1, status="diverged"), 100.0, False),
        (run_of(0.1, 1.0, last_loss=math.nan), 10.0, False),
    ],
)
def test_one_seed_that_is_not_fitted_or_diverged_decides(odd, highest, holds, place):
    runs = [run_of(0.1, 1.0) for _ in range(4)]
    runs[place] = odd
    frame = Frame.of([({}, seed, 100, str(seed), run) for seed, run in enumerate(runs)], [kit_highest()])
    assert frame.fitted == holds
    expected = [100.0] * 4
    expected[place] = highest
    assert frame.values("highest") == pytest.approx(expected)


@pytest.mark.parametrize("name", ["regularizers", "dose", "budgets"])
@pytest.mark.parametrize("scale", ["quick", "cpu", "paper"])
def test_a_sweep_changes_the_regularizer_and_nothing_else(scale, name):
    setting, module = figures.setting(name, scale, precision="bfloat16"), catalog.load("figures", name)
    grid = list(module.grid(setting))
    for condition in (c for c in grid if c["regularizer"] != "none"):
        spec = module.spec(setting, 0, **condition)
        baseline = module.spec(setting, 0, **condition | _sweeps.BASELINE)
        assert condition | _sweeps.BASELINE in grid
        assert spec.regularizers
        assert spec.replace(regularizers=(), steps=baseline.steps) == baseline
        assert spec.steps == condition["times"] * baseline.steps
        if condition["regularizer"] == "local_response_norm":  # which bfloat16 rounds away
            assert spec.precision == "float32"


@pytest.mark.parametrize("scale", ["quick", "cpu", "paper"])
def test_what_the_paper_does_not_state_is_chosen_otherwise_and_nothing_else(scale):
    unstated, table = (catalog.load("figures", name) for name in ("unstated", "table1"))
    for model in unstated.MODELS:
        setting = figures.setting("unstated", scale=scale, model=model)
        for labels, row in (("true labels", model), ("random labels", f"{model}, random labels")):
            usual = table.spec(setting, 0, row)
            for choice, changed in unstated.CHOICES.items():
                run = unstated.spec(setting, 0, labels, choice)
                assert run.replace(**{k: getattr(usual, k) for k in ("steps", "eval_every", "decay_every")}) == (
                    usual.replace(**changed)
                )
                for each in ("steps", "eval_every"):
                    assert getattr(run, each) / run.epoch_steps == getattr(usual, each) / usual.epoch_steps
                often = run.decay_every / run.epoch_steps, usual.decay_every / usual.epoch_steps
                assert often[0] == pytest.approx(often[1], rel=0.01)
            assert unstated.spec(setting, 0, labels, unstated.OURS) == usual


def test_a_plug_in_is_swept_at_quick_alone(monkeypatch):
    """So that committed figures do not ask for runs of a regularizer that somebody has in a folder of their own."""
    files = catalog._files
    mine = {"mine": dataclasses.replace(catalog.find("regularizers", "dropout"), name="mine", digest="0" * 12)}
    monkeypatch.setattr(catalog, "_files", lambda kind: files(kind) | (mine if kind == "regularizers" else {}))
    swept = {scale: _sweeps.sweeps(figures.setting("dose", scale)) for scale in ("quick", "cpu", "paper")}
    assert {s: any(one.regularizer == "mine" for one in each) for s, each in swept.items()} == {
        "quick": True,
        "cpu": False,
        "paper": False,
    }


def failed(record, diverged):
    """The record of a run that stayed at chance to the end, or diverged before its second evaluation.

    Of a run that trains nothing: whose measurements are no numbers. Counts always are, and rows are found by `penalty`.
    """
    if not isinstance(record.spec, RunSpec):
        kept = {"penalty", *(column.name for column in record.spec.described if column.whole)}
        curve = {k: values if k in kept else [math.nan] * len(values) for k, values in record.curve.items()}
        return dataclasses.replace(record, curve=curve)
    count = 2 if diverged else len(record.curve["step"])
    chance = {"accuracy": 0.1, "loss": math.nan if diverged else 2.3}
    curve = {k: [chance.get(k.rpartition("_")[2], v) for v in values[:count]] for k, values in record.curve.items()}
    result = record.result | {"status": "diverged" if diverged else "budget"}
    return dataclasses.replace(record, curve=curve, result=result)


# Claims that a failure of one of their conditions need not touch, and why.
SURVIVE = {
    r"one strength of weight decay gives .*": "some other strength may",
    r"random labels are fitted at some width, .*": "some other width may",
    r"where regularizers that act on .* slow random labels much, .*": "a failure is what it asks about",
    r"on .* no strength of a regularizer slows random labels .*": "what is fitted on neither labels is not compared",
    r"of the rates of dropout .* with which random labels are not fitted .*": "a failure is what it asks about",
    r"random pixels and Gaussian inputs are fitted before random labels": "random labels that are not fitted are later",
    r"no regularizer at its typical strength changes test accuracy .*": "of random labels the baseline alone counts",
    r".*do not memorize.*": "a failure is what it asks about",
    r".* memorize no more .*": "a failure is what it asks about",
    r".* helps more than the other regularizers, in the median": "a median over regularizers need not move with one",
    r"differential evolution misses few .*": "judged by counts, which are numbers",
    r".* most weights .*": "judged by the weights that were kept",
    r"an ensemble over .*": "judged by the logits that were kept",
    r".* with 2n \+ d weights represents the sample": "a count is always a number",
    r"the test error on MNIST is lower with .*": "8 units do not fit, and a failure makes their error larger",
    r"the .* norm over the squared margin falls .* up to 128": "widths without a positive margin are left out",
}


HOLDS = (REPLICATED, EXTENSION[REPLICATED])


def survives(statement):
    return any(re.fullmatch(pattern, statement) for pattern in SURVIVE)


def replicated_in(path):
    """The statements that a drawn figure says are replicated."""
    return [c["statement"] for c in json.loads(path.read_text())["claims"] if c["verdict"] in HOLDS]


def test_most_of_what_is_replicated_is_held_to_its_conditions_and_no_exception_is_idle():
    replicated = [statement for path in committed() for statement in replicated_in(path)]
    assert 2 * sum(map(survives, replicated)) < len(replicated)
    told = [c["statement"] for path in committed() for c in json.loads(path.read_text())["claims"]]
    assert [p for p in SURVIVE if not any(re.fullmatch(p, statement) for statement in told)] == []


@pytest.mark.parametrize("path", committed(), ids=lambda path: path.stem)
def test_nothing_replicated_survives_the_failure_of_a_condition_it_rests_on(path):
    told = json.loads(path.read_text())
    setting = figures.setting_of(told)
    module, runs = catalog.load("figures", told["figure"]), Runs(ROOT / "runs")
    wanted = figures.runs_of(module, setting)
    records = {condition: [runs.find(spec) for spec in group] for condition, group in wanted.items()}
    rules = figures.claims_of(module, setting)
    replicated = [each for each in rules if judge(each, wanted, records).verdict in HOLDS]
    assert [each.statement for each in replicated] == replicated_in(path)
    for each in replicated:
        if survives(each.statement):
            continue
        for k, condition in enumerate(each.conditions):
            trained = isinstance(wanted[condition][0], RunSpec)
            for diverged in (
                (True, False) if trained and len(each.conditions) <= 4 else (k % 2 == 0,)
            ):  # of many, in turn
                lost = {spec.run_id for spec in wanted[condition]}  # which may be of other conditions too
                bad = {
                    c: [failed(r, diverged) if r.spec.run_id in lost else r for r in records[c]]
                    for c in each.conditions
                }
                verdict = judge(each, wanted, records | bad).verdict
                unjudged = "not judged where" in each.tolerance or _probed.AT_EQUAL_LOSS in module.DEPARTURES
                words = (NOT_REPLICATED, NOT_JUDGED) if unjudged else (NOT_REPLICATED,)
                expected = words if each.own else [EXTENSION[word] for word in words]
                assert verdict in expected, (each.statement, condition)


def test_what_diverges_is_not_counted_as_run_for_longer_and_not_fitted():
    """As dropout 0.9 in figure budgets: more steps do not help it, and it ends where the shorter run did."""

    def runs(**states):
        rows = [
            (name, times, state) for name, both in states.items() for times, state in zip((1, 8), both, strict=True)
        ]
        names, times, found = (list(column) for column in zip(*rows, strict=True))
        at = {"network": "mlp-3x512", "strength": 0.5, "images": 2000, "labels": "random"}
        return kit_made(regularizer=names, times=times, state=found, **at)

    late, never, diverged = ("censored", "fitted"), ("censored", "censored"), ("diverged", "diverged")
    told = budgets.finding(runs(dropout=late, l1=never, max_norm=diverged), "")
    assert re.fullmatch(r"Of 2 strengths .* 1 are fitted then: 1 of 1 that cost .*, 0 of 1 others", told)
    assert budgets.finding(runs(max_norm=diverged), "") is None
    assert "at every strength" in budgets.finding(runs(dropout=("fitted", "fitted"), max_norm=diverged), "")


def test_a_finding_on_what_is_unstated_leaves_out_ours_and_what_is_missing():
    unstated = catalog.load("figures", "unstated")
    few = list(unstated.CHOICES)[:3]

    def told(tests, states, true=("fitted",) * 3):
        labels = ["true labels"] * 3 + ["random labels"] * 3
        states = ["missing" if t is None else state for t, state in zip(tests, true, strict=True)] + states
        return unstated.finding(
            kit_made(labels=labels, choice=few * 2, state=states, test_accuracy=[*tests, 10, 10, 10]), "X"
        )

    fits = ["fitted"] * 3
    start, on = "X reaches 50.0 % with batch 64", "51.0 with batch 256 on true labels (ours: 58.0"
    assert told([58, 50, 51], fits) == f"{start} and {on}), and random ones are fitted"
    alone = told([58, 50, None], [*fits[:2], "missing"])
    assert alone == f"{start} on true labels (ours: 58.0), and random ones are fitted"
    odd = told([58, 50, 51], ["fitted", "fitted", "censored"])
    assert odd == f"{start} and {on}), and random ones are not fitted with {few[2]}"
    odd = told([58, 50, 51], fits, true=["fitted", "diverged", "fitted"])
    assert odd == f"{start} and {on}; not fitted with {few[1]}), and random ones are fitted"
    assert told([58, None, None], fits) is None
    assert told([58, 50, 51], ["fitted", "missing", "missing"]) is None


def test_a_network_that_is_not_in_table_1_has_no_row_of_it_in_unstated():
    unstated = catalog.load("figures", "unstated")
    for model, count in (("resnet-20", 1), ("mlp-3x512", 3)):
        setting = figures.setting("unstated", model=model)
        assert len(unstated.claims(setting)) == count
        assert bool(unstated.panels(setting)[0].paper) == (count == 3)
