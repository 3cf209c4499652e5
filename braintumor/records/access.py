"""Who may see and do what with patients; every function of patients goes through here."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from braintumor.accounts import Account, Role, rules
from braintumor.records.errors import PatientError, no_such_patient
from braintumor.records.groups import member
from braintumor.records.tables import PatientRow


@dataclass(frozen=True)
class Access:
    """A patient whom the actor may see, and whether by name; ``root`` is the patient that this one was merged into."""

    patient: PatientRow
    root: PatientRow
    by_name: bool


def to_patient(db: Session, actor: Account, patient_id: object) -> Access:
    """Give a patient of a group of the actor; ``patient_id`` may be anything. Raises ``PatientError`` for any other."""
    row = db.get(PatientRow, patient_id) if rules.is_id(patient_id) else None
    account = None if row is None else member(db, actor, row.group_id)
    if row is None or account is None:
        raise no_such_patient()
    return Access(row, root_of(db, row), sees_names(account))


def to_change(db: Session, actor: Account, patient_id: object) -> Access:
    """Give a patient like ``to_patient``, to an actor who may also change what is kept; else ``PatientError``."""
    found = to_patient(db, actor, patient_id)
    if not found.by_name:
        raise PatientError("A researcher changes nothing here; ask a clinician of the group.")
    return found


def sees_names(account: Account) -> bool:
    """Tell whether an account may see who a patient is: a researcher may not."""
    return account.role is not Role.RESEARCHER


def root_of(db: Session, row: PatientRow) -> PatientRow:
    """Give the patient whom a patient was merged into in the end; the same one where it was not."""
    while row.merged_into_id is not None:
        row = db.get_one(PatientRow, row.merged_into_id)
    return row


def family(db: Session, root_id: int) -> list[int]:
    """Give the numbers of a patient and of all who were merged into it."""
    tree = select(PatientRow.id).where(PatientRow.id == root_id).cte(recursive=True)
    tree = tree.union_all(select(PatientRow.id).join(tree, PatientRow.merged_into_id == tree.c.id))
    return sorted(db.scalars(select(tree.c.id)))
