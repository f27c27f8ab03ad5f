"""Logits of images of which a few pixels are changed, in a fraction of the time where the network begins linearly."""

import math
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rethinking import surgery
from rethinking.images import whiten
from rethinking.layers import two_logits
from rethinking.probes._trained import Trained

PART = 500  # images held at a time


class Pixels:
    """Images, and the logits of a network for any of them with a few pixels changed.

    The plain way changes the pixels, whitens the image anew and lets the network run. Where the network's first layer
    is a linear one of the whole image, W z + b, what it gives changes by little: with the bytes x, their mean m and
    deviation d before, m' and d' after, and D the change of the pixels,

        W z' + b = (W (x - m) + W D - (m' - m) W 1) / d' + b

    of which W (x - m) and W 1 are computed once, and W D takes the few columns of W of the changed pixels. That is
    the same function, up to rounding; where it does not come out as the plain way does, as in a network that does
    something else first, the plain way is taken.

    Args:
        trained: the network. images: float32 (N, H, W, C) in units of a byte, on its device.

    Attributes:
        images: as given, (N, H W, C). shape: (H, W, C). quick: whether the short cut is taken.
    """

    def __init__(self, trained: Trained, images: Tensor):
        self.trained, self.shape = trained, tuple(images.shape[1:])
        self.images = images.flatten(1, 2)
        self.quick = False
        layers = surgery.layers(trained.network)
        if not layers or not isinstance(layers[0], nn.Linear) or trained.spec.precision != "float32":
            return
        if layers[0].in_features != self.images[0].numel():
            return
        self._begin_linearly()
        few = self.images[:8]
        which = torch.arange(len(few), device=few.device)
        place = which[:, None] % self.images.shape[1]
        self.quick = True
        found = self.logits(which, place, 255 - few[which, place[:, 0]][:, None])
        self.quick = False
        wanted = self.logits(which, place, 255 - few[which, place[:, 0]][:, None])
        self.quick = found.shape == wanted.shape and torch.allclose(found, wanted, rtol=1e-4, atol=1e-4)

    def _begin_linearly(self) -> None:
        """Compute once what all changes of an image share."""
        self._rest = surgery.copied(self.trained.network).requires_grad_(False)
        first = surgery.layers(self._rest)[0]
        weight = first.weight.detach()
        self._bias = torch.zeros_like(weight[:, 0]) if first.bias is None else first.bias.detach()
        first.__class__ = _Given
        flat = self.images.transpose(1, 2).flatten(1).double() / 255  # (N, C H W), as a network sees it
        self._sums = flat.sum(1), flat.square().sum(1)
        mean = flat.mean(1, keepdim=True)
        self._before = torch.cat([F.linear((p - m).float(), weight) for p, m in _parts(PART, flat, mean)])  # W (x - m)
        self._ones = weight.double().sum(1).float()  # W 1
        self._columns = weight.t().contiguous()  # (C H W, units)

    def logits(self, which: Tensor, places: Tensor, colours: Tensor, part: int = PART) -> Tensor:
        """float32 (B, classes), of images with pixels changed.

        Args:
            which: int64 (B,), of the images. places: int64 (B, k), row x width + column of the pixels. colours: float32
            (B, k, C), in units of a byte; where places are equal the last one counts. part: how many at a time.
        """
        way = self._quickly if self.quick else self._plainly
        return torch.cat([way(*each) for each in _parts(part, which, places, colours)])

    def changed(self, which: Tensor, places: Tensor, colours: Tensor) -> Tensor:
        """The changed images themselves, float32 (B, H, W, C); arguments as of `logits`."""
        images, each = self.images[which], torch.arange(len(which), device=which.device)
        for k in range(places.shape[1]):
            images[each, places[:, k]] = colours[:, k]
        return images.unflatten(1, self.shape[:2])

    def slope(self, images: Tensor, cost: Callable[[Tensor], Tensor]) -> Tensor:
        """The gradient of a cost in images, through their whitening: float32 (A, M, H W, C), for a unit of a byte.

        It is computed in float32, whatever the precision of the run.

        Args:
            images: float32 (A, M, H W, C), in units of a byte. cost: of logits (A, M, classes), a number each.
        """
        with torch.enable_grad():
            images = images.detach().requires_grad_()
            seen = whiten(images.flatten(0, 1).unflatten(1, self.shape[:2])).permute(0, 3, 1, 2)
            logits = two_logits(self.trained.network(seen)).float().unflatten(0, images.shape[:2])
            (found,) = torch.autograd.grad(cost(logits).sum(), images)
        return found

    def _plainly(self, which: Tensor, places: Tensor, colours: Tensor) -> Tensor:
        return self.trained.logits(whiten(self.changed(which, places, colours)).permute(0, 3, 1, 2))

    def _quickly(self, which: Tensor, places: Tensor, colours: Tensor) -> Tensor:
        self.trained.on_part()
        pixels, channels = self.images.shape[1:]
        values = pixels * channels
        old = self.images[which[:, None], places]  # (B, k, C)
        last = ~torch.triu(places[:, :, None] == places[:, None, :], diagonal=1).any(2)  # of those at equal places
        step = torch.where(last[..., None], colours - old, 0.0) / 255
        columns = places[..., None] + torch.arange(channels, device=which.device) * pixels
        after = F.embedding_bag(  # W D
            columns.flatten(1), self._columns, per_sample_weights=step.flatten(1), mode="sum"
        )
        ahead = step.double()
        total = self._sums[0][which] + ahead.sum((1, 2))
        squares = self._sums[1][which] + (ahead * (ahead + 2 * old.double() / 255)).sum((1, 2))
        mean = total / values
        deviation = (squares / values - mean.square()).clamp_min(0).sqrt().clamp_min(1 / math.sqrt(values))
        moved = (mean - self._sums[0][which] / values).float()
        after += self._before[which]
        after.addcmul_(moved[:, None], self._ones, value=-1).div_(deviation.float()[:, None]).add_(self._bias)
        return two_logits(self._rest(after)).float()


class _Given(nn.Linear):
    """A linear layer whose work is done already: it hands on what it is given."""

    def forward(self, x: Tensor) -> Tensor:
        return x


def _parts(size: int, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The tensors in parts of `size`, side by side."""
    return zip(*(t.split(size) for t in tensors), strict=True)
