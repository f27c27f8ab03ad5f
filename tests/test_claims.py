"""Claims stand beside their examples: made-up frames and the verdict that each must get."""

import dataclasses
import inspect
import math
import re
from itertools import count
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from rethinking import catalog, claims, figures, plotting
from rethinking.claims import CENSORED, NOT_JUDGED, NOT_REPLICATED, NOT_RUN, REPLICATED, Claim, Reading, judge
from rethinking.errors import InputError
from rethinking.figures import _probed, _sweeps
from rethinking.figures.kit import Bound, Conditions, Frame, Measure, Table, declared, gain, made
from rethinking.figures.kit.frame import Untold
from rethinking.figures.kit.measures import at_last_shared, best_epoch, best_error
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


EVERY = every_claim()
FIGURES = sorted({each.values[0] for each in EVERY})


@pytest.mark.parametrize(("name", "setting", "claim"), EVERY)
def test_every_example_gets_its_verdict(name, setting, claim):
    one = claim.every()[0]
    assert one.id.startswith(f"{name}.")
    assert {verdict for _, verdict in claim.examples} >= {REPLICATED, NOT_REPLICATED}
    assert [one.verdict(frame) for frame, _ in claim.examples] == [verdict for _, verdict in claim.examples]


SAID = {"least": "at least {}", "most": "(?:at most|within) {}", "above": "above {}", "below": "(?:below|less than) {}"}
IN_WORDS = {
    ("above", 0): "above|larger|later|higher|gains",
    ("most", 0): "no training example is wrong",
    ("below", 0): "measured statistics give the higher test accuracy",
    ("least", 1): "the online losses are the same",
    ("least", 20): "at least twice chance",
}


def told_number(value):
    return re.escape(f"{round(value, 9):g}".replace("e-0", "e-"))


def wordings(bound, paper):
    """Patterns of which a rule has one that is met within a bound. paper: what the source reports."""
    low, high = max(bound.least, bound.above), min(bound.most, bound.below)
    if math.inf in (-low, high):
        ((side, value),) = [(side, v) for side in SAID if abs(v := getattr(bound, side)) != math.inf]
        return [SAID[side].format(told_number(value)) + r"(?![\d,.]*\d)", IN_WORDS.get((side, value), "(?!)")]
    middle, half = (low + high) / 2, told_number((high - low) / 2)
    of = [told_number(middle)] + ["the paper's"] * (f"{middle:.2f}" in paper)
    around = "at most {} in size" if bound.above == -math.inf else "less than {} "
    return [
        f"between {told_number(low)} and {told_number(high)} ",
        f"within {half} points? of (?:{'|'.join(of)})",
        *[f"of the paper's, and training accuracy within {half}$"] * (len(of) > 1),
        *[around.format(half)] * (middle == 0),
    ]


def test_rules_say_the_numbers_of_their_bounds_and_from_how_many_images_they_are_judged():
    """`bounded` makes its examples from the bounds that it judges by: they say nothing of the words."""
    bounds = 0
    for *_, claim in (each.values for each in EVERY):
        one = claim.every()[0]
        within = inspect.getclosurevars(one.holds).nonlocals.get("bounds", ()) if inspect.isfunction(one.holds) else ()
        for bound in within:
            assert any(re.search(words, one.rule) for words in wordings(bound, one.paper)), (one.id, bound)
        if within:
            assert any(bound.by_median for bound in within) == ("median" in one.rule), one.id
        from_n = {int(n.replace(",", "")) for n in re.findall(r"judged from n = ([\d,]*\d)", one.rule)}
        assert from_n <= {one.least_n}, one.id
        bounds += len(within)
    assert bounds > 100


def test_where_networks_are_compared_at_one_loss_no_claim_is_judged_of_a_run_that_ends_above_it():
    told = {name: catalog.load("figures", name).DEPARTURES for name in FIGURES}
    compared = [each.values for each in EVERY if _probed.AT_EQUAL_LOSS in told[each.values[0]]]
    assert {name for name, *_ in compared} == {"capacity_measures", "confusion_set", "sharpness"}
    compared += [each.values for each in EVERY if each.values[2].id.startswith("hidden_units.wide.")]
    for _, _, claim in compared:
        if not claim.id.startswith("capacity_measures.tells."):  # whether they end at one loss or not
            assert any(0.0 in frame.values(_probed.REACHED) for frame in claim.unjudged), claim.id
    for name, open_to in (("capacity_measures", "capacity_measures.tells."), ("sharpness", ""), ("confusion_set", "")):
        module, setting = catalog.load("figures", name), figures.setting(name, "cpu")
        wanted = figures.runs_of(module, setting)
        for claim in figures.claims_of(module, setting):
            asked = [spec for label in claim.conditions for spec in wanted[label]]
            runs = [getattr(spec, "run", spec) for spec in asked]
            assert any("train_loss" in spec.columns for spec in asked), claim.id  # else none could be seen to end above
            if not open_to or not claim.id.startswith(open_to):
                assert any("train_loss" in spec.columns for label in claim.conditions for spec in wanted[label]), (
                    claim.id
                )
                assert {run.stop_loss for run in runs} == {0.01}, claim.id


