"""Undo what viewers and exports do to gray values around a head, so that a head lies on a dark background."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from braintumor.scans.preprocessing import largest_region

INVERTED = "inverted"
BACKGROUND = "background"
FRAME = "frame"
OUTLIERS = "outliers"

_LOW, _HIGH = 0.5, 99.5
_CORNER = 1 / 32
"""Side of the patches that tell a background, as a share of the picture's shorter side."""
_TOLERANCE = 0.02
"""Share of the range within which values count as one; JPEG blurs a flat background by about as much."""
_LEAST_SHARE, _LEAST_REST = 0.05, 0.005
"""Of a picture, what a background and what the rest cover at least."""
_GAP = 0.5
_GRAY_FROM, _BRIGHT_FROM, _WHITE_FROM = 0.12, 0.5, 0.9
_FEW = 0.1
_CORNERS_ALIKE = 3
_LEAST_BODY, _ONE_BODY = 0.02, 0.85
"""Share of the picture that a head covers at least, and of all that is not background: 0.89 or more of 723 published
scans turned into negatives, 0.76 of one with a white frame."""
_BOX_CORNER, _RECTANGLE = 1 / 16, 0.6
"""Side of a rectangle's corners as a share of its own, and how much of each is filled. So 194 of 200 Cheng slices
turned into negatives, with a square of noise around the head, are told from frames; those of published scans stay."""
_OUTLIER_RATIO, _USUAL_HIGH = 4.0, 98.0
_MOST_SAMPLED = 500_000
_LAYERS = 2
"""Frames around one another: a film on a light box, in a window."""


@dataclass(frozen=True)
class Restored:
    """Gray values with a dark background, and which of the four changes were undone to get there.

    ``pixels`` is float32 of the shape given, and the very array given where nothing was undone.
    """

    pixels: NDArray[np.float32]
    undone: tuple[str, ...] = ()


def restore(pixels: NDArray[np.float32]) -> Restored:
    """Give a picture or volume, (slices, height, width), the dark background on which a head is found.

    The background is the value that at least three of four corners share, over all slices. Four changes are certain
    enough to be undone:

    - ``BACKGROUND``: one value far below the tissue, or gray amid its values (a z-score with 0 outside), becomes the
      tissue's lowest value;
    - ``FRAME``: a gray or white frame around a rectangle becomes that value too;
    - ``INVERTED``: another shape than a rectangle on a bright background is a head in negative, and is inverted;
    - ``OUTLIERS``: a few values far above all others (an implant, a marker block) are cut off.

    The levels that decide were set on made-up scans and so that the public training sets stay as they are.
    """
    without = _without_outliers(pixels)
    found = _with_dark_background(without.pixels, _LAYERS)
    return Restored(found.pixels, (*without.undone, *found.undone))


