"""Speed of the training loop, as ratios: against plain PyTorch loops and against the matrix-multiply peak, in one run.

All on one thread, as runs are trained; the textbook loop's two DataLoader workers come on top of its one. The three
loops train the same network on the same batches' worth of images; they take turns, and medians are compared.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from rethinking import catalog, models
from rethinking.data import ImageSet, synthetic
from rethinking.layers import Linear, LocalResponseNorm
from rethinking.spec import RunSpec
from rethinking.training import Training, crop, whiten

PAPER_NETWORKS = ["inception", "inception-nobn", "alexnet", "mlp-3x512", "mlp-1x512"]
BATCHES = 20  # of distinct images
ROUND = 1.0  # seconds that each loop's turn lasts, roughly
PEAK_SIZE = 2048


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
                setattr(
                    module,
                    child_name,
                    nn.LocalResponseNorm(child.size, alpha=child.alpha, beta=child.beta, k=child.k),
                )
            elif isinstance(child, Linear):
                theirs = nn.Linear(child.in_features, child.out_features)
                theirs.load_state_dict(child.state_dict())
                setattr(module, child_name, theirs)
    return network


def flops(network: nn.Module, images: Tensor) -> int:
    """Floating-point operations of one training step on a batch: convolutions and linear layers, exactly.

    Forward, gradients of weights, and gradients of inputs except where the input is the image; 2 per multiply-add;
    padding counts as the zeros it multiplies.

    Args:
        network: any module. images: (B, C, H, W).
    """
    total = 0

    def count(layer: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        fan_in = layer.weight[0].numel()
        passes = 3 if inputs[0].requires_grad else 2
        total += passes * 2 * output.numel() * fan_in

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    network(images)
    for hook in hooks:
        hook.remove()
    return total


def _steps(loop: Iterator[Any], count: int, wait: Callable[[], None]) -> float:
    """Seconds per step over `count` steps."""
    wait()
    start = time.perf_counter()
    for _ in range(count):
        next(loop)
    wait()
    return (time.perf_counter() - start) / count


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
    return catalog.find("models", name).constants["PAPER"]["learning_rate"]


def _peak(precision: str, device: str) -> Iterator[None]:
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    a, b = (torch.randn(PEAK_SIZE, PEAK_SIZE).to(device, dtype) for _ in range(2))
    while True:
        torch.mm(a, b)
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
    if device == "cpu":
        torch.set_num_threads(1)

    def wait() -> None:
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)

    images = synthetic("cifar10", BATCHES * 128)
    peak_loop = _peak(precision, device)
    results: dict[str, Any] = {"precision": precision, "device": device, "threads": torch.get_num_threads()}
    peaks: list[float] = []
    results["networks"] = {}
    for name in names:
        loops = {
            "ours": _ours(name, images, precision, device),
            "textbook": _textbook(name, images, device),
            "resident": _resident(name, images, device),
            "peak": peak_loop,
        }
        counts = {k: max(1, round(ROUND / _warm(loop, wait))) for k, loop in loops.items()}
        seconds: dict[str, list[float]] = {k: [] for k in loops}
        for _ in range(rounds):
            for k, loop in loops.items():
                seconds[k].append(_steps(loop, counts[k], wait))
        median = {k: statistics.median(v) for k, v in seconds.items()}
        peak = 2 * PEAK_SIZE**3 / median["peak"]
        peaks.append(peak)
        shape = crop(images.train.images).shape
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


def _warm(loop: Iterator[Any], wait: Callable[[], None]) -> float:
    _steps(loop, 2, wait)
    return _steps(loop, 2, wait)


def table(results: dict[str, Any]) -> str:
    """The results as text."""
    lines = [
        f"{results['device']}, {results['threads']} thread, {results['precision']}; "
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
