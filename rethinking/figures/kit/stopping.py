"""What early stopping on held-out images returns, read off a run that went on; patience is a coordinate of the row."""

from rethinking.figures.kit.measures import Measure
from rethinking.record import Record


def stopped(record: Record, patience: int) -> int:
    """The row that early stopping returns: the best held-out accuracy before `patience` rows without a better one."""
    accuracies = record.curve["held_out_accuracy"]
    best = 0
    for k, accuracy in enumerate(accuracies):
        if accuracy > accuracies[best]:
            best = k
        elif k - best >= patience:
            break
    return best


def returned_epoch() -> Measure:
    """The epoch that early stopping returns to."""

    def of(record: Record, patience: int) -> float:
        return record.curve["epoch"][stopped(record, patience)]

    return Measure("returned_epoch", "returned to epoch", of, parameters=("patience",))


def stopping_gain() -> Measure:
    """What early stopping gains in test accuracy over the last evaluation, in points."""

    def of(record: Record, patience: int) -> float:
        tests = record.curve["test_accuracy"]
        return 100 * (tests[stopped(record, patience)] - tests[-1])

    return Measure("stopping_gain", "gain in test accuracy (points)", of, parameters=("patience",))