@pytest.mark.parametrize("sign", [1, -1])
def test_intervals_that_overlap_speak_neither_for_nor_against_and_reversed_ones_against(sign):
    rate, *ends = (Measure(name, name, float) for name in ("rate", "low", "high"))
    texts = dict.fromkeys(("id", "name", "source", "statement", "paper", "rule"), "")
    claim = _probed.apart(rate, sign, ends=tuple(ends), **texts)
    assert [claim.verdict(frame) for frame, _ in claim.examples] == [verdict for _, verdict in claim.examples]

    def holds(*pairs):
        """Of intervals by seed: on true and on random labels."""
        spans = [sorted(sign * v for v in each) for each in (*(t for t, _ in pairs), *(r for _, r in pairs))]
        words = [word for word in _probed.LABELS for _ in pairs]
        return claim.holds(made(labels=words, rate=0.0, low=[a for a, _ in spans], high=[b for _, b in spans]))

    assert holds(((0, 2), (3, 4)), ((1, 2), (5, 6)))
    assert holds(((98, 100), (98, 100))) is holds(((0, 3), (3, 4))) is holds(((2, 4), (0, 3)), ((0, 1), (2, 3))) is None
    assert holds(((5, 6), (3, 4)), ((0, 1), (2, 3))) is False


def test_pairs_are_counted_with_an_interval_and_those_at_one_loss_beside():
    a, b = _probed.Pairs(26, 26, 20, 20), _probed.Pairs(8, 10, 0, 1)
    told = _probed.in_pairs({"a": a, "b": b})
    exact = binomtest(34, 36).proportion_ci(method="wilson")
    interval = f"95 % interval {100 * exact.low:.0f} to {100 * exact.high:.0f} %, as if they were independent"
    assert told == f"in 34 of 36 pairs ({interval}); at one loss in 20 of 21; the worst is b, 8 of 10"
    assert _probed.in_pairs({"a": dataclasses.replace(a, larger_at_one_loss=26, at_one_loss=26)}).endswith(
        "independent)"
    )
    assert _probed.mostly_larger({"a": a, "b": b}) is False
    assert _probed.mostly_larger({"a": a, "b": _probed.Pairs(9, 10, 0, 0)}) is True


@pytest.mark.parametrize(("losses", "count"), [((0.009, 0.01), 1), ((0.009, 0.02), 0), ((0.02, 0.009), 0)])
def test_a_pair_is_at_one_loss_where_both_of_its_runs_got_there(losses, count):
    run, frames = RunSpec.make(data="cifar10", model="mlp-3x512", n=2000, **_probed.to_equal_loss(2000)), []
    more = Measure("more", "more", lambda record: 1.0)
    for each in (run, run.replace(stop_loss=None)):
        made_of = [
            Record(Path(), _probed.probed(each, "capacity"), {"status": "computed"}, {}, {"train_loss": [loss]})
            for loss in losses
        ]
        rows = [({"labels": word}, 0, 2000, word, r) for word, r in zip(_probed.LABELS, made_of, strict=True)]
        frames.append(Frame.of(rows, [more, _probed.AT_ONE]))
    told = [_probed.pairs_of(more, "labels", frame)[_probed.RANDOM] for frame in frames]
    assert told == [_probed.Pairs(1, 1, count, count), _probed.Pairs(1, 1, 0, 0)]


def test_no_statement_says_nothing_or_the_papers_number_where_the_rule_has_a_margin():
    exact = r"\bnothing\b|\bgains no\b|\b(is|are|as in) the paper|\bthis error|by \d+ to \d+|does not improve"
    told = [claim for claim in (each.values[2] for each in EVERY) if re.search(exact, claim.statement)]
    assert [claim.id for claim in told if re.search("at most|within|between|less than", claim.rule)] == []


def test_what_is_read_before_the_last_evaluation_says_on_how_many_test_images():
    kinds = (gain(), best_epoch(), best_error(), at_last_shared("", min))
    early, before = set(), {measure.of.__code__ for measure in kinds}
    for name in FIGURES:
        module = catalog.load("figures", name)
        read = declared.measures_of(module, figures.setting(name, "cpu"))
        if any(getattr(measure.of, "__code__", None) in before for measure in read):
            early.add(name)
            assert any("first 2,000 test images" in text for text in module.DEPARTURES), name
    assert early >= {"table1", "fig2b", "curves", "dropout_advice"}
    gains = [each.values[2] for each in EVERY if ".no_gain" in each.id]
    assert len(gains) == 2
    assert all("first 2,000 test images" in claim.rule for claim in gains)


