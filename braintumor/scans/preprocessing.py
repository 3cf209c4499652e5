"""From a slice to what a network sees; training and inference both come through ``prepare``."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from braintumor.scans.percentiles import percentiles

PREPROCESSING = "head-crop-1"
"""Name and version of ``prepare``; a bundle made with another one is refused."""

_SEARCH_SIDE = 96
_HEAD_LEVEL = 0.12
_MARGIN = 0.02
_DARKEST, _BRIGHTEST = 0.5, 99.5
_SMALLEST_HEAD, _LOST_HEAD = 0.05, 0.005
Box = tuple[slice, slice]
"""Rows and columns of a slice."""
_FOUR_NEIGHBORS = ndimage.generate_binary_structure(2, 1)
_LARGEST_VALUE = 1e30
_LARGEST_SIDE = 4096
_SHOWN_SIDE = 1024
"""Longest side at which a head is looked for on a slice whose pixels are not square."""


@dataclass(frozen=True)
class Prepared:
    """A slice ready for a network, and where it came from.

    ``image`` is uint8 (size, size). ``top``, ``left`` and ``side`` give, in pixels of the slice, the square that
    was cut out; it may reach past the slice's edges, where it is black. ``side`` counts rows: of pixels that are not
    square, ``aspect`` times as wide as high, it has another number of columns, ``width``.
    """

    image: NDArray[np.uint8]
    top: int
    left: int
    side: int
    aspect: float = 1.0

    @property
    def width(self) -> int:
        """Columns of the square."""
        return _columns(self.side, self.aspect)


@dataclass(frozen=True)
class CoarseHead:
    """Where a head lies: ``region``, bool, of every ``step``-th pixel, and ``level``, the gray value above which.

    ``bright``, of the same shape, marks all above that level: ``region`` is the largest part of it.
    """

    region: NDArray[np.bool_]
    step: int
    level: float
    bright: NDArray[np.bool_]


def prepare(pixels: NDArray[np.float32], size: int, aspect: float = 1.0) -> Prepared:
    """Crop a slice to the head, make it square, scale its intensity and resize it.

    ``pixels`` is (height, width) in any gray range; each is ``aspect`` times as wide as high. The head is the largest
    connected region brighter than 12 % of the way from the 0.5th to the 99.5th percentile; where the box around it
    covers less than 5 % of the picture all of it is kept. Gray values from the 0.5th to the 99.5th percentile inside
    the square map to 0 to 255; a flat slice maps to 0.
    """
    pixels = _tame(pixels)
    top, left, bottom, right = _head_box(pixels, aspect)
    height, width = bottom - top, right - left
    side = round(max(height, width * aspect) * (1 + 2 * _MARGIN))
    columns = _columns(side, aspect)
    top -= (side - height) // 2
    left -= (columns - width) // 2
    inside = pixels[max(top, 0) : top + side, max(left, 0) : left + columns]
    square = _cut_out(pixels, top, left, side, columns)
    resized = np.asarray(square.resize((size, size), Image.Resampling.BILINEAR), dtype=np.float32)
    return Prepared(in_window(resized, inside), top, left, side, aspect)


def small_head(layers: Iterable[NDArray[np.float32]]) -> Box | None:
    """Find a head that is lost in an empty plane, over all slices of a scan, (height, width) each.

    Gives rows and columns, with as much around the head as it is large, where the box around it covers less than 5 % of
    the plane but 0.5 % or more; None otherwise. A slice that ``prepare`` cuts from these is the head's.
    """
    brightest = reduce(np.maximum, layers)
    head = _brightest_region(brightest)
    if not head.region.any():
        return None
    top, left, bottom, right = _box(head, brightest.shape)
    height, width = bottom - top, right - left
    if not _LOST_HEAD <= height * width / brightest.size < _SMALLEST_HEAD:
        return None
    rows = slice(max(0, top - height // 2), bottom + height // 2)
    return rows, slice(max(0, left - width // 2), right + width // 2)


def prepare_within(pixels: NDArray[np.float32], box: Box | None, size: int, aspect: float = 1.0) -> Prepared:
    """Prepare what of a slice lies in a box, see ``small_head``; without one, the slice."""
    if box is None:
        return prepare(pixels, size, aspect)
    prepared = prepare(pixels[box], size, aspect)
    return replace(prepared, top=prepared.top + box[0].start, left=prepared.left + box[1].start)


def with_square_pixels(pixels: NDArray[np.float32], aspect: float, longest_side: int) -> NDArray[np.float32]:
    """Give a slice, (height, width), whose pixels are ``aspect`` times as wide as high, at its true proportions.

    The result has square pixels and is ``longest_side`` pixels a side at most; a slice with square pixels is given
    back as it is.
    """
    if aspect == 1:
        return pixels
    # None of its rows or columns is lost unless the longest side asks for it.
    height, width = pixels.shape[0] * max(1 / aspect, 1.0), pixels.shape[1] * max(aspect, 1.0)
    scale = min(1.0, longest_side / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize(size, Image.Resampling.BILINEAR))


def coarse_head(pixels: NDArray[np.float32]) -> CoarseHead:
    """Find the head on a slice, ``pixels`` (height, width): the largest connected region that is bright enough.

    Its region is empty where the box around it covers less than 5 % of the slice.
    """
    head = _brightest_region(pixels)
    if not head.region.any():
        return head
    top, left, bottom, right = _box(head, pixels.shape)
    covered = (bottom - top) * (right - left) / pixels.size
    return head if covered >= _SMALLEST_HEAD else replace(head, region=np.zeros_like(head.region))


def _brightest_region(pixels: NDArray[np.float32]) -> CoarseHead:
    height, width = pixels.shape
    step = max(1, max(height, width) // _SEARCH_SIDE)
    coarse = ndimage.uniform_filter(pixels[::step, ::step], 3)
    darkest, brightest = np.percentile(coarse, (_DARKEST, _BRIGHTEST))
    level = darkest + _HEAD_LEVEL * (brightest - darkest)
    bright = coarse > level
    return CoarseHead(largest_region(bright), step, float(level), bright)


def largest_region(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the largest connected region of a mask (height, width); nothing of an empty one."""
    regions, count = ndimage.label(mask, _FOUR_NEIGHBORS)
    if count == 0:
        return np.zeros(mask.shape, dtype=bool)
    return np.asarray(regions == 1 + np.bincount(regions.ravel())[1:].argmax(), dtype=bool)


