import numpy as np
import pytest
import streamlit as st
from plotly.colors import get_colorscale, sample_colorscale, unlabel_rgb
from scipy import ndimage

from braintumor.dashboard import scan_viewer
from braintumor.dashboard.answers import Answer, _picture
from braintumor.dashboard.scan_viewer import answer_sentence, overlay
from braintumor.explanation import ExplanationError
from braintumor.heatmaps import CellGrid
from braintumor.inference import DECISIONS, Prediction
from braintumor.reports import DECISION_WORDS
from braintumor.scans import prepare
from braintumor.taxonomy import CLASSES


def answer(decision="tumor", finding="glioma", sha256="0" * 64, pixels=None):
    pixels = np.zeros((40, 40), np.float32) if pixels is None else pixels
    prediction = Prediction(
        source="scan.png",
        sha256=sha256,
        probabilities=dict(zip(CLASSES, (0.1, 0.7, 0.1, 0.1), strict=True)),
        p_tumor=0.9,
        decision=decision,
        finding=finding,
        reasons=(),
        seconds=0.01,
        bundle="net 1",
        slice_number=0,
        shape=pixels.shape,
        prepared=prepare(pixels, 192),
        cam=np.ones((11, 11, 4), np.float32),
        grid=CellGrid(192, 15.5, 16.0),
    )
    return Answer("key", prediction, _picture(pixels))


@pytest.fixture
def asked(monkeypatch):
    """Heatmaps computed on demand, in order, each half bright; saliency fails."""
    made = []

    def explain(bundle, image, class_name, method, on_progress):
        made.append((class_name, method))
        if method == "saliency":
            raise ExplanationError("Saliency gives no map.")
        return np.full((192, 192), 0.5, np.float32)

    monkeypatch.setattr(scan_viewer, "explain_apart", explain)
    monkeypatch.setattr(scan_viewer, "predictor", lambda: type("Loaded", (), {"bundle": None}))
    monkeypatch.setattr(st, "session_state", {})
    return made


@pytest.fixture
def warned(monkeypatch):
    said = []
    monkeypatch.setattr(st, "warning", said.append)
    return said


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


@pytest.mark.parametrize(
    ("shape", "spot"), [((300, 200), (190, 60)), ((210, 400), (60, 250)), ((900, 600), (500, 420))]
)
def test_a_map_lands_where_it_is_hot_on_a_slice_that_is_not_square(shape, spot):
    height, width = shape
    rows, columns = np.ogrid[:height, :width]
    inside = ((rows / height - 0.5) / 0.42) ** 2 + ((columns / width - 0.5) / 0.42) ** 2 < 1
    bright = (rows - spot[0]) ** 2 + (columns - spot[1]) ** 2 < (min(shape) / 12) ** 2
    shown = answer(pixels=np.where(bright, 255, np.where(inside, 90, 0)).astype(np.float32))
    square = (shown.prediction.prepared.image > 200).astype(np.float32)
    heat = scan_viewer._on_picture(square, shown)
    assert heat.shape == shown.picture.shape
    assert heat.min() >= 0
    assert heat.max() <= 1
    scale = shown.picture.shape[0] / height
    expected = [(place + 0.5) * scale - 0.5 for place in spot]
    np.testing.assert_allclose(ndimage.center_of_mass(heat), expected, atol=2)


SENTENCES = {
    ("tumor", "glioma"): "The model sees a tumor, most likely a glioma.",
    ("tumor", "pituitary"): "The model sees a tumor, most likely a pituitary tumor.",
    ("no_tumor", "notumor"): "The model sees no tumor on this slice.",
    ("refer", "meningioma"): "The model leans towards meningioma, but not surely enough to answer.",
    ("refer", "notumor"): "The model leans towards no tumor, but not surely enough to answer.",
    ("refer", None): "No answer is given for this picture.",
}


@pytest.mark.parametrize(("case", "sentence"), SENTENCES.items())
def test_each_decision_is_one_sentence(case, sentence):
    assert answer_sentence(answer(*case).prediction) == sentence


def test_every_decision_has_its_sentence_word_and_badge():
    assert {decision for decision, _ in SENTENCES} == set(DECISIONS) == set(DECISION_WORDS) == set(scan_viewer._BADGES)


def test_a_map_is_computed_once_for_each_scan_class_and_method(asked):
    for _ in range(3):
        scan_viewer._heatmap(answer(), "glioma", "scorecam")
        scan_viewer._heatmap(answer(), "meningioma", "scorecam")
        scan_viewer._heatmap(answer(), "glioma", "gradcam")
    assert asked == [("glioma", "scorecam"), ("meningioma", "scorecam")]


def test_a_failed_map_is_not_tried_again_until_asked_for(asked, warned, monkeypatch):
    buttons = []
    monkeypatch.setattr(st, "button", lambda label, **options: buttons.append(options))
    for _ in range(3):
        heat = scan_viewer._heatmap(answer(), "glioma", "saliency")
    assert heat.max() == 1, "Grad-CAM stands in"
    assert asked == [("glioma", "saliency")]
    assert warned == ["Saliency gives no map."] * 3
    buttons[-1]["on_click"](*buttons[-1]["args"])
    scan_viewer._heatmap(answer(), "glioma", "saliency")
    assert len(asked) == 2


def test_the_latest_maps_are_kept_and_no_more(asked):
    for number in range(40):
        scan_viewer._heatmap(answer(sha256=str(number)), "glioma", "scorecam")
    assert len(st.session_state[scan_viewer._MAPS]) == 32
    scan_viewer._heatmap(answer(sha256="39"), "glioma", "scorecam")
    assert len(asked) == 40
    scan_viewer._heatmap(answer(sha256="0"), "glioma", "scorecam")
    assert len(asked) == 41
