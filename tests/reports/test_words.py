import pytest

from braintumor.decision import Outcome, Reason, ReasonCode
from braintumor.reports import DECISION_WORDS, reason_words
from tests.reports.made_predictions import prediction


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (Reason(ReasonCode.TUMOR_UNCERTAIN, 0.4, 0.25, 0.75), ("40.0%", "25.0%", "75.0%")),
        (Reason(ReasonCode.KIND_UNCERTAIN, 0.5, high=0.625), ("glioma", "50.0%", "62.5%")),
        *((Reason(code), ()) for code in ReasonCode if not code.endswith("uncertain")),
    ],
)
def test_every_reason_has_a_sentence_with_its_numbers(reason, said):
    (sentence,) = reason_words((reason,), prediction().probabilities)
    assert sentence.endswith(".")
    assert all(number in sentence for number in said)


def test_every_decision_has_a_word():
    assert set(DECISION_WORDS) == set(Outcome)
