import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from braintumor.reports.fonts import BOLD, FOLDER
from braintumor.scans import SeriesNote, phantom
from braintumor.scans.lettering import has_lettering
from tests.scans.dicom_files import scan, slices


def lettered(text, place, size=12, gray=255, side=256, seed=1):
    """A head with text drawn on it, float32 (side, side)."""
    picture = Image.fromarray(phantom(side, seed=seed))
    font = ImageFont.truetype(FOLDER / BOLD, size)
    ImageDraw.Draw(picture).text(place, text, gray, font=font)
    return np.asarray(picture, dtype=np.float32)


@pytest.mark.parametrize("text", ["DOE JANE", "12.03.1970", "ID 0045123"])
@pytest.mark.parametrize("place", [(3, 3), (3, 236), (150, 3)])
@pytest.mark.parametrize("size", [12, 16])
@pytest.mark.parametrize("scale", [1, 16])
def test_names_and_dates_beside_the_head_are_noticed(text, place, size, scale):
    assert has_lettering(lettered(text, place, size) * scale)


def test_a_date_over_the_head_is_noticed():
    assert has_lettering(lettered("12.03.1970", (90, 120), 16))


@pytest.mark.parametrize(("text", "place"), [("", (0, 0)), ("R", (5, 120)), ("L", (240, 120)), ("A R", (120, 3))])
@pytest.mark.parametrize("seed", range(5))
def test_heads_and_marks_of_a_side_are_no_text(text, place, seed):
    assert not has_lettering(lettered(text, place, seed=seed))


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((64, 64), np.float32),
        np.random.default_rng(0).random((256, 256)).astype(np.float32),
        np.indices((64, 64)).sum(axis=0).astype(np.float32) % 2,
    ],
    ids=["flat", "noise", "checks"],
)
def test_what_shows_nothing_is_no_text(pixels):
    assert not has_lettering(pixels)


@pytest.mark.parametrize(("lettered_slices", "noted"), [(0, False), (1, False), (5, True)])
def test_a_series_with_text_in_its_pixels_says_so(lettered_slices, noted):
    plain, marked = lettered("", (0, 0)), lettered("DOE JANE 1970", (3, 3))
    files = [
        data
        for number in range(5)
        for data in slices(
            1,
            pixels=(marked if number < lettered_slices else plain).astype(np.uint16) + np.uint16(number),
            first=(0.0, 0.0, 5.0 * number),
            start=number + 1,
        )
    ]
    assert (SeriesNote.BURNED_IN in scan(files).series.notes) is noted
