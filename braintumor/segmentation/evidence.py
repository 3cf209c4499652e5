"""What speaks for a tumor in a stack of slices: regions of the map joined over slices, and scores that last."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from braintumor.scans import Prepared
from braintumor.segmentation.measurements import head_mask

EVIDENCE = ("highest", "lasting", "above", "volume", "extent")
"""Names of the figures that ``Evidence.figures`` gives, in its order."""

_GRID = 64
_CELL_FROM = 0.5
_SCORE_FROM = 2.0
"""Log-odds above which a slice counts as suspicious by itself: odds of seven to one."""
_NEIGHBORS = 3
_LEAST_SHARE = 1e-5
_FEWEST_SLICES = 40
"""Of a stack with twice as many slices or more, several are taken together: neighbors of 1 mm are all alike."""


@dataclass(frozen=True)
class Evidence:
    """Figures of one stack that hold whatever its spacing.

    ``highest`` is the highest score (log-odds of a tumor) of any slice, ``lasting`` the highest of the lowest of three
    neighbors; ``above`` the share of slices with odds above seven to one. The largest region of the tumor map, cells
    at even odds or better joined over slices, has the share ``volume`` of the head's volume and reaches over the share
    ``extent`` of the slices; ``slices`` are its own, by number, and ``key`` is the one with the highest score, of the
    region or, without any, of the stack.
    """

    highest: float
    lasting: float
    above: float
    volume: float
    extent: float
    slices: tuple[int, ...]
    key: int

    @property
    def figures(self) -> NDArray[np.float64]:
        """Give the figures in the order of ``EVIDENCE``, (5,): volumes as logarithms, since they span decades."""
        return np.array([self.highest, self.lasting, self.above, np.log(self.volume + _LEAST_SHARE), self.extent])


def on_grid(tumor_map: NDArray[np.float32], square: Prepared, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Lay a map over the prepared square on a coarse grid of its slice (height, width): (64, 64), 0 elsewhere."""
    height, width = shape
    down, across = tumor_map.shape[0] / square.side, tumor_map.shape[1] / square.width
    box = (
        -square.left * across,
        -square.top * down,
        (width - square.left) * across,
        (height - square.top) * down,
    )
    values = Image.fromarray(np.ascontiguousarray(tumor_map, dtype=np.float32))
    return np.asarray(values.transform((_GRID, _GRID), Image.Transform.EXTENT, box, Image.Resampling.BILINEAR))


def head_share(square: Prepared, shape: tuple[int, int]) -> float:
    """Give the share of a slice (height, width) that the head covers, from 0 to 1."""
    covered = float(head_mask(square.image.astype(np.float32)).mean())
    return min(1.0, covered * square.side * square.width / (shape[0] * shape[1]))


def evidence(
    scores: Sequence[float], maps: NDArray[np.float32] | None, heads: Sequence[float], shown: Sequence[bool]
) -> Evidence:
    """Gather the evidence of a stack from its slices, in order.

    ``scores`` are log-odds (n,), ``maps`` what ``on_grid`` gives, (n, 64, 64), None from a network that does not
    locate, ``heads`` what ``head_share`` gives, and ``shown`` tells which slices are not empty. Raises ``ValueError``
    when all are.
    """
    numbers = np.flatnonzero(np.asarray(shown, dtype=bool))
    if not len(numbers):
        raise ValueError("every slice is empty, so there is nothing to judge")
    odds = np.asarray(scores, dtype=np.float64)[numbers]
    thick = _taken_together(odds)
    low = np.array([thick[start : start + _NEIGHBORS].min() for start in range(max(1, len(thick) - _NEIGHBORS + 1))])
    region, volume = _largest_region(maps, numbers, np.asarray(heads, dtype=np.float64))
    candidates = region if len(region) else numbers
    return Evidence(
        highest=float(thick.max()),
        lasting=float(low.max()),
        above=float((thick > _SCORE_FROM).mean()),
        volume=volume,
        extent=len(region) / len(numbers),
        slices=tuple(int(number) for number in region),
        key=int(candidates[np.argmax(np.asarray(scores)[candidates])]),
    )


def _taken_together(odds: NDArray[np.float64]) -> NDArray[np.float64]:
    size = max(1, len(odds) // _FEWEST_SLICES)
    return np.array([np.median(odds[start : start + size]) for start in range(0, len(odds), size)])


def _largest_region(
    maps: NDArray[np.float32] | None, numbers: NDArray[np.int64], heads: NDArray[np.float64]
) -> tuple[NDArray[np.int64], float]:
    """Give the slices of the largest region, and its share of the head's volume; none and 0 where there is no cell."""
    cells = None if maps is None else maps[numbers] >= _CELL_FROM
    if cells is None or not cells.any():
        return numbers[:0], 0.0
    regions, _ = ndimage.label(cells, np.ones((3, 3, 3)))
    sizes = np.bincount(regions.ravel())[1:]
    largest = regions == 1 + sizes.argmax()
    head = max(float(heads[numbers].sum()) * _GRID**2, 1.0)
    return numbers[largest.any(axis=(1, 2))], float(sizes.max()) / head
