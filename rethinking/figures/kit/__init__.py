"""What figures are declared with: a grid of conditions, measures of runs, panels, claims.

A declared figure is a file that says, in this order,

    MODELS, SEEDS, CAPTION, DEPARTURES     as every figure
    NETWORK = "..."                                                   optional; of a figure of "all" that is of one
    GRID = Grid("{network}, p = {p:g}", network=[...], p=[...])       its conditions, or grid(setting) that makes it;
                                                                      Conditions(...), where not every combination is
    spec(setting, seed, network, p) -> Spec                           the run of a condition and a seed
    seeds(setting, network, p) -> range                               optional; else those of the run's network; with
                                                                      MODELS the setting's
    READ_AT = {"patience": [...]}                                     optional; parameters at which measures read a run
    TABLE = Table("run", {"steps": STEPS, ...})                       its numbers: a title -> a measure
    MEASURES = [...]                                                  optional; what claims or a finding read that
                                                                      neither the table nor a panel names
    PANELS = [Lines(...), ...]                                        what is drawn, or panels(setting) that makes it
    HEIGHT = 4.0                                                      optional; inches
    TRAINING_IMAGES = 1_281_167                                       optional; training images of the data set that it
                                                                      is of, where that is not the setting's
    finding(frame, network) -> str                                    optional; the title, what the numbers of the frame
                                                                      say; None where they are not there. network: its
                                                                      name in sentences
    NOTES = [str, ...]                                                optional; lines below it, or notes(setting)
    heading(setting) -> str                                           optional; data and n, where kit.panels.title
                                                                      cannot tell them
    ACROSS = 2                                                        optional; panels side by side; else all of them
    CLAIMS = [Claim(..., met=[...], missed=[...]), ...]               what is judged, or claims(setting) that makes them

A panel is anything with draw(axes, frame, records); with series(frame, records) it adds numbers to the figure's file.
A condition is a dict of coordinates from end to end; the grid's format names it for readers.
"""

from rethinking.figures.kit.claim import NO, UNJUDGED, YES, Bound, Claim, along, bounded, fits, made, ordered
from rethinking.figures.kit.curves import Curves, Zones
from rethinking.figures.kit.frame import MISSING, Cell, Conditions, Frame, Grid, Numbers, listed, mostly
from rethinking.figures.kit.lines import Lines
from rethinking.figures.kit.measures import (
    Measure,
    Together,
    at_last_shared,
    best_epoch,
    best_error,
    bits_memorized,
    column,
    epochs_to_fit,
    error,
    falls,
    final,
    first_error,
    gain,
    highest,
    minus,
    of_row,
    over_rows,
    relative,
    returned_epoch,
    steps_to_fit,
    stopping_gain,
)
from rethinking.figures.kit.panels import Own, Panel
from rethinking.figures.kit.points import NamedPoints, Points
from rethinking.figures.kit.rows import Rows, Spans
from rethinking.figures.kit.table import Table, Tables
