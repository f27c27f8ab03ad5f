"""Training: the loop, the batches on the device, checkpoints. It yields evaluations and never writes."""

from rethinking.training.batches import crop, prepare, whiten
from rethinking.training.keep import kept
from rethinking.training.loop import Evaluation, Training, batch_norm_statistics, train

__all__ = ["Evaluation", "Training", "batch_norm_statistics", "crop", "kept", "prepare", "train", "whiten"]
