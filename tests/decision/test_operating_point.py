import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braintumor.decision import choose_threshold, fit_referral, wrong_answers


def table(rows, split="validation"):
    """Rows of (label, P(tumor), share of glioma within it), the rest going to meningioma."""
    return pd.DataFrame(
        [
            {
                "split": split,
                "label": label,
                "p_glioma": p * kind,
                "p_meningioma": p * (1 - kind),
                "p_pituitary": 0.0,
                "p_notumor": 1 - p,
            }
            for label, p, kind in rows
        ]
    )


def probabilities(frame):
    return frame[["p_glioma", "p_meningioma", "p_pituitary", "p_notumor"]].to_numpy()


@pytest.mark.parametrize(("sensitivity", "expected"), [(0.25, 0.9), (0.5, 0.8), (0.51, 0.6), (0.75, 0.6), (1.0, 0.1)])
def test_largest_threshold_by_hand(sensitivity, expected):
    p_tumor = [0.9, 0.99, 0.8, 0.6, 0.1, 0.7]
    is_tumor = [True, False, True, True, True, False]
    assert choose_threshold(p_tumor, is_tumor, sensitivity) == expected


def test_19_of_20_tumors_are_95_percent():
    assert choose_threshold(np.arange(20) / 20, [True] * 20, 0.95) == pytest.approx(1 / 20)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50).filter(
        lambda pairs: any(tumor for _, tumor in pairs)
    ),
    st.floats(0.05, 1),
)
def test_threshold_reaches_the_sensitivity_and_the_next_one_does_not(pairs, sensitivity):
    p_tumor, is_tumor = (np.array(column) for column in zip(*pairs, strict=True))
    found = choose_threshold(p_tumor, is_tumor, sensitivity)
    of_tumors = p_tumor[is_tumor]
    assert (of_tumors >= found).mean() >= sensitivity - 1e-9
    assert (of_tumors > found).mean() < sensitivity


@pytest.mark.parametrize("sensitivity", [0, 1.1])
def test_impossible_sensitivity_is_refused(sensitivity):
    with pytest.raises(ValueError, match="sensitivity"):
        choose_threshold([0.5], [True], sensitivity)


def test_threshold_needs_a_tumor():
    with pytest.raises(ValueError, match="no row shows a tumor"):
        choose_threshold([0.5], [False])


def test_wrong_answers_by_hand():
    rows = table(
        [
            ("glioma", 0.9, 0.8),
            ("meningioma", 0.9, 0.8),
            ("tumor", 0.9, 0.8),
            ("tumor", 0.4, 0.8),
            ("notumor", 0.4, 0.8),
            ("notumor", 0.5, 0.8),
            ("glioma", 0.4, 0.8),
        ]
    )
    found = wrong_answers(probabilities(rows), rows["label"].to_numpy(dtype=str), 0.5)
    assert found.tolist() == [False, True, False, True, False, True, True]


def test_band_and_floor_take_out_the_errors():
    sure = [("glioma", 0.99, 0.95)] * 45 + [("notumor", 0.02, 0.5)] * 45
    near = [("notumor", 0.55, 0.95), ("glioma", 0.45, 0.95)] * 2
    mixed = [("glioma", 0.98, 0.45), ("meningioma", 0.98, 0.55)] * 3
    frame = table(sure + near + mixed)
    rule = fit_referral(frame, threshold=0.5, max_share=0.10)
    referred = rule.refers(probabilities(frame))
    assert referred.sum() == 10
    assert not referred[:90].any()
    assert rule.tumor_low <= 0.45 < 0.55 < rule.tumor_high
    assert 0.55 < rule.kind_confidence <= 0.95


def test_a_faultless_model_refers_nothing():
    frame = table([("glioma", 0.9, 1.0), ("notumor", 0.1, 1.0)] * 20)
    rule = fit_referral(frame, threshold=0.5)
    assert not rule.refers(probabilities(frame)).any()


@pytest.mark.parametrize(
    ("max_share", "threshold", "band", "referred"),
    [
        (0.05, 0.5, (0.3, 0.6), 25),
        (0.04, 0.5, (0.3, 0.6), 20),
        (0.0, 0.5, (0.3, 0.6), 20),
        (1.0, 0.5, (0.3, 0.6), 25),
        (0.05, 0.7, (0.3, 0.7), 25),
        (0.05, 0.2, (0.2, 0.6), 25),
    ],
    ids=["room for unsure kinds", "too little", "none", "more than enough", "below the threshold", "above it"],
)
def test_the_least_band_is_referred_and_a_share_besides(max_share, threshold, band, referred):
    frame = table(
        [("glioma", 0.9, 0.9)] * 40
        + [("notumor", 0.1, 1.0)] * 40
        + [("notumor", 0.4, 1.0)] * 20
        + [("meningioma", 0.9, 0.55)] * 5
    ).sample(frac=1, random_state=0)
    rule = fit_referral(frame, threshold=threshold, max_share=max_share, least_band=(0.3, 0.6))
    assert (rule.tumor_low, rule.tumor_high) == band
    assert rule.refers(probabilities(frame)).sum() == referred


@pytest.mark.parametrize(("max_share", "referred"), [(0.10, 20), (0.09, 10)])
def test_what_is_far_is_referred_and_a_share_besides(max_share, referred):
    frame = table([("notumor", 0.55, 1.0)] * 10 + [("glioma", 0.9, 1.0)] * 90)
    distance = np.where(np.arange(100) >= 90, 5.0, 1.0)
    rule = fit_referral(frame, threshold=0.5, max_share=max_share, distance=distance, distance_limit=2.0)
    assert rule.distance_limit == 2.0
    assert rule.refers(probabilities(frame), distance).sum() == referred


@pytest.mark.parametrize("split", ["test", "published_test"])
def test_only_validation_rows_may_be_fitted(split):
    with pytest.raises(ValueError, match="validation"):
        fit_referral(table([("glioma", 0.9, 1.0)], split), threshold=0.5)


def test_no_rows_cannot_be_fitted():
    with pytest.raises(ValueError, match="at least one"):
        fit_referral(table([("glioma", 0.9, 1.0)]).iloc[:0], threshold=0.5)


@settings(max_examples=25)
@given(st.integers(0, 1000), st.floats(0.05, 0.95), st.floats(0, 0.5))
def test_share_is_kept_and_error_never_rises(seed, threshold, max_share):
    random = np.random.default_rng(seed)
    labels = random.choice(["glioma", "meningioma", "notumor", "tumor"], 80)
    frame = table(zip(labels, random.random(80), random.random(80), strict=True))
    rule = fit_referral(frame, threshold=threshold, max_share=max_share)
    referred = rule.refers(probabilities(frame))
    wrong = wrong_answers(probabilities(frame), labels.astype(str), threshold)
    assert referred.mean() <= max_share
    assert rule.tumor_low <= threshold <= rule.tumor_high
    assert wrong[~referred].mean() <= wrong.mean()
