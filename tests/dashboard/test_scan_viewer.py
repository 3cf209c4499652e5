from dataclasses import replace

import numpy as np
import pytest
import streamlit as st
from PIL import Image
from plotly.colors import get_colorscale, sample_colorscale, unlabel_rgb
from scipy import ndimage

from braintumor.bundles import Estimate, HeatmapFigures
from braintumor.bundles.figures import MethodFigures
from braintumor.dashboard import scan_viewer
from braintumor.dashboard.answers import Answer, _picture
from braintumor.dashboard.scan_viewer import (
    answer_sentence,
    heatmap_words,
    measured_words,
    method_words,
    outline_words,
    overlay,
)
from braintumor.dashboard.volume_words import slice_words
from braintumor.decision import Outcome
from braintumor.explanation import ExplanationError
from braintumor.heatmaps import CellGrid
from braintumor.inference import Prediction, SliceAnswer
from braintumor.reports import DECISION_WORDS
from braintumor.scans import phantom, prepare
from braintumor.segmentation import Measurements, outline
from braintumor.taxonomy import CLASSES

SKY = (86, 180, 233)


def spot(size=64):
    """A map that holds a tumor in one place."""
    rows, columns = np.ogrid[:size, :size]
    away = np.hypot(rows - 0.4 * size, columns - 0.65 * size)
    return (1 / (1 + np.exp(0.8 * (away - size / 8)))).astype(np.float32)


def answer(decision="tumor", finding="glioma", sha256="0" * 64, pixels=None, p_tumors=(0.9,), tumor_map=None, kept=()):
    pixels = np.zeros((40, 40), np.float32) if pixels is None else pixels
    own = int(np.argmax(p_tumors))
    prediction = Prediction(
        source="scan.png",
        sha256=sha256,
        probabilities=dict(zip(CLASSES, (0.1, 0.7, 0.1, 0.1), strict=True)),
        p_tumor=max(p_tumors),
        decision=decision,
        finding=finding,
        reasons=(),
        seconds=0.01,
        bundle="net 1",
        slice_number=own,
        slices=tuple(SliceAnswer(p_tumor, prepare(pixels, 192), tumor_map) for p_tumor in p_tumors),
        shape=(len(p_tumors), *pixels.shape),
        spacing=None,
        placement=None,
        cam=np.ones((11, 11, 4 if tumor_map is None else 3), np.float32),
        grid=CellGrid(192, 15.5, 16.0),
        threshold=0.5,
        doubt_from=0.25,
        sure_from=0.75,
    )
    return Answer(
        "key",
        prediction,
        prediction.measurements() if finding else None,
        _picture(pixels, 640),
        {number: _picture(pixels, 320) for number in kept},
    )


@pytest.fixture
def session(monkeypatch):
    monkeypatch.setattr(st, "session_state", {})


@pytest.fixture
def asked(session, monkeypatch):
    """Heatmaps computed on demand, in order, each half bright; saliency fails."""
    made = []

    def explain(bundle, image, class_name, method, on_progress):
        made.append((class_name, method))
        if method == "saliency":
            raise ExplanationError("Saliency gives no map.")
        return np.full((192, 192), 0.5, np.float32)

    monkeypatch.setattr(scan_viewer, "explain_apart", explain)
    monkeypatch.setattr(scan_viewer, "predictor", lambda: type("Loaded", (), {"bundle": None}))
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
    shown = answer(pixels=head(shape, spot)[0])
    square = (shown.prediction.prepared.image > 200).astype(np.float32)
    heat = scan_viewer._on_picture(square, shown, 0)
    assert heat.shape == scan_viewer._view(shown, 0).shape
    assert heat.min() >= 0
    assert heat.max() <= 1
    scale = heat.shape[0] / shape[0]
    expected = [(place + 0.5) * scale - 0.5 for place in spot]
    np.testing.assert_allclose(ndimage.center_of_mass(heat), expected, atol=max(2, 0.6 * scale))


@pytest.mark.parametrize(("shape", "spot"), SHAPES)
def test_the_outline_encloses_on_the_view_what_the_mask_holds_on_the_scan(session, shape, spot):
    pixels, bright = head(shape, spot)
    square = (prepare(pixels, 192).image > 200).astype(np.float32)
    shown = answer(pixels=pixels, tumor_map=np.clip(square, 0.01, 0.99))
    enclosed = scan_viewer._outlined(shown, 0)
    expected = np.asarray(Image.fromarray(bright).resize(enclosed.shape[::-1]))
    for mask in (expected, np.asarray(Image.fromarray(shown.prediction.mask()[0]).resize(enclosed.shape[::-1]))):
        assert (enclosed & mask).sum() > 0.9 * (enclosed | mask).sum()


