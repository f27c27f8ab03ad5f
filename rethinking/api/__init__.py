"""What a notebook uses: train a network on anybody's data, take back what a run made, draw a figure, compare.

    >>> import rethinking as rt
    >>> result = rt.experiment(dataset, network, corruption="random_labels", regularizers=["dropout=0.5"], epochs=30)
    >>> result.frame(); result.plot(); result.network; result.memorized_bits
    >>> rt.records("runs").frame()
    >>> rt.network(run)
    >>> rt.figure("fig1b", scale="paper")
    >>> rt.compare(result, baseline)

Objects print in a line, and a notebook shows them as a table or a picture.
"""

from rethinking.api._compare import Comparison, compare
from rethinking.api._experiment import experiment, network
from rethinking.api._figure import Drawing, figure
from rethinking.api._result import Result

__all__ = ["Comparison", "Drawing", "Result", "compare", "experiment", "figure", "network"]
