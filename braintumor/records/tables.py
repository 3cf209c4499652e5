"""The database tables, and the column types they share."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Enum, ForeignKey, String, TypeDecorator, UniqueConstraint
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


class _OneOf(TypeDecorator[StrEnum]):
    """A member of an enumeration, kept as its value; anything else is refused, and read as None where it stands.

    A database of an older version, or one that somebody has written to by hand, may hold other values.
    """

    impl = Enum
    cache_ok = True

    def __init__(self, kind: type[StrEnum]) -> None:
        super().__init__(
            kind,
            native_enum=False,
            length=16,
            name=f"known_{kind.__name__.lower()}",
            # Without these two any text would be stored as it came, from here and from elsewhere.
            validate_strings=True,
            create_constraint=True,
            values_callable=lambda members: [member.value for member in members],
        )

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        parse = self.impl_instance.result_processor(dialect, coltype)
        assert parse is not None

        def read(value: Any) -> Any:
            try:
                return parse(value)
            except LookupError:
                return None

        return read


class Base(DeclarativeBase):
    """Parent of every table; ``connect`` creates whatever hangs on it."""

    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it as a plain dict
        datetime: UtcDateTime(),
        Role: _OneOf(Role),
        State: _OneOf(State),
    }


class AccountRow(Base):
    """One person who may log in; ``username`` is stored in lower case, which makes it unique in any case.

    ``role`` and ``state`` are read as None where the database holds no known one; ``failed_login_attempts`` are those
    since the holder last logged in.
    """

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
    created_at: Mapped[datetime]
    must_change_password: Mapped[bool] = mapped_column(default=False)


class NameRow(Base):
    """What an account's username has in common with all that look like it, so that no second one can be stored."""

    __tablename__ = "name_skeletons"

    skeleton: Mapped[str] = mapped_column(String(32), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), unique=True)


class WrongPasswordRow(Base):
    """How often a wrong password was tried for a username, from one address or, with an empty hash, from anywhere."""

    __tablename__ = "wrong_passwords"

    name_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    address_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    failures: Mapped[int]
    last_at: Mapped[datetime] = mapped_column(index=True)


class KnownAddressRow(Base):
    """An address from which an account was logged in to."""

    __tablename__ = "known_addresses"

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    address_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    last_used_at: Mapped[datetime]


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


class DeskRow(Base):
    """One thing on an account's desk; ``content`` names it in the vault, None where there is nothing to keep.

    ``size`` is that of its content in bytes. What things there are, and their keys, the desk itself decides.
    """

    __tablename__ = "desk"
    __table_args__ = (UniqueConstraint("account_id", "kind", "key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(8))
    key: Mapped[str] = mapped_column(String(80))
    content: Mapped[str | None] = mapped_column(String(64), index=True)
    size: Mapped[int] = mapped_column(BigInteger)
    is_read: Mapped[bool] = mapped_column(default=False)
    added_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
