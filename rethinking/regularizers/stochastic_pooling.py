"""Stochastic pooling: in training, a max-pooling picks one activation of its window at random, the larger the likelier.

Zeiler & Fergus 2013 (ICLR), section 3: p_i = a_i / sum over the window of a_k (equation 4), the pooled value is a_l
with l drawn by p (equation 5); at evaluation it is the sum of p_i a_i (equation 6). `share` of the windows, drawn anew,
is pooled so in training and the others by their maximum, and evaluation mixes the two alike; share in [0, 1]; 0 is
none, practice: the paper's 1. For networks with max-pooling of ReLUs: negative values, which batch norm
gives where it is put after ReLUs, count as 0 in p, and maxout's are refused.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rethinking.errors import InputError
from rethinking.regularizers import Base, Run
from rethinking.surgery import become

OPTIONS = {"share": {"type": "float", "ge": 0.0, "le": 1.0, "default": 1.0, "description": "of windows pooled so"}}
NULL = {"share": 0.0}
PRACTICE = {"share": 1.0}
FAMILY = "units"
STRENGTHS = (0.25, 0.5, 1.0)
NEEDS = "pooling"
REFUSES = "maxout"


class StochasticPool2d(nn.MaxPool2d):
    """Max-pooling's windows, (B, C, H, W) -> (B, C, H', W'), pooled at random."""

    share: float
    run: Run

    def forward(self, x: Tensor) -> Tensor:
        (tall, wide), (down, right), (top, left) = (_pair(v) for v in (self.kernel_size, self.stride, self.padding))
        padded = F.pad(x, (left, left, top, top)).contiguous(memory_format=torch.channels_last)
        rows, columns = (padded.shape[2] - tall) // down + 1, (padded.shape[3] - wide) // right + 1
        weights = (padded.detach() if self.training else padded).float().clamp_min(0)
        window = [  # (B, C, H', W') for every place in a window, row by row
            weights[:, :, i : i + down * (rows - 1) + 1 : down, j : j + right * (columns - 1) + 1 : right]
            for i in range(tall)
            for j in range(wide)
        ]
        total = torch.zeros_like(window[0])
        for a in window:
            total += a
        if not self.training:
            squares = torch.zeros_like(total)
            for a in window:
                squares.addcmul_(a, a)
            mean = (squares / total.clamp_min(1e-30)).to(x.dtype)
            return mean if self.share == 1 else torch.lerp(super().forward(x), mean, self.share)

        rest = self._draws(total).mul_(total)
        chosen = torch.zeros_like(total, dtype=torch.uint8)  # the first place where the running sum exceeds the draw
        for a in window:
            rest -= a
            chosen += rest >= 0
        chosen.clamp_max_(tall * wide - 1)  # where all are 0 so is the last
        row = torch.arange(rows, device=x.device)[:, None] * down
        first = row * padded.shape[3] + torch.arange(columns, device=x.device) * right
        steps = torch.arange(tall, device=x.device)[:, None] * padded.shape[3] + torch.arange(wide, device=x.device)
        place = (steps.flatten()[chosen.int()] + first).permute(0, 2, 3, 1)
        picked = padded.permute(0, 2, 3, 1).flatten(1, 2).gather(1, place.flatten(1, 2))
        picked = picked.view(place.shape).permute(0, 3, 1, 2)
        if self.share == 1:
            return picked
        return torch.where(self._draws(total) < self.share, picked, super().forward(x))

    def _draws(self, like: Tensor) -> Tensor:
        """Uniform on [0, 1), in shape and memory format of `like`; drawn in the order of its dimensions."""
        return torch.empty_like(like).copy_(torch.rand(like.shape, generator=self.run.generator, device=like.device))


def _pair(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return (value, value) if isinstance(value, int) else value


class Regularizer(Base):
    def __init__(self, share: float):
        self.share = share

    def network(self, network: nn.Module) -> nn.Module:
        found = [m for m in network.modules() if isinstance(m, nn.MaxPool2d) and m not in self.run.uncalled]
        for pool in found if self.share else []:
            if pool.ceil_mode or pool.return_indices or _pair(pool.dilation) != (1, 1):
                raise InputError(
                    f"stochastic_pooling has no ceil_mode, dilation or return_indices, as {pool} has: drop it"
                )
            become(pool, StochasticPool2d, share=self.share, run=self.run)
        return network
