"""The loop: identical networks, bit-exact repetition and resume, whitening, divergence."""

import dataclasses
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from rethinking import catalog, models, regularizers
from rethinking.corruptions import corrupt_example
from rethinking.data import Split
from rethinking.errors import InputError
from rethinking.layers import two_logits
from rethinking.record import Record, format_curve
from rethinking.spec import Part, RunSpec
from rethinking.training import Training, crop, kept, loop, train, whiten
from rethinking.training.batches import permutation, prepare
from rethinking.training.network import give
from rethinking.training.rows import gather

CPU = torch.device("cpu")


def spec(**fields) -> RunSpec:
    common = {"data": "toy", "model": "tiny", "n": 200, "steps": 40, "eval_every": 10}
    return RunSpec.make(**(common | fields))


def halves(options) -> dict[str, float]:
    """0.5 for every number that a corruption takes, 3 for every whole one."""
    of = {"float": 0.5, "int": 3}
    return {name: of[limits["type"]] for name, limits in options.items() if limits["type"] in of}


def curve(run: RunSpec, toy) -> str:
    return format_curve([e.as_row() for e in train(run, toy)])


def whiten_slowly(image: np.ndarray) -> np.ndarray:
    """[zhang2017] appendix A, word for word, one image (H, W, C) at a time, in double precision."""
    x = image.astype(np.float64) / 255
    deviation = math.sqrt(sum((v - x.mean()) ** 2 for v in x.ravel()) / x.size)
    return (x - x.mean()) / max(deviation, 1 / math.sqrt(x.size))


def test_whitening_against_a_slow_reference():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, 28, 28, 3), dtype=np.uint8)
    images[1] = 77  # constant: only the floor keeps it finite
    images[2] = 77
    images[2, 0, 0, 0] = 80  # nearly constant: the floor binds
    ours = whiten(torch.from_numpy(images)).numpy()
    for image, result in zip(images, ours, strict=True):
        np.testing.assert_allclose(result, whiten_slowly(image), atol=2e-5)
    assert np.abs(ours[0].std() - 1) < 1e-5


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gather_is_indexing(layout):
    images = torch.randn(9, 3, 5, 4).to(memory_format=layout)
    index = torch.tensor([7, 0, 7, 3])
    taken = gather(images, index)
    assert torch.equal(taken, images[index])
    assert taken.is_contiguous(memory_format=layout)


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("corruption", catalog.names("corruptions"))
def test_prepared_images_against_a_slow_reference(toy, corruption, split):
    """Cut, then corrupted one by one by the data seed and the split, then whitened; test labels where it is asked."""
    constants = catalog.find("corruptions", corruption).constants
    part = Part(name=corruption, options=halves(constants["OPTIONS"]))
    few = dataclasses.replace(toy, train=Split(*(a[:8] for a in toy.train)), test=Split(*(a[:6] for a in toy.test)))
    source = getattr(few, split)
    for asked in ("true",) if constants.get("ONE_LOGIT") else ("corrupted", "true"):
        run = spec(n=6, corruptions=(part,), test_labels=asked, seed=1, data_seed=2)
        images, labels = prepare(few, run, split, CPU)
        assert (images.shape, images.dtype, labels.dtype) == ((6, 3, 28, 28), torch.float32, torch.int64)
        for i in range(6):
            own = int(source.labels[i])
            image, label = corrupt_example(
                source.images[i, 2:30, 2:30], own, i, [part], facts=toy.facts, seed=2, split=split
            )
            np.testing.assert_allclose(images[i].permute(1, 2, 0).numpy(), whiten_slowly(image), atol=2e-5)
            stays = split == "test" and asked == "true" and not constants.get("ONE_LOGIT")
            assert labels[i] == (own if stays else label)


def test_a_long_data_set_is_prepared_like_a_short_one(toy):
    """4,100 images: whitening goes by 4,096."""
    images = np.random.default_rng(0).integers(0, 256, (4100, 4, 5, 3), dtype=np.uint8)
    labels = np.arange(4100) % 4
    ours, theirs = prepare(dataclasses.replace(toy, test=Split(images, labels)), spec(), "test", CPU)
    for i in (0, 1, 4095, 4096, 4099):
        np.testing.assert_allclose(ours[i].permute(1, 2, 0).numpy(), whiten_slowly(images[i]), atol=2e-5)
    assert theirs.tolist() == labels.tolist()


