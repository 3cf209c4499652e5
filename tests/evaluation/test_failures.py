import numpy as np
import pandas as pd
import pytest

from braintumor.decision import ReferralRule
from braintumor.evaluation import failure_figures
from braintumor.taxonomy import CLASSES

RULE = ReferralRule(0.4, 0.8, kind_confidence=0.7, distance_limit=2.0)
ROWS = (
    # dataset, group, label, referred, four probabilities
    ("cheng", "a", "glioma", False, 0.9, 0.05, 0.0, 0.05),
    ("cheng", "a", "glioma", False, 0.02, 0.95, 0.0, 0.03),
    ("masoud", "b", "glioma", True, 0.4, 0.5, 0.0, 0.1),
    ("masoud", "b", "meningioma", True, 0.3, 0.3, 0.0, 0.4),
    ("masoud", "c", "notumor", True, 0.0, 0.0, 0.0, 1.0),
    ("masoud", "c", "notumor", False, 0.95, 0.0, 0.0, 0.05),
    ("br35h", "d", "tumor", False, 0.0, 0.0, 0.1, 0.9),
)


def predictions():
    columns = ["dataset", "group", "label", "referred", *(f"p_{name}" for name in CLASSES)]
    return pd.DataFrame(ROWS, columns=columns).assign(split="test", in_training=False)


def found(rows=None, threshold=0.8, tells_kinds=True):
    return failure_figures(predictions() if rows is None else rows, threshold, RULE, tells_kinds=tells_kinds)


def test_wrong_answers_are_counted_where_the_class_is_known():
    failures = found()
    assert (failures.known, failures.wrong, failures.given, failures.sure) == (6, 4, 2, 2)
    assert [(one.label, one.answered, one.stated) for one in failures.examples] == [
        ("glioma", "meningioma", 0.95),
        ("notumor", "glioma", 0.95),
    ]


def test_confusions_come_with_their_confidence_referrals_and_datasets():
    first = found().confusions[0]
    assert (first.label, first.answered, first.images) == ("glioma", "meningioma", 2)
    assert (first.share, first.stated, first.referred) == pytest.approx((2 / 3, 0.725, 0.5))
    assert first.datasets == {"cheng": 1, "masoud": 1}
    assert found(predictions().head(1)).confusions == ()


def test_missed_tumors_and_false_alarms_are_counted_by_dataset():
    counts = {name: list(one.model_dump().values()) for name, one in found().datasets.items()}
    assert counts == {"br35h": [1, 1, 1, 0, 0, 0], "masoud": [2, 1, 0, 2, 1, 1], "cheng": [2, 0, 0, 0, 0, 0]}


def test_reasons_of_a_referral_are_told_apart_with_what_they_spare():
    referrals = found().referrals
    assert list(referrals) == ["tumor_uncertain", "kind_uncertain", "atypical"]
    assert [(one.images, one.wrong) for one in referrals.values()] == [(1, 1), (1, 1), (1, 0)]
    assert [one.share for one in referrals.values()] == pytest.approx([1 / 7] * 3)


def without_kinds():
    """Predictions of a model that knows tumors of no kind, its P(tumor) in three equal parts."""
    rows = predictions()
    kinds = [f"p_{name}" for name in CLASSES[:3]]
    rows[kinds] = np.repeat(rows[kinds].sum(axis=1).to_numpy()[:, None] / 3, 3, axis=1)
    return rows.assign(label=rows["label"].where(rows["label"] == "notumor", "tumor"))


def test_without_kinds_no_answer_is_right_or_wrong_and_none_referred_for_its_kind():
    rows = without_kinds()
    failures = found(rows, tells_kinds=False)
    assert (failures.known, failures.confusions) == (0, ())
    assert list(failures.referrals) == ["tumor_uncertain", "atypical"]
    assert sum(one.images for one in failures.referrals.values()) == rows["referred"].sum()
    assert all(one.wrong is None for one in failures.referrals.values())


@pytest.mark.parametrize(("wrong", "groups"), [((1, 1, 1, 0), 1), ((1, 0, 0, 1), 1), ((0, 0, 0, 0), 0)])
def test_groups_that_hold_half_of_the_errors(wrong, groups):
    rows = [("cheng", group, "glioma", False, 1 - one, one, 0, 0) for group, one in zip("aabc", wrong, strict=True)]
    columns = ["dataset", "group", "label", "referred", *(f"p_{name}" for name in CLASSES)]
    assert found(pd.DataFrame(rows, columns=columns).assign(split="test", in_training=False)).groups_of_half == groups
