"""The audit trail: who did what to whom, without names of patients and without passwords."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from braintumor.records.database import writing
from braintumor.records.tables import AuditRow

_ACTION = re.compile(r"[a-z][a-z ]{2,39}")
_HASH = re.compile(r"[0-9a-f]{64}")


def utc_now() -> datetime:
    """Give the time, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class AuditEntry:
    """One line of the trail.

    ``actor_id`` is None for somebody without an account; ``subject_account_id`` or ``subject_hash`` (SHA-256 of
    a scan) says what it was done to.
    """

    time: datetime
    actor_id: int | None
    action: str
    subject_account_id: int | None
    subject_hash: str | None


class AuditTrail:
    """Appends to the trail and reads it; nothing changes or removes a line."""

    def __init__(self, engine: Engine, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._engine = engine
        self._clock = clock

    def record(
        self,
        action: str,
        *,
        actor_id: int | None = None,
        subject_account_id: int | None = None,
        subject_hash: str | None = None,
    ) -> None:
        """Append one line; raises ``ValueError`` for an action or hash that could carry anything else."""
        with Session(writing(self._engine)) as db, db.begin():
            db.add(row(self._clock(), action, actor_id, subject_account_id, subject_hash))

    def newest(self, limit: int) -> list[AuditEntry]:
        """Give the last ``limit`` lines, newest first."""
        with Session(self._engine) as db:
            rows = db.scalars(select(AuditRow).order_by(AuditRow.id.desc()).limit(limit))
            return [
                AuditEntry(line.time, line.actor_id, line.action, line.subject_account_id, line.subject_hash)
                for line in rows
            ]


def row(
    time: datetime,
    action: str,
    actor_id: int | None = None,
    subject_account_id: int | None = None,
    subject_hash: str | None = None,
) -> AuditRow:
    """Make a line to be added in a running transaction; raises ``ValueError`` like ``AuditTrail.record``."""
    if not _ACTION.fullmatch(action):
        raise ValueError(f"action is {action!r}; it must be 3 to 40 lower-case letters and spaces")
    if subject_hash is not None and not _HASH.fullmatch(subject_hash):
        raise ValueError("subject_hash must be the 64 hexadecimal digits of a SHA-256")
    return AuditRow(
        time=time,
        action=action,
        actor_id=actor_id,
        subject_account_id=subject_account_id,
        subject_hash=subject_hash,
    )
