"""The audit trail: who did what to which account, without names of patients and without passwords."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from braintumor.database.base import Base

_ACTION = re.compile(r"[a-z][a-z ]{2,39}")


def utc_now() -> datetime:
    """Give the time, in UTC."""
    return datetime.now(UTC)


class AuditRow(Base):
    """One thing that somebody did; the account numbers outlive their accounts, so they are no foreign keys."""

    __tablename__ = "audit"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    time: Mapped[datetime] = mapped_column(index=True)
    actor_id: Mapped[int | None]
    action: Mapped[str] = mapped_column(String(40))
    subject_account_id: Mapped[int | None]


@dataclass(frozen=True)
class AuditEntry:
    """One line of the trail; ``actor_id`` is None for somebody without an account."""

    time: datetime
    actor_id: int | None
    action: str
    subject_account_id: int | None


def row(time: datetime, action: str, actor_id: int | None = None, subject_account_id: int | None = None) -> AuditRow:
    """Make a line to be added in a running transaction; raises ``ValueError`` for an action that could hold a name."""
    if not _ACTION.fullmatch(action):
        raise ValueError(f"action is {action!r}; it must be 3 to 40 lower-case letters and spaces")
    return AuditRow(time=time, action=action, actor_id=actor_id, subject_account_id=subject_account_id)


def newest(db: Session, limit: int) -> list[AuditEntry]:
    """Give the last ``limit`` lines, newest first."""
    rows = db.scalars(select(AuditRow).order_by(AuditRow.id.desc()).limit(limit))
    return [AuditEntry(line.time, line.actor_id, line.action, line.subject_account_id) for line in rows]
