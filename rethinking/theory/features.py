"""What a kernel looks at: pixels, Gabor features, random convolutional features.

Bytes (N, H, W, C) -> float32 (N, features). A feature set has no labels in it, and no test image.
"""

import math
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from rethinking.errors import InputError
from rethinking.seeds import keyed_generator
from rethinking.theory.dense import product

PATCH = 6  # pixels, side of a convolutional filter (Coates, Ng & Lee 2011, section 4.5)
SAMPLE = 100_000  # patches that whitening is measured on
FLOOR = 10.0  # added to a patch's variance, in bytes squared (their section 3.1.1; the 10 is their code's)
WHITENING = 0.1  # added to the eigenvalues of the patches' covariance
THRESHOLD = 0.25  # of the two-sided rectifier
FILTERS = 512  # filters at a time
IMAGES = 2  # images at a time, so that their responses stay in the processor's cache

GABOR_SCALES = (3.0, 6.0)  # pixels of wavelength
ORIENTATIONS = 8
STRIDE, POOL = 2, 4  # pixels


def pixels(images: np.ndarray) -> Tensor:
    """Bytes / 255, (N, H * W * C)."""
    return torch.from_numpy(np.ascontiguousarray(images)).flatten(1).to(torch.float32) / 255


def gabor_bank(wavelength: float, orientations: int = ORIENTATIONS) -> Tensor:
    """Complex Gabor filters of one wavelength, complex64 (orientations, side, side), zero mean, unit l2 norm.

    exp(-(u^2 + v^2 / 4) / (2 s^2)) (exp(2 pi i u / wavelength) - const), s = wavelength / 2, u along the wave, v across
    it; Daugman 1985, with the constant that makes the mean zero.
    """
    s = wavelength / 2
    reach = math.ceil(3 * s)
    grid = torch.arange(-reach, reach + 1, dtype=torch.float64)
    y, x = torch.meshgrid(grid, grid, indexing="ij")
    bank = []
    for k in range(orientations):
        angle = math.pi * k / orientations
        u, v = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
        envelope = torch.exp(-(u**2 + v**2 / 4) / (2 * s**2))
        wave = torch.polar(torch.ones_like(u), 2 * math.pi * u / wavelength)
        wave = envelope * (wave - (envelope * wave).sum() / envelope.sum())
        bank.append(wave / wave.abs().square().sum().sqrt())
    return torch.stack(bank).to(torch.complex64)