@pytest.mark.parametrize(
    ("shape", "view"),
    [((40, 40), (640, 640)), ((256, 256), (512, 512)), ((240, 300), (480, 600)), ((1280, 320), (640, 160))],
)
def test_a_small_picture_is_enlarged_by_a_whole_factor(shape, view):
    shown = answer(pixels=np.zeros(shape, np.float32))
    assert scan_viewer._view(shown, 0).shape == scan_viewer._view_shape(shown, 0) == view


def test_the_outline_is_a_thin_line_of_its_color_around_a_light_fill():
    picture = phantom(256)
    mask = np.zeros(picture.shape, bool)
    mask[100:150, 90:160] = True
    line, casing = outline(mask, 2), outline(mask, 3) & ~outline(mask, 2)
    drawn = scan_viewer._with_outline(picture, mask, 1.0)
    assert (drawn[line] == SKY).all()
    assert (drawn[casing].max(axis=-1) < 40).all()
    assert (drawn[~mask] == picture[~mask, None]).all()
    inside = mask & ~outline(mask, 3)
    assert (np.abs(drawn[inside].astype(int) - picture[inside, None]) <= 0.13 * 255).all()
    assert (scan_viewer._with_outline(picture, mask, 0.0) == picture[..., None]).all()


@pytest.mark.parametrize(("decision", "p_tumor"), [("tumor", 0.9), ("tumor", 0.5), ("refer", 0.55)])
def test_a_slice_from_the_threshold_on_is_outlined_in_doubt_as_well(session, decision, p_tumor):
    shown = answer(decision, p_tumors=(p_tumor,), tumor_map=spot())
    assert scan_viewer._outlined(shown, 0).any()


def test_without_a_doubt_nothing_is_outlined_whatever_the_map_holds(session):
    shown = answer("no_tumor", "notumor", p_tumors=(0.2,), tumor_map=spot())
    assert not scan_viewer._outlined(shown, 0).any()
    assert shown.measurements.lesions == 0


def test_a_network_that_does_not_locate_has_no_outline(session):
    assert scan_viewer._outlined(answer(), 0) is None


def test_an_outline_is_made_once_for_each_slice_and_the_latest_are_kept(session, masked):
    volume = answer(p_tumors=(0.9,) * 40, tumor_map=spot(16), kept=range(40))
    # An answer is measured when it is made, which takes a mask of every slice.
    masked.clear()
    for _ in range(3):
        for number in (0, 1, 2):
            scan_viewer._outlined(volume, number)
    assert len(masked) == 3
    for number in range(40):
        scan_viewer._outlined(volume, number)
    assert len(st.session_state[scan_viewer._OUTLINES]) == 32
    assert len(masked) == 40


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
    assert answer_sentence(answer(*case, p_tumors=(0.6,)).prediction) == sentence


@pytest.mark.parametrize(
    ("finding", "p_tumor", "sentence"),
    [
        ("meningioma", 0.75, "The model sees a tumor but is unsure of its kind: it leans towards meningioma."),
        ("pituitary", 0.9, "The model sees a tumor but is unsure of its kind: it leans towards pituitary tumor."),
        ("meningioma", 0.74, "The model leans towards meningioma, but not surely enough to answer."),
        (None, 0.9, "No answer is given for this picture."),
    ],
)
def test_doubt_about_the_kind_alone_is_no_doubt_about_the_tumor(finding, p_tumor, sentence):
    assert answer_sentence(answer("refer", finding, p_tumors=(p_tumor,)).prediction) == sentence


def test_of_a_volume_every_slice_is_meant():
    volume = answer("no_tumor", "notumor", p_tumors=(0.1, 0.2))
    assert answer_sentence(volume.prediction) == "The model sees no tumor on any slice."


def test_every_decision_has_its_sentence_word_and_badge():
    assert {decision for decision, _ in SENTENCES} == set(Outcome) == set(DECISION_WORDS) == set(scan_viewer._BADGES)


@pytest.mark.parametrize(
    ("decision", "p_tumors", "number", "drawn", "words"),
    [
        ("tumor", (0.9,), 0, True, "Outline: where the model places the tumor."),
        (
            "refer",
            (0.55,),
            0,
            True,
            "Outline, unsure: where the model would place a tumor. The answer is withheld.",
        ),
        ("refer", (0.9,), 0, True, "Outline: where the model places the tumor."),
        ("no_tumor", (0.1,), 0, False, "No outline: the model sees no tumor on this slice."),
        ("refer", (0.4,), 0, False, "No outline: the model suspects a tumor on this slice but cannot place it."),
        ("tumor", (0.9,), 0, False, "No outline: the model suspects a tumor on this slice but cannot place it."),
        ("tumor", (0.1, 0.9), 0, False, "No outline: the model sees no tumor on this slice."),
        ("refer", (0.1, 0.6), 0, False, "No outline: the model sees no tumor on this slice."),
    ],
)
def test_the_outline_is_named_and_so_is_its_absence(decision, p_tumors, number, drawn, words):
    assert outline_words(answer(decision, p_tumors=p_tumors).prediction, number, drawn) == words


