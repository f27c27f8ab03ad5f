"""Minimum-norm interpolation: agreement with scikit-learn and numpy, refinement, penalties, memory, one-line errors."""

import dataclasses
import math
import subprocess
import sys
from itertools import product

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge

from rethinking import data
from rethinking.errors import InputError
from rethinking.seeds import keyed_generator
from rethinking.spec import Context, KernelSpec
from rethinking.theory import dense, features, min_norm

CPU = torch.device("cpu")


def rows(spec, images, **changes):
    return list(min_norm.run(spec, Context(dataclasses.replace(images, **changes), CPU)))


def problem(n=200, d=12, m=50, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((n, d)), rng.random((m, d)), rng.random((n, 3))


def gaussian(x, gamma, penalty=0.0):
    points = torch.from_numpy(x).float()
    return min_norm.Gaussian(points, gamma, penalty, torch.empty(len(x), len(x)))


def positive(n, seed=0):
    x = torch.randn(n, 2 * n, generator=torch.Generator().manual_seed(seed))
    return x @ x.T / n + torch.eye(n) / 10


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """So that small problems have many tiles, whole and partial."""
    monkeypatch.setattr(min_norm, "TILE", 64)
    monkeypatch.setattr(dense, "BLOCK", 32)
    monkeypatch.setattr(dense, "ROWS", 80)


@pytest.mark.parametrize("n", [1, 5, 32, 33, 300])
def test_cholesky_is_in_place_and_leaves_the_upper_triangle_alone(n):
    k = positive(n)
    expected = torch.linalg.cholesky(k.double())
    work, address = k.clone(), k.data_ptr()
    above = torch.ones(n, n).triu(1).bool()
    for i in range(0, n, dense.BLOCK):
        above[i : i + dense.BLOCK, i : i + dense.BLOCK] = False
    work[above] = float("nan")
    kept = work.data_ptr()
    dense.cholesky_(work)
    assert work.data_ptr() == kept != address
    assert torch.allclose(work.tril().double(), expected, atol=1e-4)
    assert work[above].isnan().all()
    y = torch.randn(n, 3, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(k @ dense.solve(work, y), y, atol=1e-3)


@pytest.mark.parametrize(("penalty", "d"), [(0.0, 40), (0.3, 12)])
def test_agrees_with_scikit_learn(penalty, d):
    x, t, y = problem(d=d)
    x, t = x.astype(np.float32).astype(float), t.astype(np.float32).astype(float)
    kernel = gaussian(x, 2.0, penalty)
    alpha, _, history, _ = min_norm.solve(kernel, torch.from_numpy(y), 1e-12)
    oracle = KernelRidge(alpha=penalty or 1e-12, kernel="rbf", gamma=2.0).fit(x, y)
    assert history[-1] < 1e-10
    assert np.abs(kernel.multiply(alpha).numpy() - y).max() < 1e-6
    assert np.abs(kernel.predict(torch.from_numpy(t).float(), alpha).numpy() - oracle.predict(t)).max() < 1e-6
    assert np.abs(alpha.numpy() - oracle.dual_coef_).max() < 1e-6 * np.abs(oracle.dual_coef_).max()


def test_a_linear_kernel_agrees_with_numpys_least_norm():
    """Over the features, |W| and the predictions are lstsq's; the norm is in units of the mean squared length."""
    rng = np.random.default_rng(0)
    x, t, y = rng.standard_normal((150, 400)), rng.standard_normal((20, 400)), rng.standard_normal((150, 3))
    x, t = x.astype(np.float32), t.astype(np.float32)
    kernel = min_norm.Linear(torch.zeros(150, 150), torch.zeros(20, 150))
    for part in (slice(0, 170), slice(170, None)):
        kernel.add_(torch.from_numpy(x[:, part].copy()), torch.from_numpy(t[:, part].copy()))
    alpha, left, _, _ = min_norm.solve(kernel, torch.from_numpy(y), 1e-12)
    w = np.linalg.lstsq(x.astype(float), y, rcond=None)[0]
    assert np.abs(kernel.predict(alpha).numpy() - t @ w).max() < 1e-5
    scale = np.square(x.astype(float)).sum(1).mean()
    norm = (alpha * (torch.from_numpy(y) - left)).sum().sqrt().item()
    assert norm == pytest.approx(np.linalg.norm(w) * scale**0.5, rel=1e-5)


def test_a_linear_kernel_goes_on_after_a_factorization():
    x = torch.randn(150, 400, generator=torch.Generator().manual_seed(0))
    whole, parts = (min_norm.Linear(torch.zeros(150, 150), torch.zeros(0, 150)) for _ in range(2))
    whole.add_(x, x[:0])
    parts.add_(x[:, :300].contiguous(), x[:0, :300])
    y = torch.eye(150, 3, dtype=torch.float64)
    min_norm.solve(parts, y)
    parts.more()
    parts.add_(x[:, 300:].contiguous(), x[:0, 300:])
    first, second = (min_norm.solve(k, y, 1e-10)[0] for k in (whole, parts))
    assert torch.allclose(first, second, rtol=1e-3, atol=1e-4)


def test_the_residual_is_the_true_one():
    x, _, y = problem(300, 6)
    kernel = gaussian(x, 3.0)
    alpha, left, history, _ = min_norm.solve(kernel, torch.from_numpy(y), 1e-9)
    points = torch.from_numpy(x).float().double()
    k = torch.exp(-3.0 * torch.cdist(points, points) ** 2)
    true = torch.from_numpy(y) - k @ alpha
    assert (left - true).norm() / np.linalg.norm(y) < 1e-6
    assert history[-1] < 1e-5
    assert history[0] > history[-1]


def test_refinement_reaches_1e_5_on_real_digits(mnist, monkeypatch):
    monkeypatch.setattr(min_norm, "TILE", 512)
    monkeypatch.setattr(dense, "BLOCK", 256)
    monkeypatch.setattr(dense, "ROWS", 1024)
    few = data.Split(mnist.test.images[:500], mnist.test.labels[:500])
    spec = KernelSpec(n=1500)
    (row,) = rows(spec, mnist, test=few)
    assert tuple(row) == spec.columns
    assert row["residual"] < 1e-5
    assert row["train_error"] == 0
    assert row["test_error"] < 0.12
    (penalized,) = rows(spec.replace(penalties=(0.5,)), mnist, test=few)
    assert penalized["norm"] < row["norm"]


def test_the_bandwidth_is_the_median_heuristic():
    x = torch.rand(100, 5, generator=torch.Generator().manual_seed(0))
    assert min_norm.bandwidth(x, 3.0) == pytest.approx(3 / torch.pdist(x.double()).square().median().item())
    with pytest.raises(InputError, match="bandwidth is 0, allowed is above 0"):
        min_norm.bandwidth(x, 0.0)
    with pytest.raises(InputError, match="more than half of them are equal"):
        min_norm.bandwidth(torch.zeros(9, 5), 1.0)


def test_repeated_images_with_one_label_are_fine_and_with_two_are_named(toy):
    images, labels = toy.train.images[:40].copy(), toy.train.labels[:40].copy()
    images[30], labels[30] = images[3], labels[3]
    spec = KernelSpec(data="toy", n=40)
    (row,) = rows(spec, toy, train=data.Split(images, labels))
    (without,) = rows(spec, toy, train=data.Split(np.delete(images, 30, 0), np.delete(labels, 30)))
    assert row["norm"] == pytest.approx(without["norm"])
    labels[30] = (labels[3] + 1) % 4
    message = rf"images 3 and 30 are equal, their labels {labels[3]} and {labels[30]} are not"
    with pytest.raises(InputError, match=message):
        rows(spec, toy, train=data.Split(images, labels))
    (row,) = rows(spec.replace(penalties=(0.1,)), toy, train=data.Split(images, labels))
    assert row["residual"] < 1e-5


def test_what_does_not_fit_in_memory_is_refused_and_told_what_would(toy, monkeypatch):
    monkeypatch.setattr(dense, "free_bytes", lambda device: 1.5e9)
    with pytest.raises(
        InputError, match=r"n is 20000: its kernel matrix needs 1\.6 GB, 0\.5 GB are free: n up to 1\d{4}"
    ):
        dense.check_memory(20_000, 100.0, CPU)
    monkeypatch.setattr(dense, "free_bytes", lambda device: 0.0)
    with pytest.raises(InputError, match="n up to 0 would fit"):
        rows(KernelSpec(data="toy", n=40), toy)
    monkeypatch.undo()
    assert dense.free_bytes(CPU) > 1e8
    monkeypatch.setattr(dense.machine, "free_memory", lambda: 7)  # of the control groups, too: see its own test
    assert dense.free_bytes(CPU) == 7
    monkeypatch.setattr(dense.machine, "free_memory", lambda: None)
    assert dense.free_bytes(CPU) == math.inf


def test_on_a_gpu_what_torch_keeps_for_its_next_use_is_free(monkeypatch):
    for name, value in (("mem_get_info", (9, 24)), ("memory_reserved", 15), ("memory_allocated", 1)):
        monkeypatch.setattr(torch.cuda, name, lambda device, value=value: value)
    assert dense.free_bytes(torch.device("cuda")) == 9 + 15 - 1


@pytest.mark.skipif(sys.platform != "linux", reason="a process's own peak is told by Linux alone")
def test_the_peak_of_memory_is_not_that_of_the_process_before():
    told = "import torch; from rethinking.theory import min_norm; print(min_norm.peak_gigabytes(torch.device('cpu')))"
    large = f"import subprocess, sys; held = b'x' * 2_000_000_000; subprocess.run([sys.executable, '-c', {told!r}])"
    done = subprocess.run([sys.executable, "-c", large], capture_output=True, text=True, check=True)
    assert 0.05 < float(done.stdout) < 1.5


def test_a_singular_kernel_is_one_line(toy):
    with pytest.raises(
        InputError, match=r"singular to float32.*give a larger width, more features or a larger penalty"
    ):
        rows(KernelSpec(data="toy", n=120, width=1e-16), toy)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"width": 0.0}, r"width is 0\.0: .*greater than 0"),
        ({"penalties": (-1.0,)}, r"penalties\.0 is -1\.0: .*greater than or equal to 0"),
        ({"penalties": ()}, r"penalties is \(\): "),
        ({"n": 60_001}, r"n is 60001, mnist has 60000 training images"),
        ({"filters": (10,)}, r"filters are for 'conv' only"),
        ({"features": "conv", "kernel": "linear"}, r"filters are for 'conv' only"),
        ({"features": "conv", "kernel": "linear", "filters": (20, 10)}, r"give rising numbers"),
        ({"features": "conv", "filters": (9000,)}, r"'conv' go with kernel 'linear'"),
        ({"features": "conv", "kernel": "linear", "filters": (100,)}, r"800 features for 60000 images.*at least 7500"),
        ({"kernel": "linear", "width": 2.0}, r"width is 2 with kernel 'linear', which has none"),
    ],
)
def test_bad_specs_are_one_line(fields, message):
    with pytest.raises(InputError, match=message):
        KernelSpec.make(**fields)


