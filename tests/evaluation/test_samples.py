import numpy as np
import pandas as pd
import pytest

from braintumor.evaluation.samples import right_answers
from braintumor.taxonomy import CLASSES


def answered(*pairs):
    """Predictions from pairs of a label and the likeliest class."""
    chances = {f"p_{name}": [0.7 if likeliest == name else 0.1 for _, likeliest in pairs] for name in CLASSES}
    return pd.DataFrame({"label": [label for label, _ in pairs], **chances})


@pytest.mark.parametrize(
    ("pairs", "right"),
    [
        ([("glioma", "glioma"), ("glioma", "pituitary"), ("notumor", "notumor")], [1, 0, 1]),
        ([("glioma", "glioma"), ("tumor", "glioma"), ("notumor", "glioma")], [1, np.nan, 0]),
        ([("notumor", "notumor"), ("notumor", "meningioma")], [1, 0]),
        # Where no kind is known, tumor-free rows alone would make an accuracy of four classes.
        ([("tumor", "glioma"), ("notumor", "notumor")], [np.nan, np.nan]),
        ([], []),
    ],
)
def test_answers_are_right_wrong_or_of_a_class_unknown(pairs, right):
    np.testing.assert_array_equal(right_answers(answered(*pairs)), right)
