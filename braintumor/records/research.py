"""What researchers learn from the verdicts of readers, without who a patient is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Engine, func, or_, select
from sqlalchemy.orm import Session, sessionmaker

from braintumor.accounts import Account
from braintumor.accounts.tables import AccountRow
from braintumor.database import audit, unless_busy, writing
from braintumor.database.audit import utc_now
from braintumor.records.errors import PatientError
from braintumor.records.tables import (
    FindingRow,
    MemberRow,
    PatientRow,
    SeriesRow,
    StudyRow,
    VerdictKind,
    VerdictRow,
)


@dataclass(frozen=True)
class Judged:
    """A finding whose type a reader has judged: what the model gave, None where it gave no answer, and the reader.

    ``patient`` is a number that tells patients apart and no more; ``diameter_mm`` is that of the model's outline.
    """

    patient: int
    bundle: str
    sequence: str
    diameter_mm: float | None
    model: str | None
    reader: str


class Research:
    """The verdicts in one database; raises and checks like ``Patients``."""

    def __init__(self, engine: Engine, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._clock = clock
        self._writers = sessionmaker(writing(engine))

    def judged(self, actor: Account) -> list[Judged]:
        """Give the findings in the actor's groups whose type a reader has judged, each by its latest such verdict."""
        mine = select(MemberRow.group_id).where(MemberRow.account_id == actor.id)
        query = (
            select(
                # Those who were merged are one patient; of a chain of merges the next one stands for all.
                func.coalesce(PatientRow.merged_into_id, PatientRow.id),
                FindingRow.bundle_name + " " + FindingRow.bundle_version,
                SeriesRow.sequence,
                FindingRow.diameter_mm,
                FindingRow.label,
                VerdictRow.finding_id,
                func.coalesce(VerdictRow.label, FindingRow.label),
            )
            .join(FindingRow, FindingRow.id == VerdictRow.finding_id)
            .join(SeriesRow, SeriesRow.id == FindingRow.series_id)
            .join(StudyRow, StudyRow.id == SeriesRow.study_id)
            .join(PatientRow, PatientRow.id == StudyRow.patient_id)
            .where(PatientRow.group_id.in_(mine), _judges_the_type())
            .order_by(VerdictRow.finding_id, VerdictRow.version)
        )
        with self._writing(actor) as db:
            latest = {row[5]: row for row in db.execute(query)}
            audit.append(
                db,
                self._clock(),
                "agreement viewed",
                actor.id,
                address=actor.address,
                details={"findings": len(latest)},
            )
        return [Judged(*row[:5], reader=row[6]) for row in latest.values()]

    @contextmanager
    def _writing(self, actor: Account) -> Iterator[Session]:
        with unless_busy(), self._writers.begin() as db:
            account = db.get(AccountRow, actor.id)
            if account is None or not Account.of(account).is_active:
                raise PatientError("This account is not active; ask an administrator.")
            yield db


def _judges_the_type() -> ColumnElement[bool]:
    """Choose verdicts that name a type or agree with one; who corrects an outline only says nothing of the type."""
    agrees = (VerdictRow.kind == VerdictKind.AGREE) & FindingRow.label.is_not(None)
    return or_(agrees, VerdictRow.label.is_not(None))
