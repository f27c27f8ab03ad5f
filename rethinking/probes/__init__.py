"""The probes, one file each: what is measured on a trained network.

A file has, as literals that are read without importing it,

    COLUMNS = {"norm": {"meaning": "of all weights", "unit": "1"}}    of its rows; "whole": True for whole numbers,
                                                                      "varying": True for what differs from one making
                                                                      to the next, as times, and is not compared
    OPTIONS = {"images": {"type": "int", "default": 2000}}            as of regularizers; may be left out
    ARRAYS = {"margins": "float32 (n,), of the training images"}      small arrays beside the rows; may be left out

and a function of the trained network, its data on the device, a generator and the options:

    def measure(trained, generator, *, images):
        yield {"norm": ...}                 rows of COLUMNS
        return {"margins": ...}             where it has ARRAYS

and, where it evaluates the network more than a few times over, for the estimate of the time

    def forwards(run, *, images): return 25 * images        images evaluated, at most; run: a RunSpec

It leaves the network as it was, to the bit, and draws from the generator alone, so that its record can be made again.
"""

from rethinking import catalog
from rethinking.probes._run import estimate, run
from rethinking.probes._trained import Trained

__all__ = ["Trained", "estimate", "run"]
__path__ += catalog.plugin_folders("probes")
