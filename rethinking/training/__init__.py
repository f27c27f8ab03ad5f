"""Training: batches (the data on the device), network, loop. It yields evaluations and never writes."""

from rethinking.images import crop, whiten
from rethinking.training.batches import Tensors, prepare
from rethinking.training.keep import kept
from rethinking.training.loop import Training
from rethinking.training.network import batch_norm_statistics
from rethinking.training.run import train
from rethinking.training.schedule import Evaluation

__all__ = ["Evaluation", "Tensors", "Training", "batch_norm_statistics", "crop", "kept", "prepare", "train", "whiten"]
