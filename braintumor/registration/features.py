"""What of a volume is compared when heads are laid on each other: its local contrast, on a coarse grid of its own."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FINEST_MM = 2.0
"""Edge of a cell of the finest grid; a shift of a small part of it still shows."""
_LEVELS = 3
_REACH = 3.0
"""Standard deviation of what counts as local, in cells."""
_FLATTEST = 0.1
"""Share of the usual local contrast that is added to all, so that noise around the head stays low."""
_MOST_CELLS = 128
"""Of a grid along one axis, 256 mm; of what is longer the middle counts."""
_BINS = 256
_THINNEST_MM = 30.0


@dataclass(frozen=True)
class Volume:
    """Gray values (slices, height, width), and the 4 × 4 matrix from (slice, row, column, 1) to millimeters."""

    pixels: NDArray[np.int16] | NDArray[np.float32]
    affine: NDArray[np.float64]


@dataclass(frozen=True)
class Features:
    """Local contrast of a volume on a grid along the axes of the patient's space.

    ``values`` are (x, y, z), not a number where the volume does not reach, ``gradient`` their change by millimeters
    (3, x, y, z); ``is_head`` tells where the head is. The first cell lies at ``origin``, and cells are ``step`` mm
    apart.
    """

    values: NDArray[np.float32]
    gradient: NDArray[np.float32]
    is_head: NDArray[np.bool_]
    origin: NDArray[np.float64]
    step: float

    def cells(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn points in millimeters, (n, 3), into places on the grid, (3, n)."""
        return np.asarray(((points - self.origin) / self.step).T)

    def head_cells(self, most: int) -> NDArray[np.int_]:
        """Give the cells of the head, (n, 3), evenly thinned to ``most``."""
        cells = np.argwhere(self.is_head)
        return cells[:: max(1, -(-len(cells) // most))]

    def places(self, cells: NDArray[np.int_]) -> NDArray[np.float64]:
        """Give where cells lie in millimeters, (n, 3)."""
        return np.asarray(self.origin + self.step * cells)


def pyramid(volume: Volume) -> list[Features]:
    """Give the features of a volume, the coarsest first.

    Raises ``ValueError`` for one that shows nothing, and for one that is thinner than 30 mm.
    """
    if (np.linalg.norm(volume.affine[:3, :3], axis=0) * volume.pixels.shape).min() < _THINNEST_MM:
        raise ValueError("the volume is too thin to be laid on another")
    values, known, origin = _on_grid(volume)
    levels = [_features(values, known, origin, FINEST_MM)]
    for level in range(1, _LEVELS):
        values, known = _halved(values, known)
        step = FINEST_MM * 2**level
        # A cell stands for the eight that it is the mean of.
        origin = origin + step / 4
        levels.append(_features(values, known, origin, step))
    return levels[::-1]


def _on_grid(volume: Volume) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """Sample a volume on the finest grid: values, 0 to 1 for where the volume reaches, and the first cell's place."""
    pixels, affine = _thinned(volume)
    ends = np.array([[-0.5, size - 0.5] for size in pixels.shape])
    corners = np.stack(np.meshgrid(*ends, indexing="ij"), -1).reshape(-1, 3) @ affine[:3, :3].T + affine[:3, 3]
    low, high = corners.min(axis=0), corners.max(axis=0)
    cells = np.clip(np.ceil((high - low) / FINEST_MM).astype(int), 1, _MOST_CELLS)
    origin = (low + high) / 2 - FINEST_MM * (cells - 1) / 2
    inverse = np.asarray(np.linalg.inv(affine), np.float64)
    matrix, offset = FINEST_MM * inverse[:3, :3], inverse[:3, :3] @ origin + inverse[:3, 3]
    values = _resampled(pixels, matrix, offset, cells, "nearest")
    known = _resampled(np.pad(np.ones(pixels.shape, np.float32), 1), matrix, offset + 1, cells, "constant")
    return values, (known > 0.5).astype(np.float32), origin


def _resampled(
    pixels: NDArray[np.float32],
    matrix: NDArray[np.float64],
    offset: NDArray[np.float64],
    cells: NDArray[np.int_],
    mode: Literal["nearest", "constant"],
) -> NDArray[np.float32]:
    shape = tuple(int(size) for size in cells)
    return np.asarray(
        ndimage.affine_transform(pixels, matrix, offset, shape, output=np.float32, order=1, mode=mode, prefilter=False)
    )


def _thinned(volume: Volume) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Average whole blocks of voxels that are together no larger than a cell, slice by slice to save memory."""
    sizes = np.linalg.norm(volume.affine[:3, :3], axis=0)
    by = [int(np.clip(FINEST_MM // size, 1, length)) for size, length in zip(sizes, volume.pixels.shape, strict=True)]
    kept = [length // factor for length, factor in zip(volume.pixels.shape, by, strict=True)]
    made = np.zeros(kept, np.float32)
    for number in range(kept[0] * by[0]):
        layer = volume.pixels[number, : kept[1] * by[1], : kept[2] * by[2]].astype(np.float32)
        made[number // by[0]] += layer.reshape(kept[1], by[1], kept[2], by[2]).mean(axis=(1, 3)) / by[0]
    affine = volume.affine.copy()
    affine[:3, 3] += volume.affine[:3, :3] @ ((np.array(by) - 1) / 2)
    affine[:3, :3] *= by
    return made, affine


def _halved(values: NDArray[np.float32], known: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Average blocks of 2 × 2 × 2 cells, those alone that are known."""
    summed = []
    for grid in (values * known, known):
        even = np.pad(grid, [(0, size % 2) for size in grid.shape])
        x, y, z = (size // 2 for size in even.shape)
        summed.append(even.reshape(x, 2, y, 2, z, 2).sum(axis=(1, 3, 5)))
    return summed[0] / np.maximum(summed[1], 1), (summed[1] >= 4).astype(np.float32)


def _features(
    values: NDArray[np.float32], known: NDArray[np.float32], origin: NDArray[np.float64], step: float
) -> Features:
    weight = np.maximum(ndimage.gaussian_filter(known, _REACH, mode="constant", truncate=3), 1e-3)
    away = (values - _local(values * known, weight)) * known
    spread = np.sqrt(np.maximum(_local(away**2, weight), 0))
    # Slopes are known where there is something on both sides.
    is_head = _head(values, known) & ndimage.binary_erosion(known > 0)
    usual = float(np.median(spread[is_head])) if is_head.any() else 0.0
    if not usual > 0:
        raise ValueError("the volume shows nothing")
    made = np.asarray(away / (spread + _FLATTEST * usual), np.float32)
    gradient = np.stack([_slope(made, axis) for axis in range(3)]) / np.float32(step)
    return Features(np.where(known > 0, made, np.float32(np.nan)), gradient, is_head, origin, step)


def _local(values: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(ndimage.gaussian_filter(values, _REACH, mode="constant", truncate=3) / weight)


def _slope(values: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    return np.gradient(values, axis=axis) if values.shape[axis] > 1 else np.zeros_like(values)


def _head(values: NDArray[np.float32], known: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tell the head, with some of its surroundings, from the dark around it by Otsu's threshold."""
    inside = values[known > 0]
    if not inside.size or inside.min() == inside.max():
        return np.zeros(values.shape, dtype=bool)
    counts, edges = np.histogram(inside, _BINS, (float(inside.min()), float(np.quantile(inside, 0.999)) + 1e-6))
    below = np.cumsum(counts)[:-1]
    summed = np.cumsum(counts * (edges[:-1] + edges[1:]) / 2)
    above = below[-1] + counts[-1] - below
    between = (
        below * above * (summed[:-1] / np.maximum(below, 1) - (summed[-1] - summed[:-1]) / np.maximum(above, 1)) ** 2
    )
    bright = (values > edges[1:-1][between.argmax()]) & (known > 0)
    return np.asarray(ndimage.binary_dilation(ndimage.binary_opening(bright), iterations=2) & (known > 0))
