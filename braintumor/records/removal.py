"""How a patient leaves for good: rows at once, files of the vault right after, and none forgotten by a crash."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.orm import Session

from braintumor.database import audit
from braintumor.records.references import REFERENCES, named, portions
from braintumor.records.tables import (
    ArrivalRow,
    FindingRow,
    ObjectRow,
    PatientRow,
    RemovalRow,
    ReportRow,
    ResultRow,
    SeriesRow,
    StudyRow,
    UnitRow,
    VerdictRow,
)
from braintumor.records.vault import Vault

_PART = "patients"


def remove_family(db: Session, patient_ids: Sequence[int], root_id: int) -> dict[str, int]:
    """Delete patients with all that hangs on them, list their files for removal, and give how many there were of each.

    A patient and those merged into it leave together; the removal stands under ``root_id``.
    """
    studies = select(StudyRow.id).where(StudyRow.patient_id.in_(patient_ids))
    series = select(SeriesRow.id).where(SeriesRow.study_id.in_(studies))
    findings = select(FindingRow.id).where(FindingRow.series_id.in_(series))
    arrivals = select(ArrivalRow.id).where(ArrivalRow.patient_id.in_(patient_ids))
    units = select(UnitRow.id).where(UnitRow.arrival_id.in_(arrivals))
    theirs: tuple[tuple[str, type, ColumnElement[bool]], ...] = (
        ("studies", StudyRow, StudyRow.patient_id.in_(patient_ids)),
        ("series", SeriesRow, SeriesRow.study_id.in_(studies)),
        ("findings", FindingRow, FindingRow.series_id.in_(series)),
        ("verdicts", VerdictRow, VerdictRow.finding_id.in_(findings)),
        ("reports", ReportRow, ReportRow.study_id.in_(studies)),
        ("objects", ObjectRow, ObjectRow.arrival_id.in_(arrivals)),
        ("results", ResultRow, ResultRow.unit_id.in_(units)),
    )
    counts = {name: db.scalar(select(func.count()).select_from(table).where(mine)) or 0 for name, table, mine in theirs}
    files: set[str] = set()
    for (_, _, mine), column in zip(theirs[1:], REFERENCES[_PART], strict=True):
        files.update(name for name in db.scalars(select(column).where(mine)) if name is not None)
    list_files(db, files, root_id)
    db.execute(update(PatientRow).where(PatientRow.id.in_(patient_ids)).values(merged_into_id=None))
    db.execute(delete(PatientRow).where(PatientRow.id.in_(patient_ids)))
    return {"patients": len(patient_ids), **counts, "files": len(files)}


def list_files(db: Session, files: set[str], patient_id: int = 0) -> None:
    """List files to be removed; ``patient_id`` is 0 for those of studies that were filed under nobody."""
    for some in portions(sorted(files)):
        listed = set(db.scalars(select(RemovalRow.content).where(RemovalRow.content.in_(some))))
        new = [{"content": name, "patient_id": patient_id} for name in some if name not in listed]
        if new:
            db.execute(insert(RemovalRow), new)


def finish(db: Session, vault: Vault, now: datetime) -> int:
    """Remove listed files that nothing refers to, say so in the audit trail, and give their number.

    Deleting again what is gone does no harm, so a crash before the transaction ends leaves everything to the next call.
    """
    removed: dict[int, int] = {}
    for row in db.scalars(select(RemovalRow)).all():
        if not named(db, _PART, [row.content]):
            vault.delete(row.content)
            removed[row.patient_id] = removed.get(row.patient_id, 0) + 1
        db.delete(row)
    for patient_id, files in sorted(removed.items()):
        subject = ("patient", patient_id) if patient_id else None
        audit.append(db, now, "files removed", None, subject, details={"files": files})
    return sum(removed.values())
