"""The account in whose name studies that arrive are filed, and the group that their patients belong to."""

from dataclasses import dataclass

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from braintumor.accounts import Account
from braintumor.accounts.tables import AccountRow
from braintumor.database import unless_busy
from braintumor.records import access
from braintumor.records.errors import PatientError
from braintumor.records.tables import MemberRow


@dataclass(frozen=True)
class Filer:
    """Who files, and for which group."""

    account: Account
    group_id: int


def filer(engine: Engine, username: str) -> Filer:
    """Give the active account of a name and the only group that it is in; raises ``PatientError`` for any other."""
    with unless_busy(), Session(engine) as db:
        row = db.scalar(select(AccountRow).where(AccountRow.username == username.strip().lower()))
        account = None if row is None else Account.of(row)
        if account is None or not account.is_active or not access.sees_names(account):
            raise PatientError("BRAINTUMOR_PACS_ACCOUNT names no active clinician; make an account for the node.")
        groups = db.scalars(select(MemberRow.group_id).where(MemberRow.account_id == account.id)).all()
    if len(groups) != 1:
        raise PatientError("The account of BRAINTUMOR_PACS_ACCOUNT must be in one group, whose patients it files.")
    return Filer(account, groups[0])
