"""One pixel: how often changing one pixel of an image, or a few, changes the class that a network gives it.

Su et al. 2019, "One Pixel Attack for Fooling Deep Neural Networks", section III. Differential evolution (Storn & Price
1997) works on 400 candidates, each of k pixels (row, column, colour). A child is a + F (b - c), with F = 0.5, of three
different candidates drawn at random; there is no crossover. It takes its parent's place where it is fitter. The first
candidates have uniform places and colours from N(128, 127). A candidate is fit where the probability of the image's
label is small or, with `targeted`, where that of another class is large, each other class in turn. These numbers are as
the literature quotes the paper, which was not at hand.

What the paper leaves open is chosen here. A child that leaves the image, or the range of bytes, is put back to its
edge. Colours are rounded to bytes, and an image that an evolution has seen is not evaluated again. Fitness is compared
as log odds, which have the order of the probabilities but still differ where these round to 1. An evolution ends after
`generations`, or before as `until` says:

    changed      once a candidate succeeds: another class than the label is the likeliest, or the target is
    confident    the paper's rule: once the probability of the label is at most 5 %, or that of the target at least 90 %
                 and a candidate has succeeded, as of more than 20 classes the label may be the likeliest with 5 %

An attack succeeds where any candidate does, so both rules give the same successes. `confidence` is comparable to the
paper's with `confident` alone.

`method=gradient`, this package's own, searches the changes of one pixel to a corner of the colour cube alone. The
gradient of the log odds in the image, through its whitening, ranks all of them to first order, and the `population`
first ones are evaluated. Each further generation takes the gradient at the three best changed images from which none
has begun, ranks by the least of the three, and evaluates as many that were not. Unlike the paper's attack it uses the
weights. With population=60 and generations=10 it broke, of 620 images of MLP 3x512 and AlexNet, 135 of the 136 that the
exhaustive search breaks, with at most 660 changed images evaluated for each.

For one pixel, `exhaustive` tries every place with the corners of the colour cube, 28 x 28 x 8 = 6,272 changed images of
each image. It judges how many images the evolution misses; it misses in turn those that only other colours break.

The attack changes the pixels as they are before the whitening, after crop and corruption; every changed image is
whitened anew. Attacked are the first images of each split that are classified as their label: of the training set as
the labels that the network was trained on. The interval of a rate is that of Wilson 1927 at 95 %.
"""

import math
from itertools import product

import numpy as np
import torch
from torch import Generator, Tensor

from rethinking.errors import InputError
from rethinking.intervals import wilson
from rethinking.probes._attacks import Attacks, Found, evaluated, unfinished
from rethinking.probes._pixels import PART, Pixels
from rethinking.seeds import keyed_generator

OPTIONS = {
    "pixels": {"type": "int", "ge": 1, "le": 100, "default": 1, "description": "changed in an image, at most"},
    "images": {"type": "int", "ge": 1, "default": 100, "description": "attacked of each split: the first right ones"},
    "targeted": {"type": "bool", "default": False, "description": "towards each other class in turn, not any"},
    "until": {
        "type": "str",
        "choices": ["changed", "confident"],
        "default": "changed",
        "description": "when an evolution stops",
    },
    "population": {"type": "int", "ge": 4, "le": 10000, "default": 400, "description": "candidates"},
    "generations": {"type": "int", "ge": 0, "le": 10000, "default": 100, "description": "at most"},
    "exhaustive": {"type": "bool", "default": True, "description": "search all places too, for one pixel"},
    "method": {
        "type": "str",
        "choices": ["evolution", "gradient"],
        "default": "evolution",
        "description": "what finds the changes to try",
    },
}
COLUMNS = {
    "test": {"meaning": "0: training images, with the labels trained on; 1: test images", "unit": "1", "whole": True},
    "exhaustive": {
        "meaning": "0: the method's search; 1: all places and corner colours",
        "unit": "1",
        "whole": True,
    },
    "accuracy": {"meaning": "of all images of the split", "unit": "fraction"},
    "images": {"meaning": "attacked, all of them classified right", "unit": "images", "whole": True},
    "broken": {"meaning": "of them, those on which an attack succeeded", "unit": "images", "whole": True},
    "rate": {"meaning": "broken / images", "unit": "fraction"},
    "low": {"meaning": "lower end of the 95 % interval of the rate", "unit": "fraction"},
    "high": {"meaning": "upper end of the same", "unit": "fraction"},
    "missed": {
        "meaning": "images that the record's other search, if any, broke and this did not",
        "unit": "images",
        "whole": True,
    },
    "attacks": {"meaning": "one an image, or one for each other class", "unit": "attacks", "whole": True},
    "successes": {"meaning": "attacks that succeeded", "unit": "attacks", "whole": True},
    "confidence": {
        "meaning": "mean over successes of the probability of the class that the image gets",
        "unit": "probability",
    },
    "forwards": {"meaning": "changed images that the search evaluated in all", "unit": "images", "whole": True},
}
ARRAYS = {
    "train": "int32 (attacks, 5): the image's place among those trained on, its label, the target (-1: none), the "
    "class that the method's search ends with (the label where it fails), that of the exhaustive one (-1: not done)",
    "test": "the same of the test set",
}
F = 0.5  # factor on the difference of two candidates
BEGUN = 3  # changed images from which a generation's gradients are taken
TOGETHER = 40_000  # candidates that evolve together


