import pytest

from braintumor.decision import Agreement, Outcome, SeriesAnswer, answer_study
from braintumor.scans import Weighting

TUMOR, CLEAR, REFER = Outcome.TUMOR, Outcome.NO_TUMOR, Outcome.REFER
POST, FLAIR, T2, T1 = Weighting.T1_CONTRAST, Weighting.FLAIR, Weighting.T2, Weighting.T1


def _series(weighting, decision, finding="glioma", p_tumor=0.9):
    return SeriesAnswer(weighting, decision, "notumor" if decision is CLEAR else finding, p_tumor)


UNJUDGED = SeriesAnswer(POST, REFER, None, 0.5)


@pytest.mark.parametrize(
    ("series", "decision", "lead", "agreement", "agreeing", "contradicting"),
    [
        ([_series(T1, TUMOR)], TUMOR, 0, Agreement.ALONE, (), ()),
        ([_series(T2, CLEAR), _series(POST, TUMOR)], TUMOR, 1, Agreement.CONTRADICT, (), (0,)),
        ([_series(T1, TUMOR), _series(FLAIR, TUMOR), _series(T2, CLEAR)], TUMOR, 1, Agreement.CONTRADICT, (0,), (2,)),
        ([_series(POST, CLEAR), _series(FLAIR, TUMOR)], REFER, 0, Agreement.CONTRADICT, (), (1,)),
        ([_series(POST, CLEAR), _series(FLAIR, CLEAR)], CLEAR, 0, Agreement.AGREE, (1,), ()),
        ([_series(POST, CLEAR), _series(FLAIR, REFER)], CLEAR, 0, Agreement.UNSURE, (), ()),
        ([_series(POST, REFER), _series(FLAIR, TUMOR)], REFER, 0, Agreement.UNSURE, (), ()),
        ([UNJUDGED, _series(T1, CLEAR)], CLEAR, 1, Agreement.ALONE, (), ()),
        ([_series(POST, TUMOR, p_tumor=0.97), _series(POST, TUMOR, p_tumor=0.99)], TUMOR, 1, Agreement.AGREE, (0,), ()),
        ([_series(POST, CLEAR, p_tumor=0.1), _series(POST, TUMOR)], TUMOR, 1, Agreement.CONTRADICT, (), (0,)),
    ],
)
def test_a_study_is_answered_by_its_first_series_and_never_cleared_against_another(
    series, decision, lead, agreement, agreeing, contradicting
):
    answer = answer_study(series)
    assert answer.decision is decision
    assert answer.finding == series[lead].finding
    assert (answer.lead, answer.agreement, answer.agreeing, answer.contradicting) == (
        lead,
        agreement,
        agreeing,
        contradicting,
    )


@pytest.mark.parametrize("series", [[], [UNJUDGED], [UNJUDGED, UNJUDGED]])
def test_a_study_of_which_nothing_was_judged_has_no_answer(series):
    assert answer_study(series) is None


@pytest.mark.parametrize("unread", [0, 2])
def test_a_study_says_how_many_series_it_is_answered_without(unread):
    assert answer_study([_series(T1, CLEAR)], unread).unread == unread
