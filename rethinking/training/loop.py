"""The one training loop. It yields an evaluation now and then, and writes nothing."""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rethinking import models, regularizers
from rethinking.data import ImageSet
from rethinking.data import load as load_data
from rethinking.errors import InputError
from rethinking.layers import OffsetBatchNorm2d, pool_before_relu
from rethinking.seeds import keyed_generator
from rethinking.spec import RunSpec, check_parts, crop_size
from rethinking.training.batches import (
    IMAGE_SIZE,
    crop,
    gather,
    one_logit,
    permutation,
    prepare,
    to_device,
    two_logits,
    whiten,
)
from rethinking.training.schedule import FITTED, PROBE, Schedule, log_every

EVAL_BATCH = 500  # images
STATISTICS_IMAGES = 10_000  # training images that batch-norm statistics are measured on, at most


def _nothing() -> None:
    """Where nobody asks to be called; a function of the module, so that a training can be pickled."""


@dataclass(frozen=True)
class Evaluation:
    """One row of a run's curve.

    Attributes:
        step: batches trained. epoch: passes over the training set. learning_rate: of the next batch.
        train_loss, train_accuracy: over the training set as it was trained (with its corruption), nats and fraction, in
        evaluation mode. test_loss, test_accuracy: over the first `test_images` test images.
        online_loss, online_accuracy: means over the training batches since the last evaluation, as they were seen
        (augmented, in training mode; soft labels count as their likeliest class); NaN at step 0.
        held_out_loss, held_out_accuracy: over the images held out, whose labels are corrupted like the rest; None
        without any. train_images: how many, the first ones, train_loss and train_accuracy are over; None where that is
        always the whole training set.
    """

    step: int
    epoch: float
    learning_rate: float
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    test_images: int
    online_loss: float
    online_accuracy: float
    held_out_loss: float | None = None
    held_out_accuracy: float | None = None
    train_images: int | None = None

    def as_row(self) -> dict[str, Any]:
        """The attributes, in order, but for what is None."""
        return {k: v for k, v in asdict(self).items() if v is not None}


