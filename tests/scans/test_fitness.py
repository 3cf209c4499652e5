import numpy as np
import pydicom
import pytest
from PIL import Image, ImageDraw
from pydicom.data import get_testdata_file
from pydicom.pixels.processing import apply_modality_lut

from braintumor.scans import phantom
from braintumor.scans.fitness import drawn_ring, has_ct_skull, several_heads

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


def _head_in_rings(*grays_and_radii, size=200, middle=(100, 100)):
    """A head of ellipses inside one another, each of a gray value."""
    y, x = np.mgrid[:size, :size].astype(np.float32)
    away = np.hypot((y - middle[0]) / 1.2, x - middle[1])
    picture = np.zeros((size, size), np.float32)
    for gray, radius in grays_and_radii:
        picture[away <= radius] = gray
    return picture


SCALP, BONE, BRAIN = (90, 72), (255, 68), (100, 58)
CT = _head_in_rings(SCALP, BONE, BRAIN)


@pytest.mark.parametrize(
    ("picture", "is_ct"),
    [
        (CT, True),
        (CT * 16 - 1000, True),
        (np.pad(CT, 60), True),
        (_head_in_rings(SCALP, BONE, BRAIN, size=900, middle=(450, 400)), False),
        # The fat of the scalp, bone that MRI shows black, brain.
        (_head_in_rings((255, 72), (10, 62), BRAIN), False),
        (_head_in_rings((255, 72), (100, 70)), False),
        (_head_in_rings(SCALP, BONE, (200, 58)), False),
        (255 - CT, False),
        (HEAD, False),
        (EMPTY, False),
    ],
    ids=["ct", "gray values", "small", "too small", "fat", "thin", "bright brain", "negative", "phantom", "empty"],
)
def test_the_skull_of_ct_is_told_from_the_fat_that_mri_shows_bright(picture, is_ct):
    assert has_ct_skull(picture.astype(np.float32)) is is_ct


@pytest.mark.parametrize(("center", "width", "is_ct"), [(40, 80, True), (80, 250, True), (500, 2500, False)])
def test_a_real_ct_is_known_in_the_windows_of_soft_tissue(center, width, is_ct):
    made = pydicom.dcmread(get_testdata_file("J2K_pixelrep_mismatch.dcm", download=False))
    values = apply_modality_lut(made.pixel_array, made)
    assert has_ct_skull(np.clip(values - center + width / 2, 0, width).astype(np.float32)) is is_ct
