"""What the colors of a picture mean: none, one tint, marks drawn over a gray head, or a picture in color."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from braintumor.scans.grayscale import LUMA
from braintumor.scans.preprocessing import coarse_head

GRAY = "gray"
TINTED = "tinted"
MARKED = "marked"
COLORED = "colored"

_HUE = 40
"""Difference of the largest and the smallest channel from which a pixel has a hue; JPEG gives gray ones up to 30."""
_COLORED_SHARE = 0.2
_ONE_HUE, _FEW = 0.95, 0.02
"""Cosine between the mean direction from gray to color and that of all pixels but the farthest 2 %. On 60 scans stored
as JPEG it was 0.97 to 0.99 in sepia and in blue, 0.66 to 0.92 in the colors of hot iron, below 0.6 in a rainbow's."""
_STRONG = 60
_FEWEST, _LEAST_SHARE = 12, 2e-4
"""Pixels and share of the picture that colored marks cover at least. Of 11,500 published scans 27 have so many, all of
them beside the head (letters and lines of viewers, and the dark blue edge of one picture)."""
_MARGIN = 2
"""Cells of the coarse head, each about 1 % of the picture, that are not inside any more: letters may touch it."""


def coloring(sample: NDArray[np.uint8]) -> str:
    """Name what the colors of a picture, uint8 (height, width, 3), are.

    ``COLORED`` where more than a fifth has a hue, as in photographs and color maps; ``TINTED`` where all of that is one
    hue, so that luminance tells as much; ``MARKED`` where a few pixels of strong color lie over the head; ``GRAY``
    otherwise. Colored letters and lines beside the head count for nothing.
    """
    red, green, blue = (sample[..., channel] for channel in range(3))
    spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    hued, least = spread > _HUE, max(_FEWEST, _LEAST_SHARE * spread.size)
    if hued.mean() > _COLORED_SHARE:
        return TINTED if _has_one_hue(sample[hued]) else COLORED
    strong = spread > _STRONG
    if strong.sum() < least:
        return GRAY
    inside = _inside_head(sample @ LUMA)
    if hued[inside].mean() > _COLORED_SHARE and _has_one_hue(sample[hued]):
        return TINTED
    return MARKED if (strong & inside).sum() >= least else GRAY


def _has_one_hue(pixels: NDArray[np.uint8]) -> bool:
    away = pixels - (pixels @ LUMA)[:, np.newaxis]
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    middle = away.mean(axis=0)
    return bool(np.quantile(away @ (middle / np.linalg.norm(middle)), _FEW) >= _ONE_HUE)


def _inside_head(gray: NDArray[np.float32]) -> NDArray[np.bool_]:
    head = coarse_head(gray)
    filled = ndimage.binary_erosion(ndimage.binary_fill_holes(head.region), iterations=_MARGIN)
    whole = np.kron(filled, np.ones((head.step, head.step), dtype=bool))
    return np.asarray(whole[: gray.shape[0], : gray.shape[1]], dtype=np.bool_)