# --- features ---------------------------------------------------------------------------------


def test_gabor_features_are_those_of_a_plain_convolution(mnist):
    images = mnist.train.images[:3]
    x = torch.from_numpy(images[:, None, :, :, 0]) / 255
    expected = []
    for wavelength in features.GABOR_SCALES:
        bank = features.gabor_bank(wavelength)[:, None]
        reach = bank.shape[-1] // 2
        padded = torch.nn.functional.pad(x, [reach] * 4).to(torch.complex64)
        maps = torch.nn.functional.conv2d(padded, bank.conj().resolve_conj())[:, :, ::2, ::2].abs()
        expected.append(torch.nn.functional.avg_pool2d(maps, 2).flatten(1))
    assert torch.allclose(features.gabor(images), torch.cat(expected, 1), atol=1e-4)


@pytest.mark.parametrize("wavelength", features.GABOR_SCALES)
def test_a_gabor_filter_answers_most_to_a_wave_of_its_length_and_direction(wavelength):
    bank, size = features.gabor_bank(wavelength), 240
    assert len(bank) == 8
    for k, spectrum in enumerate(torch.fft.fft2(bank, s=(size, size)).abs()):
        row, column = divmod(int(spectrum.argmax()), size)
        x, y = ((place if place < size / 2 else place - size) / size for place in (column, row))  # cycles a pixel
        angle = math.pi * k / 8
        assert (x, y) == pytest.approx((math.cos(angle) / wavelength, math.sin(angle) / wavelength), abs=1 / size)


