"""Regularizers of images and labels, each against a slow reference or a law of its own."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from toys import AUGMENTATION, CLASSES, LABELS, build, generator, part, spec

from rethinking import regularizers
from rethinking.errors import InputError
from rethinking.regularizers.mixup import beta
from rethinking.regularizers.rotation import rotate
from rethinking.spec import Part
from rethinking.training import Training


def test_flip_mirrors_some_images_of_a_batch_and_leaves_the_others():
    images = torch.randn(200, 3, 32, 32)
    flipped, labels = build("horizontal_flip").batch(images, torch.arange(200), generator())
    assert labels.tolist() == list(range(200))
    mirrored = [
        torch.equal(a, torch.from_numpy(b.numpy()[:, :, ::-1].copy())) for a, b in zip(flipped, images, strict=True)
    ]
    same = [torch.equal(a, b) for a, b in zip(flipped, images, strict=True)]
    assert all(a != b for a, b in zip(mirrored, same, strict=True))
    assert 70 < sum(mirrored) < 130  # half, within four standard deviations
    always, _ = build("horizontal_flip", probability=1.0).batch(images, labels, generator())
    assert torch.equal(always, images.flip(3))


def test_rotation_against_scipys():
    from scipy import ndimage

    images = torch.from_numpy(255 * np.random.default_rng(0).random((3, 3, 32, 32)))
    degrees = [25.0, -13.0, 4.5]
    ours = rotate(images.float(), torch.tensor(degrees)).numpy()
    for image, result, angle in zip(images.numpy(), ours, degrees, strict=True):
        theirs = ndimage.rotate(image, angle, axes=(2, 1), reshape=False, order=1)
        np.testing.assert_allclose(result[:, 7:25, 7:25], theirs[:, 7:25, 7:25], atol=0.05)
        assert (result[:, 0, 0] == 0).all()  # outside is black


def test_rotation_draws_an_angle_for_each_image_up_to_the_bound():
    spot = torch.zeros(400, 1, 33, 33)
    spot[:, :, 16, 30:] = 1.0  # on the right, at the height of the centre
    turned, _ = build("rotation").batch(spot, torch.zeros(400, dtype=torch.int64), generator())
    rows = torch.arange(33.0) - 16
    height = (turned.sum((1, 3)) * -rows).sum(1) / turned.sum((1, 2, 3))
    angles = torch.rad2deg(torch.asin((height / 15).clamp(-1, 1)))
    assert angles.abs().max() < 26.5
    assert angles.max() > 22
    assert angles.min() < -22
    assert len(angles.round(decimals=3).unique()) > 300


@pytest.mark.parametrize("name", AUGMENTATION)
def test_augmented_batches_are_cropped_and_whitened_afterwards(name, toy):
    training = Training(spec(part(name, "PRACTICE"), n=8, batch_size=8), toy)
    seen = []
    training.network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    training.train_step()
    assert seen[0].shape == (8, 3, 28, 28)
    values = seen[0].flatten(1)
    torch.testing.assert_close(values.mean(1), torch.zeros(8), atol=1e-5, rtol=0)
    torch.testing.assert_close(values.std(1, correction=0), torch.ones(8), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", AUGMENTATION)
def test_augmentation_differs_within_a_batch_and_from_batch_to_batch(name):
    """The same image 64 times: one set of draws per call would give 64 equal images."""
    image = (255 * torch.rand(3, 32, 32, generator=generator())).repeat(64, 1, 1, 1)
    if name == "mixup":
        image[1::2] = 255 - image[1::2]
    draws = generator()
    regularizer = build(name)
    first, _ = regularizer.batch(image, LABELS[:64], draws)
    second, _ = regularizer.batch(image, LABELS[:64], draws)
    assert not torch.equal(first, second)
    kinds = len({x.numpy().tobytes() for x in first})
    assert kinds >= {"horizontal_flip": 2, "random_crop": 20, "mixup": 30}.get(name, 50)


def test_random_crop_cuts_each_image_at_its_own_place():
    place = torch.arange(32 * 32, dtype=torch.float32).reshape(1, 1, 32, 32).repeat(200, 3, 1, 1)
    generator = torch.Generator().manual_seed(0)
    crop_at_random = regularizers.build(Part(name="random_crop"), regularizers.Run(CLASSES, generator, margin=4))
    images, labels = crop_at_random.batch(place, torch.arange(200), generator)
    assert images.shape == (200, 3, 28, 28)
    assert labels.tolist() == list(range(200))
    corners = []
    for image in images:
        top, left = divmod(int(image[0, 0, 0]), 32)
        assert torch.equal(image, place[0, :, top : top + 28, left : left + 28])
        corners.append((top, left))
    assert len(set(corners)) == 25  # every one of the 5 x 5 places, within one batch
    again, _ = crop_at_random.batch(place, labels, generator)
    assert not torch.equal(again, images)


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_colour_against_a_slow_reference(strength):
    """slim's distort_color: brightness, saturation, hue, contrast, with a draw of each for each image."""
    from colorsys import hsv_to_rgb, rgb_to_hsv

    images = 255 * torch.rand(6, 3, 5, 4, generator=generator(1))
    images[0, :, 0, 0] = 102  # grey has no hue
    ours, _ = build("colour", strength=strength).batch(images, LABELS[:6], generator())
    draws = strength * torch.empty(4, 6).uniform_(-1, 1, generator=generator())
    for image, result, draw in zip(images.numpy(), ours.numpy(), draws.T.tolist(), strict=True):
        brightness, saturation, hue, contrast = draw
        x = np.clip(image / 255 + 32 / 255 * brightness, 0, 1)
        for i, j in np.ndindex(5, 4):
            h, s, v = rgb_to_hsv(*x[:, i, j].tolist())
            x[:, i, j] = hsv_to_rgb((h + 0.2 * hue) % 1, min(1, s * (1 + 0.5 * saturation)), v)
        mean = x.mean((1, 2), keepdims=True)
        x = np.clip(mean + (x - mean) * (1 + 0.5 * contrast), 0, 1)
        np.testing.assert_allclose(result, 255 * x, atol=0.01)
    grey, _ = build("colour").batch(images[:, :1], LABELS[:6], generator())
    assert not torch.equal(grey, images[:, :1])


