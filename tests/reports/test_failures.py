import numpy as np
import pandas as pd
import pytest

from braintumor.reports import referral_reasons
from braintumor.reports.failures import (
    answers,
    confusions,
    groups_of_half,
    missed_and_false,
    outlines_by_class,
    outlines_by_size,
    sure_errors,
)
from braintumor.taxonomy import CLASSES

RULE = {"tumor_low": 0.4, "tumor_high": 0.8, "kind_confidence": 0.7, "distance_limit": 2.0}
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


def test_answers_are_the_likeliest_classes_and_a_kind_unknown_is_neither_right_nor_wrong():
    told = answers(predictions())
    assert told["answered"].tolist() == [
        *("glioma", "meningioma", "meningioma", "notumor", "notumor", "glioma", "notumor")
    ]
    assert told["wrong"].tolist()[:-1] == [0, 1, 1, 1, 0, 1]
    assert pd.isna(told["wrong"].iloc[-1])
    assert told["stated"].tolist() == [0.9, 0.95, 0.5, 0.4, 1.0, 0.95, 0.9]


def test_confusions_come_with_their_confidence_referrals_and_sources():
    first = confusions(answers(predictions())).iloc[0]
    assert (first["label"], first["answered"], first["images"]) == ("glioma", "meningioma", 2)
    assert first["share"] == pytest.approx(2 / 3)
    assert first["stated"] == pytest.approx(0.725)
    assert first["referred"] == 0.5
    assert first["sources"] == {"cheng": 1, "masoud": 1}
    assert confusions(answers(predictions().head(1))).empty


def test_sure_errors_are_those_given_and_not_referred():
    found = sure_errors(answers(predictions()), 0.9)
    assert found["label"].tolist() == ["glioma", "notumor"]


def test_missed_tumors_and_false_alarms_are_counted_by_source():
    table = missed_and_false(answers(predictions()), 0.8).set_index("dataset")
    assert table.loc["br35h"].tolist() == [1, 1, 1, 0, 0, 0]
    assert table.loc["masoud"].tolist() == [2, 1, 0, 2, 1, 1]
    assert table.loc["cheng"].tolist() == [2, 0, 0, 0, 0, 0]


def test_reasons_of_a_referral_are_told_apart_with_what_they_spare():
    table = referral_reasons({"operating_point": {"referral": RULE}}, predictions())
    assert table["images"].tolist() == [1, 1, 1]
    assert table["share"].tolist() == pytest.approx([1 / 7] * 3)
    assert table["wrong"].tolist() == [1, 1, 0]


def without_kinds():
    """Predictions of a model that knows tumors of no kind, its P(tumor) in three equal parts."""
    rows = predictions()
    kinds = [f"p_{name}" for name in CLASSES[:3]]
    rows[kinds] = np.repeat(rows[kinds].sum(axis=1).to_numpy()[:, None] / 3, 3, axis=1)
    return rows.assign(label=rows["label"].where(rows["label"] == "notumor", "tumor"))


def test_without_kinds_no_answer_is_right_or_wrong_and_none_referred_for_its_kind():
    rows = without_kinds()
    assert answers(rows)["wrong"].isna().all()
    assert confusions(answers(rows)).empty
    table = referral_reasons({"kinds": False, "operating_point": {"referral": RULE}}, rows)
    assert table.index.tolist() == ["Tumor or not is unsure", "Unlike the training scans, nothing else"]
    assert table["images"].sum() == rows["referred"].sum()
    assert table["wrong"].isna().all()


@pytest.mark.parametrize("card", [{}, {"operating_point": None}, {"operating_point": {"referral": {"tumor_low": 2}}}])
def test_a_card_without_its_rule_has_no_reasons(card):
    assert referral_reasons(card, predictions()) is None


@pytest.mark.parametrize(("wrong", "groups"), [([1, 1, 1, 0], 1), ([1, 0, 0, 1], 1), ([0, 0, 0, 0], 0)])
def test_groups_that_hold_half_of_the_errors(wrong, groups):
    assert groups_of_half(pd.DataFrame({"wrong": wrong, "group": ["a", "a", "b", "c"]})) == groups


def outlined():
    size = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08]
    return pd.DataFrame(
        {
            "split": "test",
            "dataset": "cheng",
            "group": list("aabbccdd"),
            "label": ["glioma", "pituitary"] * 4,
            "dice": [0.0, 0.5] + [0.8] * 6,
            "iou": [0.0, 0.3] + [0.7] * 6,
            "hausdorff95_percent": 2.0,
            "lesions": 1,
            "lesions_found": [0] + [1] * 7,
            "lesions_false": [1, 0, 2, 0, 0, 0, 0, 0],
            "tumor_share": size,
            "found_share": [0.0, *size[1:]],
        }
    )


def test_outlines_are_parted_by_size_and_by_class():
    table = outlines_by_size(outlined().sample(frac=1, random_state=0))
    assert table["smallest"].tolist() == [0.01, 0.03, 0.05, 0.07]
    assert table["images"].tolist() == [2] * 4
    assert table["missed"].tolist() == table["nothing"].tolist() == [0.5, 0, 0, 0]
    assert table["dice_median"].tolist() == [0.25, 0.8, 0.8, 0.8]
    shares = {label: share for _, label, _, share in outlines_by_class(outlined())}
    assert shares == {"glioma": 0.5, "pituitary": 0.0}