class Training:
    """One run: a network, its data on the device, and the loop.

        network = r.network(network)                      layers replaced: dropout, stochastic depth, norm ...
        groups  = r.parameters(network, groups)           optimizer groups: weight decay
        for images, labels in batches:
            images, labels = r.batch(images, labels, generator)        augmentation, on the original images
            (whitened here where a regularizer has asked for the original images; whitened to begin with elsewhere)
            images, labels = r.batch(images, labels, generator)        label disturbance, smoothing
            loss = cross_entropy(network(images), labels) + r.penalty(network)
            loss.backward()
            r.gradient(network)                                        gradient noise
            optimizer.step()
            r.after_step(network)                                      max-norm, L1's proximal step

    for every regularizer r of the spec in turn; each seam is a no-op unless a regularizer overrides it.

    Args:
        spec: what to train. data: the data set, loaded when not given. device: a torch device's name; from here on the
        whole process has one thread, where that is the CPU, or no TF32, where it is a GPU.

    Attributes:
        network: the module being trained. side: of the images that it sees, in pixels.
        log: the online log, [step, sum of losses, right, images] of the batches since the line before.
        schedule: when it is evaluated. fitted: an evaluation found every training example right, and the spec stops
        there. diverged_at: the step (from 1) of the first loss that was not finite, of a batch or,
        after that step, of an evaluation.

    Raises:
        InputError: no data on disk, data that are not the spec's, a device that is not there, a regularizer that the
        network cannot carry.
    """

    def __init__(self, spec: RunSpec, data: ImageSet | None = None, device: str = "cpu"):
        self.spec, self.device = spec, to_device(device)
        if self.device.type == "cpu":
            torch.set_num_threads(1)  # so that a result does not depend on how many workers there are
        elif self.device.type == "cuda":
            torch.backends.cudnn.allow_tf32 = False  # convolutions in float32 are in float32, as all else
        self.data = data = data or load_data(spec.data)
        assert spec.n is not None
        if data.name != spec.data or len(data.train.labels) < spec.n:
            given = f"{len(data.train.labels):,} training images of {data.name}"
            raise InputError(f"the spec is of {spec.n:,} of {spec.data}, given are {given}: give the data of the spec")
        height, width = data.test.images.shape[1:3]
        self.side = min(height, width, crop_size(spec.data, spec.crop) or height)
        if "crop_logits" in spec.keep and min(height, width) <= self.side:
            raise InputError(f"keep is crop_logits: images of {height} x {width} pixels leave nothing to crop: drop it")
        self.train_images, self.train_labels = prepare(data, spec, "train", self.device)
        self.test_images, self.test_labels = prepare(data, spec, "test", self.device)
        trained = torch.arange(len(self.train_labels) - spec.held_out, device=self.device)
        self.held_images, self.held_labels = self.train_images[len(trained) :], self.train_labels[len(trained) :]
        if spec.bootstrap:
            draws = keyed_generator("cpu", spec.seed, "bootstrap")
            trained = torch.randint(len(trained), trained.shape, generator=draws).to(self.device)
        if spec.held_out or spec.bootstrap:
            self.train_images, self.train_labels = gather(self.train_images, trained), self.train_labels[trained]
        self.generator = keyed_generator(self.device, spec.seed, "training")
        signs = one_logit(spec)
        margin = min(height, width) - self.side
        self.run = regularizers.Run(2 if signs else data.facts.num_classes, self.generator, spec.momentum, margin)
        self.regularizers = [regularizers.build(part, self.run) for part in spec.regularizers]
        self.originals: Tensor | None = None  # uint8 (N, C, H, W), uncropped, where a regularizer wants them
        if any(r.wants_originals for r in self.regularizers):
            self.originals = torch.from_numpy(data.train.images[: spec.n]).to(self.device).permute(0, 3, 1, 2)
            self.originals = self.originals[trained] if spec.held_out or spec.bootstrap else self.originals

        network = self._built(1 if signs else data.facts.num_classes)
        self.network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if not any(isinstance(m, nn.Conv2d) for m in self.network.modules()):  # nothing gains from channels_last
            self.train_images, self.test_images = self.train_images.contiguous(), self.test_images.contiguous()

        groups: regularizers.Groups = [{"params": [p for p in self.network.parameters() if p.requires_grad]}]
        for r in self.regularizers:
            groups = r.parameters(self.network, groups)
        self.optimizer = torch.optim.SGD(groups, lr=spec.rate_at(0), momentum=spec.momentum, fused=True)

        self.step = 0
        self.schedule = Schedule(spec)
        self.log: list[list[float]] = []
        self.fitted = False
        self.diverged_at: int | None = None
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)
        self._on_part: Callable[[], None] = _nothing
        self._first_bad = torch.zeros((), dtype=torch.int64, device=self.device)  # 0: every loss was finite
        self._online = torch.zeros(3, dtype=torch.float64, device=self.device)  # loss, right, seen
        self._line = self._online.clone()  # the same, since the last line of the log

    def _built(self, classes: int) -> nn.Module:
        """The network with its regularizers and initial weights, on the CPU: the same for every device."""
        spec, (channels, size) = self.spec, self.train_images.shape[1:3]
        with torch.random.fork_rng(devices=[]):  # layers draw weights when made, which `initialise` then replaces
            network = models.build(spec.model, classes, channels, size, **spec.model_options)
            if size != IMAGE_SIZE:
                self._tried(network, channels, size)
            check_parts(spec.regularizers, spec.corruptions, spec.model, models.features(network))
            for r in self.regularizers:
                network = r.network(network)
                if not isinstance(network, nn.Module):
                    given = type(network).__name__
                    raise InputError(f"network of the regularizer {_name(r)} gives {given}, no torch Module: mend it")
        models.initialise(network, spec.seed)
        pool_before_relu(network)
        return network

    def _tried(self, network: nn.Module, channels: int, size: int) -> None:
        """Refuse a network that cannot take the images, before anything is trained."""
        image = torch.zeros(1, channels, size, size)
        try:
            with torch.no_grad():
                copy.deepcopy(network).eval()(image)
        except (RuntimeError, ValueError, IndexError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"{self.spec.model} cannot take images of {size} x {size} pixels ({reason}): give --crop {IMAGE_SIZE}, "
                "or another network"
            ) from None

    # --- the loop ---------------------------------------------------------------------------------

    def evaluations(
        self, on_step: Callable[[int], None] = lambda step: None, on_part: Callable[[], None] = _nothing
    ) -> Iterator[Evaluation]:
        """Train to the end of the spec, from wherever `restore` has put it.

        Args:
            on_step: called with the number of steps done after each. on_part: called within an evaluation, every few
            hundred images. What they raise ends the loop, and `state` is then good to go on from.

        Yields:
            An Evaluation at step 0, where the schedule has one, and at the end, which uses all test images; after
            `restore`, those that come after the state's.
        """
        self._on_part = on_part
        while True:
            if self.schedule.due(self.step):
                yield self.evaluate()
            if self.finished:
                self._on_part = _nothing  # what is measured from now on is no part of the run
                return
            self.train_step()
            on_step(self.step)

    @property
    def finished(self) -> bool:
        """Whether the spec's end is reached."""
        return self.step >= self.spec.steps or self.diverged_at is not None or self.fitted

    def train_step(self) -> None:
        """One batch: the loop drawn above."""
        spec = self.spec
        epoch, place = divmod(self.step, spec.epoch_steps)
        if epoch != self._epoch:
            self._order = permutation(len(self.train_labels), spec.seed, epoch).to(self.device)
            self._epoch = epoch
        batch = self._order[place * spec.batch_size : (place + 1) * spec.batch_size]
        labels = self.train_labels[batch]
        images = gather(self.train_images if self.originals is None else self.originals, batch).float()
        self.run.step, self.run.rate = self.step, spec.rate_at(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = self.run.rate

        for r in self.regularizers:
            if r.wants_originals:
                images, labels = self._changed(r, images, labels)
        if self.originals is not None:
            images = whiten(crop(images.permute(0, 2, 3, 1), self.side)).permute(0, 3, 1, 2)
        for r in self.regularizers:
            if not r.wants_originals:
                images, labels = self._changed(r, images, labels)
        with self._autocast():
            logits = two_logits(self.network(images))
        loss = F.cross_entropy(logits.float(), labels)
        for r in self.regularizers:
            penalty = r.penalty(self.network)
            loss = loss if penalty is None else loss + penalty
        self.optimizer.zero_grad()
        loss.backward()
        for r in self.regularizers:
            r.gradient(self.network)
        self.optimizer.step()
        with torch.no_grad():
            for r in self.regularizers:
                r.after_step(self.network)

        self.step += 1
        self._count(logits.detach(), labels, loss.detach())

    def _changed(self, regularizer: regularizers.Base, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The batch as a regularizer has changed it."""
        result = regularizer.batch(images, labels, self.generator)
        if not isinstance(result, tuple) or len(result) != 2 or not 0 < len(result[0]) == len(result[1]):
            who = f"batch of the regularizer {_name(regularizer)}"
            raise InputError(f"{who} must give images and labels, as many of each: mend it")
        return result

    def _count(self, logits: Tensor, labels: Tensor, loss: Tensor) -> None:
        """Add a batch to the online means, on the device: nothing here waits for it."""
        target = labels if labels.ndim == 1 else labels.argmax(1)
        right = (logits.argmax(1) == target).sum()
        size = len(target)
        self._online[0] += loss * size
        self._online[1] += right
        self._online[2] += size
        self._line += torch.stack([loss * size, right, torch.full_like(loss, size)])
        if self.step % log_every(self.spec) == 0 or self.step == self.spec.steps:
            line = self._line.tolist()
            self.log.append([self.step, *line])
            self.schedule.logged(int(line[1]), int(line[2]))
            self._line.zero_()
        bad = (self._first_bad == 0) & ~loss.isfinite()
        self._first_bad += bad * self.step

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.spec.precision == "bfloat16")

    # --- evaluation -------------------------------------------------------------------------------

    def evaluate(self) -> Evaluation:
        """Measure the network as it is now, with batch-norm statistics that belong to its present weights."""
        spec, schedule = self.spec, self.schedule
        online = self._online.tolist()
        seen = online[2]
        self.diverged_at = int(self._first_bad) or None
        self.network.eval()
        found, whole, images = schedule.found, True, len(self.train_labels)
        if spec.evaluation == "probe" and images > PROBE:
            train_loss, train_accuracy = self._measure_training(PROBE, PROBE)
            whole = self.diverged_at is not None or schedule.whole(self.step, train_accuracy)
            images = images if whole else PROBE
        if whole:
            train_loss, train_accuracy = self._measure_training(images, STATISTICS_IMAGES)
        if self.diverged_at is None and not math.isfinite(train_loss):  # the last step before this took it away
            self.diverged_at = max(self.step, 1)
        self.fitted = spec.stop == "fitted" and whole and train_accuracy == 1.0 and self.diverged_at is None
        at_fit = spec.evaluation == "probe" and not found and whole and train_accuracy >= FITTED
        size = len(self.test_labels) if self.finished or at_fit else min(spec.interim_test, len(self.test_labels))
        test_loss, test_accuracy = self._measure(self.test_images[:size], self.test_labels[:size])
        held_out = self._measure(self.held_images, self.held_labels) if spec.held_out else (None, None)
        self.network.train()
        self._online.zero_()
        schedule.evaluated(self.step, train_accuracy, whole and math.isfinite(train_loss))
        return Evaluation(
            step=self.step,
            epoch=self.step / spec.epoch_steps,
            learning_rate=spec.rate_at(self.step),
            train_loss=train_loss,
            train_accuracy=train_accuracy,
            test_loss=test_loss,
            test_accuracy=test_accuracy,
            test_images=size,
            online_loss=online[0] / seen if seen else math.nan,
            online_accuracy=online[1] / seen if seen else math.nan,
            held_out_loss=held_out[0],
            held_out_accuracy=held_out[1],
            train_images=images if spec.evaluation == "probe" else None,
        )

    def _measure_training(self, images: int, statistics: int) -> tuple[float, float]:
        batch_norm_statistics(self.network, self.train_images[:statistics], self._autocast, self._on_part)
        return self._measure(self.train_images[:images], self.train_labels[:images])

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """float32 (N, classes) for whitened images (N, C, H, W), in the network's present mode."""
        out = []
        for part in images.split(EVAL_BATCH):
            self._on_part()
            with self._autocast():
                out.append(two_logits(self.network(part)).float())
        return torch.cat(out)

    def _measure(self, images: Tensor, labels: Tensor) -> tuple[float, float]:
        logits = self.logits(images)
        if logits.shape != (len(images), self.run.num_classes):
            shape = tuple(logits.shape)
            raise InputError(
                f"{self.spec.model}: {len(images)} images give {shape}, not {self.run.num_classes} logits each"
            )
        loss = F.cross_entropy(logits, labels, reduction="none").double().mean()
        return loss.item(), (logits.argmax(1) == labels).double().mean().item()

    # --- state ------------------------------------------------------------------------------------

    def state(self) -> dict[str, Tensor]:
        """Everything that a later `restore` needs to go on to the last bit: after a step, or within an evaluation."""
        state = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        for name, parameter in self.network.named_parameters():
            momentum = self.optimizer.state.get(parameter, {}).get("momentum_buffer")
            if momentum is not None:
                state[f"momentum.{name}"] = momentum
        state["generator"] = self.generator.get_state()
        state |= {"online": self._online, "line": self._line, "first_bad": self._first_bad}
        state["log"] = torch.tensor(self.log, dtype=torch.float64).reshape(-1, 4)
        schedule = self.schedule
        state["schedule"] = torch.tensor([schedule.last, schedule.seen, schedule.found], dtype=torch.float64)
        state["ended"] = torch.tensor([int(self.fitted), self.diverged_at or 0])
        state["step"] = torch.tensor(self.step)
        return {k: v.detach().cpu().contiguous() for k, v in state.items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go back to a `state` of a run of the same spec."""
        prefix = "network."
        self.network.load_state_dict({k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)})
        for name, parameter in self.network.named_parameters():
            if f"momentum.{name}" in state:
                buffer = torch.empty_like(parameter).copy_(state[f"momentum.{name}"])
                self.optimizer.state[parameter]["momentum_buffer"] = buffer
        self.generator.set_state(state["generator"])
        self.step = int(state["step"])
        for name, own in (("online", self._online), ("line", self._line), ("first_bad", self._first_bad)):
            own.copy_(state[name])
        self.log = state["log"].tolist()
        last, seen, found = state["schedule"].tolist()
        self.schedule = Schedule(self.spec, int(last), seen, bool(found))
        fitted, diverged_at = state["ended"].tolist() if "ended" in state else (0, 0)  # before it was kept
        self.fitted, self.diverged_at = bool(fitted), diverged_at or None
        for _, _, right, images in self.log:
            self.schedule.logged(int(right), int(images))


def batch_norm_statistics(
    network: nn.Module,
    images: Tensor,
    autocast: Callable[[], Any] = torch.no_grad,
    on_part: Callable[[], None] = _nothing,
) -> None:
    """Measure the statistics of every batch norm for the present weights: the mean over `images`, batch by batch.

    A moving average lags behind weights that change fast: at n = 500 on Gaussian inputs a network that had fitted its
    training batches to 100 % evaluated to 9 %. Batch norms that keep one all the same are left alone, as is a network
    without any.
    """
    norms = [m for m in network.modules() if isinstance(m, OffsetBatchNorm2d) and m.momentum is None]
    if not norms:
        return
    was = [(m, m.training) for m in norms]
    for norm in norms:
        norm.train()
    seen = 0
    with torch.no_grad(), autocast():
        for part in images.split(EVAL_BATCH):
            on_part()
            seen += len(part)
            for norm in norms:
                norm.collecting = len(part) / seen
            network(part)
    for norm, training in was:
        norm.train(training)
        norm.collecting = None


def _name(regularizer: regularizers.Base) -> str:
    return type(regularizer).__module__.rpartition(".")[2]


def train(spec: RunSpec, data: ImageSet | None = None, device: str = "cpu") -> Iterator[Evaluation]:
    """Train one run from the beginning; see `Training`."""
    yield from Training(spec, data, device).evaluations()
