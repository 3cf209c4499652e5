"""Who may search archives and fetch from them; both stand in the audit trail before anything comes of them."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from braintumor.accounts import Account
from braintumor.database import audit, unless_busy, writing
from braintumor.database.audit import utc_now
from braintumor.records import access
from braintumor.records.arrivals.filer import filer
from braintumor.records.confidential import Confidential
from braintumor.records.errors import PatientError
from braintumor.records.groups import member
from braintumor.records.tables import ArrivalRow, ArrivalState
from braintumor.records.vault import Vault

_NOT_IN_A_CODE = re.compile(r"[^A-Za-z0-9 ._:-]")


class ArchiveAccess:
    """The rights to archives in one database; all methods raise ``BusyError``.

    An archive shows patients of the whole house. So it is open to whoever sees names in the group that arriving
    patients are filed in, and to the server's own commands, whose actor is None.
    """

    def __init__(self, engine: Engine, vault: Vault, username: str, *, clock: Callable[[], datetime] = utc_now) -> None:
        """Let in the group of the account in whose name studies are filed."""
        self._engine = engine
        self._confidential = Confidential(vault)
        self._username = username
        self._clock = clock

    def is_open_to(self, actor: Account) -> bool:
        """Tell whether an account may search and fetch now."""
        try:
            group = filer(self._engine, self._username).group_id
        except PatientError:
            return False
        with unless_busy(), Session(self._engine) as db:
            account = member(db, actor, group)
            return account is not None and access.sees_names(account)

    def note_search(self, actor: Account | None, archive: str, found: int) -> None:
        """Note that somebody was told of so many studies; raises ``PatientError`` to whom they may not be shown."""
        self._note(actor, "archive searched", archive=archive, studies=found)

    def note_fetch(self, actor: Account | None, archive: str, study: str) -> None:
        """Note that somebody had a study sent; by its key, which the study's arrival has, too.

        Raises ``PatientError`` like ``note_search``.
        """
        self._note(actor, "study fetched", archive=archive, study=self._key(study))

    def states(self, studies: Sequence[str]) -> dict[str, ArrivalState]:
        """Give how far those of some studies are that have arrived, by their UIDs."""
        by_key = {self._key(study): study for study in studies}
        with unless_busy(), Session(self._engine) as db:
            rows = db.execute(select(ArrivalRow.key, ArrivalRow.state).where(ArrivalRow.key.in_(by_key)))
            return {by_key[key]: state for key, state in rows}

    def _key(self, study: str) -> str:
        return self._confidential.study_key(f"study {study}")

    def _note(self, actor: Account | None, action: str, archive: str, **details: int | str) -> None:
        if actor is not None and not self.is_open_to(actor):
            raise PatientError("Archives are open to the clinicians of the group that arriving studies are filed in.")
        with unless_busy(), Session(writing(self._engine)) as db, db.begin():
            audit.append(
                db,
                self._clock(),
                action,
                None if actor is None else actor.id,
                address=None if actor is None else actor.address,
                details={"archive": _NOT_IN_A_CODE.sub("_", archive), **details},
            )
