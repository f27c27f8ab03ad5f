"""Probes as a kind of run: see rethinking.spec.Kind."""

import math
from collections.abc import Generator
from statistics import median
from typing import Any

import numpy as np
import torch

from rethinking import catalog
from rethinking.errors import InputError
from rethinking.probes._trained import trained
from rethinking.seeds import keyed_generator
from rethinking.spec import Column, Context, Outcome, ProbeSpec, Rows


def run(spec: ProbeSpec, context: Context) -> Rows:
    """The rows of a probe of a run's network, which it leaves as it was.

    Raises:
        InputError: the weights cannot be had; a probe that gives other columns or arrays than its file declares, or
        that changes the network.
    """
    entry = catalog.find("probes", spec.probe.name)
    with catalog.blame(entry):
        measure = entry.load().measure
    weights = context.weights(spec.run)
    subject = trained(spec.run, context.images, weights, str(context.device), context.on_part)
    generator = keyed_generator("cpu", spec.run.seed, "probe", spec.probe.name)
    arrays: dict[str, np.ndarray] = {}
    made = _in_turn(measure(subject, generator, **spec.options), arrays)
    for step in range(1, 2**63):
        with catalog.blame(entry), torch.no_grad():
            row = next(made, None)
            if row is None:
                break
            row = _checked(spec, {"step": step, **row}, entry)
        yield row
        context.on_part()
    if step == 1:
        raise InputError(f"{entry.path} gives no rows: every probe yields one at least")
    if set(arrays) != set(spec.kept):
        given = ", ".join(arrays) or "none"
        raise InputError(f"{entry.path} gives the arrays {given}, ARRAYS has {', '.join(spec.kept) or 'none'}: mend it")
    after = subject.network.state_dict()
    changed = [name for name, value in weights.items() if not _same(value, after.get(name))]
    if changed or any(m.training for m in subject.network.modules()):
        raise InputError(f"{entry.path} changes the network ({(changed or ['training mode'])[0]}): let it take a copy")
    context.on_step(1)
    return Outcome(arrays=arrays)


def _in_turn(made: Any, arrays: dict[str, np.ndarray]) -> Generator[dict[str, Any], None, None]:
    """The rows that a probe yields, or returns in a list; `arrays` gets what it returns after them."""
    arrays |= (yield from made) or {}


def _checked(spec: ProbeSpec, row: dict[str, Any], entry: catalog.Entry) -> dict[str, Any]:
    """A row in the order of the columns, its numbers Python's own. Raises InputError where it has other columns."""
    if row.keys() != set(spec.columns):
        raise InputError(
            f"{entry.path} gives a row of {', '.join(row)}, COLUMNS has {', '.join(spec.columns)}: mend it"
        )
    return {column.name: _number(row[column.name], column, entry) for column in spec.described}


def _number(value: Any, column: Column, entry: catalog.Entry) -> int | float:
    """Python's own. Raises InputError where it is no number, or no whole one in a column of such."""
    try:
        number = math.nan if isinstance(value, str) else float(value)
    except (TypeError, ValueError):
        number, value = math.nan, repr(value)
    if isinstance(value, str) or (column.whole and not number.is_integer()):
        wanted = "a whole number" if column.whole else "a number"
        raise InputError(f"{entry.path} gives {value} in the column {column.name}, not {wanted}: mend it")
    return int(value) if column.whole else number


def _same(before: torch.Tensor, after: torch.Tensor | None) -> bool:
    """Whether two tensors are equal to the bit."""
    return after is not None and torch.equal(*(t.cpu().reshape(-1).view(torch.uint8) for t in (before, after)))


def estimate(spec: ProbeSpec, device: str, known: Any) -> tuple[float, float]:
    """Seconds: as records of such probes took for each image that the probe says it evaluates; without any a third of a
    training step's. For the first probe of a run whose weights are not there, those of training it too.
    """
    count = getattr(catalog.load("probes", spec.probe.name), "forwards", None)

    def images(one: ProbeSpec) -> int:
        return count(one.run, **one.options) if count else one.run.trained

    fields, image = spec.run.model_dump(mode="json"), known.image_on(spec.run, device)
    own = 10.0 + 1e-3 * spec.run.trained + (images(spec) * image / 3 if count else 0.0)
    taken = [seconds * images(spec) / max(images(one), 1) for one, seconds in known.probed(spec)]
    own = median(taken) if taken else own
    usual, most = known.seconds(fields, image) if known.lacks(spec.run) else (0.0, 0.0)
    return own + usual, own + most
