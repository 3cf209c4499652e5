"""Which stored outlines of a patient are compared: of a study one series a sequence, and those of a prior study."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date

from braintumor.records.studies import Finding, Series, Study


@dataclass(frozen=True)
class Followed:
    """A stored series, and that of its findings whose outline is followed."""

    series: Series
    finding: Finding


def outlined_series(study: Study, counts: Callable[[Finding], bool] = lambda finding: True) -> dict[str, Followed]:
    """Give the series of a study whose findings have an outline, by their sequences; only findings that ``counts``.

    Of several series of one sequence the one with most slices is followed, of several findings the latest.
    """
    found: dict[str, Followed] = {}
    for series in study.series:
        for finding in series.findings:
            has_outline = finding.has_mask or any(verdict.has_mask for verdict in finding.verdicts)
            is_largest = series.sequence not in found or series.slices >= found[series.sequence].series.slices
            if has_outline and is_largest and counts(finding):
                found[series.sequence] = Followed(series, finding)
    return found


def prior_series(
    history: Iterable[Study], day: date, sequence: str, counts: Callable[[Finding], bool]
) -> tuple[date, Followed] | None:
    """Give the latest day before ``day`` with an outline of a sequence, and its series; None where there is none.

    ``history`` is that of ``Studies.history``. A study without a day is before no other.
    """
    for study in history:
        if study.taken_on is not None and study.taken_on < day:
            followed = outlined_series(study, counts).get(sequence)
            if followed is not None:
                return study.taken_on, followed
    return None
