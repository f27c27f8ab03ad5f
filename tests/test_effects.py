"""The table of effects, recomputed from the records' files by code that imports nothing of the package."""

import csv
import json
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
DECAY = {"name": "weight_decay", "options": {"strength": 0.0005}}
CROP = {"name": "random_crop", "options": {"on": True}}
# What stands beside a thing in its effect's name -> the regularizers of both runs.
BESIDE = {"with weight decay": [DECAY], "with random crop": [CROP]}
# Differences between rows of [zhang2017] Table 1.
PAPER = {
    "random crop, inception": 89.31 - 85.75,
    "random crop, inception with weight decay": 89.05 - 86.03,
    "random crop, alexnet": 79.66 - 76.07,
    "random crop, alexnet with weight decay": 81.22 - 77.36,
    "weight decay, inception": 86.03 - 85.75,
    "weight decay, inception-nobn": 83.00 - 82.00,
    "weight decay, alexnet": 77.36 - 76.07,
    "weight decay, mlp-3x512": 53.35 - 52.39,
    "weight decay, mlp-1x512": 50.39 - 50.51,
    "weight decay, inception with random crop": 89.05 - 89.31,
    "weight decay, alexnet with random crop": 81.22 - 79.66,
    "batch norm, inception": 85.75 - 82.00,
    "batch norm, inception with weight decay": 86.03 - 83.00,
}
LENGTHS = {"inception": 64 * 391, "inception-nobn": 64 * 391}  # others 90 epochs


def accuracies(network, parts):
    """Final test accuracy in % by seed, of the full-size runs on true labels with these regularizers."""
    found = {}
    for path in ROOT.glob(f"runs/cifar10-50000-{network}-*/result.json"):
        spec = json.loads((path.parent / "spec.json").read_text())
        plain = not spec["corruptions"] and spec["batch_size"] == 128 and spec["lr_decay"] == 0.95
        plain &= not spec.get("model_options") and spec["steps"] == LENGTHS.get(network, 90 * 391)
        plain &= spec["stop"] == "budget" and not spec.get("keep") and not spec.get("held_out")
        usual = spec["precision"] == ("float32" if network.startswith("mlp") else "bfloat16")
        key = sorted(spec["regularizers"], key=lambda part: part["name"])
        if spec["model"] == network and plain and usual and key == sorted(parts, key=lambda part: part["name"]):
            with (path.parent / "curve.csv").open() as stream:
                last = list(csv.DictReader(stream))[-1]
            assert last["test_images"] == "10000"
            assert spec["seed"] not in found
            found[spec["seed"]] = 100 * float(last["test_accuracy"])
    return found


def test_every_effect_is_the_difference_of_the_records_and_judged_by_its_rule():
    drawn = json.loads((ROOT / "figures/effects-paper.json").read_text())
    verdicts = {claim["name"]: claim["verdict"] for claim in drawn["claims"]}
    judged = 0
    assert [row["effect"] for row in drawn["table"]] == list(PAPER)
    for row in drawn["table"]:
        effect, theirs = row["effect"], PAPER[row["effect"]]
        assert abs(row["paper (points)"][0] - theirs) < 0.005
        thing, _, place = effect.partition(", ")
        network, _, beside = place.partition(" ")
        both = BESIDE.get(beside, [])
        without = accuracies("inception-nobn" if thing == "batch norm" else network, both)
        added = {"random crop": [CROP], "weight decay": [DECAY], "batch norm": []}[thing]
        with_it = accuracies(network, both + added)
        ours = [with_it[k] - without[k] for k in sorted(with_it.keys() & without.keys())]
        found = [v for v in row["ours (points)"] if v is not None]
        assert len(found) == len(ours)
        assert all(abs(a - b) < 1e-9 for a, b in zip(found, ours, strict=True))
        if abs(theirs) < 0.995:
            assert effect not in verdicts  # reported, not judged
            continue
        holds = ours and min(v * theirs for v in ours) > 0 and 0.5 <= median(ours) / theirs <= 2
        assert verdicts[effect] == ("not run" if not ours else "replicated" if holds else "not replicated")
        judged += bool(ours)
    assert judged >= 4
