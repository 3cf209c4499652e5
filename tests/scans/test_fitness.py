import numpy as np
import pytest
from PIL import Image, ImageDraw

from braintumor.scans import phantom
from braintumor.scans.fitness import drawn_ring, several_heads

HEAD = np.pad(phantom(160).astype(np.float32), 8)
EMPTY = np.zeros_like(HEAD)


@pytest.mark.parametrize(
    ("picture", "several"),
    [
        (HEAD, False),
        (np.pad(HEAD, 200), False),
        (np.hstack([HEAD, EMPTY]), False),
        (EMPTY, False),
        (np.hstack([HEAD, HEAD]), True),
        (np.vstack([HEAD, HEAD[:, ::-1]]), True),
        (np.block([[HEAD, HEAD], [HEAD, EMPTY]]), True),
        (np.hstack([HEAD, 0.5 * HEAD]), True),
    ],
)
def test_more_than_one_head_is_noticed(picture, several):
    assert several_heads(picture.astype(np.float32)) is several


def _ring(value=255, width=2, box=(60, 70, 100, 120)):
    image = Image.fromarray(HEAD.astype(np.uint8))
    ImageDraw.Draw(image).ellipse(box, outline=value, width=width)
    return np.asarray(image, dtype=np.float32)


def _blob():
    """A bright rim as uneven as a tumor's."""
    y, x = np.mgrid[: HEAD.shape[0], : HEAD.shape[1]]
    angle, radius = np.arctan2(y - 90, x - 85), np.hypot(y - 90, x - 85)
    rim = np.abs(radius - 18 - 4 * np.sin(3 * angle)) < 2 + np.sin(5 * angle)
    return np.where(rim, 255, HEAD)


@pytest.mark.parametrize(
    ("picture", "drawn"),
    [
        (_ring(), True),
        (_ring(width=1), True),
        (_ring(box=(50, 60, 110, 90)), True),
        (255 - _ring(), False),
        (HEAD, False),
        (EMPTY, False),
        (_blob(), False),
        (_ring(box=(80, 80, 83, 83)), False),
    ],
)
def test_a_ring_is_told_from_what_a_head_has(picture, drawn):
    assert drawn_ring(picture.astype(np.float32)) is drawn
