"""The picture that an answer rests on, with the outline and a scale bar drawn into it."""

import io
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from braintumor.reports.fonts import BOLD, FOLDER, unreadable
from braintumor.segmentation import draw_outline

LONGEST_SIDE = 640
_LINE, _CASING = (86, 180, 233), (0, 0, 0)
"""Sky blue, as on the page, in a black rim: it stands out by hue and by brightness."""
_THICKNESS = 2
_BARS_MM = (100, 50, 20, 10, 5)
_WIDEST_BAR = 0.4
_QUALITY = 90


@dataclass(frozen=True)
class KeyImage:
    """``pixels`` are uint8 (height, width, 3), square in millimeters where these are known.

    ``slice_number`` counts from 0 and ``slices`` are all; ``bar_mm`` is the length of the scale bar, None where the
    size of a pixel is not known.
    """

    pixels: NDArray[np.uint8]
    slice_number: int
    slices: int
    is_outlined: bool
    bar_mm: int | None

    def jpeg(self) -> bytes:
        """Write it as baseline JPEG, the same bytes each time."""
        file = io.BytesIO()
        Image.fromarray(self.pixels).save(file, "JPEG", quality=_QUALITY)
        return file.getvalue()


def key_image(
    picture: NDArray[np.uint8],
    mask: NDArray[np.bool_] | None,
    size_mm: tuple[float, float] | None,
    slice_number: int = 0,
    slices: int = 1,
) -> KeyImage:
    """Draw the outline of ``mask`` on a slice's ``picture`` and a scale bar below.

    ``picture`` is uint8 (height, width) and may be smaller than the slice, whose size ``mask``, bool, has; ``size_mm``
    is the slice's height and width in millimeters. Without a mask nothing is outlined, without a size there is no bar.
    """
    height, width = picture.shape if size_mm is None else size_mm
    scale = LONGEST_SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    gray = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))
    drawn = np.repeat(gray[..., np.newaxis], 3, axis=-1)
    is_outlined = mask is not None and bool(mask.any())
    if mask is not None and is_outlined:
        wide = np.asarray(Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR)) >= 128
        drawn = draw_outline(drawn, wide, _CASING, 1, thickness=_THICKNESS + 1)
        drawn = draw_outline(drawn, wide, _LINE, 1, thickness=_THICKNESS)
    fitting = [length for length in _BARS_MM if length * scale <= _WIDEST_BAR * size[0]]
    bar = fitting[0] if fitting and size_mm is not None else None
    if bar is not None:
        drawn = _with_bar(drawn, bar, round(bar * scale))
    return KeyImage(drawn, slice_number, slices, is_outlined, bar)


def _with_bar(drawn: NDArray[np.uint8], length: int, pixels: int) -> NDArray[np.uint8]:
    picture = Image.fromarray(drawn)
    pen = ImageDraw.Draw(picture)
    left, bottom = 16, drawn.shape[0] - 16
    pen.rectangle((left - 2, bottom - 8, left + pixels + 2, bottom + 2), fill=_CASING)
    pen.rectangle((left, bottom - 6, left + pixels, bottom), fill=(255, 255, 255))
    pen.text(
        (left, bottom - 12), f"{length} mm", (255, 255, 255), _font(), anchor="ld", stroke_width=2, stroke_fill=_CASING
    )
    return np.asarray(picture)


@cache
def _font() -> ImageFont.FreeTypeFont:
    try:
        return ImageFont.truetype(FOLDER / BOLD, 20)
    except OSError as error:
        raise unreadable(FOLDER / BOLD) from error
