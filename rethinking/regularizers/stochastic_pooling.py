"""Stochastic pooling: in training, a max-pooling picks one activation of its window at random, the larger the likelier.

Zeiler & Fergus 2013 (ICLR), section 3: p_i = a_i / sum over the window of a_k (equation 4), the pooled value is a_l
with l drawn by p (equation 5); at evaluation it is the sum of p_i a_i (equation 6). `share` of the windows, drawn anew,
is pooled so in training and the others by their maximum, and evaluation mixes the two alike; share in [0, 1]; 0 is
none, practice: the paper's 1. For networks with max-pooling of ReLUs (negative values count as 0 in p).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rethinking.regularizers import Base, Run
from rethinking.regularizers._places import become

OPTIONS = {"share": {"type": "float", "ge": 0.0, "le": 1.0, "default": 1.0, "description": "of windows pooled so"}}
NULL = {"share": 0.0}
PRACTICE = {"share": 1.0}
NEEDS = "pooling"


class StochasticPool2d(nn.MaxPool2d):
    """Max-pooling's windows, (B, C, H, W) -> (B, C, H', W'), pooled at random."""

    share: float
    run: Run

    def forward(self, x: Tensor) -> Tensor:
        (tall, wide), (down, right), (top, left) = (_pair(v) for v in (self.kernel_size, self.stride, self.padding))
        padded = F.pad(x, (left, left, top, top)).contiguous()
        rows, columns = (padded.shape[2] - tall) // down + 1, (padded.shape[3] - wide) // right + 1
        weights = (padded.detach() if self.training else padded).float().clamp_min(0)
        window = [  # (B, C, H', W') for every place in a window, row by row
            weights[:, :, i : i + down * (rows - 1) + 1 : down, j : j + right * (columns - 1) + 1 : right]
            for i in range(tall)
            for j in range(wide)
        ]
        total = torch.zeros_like(window[0])
        for a in window:
            total = total + a
        if not self.training:
            squares = torch.zeros_like(total)
            for a in window:
                squares = torch.addcmul(squares, a, a)
            mean = (squares / total.clamp_min(1e-30)).to(x.dtype)
            return mean if self.share == 1 else torch.lerp(super().forward(x), mean, self.share)

        generator = self.run.generator
        rest = torch.rand(total.shape, generator=generator, device=x.device) * total
        chosen = torch.zeros_like(total, dtype=torch.int64)  # the first place where the running sum exceeds the draw
        for a in window:
            rest -= a
            chosen += rest >= 0
        chosen.clamp_max_(tall * wide - 1)  # where all are 0 so is the last
        row = torch.arange(rows, device=x.device)[:, None] * down + chosen // wide
        column = torch.arange(columns, device=x.device) * right + chosen % wide
        place = (row * padded.shape[3] + column).flatten(2)
        picked = padded.flatten(2).gather(2, place).view(total.shape)
        if self.share == 1:
            return picked
        here = torch.rand(total.shape, generator=generator, device=x.device) < self.share
        return torch.where(here, picked, super().forward(x))


def _pair(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return (value, value) if isinstance(value, int) else value


class Regularizer(Base):
    def __init__(self, share: float):
        self.share = share

    def network(self, network: nn.Module) -> nn.Module:
        for pool in [m for m in network.modules() if isinstance(m, nn.MaxPool2d)] if self.share else []:
            become(pool, StochasticPool2d, share=self.share, run=self.run)
        return network
