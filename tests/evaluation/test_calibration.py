import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from braintumor.evaluation.calibration import (
    apply_temperature,
    bin_numbers,
    expected_calibration_error,
    fit_temperature,
    reliability,
)

LOGITS = arrays(np.float64, (6, 4), elements=st.floats(-50, 50))
UNIT = st.floats(0, 1)


def drawn(temperature, rows=20_000, seed=0):
    """Logits whose labels were drawn at a known temperature."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 3, (rows, 4))
    chances = apply_temperature(logits, temperature)
    labels = (chances.cumsum(axis=1) < random.random((rows, 1))).sum(axis=1)
    return logits, np.eye(4, dtype=bool)[labels]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_finds_the_temperature_labels_were_drawn_at(temperature):
    assert fit_temperature(*drawn(temperature)) == pytest.approx(temperature, rel=0.05)


def test_label_tumor_counts_the_sum_of_the_three_kinds():
    logits, allowed = drawn(2.0)
    some = np.arange(len(allowed)) % 2 == 0
    tumor = np.array([True, True, True, False])
    allowed[some] = np.where(allowed[some][:, [3]], ~tumor, tumor)
    assert fit_temperature(logits, allowed) == pytest.approx(2.0, rel=0.07)


def test_fit_is_a_minimum_of_the_negative_log_likelihood():
    logits, allowed = drawn(1.7, rows=500)
    found = fit_temperature(logits, allowed)

    def loss(temperature):
        return -np.log(apply_temperature(logits, temperature)[allowed]).mean()

    assert loss(found) < min(loss(found * 1.05), loss(found / 1.05), loss(1.0))


@pytest.mark.parametrize(
    ("logits", "allowed", "words"),
    [
        (np.zeros((0, 4)), np.zeros((0, 4), bool), "both must be"),
        (np.zeros((2, 4)), np.ones((3, 4), bool), "both must be"),
        (np.full((2, 4), np.nan), np.ones((2, 4), bool), "not finite"),
        (np.zeros((2, 4)), np.zeros((2, 4), bool), "without any class"),
    ],
)
def test_unusable_fits_are_refused(logits, allowed, words):
    with pytest.raises(ValueError, match=words):
        fit_temperature(logits, allowed)


@given(LOGITS, st.floats(0.05, 20))
def test_temperature_keeps_the_order_and_the_sum(logits, temperature):
    chances = apply_temperature(logits, temperature)
    assert chances.sum(axis=1) == pytest.approx(1)
    rows = np.arange(len(logits))
    assert np.array_equal(chances[rows, logits.argmax(axis=1)], chances.max(axis=1))


def test_huge_logits_stay_finite():
    assert apply_temperature([[1e5, 0, -1e5, 0]], 0.05).tolist() == [[1, 0, 0, 0]]


@pytest.mark.parametrize("temperature", [0, -1, float("nan"), float("inf")])
def test_temperature_must_be_positive(temperature):
    with pytest.raises(ValueError, match="temperature"):
        apply_temperature([[0.0, 1.0]], temperature)


def test_reliability_by_hand():
    table = reliability([0.1, 0.3, 0.4, 0.9, 1.0], [False, True, False, True, True], bins=4)
    assert table["count"].tolist() == [1, 2, 0, 2]
    assert table["confidence"].tolist() == pytest.approx([0.1, 0.35, np.nan, 0.95], nan_ok=True)
    assert table["accuracy"].tolist() == pytest.approx([0.0, 0.5, np.nan, 1.0], nan_ok=True)
    assert table["low"].tolist() == [0, 0.25, 0.5, 0.75]
    # (0.1*1 + 0.15*2 + 0.05*2) / 5
    assert expected_calibration_error([0.1, 0.3, 0.4, 0.9, 1.0], [False, True, False, True, True], 4) == pytest.approx(
        0.1
    )


def test_no_rows_have_no_error():
    assert np.isnan(expected_calibration_error([], []))


@settings(max_examples=60)
@given(st.lists(st.tuples(UNIT, st.booleans()), min_size=1, max_size=40), st.integers(1, 30))
def test_error_lies_between_0_and_1(pairs, bins):
    confidence, correct = zip(*pairs, strict=True)
    assert 0 <= expected_calibration_error(confidence, correct, bins) <= 1
    assert reliability(confidence, correct, bins)["count"].sum() == len(pairs)


def test_outside_0_to_1_is_refused():
    with pytest.raises(ValueError, match="outside"):
        bin_numbers([1.2])
    with pytest.raises(ValueError, match="outside"):
        bin_numbers([np.nan])
    with pytest.raises(ValueError, match="bins"):
        bin_numbers([0.2], 0)
