"""The training of an ImageNet run, in each of its processes alike: see rethinking.spec.Kind.

All processes hold the same weights, optimizer state and running statistics after every step:

- DistributedDataParallel takes the mean of the processes' gradients, each of its own part of the batch;
- batch norm normalizes each part by itself, and its running statistics are then the mean over the processes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from rethinking import precision
from rethinking.imagenet import reading
from rethinking.imagenet.network import buffers_of, build, loss_of, optimizer_of
from rethinking.seeds import keyed_generator
from rethinking.spec import Context, ImageNetSpec, Outcome, Rows, Unfit
from rethinking.training import bfloat16
from rethinking.training.network import apart, placed

TRIED = 8  # images that bfloat16 is tried on, at most
EVALUATED = 32  # images that a process evaluates at once, as many as it trains on, so that it stops as soon
NEVER = 2**53  # a step that no run reaches
STATISTICS = (
    "each process normalizes its own {part} images of a batch; running statistics are the mean over processes, "
    "decay {decay:g}"
)


@dataclass(frozen=True)
class Group:
    """The processes that train together. size: how many. rank: which this one is, from 0."""

    size: int = 1
    rank: int = 0

    def total(self, values: Tensor, how: Any = dist.ReduceOp.SUM) -> Tensor:
        """Of all processes, elementwise, in place; the same in each."""
        if self.size > 1:
            dist.all_reduce(values, how)
        return values


def group_here() -> Group:
    """That of this process, which is its own where no group was begun."""
    return Group(dist.get_world_size(), dist.get_rank()) if dist.is_initialized() else Group()


def told(spec: ImageNetSpec) -> dict[str, Any]:
    """What the record tells of how batches are shared."""
    part = spec.per_process
    shared = {"effective_batch": spec.batch_size, "processes": spec.processes, "batch_per_process": part}
    return shared | {"batch_norm_statistics": STATISTICS.format(part=part, decay=spec.batch_norm_decay)}


def check_precision(spec: ImageNetSpec, device: torch.device, made_with: str) -> None:
    """Raise InputError where a run is of bfloat16 and this machine is wrong in it: see rethinking.training.bfloat16.

    made_with: as there.
    """
    if spec.precision == "bfloat16":
        shape = (min(spec.per_process, TRIED), 3, spec.image_size, spec.image_size)
        images = torch.randn(shape, generator=keyed_generator("cpu", 0, "bfloat16 images"))
        images = images.to(device, memory_format=torch.channels_last)
        bfloat16.check_network(placed(build(spec), device), images, made_with, spec.network)


class Training:
    """A run in one of its processes.

    Args:
        spec: of as many processes as `group` has. folder: what it reads. device: of this process.

    Attributes:
        network: as built, without DistributedDataParallel's wrapper. step: batches trained. evaluated: the step of the
        last evaluation, -1 before the first. diverged_at: the first step, from 1, whose loss was not finite, as the
        last evaluation found it; None where there is none.
    """

    def __init__(self, spec: ImageNetSpec, folder: reading.Folder, device: torch.device, group: Group):
        self.spec, self.folder, self.device, self.group = spec, folder, device, group
        self.network = build(spec, group.rank).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = optimizer_of(spec, self.network)
        self.model: nn.Module = self.network
        if group.size > 1:
            # Else DDP groups the gradients anew after the first batch, and a resumed run sums them in another order.
            self.model = DistributedDataParallel(self.network, find_unused_parameters=True)
        self.step, self.evaluated = 0, -1
        self.diverged_at: int | None = None
        # Of this process since the last evaluation: loss, right among the first, among the first five, images; and the
        # first step, from 1, whose loss was not finite.
        self.seen = torch.zeros(4, dtype=torch.float64, device=device)
        self.bad = torch.tensor(NEVER, dtype=torch.int64, device=device)
        self.dropout: Any = self.network.dropout

    # --- a checkpoint ---------------------------------------------------------------------------------

    def state(self) -> dict[str, Tensor]:
        """All that the next step depends on, by name; what begins with "rank" is of this process alone."""
        state = {f"network/{name}": value for name, value in self.network.state_dict().items()}
        for name, p in self.network.named_parameters():
            state |= {f"{key}/{name}": value for key, value in self.optimizer.state[p].items()}
        state |= {"step": torch.tensor(self.step), "evaluated": torch.tensor(self.evaluated)}
        return state | {f"rank{self.group.rank}/seen": self.seen, f"rank{self.group.rank}/bad": self.bad}

    def restore(self, saved: dict[str, Tensor]) -> None:
        """Go on from a state. Raises Unfit where it is of another run."""
        own = self.state()
        ranks = {key for key in saved if key.startswith("rank")}
        if (
            saved.keys() - ranks != {key for key in own if not key.startswith("rank")}
            or len(ranks) != 2 * self.group.size
        ):
            raise Unfit(f"it has other parts, or is of {len(ranks) // 2} processes")
        for name, value in own.items():
            if saved[name].shape != value.shape or saved[name].dtype != value.dtype:
                raise Unfit(f"{name} is {saved[name].dtype} {tuple(saved[name].shape)}")
            value.copy_(saved[name])
        self.step, self.evaluated = int(saved["step"]), int(saved["evaluated"])
        bad = min(int(value) for name, value in saved.items() if name.endswith("/bad"))
        self.diverged_at = bad if bad < NEVER and self.evaluated == self.step else None

    # --- the loop -------------------------------------------------------------------------------------

    def rows(self, context: Context) -> Iterator[dict[str, Any]]:
        """The evaluations, from where the training is to its end, the same in each process."""
        parts = None
        while True:
            due = self.step % self.spec.eval_every == 0 or self.step == self.spec.steps
            if due and self.evaluated != self.step:
                row, parts = self.evaluate(context), None
                self.evaluated = self.step
                yield row
            if self.step == self.spec.steps or self.diverged_at is not None:
                return
            if parts is None:
                parts = self.folder.reader.batches(self.group.rank, self.step)
            self.train_step(*next(parts))
            context.on_step(self.step)

    def train_step(self, images: Tensor, labels: Tensor) -> None:
        """One batch, of which this process has a part."""
        images = images.to(self.device, non_blocking=True, memory_format=torch.channels_last)
        labels = labels.to(self.device, non_blocking=True)
        for each in self.optimizer.param_groups:
            each["lr"] = self.spec.rate_at(self.step)
        self.dropout.step = self.step
        self.optimizer.zero_grad()
        with precision.forward(self.device, self.spec.precision):
            outputs = self.model(images)
        loss = loss_of(self.spec, outputs, labels)
        with precision.products(self.device, self.spec.precision):
            loss.backward()
        self.optimizer.step()
        self._share_statistics()
        self.seen += sums(outputs[0].detach().float(), labels)
        self.step += 1
        found = torch.where(loss.detach().isfinite(), NEVER, self.step)
        self.bad.copy_(torch.minimum(self.bad, found))

    def _share_statistics(self) -> None:
        """Running statistics become their mean over the processes."""
        buffers = list(buffers_of(self.network))
        if self.group.size == 1 or not buffers:
            return
        mean = self.group.total(torch.cat([b.flatten() for b in buffers])) / self.group.size
        for buffer, part in zip(buffers, mean.split([b.numel() for b in buffers]), strict=True):
            buffer.copy_(part.view_as(buffer))

    # --- evaluation -----------------------------------------------------------------------------------

    def evaluate(self, context: Context) -> dict[str, Any]:
        """A row of the curve; what was seen online begins anew.

        Until its end the state is that from before it: what is stopped within it evaluates again.
        """
        bad = int(self.group.total(self.bad.clone(), dist.ReduceOp.MIN))
        self.diverged_at = bad if bad < NEVER else None
        last = self.step == self.spec.steps or self.diverged_at is not None
        train = self._measure(reading.MEASURED, reading.probe(self.spec, last), context)
        test = self._measure(reading.TESTED, range(self.spec.test), context)
        online = self.group.total(self.seen.clone()).tolist()
        self.seen.zero_()
        row: dict[str, Any] = {
            "step": self.step,
            "epoch": self.spec.epoch_at(self.step),
            "learning_rate": self.spec.rate_at(self.step),
        }
        for name, (loss, first, five, images) in (("train", train), ("test", test), ("online", online)):
            means = [value / images if images else float("nan") for value in (loss, first, five)]
            row |= dict(zip((f"{name}_loss", f"{name}_accuracy", f"{name}_top5"), means, strict=True))
        return row | {"train_images": int(train[3]), "test_images": int(test[3])}

    @torch.no_grad()
    def _measure(self, which: str, indices: Any, context: Context) -> list[float]:
        """Sums over examples in evaluation mode, each process taking every size-th: as `sums`."""
        self.network.eval()
        found = torch.zeros(4, dtype=torch.float64, device=self.device)
        mine = indices[self.group.rank :: self.group.size]
        batches = self.folder.reader.measured(which, mine, EVALUATED)
        for _ in range(0, len(indices), EVALUATED * self.group.size):  # as often in all, of which one may have less
            for images, labels in islice(batches, 1):
                with precision.forward(self.device, self.spec.precision):
                    logits = self.network(images.to(self.device, memory_format=torch.channels_last))
                found += sums(logits.float(), labels.to(self.device))
            context.on_step(self.step)
        self.network.train()
        return self.group.total(found).tolist()


def sums(logits: Tensor, labels: Tensor) -> Tensor:
    """float64 (4,): cross-entropy, right at first, right among the first five, images; of logits (N, classes)."""
    loss = functional.cross_entropy(logits, labels, reduction="none").double().sum()
    likely = logits.topk(min(5, logits.shape[1])).indices == labels[:, None]
    right = [likely[:, 0].sum(), likely.any(1).sum(), labels.new_tensor(len(labels))]
    return torch.stack([loss, *(count.double() for count in right)])


def run(spec: ImageNetSpec, context: Context) -> Rows:
    """The evaluations of a run in this process, from its beginning or from the state that the context has.

    `context.images` is a reading.Folder. Raises Unfit where the state is of another run.
    """
    folder: Any = context.images
    training = Training(spec, folder, context.device, group_here())
    if context.saved is not None:
        training.restore(context.saved)
    context.state = training.state
    yield from training.rows(context)
    status = "budget" if training.diverged_at is None else "diverged"
    weights = apart(training.network.state_dict())
    return Outcome(status, training.diverged_at, weights=weights)