def gabor(images: np.ndarray) -> Tensor:
    """Moduli of Gabor responses, (N, H, W, C) -> (N, scales * orientations * (H / POOL) * (W / POOL) * C).

    Taken at every second pixel, averaged over POOL x POOL pixels. [zhang2017] says "Gabor wavelet transform", no more.
    """
    n, height, width = images.shape[:3]
    planes = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).flatten(0, 1).flatten(1)
    spikes = torch.eye(height * width).view(-1, 1, height, width)
    maps = []
    for wavelength in GABOR_SCALES:
        bank = gabor_bank(wavelength)[:, None]
        reach = bank.shape[-1] // 2
        parts = [F.conv2d(spikes, part, stride=STRIDE, padding=reach) for part in (bank.real, bank.imag)]
        shape = parts[0].shape[1:]
        real, imaginary = (part.flatten(1).T.contiguous() for part in parts)  # a bank of filters as one product
        pooled = []
        for chunk in planes.split(1024):
            x = chunk.to(torch.float32) / 255
            modulus = (product(x, real).square_() + product(x, imaginary).square_()).sqrt_()
            pooled.append(F.avg_pool2d(modulus.view(-1, *shape), POOL // STRIDE).flatten(1))
        maps.append(torch.cat(pooled))
    return torch.cat(maps, 1).view(n, -1)


class ConvFeatures:
    """Features of a random convolutional network: filters, two-sided rectifier, sums over the four quadrants.

    A filter is a random PATCH x PATCH patch of a training image, its mean taken off and divided by its deviation,
    whitened (ZCA) and scaled to length 1; its response z to an equally normalized and whitened patch gives two numbers,
    max(z - t, 0) and max(-z - t, 0), each summed over a quadrant's positions: 8 features a filter (Coates & Ng 2011,
    random patches and soft threshold; t = THRESHOLD; [zhang2017] names Coates & Ng 2012). Filter k is the same whatever
    their number.

    Args:
        images: the training images, bytes (N, H, W, C). filters: their number. seed: of the patches.

    Raises InputError for images that hold no more than one patch along a side.
    """

    def __init__(self, images: np.ndarray, filters: int, seed: int, device: torch.device):
        self.device = device
        height, width = images.shape[1:3]
        if min(height, width) <= PATCH:
            raise InputError(f"images are {height} x {width}, random filters take more than {PATCH} x {PATCH} pixels")
        patches = self._random_patches(images, SAMPLE, keyed_generator("cpu", seed, "whitening"))
        mean = patches.mean(0)
        values, vectors = torch.linalg.eigh(torch.cov(patches.T))
        whitening = (vectors * (values + WHITENING).rsqrt()) @ vectors.T
        chosen = self._random_patches(images, filters, keyed_generator("cpu", seed, "filters"))
        unit = F.normalize((chosen - mean) @ whitening, dim=1)
        turned = unit @ whitening  # whitening is symmetric
        turned = turned - turned.mean(1, keepdim=True)  # instead of each patch's mean: filter.(x - mean) is the same
        self.filters = turned.to(torch.float32).to(device)
        self.bias = -(unit @ (whitening @ mean)).to(torch.float32).to(device)
        rows, columns = (side - PATCH + 1 for side in images.shape[1:3])
        place = torch.arange(rows * columns).view(rows, columns)
        quadrants = [place[a, b].flatten() for a in _halves(rows) for b in _halves(columns)]
        self.sizes = [len(q) for q in quadrants]
        self.order = torch.cat(quadrants).to(device)

    @staticmethod
    def _random_patches(images: np.ndarray, count: int, generator: torch.Generator) -> Tensor:
        n, height, width = images.shape[:3]
        draws = torch.rand(count, 3, generator=generator, dtype=torch.float64).numpy()  # row k whatever the count
        i, top, left = ((draws[:, k] * m).astype(int) for k, m in enumerate((n, height - PATCH + 1, width - PATCH + 1)))
        rows, columns = np.arange(PATCH)[None, :, None], np.arange(PATCH)[None, None, :]
        patches = images[i[:, None, None], top[:, None, None] + rows, left[:, None, None] + columns]
        return _normalized(torch.from_numpy(patches.transpose(0, 3, 1, 2).reshape(count, -1)).to(torch.float64))

    def block(self, images: np.ndarray, first: int, last: int) -> Tensor:
        """The features of filters first to last - 1: float32 (N, 8 * (last - first))."""
        g, c = self.filters[first:last], self.bias[first:last]
        both = torch.cat([g, -g]), torch.cat([c, -c]) - THRESHOLD
        out = torch.empty(len(images), 4 * 2 * (last - first), device=self.device)
        for start in range(0, len(images), IMAGES):
            part = torch.from_numpy(np.ascontiguousarray(images[start : start + IMAGES].transpose(0, 3, 1, 2)))
            x = part.to(self.device, torch.float32)
            mean, square = (F.avg_pool2d(m.mean(1, keepdim=True), PATCH, 1).flatten(2) for m in (x, x.square()))
            scale = (square - mean.square() + FLOOR).rsqrt()
            patches = (F.unfold(x, PATCH) * scale).transpose(1, 2)[:, self.order]
            response = _rectified(patches.flatten(0, 1), *both).view(len(part), -1, 2 * (last - first))
            sums = [q.sum(1) for q in response.split(self.sizes, 1)]
            torch.cat(sums, 1, out=out[start : start + IMAGES])
        return out


def _halves(length: int) -> tuple[slice, slice]:
    """The first half of so many places, the longer one, and the second."""
    half = (length + 1) // 2
    return slice(None, half), slice(half, None)


def _normalized(patches: Tensor) -> Tensor:
    deviation, mean = torch.var_mean(patches, -1, keepdim=True, correction=0)
    return (patches - mean) / (deviation + FLOOR).sqrt()


def _rectified(x: Tensor, filters: Tensor, bias: Tensor) -> Tensor:
    if x.device.type == "cpu" and torch.backends.mkldnn.is_available():
        return torch.ops.mkldnn._linear_pointwise(x, filters, bias, "relu", [], "")
    return torch.addmm(bias, x, filters.T).relu_()


def conv_blocks(counts: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Ranges of at most FILTERS filters that end at every count."""
    first = 0
    for count in counts:
        while first < count:
            last = min(first + FILTERS, count)
            yield first, last
            first = last
