import numpy as np
import pytest

from braintumor.decision import ReferralRule


def test_reasons_by_hand():
    rule = ReferralRule(0.3, 0.6, kind_confidence=0.7, distance_limit=2.0)
    chances = [(0.29, 0.5), (0.3, 1.0), (0.6, 0.69), (0.6, 0.71), (0.9, 0.9), (0.9, 0.9)]
    rows = [(p * kind, p * (1 - kind), 0.0, 1 - p) for p, kind in chances]
    found = rule.reasons(rows, [0, 0, 0, 2.0, 2.1, np.nan])
    assert found["tumor_uncertain"].tolist() == [False, True, False, False, False, False]
    assert found["kind_uncertain"].tolist() == [False, False, True, False, False, False]
    assert found["atypical"].tolist() == [False, False, False, False, True, True]
    assert rule.refers(rows).tolist() == [False, True, True, False, False, False]


@pytest.mark.parametrize("values", [(0.6, 0.3), (-0.1, 0.3), (0.3, 1.1), (0.3, 0.6, 1.2), (0.3, 0.6, 0.5, -1.0)])
def test_impossible_rules_are_refused(values):
    with pytest.raises(ValueError, match="must"):
        ReferralRule(*values)
