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


@dataclass(frozen=True)
class Regions:
    """The connected regions of a mask: ``numbers`` (slices, height, width) are 0 outside, else that of a region.

    Numbers go from 1 on by size, the largest first. The array is cut to what it holds: its first voxel is ``corner``
    of the mask.
    """

    numbers: NDArray[np.int32]
    corner: tuple[int, int, int]

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self.numbers.max(initial=0))


def regions(mask: NDArray[np.bool_]) -> Regions:
    """Number the regions of a mask, bool (slices, height, width), that are 26-connected."""
    # A label takes four bytes a voxel, so only the part of a volume that holds something is labeled.
    box = ndimage.find_objects(mask.view(np.uint8), max_label=1)[0]
    if box is None:
        return Regions(np.zeros((0, 0, 0), np.int32), (0, 0, 0))
    found, count = ndimage.label(mask[box], _TWENTY_SIX_NEIGHBORS)
    order = np.argsort(-np.bincount(found.ravel(), minlength=count + 1)[1:], kind="stable")
    by_size = np.zeros(count + 1, np.int32)
    by_size[order + 1] = np.arange(1, count + 1)
    return Regions(by_size[found], (box[0].start, box[1].start, box[2].start))


def lesions(
    mask: NDArray[np.bool_], spacing: tuple[float, float, float], most: int = 10, of: Regions | None = None
) -> list[Lesion]:
    """Measure the ``most`` largest lesions of a mask, the largest first, as ``regions`` numbers them.

    ``mask`` is bool (slices, height, width), ``spacing`` (slice, row, column) in millimeters; ``of`` are its regions
    where they are known already.
    """
    numbered = of or regions(mask)
    most = min(most, numbered.count)
    boxes = ndimage.find_objects(numbered.numbers, max_label=most) if most else []
    found = []
    for number, around in enumerate(boxes, 1):
        part = numbered.numbers[around] == number
        diameters = bidirectional_diameters(part, spacing)
        assert diameters is not None
        first = numbered.corner[0] + around[0].start
        last = numbered.corner[0] + around[0].stop - 1
        found.append(Lesion(float(np.count_nonzero(part) * np.prod(spacing) / 1000), *diameters, first, last))
    return found
