"""A reader's changes to an outline, lesion by lesion: rejected, grown or shrunk."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from braintumor.segmentation.lesions import Regions, regions


def edited(
    mask: NDArray[np.bool_], changes: Mapping[int, float | None], spacing: tuple[float, float, float] | None
) -> NDArray[np.bool_]:
    """Change lesions of a mask, bool (slices, height, width), by the numbers that ``regions`` gives them.

    A lesion's border moves out by so many millimeters, in for a negative number, within the slices as they lie; None
    rejects it. Without ``spacing`` (slice, row, column) they are pixels. The mask given stays as it is.
    """
    numbered, found = regions(mask), mask.copy()
    if not all(1 <= number <= numbered.count for number in changes):
        raise ValueError("there is no such lesion")
    plane = (1.0, 1.0) if spacing is None else spacing[1:]
    # What is rejected first does not take away what another lesion grows into.
    for number, by in sorted(changes.items(), key=lambda change: -np.inf if change[1] is None else change[1]):
        lesion = _lesion(numbered, number, mask.shape)
        for place in np.flatnonzero(lesion.any(axis=(1, 2))):
            inside = lesion[place]
            if by is not None and by >= 0:
                found[place] |= ndimage.distance_transform_edt(~inside, plane) <= by
            else:
                kept = by is not None and ndimage.distance_transform_edt(inside, plane) > -by
                found[place] &= ~inside | kept
    return found


def _lesion(numbered: Regions, number: int, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    whole = np.zeros(shape, bool)
    box = tuple(
        slice(first, first + length) for first, length in zip(numbered.corner, numbered.numbers.shape, strict=True)
    )
    whole[box] = numbered.numbers == number
    return whole