def patches_slowly(images, count, *key):
    """Patches (count, C * 6 * 6) at places drawn by the key, mean taken off, over the deviation with its floor."""
    draws = torch.rand(count, 3, generator=keyed_generator("cpu", *key), dtype=torch.float64).tolist()
    found = []
    for i, top, left in draws:
        top, left = int(top * 27), int(left * 27)
        patch = images[int(i * len(images)), top : top + 6, left : left + 6].transpose(2, 0, 1).ravel().astype(float)
        found.append((patch - patch.mean()) / math.sqrt(patch.var() + 10))
    return np.array(found)


def test_random_filters_are_whitened_patches(toy, monkeypatch):
    """Coates & Ng 2012: random patches z = W (p - mean) / |W (p - mean)| read whitened patches W (x - mean)."""
    monkeypatch.setattr(features, "SAMPLE", 1000)
    images = toy.train.images[:20]
    bank = features.ConvFeatures(images, 7, 3, CPU)
    sample = patches_slowly(images, 1000, 3, "whitening")
    mean, covariance = sample.mean(0), np.cov(sample.T)
    values, vectors = np.linalg.eigh(covariance)
    whitening = vectors @ np.diag((values + 0.1) ** -0.5) @ vectors.T
    left = np.linalg.eigvalsh(whitening @ covariance @ whitening)
    assert left[0] == pytest.approx(0, abs=1e-9)  # a patch's mean, which was taken off
    assert 0.6 < left[1] < left[-1] < 1  # near the identity but for the 0.1
    centred = (patches_slowly(images, 7, 3, "filters") - mean) @ whitening
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    for x in patches_slowly(images, 5, 0, "any"):
        response = bank.filters.double().numpy() @ x + bank.bias.double().numpy()
        np.testing.assert_allclose(response, unit @ whitening @ (x - mean), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (24, 32), (32, 23)])
