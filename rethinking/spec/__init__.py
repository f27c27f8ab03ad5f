"""Specs: everything that determines a result, and nothing else. A run's identity is the hash of its spec.

`part` holds corruptions and regularizers by name, `base` what every spec is, `cropping` which part of an image is seen,
`training`, `theory`, `probe` and `imagenet` the kinds of run, `kinds` the union of them. None of them imports torch.
"""

from rethinking.spec.base import Column, Spec
from rethinking.spec.cropping import canonical_crop, crop_size, image_size
from rethinking.spec.imagenet import ImageNetSpec
from rethinking.spec.kinds import (
    KINDS,
    LARGEST,
    AnySpec,
    Context,
    Kind,
    Outcome,
    Rows,
    Unfit,
    from_bytes,
    from_file,
    from_json,
    kind_of,
)
from rethinking.spec.part import Part, check_options, check_parts, is_null
from rethinking.spec.probe import ProbeSpec
from rethinking.spec.theory import KernelSpec, LinearSpec, Theorem1Spec, TwoWeightsSpec
from rethinking.spec.training import EPOCH, FITTED, PROBE, STATISTICS, RunSpec, check_several

__all__ = [
    "EPOCH",
    "FITTED",
    "KINDS",
    "LARGEST",
    "PROBE",
    "STATISTICS",
    "AnySpec",
    "Column",
    "Context",
    "ImageNetSpec",
    "KernelSpec",
    "Kind",
    "LinearSpec",
    "Outcome",
    "Part",
    "ProbeSpec",
    "Rows",
    "RunSpec",
    "Spec",
    "Theorem1Spec",
    "TwoWeightsSpec",
    "Unfit",
    "canonical_crop",
    "check_options",
    "check_parts",
    "check_several",
    "crop_size",
    "from_bytes",
    "from_file",
    "from_json",
    "image_size",
    "is_null",
    "kind_of",
]
