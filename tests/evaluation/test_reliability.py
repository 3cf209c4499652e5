import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braintumor.evaluation.reliability import bin_numbers, reliability
from tests.evaluation.by_hand import calibration_error

UNIT = st.floats(0, 1)


def test_reliability_by_hand():
    table = reliability([0.1, 0.3, 0.4, 0.9, 1.0], [False, True, False, True, True], bins=4)
    assert table["count"].tolist() == [1, 2, 0, 2]
    assert table["confidence"].tolist() == pytest.approx([0.1, 0.35, np.nan, 0.95], nan_ok=True)
    assert table["accuracy"].tolist() == pytest.approx([0.0, 0.5, np.nan, 1.0], nan_ok=True)
    assert table["low"].tolist() == [0, 0.25, 0.5, 0.75]
    # (0.1*1 + 0.15*2 + 0.05*2) / 5
    assert calibration_error([0.1, 0.3, 0.4, 0.9, 1.0], [False, True, False, True, True], 4) == pytest.approx(0.1)


@settings(max_examples=60)
@given(st.lists(st.tuples(UNIT, st.booleans()), min_size=1, max_size=40), st.integers(1, 30))
def test_every_row_falls_into_a_bin(pairs, bins):
    confidence, correct = zip(*pairs, strict=True)
    assert reliability(confidence, correct, bins)["count"].sum() == len(pairs)


def test_outside_0_to_1_is_refused():
    with pytest.raises(ValueError, match="outside"):
        bin_numbers([1.2])
    with pytest.raises(ValueError, match="outside"):
        bin_numbers([np.nan])
    with pytest.raises(ValueError, match="bins"):
        bin_numbers([0.2], 0)
