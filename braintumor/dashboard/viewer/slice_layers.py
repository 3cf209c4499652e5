"""A slice as it is drawn: its view, its outline and its heatmap, as arrays."""

import io
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from plotly.colors import get_colorscale, sample_colorscale, unlabel_rgb

from braintumor.dashboard.answers import Answer
from braintumor.dashboard.viewer.kept import once
from braintumor.inference import Prediction
from braintumor.scans import Prepared, place_on_scan
from braintumor.segmentation import draw_outline

OUTLINES = "_outlines"

_SHOWN_SIDE = 640
_LINE = (86, 180, 233)
"""Sky blue: no gray, no color of Inferno, and blue to all but the rarest color vision."""
_CASING = (0, 0, 0)
"""Around the line, so that it stands out by brightness as well."""
_THICKNESS = 2
_FILL = 0.12


def overlay(picture: NDArray[np.uint8], heat: NDArray[np.float32], opacity: float) -> NDArray[np.uint8]:
    """Lay a heatmap (height, width, from 0 to 1) over a gray picture (height, width): uint8 (height, width, 3)."""
    colors = palette()[np.rint(heat * 255).astype(np.uint8)]
    share = (opacity * np.clip(heat * 1.5, 0, 1))[..., np.newaxis]
    gray = picture[..., np.newaxis].astype(np.float32)
    return np.asarray(np.rint(gray * (1 - share) + colors * share), dtype=np.uint8)


def with_outline(picture: NDArray[np.uint8], mask: NDArray[np.bool_], opacity: float) -> NDArray[np.uint8]:
    """Draw the outline of a mask on a picture: uint8 (height, width, 3); ``opacity`` from 0 to 1."""
    cased = draw_outline(picture, mask, _CASING, opacity, thickness=_THICKNESS + 1)
    return draw_outline(cased, mask, _LINE, opacity, _FILL, _THICKNESS)


def outlined(answer: Answer, number: int) -> NDArray[np.bool_] | None:
    """Give what the outline on a slice encloses on its view, made once a session; None where nothing locates."""
    prediction = answer.prediction
    found = prediction.slices[number]
    if not prediction.locates:
        return None
    shape = view_shape(answer, number)
    if not prediction.outlines(number):
        return np.zeros(shape, dtype=bool)
    return once(
        OUTLINES,
        (prediction.sha256, number, shape),
        lambda: found.outlined(square_on_view(answer, number), shape),
    )


def view(answer: Answer, number: int) -> NDArray[np.uint8]:
    """Give a slice as it is drawn on, uint8 (height, width): a small one is enlarged, so that lines are fine."""
    height, width = view_shape(answer, number)
    enlarged = Image.fromarray(_stored(answer, number)).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(enlarged)


def view_shape(answer: Answer, number: int) -> tuple[int, int]:
    """Give the height and width of a slice's view in pixels."""
    height, width = _stored(answer, number).shape
    factor = max(1, _SHOWN_SIDE // max(height, width))
    return factor * height, factor * width


def _stored(answer: Answer, number: int) -> NDArray[np.uint8]:
    return answer.picture if number == answer.prediction.slice_number else answer.slices[number]


def square_on_view(answer: Answer, number: int) -> Prepared:
    """Give a slice's prepared square in pixels of its view."""
    return square_on_stack(answer.prediction, number, view_shape(answer, number))


def square_on_stack(prediction: Prediction, number: int, shape: tuple[int, int]) -> Prepared:
    """Give a slice's prepared square in pixels of a picture of the whole slice, ``shape`` (height, width)."""
    prepared = prediction.slices[number].prepared
    # Pixels of the picture are square, those of the slice need not be.
    across = max(shape) / max(prediction.shape[1], prediction.shape[2] * prepared.aspect) * prepared.aspect
    down = across / prepared.aspect
    top, left, side = (round(down * prepared.top), round(across * prepared.left), round(down * prepared.side))
    return Prepared(prepared.image, top, left, max(1, side))


def on_picture(square: NDArray[np.float32], answer: Answer, number: int) -> NDArray[np.float32]:
    """Lay a map over a slice's prepared square on its view: float32 (height, width) from 0 to 1."""
    laid = place_on_scan(square, square_on_view(answer, number), view_shape(answer, number))
    return np.clip(laid, 0, 1)


def packed(picture: NDArray[np.uint8]) -> bytes:
    """Write a picture as PNG, a quarter of the time that Streamlit takes, since each click on a card draws it again."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", compress_level=1)
    return file.getvalue()


@cache
def palette() -> NDArray[np.float32]:
    """Give the colors of a heatmap from cold to hot, (256, 3), red, green and blue from 0 to 255."""
    colors = sample_colorscale(get_colorscale("Inferno"), [level / 255 for level in range(256)])
    return np.array([unlabel_rgb(color) for color in colors], dtype=np.float32)
