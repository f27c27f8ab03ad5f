"""DropConnect: in training, weights (not units) of a linear layer are dropped at random, anew for every image.

Wan et al. 2013 (ICML): ReLU((M * W) v + b), each entry of M kept with probability 1 - rate, one M an image, in the
hidden linear layer nearest to the output, as there, with what comes before it as features. Evaluation is their moment
matching (section 3.2, algorithm 2): (M * W) v is taken as Gaussian with mean (1 - rate) W v and variance rate (1 -
rate) W^2 v^2, and the ReLU's expectation over it is used, in closed form, which is what their average over samples
tends to. Biases are kept (they drop those too). rate in [0, 1), the probability of dropping, to 2^-16; 0 is none;
practice there: 0.5. For networks with hidden linear layers: the ReLU must come right after the layer, so neither a
normalization between the two nor maxout goes with it. A mask has batch x outputs x inputs entries: an MLP's step takes
about fifteen times as long with it.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from rethinking.layers import Linear, linear
from rethinking.regularizers import Base, Run
from rethinking.surgery import become, hidden_linear, in_order

OPTIONS = {"rate": {"type": "float", "ge": 0.0, "lt": 1.0, "default": 0.5, "description": "probability of dropping"}}
NULL = {"rate": 0.0}
PRACTICE = {"rate": 0.5}
FAMILY = "units"
STRENGTHS = (0.2, 0.5, 0.7, 0.8, 0.9)
NEEDS = "hidden linear layers"
REFUSES = ["batch_norm", "layer_norm", "group_norm", "maxout", "restricted_weights"]

# Images whose masked weights are made at a time: one stays in a processor's cache, and takes a third of the time.
CHUNK = {"cpu": 1}


class _Masked(torch.autograd.Function):
    """y[b, i] = sum over j of mask[b, i, j] weight[i, j] x[b, j], and its gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, mask: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight, mask)
        return torch.cat([torch.bmm(m * weight, part.unsqueeze(2)).squeeze(2) for part, m in _chunks(x, mask)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight, mask = ctx.saved_tensors
        to_x, to_weight = [], torch.zeros_like(weight)
        for part, m, g in _chunks(x, mask, gradients[0]):
            to_x.append(torch.bmm(g.unsqueeze(1), m * weight).squeeze(1))
            to_weight += (g.unsqueeze(2) * part.unsqueeze(1)).mul_(m).sum(0)
        return torch.cat(to_x), to_weight, None


def _chunks(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    size = CHUNK.get(tensors[0].device.type, 32)
    return zip(*(t.split(size) for t in tensors), strict=True)


class DropConnectLinear(Linear):
    """A linear layer before a ReLU, (B, in) -> (B, out), with weights dropped."""

    rate: float
    run: Run

    def mask(self, count: int) -> Tensor:
        """bool (count, out, in), True where a weight is kept; 16 random bits an entry."""
        entries = count * self.weight.numel()
        bits = torch.empty(-(-entries // 4), dtype=torch.int64, device=self.weight.device)
        bits.random_(-(2**63), None, generator=self.run.generator)
        short = bits.view(torch.int16)[:entries].view(count, *self.weight.shape)
        return short >= min(round(self.rate * 2**16), 2**16 - 1) - 2**15

    def forward(self, x: Tensor) -> Tensor:
        kind = x.dtype
        with torch.autocast(x.device.type, enabled=False):
            x = x.float()
            if self.training:
                y = _Masked.apply(x, self.weight, self.mask(len(x)))
                return (y if self.bias is None else y + self.bias).to(kind)
            keep = 1 - self.rate
            mean = linear(x, keep * self.weight, self.bias)
            variance = linear(x.square(), self.rate * keep * self.weight.square())
            deviation = variance.sqrt().clamp_min(1e-12)
            z = mean / deviation
            below = torch.special.ndtr(z)
            density = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)
            return (
                (mean * below + deviation * density).clamp_min(0).to(kind)
            )  # E ReLU; the ReLU after it changes nothing


class Regularizer(Base):
    def __init__(self, rate: float):
        self.rate = rate

    def network(self, network: nn.Module) -> nn.Module:
        if self.rate:
            become(
                in_order(hidden_linear(network), self.run.calls)[-1], DropConnectLinear, rate=self.rate, run=self.run
            )
        return network
