import numpy as np
import pytest
from scipy.stats import chi2

from braintumor.evaluation.paired import accuracy_difference, mcnemar


def verdicts(both, ours, theirs, neither):
    """Which of two networks is right on how many pictures."""
    pairs = [(True, True)] * both + [(True, False)] * ours + [(False, True)] * theirs + [(False, False)] * neither
    right, default_right = np.array(pairs, bool).reshape(-1, 2).T
    return right, default_right


@pytest.mark.parametrize(
    ("ours", "theirs", "p"),
    [
        (0, 0, 1.0),
        (5, 5, 1.0),
        # Two-sided binomial of 1 or fewer in 8 fair tosses: 2 × (1 + 8) / 256.
        (7, 1, 18 / 256),
        (1, 7, 18 / 256),
        (0, 6, 2 / 64),
        # (|30 - 10| - 1)² / 40 = 9.025 on one degree of freedom.
        (30, 10, chi2.sf(9.025, 1)),
        (20, 20, 1.0),
    ],
)
def test_mcnemar_by_hand(ours, theirs, p):
    found = mcnemar(*verdicts(50, ours, theirs, 9))
    assert found == {"only_this_right": ours, "only_default_right": theirs, "p": pytest.approx(p)}


def test_mcnemar_does_not_ask_how_hard_the_pictures_are():
    assert mcnemar(*verdicts(0, 30, 12, 0)) == mcnemar(*verdicts(500, 30, 12, 70))


def test_both_forms_of_mcnemar_agree_where_they_meet():
    exact, corrected = (mcnemar(*verdicts(10, count, 7, 0))["p"] for count in (17, 18))
    assert exact == pytest.approx(corrected, abs=0.03)


def test_p_is_as_often_small_as_chance_has_it():
    random = np.random.default_rng(0)
    small = [mcnemar(*(random.random((2, 400)) < 0.8))["p"] < 0.05 for _ in range(400)]
    assert 0.01 < np.mean(small) < 0.07


def test_difference_by_hand_and_the_other_way_round():
    right, default_right = verdicts(3, 4, 1, 2)
    groups = [str(number) for number in range(10)]
    found = accuracy_difference(right, default_right, groups)
    assert found["value"] == pytest.approx(0.3)
    assert found["low"] < 0.3 < found["high"]
    back = accuracy_difference(default_right, right, groups)
    assert [back["value"], back["low"], back["high"]] == pytest.approx([-found["value"], -found["high"], -found["low"]])


def test_what_is_hard_for_both_cancels_out():
    """Groups are all right or all wrong for both except one picture in ten, which the default misses."""
    random = np.random.default_rng(2)
    hard = np.repeat(random.random(80) < 0.5, 10)
    gained = np.tile([True, *[False] * 9], 80)
    groups = [str(number // 10) for number in range(800)]
    paired = accuracy_difference(~hard | gained, ~hard & ~gained, groups)
    assert paired["value"] == pytest.approx(0.1)
    # Alone, each accuracy has an interval of twice sqrt(0.25 / 80) to either side.
    assert paired["high"] - paired["low"] < 0.01


def test_copies_in_a_group_do_not_make_a_difference_surer():
    right, default_right = verdicts(30, 12, 6, 2)
    groups = [str(number) for number in range(50)]

    def width(copies, of):
        found = accuracy_difference(right.repeat(copies), default_right.repeat(copies), of)
        return found["high"] - found["low"]

    alone = width(1, groups)
    assert width(20, np.repeat(groups, 20).tolist()) == pytest.approx(alone)
    assert width(20, [str(number) for number in range(1000)]) < alone / 3


def test_no_picture_has_no_difference():
    none = np.zeros(0, bool)
    assert accuracy_difference(none, none, []) == {"value": None, "low": None, "high": None}


@pytest.mark.parametrize("compare", [mcnemar, lambda one, other: accuracy_difference(one, other, ["a"] * 3)])
def test_other_pictures_than_the_default_s_are_refused(compare):
    with pytest.raises(ValueError, match="each picture needs one of each"):
        compare(np.ones(3, bool), np.ones(2, bool))
