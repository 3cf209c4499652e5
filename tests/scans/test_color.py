import numpy as np
import pytest
from PIL import Image, ImageDraw

from braintumor.scans import phantom
from braintumor.scans.color import COLORED, GRAY, MARKED, TINTED, coloring

HEAD = np.pad(phantom(200), 28)
MIDDLE, CORNER = (100, 110, 160, 150), (2, 2, 24, 12)


def drawn(box, color):
    image = Image.fromarray(HEAD).convert("RGB")
    ImageDraw.Draw(image).rectangle(box, outline=color, width=2)
    return np.asarray(image)


def mapped(*stops):
    places = np.linspace(0, 255, len(stops))
    table = np.stack([np.interp(np.arange(256), places, band) for band in zip(*stops, strict=True)], axis=-1)
    return np.rint(table).astype(np.uint8)[HEAD]


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (drawn(MIDDLE, "gray"), GRAY),
        (drawn(MIDDLE, "yellow"), MARKED),
        (drawn(MIDDLE, "red"), MARKED),
        (drawn(CORNER, "orange"), GRAY),
        (mapped((0, 0, 0), (112, 66, 20), (255, 245, 220)), TINTED),
        (mapped((0, 0, 0), (60, 110, 200), (225, 240, 255)), TINTED),
        (mapped((0, 0, 128), (0, 255, 255), (255, 255, 0), (128, 0, 0)), COLORED),
        (mapped((0, 0, 0), (230, 0, 0), (255, 210, 0), (255, 255, 255)), COLORED),
        (np.zeros((64, 64, 3), np.uint8), GRAY),
    ],
)
def test_what_the_colors_of_a_picture_are(picture, expected):
    assert coloring(picture) == expected
