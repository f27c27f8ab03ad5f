"""Speed of the training loop, as ratios: against plain PyTorch loops and against the matrix-multiply peak, in one run.

All on one thread, as runs are trained; the textbook loop's two DataLoader workers come on top of its one. The three
loops train the same network on the same batches' worth of images, each in a process of its own; they take turns, and
medians are compared.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode

from rethinking import models
from rethinking.data import ImageSet, synthetic
from rethinking.engines.local import command, worker_environment
from rethinking.errors import InputError
from rethinking.layers import Linear, LocalResponseNorm
from rethinking.precision import products
from rethinking.spec import RunSpec
from rethinking.training import Training, crop, whiten
from rethinking.training.batches import to_device

PAPER_NETWORKS = ["inception", "inception-nobn", "alexnet", "mlp-3x512", "mlp-1x512"]
BATCHES = 20  # of distinct images
ROUND = 1.0  # seconds that each loop's turn lasts, roughly
PEAK_SIZE = 2048
WARM_UP = 5  # steps
LOOPS = ("ours", "textbook", "resident", "peak")


class TextbookSet(Dataset):
    """A map-style data set that crops and whitens each image when it is asked for."""

    def __init__(self, images: ImageSet):
        self.images, self.labels = images.train

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = torch.from_numpy(crop(self.images[index : index + 1]).copy()).permute(0, 3, 1, 2)
        return whiten(image)[0], int(self.labels[index])


def plain_network(name: str, images: ImageSet) -> nn.Module:
    """The same network and initial weights, with torch's own layers, NCHW."""
    shape = crop(images.train.images).shape
    network = models.initialise(models.build(name, images.facts.num_classes, shape[3], shape[1]), seed=0)
    for module in list(network.modules()):
        for child_name, child in module.named_children():
            if isinstance(child, LocalResponseNorm):
                theirs: nn.Module = nn.LocalResponseNorm(child.size, child.alpha, child.beta, child.k)
            elif isinstance(child, Linear):
                theirs = nn.Linear(child.in_features, child.out_features)
                theirs.load_state_dict(child.state_dict())
            else:
                continue
            setattr(module, child_name, theirs)
    return network


def flops(network: nn.Module, images: Tensor) -> int:
    """Floating-point operations of one training step on images, (B, C, H, W): convolutions and linear layers, exactly.

    Forward, gradients of weights, and gradients of inputs except where the input is the image; 2 per multiply-add;
    padding counts as the zeros it multiplies.
    """
    with FlopCounterMode(display=False) as counter:
        network(images).sum().backward()
    return counter.get_total_flops()


def _ours(name: str, images: ImageSet, precision: str, device: str) -> Iterator[None]:
    spec = RunSpec.make(model=name, n=len(images.train.labels), precision=precision)
    training = Training(spec, images, device)
    while True:
        training.train_step()
        yield


def _plain_step(network: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor) -> None:
    optimizer.zero_grad()
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    optimizer.step()
    loss.item()  # as a loop that prints its running loss does


def _textbook(name: str, images: ImageSet, device: str) -> Iterator[None]:
    network = plain_network(name, images).to(device)
    optimizer = torch.optim.SGD(network.parameters(), lr=_rate(name), momentum=0.9)
    loader = DataLoader(TextbookSet(images), batch_size=128, shuffle=True, num_workers=2, persistent_workers=True)
    while True:
        for batch, labels in loader:
            _plain_step(network, optimizer, batch.to(device), labels.to(device))
            yield


def _resident(name: str, images: ImageSet, device: str) -> Iterator[None]:
    network = plain_network(name, images).to(device)
    optimizer = torch.optim.SGD(network.parameters(), lr=_rate(name), momentum=0.9)
    pixels = whiten(torch.from_numpy(crop(images.train.images).copy())).permute(0, 3, 1, 2).contiguous().to(device)
    labels = torch.from_numpy(images.train.labels).to(device)
    while True:
        for batch in torch.randperm(len(labels)).split(128):
            _plain_step(network, optimizer, pixels[batch], labels[batch])
            yield


def _rate(name: str) -> float:
    rate = RunSpec.make(model=name).learning_rate
    assert rate is not None  # it has one by default
    return rate


def _peak(precision: str, device: str) -> Iterator[None]:
    """A square matrix product, by the layer that is fastest at it here."""
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    layer = Linear(PEAK_SIZE, PEAK_SIZE, bias=False).to(device, dtype)
    x = torch.randn(PEAK_SIZE, PEAK_SIZE).to(device, dtype)
    while True:
        with torch.no_grad(), products(x.device, precision):
            layer(x)
        yield