@dataclass(frozen=True)
class _Levels:
    """A background's value, how far values may lie from it, and the range of all that lies farther.

    ``above`` is the share of that rest which is brighter than the background.
    """

    value: float
    tolerance: float
    darkest: float
    brightest: float
    above: float

    @property
    def level(self) -> float:
        """Where the background lies in the range of the rest: 0 at its darkest, 1 at its brightest value."""
        return (self.value - self.darkest) / max(self.brightest - self.darkest, float(np.finfo(np.float32).tiny))

    def is_white(self, corners: NDArray[np.float64]) -> bool:
        """Tell whether the background is nearly the brightest value and fills two of the corners."""
        filled = np.abs(corners - self.value) <= _CORNERS_ALIKE * self.tolerance
        return bool(self.level >= _WHITE_FROM and filled.sum() >= 2)

    def outside(self, pixels: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Mark the background as far as it reaches the border of its slice."""
        return _reached_from_border(np.abs(pixels - np.float32(self.value)) <= self.tolerance)


def _with_dark_background(pixels: NDArray[np.float32], layers: int) -> Restored:
    sample = _sample(pixels)
    low, high = _range(sample)
    tolerance = _TOLERANCE * (high - low)
    corners = _corners(pixels)
    corner = _shared_value(corners, tolerance)
    levels = _levels(sample, _commonest_value(sample) if corner is None else corner, tolerance)
    if levels is None or -_GAP <= levels.level < _GRAY_FROM:
        return Restored(pixels)
    darkest = np.float32(levels.darkest)
    if levels.level < -_GAP:
        return Restored(np.maximum(pixels, darkest), (BACKGROUND,)) if corner is not None else Restored(pixels)
    outside = levels.outside(pixels)
    if outside.mean() < _LEAST_SHARE:
        return Restored(pixels)
    box = _rectangle(outside)
    if box is not None:
        return _unframed(pixels, box, darkest, layers - 1)
    if not _is_solid(outside):
        return Restored(pixels)
    if levels.above < _FEW and (levels.level >= _BRIGHT_FROM if corner is not None else levels.is_white(corners)):
        top = np.float32(max(levels.value, levels.brightest))
        return Restored(top - np.minimum(pixels, top), (INVERTED,))
    return Restored(np.where(outside, darkest, pixels), (BACKGROUND,)) if corner is not None else Restored(pixels)


def _unframed(pixels: NDArray[np.float32], box: tuple[slice, slice], darkest: np.float32, layers: int) -> Restored:
    """Darken all outside a rectangle, after its content, which may be a negative or have a frame of its own."""
    content = Restored(pixels[:, box[0], box[1]])
    within = _with_dark_background(content.pixels, layers) if layers else content
    if {FRAME, INVERTED} & set(within.undone):
        content, darkest = within, np.float32(_range(_sample(within.pixels))[0])
    kept = np.full_like(pixels, darkest)
    kept[:, box[0], box[1]] = content.pixels
    return Restored(kept, (FRAME, *content.undone))


def _levels(sample: NDArray[np.float32], value: float, tolerance: float) -> _Levels | None:
    """Compare a background with the rest; None where one of the two hardly covers anything."""
    rest = sample[np.abs(sample - value) > tolerance]
    if not _LEAST_REST <= len(rest) / len(sample) <= 1 - _LEAST_SHARE:
        return None
    return _Levels(value, tolerance, *_range(rest), float((rest > value).mean()))


def _corners(pixels: NDArray[np.float32]) -> NDArray[np.float64]:
    """Give the middle value of each corner over all slices, (4,), rising."""
    side = max(2, round(min(pixels.shape[1:]) * _CORNER))
    near, far = slice(None, side), slice(-side, None)
    patches = [pixels[:, rows, columns] for rows in (near, far) for columns in (near, far)]
    return np.sort([float(np.median(patch)) for patch in patches])


def _shared_value(corners: NDArray[np.float64], tolerance: float) -> float | None:
    """Give the value that three or four corners share, None where they differ by more than a flat background does."""
    for three in (corners[:3], corners[1:]):
        if three[-1] - three[0] <= tolerance:
            return float(three[1])
    return None


def _commonest_value(sample: NDArray[np.float32]) -> float:
    counts, edges = np.histogram(sample, bins=round(1 / _TOLERANCE))
    commonest = int(counts.argmax())
    within = sample[(sample >= edges[commonest]) & (sample <= edges[commonest + 1])]
    return float(np.median(within))


def _range(values: NDArray[np.float32]) -> tuple[float, float]:
    low, high = np.percentile(values, (_LOW, _HIGH))
    return float(low), float(high)


def _sample(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    flat = pixels.reshape(-1)
    return flat[:: max(1, len(flat) // _MOST_SAMPLED)]


def _reached_from_border(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep of each slice's mask the regions that touch its border."""
    reached = np.zeros_like(mask)
    for number, layer in enumerate(mask):
        regions, _ = ndimage.label(layer)
        touching = np.unique(np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]]))
        reached[number] = np.isin(regions, touching[touching > 0])
    return reached


def _rectangle(outside: NDArray[np.bool_]) -> tuple[slice, slice] | None:
    """Give rows and columns of the rectangle that a frame surrounds, the same on all slices; None without one.

    Its corners tell it from a head, whose box has none: between them a white scalp may run into a white frame.
    """
    largest = largest_region(_without_lines(~np.asarray(outside.all(axis=0))))
    if not largest.any():
        return None
    box = ndimage.find_objects(largest.view(np.uint8))[0]
    filled = ndimage.binary_fill_holes(largest[box])
    down, across = (max(1, round(side * _BOX_CORNER)) for side in filled.shape)
    corners = [
        filled[rows, columns].mean() >= _RECTANGLE
        for rows in (slice(None, down), slice(-down, None))
        for columns in (slice(None, across), slice(-across, None))
    ]
    return (box[0], box[1]) if sum(corners) >= _CORNERS_ALIKE else None


def _is_solid(outside: NDArray[np.bool_]) -> bool:
    """Tell whether a background surrounds one body, as it does a head.

    Of letters on a page none is large enough, and where a white scalp runs into a white frame the black corners between
    them are bodies of their own.
    """
    bodies = _without_lines(~outside[len(outside) // 2])
    body = largest_region(bodies)
    return bool(body.mean() >= _LEAST_BODY and body.sum() >= _ONE_BODY * bodies.sum())


def _without_lines(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Leave lines and letters out of a mask (height, width)."""
    return np.asarray(ndimage.binary_opening(inside, np.ones((3, 3))), dtype=np.bool_)


def _without_outliers(pixels: NDArray[np.float32]) -> Restored:
    sample = _sample(pixels)
    tissue = sample[sample > sample.min()]
    if not len(tissue):
        return Restored(pixels)
    low, usual, high = (float(found) for found in np.percentile(tissue, (_LOW, _USUAL_HIGH, _HIGH)))
    if usual <= low or high - low <= _OUTLIER_RATIO * (usual - low):
        return Restored(pixels)
    return Restored(np.minimum(pixels, np.float32(usual)), (OUTLIERS,))