def test_every_claim_has_an_id_of_its_own_and_conditions():
    ids = []
    for name in FIGURES:
        rules = declared.claims(catalog.load("figures", name), figures.setting(name, "cpu"))
        assert len({rule.name for rule in rules}) == len(rules)
        assert all(rule.conditions for rule in rules)  # which test_figures holds to be the figure's
        ids += [rule.id for rule in rules]
    assert all(re.fullmatch(r"[a-z][a-z0-9_.+-]*[a-z0-9]", each) for each in ids)
    assert len(set(ids)) == len(ids) > 150


@pytest.mark.parametrize(
    ("scale", "precision"), [("quick", "bfloat16"), ("quick", "float32"), ("cpu", "float32"), ("paper", "float32")]
)
def test_the_precision_of_mlps_is_told_scale_by_scale(scale, precision):
    for name in ("capacity_measures", "sharpness"):
        module = catalog.load("figures", name)
        setting = figures.setting(name, scale, precision=precision if scale == "quick" else "bfloat16")
        runs = [spec.run for spec in figures.unique(figures.specs(name, setting)) if spec.run.model.startswith("mlp")]
        (told,) = (text.split("quick: ") for text in module.DEPARTURES if text.startswith("MLP 1x512 and MLP 3x512"))
        assert {run.precision for run in runs} == {precision}
        assert ("in float32" in told[0], "in bfloat16 where the processor multiplies it" in told[1]) == (True, True)


@pytest.mark.parametrize("scale", ["quick", "cpu"])
@pytest.mark.parametrize("name", ["shift", "one_pixel", "deletion"])
def test_what_a_probe_of_a_figure_measures_is_known_where_an_interval_over_images_is_told(name, scale):
    module, setting = catalog.load("figures", name), figures.setting(name, scale)
    probes = [spec for spec in figures.unique(figures.specs(name, setting)) if spec.kind == "probe"]
    told = {_probed.PROBED.of(Record(Path(), spec, {"status": "computed"}, {}, {})) for spec in probes}
    assert told == {spec.options["images"] for spec in probes}
    claims_made = [one for claim in declared.declared(module, setting, "claims") for one in claim.every()]
    at_one = [one.least_seeds for one in claims_made if ".at_one_loss" in one.id]
    assert set(at_one) == {3}  # as of the same network at the end of its schedule


def test_intervals_over_images_are_told_of_every_seed_or_not_at_all():
    rate = Measure("rate", "rate (%)", float)
    for odd, interval in ((20.0, "5.5 to 28.9"), (math.nan, "none"), (101.0, "none")):
        rates = {"labels": ["true labels"] * 2 + ["random labels"] * 2, "rate": [10.0, odd, 50.0, 60.0]}
        told = _probed.over_images(made(**rates, probed=100), rate)
        assert told.endswith(f"; 95 % intervals over the images within 40.4 to 69.1 and {interval}")


def test_shift_tells_of_copies_as_the_probe_counts_them():
    module, given = catalog.load("figures", "shift"), {"test": 0, "scaled": 0, "reach": 1, "edge_change": 0.375}
    spec = module.spec(figures.setting("shift", "cpu"), 0, "mlp-1x512", "true labels")
    record = Record(Path(), spec, {"status": "computed"}, {}, {name: [value] for name, value in given.items()})
    assert module.MOVED.of(record, images="training images", moved=1) == 37.5  # three copies of eight
    told = [
        one.rule for claim in module.CLAIMS for one in claim.every() if re.search(r"\.(memorized|changes)\.", one.id)
    ]
    assert len(told) == 7
    assert all("copies of t" in rule and "moved by one pixel in the eight directions" in rule for rule in told)


def test_what_was_not_read_in_an_abstract_is_not_said_to_be():
    claims_made = {one.id: one for claim in catalog.load("figures", "deletion").CLAIMS for one in claim.every()}
    noise = [one.source for key, one in claims_made.items() if key.startswith("deletion.noise.")]
    assert len(noise) == 4
    assert all("from memory" in source and "abstract" not in source for source in noise)