@pytest.mark.parametrize("model", ["tiny", "mlp-1x512"])
def test_two_runs_are_bitwise_identical(toy, model):
    """Whatever the state of torch's global generator, which is left alone."""
    dropped = () if model == "tiny" else (Part(name="dropout"),)
    run = spec(model=model, learning_rate=0.01, steps=20, regularizers=dropped)
    torch.manual_seed(0)
    first = curve(run, toy)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    assert curve(run, toy) == first
    assert torch.equal(before, torch.get_rng_state())
    assert curve(run.replace(seed=1), toy) != first


def test_a_network_that_is_not_finite_has_diverged_and_fits_nothing(toy):
    """Even where its answers, class 0 for all, are right, and where its last step took it there."""
    run = spec(n=1, learning_rate=1e38, steps=40, eval_every=1, stop="fitted")
    training = Training(run, toy)
    training.train_labels = torch.zeros_like(training.train_labels)  # not in place: the data set is shared
    rows = [e.as_row() for e in training.evaluations()]
    assert not math.isfinite(rows[-1]["train_loss"])
    assert rows[-1]["train_accuracy"] == 1
    assert (training.fitted, training.diverged_at) == (False, 1)
    assert len(rows) == 2
    curve = {name: [row[name] for row in rows[1:]] for name in rows[0]}
    assert Record(None, run, {}, {}, curve).steps_to_fit() is None


def test_beside_an_augmentation_other_regularizers_are_given_what_they_are_given_alone(toy):
    """Whitened images, in whatever order the two are named; the augmentation has the original ones."""
    seen = {}

    class Looks(regularizers.Base):
        def __init__(self, originals):
            self.wants_originals = originals

        def batch(self, images, labels, generator):
            seen[self.wants_originals] = images.clone()
            return images, labels

    for order in ((False, True), (True, False)):
        training = Training(spec(regularizers=(Part(name="random_crop"),)), toy)
        training.regularizers = [Looks(originals) for originals in order]
        training.train_step()
        batch = permutation(len(training.train_labels), training.spec.seed, 0)[: training.spec.batch_size]
        assert torch.equal(seen[True], training.originals[batch].float())
        torch.testing.assert_close(seen[False], training.train_images[batch], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("corruption", catalog.names("corruptions"))
def test_conditions_differ_in_one_thing(toy, corruption):
    """Same initial weights, same batch order, same budget under every corruption; of random signs all but the head."""
    constants = catalog.find("corruptions", corruption).constants
    limits = constants["OPTIONS"]
    plain = Training(spec(), toy)
    other = Training(spec(corruptions=(Part(name=corruption, options=halves(limits)),)), toy)
    pairs = list(zip(plain.network.parameters(), other.network.parameters(), strict=True))
    head = 2 if constants.get("ONE_LOGIT") else 0  # its weight and bias
    assert all(torch.equal(a, b) for a, b in pairs[: len(pairs) - head])
    assert all(len(b) == 1 for _, b in pairs[len(pairs) - head :])
    plain.train_step(), other.train_step()
    assert torch.equal(plain._order, other._order)
    assert plain.optimizer.param_groups[0]["lr"] == other.optimizer.param_groups[0]["lr"]
    same_images = torch.equal(plain.train_images, other.train_images)
    same_labels = torch.equal(plain.train_labels, other.train_labels)
    assert same_images != same_labels  # exactly one of the two was changed


def test_one_logit_is_logistic_regression_on_random_signs(toy):
    """Cross entropy of the logits (0, z) is log(1 + exp(-sign * z)); signs are drawn in both splits."""
    training = Training(spec(corruptions=(Part(name="random_signs"),)), toy)
    assert set(training.train_labels.tolist()) == set(training.test_labels.tolist()) == {0, 1}
    z = training.network(training.train_images[:50])
    assert z.shape == (50, 1)
    signs = 2.0 * training.train_labels[:50] - 1
    expected = torch.log1p(torch.exp(-signs * z[:, 0])).mean()
    torch.testing.assert_close(F.cross_entropy(two_logits(z), training.train_labels[:50]), expected)
    assert torch.equal(two_logits(z).argmax(1), (z[:, 0] > 0).long())
    first = training.evaluate()
    for _ in range(40):
        training.train_step()
    assert training.evaluate().train_loss < first.train_loss


def test_batches_cover_each_epoch_once_in_a_new_order():
    first, second = permutation(50, 3, 0), permutation(50, 3, 1)
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(50))
    assert not torch.equal(first, second)
    assert torch.equal(first, permutation(50, 3, 0))
    assert not torch.equal(first, permutation(50, 4, 0))


