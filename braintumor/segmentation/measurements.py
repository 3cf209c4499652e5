"""How large a tumor is, in millimeters where the scan tells its scale and as a share of the head where not."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from braintumor.scans import coarse_head, fill_holes, largest_region

Bools = NDArray[np.bool_]

_EIGHT_NEIGHBORS = np.ones((3, 3), dtype=bool)
_TWENTY_SIX_NEIGHBORS = np.ones((3, 3, 3), dtype=bool)
_ON_AXIS = 1e-9
"""Millimeters within which a corner lies on the longest diameter; rounding is far below it."""


@dataclass(frozen=True)
class Measurements:
    """What a mask measures.

    ``lesions`` counts connected regions. ``slice_number`` is the index of the slice with the largest area, 0 for an
    empty mask; ``area_mm2`` is the area there, ``head_share`` that area as a share of the head's there.
    ``largest_diameter_mm`` is the longest diameter of one region within one slice, wherever that is, and
    ``largest_diameter_head`` the same as a share of the head's own longest diameter in that slice. ``volume_ml`` is
    the volume in milliliters. What cannot be known is None: millimeters without spacing, shares without a head, and
    the volume of a single slice.
    """

    lesions: int
    slice_number: int
    area_mm2: float | None
    head_share: float | None
    largest_diameter_mm: float | None
    largest_diameter_head: float | None
    volume_ml: float | None


def measure(mask: Bools, head: Bools | None = None, spacing: tuple[float, float, float] | None = None) -> Measurements:
    """Measure a tumor mask.

    ``mask`` and ``head`` are bool (slices, height, width), ``spacing`` is (slice, row, column) in millimeters. Regions
    are 8-connected in a single slice and 26-connected in a volume. The longest diameter is that of RECIST 1.1
    (Eisenhauer et al., Eur J Cancer 45:228, 2009) taken in the slices as they are stored: the largest Feret diameter,
    between the outer corners of pixels. Raises ``ValueError`` for arrays of other or differing shapes and for spacing
    that is not above 0.
    """
    _check(mask, head, spacing)
    pixel = spacing[1:] if spacing else (1.0, 1.0)
    areas = np.count_nonzero(mask, axis=(1, 2))
    largest = int(areas.argmax())
    diameter, at = _longest_diameter(mask, pixel)
    head_area = int(np.count_nonzero(head[largest])) if head is not None else 0
    head_diameter = _slice_diameter(head[at], pixel) if head is not None else 0.0
    return Measurements(
        lesions=_count_regions(mask),
        slice_number=largest,
        area_mm2=float(areas[largest] * pixel[0] * pixel[1]) if spacing else None,
        head_share=float(areas[largest]) / head_area if head_area else None,
        largest_diameter_mm=diameter if spacing else None,
        largest_diameter_head=diameter / head_diameter if head_diameter else None,
        volume_ml=float(areas.sum() * np.prod(spacing) / 1000) if spacing and len(mask) > 1 else None,
    )


def bidirectional_diameters(mask: Bools, spacing: tuple[float, float, float]) -> tuple[float, float] | None:
    """Give the longest diameter of a tumor and the longest one at a right angle to it, in millimeters.

    ``mask`` and ``spacing`` are as in ``measure``, and so is the first diameter. The second is that of the same region
    in the same slice, between the outer corners of pixels of its convex hull, as calipers measure it. Their product is
    the bidirectional measurement of RANO 2.0 (Wen et al., J Clin Oncol 41:5187, 2023). None for an empty mask; raises
    ``ValueError`` as ``measure`` does.
    """
    _check(mask, None, spacing)
    pixel = spacing[1:]
    longest, at = _longest_diameter(mask, pixel)
    if not longest:
        return None
    regions, count = ndimage.label(mask[at], _EIGHT_NEIGHBORS)
    hulls = [_hull_corners(regions == number + 1, pixel) for number in range(count)]
    return longest, _perpendicular_diameter(max(hulls, key=lambda corners: _distances(corners).max()))


def head_mask(pixels: NDArray[np.float32]) -> Bools:
    """Find the head on a slice, ``pixels`` (height, width) in any gray range: bool (height, width), holes filled.

    It is sought as ``scans.prepare`` seeks it, so that what is measured is what the network was shown. All False where
    there is none, as on a blank slice.
    """
    found = coarse_head(pixels)
    if not found.region.any():
        return np.zeros(pixels.shape, dtype=bool)
    # The coarse picture is blurred, so it bridges the dark skull between scalp and brain but lies a little too far
    # out: its inside is taken as it is, and the rim is settled by the pixels themselves.
    inside = ndimage.binary_erosion(fill_holes(found.region), iterations=2)
    nearest = (
        np.minimum((np.arange(size) + found.step // 2) // found.step, cells - 1)
        for size, cells in zip(pixels.shape, found.region.shape, strict=True)
    )
    # Holes are filled only in the head: in a bright frame around the picture all of it is a hole.
    return fill_holes(largest_region(inside[np.ix_(*nearest)] | (pixels > found.level)))


def _check(mask: Bools, head: Bools | None, spacing: tuple[float, float, float] | None) -> None:
    if mask.ndim != 3 or 0 in mask.shape:
        raise ValueError(f"the mask has shape {mask.shape}; expected (slices, height, width)")
    if head is not None and head.shape != mask.shape:
        raise ValueError(f"the head has shape {head.shape} and the mask {mask.shape}; both must be the same")
    if spacing is not None and not all(0 < value < np.inf for value in spacing):
        raise ValueError(f"spacing is {spacing}; every value must be above 0 mm")


def _count_regions(mask: Bools) -> int:
    # A label takes four bytes a voxel, so only the part of a volume that holds something is labeled.
    box = ndimage.find_objects(mask.view(np.uint8), max_label=1)[0]
    return int(ndimage.label(mask[box], _TWENTY_SIX_NEIGHBORS)[1]) if box else 0


def _longest_diameter(mask: Bools, pixel: tuple[float, ...]) -> tuple[float, int]:
    """Give the longest diameter of a region within one slice and the index of that slice; 0 and 0 for nothing."""
    longest, at = 0.0, 0
    for number in np.flatnonzero(mask.any(axis=(1, 2))):
        diameter = _slice_diameter(mask[number], pixel)
        if diameter > longest:
            longest, at = diameter, int(number)
    return longest, at


def _slice_diameter(mask: Bools, pixel: tuple[float, ...]) -> float:
    """Give the longest diameter of a region of a slice, in the unit of ``pixel`` (row, column); 0 for none."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return 0.0
    # Labels take most of the time here, and most of a slice is empty.
    regions, count = ndimage.label(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], _EIGHT_NEIGHBORS)
    boxes = ndimage.find_objects(regions, max_label=count)
    reach = [float(np.hypot(*(pixel[axis] * (box[axis].stop - box[axis].start) for axis in (0, 1)))) for box in boxes]
    longest = 0.0
    for number in np.argsort(reach)[::-1]:
        # No diameter exceeds its box's diagonal, so the specks of a noisy mask cost nothing.
        if reach[number] <= longest:
            break
        longest = max(longest, _feret_diameter(regions[boxes[number]] == number + 1, pixel))
    return longest


