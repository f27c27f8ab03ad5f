"""The one training loop. It yields an evaluation now and then, and writes nothing."""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rethinking import catalog, precision, regularizers, seeds
from rethinking.data import load as load_data
from rethinking.errors import InputError
from rethinking.files import reason
from rethinking.images import ImageSet, crop, whiten
from rethinking.layers import two_logits
from rethinking.seeds import keyed_generator
from rethinking.spec import FITTED, PROBE, STATISTICS, RunSpec, Unfit
from rethinking.training.batches import Tensors, laid_out, on_device, one_logit, originals, permutation, to_device
from rethinking.training.network import (
    Source,
    Wanted,
    apart,
    batch_norm_statistics,
    built,
    check_fit,
    check_one,
    gains_from_channels_last,
    name_of,
    placed,
    unlike,
)
from rethinking.training.rows import EVAL_BATCH, FORWARD_BATCH, Inputs, evaluated, gather, part_of, some_of
from rethinking.training.schedule import Evaluation, Schedule, log_every


def _nothing() -> None:
    """Where nobody asks to be called; a function of the module, so that a training can be pickled."""


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

    The package's own networks and regularizers draw from a generator of the run's. Those of anybody else may draw from
    the default generators of torch, Python and numpy, as torch.nn.Dropout does. What they draw at a step follows from
    the seed and the number of that step, and the generators are left as they were.

    Args:
        spec: what to train. data: the data set, loaded when not given, or `Tensors` of anybody's. device: a torch
        device's name; from here on the whole process has `threads` threads, where that is the CPU, or no TF32, where it
        is a GPU. network: a module to train a copy of, or a function that makes one; else the spec's own network.
        threads: the last bits of a curve depend on their number.

    Attributes:
        network: the module being trained. side: of the images that it sees, in pixels, the longer one; 0 for what has
        no sides. log: the online log, [step, sum of losses, right, images] of the batches since the line before.
        schedule: when it is evaluated. fitted, at_loss: an evaluation found every training example right, or a loss as
        low as the spec's, and the spec stops there. diverged_at: the step (from 1) of the first loss that was not
        finite, of a batch or, after that step, of an evaluation.

    Raises:
        InputError: no data on disk, data that are not the spec's, a device that is not there, a regularizer that the
        network cannot carry, a network that does not fit the data.
    """

    def __init__(
        self,
        spec: RunSpec,
        data: ImageSet | Tensors | None = None,
        device: str = "cpu",
        network: Source | None = None,
        threads: int = 1,
    ):
        self.spec, self.device = spec, to_device(device)
        if self.device.type == "cpu":
            torch.set_num_threads(threads)  # one unless told, so that workers beside it change nothing
        elif self.device.type == "cuda":
            torch.backends.cudnn.allow_tf32 = False  # convolutions in float32 are in float32, as all else
        self.data = data = data or load_data(spec.data)
        self._handed = not isinstance(data, ImageSet)

        examples = on_device(spec, data, self.device)
        self.generator = keyed_generator(self.device, spec.seed, "training")
        about = examples.num_classes, self.generator, spec.momentum, examples.margin, spec.initial_weights
        self.run = regularizers.Run(*about)
        self.regularizers = [regularizers.build(part, self.run) for part in spec.regularizers]
        parts = [("models", spec.model)] if network is None else []
        parts += [("regularizers", part.name) for part in spec.regularizers]
        foreign = [part for part in parts if catalog.find(*part).digest]  # of somebody else's
        self._foreign, self._own = network is not None or bool(foreign), network is not None or parts[0] in foreign
        wanted = any(r.wants_originals for r in self.regularizers)
        self.originals = originals(spec, data, examples) if wanted else None  # uint8 (N, C, H, W), uncropped

        self.side = max(examples.train[0].shape[2:], default=0)
        self.network = self.network_for(examples.train[0], network)
        planes = gains_from_channels_last(self.network)
        self._at_once = FORWARD_BATCH if planes and self.device.type == "cpu" and not self._foreign else EVAL_BATCH
        splits = (examples.train, examples.held, examples.test)
        self.train_images, self.held_images, self.test_images = (laid_out(images, planes) for images, _ in splits)
        self.train_labels, self.held_labels, self.test_labels = (labels for _, labels in splits)
        with seeds.untouched():
            if self._own or self._handed:
                in_a_file = self._own and network is None
                name = str(catalog.find("models", spec.model).path) if in_a_file else spec.model
                counted = self._handed and not one_logit(spec)  # only then can another number of classes be given
                few = part_of(self.train_images, 2)
                to_give = Wanted(name, self.run.num_classes, counted)
                check_fit(self.network, few, to_give, spec, lambda: self.network_for(few, network, plain=True))
            check_one(self.network, part_of(self.train_images, 1), spec)

        groups: regularizers.Groups = [{"params": [p for p in self.network.parameters() if p.requires_grad]}]
        for r in self.regularizers:
            groups = r.parameters(self.network, groups)
        self.optimizer = torch.optim.SGD(groups, lr=spec.rate_at(0), momentum=spec.momentum, fused=True)

        self._in_precision = partial(precision.forward, self.device, spec.precision)
        self.step = 0
        self.schedule = Schedule(spec)
        self.log: list[list[float]] = []
        self.fitted = self.at_loss = False
        self.diverged_at: int | None = None
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)
        self._on_part: Callable[[], None] = _nothing
        self._first_bad = torch.zeros((), dtype=torch.int64, device=self.device)  # 0: every loss was finite
        self._online = torch.zeros(3, dtype=torch.float64, device=self.device)  # loss, right, seen
        self._line = self._online.clone()  # the same, since the last line of the log

    def network_for(self, images: Inputs, own: Source | None, plain: bool = False) -> nn.Module:
        """As training on such images begins, on the device; own: instead of the spec's; plain: without regularizers."""
        spec, parts = (self.spec.replace(regularizers=()), []) if plain else (self.spec, self.regularizers)
        logits, shape = 1 if one_logit(self.spec) else self.run.num_classes, tuple(images.shape[1:])
        few = part_of(images, 2).cpu() if self._own else None
        return placed(built(spec, parts, shape, logits, own, few), self.device)

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
            with self._untouched():
                while True:
                    self._train_step()
                    on_step(self.step)
                    if self.finished or self.schedule.due(self.step):
                        break

    @property
    def status(self) -> str:
        """How the run has ended, or will if nothing stops it before: as of an Outcome."""
        return "diverged" if self.diverged_at else "fitted" if self.fitted else "stopped" if self.at_loss else "budget"

    @property
    def finished(self) -> bool:
        """Whether the spec's end is reached."""
        return self.step >= self.spec.steps or self.status != "budget"

    def train_step(self) -> None:
        """One batch: the loop drawn above."""
        with self._untouched():
            self._train_step()

    def _train_step(self) -> None:
        spec = self.spec
        if self._foreign:
            seeds.reseed(seeds.number(7, spec.seed, "step", self.step))
        epoch, place = divmod(self.step, spec.epoch_steps)
        if epoch != self._epoch:
            self._order = permutation(len(self.train_labels), spec.seed, epoch).to(self.device)
            self._epoch = epoch
        batch = self._order[place * spec.batch_size : (place + 1) * spec.batch_size]
        labels = self.train_labels[batch]
        images = gather(self.train_images, batch) if self.originals is None else gather(self.originals, batch).float()
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
        logits, loss = self._forward(images, labels)
        self.optimizer.zero_grad()
        self.run.loss = lambda: self._forward(images, labels)[1]
        with precision.products(self.device, spec.precision):
            loss.backward()
            for r in self.regularizers:
                r.gradient(self.network)
        self.run.loss = regularizers.no_batch
        self.optimizer.step()
        with torch.no_grad():
            for r in self.regularizers:
                r.after_step(self.network)

        self.step += 1
        self._count(logits.detach(), labels, loss.detach())

    def _forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and loss of a batch, in the run's precision, with every penalty."""
        with self._in_precision():
            logits = two_logits(self.network(images))
        loss = F.cross_entropy(logits.float(), labels)
        for r in self.regularizers:
            penalty = r.penalty(self.network)
            loss = loss if penalty is None else loss + penalty
        return logits, loss

    def _changed(self, regularizer: regularizers.Base, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The batch as a regularizer has changed it."""
        result = regularizer.batch(images, labels, self.generator)
        if not isinstance(result, tuple) or len(result) != 2 or not 0 < len(result[0]) == len(result[1]):
            who = f"batch of the regularizer {name_of(regularizer)}"
            raise InputError(f"{who} must give images and labels, as many of each: mend it")
        return result

    def _count(self, logits: Tensor, labels: Tensor, loss: Tensor) -> None:
        """Add a batch to the online means, on the device: nothing here waits for it."""
        target = labels if labels.ndim == 1 else labels.argmax(1)
        right, size = (logits.argmax(1) == target).sum(), len(target)
        self._online[0] += loss * size
        self._online[1] += right
        self._online[2] += size
        self._line += torch.stack([loss * size, right, torch.full_like(loss, size)])
        if self.step % log_every(self.spec) == 0 or self.step == self.spec.steps:
            line = self._line.tolist()
            self.log.append([self.step, *line])
            self.schedule.logged(int(line[1]), int(line[2]))
            self._line.zero_()
        self._first_bad += ((self._first_bad == 0) & ~loss.isfinite()) * self.step

    def _untouched(self) -> AbstractContextManager[None]:
        return seeds.untouched() if self._foreign else nullcontext()

    def _seeded(self, what: str) -> AbstractContextManager[None]:
        """Where a network draws when it is evaluated, what it draws depends on the run alone."""
        return seeds.seeded(self.spec.seed, what, self.step) if self._foreign else nullcontext()

    # --- evaluation -------------------------------------------------------------------------------

    def evaluate(self) -> Evaluation:
        """Measure the network as it is now, with batch-norm statistics that belong to its present weights."""
        spec, schedule = self.spec, self.schedule
        lost, right, seen = self._online.tolist()
        self.diverged_at = int(self._first_bad) or None
        self.network.eval()
        found, whole, images = schedule.found, True, len(self.train_labels)
        if spec.evaluation == "probe" and images > PROBE:
            train_loss, train_accuracy = self._measure_training(PROBE, PROBE)
            whole = self.diverged_at is not None or schedule.whole(self.step, train_accuracy, train_loss)
            images = images if whole else PROBE
        if whole:
            train_loss, train_accuracy = self._measure_training(images, STATISTICS)
        if self.diverged_at is None and not math.isfinite(train_loss):
            self.diverged_at = max(self.step, 1)  # the last step before this took it away
        self.fitted = whole and spec.stop == "fitted" and train_accuracy == 1.0 and self.diverged_at is None
        self.at_loss = whole and train_loss <= (spec.stop_loss or -1) and self.diverged_at is None
        at_fit = spec.evaluation == "probe" and not found and whole and train_accuracy >= FITTED
        size = len(self.test_labels) if self.finished or at_fit else min(spec.interim_test, len(self.test_labels))
        test_loss, test_accuracy = self._measure(*some_of(self.test_images, self.test_labels, size, self._handed))
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
            online_loss=lost / seen if seen else math.nan,
            online_accuracy=right / seen if seen else math.nan,
            held_out_loss=held_out[0],
            held_out_accuracy=held_out[1],
            train_images=images if spec.evaluation == "probe" else None,
        )

    def _measure_training(self, images: int, statistics: int) -> tuple[float, float]:
        with self._seeded("statistics"):
            part, _ = some_of(self.train_images, self.train_labels, statistics, self._handed)
            batch_norm_statistics(self.network, part, self._in_precision, self._on_part, self._foreign)
        return self._measure(*some_of(self.train_images, self.train_labels, images, self._handed))

    @torch.no_grad()
    def logits(self, images: Inputs) -> Tensor:
        """float32 (N, classes) for whitened images (N, C, H, W), in the network's present mode."""
        out, size = [], EVAL_BATCH if self.network.training else self._at_once  # norms may measure a batch in training
        with self._seeded("logits"):
            for part in evaluated(images, self._foreign):
                self._on_part()
                with self._in_precision():
                    few = part.split(size) if len(part) > size else (part,)
                    out += [two_logits(self.network(some)).float() for some in few]
        return torch.cat(out)

    def _measure(self, images: Inputs, labels: Tensor) -> tuple[float, float]:
        if not len(labels):
            return math.nan, math.nan
        logits = self.logits(images)
        if logits.shape != (len(images), self.run.num_classes):
            given = f"{len(images)} images give {tuple(logits.shape)}"
            raise InputError(f"{self.spec.model}: {given}, not {self.run.num_classes} logits each")
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
        state["schedule"] = torch.tensor(self.schedule.state, dtype=torch.float64)
        state["ended"] = torch.tensor([self.fitted + 2 * self.at_loss, self.diverged_at or 0])
        state["step"] = torch.tensor(self.step)
        return apart(state)

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go back to a `state` of a run of the same spec.

        Raises:
            Unfit: it is of another run, or cannot be. The training is then of no use.
        """
        own = self.state() | {f"momentum.{name}": parameter for name, parameter in self.network.named_parameters()}
        own["log"] = own["log"].new_empty((*state.get("log", own["log"]).shape[:1], 4))
        own = {
            name: tensor for name, tensor in own.items() if name in state or not name.startswith(("momentum.", "ended"))
        }
        problem = unlike(state, own)
        if problem is None and not 0 <= int(state["step"]) <= self.spec.steps:
            problem = f"step is {int(state['step'])}"
        if problem:
            raise Unfit(problem)
        try:
            self._restore(state)
        except (ValueError, ArithmeticError, RuntimeError) as error:  # a number that is none, a generator's bad state
            raise Unfit(reason(error)) from None

    def _restore(self, state: dict[str, Tensor]) -> None:
        self.network.load_state_dict(
            {k.removeprefix("network."): v for k, v in state.items() if k.startswith("network.")}
        )
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
        ended, diverged_at = state["ended"].tolist() if "ended" in state else (0, 0)  # before it was kept
        self.fitted, self.at_loss, self.diverged_at = bool(ended & 1), bool(ended & 2), diverged_at or None
        for _, _, right, images in self.log:
            self.schedule.logged(int(right), int(images))
