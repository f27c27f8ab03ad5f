"""What a record keeps of a trained network, where its spec says `keep`: arrays by name.

test_logits       float16 (KEPT_IMAGES, classes): of the first test images
crop_logits       float16 (5, KEPT_IMAGES, classes): the same from five crops, each whitened by itself: the centre,
                  top left, top right, bottom left, bottom right
test_labels       uint8, of more than 256 classes uint16 (KEPT_IMAGES,): beside either of the two
weight_quantiles  quantiles/<parameter>, float32 (QUANTILES,), of every weight matrix, evenly spaced from the
                  smallest to the largest, and zeros/<parameter>, int64 (2,): how many of its weights are exactly 0,
                  of how many
"""

import numpy as np
import torch
from torch import Tensor

from rethinking.images import ImageSet, label_type, whiten
from rethinking.training.loop import Training
from rethinking.training.rows import Rows, part_of, too_many

KEPT_IMAGES = 2000  # logits of 10,000 test images would take 200 kB a run
QUANTILES = 1001


def kept(training: Training) -> dict[str, np.ndarray]:
    """The arrays that the run's spec asks for, of the network as it is now, in evaluation mode."""
    was = training.network.training
    out: dict[str, np.ndarray] = {}
    training.network.eval()
    for name in training.spec.keep:
        out |= _KINDS[name](training)
    if any(name.endswith("logits") for name in out):
        labels = training.test_labels[:KEPT_IMAGES].cpu().numpy()
        out["test_labels"] = labels.astype(label_type(training.run.num_classes))
    training.network.train(was)
    return out


def _test_logits(training: Training) -> dict[str, np.ndarray]:
    return {"test_logits": _half(training.logits(training.test_images[:KEPT_IMAGES]))}


def _crop_logits(training: Training) -> dict[str, np.ndarray]:
    assert isinstance(training.data, ImageSet)  # others have no images to crop, and are refused
    images, kept, device = training.data.test.images, training.side, training.device
    height, width, channels = images.shape[1:]
    bottom, right = height - kept, width - kept
    index = np.arange(min(KEPT_IMAGES, len(images)))
    parts = []
    for top, left in ((bottom // 2, right // 2), (0, 0), (0, right), (bottom, 0), (bottom, right)):

        def made(places: np.ndarray, top: int = top, left: int = left) -> Tensor:
            part = images[places][:, top : top + kept, left : left + kept]
            return whiten(torch.from_numpy(np.ascontiguousarray(part)).to(device)).permute(0, 3, 1, 2)

        rows = Rows(made, index, (channels, kept, kept), height * width * channels)
        rows = rows.contiguous(memory_format=torch.channels_last)
        inputs = rows if too_many(rows.nbytes, device) else part_of(rows, len(rows))
        parts.append(_half(training.logits(inputs)))
    return {"crop_logits": np.stack(parts)}


def _weight_quantiles(training: Training) -> dict[str, np.ndarray]:
    out = {}
    places = torch.linspace(0, 1, QUANTILES, dtype=torch.float64)
    for name, parameter in training.network.named_parameters():
        if parameter.ndim < 2:
            continue
        weights = parameter.detach().flatten().cpu().sort().values
        index = (places * (len(weights) - 1)).round().long()
        out[f"quantiles/{name}"] = weights[index].numpy()
        out[f"zeros/{name}"] = np.array([int((weights == 0).sum()), len(weights)], dtype=np.int64)
    return out


def _half(logits: Tensor) -> np.ndarray:
    with np.errstate(over="ignore"):  # beyond 65,504 they are infinite
        return logits.cpu().numpy().astype(np.float16)


_KINDS = {"test_logits": _test_logits, "crop_logits": _crop_logits, "weight_quantiles": _weight_quantiles}
