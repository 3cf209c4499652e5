from datetime import UTC, date, datetime
from itertools import count

import pytest

from braintumor.records.follow_up import outlined_series, prior_series
from braintumor.records.studies import Finding, Series, Study, Verdict
from braintumor.records.tables import VerdictKind

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CORRECTED = Verdict(1, VerdictKind.CORRECT, None, "", True, "Bob", NOW)
_numbers = count(1)


def finding(model="a", *, has_mask=True, verdicts=()):
    return Finding(next(_numbers), "unet", "1", model, "glioma", 0.9, 0.9, (), None, None, has_mask, NOW, verdicts)


def series(*findings, sequence="t1", slices=20):
    return Series(next(_numbers), "MR", sequence, slices, findings)


def study(day, *stored):
    return Study(next(_numbers), 1, day, NOW, stored)


FIRST, SECOND = finding(), finding()
STUDIES = {
    "the latest finding": ([series(FIRST, SECOND)], SECOND),
    "one with an outline": ([series(FIRST, finding(has_mask=False))], FIRST),
    "one that a reader outlined": ([series(reader := finding(has_mask=False, verdicts=(CORRECTED,)))], reader),
    "of most slices": ([series(finding(), slices=19), series(FIRST), series(finding(), slices=5)], FIRST),
    "of as many slices the latest": ([series(FIRST), series(SECOND)], SECOND),
    "of the same model": ([series(FIRST), series(finding("b"), slices=99)], FIRST),
    "none": ([series(finding(has_mask=False)), series(finding(), sequence="t2")], None),
}


@pytest.mark.parametrize("which", STUDIES)
def test_of_a_sequence_is_followed(which):
    stored, expected = STUDIES[which]
    followed = outlined_series(study(None, *stored), lambda one: one.bundle_sha256 == "a").get("t1")
    assert (followed.finding if followed else None) is expected


def test_the_prior_is_the_latest_earlier_day_with_such_an_outline():
    history = [study(None, series(FIRST)), *(study(date(2026, month, 1), series(FIRST)) for month in (6, 5, 4))]
    history.insert(1, study(date(2026, 5, 20), series(finding(), sequence="t2")))
    assert prior_series(history, date(2026, 6, 1), "t1", lambda one: True)[0] == date(2026, 5, 1)
    assert prior_series(history, date(2026, 4, 1), "t1", lambda one: True) is None
