"""What an ImageNet run takes: counted operations over an assumed speed, of no run measured. No torch is imported."""

from typing import Any

from rethinking.engines.progress import duration, rounded
from rethinking.machine import cores
from rethinking.spec import ImageNetSpec

# Floating-point operations of a training step for one image of 299 x 299, forward and backward, counted by
# torch.utils.flop_counter; small networks are taken as such a share of it.
OPERATIONS = {"inception_v3": 34.3e9, "small": 5e7, "small-nobn": 5e7}
FORWARD = 1 / 3  # of it, in an evaluation
SPEED = {"cuda": 50e12, "cpu": 50e9}  # operations a second that a GPU, or a core, is assumed to keep up
# Seconds of a core, measured on one core of a server of 2025 with a made-up JPEG image of 500 x 375 pixels, 299 wanted.
DECODED, AUGMENTED, CENTRED = 0.8e-3, 8e-3, 1e-3


def evaluated(spec: ImageNetSpec) -> int:
    """Images that the evaluations of a run measure."""
    interim = spec.steps // spec.eval_every * (min(spec.interim_train, spec.n) + spec.test)
    return interim + spec.n + spec.test


def images_of(spec: ImageNetSpec) -> float:
    """Images of training that a run is worth, evaluations included."""
    return spec.steps * spec.batch_size + FORWARD * evaluated(spec)


def reading_seconds(spec: ImageNetSpec) -> float:
    """Seconds of a core that the images of a run take to be read and made what the network sees."""
    trained = spec.steps * spec.batch_size * (DECODED + (AUGMENTED if spec.augmentation else CENTRED))
    return trained + evaluated(spec) * (DECODED + CENTRED)


def device_seconds(spec: ImageNetSpec, kind: str) -> float:
    """Seconds that a run takes of one GPU, "cuda", or one core, "cpu"."""
    each = OPERATIONS[spec.network] * (spec.image_size / 299) ** 2
    return images_of(spec) * each / SPEED[kind]


def estimate(spec: ImageNetSpec, device: str, known: Any) -> tuple[float, float]:
    """Seconds of a run on as many GPUs as it has processes, or on the cores that there are; expected, and at most."""
    kind = device.partition(":")[0]
    count = spec.processes if kind == "cuda" else min(spec.processes, cores())
    seconds = device_seconds(spec, kind) / count
    return seconds, seconds


def words(spec: ImageNetSpec) -> str:
    """What a run costs, and how that was got, in a sentence."""
    gpu, core = (device_seconds(spec, kind) / 3600 for kind in ("cuda", "cpu"))
    augmented, plain = (reading_seconds(spec.replace(augmentation=on)) / 3600 for on in (True, False))
    busy = gpu / spec.processes  # hours
    return (
        f"Each takes about {gpu:.0f} GPU-hours, {duration(3600 * busy)} on {spec.processes} GPUs, or about "
        f"{rounded(core)} core-hours. Reading the images takes about {rounded(augmented)} core-hours more with "
        f"augmentation, and {rounded(plain)} without: to keep up with the GPUs, about {rounded(augmented / busy)} "
        f"cores, or {rounded(plain / busy)}. This is estimated, not measured: "
        f"{OPERATIONS[spec.network] / 1e9:.1f} GFLOP an image, counted, times {images_of(spec) / 1e6:.0f} million, "
        f"at an assumed {SPEED['cuda'] / 1e12:.0f} TFLOP/s a GPU, a sixth of what an A100 multiplies in bfloat16, or "
        f"{SPEED['cpu'] / 1e9:.0f} GFLOP/s a core; and of a core {1e3 * (DECODED + AUGMENTED):.1f} ms to read an "
        f"augmented image, {1e3 * (DECODED + CENTRED):.1f} ms another, as a made-up one of 500 x 375 pixels took."
    )