def _feret_diameter(region: Bools, pixel: tuple[float, ...]) -> float:
    return float(_distances(_hull_corners(region, pixel)).max())


def _perpendicular_diameter(corners: NDArray[np.float64]) -> float:
    """Give the longest chord at a right angle to the longest diameter of a convex outline, (n, 2)."""
    first, last = np.unravel_index(_distances(corners).argmax(), (len(corners),) * 2)
    axis = corners[last] - corners[first]
    axis = axis / np.hypot(*axis)
    along = (corners - corners[first]) @ axis
    across = (corners - corners[first]) @ np.array([-axis[1], axis[0]])
    order = np.argsort(along)
    # Both sides of a convex outline run from one end of its longest diameter to the other; the chord between them
    # changes linearly from corner to corner, so its longest is at a corner.
    upper, lower = (
        np.interp(along, along[order][side[order]], across[order][side[order]])
        for side in (across >= -_ON_AXIS, across <= _ON_AXIS)
    )
    return float((upper - lower).max())


def _hull_corners(region: Bools, pixel: tuple[float, ...]) -> NDArray[np.float64]:
    """Give the corners of a region's convex hull, (n, 2), in the unit of ``pixel`` (row, column)."""
    rows = np.flatnonzero(region.any(axis=1))
    first = region[rows].argmax(axis=1)
    after = region.shape[1] - region[rows, ::-1].argmax(axis=1)
    # The hull of a region is that of the ends of its rows, none of which is empty; corners span an area even for one
    # pixel. On the line between two rows only the outer ends count.
    lines = np.append(rows, rows[-1] + 1)
    left = np.minimum(np.append(first, first[-1]), np.append(first[0], first))
    right = np.maximum(np.append(after, after[-1]), np.append(after[0], after))
    points = np.concatenate([np.column_stack([lines, ends]) for ends in (left, right)]).astype(np.float64)
    # Loading it takes longer than most answers, and many scans have nothing to measure.
    from scipy.spatial import ConvexHull

    return np.asarray(points[ConvexHull(points).vertices] * pixel, dtype=np.float64)


def _distances(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give how far each of n corners (n, 2) is from each other: (n, n)."""
    return np.asarray(np.linalg.norm(corners[:, np.newaxis] - corners, axis=-1))
