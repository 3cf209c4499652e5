"""The single lesions of a volume's mask, each with its volume and diameters."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from braintumor.segmentation.measurements import bidirectional_diameters

_TWENTY_SIX_NEIGHBORS = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True)
class Lesion:
    """One connected region: its volume in mL, the two diameters in mm, and its first and last slice, from 0.

    ``longest_mm`` and ``perpendicular_mm`` are those of ``bidirectional_diameters``.
    """

    volume_ml: float
    longest_mm: float
    perpendicular_mm: float
    first_slice: int
    last_slice: int


def lesions(mask: NDArray[np.bool_], spacing: tuple[float, float, float], most: int = 10) -> list[Lesion]:
    """Measure the ``most`` largest lesions of a mask, the largest first.

    ``mask`` is bool (slices, height, width), ``spacing`` (slice, row, column) in millimeters; regions are 26-connected.
    """
    # A label takes four bytes a voxel, so only the part of a volume that holds something is labeled.
    box = ndimage.find_objects(mask.view(np.uint8), max_label=1)[0]
    if box is None:
        return []
    regions, _ = ndimage.label(mask[box], _TWENTY_SIX_NEIGHBORS)
    voxels = np.bincount(regions.ravel())[1:]
    boxes = ndimage.find_objects(regions)
    found = []
    for number in np.argsort(-voxels, kind="stable")[:most]:
        around = boxes[number]
        diameters = bidirectional_diameters(regions[around] == number + 1, spacing)
        assert diameters is not None
        first = box[0].start + around[0].start
        found.append(
            Lesion(
                float(voxels[number] * np.prod(spacing) / 1000),
                *diameters,
                first,
                first + around[0].stop - around[0].start - 1,
            )
        )
    return found
