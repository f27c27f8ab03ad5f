"""What the figures of kernels share: features, the paper's norms, and the claims on what norms tell."""

from collections.abc import Callable
from itertools import product
from typing import Any

from rethinking.claims import spread
from rethinking.figures.kit import Claim, Frame, made

PIXELS, GABOR, RAW = "MNIST pixels", "MNIST Gabor", "CIFAR-10 pixels"
KERNELS: dict[str, dict[str, Any]] = {
    PIXELS: {"data": "mnist"},
    GABOR: {"data": "mnist", "features": "gabor"},
    RAW: {"data": "cifar10"},
}
PAPER_NORM, PAPER_ERROR = {PIXELS: 220, GABOR: 390}, {PIXELS: 1.2, GABOR: 0.6, RAW: 46}
PAPER = "norm about 220 and 1.2 % on pixels, 390 and 0.6 % with Gabor features"
ONE_WIDTH = f"one bandwidth a kernel; {PAPER.replace(' about', '')}"
DEPARTURES = [
    "The paper gives norms of about 220 and 390, and neither the kernel, nor the bandwidth, nor the targets that they "
    "are of. Ours are sqrt(tr alpha^T K alpha), the norm in the kernel's own space, of the ten functions together, for "
    "one-hot targets, 0 and 1, not centred. Only the order is compared.",
    "Gabor features: moduli at 2 scales and 8 orientations, averaged over 4 x 4 pixels. The paper gives no details. "
    "Pixels are whole images, bytes / 255, not whitened.",
]
BAND = [1.0, 2.0, 4.0]  # widths: gamma times the median squared distance
AFTER = "in every seed; a rule made after the runs on 12,000 images"


def size(n: int | None) -> str:
    """How many images, for a title; None: all."""
    return f"{n:,} training images (REDUCED)" if n else "all training images"


def by(t: Frame, coordinate: str, text: Callable[[Frame], str]) -> str:
    """A text for every value of a coordinate: "MNIST pixels: ...; MNIST Gabor: ..."."""
    return "; ".join(f"{value}: {text(part)}" for value, part in t.groups(coordinate).items())


def both(**columns: Any) -> Frame:
    """Made up: pixels and Gabor features, one seed."""
    return made(kernel=[PIXELS, GABOR], **columns)


def _pairs(name: str) -> Callable[[Frame], list[tuple[float, float]]]:
    """(Gabor, pixels) of a measure at every width and of every seed."""
    return lambda t: [
        pair
        for at in t.groups("width").values()
        for pair in zip(*(at.where(kernel=kernel).values(name) for kernel in (GABOR, PIXELS)), strict=True)
    ]


def _banded(name: str, *gabor: float) -> Frame:
    """Made up: at every width, one seed; 10 of pixels."""
    columns: dict[str, Any] = {name: [*gabor, 10.0, 10.0, 10.0], "width": BAND * 2}
    return made(kernel=[GABOR] * 3 + [PIXELS] * 3, **columns)


def _wrong_way(t: Frame) -> bool:
    raw, gabor = (t.where(kernel=kernel) for kernel in (PIXELS, GABOR))
    norms, errors = (list(product(gabor.values(m), raw.values(m))) for m in ("norm", "test_error"))
    return all(a >= 1.1 * b for a, b in norms) and all(a < b for a, b in errors)


def wrong_way(figure: str, **texts: Any) -> Claim:
    """The paper's: the larger norm has the smaller error. texts: of the claim, where among them."""
    return Claim(
        id=f"{figure}.norm",
        name="the norm goes the wrong way",
        source="zhang2017, section 5",
        statement="Gabor features have the larger norm and the smaller test error",
        paper=PAPER,
        rule="the norm is larger by a tenth or more and the error is smaller, in every seed; one rule sets the "
        "bandwidth of both",
        holds=_wrong_way,
        ours=lambda t: by(
            t, "kernel", lambda p: f"norm {spread(p.values('norm'), 0)}, error {p.spread('test_error')} %"
        ),
        numbers=lambda t: t.numbers_by("norm", "kernel", "norm, {}"),
        met=[both(norm=[100, 111], test_error=[1.2, 1.19])],
        missed=[both(norm=[100, 109], test_error=[1.2, 0.6]), both(norm=[100, 200], test_error=[1.2, 1.2])],
        **texts,
    )


def over_bandwidths(figure: str, least_n: int, **where: Any) -> list[Claim]:
    """Which of the paper's two conclusions on MNIST hold at every bandwidth.

    Args:
        where: further coordinates of the runs, besides "kernel" and "width".
    """
    texts: dict[str, Any] = {
        "source": "zhang2017, section 5, extended",
        "paper": ONE_WIDTH,
        "where": {"kernel": [PIXELS, GABOR], "width": BAND, **where},
        "least_n": least_n,
    }
    return [
        Claim(
            id=f"{figure}.bandwidth.norm",
            name="larger norm at every bandwidth",
            statement="Gabor features have the larger norm at every bandwidth",
            rule=f"at widths 1, 2, 4 the ratio of the norms, Gabor over pixels, is above 1 {AFTER}",
            finds=_pairs("norm"),
            holds=lambda pairs: all(a > b for a, b in pairs),
            ours=lambda pairs: f"ratio {', '.join(f'{a / b:.2f}' for a, b in pairs)} at widths 1, 2, 4",
            numbers=lambda pairs: {"ratio": [a / b for a, b in pairs]},
            met=[_banded("norm", 11.0, 10.1, 10.1)],
            missed=[_banded("norm", 20.0, 20.0, 10.0)],
            **texts,
        ),
        Claim(
            id=f"{figure}.bandwidth.error",
            name="smaller error at every bandwidth",
            statement="Gabor features have the smaller test error at every bandwidth",
            rule=f"at widths 1, 2, 4 the test error with Gabor features is below that on pixels {AFTER}",
            finds=_pairs("test_error"),
            holds=lambda pairs: all(a < b for a, b in pairs),
            ours=lambda pairs: f"{', '.join(f'{a:.2f} against {b:.2f} %' for a, b in pairs)} at widths 1, 2, 4",
            numbers=lambda pairs: {
                f"test error (%), {PIXELS}": [b for _, b in pairs],
                f"test error (%), {GABOR}": [a for a, _ in pairs],
            },
            met=[_banded("test_error", 9.9, 9.9, 1.0)],
            missed=[_banded("test_error", 1.0, 1.0, 10.0)],
            **texts,
        ),
    ]