@pytest.mark.parametrize(
    ("finding", "tells_the_kind"), [("glioma", True), ("pituitary", True), ("notumor", False), ("tumor", False)]
)
def test_only_the_heatmap_of_a_kind_is_said_to_explain_one(finding, tells_the_kind):
    assert ("explains the kind" in heatmap_words(finding)) is tells_the_kind


def pointing(**shares):
    """What was measured of heatmaps that point at the tumor so often."""
    rest = dict.fromkeys(("inside", "deletion", "insertion", "randomized_correlation"), Estimate(value=0.5))
    methods = {name: MethodFigures(pointing=Estimate(value=share), **rest) for name, share in shares.items()}
    return HeatmapFigures(model_sha256="", images=3, groups=2, methods=methods)


@pytest.mark.parametrize(
    ("method", "figures", "said"),
    [
        (
            "gradcam",
            pointing(gradcam=0.62, center=0.171),
            "point of Grad-CAM lay inside it in 62.0%; the middle of the picture",
        ),
        ("scorecam", pointing(gradcam=0.62, center=0.171), ""),
        ("gradcam", pointing(gradcam=0.62), ""),
        ("gradcam", pointing(), ""),
        ("gradcam", None, ""),
    ],
    ids=["measured", "another method", "no floor", "no methods", "never measured"],
)
def test_says_how_often_a_heatmap_points_at_the_tumor(method, figures, said):
    found = method_words(method, figures)
    assert said in found
    assert bool(said) == bool(found)


OWN = "Slice 2 of 4, the most suspicious: the answer is that of this slice."


@pytest.mark.parametrize(
    ("kept", "number", "words"),
    [
        (range(4), 1, OWN),
        (range(4), 3, "Slice 4 of 4, P(tumor) 30%. The answer is that of slice 2, the most suspicious."),
        (range(1, 4, 2), 1, OWN + " Pictures of 2 slices are held; the mask and the measurements are of all."),
        (
            (),
            1,
            OWN + " The others cannot be looked through: pictures of 512 slices are held at a time. "
            "Take other volumes away and upload this one again.",
        ),
    ],
)
def test_it_is_said_which_slice_is_shown_and_which_can_be(kept, number, words):
    assert slice_words(answer(p_tumors=(0.1, 0.9, 0.2, 0.3), kept=kept), number) == words


@pytest.mark.parametrize(
    ("rests_on", "said"),
    [((), "volume."), ((2,), "volume and rests on slice 3."), ((1, 2, 3), "volume and rests on slices 2 to 4.")],
)
@pytest.mark.parametrize("number", [1, 3])
def test_of_a_volume_judged_as_a_whole_the_slices_it_rests_on_are_named(rests_on, said, number):
    made = answer(p_tumors=(0.1, 0.9, 0.2, 0.3), kept=range(4))
    whole = replace(made.prediction, slice_limits=(0.5, 0.25), rests_on=rests_on)
    found = slice_words(replace(made, prediction=whole), number)
    assert found.endswith(f"The answer is that of the whole {said}")
    assert "2" in found


@pytest.mark.parametrize(
    ("measured", "slices", "words"),
    [
        (
            Measurements(12, 2, 1867.0, 0.064, 68.66, 0.31, 8.627),
            24,
            "Largest area, slice 3: **1,867 mm²** · Largest diameter: **69 mm** · Lesions: **12** · Volume: **8.6 mL**",
        ),
        (
            Measurements(1, 0, None, 0.0218, None, 0.169, None),
            1,
            "Area: **2.2% of the head** · Largest diameter: **17% of the head's length** · Lesions: **1**",
        ),
        (
            Measurements(2, 0, 9.04, 0.01, 4.0, 0.02, None),
            1,
            "Area: **9.0 mm²** · Largest diameter: **4.0 mm** · Lesions: **2**",
        ),
        (Measurements(1, 0, None, None, None, None, None), 1, "Lesions: **1**"),
    ],
)
def test_what_is_known_of_the_outline_is_said_with_its_unit(measured, slices, words):
    assert measured_words(measured, slices).replace("\u00a0", " ") == words


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
        heat, method = scan_viewer._heatmap(answer(), "glioma", "saliency")
    assert (heat.max(), method) == (1, "gradcam"), "Grad-CAM stands in"
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
