"""One answer for a study: from the answers for its series."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from braintumor.decision.decision import Outcome
from braintumor.scans import Weighting
from braintumor.taxonomy import NO_TUMOR

PRIORITY = (Weighting.T1_CONTRAST, Weighting.FLAIR, Weighting.T2, Weighting.T1, Weighting.UNKNOWN)
"""Which series answers for a study: RANO 2.0 (Wen et al., J Clin Oncol 2023) measures enhancing tumor on T1 after
contrast agent and tumor that does not enhance on T2 and FLAIR; T1 before contrast shows least."""


class Agreement(StrEnum):
    """How the series of a study stand to the one that answers for it."""

    ALONE = "alone"
    AGREE = "agree"
    UNSURE = "unsure"
    CONTRADICT = "contradict"


@dataclass(frozen=True)
class SeriesAnswer:
    """What of the answer for one series the study's is made of; ``finding`` is None where it was not judged."""

    weighting: Weighting
    decision: Outcome
    finding: str | None
    p_tumor: float


@dataclass(frozen=True)
class StudyAnswer:
    """The answer for a study: that of series ``lead``, or a referral where series contradict it.

    ``agreeing`` and ``contradicting`` are the other series, by number, that answer alike or otherwise. ``unread``
    counts the series that could not be read: the answer is given without them, and is to be shown so.
    """

    decision: Outcome
    finding: str | None
    lead: int
    agreement: Agreement
    agreeing: tuple[int, ...] = ()
    contradicting: tuple[int, ...] = ()
    unread: int = 0


def answer_study(series: Sequence[SeriesAnswer], unread: int = 0) -> StudyAnswer | None:
    """Answer for a study from its judged series, in any order; None where none could be judged.

    ``unread`` is how many others could not be read.

    The series that comes first in ``PRIORITY`` answers, of several such the one with the highest P(tumor). It is not
    believed when it sees no tumor and another series does: then the study is referred. What a series with a tumor is
    contradicted by is said and changes nothing, since a tumor need not show in every sequence.
    """
    judged = [number for number, item in enumerate(series) if item.finding is not None]
    if not judged:
        return None
    lead = min(judged, key=lambda number: (PRIORITY.index(series[number].weighting), -series[number].p_tumor))
    first = series[lead]
    others = [number for number in judged if number != lead]
    said = _sees_tumor(first)
    agreeing = tuple(number for number in others if said is not None and _sees_tumor(series[number]) is said)
    contradicting = tuple(number for number in others if said is not None and _sees_tumor(series[number]) is (not said))
    if not others:
        agreement = Agreement.ALONE
    elif contradicting:
        agreement = Agreement.CONTRADICT
    else:
        agreement = Agreement.AGREE if agreeing else Agreement.UNSURE
    is_doubted = first.decision is Outcome.NO_TUMOR and bool(contradicting)
    return StudyAnswer(
        Outcome.REFER if is_doubted else first.decision,
        first.finding,
        lead,
        agreement,
        agreeing,
        contradicting,
        unread,
    )


def _sees_tumor(item: SeriesAnswer) -> bool | None:
    """Tell whether a series is answered with a tumor; None where it is referred."""
    return None if item.decision is Outcome.REFER else item.finding != NO_TUMOR