def measure(trained, generator, *, pixels, images, targeted, until, population, generations, exhaustive, method):
    if method == "gradient" and pixels > 1:
        raise InputError(f"one_pixel.method=gradient changes one pixel, and pixels is {pixels}: give method=evolution")
    arrays = {}
    for test, split in enumerate(("train", "test")):
        inputs, labels = getattr(trained, split)
        right = trained.logits(inputs).argmax(1) == labels
        places = right.nonzero().squeeze(1)[:images]
        if not len(places):
            raise InputError(
                f"{trained.spec.model} has no {split} image right, so there is none to attack: train longer"
            )
        given = trained.pixels(split, int(places[-1]) + 1)[places.cpu()].to(trained.device)
        subject = Pixels(trained, given)
        attacks = Attacks.of(labels[places], trained.num_classes, targeted)
        if method == "gradient":
            searches = [descend(subject, attacks, population, generations, until)]
        else:
            searches = [evolve(subject, attacks, generator, pixels, population, generations, until)]
        if exhaustive and pixels == 1:
            searches.append(search(subject, attacks))
        broken = [attacks.broken(found.kind) for found in searches]
        for which, found in enumerate(searches):
            successes = int(attacks.succeeded(found.kind).sum())
            count = int(broken[which].sum())
            low, high = wilson(count, len(places))
            yield {
                "test": test,
                "exhaustive": which,
                "accuracy": right.double().mean().item(),
                "images": len(places),
                "broken": count,
                "rate": count / len(places),
                "low": low,
                "high": high,
                "missed": int((torch.stack(broken).any(0) & ~broken[which]).sum()),
                "attacks": len(attacks.label),
                "successes": successes,
                "confidence": found.probability.nansum().item() / successes if successes else math.nan,
                "forwards": found.forwards,
            }
        ends = [found.kind for found in searches] + [torch.full_like(attacks.label, -1)] * (2 - len(searches))
        columns = [places[attacks.image], attacks.label, attacks.target, *ends]
        arrays[split] = torch.stack(columns, 1).int().cpu().numpy()
    return arrays


def forwards(run, *, pixels, images, targeted, population, generations, exhaustive, method, **_):
    """Images that it evaluates at most, but for classes beyond ten; one with its gradient counts as three."""
    each = (population + 3 * BEGUN * (method == "gradient")) * (generations + 1)
    return 2 * images * ((9 if targeted else 1) * each + 6272 * (exhaustive and pixels == 1)) + run.trained


# --- the searches ---------------------------------------------------------------------------------