@pytest.mark.parametrize("scale", ["quick", "cpu"])
def test_the_picture_of_deletion_says_how_many_orders_and_draws_there_are(scale):
    module, setting = catalog.load("figures", "deletion"), figures.setting("deletion", scale)
    probes = [spec for spec in figures.unique(figures.specs("deletion", setting)) if spec.probe.name != "selectivity"]
    ran = {name: {s.options["repeats"] for s in probes if s.probe.name == name} for name in ("deletion", "noise")}
    note, told, _ = module.notes(setting)
    assert told.removeprefix("alexnet: one seed; ") == "mlp-3x512 at 0.01 nats: training stopped at that loss"
    asked = figures.setting("deletion", scale, None, 5)
    for each in (setting, asked):
        alexnet = {s.run.seed for s in figures.unique(figures.specs("deletion", each)) if s.run.model == "alexnet"}
        assert ("alexnet: one seed" in module.notes(each)[1]) == (len(alexnet) < each.seeds)
    orders, draws = note.split("; noise: ")
    assert {int(k) for k in re.findall(r"(?<![\d,])\d+(?= random|\))", orders)} == ran["deletion"]
    assert [draws] == [f"{k} draws" for k in ran["noise"]]


# The paper's own claims that are judged on fewer than all images, and from how many on: fits, chance, order, shape.
ON_FEWER = {"fig1a.fits": 200, "fig1a.generalizes": 200, "fig1a.chance": 200, "fig1b.slower": 2000, "fig1c.rises": 2000}
ON_FEWER |= {"fig1c.chance": 2000, "fig2b.fits": 2000, "rademacher.near_1": 2000, "min_norm.sgd": 1}
ON_FEWER |= {"table3.interpolates": 1, "theorem1.weights": 1, "theorem1.fits": 1, "theorem1.depth": 1}


def test_what_is_judged_on_fewer_than_all_images_is_no_number_of_the_papers():
    found = {}
    for name in FIGURES:
        rules = declared.claims(catalog.load("figures", name), figures.setting(name, "cpu"))
        found |= {".".join(c.id.split(".")[:2]): c.least_n for c in rules if c.own and c.least_n < figures.FULL}
    assert found == ON_FEWER


def numbered(module, setting):
    """A figure's frame in which every number is another, but where rows read the same of the same runs."""
    asked = declared._asked(module, setting)
    rows = [c | at | {"seed": seed} for _, c, seed, _ in asked for at in declared.readings_of(module)]
    data, new, cells = pd.DataFrame(rows), count(1), {}
    for measure in declared.measures_of(module, setting):
        apart = {*data.columns} - {*getattr(module, "READ_AT", {}), getattr(measure, "over", "")}
        keys = data[sorted(apart | {*measure.parameters})].itertuples(index=False, name=None)
        known: dict = {}
        cells |= {measure.name: [known.setdefault(key, next(new) + 0.5) for key in keys], f"{measure.name}_state": ""}
    return Frame(data.assign(**cells, n=figures.FULL, all=figures.FULL, run="", state="fitted"))


def summaries(name):
    """The first of each kind of claim of a figure, its part of `numbered` at scale cpu, and its text and numbers."""
    module, setting = catalog.load("figures", name), figures.setting(name, "cpu")
    frame = numbered(module, setting)
    for claim in declared.declared(module, setting, "claims"):
        one = claim.every(setting.model)[0]
        part = frame.where(**one.where)
        yield one, part, *one.summary(part)


@pytest.mark.parametrize("name", FIGURES)
def test_a_median_with_a_range_is_over_seeds_alone_or_says_over_what(name):
    for one, part, text, numbers in summaries(name):
        for values in numbers.values():
            told = sorted(v for v in values if v is not None)
            if len(told) > part.data["seed"].nunique():
                assert "zhang2017" not in one.source or "extended" in one.source, one.id
                assert f"({told[0]:,.2f} to {told[-1]:,.2f})" not in text or "over seeds and" in text, one.id


@pytest.mark.parametrize("name", FIGURES)
def test_no_claim_writes_a_number_twice(name):
    for one, _, _, numbers in summaries(name):
        for key, values in numbers.items():
            read = [v for v in values if v and v % 1 == 0.5]
            assert len(set(read)) == len(read), (one.id, key)


@pytest.mark.parametrize("name", FIGURES)
def test_numbers_are_told_apart_and_with_their_unit(name):
    for one, _, text, _ in summaries(name):
        assert not re.search(r"(?<![a-z\d.,])[\d.,]*\d[a-z]*\)? -?\d", text), (one.id, text)
        for what, unit in (("squared margin", "(log10)"), ("sharpness", "nats")):
            assert what not in one.statement or unit in text or " pairs " in text, (one.id, text)


def test_a_claim_of_a_value_that_its_figure_lacks_is_refused(monkeypatch):
    module, setting = catalog.load("figures", "curves"), figures.setting("curves", "cpu")
    (claim, *_) = module.claims(setting)
    misspelt = dataclasses.replace(claim, where={"labels": ["true labels", "half randm labels"]})
    monkeypatch.setattr(module, "claims", lambda setting: [misspelt])
    with pytest.raises(InputError, match="overfits is of labels 'half randm labels', and the figure has 'half random"):
        declared.claims(module, setting)


