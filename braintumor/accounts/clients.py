"""Programs that may use the API: each has a token, which may do what its scopes say until it is revoked."""

import hashlib
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, sessionmaker

from braintumor.accounts import names
from braintumor.accounts.errors import AccountError
from braintumor.accounts.tables import ClientRow
from braintumor.database import audit, unless_busy, writing
from braintumor.database.audit import utc_now

SCOPES = ("send", "read")
_TOKEN_BYTES = 32
_LONGEST_TOKEN = 100


@dataclass(frozen=True)
class Client:
    """One program and what it may do."""

    name: str
    scopes: frozenset[str]
    is_revoked: bool


class Clients:
    """The programs of one database; all methods raise ``BusyError``."""

    def __init__(self, engine: Engine, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._clock = clock
        self._readers = sessionmaker(engine)
        self._writers = sessionmaker(writing(engine))

    def add(self, name: str, scopes: Collection[str] = SCOPES) -> str:
        """Add a program and give its token, which cannot be shown again; raises ``AccountError``.

        Its name follows the rule of usernames, and is never another one's, be that revoked or not.
        """
        known = names.existing_username(name)
        if not known or not scopes or not set(scopes) <= set(SCOPES):
            raise AccountError(
                f"A program has a name of 3 to 32 letters and digits, and scopes of: {', '.join(SCOPES)}."
            )
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        with unless_busy(), self._writers.begin() as db:
            if db.scalar(select(ClientRow.id).where(ClientRow.name == known)) is not None:
                raise AccountError("There is a program of this name already; choose another name.")
            said = " ".join(scope for scope in SCOPES if scope in scopes)
            row = ClientRow(name=known, token_hash=_hash(token), scopes=said, created_at=self._clock(), revoked_at=None)
            db.add(row)
            db.flush()
            self._note(db, "client added", row.id)
        return token

    def revoke(self, name: str) -> None:
        """Let a program's token open nothing any more, from its next request on; raises ``AccountError``."""
        with unless_busy(), self._writers.begin() as db:
            row = db.scalar(select(ClientRow).where(ClientRow.name == name.strip().lower()))
            if row is None:
                raise AccountError("There is no program of this name; braintumor api list shows all.")
            if row.revoked_at is None:
                row.revoked_at = self._clock()
                self._note(db, "client revoked", row.id)

    def everybody(self) -> list[Client]:
        """List all programs by name."""
        with unless_busy(), self._readers() as db:
            return [_client(row) for row in db.scalars(select(ClientRow).order_by(ClientRow.name))]

    def holder(self, token: str) -> Client | None:
        """Give the program that a token is of; None where it is nobody's or revoked."""
        if len(token) > _LONGEST_TOKEN:
            return None
        with unless_busy(), self._readers() as db:
            # Found by its hash, so that how long it takes says nothing of the tokens there are.
            row = db.scalar(select(ClientRow).where(ClientRow.token_hash == _hash(token)))
        return None if row is None or row.revoked_at is not None else _client(row)

    def _note(self, db: Session, action: str, client_id: int) -> None:
        audit.append(db, self._clock(), action, None, details={"client": client_id})


def _client(row: ClientRow) -> Client:
    return Client(row.name, frozenset(row.scopes.split()), row.revoked_at is not None)


def _hash(token: str) -> str:
    # 256 random bits need no slow hash.
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
