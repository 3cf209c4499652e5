import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from braintumor.decision import VolumeRule, left_out_p_tumor, predictive_limits

NAMES = ("highest", "volume")


def _stacks(count=60, seed=0, apart=2.0):
    random = np.random.default_rng(seed)
    truth = np.arange(count) % 2 == 0
    return random.normal(size=(count, 2)) + apart * truth[:, np.newaxis] * [1, 0.5], truth


def test_the_rule_is_the_logistic_regression_of_balanced_sides():
    rows, truth = _stacks()
    rows, truth = rows[truth | (np.arange(60) < 21)], truth[truth | (np.arange(60) < 21)]
    rule = VolumeRule.fit(NAMES, rows, truth)
    scaled = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    wanted = LogisticRegression(C=1.0, class_weight="balanced").fit(scaled, truth)
    np.testing.assert_allclose(rule.weights, wanted.coef_[0], atol=1e-3)
    np.testing.assert_allclose(rule.p_tumor(rows), wanted.predict_proba(scaled)[:, 1], atol=1e-3)


def test_more_evidence_never_lowers_the_probability():
    rows, truth = _stacks()
    # By itself the second figure speaks against a tumor here; the rule then leaves it out.
    rule = VolumeRule.fit(NAMES, rows * [1, -1], truth)
    assert min(rule.weights) >= 0
    assert rule.weights[1] == pytest.approx(0, abs=1e-6)


def test_a_patient_is_judged_by_a_rule_that_never_saw_one_of_its_stacks():
    rows, truth = _stacks()
    patients = [f"p{number // 4}" for number in range(60)]
    found = left_out_p_tumor(NAMES, rows, truth, patients)
    others = np.array(patients) != "p3"
    expected = VolumeRule.fit(NAMES, rows[others], truth[others]).p_tumor(rows[~others])
    np.testing.assert_allclose(found[~others], expected)
    assert ((found > 0.5) == truth).mean() > 0.75


@pytest.mark.parametrize("truth", [[True] * 4, [False] * 4])
def test_one_side_alone_is_refused(truth):
    with pytest.raises(ValueError, match="with a tumor and stacks without"):
        VolumeRule.fit(NAMES, np.eye(4)[:, :2], truth)
    with pytest.raises(ValueError, match="with a tumor and rows without"):
        predictive_limits([0.1, 0.2, 0.3, 0.4], truth)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tumor_low": 0.9, "tumor_high": 0.1}, "must rise"),
        ({"low_by_sequence": {"flair": 0.95}}, "must rise"),
        ({"mean": (0.0,)}, "one mean, spread and weight"),
    ],
)
def test_rules_that_make_no_sense_are_refused(changes, message):
    parts = {"names": NAMES, "mean": (0.0, 0.0), "spread": (1.0, 1.0), "weights": (1.0, 1.0), "intercept": 0.0}
    with pytest.raises(ValueError, match=message):
        VolumeRule(**{**parts, "tumor_low": 0.1, "tumor_high": 0.9, **changes})


@pytest.mark.parametrize(
    ("tumors", "clear", "limits"),
    [
        ([0.6, 0.9], [0.1, 0.3], (0.6, 0.6)),
        # One of four tumors below: "no tumor" is right in 98 % only below it.
        ([0.2, 0.7, 0.8, 0.9], [0.1, 0.1, 0.3, 0.4], (0.2, 0.7)),
        # A false alarm above all tumors: nothing is ever sure enough to be called.
        ([0.5, 0.6], [0.1, 0.9], (0.5, 1.0)),
        # The lowest row is a tumor: nothing is ever cleared.
        ([0.1, 0.9], [0.2, 0.3], (0.0, 0.9)),
    ],
)
def test_limits_by_hand(tumors, clear, limits):
    p_tumor, truth = tumors + clear, [True] * len(tumors) + [False] * len(clear)
    assert predictive_limits(p_tumor, truth) == limits
    # However many of each were gathered.
    assert predictive_limits(p_tumor + clear * 9, truth + [False] * len(clear) * 9) == limits


@pytest.mark.parametrize(("sequence", "low"), [("flair", 0.4), ("t2", 0.1), ("unknown", 0.1), ("", 0.1)])
def test_a_sequence_may_have_a_limit_of_its_own(sequence, low):
    figures, truth = _stacks()
    rule = VolumeRule.fit(NAMES, figures, truth).with_limits(0.1, 0.9, {"flair": 0.4})
    assert rule.low(sequence) == low


def test_stacks_far_above_what_heads_lie_at_are_beyond_the_limit():
    figures, truth = _stacks()
    rule = VolumeRule.fit(("a", "b"), figures, truth)
    assert rule.distance_limit == np.inf
    distances = np.array([0.3, 0.4, 0.5])
    assert rule.with_distances(distances).distance_limit == pytest.approx(0.4 + 5 * distances.std())
