import pandas as pd
import pytest

from braintumor.decision import ReferralRule
from braintumor.evaluation import HEIGHTS, hospital_figures, hospital_parts

RULE = ReferralRule(0.3, 0.9, distance_limit=1.0)


def _row(sequence, group, label, p_tumor, referred=False, split="hospital_test"):
    chances = {"p_glioma": p_tumor, "p_meningioma": 0.0, "p_pituitary": 0.0, "p_notumor": 1 - p_tumor}
    facts = {"split": split, "dataset": "lgg", "hospital": "FG", "sequence": sequence, "group": group, "label": label}
    # What is referred here is so for its distance.
    return {**facts, "in_training": False, "referred": referred, "distance": 2.0 if referred else 0.5, **chances}


ROWS = pd.DataFrame(
    [
        _row("post", "a", "glioma", 0.95),
        _row("post", "a", "notumor", 0.92),
        _row("post", "b", "notumor", 0.1),
        # Beyond the threshold, but referred for another reason: not called.
        _row("post", "b", "notumor", 0.95, referred=True),
        _row("flair", "a", "glioma", 0.1),
        _row("flair", "b", "glioma", 0.5, referred=True),
        _row("flair", "b", "notumor", 0.99, split="hospital_validation"),
    ]
)


@pytest.fixture(scope="module")
def found():
    return hospital_figures(ROWS[ROWS["split"] == "hospital_test"], 0.9, RULE)["FG"]


def test_patients_and_slices_are_counted_by_sequence(found):
    counts = {name: (one.patients, one.images, one.tumors) for name, one in found.items()}
    assert counts == {"": (2, 6, 3), "flair": (2, 2, 2), "post": (2, 4, 1)}


@pytest.mark.parametrize(
    ("sequence", "expected"),
    [
        ("", (4 / 9, 1 / 3, 1 / 3, 2 / 3, 1 / 3)),
        ("post", (5 / 6, 1 / 3, 0.0, 3 / 4, 1 / 4)),
        ("flair", (None, None, 1 / 2, 1 / 2, 1 / 2)),
    ],
)
def test_shares_by_hand(found, sequence, expected):
    one = found[sequence]
    shares = (one.roc_auc, one.called_tumor_free, one.cleared_tumors, one.answered, one.refused)
    assert [share.value for share in shares] == pytest.approx(list(expected))


def test_slices_are_told_by_height_and_tumors_by_size():
    placed = ROWS[ROWS["split"] == "hospital_test"].assign(
        height=[0.0, 0.2, 0.25, 1.0, 0.5, 0.75], lesion=[0.005, None, None, None, 0.01, 0.2]
    )
    found = hospital_parts(placed, 0.9, RULE)["FG"]
    counts = {name: (one.images, one.tumors) for name, one in found.items()}
    by_height = dict(zip(HEIGHTS, [(2, 1), (1, 0), (1, 1), (2, 1)], strict=True))
    assert counts == {**by_height, "under 1%": (4, 1), "1% to 3%": (4, 1), "3% and more": (4, 1)}
    assert found["under 1%"].cleared_tumors.value == 0
    assert found["1% to 3%"].cleared_tumors.value == 1