def test_cutout_blots_out_one_square_an_image():
    images = 255 * torch.rand(300, 3, 32, 32, generator=generator())
    cut, labels = build("cutout", size=10).batch(images, torch.arange(300), generator())
    assert labels.tolist() == list(range(300))
    corners, areas = set(), []
    for before, after in zip(images, cut, strict=True):
        changed = (before != after).any(0)
        rows, columns = changed.any(1).nonzero().flatten(), changed.any(0).nonzero().flatten()
        assert changed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()  # a full rectangle
        assert len(rows) <= 10
        assert len(columns) <= 10
        torch.testing.assert_close(after[:, changed], before.mean().expand(3, int(changed.sum())))
        corners.add((int(rows[0]), int(columns[0])))
        areas.append(int(changed.sum()))
    assert max(areas) == 100
    assert min(areas) < 60  # hanging over a corner
    assert len(corners) > 150


def test_cutout_that_leaves_nothing_of_an_image_is_refused():
    images = torch.rand(100, 3, 8, 6, generator=generator())
    assert (build("cutout", size=14).batch(images, torch.arange(100), generator())[0] == images).any()
    with pytest.raises(InputError, match=r"cutout's size is 15 pixels, .* of images of 8 x 6: give at most 14"):
        build("cutout", size=15).batch(images, torch.arange(100), generator())


def test_mixup_mixes_pixels_and_labels_alike():
    images = torch.zeros(200, 1, 2, 2)
    images[:, 0] = 10.0 ** LABELS[:, None, None]  # the label can be read off the image
    mixed, targets = build("mixup").batch(images, LABELS, generator())
    torch.testing.assert_close(targets.sum(1), torch.ones(200))
    assert ((targets > 0).sum(1) <= 2).all()
    read = (targets * 10.0 ** torch.arange(4)).sum(1)
    torch.testing.assert_close(mixed[:, 0, 0, 0], read, rtol=1e-4, atol=1e-4)
    shares = targets.max(1).values
    assert len(shares.unique()) > 100  # one share an image


def test_mixups_share_is_betas():
    share = beta(0.4, 50_000, generator(), torch.device("cpu"))
    assert share.mean().item() == pytest.approx(0.5, abs=0.01)
    assert share.var().item() == pytest.approx(1 / (4 * (2 * 0.4 + 1)), rel=0.03)
    tiny = beta(1e-4, 1000, generator(), torch.device("cpu"))
    assert tiny.isfinite().all()
    assert ((tiny < 1e-3) | (tiny > 1 - 1e-3)).float().mean() > 0.98


def test_label_smoothings_targets():
    images = torch.zeros(3, 1, 1, 1)
    _, targets = build("label_smoothing", strength=0.2).batch(images, torch.tensor([1, 0, 3]), generator())
    slow = [[0.8 * (k == label) + 0.2 / 4 for k in range(4)] for label in (1, 0, 3)]
    torch.testing.assert_close(targets, torch.tensor(slow))
    soft = torch.tensor([[0.5, 0.5, 0, 0]])
    _, again = build("label_smoothing", strength=0.2).batch(images[:1], soft, generator())
    torch.testing.assert_close(again, torch.tensor([[0.45, 0.45, 0.05, 0.05]]))


def test_disturbed_labels_are_redrawn_every_batch():
    labels, draws = torch.zeros(20_000, dtype=torch.int64), generator()
    disturb = build("disturb_label", rate=0.4)
    images = torch.zeros(20_000, 1, 1, 1)
    _, first = disturb.batch(images, labels, draws)
    _, second = disturb.batch(images, labels, draws)
    assert not torch.equal(first, second)
    for seen in (first, second):
        shares = torch.bincount(seen, minlength=4) / 20_000
        torch.testing.assert_close(shares, torch.tensor([1 - 0.4 * 3 / 4, 0.1, 0.1, 0.1]), atol=0.012, rtol=0)
    both = ((first != 0) & (second != 0)).float().mean().item()
    assert both == pytest.approx(0.3 * 0.3, abs=0.01)  # independent
    assert torch.equal(labels, torch.zeros(20_000, dtype=torch.int64))
    _, soft = disturb.batch(images, F.one_hot(labels, 4).float(), draws)
    torch.testing.assert_close(soft.mean(0), torch.tensor([0.7, 0.1, 0.1, 0.1]), atol=0.012, rtol=0)
    assert torch.equal(soft.sum(1), torch.ones(20_000))
