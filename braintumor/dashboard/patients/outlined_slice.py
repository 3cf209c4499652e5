"""A slice with its outline as the page Patients draws it: enlarged, at its true proportions, with the sides marked."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from braintumor.dashboard.viewer.slice_layers import with_outline

_LONGEST_SIDE = 512
_LETTER = 26
_OPPOSITE = {"R": "L", "L": "R", "A": "P", "P": "A", "S": "I", "I": "S"}


def outlined_slice(
    picture: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    spacing: tuple[float, float, float],
    affine: NDArray[np.float64] | None,
) -> NDArray[np.uint8]:
    """Draw a slice, (height, width), with the outline of its mask: uint8 (height, width, 3), enlarged first.

    ``spacing`` is (slice, row, column). The letters of the patient's sides stand at the edges where ``affine`` tells
    them, see ``edge_letters``.
    """
    height, width = picture.shape[0] * spacing[1], picture.shape[1] * spacing[2]
    scale = _LONGEST_SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    wide = Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR)
    large = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))
    drawn = Image.fromarray(with_outline(large, np.asarray(wide) >= 128, 1.0))
    if affine is not None:
        _write_sides(drawn, affine)
    return np.asarray(drawn)


def edge_letters(affine: NDArray[np.float64]) -> tuple[str, str]:
    """Say to which side of the patient the left and the top edge of a slice point.

    ``affine`` takes (slice, row, column, 1) to the patient's space, RAS+; of an oblique edge the nearest side.
    """
    from nibabel.orientations import aff2axcodes

    _, down, right = aff2axcodes(affine)  # type: ignore[no-untyped-call]
    return _OPPOSITE[right], _OPPOSITE[down]


def _write_sides(drawn: Image.Image, affine: NDArray[np.float64]) -> None:
    pen, font = ImageDraw.Draw(drawn), ImageFont.load_default(_LETTER)
    places = (_LETTER / 3, drawn.height / 2), (drawn.width / 2, _LETTER / 3)
    for letter, place, anchor in zip(edge_letters(affine), places, ("lm", "mt"), strict=True):
        # The stroke keeps letters legible over a bright scalp.
        pen.text(place, letter, "white", font, anchor, stroke_width=2, stroke_fill="black")
