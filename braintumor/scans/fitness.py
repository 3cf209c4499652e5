"""What makes a flat picture unfit to be judged as one slice."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from braintumor.scans.preprocessing import coarse_head

_NEXT_HEAD = 0.4
"""Area of a second head as a share of the largest one's: the heads of a sheet are alike, eyes and ears far smaller."""
_LEAST_BODY = 0.04
_SOLID = 0.5
_NARROWEST = 0.4


def several_heads(pixels: NDArray[np.float32]) -> bool:
    """Tell whether a picture (height, width) shows more than one head: a pair, or a sheet of slices.

    Heads are connected regions brighter than the background, holes filled, that are nearly as large as the largest one,
    solid as an ellipse is, and not much longer than wide.
    """
    filled = ndimage.binary_fill_holes(coarse_head(pixels).bright)
    # Heads of a sheet may touch by a line of text or by their ears.
    regions, count = ndimage.label(ndimage.binary_opening(filled, iterations=2))
    if count < 2:
        return False
    areas = np.bincount(regions.ravel())[1:]
    least = max(_NEXT_HEAD * areas.max(), _LEAST_BODY * regions.size)
    boxes = ndimage.find_objects(regions)
    return sum(_is_head(regions[box] == number + 1) for number, box in enumerate(boxes) if areas[number] >= least) > 1


def _is_head(region: NDArray[np.bool_]) -> bool:
    return bool(region.mean() >= _SOLID and min(region.shape) >= _NARROWEST * max(region.shape))
