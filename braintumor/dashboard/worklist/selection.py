"""Which cases a list shows, and in which order; no widget here."""

import base64
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

import pandas as pd

from braintumor.dashboard.desk import Case
from braintumor.decision import Outcome as Decided
from braintumor.reports import guarded
from braintumor.scans import NotJudgedError, Weighting
from braintumor.taxonomy import FINDING_TITLES


class Status(StrEnum):
    """What a case has come to, the most urgent first."""

    REFERRED = "referred"
    TUMOR = "tumor"
    NO_TUMOR = "no tumor"
    UNREADABLE = "not readable"
    NOT_JUDGED = "not judged"
    WAITING = "waiting"


class Mark(StrEnum):
    """Whether a case was opened."""

    NEW = "new"
    READ = "read"


class Order(StrEnum):
    """By what a list is sorted."""

    URGENCY = "Most urgent first"
    P_TUMOR = "P(tumor)"
    NAME = "Name"
    ADDED = "As added"


_DECIDED = {
    Decided.REFER: Status.REFERRED,
    Decided.TUMOR: Status.TUMOR,
    Decided.NO_TUMOR: Status.NO_TUMOR,
}
_URGENCY = {status: number for number, status in enumerate(Status)}
_SORTED_BY: dict[Order, Callable[[Case], tuple[object, ...]]] = {
    Order.URGENCY: lambda case: (_URGENCY[status_of(case)], -p_tumor(case), case.name),
    Order.P_TUMOR: lambda case: (-p_tumor(case), case.name),
    Order.NAME: lambda case: (case.name.casefold(),),
    Order.ADDED: lambda case: (),
}


@dataclass(frozen=True)
class Filters:
    """What a list shows: cases with any of each kind; a kind of which nothing is chosen is not filtered by."""

    statuses: Collection[Status] = ()
    types: Collection[str] = ()
    sequences: Collection[Weighting] = ()
    mark: Mark | None = None

    def keep(self, case: Case) -> bool:
        """Whether a case is shown."""
        return all(
            (
                not self.statuses or status_of(case) in self.statuses,
                not self.types or (case.answer is not None and case.answer.prediction.finding in self.types),
                not self.sequences or (case.series is not None and case.series.weighting in self.sequences),
                self.mark is None or case.is_read == (self.mark is Mark.READ),
            )
        )


def status_of(case: Case) -> Status:
    """Say what a case has come to."""
    if case.answer:
        return _DECIDED[case.answer.prediction.decision]
    if isinstance(case.outcome, NotJudgedError):
        return Status.NOT_JUDGED
    return Status.UNREADABLE if case.error else Status.WAITING


def p_tumor(case: Case) -> float:
    """Give P(tumor) of a case from 0 to 1; -1 where there is none, as of what does not look like a brain MRI."""
    answer = case.answer
    return answer.prediction.p_tumor if answer and answer.prediction.finding else -1.0


def listed(cases: Sequence[Case], filters: Filters, order: Order) -> list[Case]:
    """Give the cases that a list shows, in its order; cases that are equal in it stay in the order of their files."""
    return sorted(filter(filters.keep, cases), key=_SORTED_BY[order])


def step(keys: Sequence[str], opened: str | None, by: int) -> str | None:
    """Give the key of the case before or after the one that is opened; the first where that is not listed."""
    if not keys:
        return None
    if opened not in keys:
        return keys[0]
    return keys[min(max(keys.index(opened) + by, 0), len(keys) - 1)]


def table(cases: Sequence[Case], opened: str | None) -> pd.DataFrame:
    """Put cases in a table, a row each: thumbnail, mark, answer, name, P(tumor) from 0 to 1."""
    return pd.DataFrame(
        {
            "picture": [_data_address(case.thumbnail) for case in cases],
            "mark": ["▶" if case.key == opened else "" if case.is_read or not case.outcome else "●" for case in cases],
            "answer": [answer_words(case) for case in cases],
            "scan": [guarded(case.name) for case in cases],
            "p_tumor": [None if (p := p_tumor(case)) < 0 else p for case in cases],
        }
    ).astype({"p_tumor": "float64"})


def answer_words(case: Case) -> str:
    """Say in a word or two what a case has come to."""
    status = status_of(case)
    if case.answer and case.answer.prediction.finding and status is Status.TUMOR:
        return FINDING_TITLES[case.answer.prediction.finding]
    return status.capitalize()


def _data_address(picture: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}" if picture else ""
