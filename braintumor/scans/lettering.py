"""Letters and digits that were burned into the pixels of a slice."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from braintumor.scans.percentiles import percentiles
from braintumor.scans.preprocessing import coarse_head, fill_holes

_EIGHT = np.ones((3, 3), dtype=bool)
_MOST_REGIONS = 4000
"""Regions of a mask above which it is noise, and no text."""
_ANYWHERE, _BESIDE = (0.5, 0.85), (0.4, 0.65)
"""Levels from which pixels may be strokes: in the range of the slice, and, beside the head, up to its usual highest."""
_USUAL_HIGH = 99.0
_LEAST_HEIGHT, _TALLEST, _WIDEST = 5, 1 / 12, 1.5
"""Height of a sign in pixels, at most as a share of the slice's, and its width in heights."""
_LEAST_INK, _MOST_INK = 0.12, 0.95
_LEAST_SIGNS = 5
"""Signs in a line of text. Of 2,602 slices without text (Cheng, TCGA-LGG, ten volumes and 23 DICOM sets of several
hospitals and vendors) 2 have as many regions in a row. Names and dates were drawn on 151 of them in the brightest gray:
in a corner 76 % were noticed in type of 9 pixels and 95 to 99 % in type of 12, over the head 59 % and 79 %."""
_SAME_LINE, _SAME_HEIGHT, _NEXT, _SAME_GRAY = 0.25, 0.6, 1.2, 0.25


@dataclass(frozen=True)
class _Sign:
    left: int
    right: int
    top: int
    bottom: int
    gray: float

    @property
    def height(self) -> int:
        return self.bottom - self.top

    def follows(self, other: "_Sign") -> bool:
        """Tell whether it may stand after another in a line: as high, on the same ground, and as bright."""
        tall, low = max(self.height, other.height), min(self.height, other.height)
        return (
            abs(self.bottom - other.bottom) <= _SAME_LINE * tall
            and low >= _SAME_HEIGHT * tall
            and -1 <= self.left - other.right <= _NEXT * tall
            and abs(self.gray - other.gray) <= _SAME_GRAY * max(self.gray, other.gray)
        )


def has_lettering(pixels: NDArray[np.float32]) -> bool:
    """Tell whether a slice (height, width) has a line of bright letters or digits burned in, as a name or a date is.

    Signs are small regions brighter than all around them; five or more of one height and brightness, side by side on
    one ground, are a line. A single letter that marks a side is none.
    """
    low, high = float(pixels.min()), float(pixels.max())
    if high <= low:
        return False
    if any(_has_line(pixels >= low + level * (high - low), pixels - low) for level in _ANYWHERE):
        return True
    (usual,), beside = percentiles(pixels, _USUAL_HIGH), ~_body(pixels)
    return any(_has_line((pixels > low + level * (usual - low)) & beside, pixels - low) for level in _BESIDE)


def _body(pixels: NDArray[np.float32]) -> NDArray[np.bool_]:
    head = coarse_head(pixels)
    filled = ndimage.binary_dilation(fill_holes(head.region), _EIGHT, 2)
    whole = np.kron(filled, np.ones((head.step, head.step), dtype=bool))
    return np.asarray(whole[: pixels.shape[0], : pixels.shape[1]], dtype=np.bool_)


def _has_line(mask: NDArray[np.bool_], pixels: NDArray[np.float32]) -> bool:
    lines: list[list[_Sign]] = []
    for sign in _signs(mask, pixels):
        line = next((line for line in lines if sign.follows(line[-1])), None)
        if line is None:
            lines.append([sign])
        else:
            line.append(sign)
    return any(len(line) >= _LEAST_SIGNS for line in lines)


def _signs(mask: NDArray[np.bool_], pixels: NDArray[np.float32]) -> list[_Sign]:
    """Give the regions of a mask that may be signs, from left to right."""
    regions, count = ndimage.label(mask, _EIGHT)
    if not _LEAST_SIGNS <= count <= _MOST_REGIONS:
        return []
    areas = np.bincount(regions.ravel())[1:]
    tallest = max(2 * _LEAST_HEIGHT + 2, _TALLEST * mask.shape[0])
    found = []
    for number, (box, area) in enumerate(zip(ndimage.find_objects(regions), areas, strict=True), 1):
        rows, columns = box
        height, width = rows.stop - rows.start, columns.stop - columns.start
        has_ink = _LEAST_INK <= area / (height * width) <= _MOST_INK
        if has_ink and _LEAST_HEIGHT <= height <= tallest and width <= _WIDEST * height:
            gray = float(pixels[box][regions[box] == number].max())
            found.append(_Sign(columns.start, columns.stop, rows.start, rows.stop, gray))
    return sorted(found, key=lambda sign: (sign.left, sign.right, sign.top, sign.bottom))
