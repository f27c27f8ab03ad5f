"""The centre square of each image that a run sees: the data set's own, or what its spec's `crop` asks for."""

from rethinking import catalog


def canonical_crop(data: str, crop: int | None) -> int | None:
    """A centre crop by its one name: None for the data set's own, or for none where it has none; never more than all.

    data: a data set's name.
    """
    constants = catalog.find("data", data).constants
    largest = max(constants["SHAPE"][:2])
    crop = None if crop is None else min(crop, largest)
    return None if crop == constants.get("CROP", largest) else crop


def crop_size(data: str, crop: int | None = None) -> int | None:
    """Side of the centre square that is kept of a data set's images, by a spec's `crop`; None where all is."""
    return crop or catalog.find("data", data).constants.get("CROP")


def image_size(data: str, crop: int | None = None) -> tuple[int, int]:
    """Height and width of a data set's images after a spec's centre crop."""
    height, width = catalog.find("data", data).constants["SHAPE"][:2]
    side = crop_size(data, crop) or max(height, width)
    return min(height, side), min(width, side)