def test_conv_features_are_what_their_definition_says(toy, height, width):
    images = toy.train.images[:20, :height, :width]
    bank = features.ConvFeatures(images, 7, 0, CPU)
    got = bank.block(images[:2], 0, 7).view(2, 4, 2, 7)
    patches = torch.nn.functional.unfold(torch.from_numpy(images[:2]).permute(0, 3, 1, 2).double(), features.PATCH)
    deviation, mean = torch.var_mean(patches, 1, keepdim=True, correction=0)
    z = torch.einsum("fp,npq->nfq", bank.filters.double(), (patches - mean) / (deviation + features.FLOOR).sqrt())
    rows, columns = (side - features.PATCH + 1 for side in (height, width))
    z = (z + bank.bias.double()[None, :, None]).view(2, 7, rows, columns)
    halves = [[slice(0, -(-side // 2)), slice(-(-side // 2), side)] for side in (rows, columns)]
    for q, (a, b) in enumerate(product(*halves)):
        for sign in (1, -1):
            expected = (sign * z - features.THRESHOLD).relu()[:, :, a, b].sum((2, 3))
            assert torch.allclose(got[:, q, (1 - sign) // 2].double(), expected, rtol=1e-3, atol=1e-2)


def test_images_no_larger_than_a_filter_are_one_line(toy):
    with pytest.raises(InputError, match=r"^images are 6 x 32, random filters take more than 6 x 6 pixels$"):
        features.ConvFeatures(toy.train.images[:20, :6], 7, 0, CPU)


def test_a_filter_is_the_same_whatever_their_number(toy):
    few, many = (features.ConvFeatures(toy.train.images, count, 0, CPU) for count in (5, 9))
    assert torch.equal(few.filters, many.filters[:5])
    other = features.ConvFeatures(toy.train.images, 5, 1, CPU)
    assert not torch.equal(few.filters, other.filters)


def test_filter_counts_and_penalties_have_a_row_each_but_interpolation_needs_features(toy):
    spec = KernelSpec(
        data="toy", n=100, features="conv", kernel="linear", filters=(10, 40), penalties=(0.0, 0.01), tolerance=1e-8
    )
    found = rows(spec, toy)
    assert [(r["filters"], r["penalty"]) for r in found] == [(10, 0.01), (40, 0.0), (40, 0.01)]
    (alone,) = rows(spec.replace(filters=(40,), penalties=(0.01,)), toy)
    assert found[-1]["norm"] == pytest.approx(alone["norm"], rel=1e-3)
    assert found[1]["train_error"] == 0