def test_a_measure_that_a_claim_alone_reads_stands_in_measures_or_is_refused(found):
    shown = (Path(__file__).parents[1] / "docs" / "own-figure.md").read_text("utf-8").split("```python\n")[1]
    text = shown.partition("```")[0].replace("relative, ", "final, relative, ")
    reads = 'median(final("test_accuracy")) > 1'
    read = text.replace("where(p=0.5).median(RATIO) > 1", reads)  # and the examples have no such number
    found(figures__unsaid=read, figures__unmeasured=read.replace("steps_ratio", "test_accuracy"))
    found(figures__said=read.replace("steps_ratio", "test_accuracy") + 'MEASURES = [final("test_accuracy")]\n')
    with pytest.raises(
        InputError, match=r"halfway\.slower: its examples have 'test_accuracy', which the figure does not"
    ):
        figures.specs("unmeasured", figures.setting("unmeasured"))  # before anything is trained
    assert len(figures.specs("said", figures.setting("said"))) == 2
    (claim,) = catalog.load("figures", "unsaid").CLAIMS
    with pytest.raises(InputError, match="a rule reads 'test_accuracy', which the figure does not measure: put that"):
        claim.judged(claim.met[0])


def test_the_papers_section_2_2_is_of_rademacher_complexity_alone():
    sources = {(each.values[2].source, each.values[0]) for each in EVERY}
    assert [name for source, name in sources if source == "zhang2017, section 2.2"] == ["rademacher"]


def test_one_pixel_credits_its_source_with_what_its_claim_does():
    module, setting = catalog.load("figures", "one_pixel"), figures.setting("one_pixel", "cpu")
    (flips,) = (each for each in module.claims(setting) if each.id.startswith("one_pixel.flips"))
    assert flips.paper in module.THEIRS


@pytest.mark.parametrize(
    ("broken", "missed", "told"), [(40, 20, 100 / 3), (20, 0, 0.0), (0, 10, 100.0), (0, 0, "not measured")]
)
def test_what_the_evolution_misses_is_told_of_the_images_that_one_pixel_breaks(broken, missed, told):
    module, setting = catalog.load("figures", "one_pixel"), figures.setting("one_pixel", "cpu")
    spec = module.spec(setting, 0, 1, "mlp-1x512", "true labels")
    rows = [{"test": 1, "exhaustive": which, "images": 200, "broken": broken, "missed": missed} for which in (0, 1)]
    record = Record(Path(), spec, {"status": "computed"}, {}, {name: [row[name] for row in rows] for name in rows[0]})
    assert module.MISSED.of(record, images="test images") == pytest.approx(told)


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
        (["censored", "censored"], "censored in 2 runs"),
        (["censored"], "censored"),
        (["no margin", "no margin", 3], "3, no margin in 2 runs"),
        ([2.5, "p = 0 censored", None], "2.50, p = 0 censored in 1 run, 2 of 3 seeds"),
        ([None], "not run"),
    ],
)
def test_a_censored_time_is_above_every_number(values, text):
    assert claims.told(values) == text


@pytest.mark.parametrize("name", FIGURES)
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


def test_a_cell_that_is_a_truth_is_told_as_yes_or_no():
    frame = made(k=[1, 2, 3, 4], n=100, value=[1.0, 2.0, 3.0, 4.0])
    table = Table("k", {"even": lambda t: {1: False, 2: True, 3: None, 4: "four"}[t.data["k"].iloc[0]]}, by="k")
    assert [row["even"] for row in table.rows(frame, [])] == [["no"], ["yes"], [None], ["four"]]


def test_listed_conditions_keep_their_order_and_numbers_are_named_as_readers_write_them():
    rows = [{"what": "a", "strength": 25.0}, {"what": "b", "strength": True}, {"what": "a", "strength": "signs"}]
    grid = Conditions("{what} {strength}", rows)
    assert list(grid) == rows
    assert [grid.label(c) for c in grid] == ["a 25", "b on", "a signs"]
    assert grid.coordinates == {"what": ["a", "b"], "strength": [25.0, True, "signs"]}
    frame = made(what=["a", "b"], strength=[25.0, 0.5])
    assert list(frame.groups("{strength}, {what}")) == ["25, a", "0.5, b"]


