"""How a patient leaves for good: rows at once, files of the vault right after, and none forgotten by a crash."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.orm import Session

from braintumor.database import audit
from braintumor.records.references import REFERENCES, named
from braintumor.records.tables import (
    FindingRow,
    PatientRow,
    RemovalRow,
    ReportRow,
    SeriesRow,
    StudyRow,
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
    theirs: tuple[tuple[str, type, ColumnElement[bool]], ...] = (
        ("studies", StudyRow, StudyRow.patient_id.in_(patient_ids)),
        ("series", SeriesRow, SeriesRow.study_id.in_(studies)),
        ("findings", FindingRow, FindingRow.series_id.in_(series)),
        ("verdicts", VerdictRow, VerdictRow.finding_id.in_(findings)),
        ("reports", ReportRow, ReportRow.study_id.in_(studies)),
    )
    counts = {name: db.scalar(select(func.count()).select_from(table).where(mine)) or 0 for name, table, mine in theirs}
    files: set[str] = set()
    for (_, _, mine), column in zip(theirs[1:], REFERENCES[_PART], strict=True):
        files.update(name for name in db.scalars(select(column).where(mine)) if name is not None)
    listed = set(db.scalars(select(RemovalRow.content).where(RemovalRow.content.in_(files))))
    new = [{"content": name, "patient_id": root_id} for name in sorted(files - listed)]
    if new:
        db.execute(insert(RemovalRow), new)
    db.execute(update(PatientRow).where(PatientRow.id.in_(patient_ids)).values(merged_into_id=None))
    db.execute(delete(PatientRow).where(PatientRow.id.in_(patient_ids)))
    return {"patients": len(patient_ids), **counts, "files": len(files)}


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
        audit.append(db, now, "files removed", None, ("patient", patient_id), details={"files": files})
    return sum(removed.values())
