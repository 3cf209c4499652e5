"""One head laid on another: the shift and turn between two volumes of it, found from their local contrast alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from braintumor.registration.features import Features, Volume, pyramid

Matrix = NDArray[np.float64]

_POINTS = (4_000, 10_000, 30_000)
"""Of the head, on each level from the coarsest."""
_KEPT = (6, 3, 1)
"""Guesses that each level begins with."""
_STEPS = 25
_SETTLED = 0.005
"""Of a cell; a step that moves no point of the head by more ends a level."""
_HEAD_RADIUS = 90.0
"""Millimeters by which a turn is counted as a shift."""
_TURN = np.deg2rad(12)
"""Of the first guesses about each axis."""
_TUKEY = 4.685
"""Residuals beyond so many standard deviations count nothing, as of a tumor that was not there before."""
_TO_DEVIATION = 1.4826
"""Of the median of absolute residuals (Hampel 1974)."""
_LEAST_SHARED = 0.4
"""Share of the head's points that must lie in the other volume."""
_LEAST_SIMILARITY = 0.3
_LARGEST_DISAGREEMENT_MM = 1.5


@dataclass(frozen=True)
class Alignment:
    """How one volume lies on another: ``matrix`` takes points of the first, in millimeters, to the second's.

    ``similarity`` is the correlation of local contrast after it, up to 1. ``disagreement_mm`` is how far apart, at
    most, a point of the head comes to lie when the second volume is laid on the first in turn.
    """

    matrix: Matrix
    similarity: float
    disagreement_mm: float

    @property
    def is_trusted(self) -> bool:
        """Whether both directions find the same and the heads look alike after it; else it says nothing."""
        return self.similarity >= _LEAST_SIMILARITY and self.disagreement_mm <= _LARGEST_DISAGREEMENT_MM

    def apply(self, points: Matrix) -> Matrix:
        """Take points (n, 3) of the first volume's space to the second's."""
        return moved(self.matrix, points)


def moved(matrix: Matrix, points: Matrix) -> Matrix:
    """Take points (n, 3) through a 4 × 4 matrix."""
    return np.asarray(points @ matrix[:3, :3].T + matrix[:3, 3])


def align(first: Volume, second: Volume) -> Alignment:
    """Find how the head in one volume lies on the same head in another, up to a shift and a turn.

    Both are brought to grids of 8, 4 and 2 mm. On each, local contrast is laid on local contrast by Gauss-Newton steps
    with Tukey's weights, as robust registration does (Reuter et al., NeuroImage 53:1181, 2010), from several guesses at
    first. It is done in both directions, and the mean of both is given. Raises ``ValueError`` for a volume that shows
    nothing or is thinner than 30 mm.
    """
    ours, theirs = pyramid(first), pyramid(second)
    there, similarity = _found(ours, theirs)
    back, other = _found(theirs, ours)
    head = ours[-1].places(ours[-1].head_cells(2_000))
    apart = np.linalg.norm(moved(back @ there, head) - head, axis=1)
    return Alignment(
        _between(there, np.asarray(np.linalg.inv(back), np.float64)), min(similarity, other), float(apart.max())
    )


def _found(fixed: Sequence[Features], moving: Sequence[Features]) -> tuple[Matrix, float]:
    candidates = list(_guesses(fixed[0], moving[0]))
    scores = [_similarity(_Points(fixed[0], _POINTS[0]), moving[0], guess) for guess in candidates]
    for ours, theirs, most, kept in zip(fixed, moving, _POINTS, _KEPT, strict=True):
        best = np.argsort(scores)[::-1][:kept]
        points = _Points(ours, most)
        candidates = [_refined(points, theirs, candidates[number]) for number in best]
        scores = [_similarity(points, theirs, candidate) for candidate in candidates]
    best_of_all = int(np.argmax(scores))
    return candidates[best_of_all], scores[best_of_all]


