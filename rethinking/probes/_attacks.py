"""Attacks on images by changed pixels, and the best that a search has found against each."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from rethinking.probes._pixels import Pixels

AWAY, TOWARDS = math.log(0.05 / 0.95), math.log(0.1 / 0.9)  # costs at which `confident` stops: 5 %, 90 %
GPU_PART = 30_000  # changed images that a GPU evaluates at a time


@dataclass(frozen=True)
class Attacks:
    """What is attacked: int64 (A,) each, of the images attacked the place, label and target, -1 where there is none."""

    image: Tensor
    label: Tensor
    target: Tensor

    @classmethod
    def of(cls, labels: Tensor, classes: int, targeted: bool) -> "Attacks":
        """One attack on each of the images with these labels, or one for each other class."""
        image = torch.arange(len(labels), device=labels.device)
        if not targeted:
            return cls(image, labels, torch.full_like(labels, -1))
        image, target = image.repeat_interleave(classes), torch.arange(classes).to(labels).repeat(len(labels))
        other = target != labels[image]
        return cls(image[other], labels[image[other]], target[other])

    def __getitem__(self, which: Tensor | slice) -> "Attacks":
        return Attacks(self.image[which], self.label[which], self.target[which])

    def succeeded(self, kind: Tensor) -> Tensor:
        """Whether that class is a success: int64 (A,) or (A, M) -> bool."""
        label, target = (each.view(-1, *[1] * (kind.ndim - 1)) for each in (self.label, self.target))
        return torch.where(target < 0, kind != label, kind == target)

    def broken(self, kind: Tensor) -> Tensor:
        """bool (images,): whether any attack on an image has succeeded."""
        hit = torch.zeros(int(self.image.max()) + 1, dtype=torch.bool, device=kind.device)
        return hit.index_fill(0, self.image[self.succeeded(kind)], True)

    def cost(self, logits: Tensor) -> Tensor:
        """float64 (A, M), small where a candidate is fit: the log odds of the label, or of all but the target."""
        logits = logits.double()
        wanted = torch.where(self.target < 0, self.label, self.target)[:, None, None].expand(-1, logits.shape[1], 1)
        odds = (logits.gather(2, wanted) - logits.scatter(2, wanted, -math.inf).logsumexp(2, keepdim=True)).squeeze(2)
        return torch.where((self.target < 0)[:, None], odds, -odds)


class Found:
    """The best success of each attack so far.

    Attributes:
        kind: int64 (A,), the class that it gets; the label where there is none. probability: float64 (A,), of that
        class, NaN where there is none. cost: float64 (A,), infinite where there is none. forwards: changed images
        evaluated so far.
    """

    def __init__(self, attacks: Attacks):
        self.kind = attacks.label.clone()
        self.probability = torch.full_like(attacks.label, math.nan, dtype=torch.float64)
        self.cost = torch.full_like(self.probability, math.inf)
        self.forwards = 0

    def see(self, attacks: Attacks, at: Tensor, logits: Tensor, cost: Tensor) -> None:
        """Candidates of the attacks `at`, int64 (a,), which are `attacks`: (a, M, classes), their cost (a, M)."""
        kind = logits.argmax(2)
        least, which = torch.where(attacks.succeeded(kind), cost, math.inf).min(1)
        better = least < self.cost[at]
        at, which, row = at[better], which[better], better.nonzero().squeeze(1)
        self.cost[at] = least[better]
        self.kind[at] = kind[row, which]
        self.probability[at] = logits[row, which].double().softmax(1).amax(1)


def unfinished(found: Found, attacks: Attacks, at: Tensor, cost: Tensor, until: str) -> Tensor:
    """bool (a,): which of the attacks `at`, of whose candidates `cost` (a, M) is the least, are to go on."""
    left = found.cost[at].isinf()
    if until == "confident":
        left |= cost.amin(1) > torch.where(attacks.target[at] < 0, AWAY, TOWARDS)
    return left


def evaluated(subject: Pixels, image: Tensor, places: Tensor, colours: Tensor, sizes: list[int]) -> Tensor:
    """Logits (B, classes) of changed images, see `Pixels.logits`.

    On a CPU the `sizes` of them that are of one attack are evaluated together, so that no rounding depends on what else
    there is.
    """
    if places.device.type != "cpu":
        return subject.logits(image, places, colours, part=GPU_PART)
    parts = zip(image.split(sizes), places.split(sizes), colours.split(sizes), strict=True)
    return torch.cat([subject.logits(of, where, to, part=len(of)) for of, where, to in parts if len(of)])
