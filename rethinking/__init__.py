"""A replication of *Understanding deep learning requires rethinking generalization* (Zhang et al., ICLR 2017).

The flow goes one way: data -> corruption -> network + regularizers -> training -> record -> figure -> claims.
The names below are imported when first used; importing the package imports neither torch nor matplotlib.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rethinking import corruptions, data, figures, models, regularizers
    from rethinking.api import compare, experiment, figure, network
    from rethinking.errors import InputError
    from rethinking.record import Record
    from rethinking.record.frame import records
    from rethinking.spec import Part, RunSpec
    from rethinking.training import train

__version__ = "0.1.0"

_HOME = {
    "InputError": "rethinking.errors",
    "Part": "rethinking.spec",
    "Record": "rethinking.record",
    "RunSpec": "rethinking.spec",
    "compare": "rethinking.api",
    "experiment": "rethinking.api",
    "figure": "rethinking.api",
    "network": "rethinking.api",
    "records": "rethinking.record.frame",
    "train": "rethinking.training",
}
_ROOMS = ("corruptions", "data", "figures", "models", "regularizers")

__all__ = [
    "InputError",
    "Part",
    "Record",
    "RunSpec",
    "compare",
    "corruptions",
    "data",
    "experiment",
    "figure",
    "figures",
    "models",
    "network",
    "records",
    "regularizers",
    "train",
]


def __getattr__(name: str) -> Any:
    home = f"rethinking.{name}" if name in _ROOMS else _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'rethinking' has no attribute {name!r}")
    try:
        module = importlib.import_module(home)
    except Exception as error:
        from rethinking.errors import not_imported

        told = not_imported(error)
        if told is None:
            raise
        raise told from None
    return module if name in _ROOMS else getattr(module, name)


def __dir__() -> list[str]:
    return sorted(__all__)
