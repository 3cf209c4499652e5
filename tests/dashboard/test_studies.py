from types import SimpleNamespace

import pytest

from braintumor.dashboard.studies import agreement_words, lack_words, series_table, study_sentence
from braintumor.decision import Outcome, SeriesAnswer, answer_study
from braintumor.scans import NotJudgedError, ScanError, Series, SeriesNote, Unjudged, Weighting

TUMOR, CLEAR, REFER = Outcome.TUMOR, Outcome.NO_TUMOR, Outcome.REFER


def _answers(*series):
    made = []
    for number, (weighting, decision) in enumerate(series, 1):
        facts = Series("1", f"1.{number}", number=number, weighting=weighting, slices=20)
        finding = "notumor" if decision is CLEAR else "glioma"
        made.append(
            SimpleNamespace(
                prediction=SimpleNamespace(series=facts, decision=decision, finding=finding, p_tumor=0.5), unit=None
            )
        )
    return made


@pytest.mark.parametrize(
    ("series", "said", "beside"),
    [
        ([(Weighting.T1_CONTRAST, TUMOR)], ["glioma", "series 1"], ["No other"]),
        ([(Weighting.FLAIR, CLEAR), (Weighting.T1, CLEAR)], ["rule out", "series 1"], ["series 2"]),
        ([(Weighting.T1, TUMOR), (Weighting.FLAIR, CLEAR)], ["contradict", "series 2"], ["series 1"]),
        ([(Weighting.T2, REFER), (Weighting.T1, REFER)], ["not sure", "series 1"], ["Referred", "series 2"]),
        ([(Weighting.T1_CONTRAST, REFER), (Weighting.FLAIR, TUMOR)], ["not sure"], ["sees a tumor on", "series 2"]),
    ],
)
def test_the_answer_for_a_study_names_the_series_that_gave_it_and_how_the_others_stand(series, said, beside):
    answered = _answers(*series)
    given = answer_study(
        [
            SeriesAnswer(one.prediction.series.weighting, one.prediction.decision, one.prediction.finding, 0.5)
            for one in answered
        ]
    )
    for words, wanted in ((study_sentence(given, answered), said), (agreement_words(given, answered), beside)):
        assert all(part in words for part in wanted), words


def test_what_is_not_judged_says_why_and_what_is_odd_is_noted():
    facts = Series(
        "1",
        "1.1",
        number=4,
        part=2,
        weighting=Weighting.DIFFUSION,
        slices=30,
        volumes=12,
        vendor="=cmd",
        notes=(SeriesNote.GAPS, SeriesNote.DUPLICATES),
        missing=3,
        repeated=5,
        unjudged=Unjudged.WEIGHTING,
    )
    (row,) = series_table([NotJudgedError(facts, "Study 1")]).to_dict("records")
    assert row["Series"] == "4.2"
    assert row["Slices"] == "12 × 30"
    assert row["Answer"].startswith("Not judged")
    assert row["P(tumor)"] == ""
    assert row["Scanner"] == "'=cmd"
    assert "3 slices missing" in row["Notes"]
    assert "5 repeated" in row["Notes"]


def test_a_series_that_cannot_be_read_has_a_line_and_the_answer_is_given_without_it():
    failed = ScanError("It is damaged.", "Send it again.")
    failed.series = Series("1", "1.5", number=5, unread=7, notes=(SeriesNote.UNREAD,))
    (row,) = series_table([failed]).to_dict("records")
    assert "It is damaged." in row["Answer"]
    assert "7" in row["Notes"]
    assert "series 5" in lack_words([failed])
    assert lack_words([]) == ""