def reached_from_border(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep of a mask (height, width) the regions that touch its border."""
    regions, count = ndimage.label(mask, _FOUR_NEIGHBORS)
    touching = np.zeros(count + 1, dtype=bool)
    for side in (regions[0], regions[-1], regions[:, 0], regions[:, -1]):
        touching[side] = True
    touching[0] = False
    return np.asarray(touching[regions])


def fill_holes(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fill what a mask (height, width) encloses; does what SciPy's ``binary_fill_holes`` does in a third of the time.

    That one grows the outside pixel by pixel, and here a head is filled several times a scan.
    """
    return ~reached_from_border(~mask)


def in_window(values: NDArray[np.float32], reference: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Scale gray values so that the 0.5th to the 99.5th percentile of ``reference`` (height, width) map to 0 to 255.

    Gives uint8 of the shape of ``values``; what lies outside is cut off, and a flat reference gives 0.
    """
    step = max(1, max(reference.shape) // 256)
    darkest, brightest = percentiles(reference[::step, ::step], _DARKEST, _BRIGHTEST)
    span = max(brightest - darkest, float(np.finfo(np.float32).tiny))
    scaled = (np.clip(values, darkest, brightest) - darkest) / span
    return np.asarray(np.rint(scaled * 255), dtype=np.uint8)


def prepare_outline(mask: NDArray[np.float32], prepared: Prepared, size: int) -> NDArray[np.uint8]:
    """Cut from a mask (height, width), 0 outside, what ``prepare`` cut from its slice: uint8 (size, size), 0 to 255."""
    drawn = (mask > mask.max() / 2).astype(np.float32) * 255
    square = _cut_out(drawn, prepared.top, prepared.left, prepared.side, prepared.width)
    resized = np.asarray(square.resize((size, size), Image.Resampling.BOX))
    return np.asarray(np.rint(resized), dtype=np.uint8)


def place_on_scan(values: NDArray[np.float32], prepared: Prepared, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Lay a map over the prepared image, of any size, back on its slice: (height, width), zero outside the square."""
    laid = np.zeros(shape, np.float32)
    top, left = max(prepared.top, 0), max(prepared.left, 0)
    bottom, right = min(prepared.top + prepared.side, shape[0]), min(prepared.left + prepared.width, shape[1])
    if top >= bottom or left >= right:
        return laid
    down, across = values.shape[0] / prepared.side, values.shape[1] / prepared.width
    # Only the part that lies on the slice is enlarged; the whole square of a narrow slice may not fit in memory.
    inside = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32)).resize(
        (right - left, bottom - top),
        Image.Resampling.BICUBIC,
        box=(
            (left - prepared.left) * across,
            (top - prepared.top) * down,
            (right - prepared.left) * across,
            (bottom - prepared.top) * down,
        ),
    )
    laid[top:bottom, left:right] = np.clip(np.asarray(inside, dtype=np.float32), values.min(), values.max())
    return laid


def _tame(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Leave ordinary gray values as they are; scale such as would overflow, and lift such as lie below 0.

    What a crop adds beyond the slice's edges is 0, which has to be the darkest value for it to be black.
    """
    darkest = pixels.min()
    # Absolute values of a large picture would be a second copy of it.
    largest = max(pixels.max(), -darkest)
    if largest > _LARGEST_VALUE:
        pixels, darkest = pixels / largest, darkest / largest
    return pixels - darkest if darkest < 0 else pixels


def _columns(rows: int, aspect: float) -> int:
    """Give the columns of a square with so many rows, of pixels ``aspect`` times as wide as high."""
    return max(1, round(rows / aspect))


def _cut_out(pixels: NDArray[np.float32], top: int, left: int, rows: int, columns: int) -> Image.Image:
    # A narrow slice of a few megabytes can ask for a square of terabytes.
    down, across = 1 + rows // _LARGEST_SIDE, 1 + columns // _LARGEST_SIDE
    top, left, rows, columns = top // down, left // across, max(1, rows // down), max(1, columns // across)
    picture = Image.fromarray(np.ascontiguousarray(pixels[::down, ::across]))
    return picture.crop((left, top, left + columns, top + rows))


def _head_box(pixels: NDArray[np.float32], aspect: float) -> tuple[int, int, int, int]:
    shown = with_square_pixels(pixels, aspect, _SHOWN_SIDE)
    head = coarse_head(shown)
    if not head.region.any():
        return (0, 0, *pixels.shape)
    top, left, bottom, right = _box(head, shown.shape)
    down, across = (stored / seen for stored, seen in zip(pixels.shape, shown.shape, strict=True))
    return round(top * down), round(left * across), round(bottom * down), round(right * across)


def _box(head: CoarseHead, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Give top, left, bottom and right of a head in pixels."""
    (rows, columns) = (np.flatnonzero(head.region.any(axis=axis)) for axis in (1, 0))
    bottom, right = ((int(found[-1]) + 1) * head.step for found in (rows, columns))
    return int(rows[0]) * head.step, int(columns[0]) * head.step, min(bottom, shape[0]), min(right, shape[1])
