"""Lesions of two scans that lie on each other: which of one is which of the other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from braintumor.registration.rigid import Matrix, moved
from braintumor.segmentation import Regions

FARTHEST_MM = 10.0
"""Between the middles of two lesions that do not overlap and are still taken for one."""
_MOST = 500
"""Lesions of a scan that are matched, the largest: time and memory grow with the square of them."""
_LEAST_SHARED = 0.1
"""Of the smaller of two lesions: less of it in the other is the error of the alignment."""


@dataclass(frozen=True)
class Outline:
    """The numbered lesions of a scan, and the 4 × 4 matrix from its (slice, row, column, 1) to millimeters."""

    regions: Regions
    affine: Matrix

    @property
    def to_cell(self) -> Matrix:
        """Take points in millimeters to cells of the regions' numbers."""
        matrix = np.asarray(np.linalg.inv(self.affine), np.float64)
        matrix[:3, 3] -= self.regions.corner
        return matrix


@dataclass(frozen=True)
class Match:
    """Lesions of the earlier scan and of the later one that are one, by their numbers.

    There are several on a side where lesions flowed together or apart, and none where one side has nothing there.
    """

    before: tuple[int, ...]
    now: tuple[int, ...]


def match(before: Outline, now: Outline, matrix: Matrix) -> list[Match]:
    """Match lesions by what they share in space, then the nearest of those that are left; the largest now come first.

    Of each scan the 500 largest are matched, and the others left out.
    ``matrix`` takes points of the later scan to the earlier one's, see ``Alignment``.
    """
    earlier, later = _Lesions(before, np.eye(4)), _Lesions(now, matrix)
    joined = [*_overlapping(before, earlier, later)]
    joined += _nearest(earlier, later, {one for one, _ in joined}, {other for _, other in joined})
    size = earlier.count + later.count
    ours, theirs = np.array(joined, int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(ours)), (ours, earlier.count + theirs)), shape=(size, size))
    _, groups = connected_components(graph, directed=False)
    matches = [
        Match(
            tuple(int(number) + 1 for number in np.flatnonzero(groups[: earlier.count] == group)),
            tuple(int(number) + 1 for number in np.flatnonzero(groups[earlier.count :] == group)),
        )
        for group in dict.fromkeys([*groups[earlier.count :], *groups[: earlier.count]])
    ]
    return sorted(matches, key=lambda one: (not one.now, *(one.now[:1] or one.before[:1])))


class _Lesions:
    """The voxels of lesions with their numbers from 0, where they lie in the earlier scan's space, and volumes."""

    def __init__(self, outline: Outline, matrix: Matrix) -> None:
        numbers = outline.regions.numbers
        cells = np.argwhere((numbers > 0) & (numbers <= _MOST))
        self.numbers = numbers[tuple(cells.T)] - 1
        self.count = min(outline.regions.count, _MOST)
        self.places = moved(matrix, moved(outline.affine, np.asarray(cells + outline.regions.corner, np.float64)))
        counts = np.bincount(self.numbers, minlength=self.count)
        self.voxel = abs(float(np.linalg.det(outline.affine[:3, :3])))
        self.volumes = self.voxel * counts
        sums = [np.bincount(self.numbers, self.places[:, axis], self.count) for axis in range(3)]
        self.middles = np.stack(sums, axis=1) / np.maximum(counts, 1)[:, np.newaxis]


def _overlapping(before: Outline, earlier: _Lesions, later: _Lesions) -> list[tuple[int, int]]:
    numbers = before.regions.numbers
    cells = np.rint(moved(before.to_cell, later.places)).astype(int)
    is_inside = ((cells >= 0) & (cells < numbers.shape)).all(axis=1)
    found = np.zeros(len(cells), int)
    found[is_inside] = numbers[tuple(cells[is_inside].T)]
    found[found > _MOST] = 0
    shared = np.zeros((earlier.count, later.count))
    np.add.at(shared, (found[found > 0] - 1, later.numbers[found > 0]), later.voxel)
    smaller = np.minimum(earlier.volumes[:, np.newaxis], later.volumes)
    return [(int(one), int(other)) for one, other in np.argwhere((shared > 0) & (shared >= _LEAST_SHARED * smaller))]


def _nearest(earlier: _Lesions, later: _Lesions, known: set[int], also_known: set[int]) -> Sequence[tuple[int, int]]:
    apart = np.linalg.norm(earlier.middles[:, np.newaxis] - later.middles, axis=-1)
    apart[list(known)] = np.inf
    apart[:, list(also_known)] = np.inf
    found = []
    while apart.size and apart.min() <= FARTHEST_MM:
        one, other = (int(place) for place in np.unravel_index(apart.argmin(), apart.shape))
        found.append((one, other))
        apart[one] = np.inf
        apart[:, other] = np.inf
    return found
