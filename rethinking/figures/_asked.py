"""What a figure asks: its runs, and its claims, which on other data or another network are questions to that."""

import re
from dataclasses import replace
from types import ModuleType
from typing import Any

from rethinking import claims
from rethinking.claims import Specs
from rethinking.figures._setting import SCALES, Setting, usual_model

ANY_N = 200  # a claim that is judged from so many images on is judged on any number of another data set's


def runs_of(module: ModuleType, chosen: Setting) -> Specs:
    """The runs of a figure's module, by condition."""
    from rethinking.figures.kit import declared

    return declared.runs(module, chosen) if declared.is_declared(module) else module.runs(chosen)


def claims_of(module: ModuleType, chosen: Setting) -> list[claims.Claim]:
    """The claims of a figure's module; on other data or another network than the paper's, as questions to that."""
    made = _stated(module, chosen)
    if not beyond(module, chosen):
        return made
    asked = [_extension(module, chosen, claim) for claim in made]
    return asked if chosen.subject.papers else _within_reach(module, chosen, asked)


def _stated(module: ModuleType, chosen: Setting) -> list[claims.Claim]:
    """The claims as the figure's file states them."""
    from rethinking.figures.kit import declared

    return declared.claims(module, chosen) if declared.is_declared(module) else module.claims(chosen)


def beyond(module: ModuleType, chosen: Setting) -> dict[str, str]:
    """What a figure is of that is neither the paper's nor, of networks, the figure's own: "data", "network"."""
    other = chosen.other_network and chosen.model != usual_model(module)
    data = {} if chosen.subject.papers else {"data": chosen.subject.name}
    return data | ({"network": chosen.model} if other else {})


def _extension(module: ModuleType, chosen: Setting, claim: claims.Claim) -> claims.Claim:
    """A claim asked of other data or another network: without citation, from fewer images on where the set has few."""
    least = 1 if claim.least_n <= ANY_N else min(claim.least_n, chosen.subject.full)
    rule = re.sub(r"; a rule made after the runs.*$", "", claim.tolerance)
    rule = re.sub(r"; judged (from|on|at) .*$", "", rule)
    return replace(
        claim,
        source=f"{module.__name__.rpartition('.')[2]}, asked of {' and '.join(beyond(module, chosen).values())}",
        paper="",
        tolerance=rule if least == 1 else f"{rule}; judged from n = {least:,} on",
        least_n=least,
        measure=lambda records: _answered(claim.measure(records)),
    )


def _least(claim: claims.Claim, wanted: Specs) -> int:
    """The images of the smallest run that a claim is judged on."""
    return min(spec.n or 0 for condition in claim.conditions for spec in wanted[condition])


def _within_reach(module: ModuleType, chosen: Setting, asked: list[claims.Claim]) -> list[claims.Claim]:
    """Claims on other data, none of which needs more images than the figure has of them at any scale.

    One that is not judged at this scale says at which it is.
    """
    wanted = runs_of(module, chosen)
    if all(_least(claim, wanted) >= claim.least_n for claim in asked):
        return asked
    there: dict[str, dict[str, int]] = {}  # scale -> id of a claim, or of its kind, -> images of its smallest run
    for scale in SCALES[SCALES.index(chosen.scale) :]:
        other = replace(chosen, scale=scale)
        specs_there = wanted if scale == chosen.scale else runs_of(module, other)
        least = there.setdefault(scale, {})
        for rule in _stated(module, other):
            for key in (rule.id, _kind(rule)):
                smallest = _least(rule, specs_there)
                least[key] = min(smallest, least.get(key, smallest))

    def reached(claim: claims.Claim) -> claims.Claim:
        has = {scale: least.get(claim.id, least.get(_kind(claim), 0)) for scale, least in there.items()}
        needs = min(claim.least_n, max(has.values()))
        larger = next((scale for scale, n in has.items() if n >= needs), "")
        rule = claim.tolerance
        if needs < claim.least_n:
            rule = re.sub(r"; judged from n = [\d,]+ on$", "", rule)
        return replace(claim, least_n=needs, tolerance=rule, larger="" if larger == chosen.scale else larger)

    return [reached(claim) for claim in asked]


def _kind(claim: claims.Claim) -> str:
    """What claims of a figure that differ in a coordinate share in their ids."""
    return ".".join(claim.id.split(".")[:2])


def _answered(reading: claims.Reading) -> claims.Reading:
    """What the runs gave, with the answer before it, "not fitted: 12 %", where there is one."""
    if reading.holds is None or not reading.answer:
        return reading
    return replace(reading, ours=f"{reading.answer}: {reading.ours}")


def extended(module: ModuleType, chosen: Setting) -> str:
    """What a caption adds, of other data or another network than the paper's."""
    words = {"data": chosen.subject.facts, "network": f"the network {chosen.model}"}
    of = [words[what] for what in beyond(module, chosen)]
    return f" An extension to {' and '.join(of)}." if of else ""


def named(module: ModuleType, chosen: Setting, row: dict[str, Any]) -> dict[str, Any]:
    """A row of a table, which names other data and another network than the paper's."""
    head, *cells = row.items()
    return dict([head, *beyond(module, chosen).items(), *cells])