class _Points:
    """Points of a head, (n, 3), their values, and how these change with a turn about their middle and with a shift."""

    def __init__(self, features: Features, most: int) -> None:
        cells = features.head_cells(most)
        self.places = features.places(cells)
        self.values = features.values[tuple(cells.T)]
        slopes = features.gradient[:, *cells.T].T.astype(np.float64)
        self.middle = self.places.mean(axis=0)
        self.jacobian = np.hstack([np.cross(self.places - self.middle, slopes), slopes])


def _guesses(fixed: Features, moving: Features) -> Iterator[Matrix]:
    """Give first guesses: as the scanner says, and middle of the head on middle of the head, each turned a little."""
    middles = [one.places(one.head_cells(10**6)).mean(axis=0) for one in (fixed, moving)]
    turns = [np.zeros(3), *(_TURN * sign * np.eye(3)[axis] for axis in range(3) for sign in (1, -1))]
    for shift in (np.zeros(3), middles[1] - middles[0]):
        for turn in turns:
            yield _about(middles[0], turn, shift)


def _about(center: Matrix, turn: Matrix, shift: Matrix) -> Matrix:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
    matrix[:3, 3] = center + shift - matrix[:3, :3] @ center
    return matrix


def _refined(points: _Points, moving: Features, guess: Matrix) -> Matrix:
    """Step from a guess towards where the contrast at the points is that of the moving volume."""
    matrix = guess
    for _ in range(_STEPS):
        step = _step(points, moving, matrix)
        if step is None:
            break
        turn, shift = step
        matrix = matrix @ np.linalg.inv(_about(points.middle, turn, shift))
        if np.linalg.norm(turn) * _HEAD_RADIUS + np.linalg.norm(shift) < _SETTLED * moving.step:
            break
    return matrix


def _step(points: _Points, moving: Features, matrix: Matrix) -> tuple[Matrix, Matrix] | None:
    """Give the small turn and shift of the points that explains the values they find; None where too few lie inside.

    Moving the points themselves, their slopes are the same in each step (Baker and Matthews, IJCV 56:221, 2004).
    """
    found = _sampled(moving.values, moving.cells(moved(matrix, points.places)))
    is_shared = np.isfinite(found)
    if is_shared.mean() < _LEAST_SHARED:
        return None
    residuals = (found - points.values)[is_shared]
    jacobian = points.jacobian[is_shared]
    deviation = _TO_DEVIATION * float(np.median(np.abs(residuals))) + 1e-6
    weighted = jacobian * (np.maximum(1 - (residuals / (_TUKEY * deviation)) ** 2, 0) ** 2)[:, np.newaxis]
    normal = weighted.T @ jacobian
    # Where nothing changes along some axis, as across a single slice, nothing is moved along it.
    damping = 1e-6 * np.trace(normal) / 6 + 1e-9
    solved = np.linalg.solve(normal + damping * np.eye(6), weighted.T @ residuals)
    return solved[:3], solved[3:]


def _similarity(points: _Points, moving: Features, matrix: Matrix) -> float:
    found = _sampled(moving.values, moving.cells(moved(matrix, points.places)))
    is_shared = np.isfinite(found)
    if is_shared.mean() < _LEAST_SHARED or not found[is_shared].std() > 0:
        return -1.0
    return float(np.corrcoef(points.values[is_shared], found[is_shared])[0, 1])


def _between(one: Matrix, other: Matrix) -> Matrix:
    """Give the motion half way from one to another that is close to it."""
    matrix = np.eye(4)
    turns = Rotation.from_matrix([one[:3, :3], other[:3, :3]])
    matrix[:3, :3] = turns.mean().as_matrix()
    matrix[:3, 3] = (one[:3, 3] + other[:3, 3]) / 2
    return matrix


def _sampled(grid: NDArray[np.float32], cells: Matrix) -> NDArray[np.float32]:
    """Interpolate; not a number outside of what the volume reaches."""
    return np.asarray(ndimage.map_coordinates(grid, cells, np.float32, order=1, cval=np.nan, prefilter=False))
