import math
from dataclasses import replace

import pytest

from braintumor.bundles import Estimate, HeatmapFigures
from braintumor.bundles.figures import MethodFigures
from braintumor.bundles.schema import FittedVolumeRule
from braintumor.dashboard.viewer.answer_card import BADGES
from braintumor.dashboard.viewer.words import (
    answer_sentence,
    caution_words,
    elsewhere_words,
    error_words,
    heatmap_words,
    level_words,
    measured_words,
    method_words,
    outline_words,
    shown_words,
    slice_words,
)
from braintumor.decision import Outcome
from braintumor.evaluation import AreaAgreement
from braintumor.reports import DECISION_WORDS
from braintumor.scans import phantom
from braintumor.segmentation import Measurements
from tests.bundles.made_card import made_card
from tests.dashboard.viewer.made_answers import made_answer, spot
from tests.evaluation.test_hospitals import ROWS
from tests.model_cards.test_hospitals import HELD_OUT

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
    assert answer_sentence(made_answer(*case, p_tumors=(0.6,)).prediction) == sentence


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
    assert answer_sentence(made_answer("refer", finding, p_tumors=(p_tumor,)).prediction) == sentence


def test_of_a_volume_every_slice_is_meant():
    volume = made_answer("no_tumor", "notumor", p_tumors=(0.1, 0.2))
    assert answer_sentence(volume.prediction) == "The model sees no tumor on any slice."


def test_every_decision_has_its_sentence_word_and_badge():
    assert {decision for decision, _ in SENTENCES} == set(Outcome) == set(DECISION_WORDS) == set(BADGES)


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
        ("no_tumor", (0.1,), 0, False, "No outline: P(tumor) of this slice is below the line."),
        ("refer", (0.4,), 0, False, "No outline: the model suspects a tumor on this slice but cannot place it."),
        ("tumor", (0.9,), 0, False, "No outline: the model suspects a tumor on this slice but cannot place it."),
        ("tumor", (0.1, 0.9), 0, False, "No outline: P(tumor) of this slice is below the line."),
        ("refer", (0.1, 0.6), 0, False, "No outline: P(tumor) of this slice is below the line."),
    ],
)
def test_the_outline_is_named_and_so_is_its_absence(decision, p_tumors, number, drawn, words):
    assert outline_words(made_answer(decision, p_tumors=p_tumors).prediction, number, drawn) == words


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
    assert slice_words(made_answer(p_tumors=(0.1, 0.9, 0.2, 0.3), kept=kept), number) == words


@pytest.mark.parametrize(
    ("rests_on", "said"),
    [((), "volume."), ((2,), "volume and rests on slice 3."), ((1, 2, 3), "volume and rests on slices 2 to 4.")],
)
@pytest.mark.parametrize("number", [1, 3])
def test_of_a_volume_judged_as_a_whole_the_slices_it_rests_on_are_named(rests_on, said, number):
    made = made_answer(p_tumors=(0.1, 0.9, 0.2, 0.3), kept=range(4))
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
            "Area: **2.2%** of the head · Largest diameter: **17%** of the head's length · Lesions: **1**",
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
    assert measured_words(measured, slices, None).replace("\u00a0", " ") == words


@pytest.mark.parametrize(
    ("measured", "high", "words"),
    [
        (
            Measurements(2, 0, 1000.0, 0.05, 40.0, 0.2, 8.0),
            4.0,
            "Largest area, slice 1: **1,000 mm²** (250 mm² to 4,000 mm²) · Largest diameter: **40 mm** (20 mm to 80 mm)"
            " · Lesions: **2** · Volume: **8.0 mL** (2.0 mL to 32 mL)",
        ),
        (
            Measurements(1, 0, None, 0.04, None, 0.2, None),
            math.inf,
            "Largest area, slice 1: **4.0%** (over 1.0%) of the head · Largest diameter: **20%** (over 10%) of the "
            "head's length · Lesions: **1**",
        ),
    ],
)
def test_sizes_carry_the_range_of_readers_and_a_diameter_the_root_of_it(measured, high, words):
    assert measured_words(measured, 2, AreaAgreement(0.25, high, 0.9, 40)).replace("\u00a0", " ") == words


@pytest.mark.parametrize(
    ("p_tumors", "limits", "words"),
    [
        ((0.9,), None, "Answer for this picture"),
        ((0.1, 0.9), None, "Answer for this volume, that of slice 2 of 2"),
        ((0.1, 0.9), (0.5, 0.25), "Answer for the whole volume of 2 slices"),
    ],
)
def test_it_is_said_what_the_answer_is_of(p_tumors, limits, words):
    made = made_answer(p_tumors=p_tumors).prediction
    assert level_words(replace(made, slice_limits=limits)) == words


@pytest.mark.parametrize(
    ("decision", "finding", "p_tumors", "suspicious"),
    [
        ("no_tumor", "notumor", (0.1, 0.2), 0),
        ("no_tumor", "notumor", (0.1, 0.4), 1),
        ("no_tumor", "notumor", (0.3, 0.4), 2),
        ("tumor", "glioma", (0.1, 0.9), None),
        ("refer", "notumor", (0.1, 0.4), None),
    ],
)
def test_no_tumor_is_never_said_to_rule_one_out_nor_to_be_on_every_slice(decision, finding, p_tumors, suspicious):
    made = made_answer(decision, finding, pixels=phantom(96).astype("float32"), p_tumors=p_tumors).prediction
    said = caution_words(replace(made, slice_limits=(0.5, 0.25), p_tumor=0.1))
    assert ("does not rule out" in said) is (suspicious is not None)
    assert ("suspicious" in said) is bool(suspicious)
    assert (f"{suspicious} slices" in said) is (suspicious is not None and suspicious > 1)


def test_it_is_said_on_what_the_error_of_sizes_was_measured_and_that_it_was_not():
    assert "On 40 held-out slices, 90%" in error_words(AreaAgreement(0.571, 1.93, 0.9, 40))
    assert "not measured" in error_words(None)


@pytest.mark.parametrize("limits", [None, (0.5, 0.25), (0.95, 0.3)])
@pytest.mark.parametrize("p_tumor", [0.1, 0.6])
def test_a_slice_above_the_line_is_never_said_to_show_nothing(limits, p_tumor):
    made = made_answer(p_tumors=(0.05, 0.2, 0.3, 0.6, 0.97), tumor_map=spot(), pixels=phantom(96).astype("float32"))
    prediction = replace(made.prediction, slice_limits=limits, p_tumor=p_tumor, rests_on=(3, 4))
    for number, found in enumerate(prediction.slices):
        said = shown_words(prediction, number)
        assert ("above the line" in said) is (found.p_tumor >= prediction.outlined_from)
        assert ("No outline" in said) is not prediction.outlines(number)
        assert "no tumor" not in said


@pytest.mark.parametrize(
    ("is_volume", "said"),
    [
        (False, "66.7% of slices were answered; of those without a tumor 33.3% were called one"),
        (True, "of 3 stacks with a tumor 2 were called, 0 cleared, and of 0 without"),
    ],
)
def test_an_answer_says_how_such_answers_turned_out_elsewhere(is_volume, said):
    rule = FittedVolumeRule.model_construct()
    card = made_card(ROWS, stacks=HELD_OUT).model_copy(update={"volume_rule": rule})
    assert said in elsewhere_words(card, is_volume=is_volume)
    assert elsewhere_words(made_card(), is_volume=is_volume) == ""
