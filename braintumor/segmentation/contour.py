"""A mask drawn on the picture it belongs to."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_EIGHT_NEIGHBORS = np.ones((3, 3), dtype=bool)


def outline(mask: NDArray[np.bool_], thickness: int = 2) -> NDArray[np.bool_]:
    """Find the contour of a mask, bool (height, width): its pixels within ``thickness`` of one that is outside.

    Beyond the picture's edges counts as outside. Raises ``ValueError`` for a thickness below 1 pixel.
    """
    if thickness < 1:
        raise ValueError(f"thickness is {thickness}; it must be 1 pixel or more")
    return np.asarray(mask & ~ndimage.binary_erosion(mask, _EIGHT_NEIGHBORS, iterations=thickness), dtype=bool)


def draw_outline(
    picture: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    color: tuple[int, int, int],
    opacity: float,
    fill: float = 0.0,
    thickness: int = 2,
) -> NDArray[np.uint8]:
    """Draw the contour of a mask on a picture: uint8 (height, width, 3).

    ``picture`` is uint8 (height, width) or (height, width, 3), ``mask`` bool (height, width), ``color`` red, green and
    blue from 0 to 255. The contour, ``thickness`` pixels wide, has ``opacity`` and what it encloses ``opacity * fill``,
    both from 0 to 1; the rest stays as it is. Raises ``ValueError`` for an opacity or a fill outside 0 to 1, for shapes
    that do not fit and like ``outline``.
    """
    if not (0 <= opacity <= 1 and 0 <= fill <= 1):
        raise ValueError(f"opacity is {opacity} and fill {fill}; both must be within 0 to 1")
    if picture.shape not in (mask.shape, (*mask.shape, 3)):
        raise ValueError(f"the picture has shape {picture.shape} and the mask {mask.shape}")
    drawn = np.repeat(picture[..., np.newaxis], 3, axis=-1) if picture.ndim == 2 else picture.copy()
    share = opacity * np.where(outline(mask, thickness)[mask], 1.0, fill)[:, np.newaxis]
    drawn[mask] = np.rint(drawn[mask] * (1 - share) + np.asarray(color) * share).astype(np.uint8)
    return drawn
