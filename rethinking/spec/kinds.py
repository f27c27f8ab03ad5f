"""The kinds of run there are, and reading a spec of any kind."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from rethinking.errors import InputError
from rethinking.spec.theory import KernelSpec, LinearSpec, Theorem1Spec, TwoWeightsSpec
from rethinking.spec.training import RunSpec

LARGEST = 4_000_000  # bytes of a spec.json

AnySpec = RunSpec | Theorem1Spec | KernelSpec | LinearSpec | TwoWeightsSpec
KINDS: dict[str, type[AnySpec]] = {
    "training": RunSpec,  # whose spec.json has no field `kind`
    "theorem1": Theorem1Spec,
    "kernel": KernelSpec,
    "linear": LinearSpec,
    "two_weights": TwoWeightsSpec,
}


def from_json(text: str, source: str = "spec") -> AnySpec:
    """A spec of the kind that the JSON names, a training run where it names none. Raises InputError in one line."""
    return _class_of(text, source).from_json(text, source)


def from_bytes(content: bytes, source: str = "standard input") -> AnySpec:
    """From JSON in UTF-8, 16 or 32, with a byte-order mark or without. Raises InputError."""
    if len(content) > LARGEST:
        raise InputError(f"{source}: larger than {LARGEST:,} bytes: is it a spec?")
    try:
        text = content.decode(json.detect_encoding(content))
    except UnicodeDecodeError as error:
        raise InputError(f"{source}: cannot be read ({error})") from None
    return from_json(text, source)


def from_file(path: Path) -> AnySpec:
    """From a JSON file. Raises InputError where it cannot be read or is not a spec."""
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    return from_bytes(content, str(path))


def _class_of(text: str, source: str) -> type[AnySpec]:
    """The class of a spec.json. Raises InputError for an unknown kind, and for a field given twice."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        for name, count in Counter(name for name, _ in pairs).items():
            if count > 1:
                raise InputError(f"{source}: {name} is given {count} times: give it once")
        return dict(pairs)

    try:
        given = json.loads(text, object_pairs_hook=once)
    except InputError:
        raise
    except (ValueError, RecursionError):
        return RunSpec  # which says what is wrong
    kind = given.get("kind") if isinstance(given, dict) else None
    if kind is None:
        return RunSpec
    known = {name: spec for name, spec in KINDS.items() if "kind" in spec.model_fields}
    if not isinstance(kind, str) or kind not in known:
        raise InputError(f"{source}: kind is {kind!r}, known are {', '.join(sorted(known))}: leave it out for training")
    return known[kind]
