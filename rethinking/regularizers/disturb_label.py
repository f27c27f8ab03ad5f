"""DisturbLabel: in every batch anew, each label is replaced by a random class with some probability.

Xie et al. 2016 (CVPR), section 3 and algorithm 1: with probability `rate` (alpha there, as a fraction) the label
becomes a class drawn uniformly, the true one among them: P(c) = 1 - rate (K - 1) / K for the true class, rate / K for
each other. rate in [0, 1]; 0 is none, at 1 the labels say nothing. Practice there: 0.1. A corruption of labels, in
contrast, is drawn once: this draws on top of it.
"""

import torch
from torch import Generator, Tensor

from rethinking.regularizers import Base, distribution

OPTIONS = {"rate": {"type": "float", "ge": 0.0, "le": 1.0, "description": "probability of a disturbed label"}}
NULL = {"rate": 0.0}
PRACTICE = {"rate": 0.1}
FAMILY = "labels"
STRENGTHS = (0.1, 0.2, 0.4, 0.6, 0.8)


class Regularizer(Base):
    def __init__(self, rate: float):
        self.rate = rate

    def batch(self, images: Tensor, labels: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        if self.rate == 0:
            return images, labels
        count, classes = len(labels), self.run.num_classes
        disturbed = torch.rand(count, generator=generator, device=labels.device) < self.rate
        drawn = torch.randint(classes, (count,), generator=generator, device=labels.device)
        if labels.ndim == 1:
            return images, torch.where(disturbed, drawn, labels)
        return images, torch.where(disturbed[:, None], distribution(drawn, classes), labels)
