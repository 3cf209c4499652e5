import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit, softmax

from braintumor.decision import (
    Calibration,
    apply_temperature,
    fit_calibration,
    fit_map_temperature,
    fit_temperature,
    tumor_score,
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


@pytest.mark.parametrize("fit", [fit_temperature, fit_calibration])
@pytest.mark.parametrize(
    ("logits", "allowed", "words"),
    [
        (np.zeros((0, 4)), np.zeros((0, 4), bool), "both must be"),
        (np.zeros((2, 4)), np.ones((3, 4), bool), "both must be"),
        (np.full((2, 4), np.nan), np.ones((2, 4), bool), "not finite"),
        (np.zeros((2, 4)), np.zeros((2, 4), bool), "without any class"),
    ],
)
def test_unusable_fits_are_refused(logits, allowed, words, fit):
    with pytest.raises(ValueError, match=words):
        fit(logits, allowed)


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


CALIBRATIONS = st.builds(Calibration, st.floats(0.05, 20), st.floats(-20, 20), st.floats(0.05, 20))
TUMOR = np.array([True, True, True, False])


@pytest.mark.parametrize(
    "values",
    [
        (0, 0, 1),
        (-1, 0, 1),
        (1, 0, 0),
        (1, 0, -2),
        (float("nan"), 0, 1),
        (1, float("inf"), 1),
        (1, float("nan"), 1),
        (1, 0, float("inf")),
        (1, 0, 1, 0),
        (1, 0, 1, float("nan")),
    ],
)
def test_a_calibration_takes_finite_numbers_and_positive_factors(values):
    with pytest.raises(ValueError, match="slope, shift and temperatures are"):
        Calibration(*values)


def test_a_calibration_that_changes_nothing_is_the_softmax():
    logits = np.random.default_rng(0).normal(0, 5, (30, 4))
    np.testing.assert_allclose(Calibration().apply(logits), softmax(logits, axis=1), rtol=1e-9)


@given(LOGITS)
def test_the_score_is_the_logit_of_any_tumor(logits):
    p_tumor = softmax(logits, axis=1)[:, :3].sum(axis=1)
    np.testing.assert_allclose(expit(tumor_score(logits)), p_tumor, atol=1e-9)


@given(LOGITS, CALIBRATIONS)
def test_both_parts_of_a_calibration_act_apart(logits, calibration):
    found = calibration.apply(logits)
    score = calibration.slope * tumor_score(logits) + calibration.shift
    assert found.shape == (6, 4)
    assert found.sum(axis=1) == pytest.approx(1)
    assert (found >= 0).all()
    np.testing.assert_allclose(found[:, :3].sum(axis=1), expit(score), atol=1e-9)
    kinds = softmax(logits[:, :3] / calibration.temperature, axis=1)
    np.testing.assert_allclose(found[:, :3], expit(score)[:, None] * kinds, atol=1e-9)


@given(LOGITS, st.floats(-100, 100), CALIBRATIONS)
def test_only_differences_of_logits_count(logits, added, calibration):
    np.testing.assert_allclose(calibration.apply(logits + added), calibration.apply(logits), atol=1e-6)


def drawn_in_parts(slope, shift, temperature, rows=20_000, seed=0, bias=(0.0, 0.0, 0.0)):
    """Logits whose labels were drawn by a known calibration."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (rows, 4))
    chances = Calibration(slope, shift, temperature, kind_bias=bias).apply(logits)
    labels = (chances.cumsum(axis=1) < random.random((rows, 1))).sum(axis=1)
    return logits, np.eye(4, dtype=bool)[np.minimum(labels, 3)]


@pytest.mark.parametrize(
    ("slope", "shift", "temperature"), [(1, 0, 1), (0.4, 1.5, 0.5), (1.3, -1.0, 2.5), (0.6, 0.0, 1.0)]
)
def test_finds_the_calibration_labels_were_drawn_by(slope, shift, temperature):
    found = fit_calibration(*drawn_in_parts(slope, shift, temperature))
    assert found.slope == pytest.approx(slope, rel=0.06)
    assert found.shift == pytest.approx(shift, abs=0.08)
    assert found.temperature == pytest.approx(temperature, rel=0.06)
    assert found.kind_bias == pytest.approx((0, 0, 0), abs=0.08)


@pytest.mark.parametrize("bias", [(1.0, -0.5, -0.5), (-0.8, 0.8, 0.0)])
def test_finds_the_bias_of_the_kinds_where_all_are_known(bias):
    logits, allowed = drawn_in_parts(1, 0, 1.5, bias=bias)
    found = fit_calibration(logits, allowed)
    assert found.kind_bias == pytest.approx(bias, abs=0.08)
    assert found.temperature == pytest.approx(1.5, rel=0.06)
    without = ~allowed[:, 0]
    assert fit_calibration(logits[without], allowed[without]).kind_bias == ()


def test_tumors_of_unknown_kind_have_a_say_in_the_first_part_alone():
    logits, allowed = drawn_in_parts(0.6, 0.5, 1.5, rows=4000)
    is_tumor = ~allowed[:, 3]
    some = is_tumor & (np.arange(len(allowed)) % 3 > 0)
    vague = np.where(some[:, None], TUMOR, allowed)
    whole, partly, without = (
        fit_calibration(logits, allowed),
        fit_calibration(logits, vague),
        fit_calibration(logits[~some], allowed[~some]),
    )
    assert (partly.slope, partly.shift) == (whole.slope, whole.shift)
    assert partly.temperature == without.temperature
    assert abs(without.shift - whole.shift) > 0.3


@pytest.mark.parametrize(
    ("labels", "unchanged"),
    [
        ([0, 1, 2, 0, 1], {"slope": 1.0, "shift": 0.0}),
        ([3, 3, 3, 3, 3], {"slope": 1.0, "shift": 0.0, "temperature": 1.0}),
        ([4, 4, 3, 4, 3], {"temperature": 1.0}),
        ([4, 4, 4, 4, 4], {"slope": 1.0, "shift": 0.0, "temperature": 1.0}),
    ],
    ids=["tumors of known kind", "no tumor", "no known kind", "tumors of unknown kind"],
)
def test_a_part_nothing_is_known_of_stays_as_the_network_states_it(labels, unchanged):
    logits = np.random.default_rng(1).normal(0, 2, (5, 4))
    allowed = np.array([*np.eye(4, dtype=bool), TUMOR])[labels]
    found = fit_calibration(logits, allowed)
    assert {name: getattr(found, name) for name in unchanged} == unchanged
    changed = {"slope", "shift", "temperature"} - set(unchanged)
    assert all(getattr(found, name) != getattr(Calibration(), name) for name in changed)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_rows_that_are_told_apart_without_error_leave_a_finite_slope(scale):
    logits = scale * np.array([[3.0, 0, 0, -1], [2, 1, 0, -2], [-1, -2, 0, 3], [0, 0, -1, 4]])
    found = fit_calibration(logits, np.eye(4, dtype=bool)[[0, 1, 3, 3]])
    assert 0 < found.slope < 100
    chances = found.apply(logits)
    assert np.isfinite(chances).all()
    assert (chances[:2, 3] < 0.5).all()
    assert (chances[2:, 3] > 0.5).all()


def test_a_fit_beats_the_network_as_it_states_itself():
    logits, allowed = drawn_in_parts(0.5, 1.0, 2.0, rows=600)

    def loss(calibration):
        return -np.log((calibration.apply(logits) * allowed).sum(axis=1)).mean()

    found = fit_calibration(logits, allowed)
    assert loss(found) < loss(Calibration()) - 0.05
    assert loss(found) < min(
        loss(Calibration(found.slope * 1.2, found.shift, found.temperature)),
        loss(Calibration(found.slope, found.shift + 0.3, found.temperature)),
        loss(Calibration(found.slope, found.shift, found.temperature * 1.2)),
    )


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.4, 3.0])
def test_the_temperature_of_a_map_is_found_again(temperature):
    random = np.random.default_rng(0)
    score = random.normal(-2, 3, (40, 32, 32))
    truth = random.random(score.shape) < expit(score / temperature)
    assert fit_map_temperature(expit(score), truth) == pytest.approx(temperature, rel=0.03)


@pytest.mark.parametrize(
    ("stated", "truth", "temperature"),
    [
        (np.zeros((0, 4, 4)), np.zeros((0, 4, 4)), 1.0),
        # Sure and wrong half of the time: nothing it says can be believed.
        (np.tile([0.0, 1.0], (2, 4, 2)), np.tile([1.0, 0.0, 0.0, 1.0], (2, 4, 1)), 5.0),
        (np.tile([0.4, 0.6], (2, 4, 2)), np.tile([0.0, 1.0], (2, 4, 2)), 0.2),
    ],
    ids=["no picture", "never right", "too modest"],
)
def test_the_temperature_of_a_map_stays_within_bounds(stated, truth, temperature):
    assert fit_map_temperature(stated, truth) == pytest.approx(temperature, rel=1e-3)


def test_a_map_needs_a_truth_of_its_shape():
    with pytest.raises(ValueError, match="one shape"):
        fit_map_temperature(np.zeros((1, 4, 4)), np.zeros((1, 4, 5)))