def test_figures_of_one_question_share_their_runs_and_compare_them_at_one_loss():
    """At scales cpu and paper they are the same runs; only those that no budget brings there stop elsewhere."""

    def runs(name, scale):
        wanted = figures.unique(figures.specs(name, figures.setting(name, scale)))
        return {run.run_id: run for spec in wanted for run in [getattr(spec, "run", spec)]}

    for name in ("capacity_measures", "sharpness", "confusion_set", "hidden_units"):
        assert runs(name, "cpu").keys() == runs(name, "paper").keys()
    compared = runs("sharpness", "cpu")
    assert compared.keys() < runs("capacity_measures", "cpu").keys()
    elsewhere = [run for run in compared.values() if run.stop_loss is None]
    assert {(run.model, run.n) for run in elsewhere} == {("mlp-1x512", figures.FULL)}
    for run in [*compared.values(), *runs("confusion_set", "cpu").values(), *runs("hidden_units", "cpu").values()]:
        assert run in elsewhere or (run.stop, run.stop_loss, run.eval_every) == ("budget", 0.01, run.epoch_steps)
    assert {(run.epoch_steps, run.decay_every) for run in runs("hidden_units", "cpu").values()} == {(469, 469)}
    random = {
        (run.n, part.options["first"]) for run in runs("confusion_set", "cpu").values() for part in run.corruptions
    }
    assert random == {(10_000 + m, 10_000) for m in (1000, 2000, 3000, 4000, 5000)}


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [(66.64999999999999, 1, 66.7), (66.65, 1, 66.7), (-0.25, 1, -0.3), (11.35, 2, 11.35), (math.inf, 1, math.inf)],
)
def test_halves_are_rounded_away_from_zero_as_on_paper(value, digits, expected):
    assert claims.rounded(value, digits) == expected


def test_numbers_in_sentences_are_rounded_so_too():
    kernels, deletion, shift = (catalog.load("figures", name) for name in ("table3", "deletion", "shift"))
    (more,) = (c for c in kernels.claims(figures.setting("table3", "cpu")) if c.id == "table3.more_filters")
    assert more.summary(kernels.counts(49.25, 22.94, 20.25, 18.95))[0] == "22.9, 20.3, 19.0 %, against 49.3 % of pixels"
    two: dict = {"labels": list(_probed.LABELS), "network": "mlp-3x512", "n": 50_000}
    deleted = made(images=deletion.ALL, regularizer=_probed.NONE, to="zero", share=1 / 4, accuracy=[54.5, 28.5], **two)
    assert "has 55 % of its training images right on true labels, 29 %" in deletion.finding(deleted, "")
    moved = made(images=_probed.TRAINING, changed_moved=[24.5, 58.5], **shift.ONE, **two)
    assert "25 % have another class on true labels, 59 %" in shift.finding(moved, "")


@given(st.floats(-1000, 1000), st.integers(0, 4))
def test_what_at_least_says_is_not_above_the_value_but_for_a_floats_noise(value, digits):
    assert claims.floored(value, digits) <= value + 1e-6
    assert value <= claims.floored(value, digits) + 10**-digits + 1e-9
    assert claims.floored(0.1 + 0.7, 1) == 0.8  # 0.7999999999999999


def test_what_differs_by_exactly_a_limit_meets_it_whatever_floats_make_of_it():
    apart = [100 * ((k + 40) / 2000 - k / 2000) for k in range(1961)]  # 2 points of 2,000 test images
    assert sum(points > 2 for points in apart) > 1000
    at = made(gain=apart)
    assert Bound(gain(), most=2).holds(at)
    assert Bound(gain(), least=2).holds(at)
    assert not any(
        Bound(gain(), **{side: 2}).holds(made(gain=points)) for side in ("above", "below") for points in apart[:50]
    )
    assert not Bound(gain(), most=2).holds(made(gain=2.05))
    rises = catalog.load("figures", "fig1c").rises
    for k in range(100):
        first = 100 - 100 * (0.4 + k / 2000)
        errors = [first, 100 - 100 * (0.41 + k / 2000), 90.0]
        assert rises(made(p=[0.0, 0.5, 1.0], test_error=errors), figures.Subject(), 1.0), errors


def test_a_title_bounds_every_seed_and_tells_numbers_as_its_claim_does():
    signs = catalog.load("figures", "rademacher")
    few = made(network="mlp-1x512", correlation=[0.99984, 1.0, 0.99988], n=50_000)
    assert "at least 0.9998 in every seed" in signs.finding(few, "")
    assert signs.in_full(few) == "0.9999 (0.9998 to 1.0000)"
    stopped = made(labels="half random labels", gain=[12.9, 10.75, 11.35], same=2000)
    title = catalog.load("figures", "curves").finding(stopped, "MLP 1x512")
    assert "on 2,000 test images: 11.35 with half random labels" in title