def evolve(
    subject: Pixels, attacks: Attacks, generator: Generator, pixels: int, population: int, generations: int, until: str
) -> Found:
    """Differential evolution, see above. Every attack has draws of its own, whatever others there are."""
    found = Found(attacks)
    seeds = torch.randint(2**63 - 1, (len(attacks.label),), generator=generator)
    for at in torch.arange(len(seeds)).split(max(1, TOGETHER // population)):
        own = [keyed_generator("cpu", int(seed), "attack") for seed in seeds[at]]
        at = at.to(attacks.label.device)
        people = torch.stack([first(subject.shape, pixels, population, each) for each in own]).to(at.device)
        cost = torch.full(people.shape[:2], math.inf, dtype=torch.float64, device=at.device)
        tried = Tried(len(own), at.device)
        for generation in range(generations + 1):
            children = people
            if generation:
                draws = torch.stack([three(population, each) for each in own]).to(at.device)
                a, b, c = (people.gather(1, d[:, :, None, None].expand_as(people)) for d in draws.unbind(1))
                children = within(a + F * (b - c), subject.shape)
            of_children = tried.cost(subject, attacks[at], at, children, found)
            fitter = of_children <= cost
            people = torch.where(fitter[:, :, None, None], children, people)
            cost = torch.where(fitter, of_children, cost)
            left = unfinished(found, attacks, at, cost, until)
            own = [each for each, stays in zip(own, left.tolist(), strict=True) if stays]
            at, people, cost = at[left], people[left], cost[left]
            tried.keep(left)
            if not own:
                break
    return found


class Tried:
    """What candidates of attacks cost, of which the same changed image is evaluated once.

    Late in an evolution most children are images that it has seen: places and colours are whole numbers.

    Args:
        count: of the attacks. device: of the network.
    """

    def __init__(self, count: int, device: torch.device):
        self._places: list[dict[bytes, int]] = [{} for _ in range(count)]  # of each attack, in its row of costs
        self._costs = torch.empty(count, 0, dtype=torch.float64, device=device)

    def keep(self, which: Tensor) -> None:
        """Forget the attacks that are not among these, bool (a,)."""
        if not which.all():
            self._places = [each for each, stays in zip(self._places, which.tolist(), strict=True) if stays]
            self._costs = self._costs[which]

    def cost(self, subject: Pixels, attacks: Attacks, at: Tensor, people: Tensor, found: Found) -> Tensor:
        """float64 (a, M) of candidates (a, M, k, 2 + C); `found` is shown those that are new, of the attacks `at`."""
        height, width = subject.shape[:2]
        row, column = (people[..., k].long().clamp_max(side - 1) for k, side in enumerate((height, width)))
        changes = torch.cat([(row * width + column)[..., None], people[..., 2:].round().long()], 3)  # (a, M, k, 1 + C)
        place, new = self._looked_up(changes)
        sizes = [len(each) for each in new]
        most = max(sizes)
        if most:
            of_each = torch.arange(len(new)).repeat_interleave(torch.tensor(sizes)).to(at.device)
            fresh = changes[of_each, torch.tensor([k for each in new for k in each]).to(at.device)]
            ends = torch.tensor(sizes).cumsum(0)[:, None]
            padded = torch.arange(most) + ends - torch.tensor(sizes)[:, None]  # (a, most): where in `fresh` they are
            there = (padded < ends).to(at.device)
            logits = evaluated(subject, attacks.image[of_each], fresh[..., 0], fresh[..., 1:].float(), sizes)
            logits = logits[padded.clamp_max(len(fresh) - 1).to(at.device)]
            costs = torch.where(there, attacks.cost(logits), math.inf)
            found.see(attacks, at, logits, costs)
            found.forwards += len(fresh)
            self._costs = torch.cat([self._costs, costs], 1)
        return self._costs.gather(1, place)

    def _looked_up(self, changes: Tensor) -> tuple[Tensor, list[list[int]]]:
        """Where each candidate's cost is in its row, int64 (a, M), and the candidates of each attack that are new."""
        bare = np.ascontiguousarray(changes.flatten(2).cpu().numpy().astype(np.int32))
        keys, begin = bare.view(f"V{bare.strides[1]}")[..., 0].tolist(), self._costs.shape[1]
        places, news = [], []
        for known, row in zip(self._places, keys, strict=True):
            new: list[int] = []
            where = []
            for number, key in enumerate(row):
                place = known.setdefault(key, begin + len(new))
                if place == begin + len(new):
                    new.append(number)
                where.append(place)
            places.append(where)
            news.append(new)
        return torch.tensor(places).to(changes.device), news


def descend(subject: Pixels, attacks: Attacks, population: int, generations: int, until: str) -> Found:
    """The search that `method=gradient` stands for, see above; the same in every run."""
    found = Found(attacks)
    corners, places = _corners(subject), subject.images.shape[1]
    for at in torch.arange(len(attacks.label), device=corners.device).split(PART // BEGUN):
        own = subject.images[attacks.image[at]][:, None]  # (a, 1, H W, C)
        cost = torch.full((len(at), places * len(corners)), math.inf, dtype=torch.float64, device=at.device)
        begun = torch.zeros(len(at), places, dtype=torch.bool, device=at.device)
        images, unseen = own, cost.shape[1]
        for _ in range(generations + 1):
            slope = subject.slope(images, attacks[at].cost)
            ahead = (slope @ corners.T - (slope * own).sum(3, keepdim=True)).amin(1).flatten(1)
            new = torch.where(cost.isinf(), ahead, math.inf).topk(min(population, unseen), largest=False).indices
            place, colour = new // len(corners), corners[new % len(corners)]
            image = attacks.image[at].repeat_interleave(new.shape[1])
            sizes = [new.shape[1]] * len(at)
            logits = evaluated(subject, image, place.flatten()[:, None], colour.flatten(0, 1)[:, None], sizes)
            logits = logits.unflatten(0, new.shape)
            cost.scatter_(1, new, attacks[at].cost(logits))
            found.see(attacks[at], at, logits, cost.gather(1, new))
            found.forwards += new.numel()
            left = unfinished(found, attacks, at, cost, until)
            at, own, cost, begun, unseen = at[left], own[left], cost[left], begun[left], unseen - new.shape[1]
            if not len(at) or not unseen:
                break
            least, corner = cost.unflatten(1, (places, -1)).min(2)
            place = torch.where(begun, math.inf, least).topk(BEGUN, largest=False).indices  # (a, BEGUN)
            begun.scatter_(1, place, True)
            images = own.repeat(1, BEGUN, 1, 1)
            images.scatter_(2, _of_pixel(place, images), corners[corner.gather(1, place)][:, :, None])
    return found


def _of_pixel(place: Tensor, images: Tensor) -> Tensor:
    """The index of `scatter_` for a pixel (a, M) of each of the images (a, M, H W, C)."""
    return place[:, :, None, None].expand(-1, -1, 1, images.shape[3])


def _corners(subject: Pixels) -> Tensor:
    """float32 (2^C, C): the corners of the colour cube."""
    return torch.tensor(list(product((0.0, 255.0), repeat=subject.shape[2]))).to(subject.images)


def search(subject: Pixels, attacks: Attacks) -> Found:
    """All places of one pixel with all corners of the colour cube, once an image."""
    found = Found(attacks)
    height, width, _ = subject.shape
    corners = _corners(subject)
    places = torch.arange(height * width, device=corners.device).repeat_interleave(len(corners))[:, None]
    colours = corners.repeat(height * width, 1)[:, None]
    for image in range(len(subject.images)):
        logits = subject.logits(torch.full_like(places[:, 0], image), places, colours)
        at = (attacks.image == image).nonzero().squeeze(1)
        of_each = logits.expand(len(at), -1, -1)
        found.see(attacks[at], at, of_each, attacks[at].cost(of_each))
        found.forwards += len(logits)
    return found


def first(shape: tuple[int, ...], pixels: int, population: int, generator: Generator) -> Tensor:
    """The first candidates of an attack, float32 (M, k, 2 + C): row, column and colour of each pixel."""
    height, width, channels = shape
    places = torch.rand(population, pixels, 2, generator=generator) * torch.tensor([height, width])
    colours = 128 + 127 * torch.randn(population, pixels, channels, generator=generator)
    return within(torch.cat([places, colours], 2), shape)


def within(people: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Candidates (..., 2 + C), put back to the edge of the image and of the colours."""
    most = torch.tensor([*shape[:2], *[255.0] * shape[2]]).to(people)
    return people.clamp_min(0).minimum(most)


def three(population: int, generator: Generator) -> Tensor:
    """Three different candidates for each child, uniformly: int64 (3, M)."""
    a, b, c = (torch.randint(population - k, (population,), generator=generator) for k in range(3))
    b += b >= a
    low, high = torch.minimum(a, b), torch.maximum(a, b)
    c += c >= low
    c += c >= high
    return torch.stack([a, b, c])