def test_draws_stay_what_they_were(toy):
    """Other keys of the generators would orphan every committed record without a word."""
    assert permutation(50, 3, 0)[:6].tolist() == [8, 6, 14, 48, 27, 40]
    plain, sample = (Training(spec(bootstrap=b), toy) for b in (False, True))
    same = (sample.train_images[:6, None] == plain.train_images[None]).flatten(2).all(2)
    assert same.nonzero().tolist() == [[0, 196], [1, 191], [2, 32], [3, 69], [4, 19], [5, 115]]
    seeds = [Training(spec(seed=seed), toy).generator.initial_seed() for seed in (0, 3)]
    assert seeds == [26962772879181041, 34234618574719614]  # of what regularizers draw


def weights_slowly(run: RunSpec, toy) -> list[torch.Tensor]:
    """The trained parameters of an MLP of one hidden layer: v = momentum v + gradient, w = w - rate v."""
    images = torch.from_numpy(np.stack([whiten_slowly(x) for x in crop(toy.train.images[: run.n])])).float()
    images, labels = images.permute(0, 3, 1, 2).flatten(1), torch.from_numpy(toy.train.labels[: run.n])
    network = models.initialise(models.build(run.model, 4, **run.model_options), run.seed)
    weights = [p.detach().clone().requires_grad_() for p in network.parameters()]
    velocity = [torch.zeros_like(w) for w in weights]
    step = epoch = 0
    while step < run.steps:
        for batch in permutation(run.n, run.seed, epoch).split(run.batch_size)[: run.steps - step]:
            hidden = (images[batch] @ weights[0].T + weights[1]).relu()
            logits = hidden @ weights[2].T + weights[3]
            loss = -logits.log_softmax(1)[torch.arange(len(batch)), labels[batch]].mean()
            rate = run.learning_rate * run.lr_decay ** (step // run.decay_every)
            with torch.no_grad():
                for w, v, g in zip(weights, velocity, torch.autograd.grad(loss, weights), strict=True):
                    v.mul_(run.momentum).add_(g)
                    w -= rate * v
            step += 1
        epoch += 1
    return weights


def test_the_loop_against_a_slow_reference(toy):
    """Three batches an epoch, the last of 5 images; the rate halves every other step."""
    run = spec(model="mlp-1x512", model_options={"width": 16}, n=21, batch_size=8, steps=7, learning_rate=0.05)
    run = run.replace(lr_decay=0.5, decay_every=2)
    training = Training(run, toy)
    list(training.evaluations())
    for ours, theirs in zip(training.network.parameters(), weights_slowly(run, toy), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stop", ["fitted", "budget"])
def test_stops_where_the_spec_says_and_measures_its_end_on_all_test_images(toy, stop):
    rows = list(train(spec(steps=60, n=64, stop=stop, interim_test=16), toy))
    assert [e.step for e in rows] == [10 * k for k in range(len(rows))]
    fitted = [e.step for e in rows if e.train_accuracy == 1.0]
    assert fitted
    assert rows[-1].step == (fitted[0] if stop == "fitted" else 60)
    assert [e.test_images for e in rows] == [16] * (len(rows) - 1) + [64]


@pytest.mark.parametrize("evaluation", ["all", "probe"])
def test_a_run_stops_at_the_loss_that_the_spec_says_and_changes_nothing_before(toy, evaluation, monkeypatch):
    monkeypatch.setattr(loop, "PROBE", 20)
    run = spec(steps=60, n=64, eval_every=5, interim_test=16, evaluation=evaluation)
    plain = [e.as_row() for e in train(run, toy)]
    losses = [row["train_loss"] for row in plain]
    at = next(k for k, loss in enumerate(losses) if loss < losses[0] / 2)
    stopped = Training(run.replace(stop_loss=losses[at]), toy)  # the loss itself counts
    rows = [e.as_row() for e in stopped.evaluations()]
    assert (stopped.status, stopped.fitted, stopped.finished) == ("stopped", False, True)
    assert 0 < rows[-1]["step"] < 60
    whole = [row for row in rows if row.get("train_images", 64) == 64]
    assert [row["train_loss"] <= losses[at] for row in whole] == [False] * (len(whole) - 1) + [True]
    assert rows[-1]["test_images"] == 64
    if evaluation == "all":
        assert len(rows) == at + 1
        assert format_curve(rows[:-1]) == format_curve(plain[:at])
    again = Training(stopped.spec, toy)
    again.restore(stopped.state())
    assert (again.status, list(again.evaluations())) == ("stopped", [])
    curve = {name: [row[name] for row in rows] for name in rows[0]}
    result = {"status": "stopped", "diverged_at": None}
    assert stopped.spec.contradiction(result, curve) is None
    for other in (run, run.replace(stop_loss=losses[at] / 2)):
        assert other.contradiction(result, curve) == "result.json says stopped, which its curve does not"


@pytest.mark.parametrize(("model", "passes"), [("alexnet", [125, 125, 50]), ("mlp-1x512", [300])])
def test_few_images_pass_a_convolutional_network_at_a_time_and_give_the_same_logits(toy, model, passes):
    training, seen = Training(spec(model=model), toy), []
    images = training.train_images[:100].repeat(3, 1, 1, 1)
    training.network.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    training.network.eval()
    logits = training.logits(images)
    assert seen == passes
    with torch.no_grad():
        torch.testing.assert_close(logits, two_logits(training.network(images)).float())
    seen.clear()
    training.network.train()  # in which a batch norm may measure its batch
    training.logits(images)
    assert seen == [300]


def test_a_run_without_a_loss_to_stop_at_goes_on_where_its_loss_is_zero(toy):
    training = Training(spec(steps=10, n=64), toy)
    training._measure = lambda images, labels: (0.0, 1.0)
    assert [e.step for e in training.evaluations()] == [0, 10]
    assert training.status == "budget"


def test_true_labels_are_learned_and_random_ones_memorized(toy):
    true = list(train(spec(steps=80, eval_every=80), toy))[-1]
    noise = {"model": "mlp-1x512", "corruptions": (Part(name="random_labels"),)}
    noise = list(train(spec(steps=300, eval_every=300, **noise), toy))[-1]
    assert min(true.train_accuracy, noise.train_accuracy) > 0.95
    assert true.test_accuracy > 0.6  # chance is 0.25
    assert noise.test_accuracy < 0.45


def test_data_that_are_not_the_specs_are_refused(toy):
    short = dataclasses.replace(toy, train=Split(toy.train.images[:100], toy.train.labels[:100]))
    for run, images in ((spec(), short), (spec(n=100), dataclasses.replace(short, name="other"))):
        with pytest.raises(InputError, match=r"given are 100 training images of .*: give the data of the spec"):
            Training(run, images)
    assert len(Training(spec(n=100), short).train_labels) == 100


def test_held_out_images_carry_the_corruption_and_are_not_trained_on(toy):
    run = spec(corruptions=(Part(name="random_labels"),), held_out=50)
    training, whole = Training(run, toy), Training(run.replace(held_out=0), toy)
    assert torch.equal(torch.cat([training.train_images, training.held_images]), whole.train_images)
    assert torch.equal(torch.cat([training.train_labels, training.held_labels]), whole.train_labels)
    found = list(training.evaluations())
    logits = two_logits(training.network.eval()(training.held_images))
    assert found[-1].held_out_accuracy == (logits.argmax(1) == training.held_labels).double().mean().item()
    alone = curve(run.replace(n=150, held_out=0), toy).splitlines()
    assert [line.rpartition(",")[0].rpartition(",")[0] for line in curve(run, toy).splitlines()] == alone


def test_a_bootstrap_sample_is_drawn_with_replacement_by_the_seed(toy):
    plain = Training(spec(), toy)
    samples = [Training(spec(bootstrap=True, seed=seed), toy) for seed in (0, 0, 1)]
    pairs = [
        {(x.tobytes(), int(y)) for x, y in zip(t.train_images.flatten(1).numpy(), t.train_labels, strict=True)}
        for t in (plain, *samples)
    ]
    assert pairs[1] <= pairs[0]
    assert 0.5 < len(pairs[1]) / len(pairs[0]) < 0.75  # 1 - 1/e
    assert pairs[1] == pairs[2] != pairs[3]


@pytest.mark.parametrize("fields", [{"held_out": 20}, {"bootstrap": True}])
def test_augmentation_sees_the_images_that_are_trained_on(toy, fields):
    crop_ = (Part(name="random_crop"),)
    with_, without = (Training(spec(regularizers=r, **fields), toy) for r in (crop_, ()))
    assert torch.equal(whiten(crop(with_.originals.permute(0, 2, 3, 1))).permute(0, 3, 1, 2), without.train_images)


def test_what_is_kept_is_of_the_trained_network(toy):
    training = Training(spec(keep=("test_logits", "crop_logits", "weight_quantiles")), toy)
    list(training.evaluations())
    arrays = kept(training)
    logits = training.network.eval()(training.test_images).detach().numpy()
    np.testing.assert_allclose(arrays["test_logits"], logits[:2000], rtol=2e-3, atol=1e-3)
    np.testing.assert_array_equal(arrays["crop_logits"][0], arrays["test_logits"])  # the centre
    assert not np.array_equal(arrays["crop_logits"][1], arrays["crop_logits"][0])
    for name, parameter in training.network.named_parameters():
        assert (f"quantiles/{name}" in arrays) == (parameter.ndim > 1)
        if parameter.ndim > 1:
            weights = parameter.detach().numpy().ravel()
            ends = arrays[f"quantiles/{name}"]
            assert (ends[0], ends[-1]) == (weights.min(), weights.max())
            assert (np.diff(ends) >= 0).all()
            for k in (100, 500, 900):
                assert abs((weights <= ends[k]).mean() - k / 1000) <= 2 / weights.size
            assert list(arrays[f"zeros/{name}"]) == [(weights == 0).sum(), weights.size]


def test_kept_crops_are_the_centre_and_the_four_corners(toy):
    run = spec(model="mlp-1x512", corruptions=(Part(name="random_labels"),), keep=("crop_logits",))
    training = Training(run, toy)
    arrays = kept(training)
    places = [(2, 2), (0, 0), (0, 4), (4, 0), (4, 4)]
    for ours, (top, left) in zip(arrays["crop_logits"], places, strict=True):
        images = whiten(torch.from_numpy(toy.test.images[:, top : top + 28, left : left + 28].copy()))
        with torch.no_grad():
            logits = training.network(images.permute(0, 3, 1, 2))
        np.testing.assert_allclose(ours, logits, rtol=2e-3, atol=1e-3)
    assert arrays["test_labels"].tolist() == toy.test.labels.tolist()


CHANGES = {
    "n": 90, "corruptions": [{"name": "random_labels"}], "test_labels": "corrupted", "model": "mlp-3x512",
    "model_options": {"width": 16}, "regularizers": [{"name": "weight_decay", "options": {"strength": 0.01}}],
    "held_out": 20, "bootstrap": True, "batch_size": 32, "learning_rate": 0.02, "momentum": 0.5,
    "lr_decay": 0.5, "decay_every": 5, "steps": 50, "stop": "fitted", "eval_every": 5, "interim_test": 50,
    "evaluation": "probe", "precision": "bfloat16", "keep": ["test_logits"], "data_seed": 1, "seed": 1, "crop": 24,
    "stop_loss": 0.5, "initial_weights": "he",
}  # fmt: skip

ECHOES = {"step", "epoch", "learning_rate", "test_images"}  # columns that the spec says, whatever was trained


def test_every_field_of_a_spec_changes_what_is_trained_or_told(toy):
    fields = {"n": 100, "model": "mlp-1x512", "learning_rate": 0.03, "decay_every": 10, "steps": 60}
    fields["model_options"] = {"width": 128}
    fields |= {"corruptions": [{"name": "partial_labels", "options": {"p": 0.5}}]}

    def outcome(**changed) -> tuple[str, set[str]]:
        training = Training(spec(**fields | changed), toy)
        rows = [{k: v for k, v in e.as_row().items() if k not in ECHOES} for e in training.evaluations()]
        return format_curve(rows), set(kept(training))

    usual = outcome()
    assert ",1.0," in usual[0].splitlines()[-2]  # fitted before the end, so that `stop` can tell
    same = [name for name, value in CHANGES.items() if outcome(**{name: value}) == usual]
    assert not same
    assert set(CHANGES) | {"data"} == set(RunSpec.model_fields)  # data: `toy` is handed over


def test_weights_of_another_network_are_one_line():
    layer = torch.nn.Linear(3, 2)
    right = {name: tensor + 1 for name, tensor in layer.state_dict().items()}
    odd = [{}, {"weight": right["weight"]}, right | {"more": torch.zeros(1)}, right | {"bias": torch.zeros(3)}]
    odd += [right | {"bias": right["bias"].double()}, right | {"bias": torch.tensor([1, 2])}]
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    for weights in odd:
        with pytest.raises(InputError, match=r"^it is of another network \(.*\): delete it, and the run") as caught:
            give(layer, weights, "it")
        assert "\n" not in str(caught.value)
        assert all(torch.equal(before[name], tensor) for name, tensor in layer.state_dict().items())
    give(layer, right, "it")
    assert torch.equal(layer.bias, right["bias"])
