"""The networks of ImageNet runs, their regularizers' switches, and TensorFlow's RMSProp.

Inception v3 is torchvision's (Szegedy et al. 2016, CVPR): 27,161,264 trained numbers with its auxiliary head at 1,000
classes. Its batch norms have a scale, which TF-slim's have not.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import inception_v3

from rethinking.seeds import keyed_generator, seeded
from rethinking.spec import ImageNetSpec

BATCH_NORM_EPSILON = 0.001  # TensorFlow's and torchvision's


class Small(nn.Module):
    """Two convolutions, with an auxiliary head as Inception v3 has: for rehearsals and tests.

    Args:
        classes: of the labels. normalized: with batch norm after each convolution.
    """

    def __init__(self, classes: int, normalized: bool = True):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, stride=2, bias=not normalized)
        self.second = nn.Conv2d(8, 16, 3, stride=2, bias=not normalized)
        norms = [nn.BatchNorm2d(c, eps=BATCH_NORM_EPSILON) if normalized else nn.Identity() for c in (8, 16)]
        self.first_norm, self.second_norm = norms
        self.auxiliary, self.dropout, self.fc = nn.Linear(8, classes), nn.Dropout(), nn.Linear(16, classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor] | Tensor:
        """Logits of the main and, in training mode, of the auxiliary head, (N, classes) each; images (N, 3, H, W)."""
        x = self.first_norm(self.first(images)).relu()
        auxiliary = self.auxiliary(x.mean((2, 3))) if self.training else None
        x = self.second_norm(self.second(x)).relu()
        logits = self.fc(self.dropout(x.mean((2, 3))))
        return logits if auxiliary is None else (logits, auxiliary)


class Dropout(nn.Module):
    """Dropout whose mask depends on the place of an image in the whole batch, not on which process has it.

    Attributes:
        p: probability that a unit is dropped. seed, step: what draws the mask; step is set before each batch.
        first, total: the place of the process's first image in the batch, and the images of the whole batch.
    """

    def __init__(self, p: float, seed: int, first: int, total: int):
        super().__init__()
        self.p, self.seed, self.first, self.total, self.step = p, seed, first, total, 0

    def forward(self, x: Tensor) -> Tensor:
        """x (N, ...), N a process's part of the batch; as it is in evaluation mode."""
        if not self.training or not self.p:
            return x
        generator = keyed_generator("cpu", self.seed, "dropout", self.step)
        kept = torch.rand((self.total, *x.shape[1:]), generator=generator)[self.first : self.first + len(x)] >= self.p
        return x * kept.to(x.device) / (1 - self.p)


def build(spec: ImageNetSpec, rank: int = 0) -> nn.Module:
    """The network of a run, initialised from its seed as its own file does, on the CPU, in training mode.

    Args:
        rank: of the process, from 0: its part of a batch has the rank-th run of images.
    """
    with seeded(spec.seed, "imagenet weights"):
        if spec.network == "inception_v3":
            network: nn.Module = inception_v3(num_classes=spec.classes, init_weights=True)
        else:
            network = Small(spec.classes, spec.network == "small")
    network.dropout = Dropout(spec.dropout, spec.seed, rank * spec.per_process, spec.batch_size)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1 - spec.batch_norm_decay
    return network.train()


def loss_of(spec: ImageNetSpec, outputs: Any, labels: Tensor) -> Tensor:
    """What a batch is trained on: cross-entropy with smoothed labels, and `auxiliary` times the auxiliary head's."""
    heads = [functional.cross_entropy(head.float(), labels, label_smoothing=spec.label_smoothing) for head in outputs]
    return heads[0] + spec.auxiliary * heads[1]


def buffers_of(network: nn.Module) -> Iterator[Tensor]:
    """The running statistics of a network's batch norms."""
    return (buffer for buffer in network.buffers() if buffer.is_floating_point())


class RMSProp(torch.optim.Optimizer):
    """RMSProp as TensorFlow has it, from memory: the mean square begins at 1, and epsilon stands under the root.

        mean_square = decay * mean_square + (1 - decay) * gradient^2
        velocity = momentum * velocity + rate * gradient / sqrt(mean_square + epsilon)
        weight = weight - velocity

    torch's own begins at 0, adds epsilon to the root, and multiplies by the rate after the momentum. With an epsilon of
    1 and a rate that changes these are other optimizers.
    """

    def __init__(self, groups: Any, rate: float, decay: float, momentum: float, epsilon: float):
        defaults = {"lr": rate, "decay": decay, "momentum": momentum, "epsilon": epsilon, "weight_decay": 0.0}
        super().__init__(groups, defaults)
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p] = {"mean_square": torch.ones_like(p), "velocity": torch.zeros_like(p)}

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step, by the gradients that the weights have."""
        for group in self.param_groups:
            weights = list(group["params"])
            squares = [self.state[p]["mean_square"] for p in weights]
            velocities = [self.state[p]["velocity"] for p in weights]
            gradients: Any = [p.grad for p in weights]
            if group["weight_decay"]:
                gradients = torch._foreach_add(gradients, weights, alpha=group["weight_decay"])
            torch._foreach_mul_(squares, group["decay"])
            torch._foreach_addcmul_(squares, gradients, gradients, value=1 - group["decay"])
            roots = torch._foreach_add(squares, group["epsilon"])
            torch._foreach_sqrt_(roots)
            torch._foreach_mul_(velocities, group["momentum"])
            torch._foreach_addcdiv_(velocities, gradients, roots, value=group["lr"])
            torch._foreach_sub_(weights, velocities)


def optimizer_of(spec: ImageNetSpec, network: nn.Module) -> RMSProp:
    """The optimizer of a run, with weight decay on the weights of convolutions and linear layers alone."""
    decayed = [m.weight for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    known = {id(p) for p in decayed}
    rest = [p for p in network.parameters() if id(p) not in known]
    groups = [{"params": decayed, "weight_decay": spec.weight_decay}, {"params": rest}]
    return RMSProp(groups, spec.learning_rate, spec.rms_decay, spec.momentum, spec.epsilon)
