"""The regularizers: a slow reference or a law of its own for each."""

import numpy as np
import pytest
import torch

from rethinking import regularizers
from rethinking.regularizers.rotation import rotate
from rethinking.spec import Part


def build(name: str, **options) -> regularizers.Base:
    return regularizers.build(Part(name=name, options=options))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- data -------------------------------------------------------------------------------------


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


def test_rotation_by_quarter_turns_is_exact():
    images = 255 * torch.rand(4, 3, 32, 32)
    turned = rotate(images, torch.tensor([0.0, 90.0, -90.0, 180.0]))
    for image, result, quarters in zip(images, turned, (0, 1, -1, 2), strict=True):
        torch.testing.assert_close(result, torch.rot90(image, quarters, (1, 2)), rtol=0, atol=1e-2)


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


@pytest.mark.parametrize("name", ["horizontal_flip", "rotation"])
def test_augmented_batches_are_cropped_and_whitened_afterwards(name, toy):
    from rethinking.spec import RunSpec
    from rethinking.training import Training

    run = RunSpec(data="toy", model="tiny", n=8, batch_size=8, regularizers=(Part(name=name),))
    training = Training(run, toy)
    seen = []
    training.network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    training.train_step()
    assert seen[0].shape == (8, 3, 28, 28)
    values = seen[0].flatten(1)
    torch.testing.assert_close(values.mean(1), torch.zeros(8), atol=1e-5, rtol=0)
    torch.testing.assert_close(values.std(1, correction=0), torch.ones(8), atol=1e-4, rtol=0)
