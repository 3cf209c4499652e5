"""The tables of accounts, and what an account may be."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from braintumor.database.base import Base, OneOf


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
    role: Mapped[Role] = mapped_column(OneOf(Role))
    state: Mapped[State] = mapped_column(OneOf(State))
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


class ClientRow(Base):
    """One program that may use the API; of its token only a hash is kept. ``scopes`` are words with spaces between."""

    __tablename__ = "api_clients"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(32), unique=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[str] = mapped_column(String(40))
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