def test_from_a_width_on_is_said_where_every_wider_one_is_fitted():
    capacity = catalog.load("figures", "capacity")
    kinds, widths, words = (capacity.FREE, capacity.SIGNS, capacity.BITS), [8, 64, 512], {"c": CENSORED, "f": "fitted"}
    states = [words[letter] for letter in "cff fcf ccc" if letter != " "]
    budget = {"n": 2000, "most_steps": 3200}
    t = made(weights=[kind for kind in kinds for _ in widths], width=3 * widths, state=states, **budget)
    assert capacity.finding(t, "") == (
        "Random labels are fitted within 200 epochs with free weights from 64 units on, with −1 and +1 alone at 8 and "
        "512 units and with 0 and 1 alone at no width"
    )
    assert capacity.where_fitted(t.where(weights=capacity.FREE)) == "from width 64 on"
    assert capacity.where_fitted(t.where(weights=capacity.SIGNS)) == "of the widths swept at 8 and 512"
    assert capacity.comparison((64, 98.0, None)).endswith("at width 64; free weights reach that at no width")


def test_a_title_says_fit_where_the_rule_is_met_and_else_tells_the_number():
    signs, built, kernels = (catalog.load("figures", name) for name in ("rademacher", "theorem1", "table3"))
    for reached, said in ((0.98, "MLP 1x512 fit random signs: the correlation is"), (0.97, "The correlation of MLP")):
        title = signs.finding(made(network="mlp-1x512", correlation=[1.0, reached], n=50_000), "")
        assert title.startswith(said)
        assert f"at least {reached:.4f} in every seed" in title
    for error, said in ((1e-5, "fits random labels of 100 images, with"), (0.61, "built from random labels of 100")):
        title = built.finding(made(construction="chosen", depth=2, images=100, weights=3272, module_error=error), "")
        assert said in title
        assert title.endswith(f"a largest error of {error:.2g} where it is summed in the order of its kinks")
    at = {"kernel": kernels.PIXELS, "width": 1.0, "penalty": 0.0, "test_error": 1.2}
    for residual, wrong, said in ((9e-6, 0.0, "that fit every label"), (1e-5, 0.0, "without"), (9e-6, 0.01, "without")):
        title = kernels.finding(made(residual=residual, train_error=wrong, **at), "")
        assert title.startswith(f"Kernels {said}")
        assert title.endswith("test errors of 1.20 % on MNIST pixels (paper: 1.2)")
    confusion = catalog.load("figures", "confusion_set")
    columns = {"random": [0, 5000] * 2, "what": ["the run"] * 2 + ["capacity"] * 2, "network": "mlp-3x512"}
    numbers = {"test_error": [59.8, 60.3, 0.0, 0.0], confusion.OVER["l2_path"].name: [0.0, 0.0, 1.0, 2.0]}
    assert "error of 60.3 %, not 59.8, and 10 times the l2-path" in confusion.finding(made(**columns, **numbers), "")


def test_a_title_tells_what_is_not_fitted():
    fig1a, fig1b, steps = catalog.load("figures", "fig1a"), catalog.load("figures", "fig1b"), [100.0, CENSORED, 160.0]

    def title(*cells):
        state = [cell if isinstance(cell, str) else "fitted" for cell in cells]
        return fig1a.finding(
            made(condition=["true labels", "random labels", "shuffled pixels"], steps=cells, state=state), "M"
        )

    assert (
        title(100.0, 150.0, 160.0)
        == "M fits random labels in 1.5 and shuffled pixels in 1.6 times the steps of true labels"
    )
    assert title(100.0, 150.0, CENSORED).endswith("in 1.5 times the steps of true labels; not fitted: shuffled pixels")
    assert (
        title(*steps) == "M fits true labels in 100 steps and shuffled pixels in 160 steps; not fitted: random labels"
    )
    assert title(*[CENSORED] * 3) == "M on true labels, random labels and shuffled pixels: none was fitted"
    with pytest.raises(Untold):
        title(CENSORED, "missing", CENSORED)
    assert title(100.0, "missing", 160.0) == "M fits true labels in 100 steps and shuffled pixels in 160 steps"

    def slower(*ratios):
        state = [s for r in ratios for s in ("fitted", r if isinstance(r, str) else "fitted")]
        cells = [c for r in ratios for c in (1.0, r)]
        return fig1b.finding(
            made(network=["alexnet"] * 2 + ["inception"] * 2, p=[0.0, 1.0] * 2, steps_ratio=cells, state=state), ""
        )

    assert (
        slower(2.0, CENSORED)
        == "Random labels take AlexNet 2.0 times the steps of true ones; not fitted: Inception on random labels"
    )
    assert slower(CENSORED, CENSORED) == "Not fitted: AlexNet on random labels and Inception on random labels"
    with pytest.raises(Untold):
        slower(CENSORED, "missing")


