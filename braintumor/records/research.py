"""What researchers learn from the verdicts of readers, without who a patient is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

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
from braintumor.records.vault import Vault


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


@dataclass(frozen=True)
class Corrected:
    """A finding whose type or outline a reader corrected, with the files of its scan and outlines as they are stored.

    ``patient`` is as in ``Judged``. ``label`` is what the reader said last of the type, else the model's, None where
    neither gave one. ``outline`` is the reader's own, ``found`` the model's; either may be None.
    """

    patient: int
    label: str | None
    modality: str
    sequence: str
    scan: bytes
    outline: bytes | None
    found: bytes | None


class Research:
    """The verdicts in one database; raises and checks like ``Patients``."""

    def __init__(self, engine: Engine, vault: Vault, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._vault = vault
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

    def corrected(self) -> Iterator[Corrected]:
        """Give the corrected findings of all groups one by one, for whoever runs the server; noted before the first."""
        query = (
            select(
                func.coalesce(PatientRow.merged_into_id, PatientRow.id).label("patient"),
                FindingRow.id,
                FindingRow.label,
                FindingRow.mask,
                SeriesRow.modality,
                SeriesRow.sequence,
                SeriesRow.content,
                VerdictRow.kind,
                VerdictRow.label.label("corrected"),
                VerdictRow.mask.label("outline"),
            )
            .join(FindingRow, FindingRow.id == VerdictRow.finding_id)
            .join(SeriesRow, SeriesRow.id == FindingRow.series_id)
            .join(StudyRow, StudyRow.id == SeriesRow.study_id)
            .join(PatientRow, PatientRow.id == StudyRow.patient_id)
            .where(VerdictRow.kind != VerdictKind.COMMENT)
            .order_by(VerdictRow.finding_id, VerdictRow.version)
        )
        with unless_busy(), self._writers.begin() as db:
            verdicts: dict[int, list[Any]] = {}
            for row in db.execute(query):
                verdicts.setdefault(row.id, []).append(row)
            # Who agreed in the end has taken back what was corrected before, except the outline.
            chosen = [
                rows
                for rows in verdicts.values()
                if rows[-1].kind == VerdictKind.CORRECT or any(r.outline for r in rows)
            ]
            audit.append(db, self._clock(), "corrected cases exported", details={"findings": len(chosen)})
        for rows in chosen:
            last = rows[-1]
            labels = [row.label if row.kind == VerdictKind.AGREE else row.corrected for row in rows]
            outline = next((row.outline for row in reversed(rows) if row.outline), None)
            yield Corrected(
                last.patient,
                next((label for label in reversed(labels) if label), last.label),
                last.modality,
                last.sequence,
                self._vault.read(last.content),
                outline and self._vault.read(outline),
                last.mask and self._vault.read(last.mask),
            )

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
