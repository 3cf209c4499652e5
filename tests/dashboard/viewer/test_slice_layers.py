import numpy as np
import pytest
import streamlit as st
from PIL import Image
from plotly.colors import get_colorscale, sample_colorscale, unlabel_rgb
from scipy import ndimage

from braintumor.dashboard.viewer.slice_layers import (
    OUTLINES,
    on_picture,
    outlined,
    overlay,
    view,
    view_shape,
    with_outline,
)
from braintumor.scans import phantom, prepare
from braintumor.segmentation import outline
from tests.dashboard.viewer.made_answers import made_answer, spot

SKY = (86, 180, 233)


@pytest.fixture
def session(monkeypatch):
    monkeypatch.setattr(st, "session_state", {})


def test_overlay_runs_from_the_gray_picture_to_the_palette_where_heat_is_high():
    picture = np.arange(64, dtype=np.uint8).reshape(8, 8)
    heat = np.zeros((8, 8), np.float32)
    heat[2:4] = 1
    heat[6:] = 0.8
    assert (overlay(picture, heat, 0) == picture[..., None]).all()
    shown = overlay(picture, heat, 1)
    assert shown.shape == (8, 8, 3)
    assert shown.dtype == np.uint8
    for rows, level in ((slice(2, 4), 1.0), (slice(6, 8), 204 / 255)):
        (color,) = sample_colorscale(get_colorscale("Inferno"), [level])
        np.testing.assert_allclose(shown[rows], np.broadcast_to(unlabel_rgb(color), (2, 8, 3)), atol=1)
    assert (shown[:2] == picture[:2, :, None]).all()


def head(shape, spot):
    """A gray head on black with a bright spot, and the spot alone, both (height, width)."""
    height, width = shape
    rows, columns = np.ogrid[:height, :width]
    inside = ((rows / height - 0.5) / 0.42) ** 2 + ((columns / width - 0.5) / 0.42) ** 2 < 1
    bright = (rows - spot[0]) ** 2 + (columns - spot[1]) ** 2 < (min(shape) / 12) ** 2
    return np.where(bright, 255, np.where(inside, 90, 0)).astype(np.float32), bright


SHAPES = [((300, 200), (190, 60)), ((210, 400), (60, 250)), ((900, 600), (500, 420)), ((64, 48), (40, 30))]


@pytest.mark.parametrize(("shape", "spot"), SHAPES)
def test_a_map_lands_where_it_is_hot_on_a_slice_that_is_not_square(shape, spot):
    shown = made_answer(pixels=head(shape, spot)[0])
    square = (shown.prediction.prepared.image > 200).astype(np.float32)
    heat = on_picture(square, shown, 0)
    assert heat.shape == view(shown, 0).shape
    assert heat.min() >= 0
    assert heat.max() <= 1
    scale = heat.shape[0] / shape[0]
    expected = [(place + 0.5) * scale - 0.5 for place in spot]
    np.testing.assert_allclose(ndimage.center_of_mass(heat), expected, atol=max(2, 0.6 * scale))


@pytest.mark.parametrize(("shape", "spot"), SHAPES)
def test_the_outline_encloses_on_the_view_what_the_mask_holds_on_the_scan(session, shape, spot):
    pixels, bright = head(shape, spot)
    square = (prepare(pixels, 192).image > 200).astype(np.float32)
    shown = made_answer(pixels=pixels, tumor_map=np.clip(square, 0.01, 0.99))
    enclosed = outlined(shown, 0)
    expected = np.asarray(Image.fromarray(bright).resize(enclosed.shape[::-1]))
    for mask in (expected, np.asarray(Image.fromarray(shown.prediction.mask()[0]).resize(enclosed.shape[::-1]))):
        assert (enclosed & mask).sum() > 0.9 * (enclosed | mask).sum()


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((40, 40), (640, 640)), ((256, 256), (512, 512)), ((240, 300), (480, 600)), ((1280, 320), (640, 160))],
)
def test_a_small_picture_is_enlarged_by_a_whole_factor(shape, expected):
    shown = made_answer(pixels=np.zeros(shape, np.float32))
    assert view(shown, 0).shape == view_shape(shown, 0) == expected


def test_the_outline_is_a_thin_line_of_its_color_around_a_light_fill():
    picture = phantom(256)
    mask = np.zeros(picture.shape, bool)
    mask[100:150, 90:160] = True
    line, casing = outline(mask, 2), outline(mask, 3) & ~outline(mask, 2)
    drawn = with_outline(picture, mask, 1.0)
    assert (drawn[line] == SKY).all()
    assert (drawn[casing].max(axis=-1) < 40).all()
    assert (drawn[~mask] == picture[~mask, None]).all()
    inside = mask & ~outline(mask, 3)
    assert (np.abs(drawn[inside].astype(int) - picture[inside, None]) <= 0.13 * 255).all()
    assert (with_outline(picture, mask, 0.0) == picture[..., None]).all()


@pytest.mark.parametrize(("decision", "p_tumor"), [("tumor", 0.9), ("tumor", 0.5), ("refer", 0.55)])
def test_a_slice_from_the_threshold_on_is_outlined_in_doubt_as_well(session, decision, p_tumor):
    shown = made_answer(decision, p_tumors=(p_tumor,), tumor_map=spot())
    assert outlined(shown, 0).any()


def test_without_a_doubt_nothing_is_outlined_whatever_the_map_holds(session):
    shown = made_answer("no_tumor", "notumor", p_tumors=(0.2,), tumor_map=spot())
    assert not outlined(shown, 0).any()
    assert shown.measurements.lesions == 0


def test_a_network_that_does_not_locate_has_no_outline(session):
    assert outlined(made_answer(), 0) is None


def test_an_outline_is_made_once_for_each_slice_and_the_latest_are_kept(session, masked):
    volume = made_answer(p_tumors=(0.9,) * 40, tumor_map=spot(16), kept=range(40))
    # An answer is measured when it is made, which takes a mask of every slice.
    masked.clear()
    for _ in range(3):
        for number in (0, 1, 2):
            outlined(volume, number)
    assert len(masked) == 3
    for number in range(40):
        outlined(volume, number)
    assert len(st.session_state[OUTLINES]) == 32
    assert len(masked) == 40


@pytest.mark.parametrize("aspect", [0.5, 2.0])
def test_a_map_and_its_outline_land_where_the_slice_is_shown_at_true_proportions(aspect, session):
    pixels, _ = head((300, 200), (190, 60))
    shown = made_answer(pixels=pixels, tumor_map=spot(), aspect=aspect)
    height, width = view(shown, 0).shape
    assert width / height == pytest.approx(200 / 300 * aspect, rel=0.01)
    square = (shown.prediction.prepared.image > 200).astype(np.float32)
    center = ndimage.center_of_mass(on_picture(square, shown, 0))
    np.testing.assert_allclose(center, (190 / 300 * height, 60 / 200 * width), atol=4)
    enlarged = Image.fromarray(shown.prediction.mask()[0]).resize((width, height), Image.Resampling.NEAREST)
    own, seen = np.asarray(enlarged), outlined(shown, 0)
    assert 2 * (own & seen).sum() / (own.sum() + seen.sum()) > 0.95
