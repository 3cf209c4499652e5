"""The audit trail: who did what to what, when and from where, without names of patients and without passwords.

Lines are only ever added. Each holds a seal, the HMAC-SHA-256 under the site's key of its own fields and the seal of
the line before, so that no line can be changed, left out or put in without that key unless ``verify`` tells. What
nothing in the database can tell is that the newest lines are missing: note the newest seal elsewhere for that.
"""

import hmac
import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Index, Select, String, func, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from braintumor.database.base import Base

FIRST_SEAL = "0" * 64
"""What stands before the first line."""

_ACTION = re.compile(r"[a-z][a-z ]{2,39}")
_DETAIL = re.compile(r"[A-Za-z0-9 ._:-]{0,64}")
_LINES_AT_A_TIME = 2000


class AuditRow(Base):
    """One thing that somebody did; the numbers outlive what they stand for, so they are no foreign keys."""

    __tablename__ = "audit"
    __table_args__ = (
        Index(None, "actor_id", "id"),
        Index(None, "subject_kind", "subject_id", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    time: Mapped[datetime] = mapped_column(index=True)
    actor_id: Mapped[int | None]
    action: Mapped[str] = mapped_column(String(40))
    subject_kind: Mapped[str | None] = mapped_column(String(16))
    subject_id: Mapped[int | None]
    address: Mapped[str | None] = mapped_column(String(45))
    details: Mapped[str] = mapped_column(String(1000))
    seal: Mapped[str] = mapped_column(String(64))


@dataclass(frozen=True)
class AuditEntry:
    """One line of the trail, 1 for the first; ``actor_id`` is None for somebody without an account.

    ``subject_kind`` and ``subject_id`` say to what it was done: an account, a patient, a study, a finding, the trail.
    """

    number: int
    time: datetime
    actor_id: int | None
    action: str
    subject_kind: str | None = None
    subject_id: int | None = None
    address: str | None = None
    details: Mapping[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """Which lines to give: those that fit whatever is set; ``since`` and ``before`` in UTC."""

    actor_id: int | None = None
    subject_kind: str | None = None
    subject_id: int | None = None
    since: datetime | None = None
    before: datetime | None = None


@dataclass(frozen=True)
class Verification:
    """What a check of the whole trail gave: its length, the newest seal, and the first line that does not fit."""

    lines: int
    newest_seal: str
    broken_at: int | None

    @property
    def is_whole(self) -> bool:
        return self.broken_at is None


def utc_now() -> datetime:
    """Give the time, in UTC."""
    return datetime.now(UTC)


def append(
    db: Session,
    time: datetime,
    action: str,
    actor_id: int | None = None,
    subject: tuple[str, int] | None = None,
    *,
    address: object = None,
    details: Mapping[str, int | str] | None = None,
) -> None:
    """Add a line in a running transaction, which must be one that ``writing`` gave, for only one may add at a time.

    Raises ``ValueError`` for an action, or a detail, that could hold a name.
    """
    bound = db.get_bind().get_execution_options()
    if not bound.get("writing"):
        raise ValueError("the audit trail is only written in a transaction of `writing(engine)`")
    if not _ACTION.fullmatch(action):
        raise ValueError(f"action is {action!r}; it must be 3 to 40 lower-case letters and spaces")
    for value in (details or {}).values():
        if not isinstance(value, int) and not _DETAIL.fullmatch(value):
            raise ValueError(f"a detail of {action!r} is neither a number nor a plain code of up to 64 signs")
    db.flush()
    newest = select(func.max(AuditRow.id)).scalar_subquery()
    last = db.execute(select(AuditRow.id, AuditRow.seal).where(AuditRow.id == newest)).first()
    number, before = last if last is not None else (0, FIRST_SEAL)
    kind, subject_id = subject or (None, None)
    values = {
        **{"id": number + 1, "time": time, "actor_id": actor_id, "action": action},
        **{"subject_kind": kind, "subject_id": subject_id},
        **{"address": _plain_address(address), "details": _canonical(details or {})},
    }
    db.execute(insert(AuditRow).values(**values, seal=seal(bound["site_key"], before, values)))


def entries(db: Session, wanted: Wanted, limit: int) -> list[AuditEntry]:
    """Give the last ``limit`` lines of those that are wanted, newest first."""
    # Of a time only, the order of times is that of an index; by numbers all lines would be read where few are wanted.
    is_of_time_only = wanted == Wanted(since=wanted.since, before=wanted.before) != Wanted()
    order = (AuditRow.time.desc(), AuditRow.id.desc()) if is_of_time_only else (AuditRow.id.desc(),)
    rows = db.scalars(_query(wanted).order_by(*order).limit(limit))
    return [
        AuditEntry(
            row.id,
            row.time,
            row.actor_id,
            row.action,
            row.subject_kind,
            row.subject_id,
            row.address,
            json.loads(row.details),
        )
        for row in rows
    ]


def verify(db: Session) -> Verification:
    """Check every seal and every number of the trail, from the first line to the newest."""
    key = db.get_bind().get_execution_options()["site_key"]
    columns = AuditRow.__table__.columns
    number, before = 0, FIRST_SEAL
    query = select(*columns).order_by(AuditRow.id).limit(_LINES_AT_A_TIME)
    while page := db.execute(query.where(AuditRow.id > number)).mappings().all():
        for row in page:
            fits = row["id"] == number + 1 and hmac.compare_digest(row["seal"], seal(key, before, dict(row)))
            if not fits:
                return Verification(number, before, row["id"])
            number, before = row["id"], row["seal"]
    return Verification(number, before, None)


def holds(db: Session, seal: str) -> bool:
    """Tell whether a line has a seal."""
    return db.scalar(select(AuditRow.id).where(AuditRow.seal == seal).limit(1)) is not None


def seal(key: bytes, before: str, values: Mapping[str, object]) -> str:
    """Give the seal of a line from that of the line before it and its own columns, as lower-case hexadecimals."""
    time = values["time"]
    assert isinstance(time, datetime)
    fields = {name: value for name, value in values.items() if name not in ("seal", "time")}
    text = _canonical({**fields, "time": time.astimezone(UTC).isoformat(timespec="microseconds"), "before": before})
    return hmac.digest(key, text.encode("ascii"), "sha256").hex()


def _query(wanted: Wanted) -> Select[AuditRow]:
    query = select(AuditRow)
    conditions = (
        (AuditRow.actor_id, wanted.actor_id),
        (AuditRow.subject_kind, wanted.subject_kind),
        (AuditRow.subject_id, wanted.subject_id),
    )
    for column, value in conditions:
        if value is not None:
            query = query.where(column == value)
    if wanted.since is not None:
        query = query.where(AuditRow.time >= wanted.since)
    if wanted.before is not None:
        query = query.where(AuditRow.time < wanted.before)
    return query


def _canonical(values: Mapping[str, object]) -> str:
    """Write values as the one JSON text that they have: keys sorted, no spaces, ASCII only."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _plain_address(address: object) -> str | None:
    """Give an address of the network in its one form; None for the server's own, and for what is no address."""
    try:
        return str(ipaddress.ip_address(address)) if isinstance(address, str) else None
    except ValueError:
        return None
