"""Undo what viewers and exports do to gray values around a head, so that a head lies on a dark background."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from braintumor.scans.percentiles import percentiles
from braintumor.scans.preprocessing import fill_holes, largest_region, reached_from_border

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


Layer = NDArray[np.float32]
_Change = Callable[[int, Layer], Layer]


@dataclass(frozen=True)
class Restored:
    """A picture or volume, float32 (slices, height, width), with a dark background, and what was undone to get there.

    Slices are changed when they are asked for: a second copy of a large volume would not fit into memory beside it.
    """

    original: NDArray[np.float32]
    undone: tuple[str, ...] = ()
    change: _Change | None = None

    def layer(self, number: int) -> Layer:
        """Give one slice, (height, width)."""
        given: Layer = self.original[number]
        return given if self.change is None else self.change(number, given)

    def layers(self) -> Iterator[Layer]:
        """Give slice after slice."""
        return (self.layer(number) for number in range(len(self.original)))


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
    highest = _highest_usual(pixels)
    view = _View(pixels, cap=math.inf if highest is None else highest)
    undone, change = _with_dark_background(view, _LAYERS)
    if highest is not None:
        undone, change = (OUTLIERS, *undone), change or _unchanged
    if change is None:
        return Restored(pixels)
    return Restored(pixels, undone, lambda number, _: change(number, view.layer(number)))


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

    def outside(self, view: "_View") -> "_Outside":
        """Mark the background as far as it reaches the border of its slice."""
        value = np.float32(self.value)
        layers = (np.abs(view.layer(number) - value) <= self.tolerance for number in range(view.shape[0]))
        return _Outside([np.packbits(reached_from_border(layer), axis=1) for layer in layers], view.shape[2])


@dataclass(frozen=True)
class _Outside:
    """A mask of each slice, packed to bits."""

    packed: list[NDArray[np.uint8]]
    width: int

    def layer(self, number: int) -> NDArray[np.bool_]:
        return np.unpackbits(self.packed[number], axis=1, count=self.width).view(np.bool_)

    @property
    def share(self) -> float:
        return float(np.mean([self.layer(number).mean() for number in range(len(self.packed))]))

    @property
    def everywhere(self) -> NDArray[np.bool_]:
        """Mark what lies outside on every slice, (height, width)."""
        alike = reduce(np.bitwise_and, self.packed)
        return np.unpackbits(alike, axis=1, count=self.width).view(np.bool_)


@dataclass(frozen=True)
class _View:
    """What of a volume is looked at: rows and columns, and values up to a cap."""

    pixels: NDArray[np.float32]
    rows: slice = field(default_factory=lambda: slice(None))
    columns: slice = field(default_factory=lambda: slice(None))
    cap: float = math.inf

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.within(slice(None)).shape

    def within(self, slices: slice) -> NDArray[np.float32]:
        return self.pixels[slices, self.rows, self.columns]

    def layer(self, number: int) -> Layer:
        given: Layer = self.pixels[number, self.rows, self.columns]
        return given if self.cap == math.inf else np.minimum(given, np.float32(self.cap))

    def sample(self) -> NDArray[np.float32]:
        """Give some of the values, evenly spread."""
        inside = self.within(slice(None))
        step = max(1, inside.size // _MOST_SAMPLED)
        if step == 1 or inside.flags.c_contiguous:
            return np.minimum(inside.ravel()[::step], np.float32(self.cap))
        width = inside.shape[2]
        chosen = np.arange(0, inside.size, step)
        line, column = np.divmod(chosen, width)
        number, row = np.divmod(line, inside.shape[1])
        top, left = self.rows.start or 0, self.columns.start or 0
        found: NDArray[np.float32] = self.pixels[number, row + top, column + left]
        return np.minimum(found, np.float32(self.cap))

    def corners(self) -> NDArray[np.float64]:
        """Give the middle value of each corner over all slices, (4,), rising."""
        everything = self.within(slice(None))
        side = max(2, round(min(self.shape[1:]) * _CORNER))
        near, far = slice(None, side), slice(-side, None)
        patches = [everything[:, rows, columns] for rows in (near, far) for columns in (near, far)]
        return np.sort([min(float(np.median(patch)), self.cap) for patch in patches])


def _with_dark_background(view: _View, layers: int) -> tuple[tuple[str, ...], _Change | None]:
    """Give what is to be undone, and how; the change takes slices of the view."""
    sample = view.sample()
    low, high = _range(sample)
    tolerance = _TOLERANCE * (high - low)
    corners = view.corners()
    corner = _shared_value(corners, tolerance)
    levels = _levels(sample, _commonest_value(sample) if corner is None else corner, tolerance)
    if levels is None or -_GAP <= levels.level < _GRAY_FROM:
        return (), None
    darkest = np.float32(levels.darkest)
    if levels.level < -_GAP:
        return ((BACKGROUND,), lambda _, layer: np.maximum(layer, darkest)) if corner is not None else ((), None)
    outside = levels.outside(view)
    if outside.share < _LEAST_SHARE:
        return (), None
    box = _rectangle(outside)
    if box is not None:
        return _unframed(view, box, darkest, layers - 1)
    if not _is_solid(outside):
        return (), None
    if levels.above < _FEW and (levels.level >= _BRIGHT_FROM if corner is not None else levels.is_white(corners)):
        top = np.float32(max(levels.value, levels.brightest))
        return (INVERTED,), lambda _, layer: top - np.minimum(layer, top)
    if corner is None:
        return (), None
    return (BACKGROUND,), lambda number, layer: np.where(outside.layer(number), darkest, layer)


def _unframed(
    view: _View, box: tuple[slice, slice], darkest: np.float32, layers: int
) -> tuple[tuple[str, ...], _Change]:
    """Darken all outside a rectangle, after its content, which may be a negative or have a frame of its own."""
    top, left = view.rows.start or 0, view.columns.start or 0
    rows, columns = (slice(near + side.start, near + side.stop) for near, side in zip((top, left), box, strict=True))
    content = replace(view, rows=rows, columns=columns)
    undone, change = _with_dark_background(content, layers) if layers else ((), None)
    if not {FRAME, INVERTED} & set(undone):
        undone, change = (), None
    if change is not None:
        changed = np.stack([change(number, content.layer(number)) for number in range(content.shape[0])])
        darkest = np.float32(_range(_View(changed).sample())[0])

    def unframed(number: int, layer: Layer) -> Layer:
        kept = np.full_like(layer, darkest)
        inner = layer[box]
        kept[box] = inner if change is None else change(number, inner)
        return kept

    return (FRAME, *undone), unframed


def _unchanged(_: int, layer: Layer) -> Layer:
    return layer


def _levels(sample: NDArray[np.float32], value: float, tolerance: float) -> _Levels | None:
    """Compare a background with the rest; None where one of the two hardly covers anything."""
    rest = sample[np.abs(sample - value) > tolerance]
    if not _LEAST_REST <= len(rest) / len(sample) <= 1 - _LEAST_SHARE:
        return None
    return _Levels(value, tolerance, *_range(rest), float((rest > value).mean()))


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
    low, high = percentiles(values, _LOW, _HIGH)
    return low, high


def _rectangle(outside: _Outside) -> tuple[slice, slice] | None:
    """Give rows and columns of the rectangle that a frame surrounds, the same on all slices; None without one.

    Its corners tell it from a head, whose box has none: between them a white scalp may run into a white frame.
    """
    largest = largest_region(_without_lines(~outside.everywhere))
    if not largest.any():
        return None
    box = ndimage.find_objects(largest.view(np.uint8))[0]
    filled = fill_holes(largest[box])
    down, across = (max(1, round(side * _BOX_CORNER)) for side in filled.shape)
    corners = [
        filled[rows, columns].mean() >= _RECTANGLE
        for rows in (slice(None, down), slice(-down, None))
        for columns in (slice(None, across), slice(-across, None))
    ]
    return (box[0], box[1]) if sum(corners) >= _CORNERS_ALIKE else None


def _is_solid(outside: _Outside) -> bool:
    """Tell whether a background surrounds one body, as it does a head.

    Of letters on a page none is large enough, and where a white scalp runs into a white frame the black corners between
    them are bodies of their own.
    """
    bodies = _without_lines(~outside.layer(len(outside.packed) // 2))
    body = largest_region(bodies)
    return bool(body.mean() >= _LEAST_BODY and body.sum() >= _ONE_BODY * bodies.sum())


def _without_lines(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Leave lines and letters out of a mask (height, width)."""
    return np.asarray(ndimage.binary_opening(inside, np.ones((3, 3), dtype=np.bool_)), dtype=np.bool_)


def _highest_usual(pixels: NDArray[np.float32]) -> float | None:
    """Give the value above which there are few and far ones; None where there are none such."""
    sample = _View(pixels).sample()
    tissue = sample[sample > sample.min()]
    if not len(tissue):
        return None
    low, usual, high = percentiles(tissue, _LOW, _USUAL_HIGH, _HIGH)
    return None if usual <= low or high - low <= _OUTLIER_RATIO * (usual - low) else usual
