"""What figures are declared with: a grid of conditions, measures of runs, panels, claims.

A declared figure is a file that says, in this order,

    MODELS, SEEDS, CAPTION, DEPARTURES     as every figure
    NETWORK = "..."                                                   optional; of a figure of "all" that is of one
    GRID = Grid("{network}, p = {p:g}", network=[...], p=[...])       its conditions, or grid(setting) that makes it;
                                                                      Conditions(...), where not every combination is
    spec(setting, seed, network, p) -> Spec                           the run of a condition and a seed
    seeds(setting, network, p) -> range                               optional; else range(setting.seeds)
    READ_AT = {"patience": [...]}                                     optional; parameters at which measures read a run
    TABLE = Table("run", {"steps": STEPS, ...})                       its numbers: a title -> a measure
    PANELS = [Lines(...), ...]                                        what is drawn, or panels(setting) that makes it
    notes(setting) -> [str, ...]                                      optional; lines that the title adds
    CLAIMS = [Claim(..., examples=[...]), ...]                        what is judged, or claims(setting) that makes them

A condition is a dict of coordinates from end to end; the grid's format names it for readers.
"""

from rethinking.figures.kit.claim import NO, UNJUDGED, YES, Claim, fits, made
from rethinking.figures.kit.frame import Conditions, Frame, Grid
from rethinking.figures.kit.measures import (
    Measure,
    best_epoch,
    best_error,
    bits_memorized,
    difference,
    epochs_to_fit,
    error,
    final,
    first_error,
    gain,
    highest,
    minus,
    relative,
    steps_to_fit,
)
from rethinking.figures.kit.pairs import always_higher, at_last_shared
from rethinking.figures.kit.panels import Curves, Lines, Rows, Table, Zones
from rethinking.figures.kit.points import Points
from rethinking.figures.kit.spans import Spans
from rethinking.figures.kit.stopping import returned_epoch, stopping_gain

__all__ = [
    "NO",
    "UNJUDGED",
    "YES",
    "Claim",
    "Conditions",
    "Curves",
    "Frame",
    "Grid",
    "Lines",
    "Measure",
    "Points",
    "Rows",
    "Spans",
    "Table",
    "Zones",
    "always_higher",
    "at_last_shared",
    "best_epoch",
    "best_error",
    "bits_memorized",
    "difference",
    "epochs_to_fit",
    "error",
    "final",
    "first_error",
    "fits",
    "gain",
    "highest",
    "made",
    "minus",
    "relative",
    "returned_epoch",
    "steps_to_fit",
    "stopping_gain",
]
