"""Training: the loop, the batches on the device, checkpoints. It yields evaluations and never writes."""

from rethinking.images import crop, whiten
from rethinking.training.batches import prepare
from rethinking.training.keep import kept
from rethinking.training.loop import Evaluation, Training, batch_norm_statistics, train

__all__ = ["Evaluation", "Training", "batch_norm_statistics", "crop", "kept", "prepare", "train", "whiten"]