def measure(names: Sequence[str], *, rounds: int, precision: str, device: str = "cpu") -> dict[str, Any]:
    """Time the loops.

    Args:
        names: networks. rounds: turns that each loop gets. precision: of our loop and of the peak; the plain loops
            are float32.

    Returns:
        {"precision", "peak_gflops", "networks": {name: {"images_per_second": {loop: float}, "vs_textbook",
        "vs_resident", "gflop_per_image", "of_peak"}}}, medians over the rounds.
    """
    to_device(device)
    RunSpec.make(precision=precision)
    images = synthetic("cifar10", BATCHES * 128)
    shape = crop(images.train.images).shape
    results: dict[str, Any] = {"precision": precision, "device": device, "threads": 1 if device == "cpu" else None}
    peaks: list[float] = []
    results["networks"] = {}
    for name in names:
        with ExitStack() as stack:
            loops = {k: stack.enter_context(_Loop(k, name, precision, device)) for k in LOOPS}
            for loop in loops.values():  # the first steps include starting up
                loop.steps(WARM_UP)
            counts = {k: max(1, round(ROUND / loop.steps(WARM_UP))) for k, loop in loops.items()}
            seconds: dict[str, list[float]] = {k: [] for k in loops}
            for _ in range(rounds):
                for k, loop in loops.items():
                    seconds[k].append(loop.steps(counts[k]))
        median = {k: statistics.median(v) for k, v in seconds.items()}
        peak = 2 * PEAK_SIZE**3 / median["peak"]
        peaks.append(peak)
        work = flops(plain_network(name, images), torch.zeros(2, shape[3], shape[1], shape[2])) / 2
        results["networks"][name] = {
            "images_per_second": {k: 128 / median[k] for k in ("ours", "textbook", "resident")},
            "vs_textbook": median["textbook"] / median["ours"],
            "vs_resident": median["resident"] / median["ours"],
            "gflop_per_image": work / 1e9,
            "of_peak": work * 128 / median["ours"] / peak,
        }
    results["peak_gflops"] = statistics.median(peaks) / 1e9
    return results


class _Loop:
    """One loop in a process of its own: ours started as the engine starts a worker, the others as anybody's script.

    A context manager; the process waits, using no time, while it is not asked for steps.
    """

    def __init__(self, kind: str, name: str, precision: str, device: str):
        self.what = f"{kind} {name} {precision} {device}"
        self.command = command("bench", kind, name, precision, device)
        self.environment = worker_environment(device) if kind == "ours" else dict(os.environ)

    def __enter__(self) -> "_Loop":
        self.process = subprocess.Popen(
            self.command,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a terminal's Ctrl-C is the parent's to handle; then this one's input ends
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()

    def steps(self, count: int) -> float:
        """Seconds per step over `count` steps."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(count, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise InputError(f"the benchmark's loop ended early ({self.what}): its error is above")
        return float(answer)


def main(kind: str, name: str, precision: str, device: str) -> None:
    """Answer each count of steps on standard input with the seconds per step."""
    if device == "cpu":
        torch.set_num_threads(1)
    images = synthetic("cifar10", BATCHES * 128)
    loop = {
        "ours": lambda: _ours(name, images, precision, device),
        "textbook": lambda: _textbook(name, images, device),
        "resident": lambda: _resident(name, images, device),
        "peak": lambda: _peak(precision, device),
    }[kind]()
    for line in sys.stdin:
        start = time.perf_counter()
        for _ in range(int(line)):
            next(loop)
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        print((time.perf_counter() - start) / int(line), flush=True)


def table(results: dict[str, Any]) -> str:
    """The results as text."""
    lines = [
        f"{results['device']}{', 1 thread' if results['threads'] else ''}, {results['precision']}; "
        f"matrix-multiply peak {results['peak_gflops']:.0f} GFLOP/s",
        f"{'network':<16}{'images/s':>10}{'textbook':>10}{'resident':>10}"
        f"{'x textbook':>12}{'x resident':>12}{'of peak':>9}",
    ]
    for name, row in results["networks"].items():
        rate = row["images_per_second"]
        lines.append(
            f"{name:<16}{rate['ours']:>10.0f}{rate['textbook']:>10.0f}{rate['resident']:>10.0f}"
            f"{row['vs_textbook']:>11.2f}x{row['vs_resident']:>11.2f}x{100 * row['of_peak']:>7.0f} %"
        )
    return "\n".join(lines)
