"""Sharpness: how far the training loss can rise when every weight moves by a little (Neyshabur et al. 2017).

Neyshabur et al. 2017, "Exploring Generalization in Deep Learning", section 2: the maximum of
L(w + v) - L(w) over |v_i| <= alpha (|w_i| + 1), with alpha 5e-4, of all trained parameters. It is looked for by
projected gradient ascent on the whole set measured, in steps of the gradient's sign, whose size falls from the box's to
nothing. The first start is the network itself, the others are drawn uniformly from the box. What is found is a lower
bound. Weights move in float32 whatever the precision of the run, since bfloat16 would round such steps away.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rethinking.layers import two_logits
from rethinking.surgery import copied

OPTIONS = {
    "images": {"type": "int", "ge": 1, "default": 2000, "description": "training images measured, the first ones"},
    "alpha": {"type": "float", "gt": 0.0, "default": 5e-4, "description": "size of the box"},
    "steps": {"type": "int", "ge": 1, "le": 10000, "default": 20, "description": "of ascent, from each start"},
    "restarts": {"type": "int", "ge": 1, "le": 1000, "default": 3, "description": "starts, the network itself first"},
}
COLUMNS = {
    "restart": {"meaning": "the start of the ascent, from 1", "unit": "1", "whole": True},
    "loss": {"meaning": "mean cross-entropy over the training images measured, of the network itself", "unit": "nats"},
    "found": {"meaning": "the largest rise of the loss from this start", "unit": "nats"},
    "sharpness": {"meaning": "the largest rise so far", "unit": "nats"},
}
PART = 500  # images held at a time


def measure(trained, generator, *, images, alpha, steps, restarts):
    inputs, labels = (each[:images] for each in trained.train)
    network = copied(trained.network).float()
    parameters = [p for p in network.parameters() if p.requires_grad]
    plain = [p.detach().clone() for p in parameters]
    boxes = [alpha * (p.abs() + 1) for p in plain]
    loss, _ = slope(network, parameters, inputs, labels)
    highest = 0.0
    for restart in range(1, restarts + 1):
        moves = [torch.zeros_like(box) for box in boxes]
        if restart > 1:
            moves = [box * (2 * torch.rand(box.shape, generator=generator).to(box) - 1) for box in boxes]
        found = 0.0
        for step in range(steps + 1):
            trained.on_part()
            for parameter, weight, move in zip(parameters, plain, moves, strict=True):
                parameter.data = weight + move
            value, gradients = slope(network, parameters, inputs, labels)
            found = max(found, value - loss)
            moves = [
                (move + (1 - step / steps) * box * gradient.sign()).clamp(-box, box)
                for move, box, gradient in zip(moves, boxes, gradients, strict=True)
            ]
        highest = max(highest, found)
        yield {"restart": restart, "loss": loss, "found": found, "sharpness": highest}


def forwards(run, *, images, steps, restarts, **_):
    """Images that it evaluates, where one with its gradient counts as three."""
    return 3 * images * (1 + restarts * (steps + 1))


def slope(
    network: nn.Module, parameters: Sequence[Tensor], images: Tensor, labels: Tensor
) -> tuple[float, list[Tensor]]:
    """The mean cross-entropy of images (N, C, H, W), and its gradient in the parameters."""
    total, gradients = 0.0, [torch.zeros_like(p) for p in parameters]
    for x, y in zip(images.split(PART), labels.split(PART), strict=True):
        with torch.enable_grad():
            loss = F.cross_entropy(two_logits(network(x.to(torch.float32, copy=True))), y, reduction="sum") / len(
                labels
            )
            parts = torch.autograd.grad(loss, list(parameters), allow_unused=True)
        total += loss.item()
        for gradient, part in zip(gradients, parts, strict=True):
            if part is not None:
                gradient += part
    return total, gradients