def test_a_time_against_a_baseline_that_is_not_fitted_is_no_finding():
    dose, frontier, typical = (catalog.load("figures", name) for name in ("dose", "frontier", "regularizers"))
    late = "baseline censored"
    assert dose.slower(dose.slowed(1.0, cut=1, late=late)) == {}
    assert dose.finding(dose.slowed(1.0, cut=1, late=late), "") is None
    assert dose.finding(dose.slowed(1.5), "").endswith("none slows random labels more than 1.5 times")
    assert dose.finding(dose.slowed(1.8, 1.2, true=1.5, strengths=(1.0, 2.0)), "") == (
        "Of 2 strengths at which every seed fits true and random labels, 1 slow random ones over 1.5 times, and "
        "at most 1.20 times as much as true"
    )
    assert frontier.finding(frontier.point(late, 0.0), "") is None
    cut = frontier.finding(frontier.point(CENSORED, 0.0, CENSORED).where(strength=2.0), "")
    assert cut == (
        "Of 1 strengths without divergence that slow random labels over 4 times or leave them unfitted, 1 fit true "
        "ones, and 1 of these cost no test accuracy"
    )
    unfitted = frontier.point(CENSORED, 0.0, CENSORED, CENSORED).where(strength=2.0)
    assert frontier.finding(unfitted, "") is None
    quick = frontier.point(2.0, 0.0).where(strength=2.0)
    assert frontier.finding(quick, "").startswith("No strength that fits true labels slows random ones")
    two = frontier.point(CENSORED, 0.0, CENSORED, CENSORED)
    assert frontier.finding(two, "").endswith("unfitted, 1 fit true ones, and 0 of these cost no test accuracy")
    columns = {"regularizer": "b", "strength": 1.0, "labels": "random", "state": "fitted"}
    both = made(network=["a", "c"], steps_ratio=[late, 2.0], **columns)
    assert typical.slowest(both).endswith("at most 2.00 times the baseline's time: b 1, c")
    assert typical.slowest(both.where(network="a")).endswith("the baseline is not fitted")


def test_what_is_not_run_is_not_counted_as_not_fitted():
    finding = catalog.load("figures", "regularizers").finding
    columns = {
        "network": "a",
        "regularizer": ["none", "b"] * 2,
        "strength": 1.0,
        "labels": ["true"] * 2 + ["random"] * 2,
    }
    there, gone = [0.0, 1.5, 0.0, 0.0], [0.0, 1.5, "missing", "missing"]
    told = finding(made(change=there, state=["fitted"] * 3 + [CENSORED], **columns), "")
    assert told.startswith("Random labels are fitted in 0 of 1 pairs")
    assert finding(made(change=gone, state=["fitted"] * 2 + ["missing"] * 2, **columns), "") is None


def test_a_title_of_budgets_counts_strengths_by_budgets_that_every_seed_has():
    finding = catalog.load("figures", "budgets").finding
    late, gone, fitted = [CENSORED] * 2, ["fitted", "missing"], ["fitted"] * 2

    def title(*states):
        columns = {"labels": "random", "regularizer": "b", "strength": 1.0, "network": "a", "images": 9}
        return finding(made(times=[1, 1, 2, 2, 8, 8], state=[each for pair in states for each in pair], **columns), "")

    assert title(late, late, fitted).startswith("Of 1 strengths without divergence that leave")
    assert title(late, late, fitted).endswith("run for longer, 1 are fitted then: 1 of 1 others")
    assert title(late, late, gone).endswith("run for longer, 0 are fitted then: 0 of 1 others")
    assert title(gone, fitted, fitted) is title(late, gone, gone) is None
    assert title(fitted, fitted, fitted).endswith("at every strength without divergence that was run for longer")


def test_titles_that_leave_out_what_diverges_say_so():
    frontier, budgets = (catalog.load("figures", name) for name in ("frontier", "budgets"))
    lost, late, fitted = frontier.point("censored", 0.0, "diverged"), [CENSORED] * 2, ["fitted"] * 2
    assert frontier.finding(lost, "").startswith("Of 1 strengths without divergence that")
    assert frontier.finding(frontier.point("censored", 0.0, CENSORED), "").startswith("Of 2 strengths without")
    columns = {"labels": "random", "regularizer": "b", "network": "a", "images": 9, "times": [1, 2, 1, 2]}
    for states in (late, fitted):
        runs = made(strength=[1.0, 1.0, 2.0, 2.0], state=["diverged"] * 2 + states, **columns)
        assert "without divergence" in budgets.finding(runs, "")


def test_a_network_that_is_trained_on_is_judged_by_its_own_images():
    wanted = declared.claims(catalog.load("figures", "budgets"), figures.setting("budgets", "cpu"))
    images = {c.id: {part for text in c.conditions for part in re.findall(r"[\d,]+ images", text)} for c in wanted}
    sizes = {m: {f"{_sweeps.IMAGES[m]:,} images"} for m in _sweeps.NETWORKS}
    assert {m: images[f"budgets.trained_on.{m}"] for m in sizes} == sizes
