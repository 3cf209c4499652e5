import numpy as np
import pytest

from braintumor.evaluation import rates_at, risk_coverage


def test_rates_by_hand():
    found = rates_at([0.9, 0.5, 0.4, 0.6, 0.1, 0.2], [True, True, True, False, False, False], 0.5)
    assert list(found) == ["sensitivity", "specificity", "ppv", "npv"]
    assert list(found.values()) == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2 / 3])
    assert rates_at([0.9, 0.5, 0.4, 0.1], [True, True, True, False], 0.5)["npv"] == pytest.approx(1 / 2)
    assert np.isnan(rates_at([0.9], [True], 0.95)["ppv"])
    assert np.isnan(rates_at([0.9], [True], 0.95)["specificity"])


def test_risk_coverage_by_hand():
    found = risk_coverage([0.9, 0.5, 0.9, 0.7], [True, False, False, True])
    assert found["confidence"].tolist() == [0.9, 0.7, 0.5]
    assert found["coverage"].tolist() == [0.5, 0.75, 1.0]
    assert found["risk"].tolist() == pytest.approx([1 / 2, 1 / 3, 2 / 4])


def test_risk_coverage_of_nothing_is_empty():
    assert len(risk_coverage([], [])) == 0
