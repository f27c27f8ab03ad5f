"""Label smoothing: part of every label is spread over all classes.

Szegedy et al. 2016 (CVPR), section 7: q'(k) = (1 - strength) q(k) + strength / K, K the number of classes, q the
one-hot label or what an earlier regularizer made of it. strength in [0, 1); 0 is none, at 1 every label would be
uniform. Practice there: 0.1.
"""

from torch import Generator, Tensor

from rethinking.regularizers import Base, distribution

OPTIONS = {"strength": {"type": "float", "ge": 0.0, "lt": 1.0, "description": "share of a label that is spread"}}
NULL = {"strength": 0.0}
PRACTICE = {"strength": 0.1}
FAMILY = "labels"
STRENGTHS = (0.1, 0.3, 0.5, 0.7, 0.9)


class Regularizer(Base):
    def __init__(self, strength: float):
        self.strength = strength

    def batch(self, images: Tensor, labels: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        if self.strength == 0:
            return images, labels
        classes = self.run.num_classes
        return images, (1 - self.strength) * distribution(labels, classes) + self.strength / classes
