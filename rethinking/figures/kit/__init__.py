"""What figures are declared with: a grid of conditions, measures of runs, panels, claims.

A declared figure is a file that says, in this order,

    MODELS, SEEDS, CAPTION, DEPARTURES     as every figure
    NETWORK = "..."                                                   optional; of a figure of "all" that is of one
    GRID = Grid("{network}, p = {p:g}", network=[...], p=[...])       its conditions, or grid(setting) that makes it;
                                                                      Conditions(...), where not every combination is
    spec(setting, seed, network, p) -> Spec                           the run of a condition and a seed
    seeds(setting, network, p) -> range                               optional; else the network's or the setting's
    READ_AT = {"patience": [...]}                                     optional; parameters at which measures read a run
    TABLE = Table("run", {"steps": STEPS, ...})                       its numbers: a title -> a measure
    PANELS = [Lines(...), ...]                                        what is drawn, or panels(setting) that makes it
    HEIGHT = 4.0                                                      optional; inches
    notes(setting) -> [str, ...]                                      optional; lines that the title adds
    heading(setting) -> str                                           optional; the title where it is no network's
    ACROSS = 2                                                        optional; panels side by side; else all of them
    CLAIMS = [Claim(..., examples=[...]), ...]                        what is judged, or claims(setting) that makes them

A panel is anything with draw(axes, frame, records); with series(frame, records) it adds numbers to the figure's file.
A condition is a dict of coordinates from end to end; the grid's format names it for readers.
"""

from rethinking.figures.kit.bounds import bounded
from rethinking.figures.kit.claim import NO, UNJUDGED, YES, Claim, Numbers, along, fits, hairs, made
from rethinking.figures.kit.columns import column, falls, of_row
from rethinking.figures.kit.curves import Curves, Zones
from rethinking.figures.kit.frame import MISSING, Cell, Conditions, Frame, Grid
from rethinking.figures.kit.levels import Levels, around
from rethinking.figures.kit.lines import Lines
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
from rethinking.figures.kit.named_points import NamedPoints
from rethinking.figures.kit.own import Own
from rethinking.figures.kit.pairs import always_higher, at_last_shared
from rethinking.figures.kit.panels import Panel
from rethinking.figures.kit.points import Points
from rethinking.figures.kit.rows import Bands, Rows
from rethinking.figures.kit.some import at_some
from rethinking.figures.kit.spans import Spans
from rethinking.figures.kit.stopping import returned_epoch, stopping_gain
from rethinking.figures.kit.table import Table, Tables
from rethinking.figures.kit.together import Together
from rethinking.figures.kit.weights import Weights, weights_zero

__all__ = [
    "MISSING",
    "NO",
    "UNJUDGED",
    "YES",
    "Bands",
    "Cell",
    "Claim",
    "Conditions",
    "Curves",
    "Frame",
    "Grid",
    "Levels",
    "Lines",
    "Measure",
    "NamedPoints",
    "Numbers",
    "Own",
    "Panel",
    "Points",
    "Rows",
    "Spans",
    "Table",
    "Tables",
    "Together",
    "Weights",
    "Zones",
    "along",
    "always_higher",
    "around",
    "at_last_shared",
    "at_some",
    "best_epoch",
    "best_error",
    "bits_memorized",
    "bounded",
    "column",
    "difference",
    "epochs_to_fit",
    "error",
    "falls",
    "final",
    "first_error",
    "fits",
    "gain",
    "hairs",
    "highest",
    "made",
    "minus",
    "of_row",
    "relative",
    "returned_epoch",
    "steps_to_fit",
    "stopping_gain",
    "weights_zero",
]
