"""The database tables, and the column types they share."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import DateTime, Dialect, Enum, ForeignKey, String, TypeDecorator
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Role(StrEnum):
    """What an account may do; a guest has no account and so no role here."""

    ADMINISTRATOR = "administrator"
    CLINICIAN = "clinician"
    RESEARCHER = "researcher"


class State(StrEnum):
    """Whether an account may log in: only an active one may."""

    PENDING = "pending"
    ACTIVE = "active"
    DISABLED = "disabled"


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in time, kept as UTC without a zone and handed back with one, on every database."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a time zone cannot be stored; pass one in UTC")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


def _names(kind: type[StrEnum]) -> Any:
    return Enum(
        kind,
        native_enum=False,
        length=16,
        name=f"known_{kind.__name__.lower()}",
        # Without these two any text would be stored as it came, from here and from elsewhere.
        validate_strings=True,
        create_constraint=True,
        values_callable=lambda members: [member.value for member in members],
    )


class Base(DeclarativeBase):
    """Parent of every table; ``connect`` creates whatever hangs on it."""

    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it as a plain dict
        datetime: UtcDateTime(),
        Role: _names(Role),
        State: _names(State),
    }


class AccountRow(Base):
    """One person who may log in; ``username`` is stored in lower case, which makes it unique in any case."""

    __tablename__ = "accounts"
    # Without it SQLite gives a deleted account's number to the next one, and the audit trail would lie.
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(32), unique=True)
    display_name: Mapped[str] = mapped_column(String(80))
    email: Mapped[str | None] = mapped_column(String(254))
    password_hash: Mapped[str] = mapped_column(String(60))
    role: Mapped[Role]
    state: Mapped[State]
    failed_login_attempts: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    must_change_password: Mapped[bool] = mapped_column(default=False)


class SessionRow(Base):
    """One login; the token itself is only in the browser, here is its SHA-256."""

    __tablename__ = "sessions"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    revoked_at: Mapped[datetime | None]


class AuditRow(Base):
    """One thing that somebody did; the account numbers outlive their accounts, so they are no foreign keys."""

    __tablename__ = "audit"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    time: Mapped[datetime] = mapped_column(index=True)
    actor_id: Mapped[int | None]
    action: Mapped[str] = mapped_column(String(40))
    subject_account_id: Mapped[int | None]
