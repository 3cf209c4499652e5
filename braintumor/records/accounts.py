"""Accounts and their sessions: who may log in, and what an administrator may do about it."""

import hashlib
import hmac
import re
import secrets
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, delete, func, select, update
from sqlalchemy.orm import Session, sessionmaker

from braintumor.records import passwords
from braintumor.records.audit import AuditEntry, newest, row, utc_now
from braintumor.records.database import writing
from braintumor.records.errors import AccountError
from braintumor.records.tables import AccountRow, Role, SessionRow, State
from braintumor.settings import Settings

_USERNAME = re.compile(r"[a-z0-9][a-z0-9._-]{2,31}")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+")
_RESERVED = frozenset({"guest", "anonymous", "system", "nobody", "everybody"})
_LONGEST_NAME = 80
_LONGEST_EMAIL = 254
_MOST_PENDING = 500
SELF_CHOSEN = (Role.CLINICIAN, Role.RESEARCHER)
"""Roles in which anybody may register."""


@dataclass(frozen=True)
class Account:
    """One account as the rest of the app sees it: everything but the password hash."""

    id: int
    username: str
    display_name: str
    email: str | None
    role: Role
    state: State
    must_change_password: bool
    failed_login_attempts: int
    locked_until: datetime | None
    created_at: datetime

    @property
    def is_administrator(self) -> bool:
        return self.role is Role.ADMINISTRATOR


class Accounts:
    """The accounts in one database; every refusal is an ``AccountError`` that says what to do next.

    ``actor`` is the account on whose behalf a function acts; its role is read afresh from the database.
    ``rounds`` is the cost of a password hash and ``clock`` gives the time; both are for tests.
    """

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        *,
        rounds: int = 12,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._settings = settings
        self._rounds = rounds
        self._clock = clock
        self._reading = sessionmaker(engine)
        self._writing = sessionmaker(writing(engine))

    def exist(self) -> bool:
        """Tell whether there is any account; without one the first administrator may be created."""
        with self._reading() as db:
            return db.scalar(select(AccountRow.id).limit(1)) is not None

    def create_first_administrator(
        self, username: str, display_name: str, password: str, email: str = "", setup_code: str = ""
    ) -> Account:
        """Create the first account, an active administrator; refused as soon as any account exists.

        Where the settings name a ``setup_code``, it must be given too.
        """
        person = self._new_row(username, display_name, password, email, Role.ADMINISTRATOR, State.ACTIVE)
        with self._writing.begin() as db:
            if db.scalar(select(AccountRow.id).limit(1)) is not None:
                raise AccountError("There is an administrator already; log in, or register an account.")
            if self._fits_setup_code(setup_code):
                return self._add(db, person, "first administrator created")
            db.add(row(self._clock(), "setup refused"))
        # Outside of the transaction, or the line would go with it.
        raise AccountError("The setup code is wrong; ask whoever runs this server for it.")

    def register(
        self,
        username: str,
        display_name: str,
        password: str,
        email: str = "",
        role: Role | str = Role.CLINICIAN,
    ) -> Account:
        """Add an account, active at once or after approval as the settings say; never an administrator.

        ``role`` comes from a browser and may be anything; only those of ``SELF_CHOSEN`` are accepted.
        """
        role = _role(role)
        if role not in SELF_CHOSEN:
            raise AccountError("Nobody can register in this role; choose another one.")
        state = State.ACTIVE if self._settings.registration == "open" else State.PENDING
        person = self._new_row(username, display_name, password, email, role, state)
        with self._writing.begin() as db:
            if db.scalar(select(AccountRow.id).limit(1)) is None:
                raise AccountError("There is no administrator yet; create the first administrator instead.")
            if db.scalar(select(AccountRow.id).where(AccountRow.username == person.username)) is not None:
                raise _unavailable()
            pending = select(func.count()).where(AccountRow.state == State.PENDING)
            if (db.scalar(pending) or 0) >= _MOST_PENDING:
                raise AccountError("Too many registrations are waiting; ask an administrator to decide on them.")
            return self._add(db, person, "registered")

    def authenticate(self, username: str, password: str) -> Account:
        """Check a username and password and keep count of failures; the answer never tells which names exist."""
        name = _normalized_username(username)
        if not _USERNAME.fullmatch(name):
            name = ""  # nobody's; some databases refuse certain signs with an error of their own
        with self._reading() as db:
            known = db.scalar(select(AccountRow).where(AccountRow.username == name))
            locked = known is not None and self._is_locked(known)
            stored = known.password_hash if known is not None and not locked else None
        # Outside of any transaction, and also for unknown names, so that all take about as long.
        fits = passwords.matches(password, stored or passwords.hash_of_nothing(self._rounds)) and bool(stored)
        with self._writing.begin() as db:
            found = db.scalar(select(AccountRow).where(AccountRow.username == name))
            if found is not None and not self._is_locked(found):
                if fits and found.password_hash == stored:
                    return self._accept(db, found)
                self._count_failure(db, found)
        raise self._wrong_credentials()

    def start_session(self, account: Account) -> str:
        """Open a session on the server and give its token, which is stored nowhere else."""
        now = self._clock()
        token = secrets.token_urlsafe(32)
        with self._writing.begin() as db:
            db.execute(delete(SessionRow).where(SessionRow.expires_at <= now))
            person = db.get(AccountRow, account.id)
            if person is None or person.state is not State.ACTIVE:
                raise AccountError("This account is not active; ask an administrator.")
            db.add(
                SessionRow(
                    token_hash=_token_hash(token),
                    account_id=person.id,
                    created_at=now,
                    expires_at=now + timedelta(hours=self._settings.session_hours),
                )
            )
            db.add(row(now, "logged in", person.id, person.id))
        return token

    def verify_session(self, token: str) -> Account | None:
        """Give the account behind a token, or None once it is expired, revoked, or its account not active."""
        with self._reading() as db:
            person = db.scalar(
                select(AccountRow)
                .join(SessionRow, SessionRow.account_id == AccountRow.id)
                .where(
                    SessionRow.token_hash == _token_hash(token),
                    SessionRow.revoked_at.is_(None),
                    SessionRow.expires_at > self._clock(),
                    AccountRow.state == State.ACTIVE,
                )
            )
            return None if person is None else _account(person)

    def end_session(self, token: str) -> None:
        """Revoke one session for good; a token that is none is ignored."""
        with self._writing.begin() as db:
            found = db.get(SessionRow, _token_hash(token))
            if found is not None and found.revoked_at is None:
                found.revoked_at = self._clock()
                db.add(row(self._clock(), "logged out", found.account_id, found.account_id))

    def change_password(self, actor: Account, current: str, new: str, keep_token: str = "") -> None:
        """Replace the actor's own password and revoke the other sessions; ``keep_token`` names the one to keep."""
        try:
            self.authenticate(actor.username, current)
        except AccountError:
            raise AccountError("The current password is wrong, or the account is locked; try again.") from None
        passwords.check_rule(new, actor.username)
        if new == current:
            raise AccountError("The new password is the current one; choose a different one.")
        new_hash = passwords.hash_password(new, self._rounds)
        with self._writing.begin() as db:
            person = _existing(db, actor.id)
            person.password_hash = new_hash
            person.must_change_password = False
            self._revoke_all(db, person, keep=keep_token)
            db.add(row(self._clock(), "changed own password", actor.id, actor.id))

    def everybody(self, actor: Account) -> list[Account]:
        """List all accounts by username, for an administrator."""
        with self._reading() as db:
            _require_administrator(db, actor)
            return [_account(found) for found in db.scalars(select(AccountRow).order_by(AccountRow.username))]

    def audit_trail(self, actor: Account, limit: int = 500) -> list[AuditEntry]:
        """Give the newest lines of the audit trail, for an administrator."""
        with self._reading() as db:
            _require_administrator(db, actor)
            return newest(db, limit)

    def approve(self, actor: Account, account_id: int) -> Account:
        """Let a pending or disabled account log in."""
        with self._writing.begin() as db:
            _require_administrator(db, actor)
            person = _existing(db, account_id)
            if person.state is not State.ACTIVE:
                action = "account approved" if person.state is State.PENDING else "account enabled"
                person.state = State.ACTIVE
                db.add(row(self._clock(), action, actor.id, account_id))
            return _account(person)

    def disable(self, actor: Account, account_id: int) -> Account:
        """Bar an account and revoke its sessions at once; refused for the last active administrator."""
        with self._writing.begin() as db:
            _require_administrator(db, actor)
            person = _existing(db, account_id)
            _spare_last_administrator(db, person)
            person.state = State.DISABLED
            self._revoke_all(db, person)
            db.add(row(self._clock(), "account disabled", actor.id, account_id))
            return _account(person)

    def delete(self, actor: Account, account_id: int) -> None:
        """Remove an account with its sessions; refused for the last active administrator."""
        with self._writing.begin() as db:
            _require_administrator(db, actor)
            person = _existing(db, account_id)
            _spare_last_administrator(db, person)
            self._remove(db, actor, person, "account deleted")

    def refuse_waiting(self, actor: Account) -> int:
        """Remove every account that waits for approval and give their number."""
        with self._writing.begin() as db:
            _require_administrator(db, actor)
            waiting = list(db.scalars(select(AccountRow).where(AccountRow.state == State.PENDING)))
            for person in waiting:
                self._remove(db, actor, person, "registration refused")
            return len(waiting)

    def set_role(self, actor: Account, account_id: int, role: Role | str) -> Account:
        """Give an account another role; refused for an unknown role, or where that leaves no active administrator."""
        role = _role(role)
        with self._writing.begin() as db:
            _require_administrator(db, actor)
            person = _existing(db, account_id)
            if person.role is not role:
                _spare_last_administrator(db, person)
                person.role = role
                db.add(row(self._clock(), f"role set to {role.value}", actor.id, account_id))
            return _account(person)

    def reset_password(self, actor: Account, account_id: int) -> str:
        """Set and give a temporary password, lift a lock and revoke the account's sessions.

        The temporary password is stored only as a hash and must be changed at the next login.
        """
        temporary = passwords.temporary_password()
        temporary_hash = passwords.hash_password(temporary, self._rounds)
        with self._writing.begin() as db:
            _require_administrator(db, actor)
            self._reset(db, _existing(db, account_id), temporary_hash, actor.id)
        return temporary

    def recover(self, username: str) -> str:
        """Do what ``reset_password`` does, for whoever works on the server and can read its database anyway.

        It is the way back when the only administrator is locked out or has lost the password. Raises
        ``AccountError`` when there is no such account.
        """
        temporary = passwords.temporary_password()
        temporary_hash = passwords.hash_password(temporary, self._rounds)
        with self._writing.begin() as db:
            wanted = select(AccountRow).where(AccountRow.username == _normalized_username(username))
            person = db.scalar(wanted)
            if person is None:
                raise AccountError("There is no account of that name; check how the username is spelled.")
            self._reset(db, person, temporary_hash, None)
        return temporary

    def _reset(self, db: Session, person: AccountRow, password_hash: str, actor_id: int | None) -> None:
        person.password_hash = password_hash
        person.must_change_password = True
        person.failed_login_attempts = 0
        person.locked_until = None
        self._revoke_all(db, person)
        db.add(row(self._clock(), "password reset", actor_id, person.id))

    def _fits_setup_code(self, code: str) -> bool:
        wanted = self._settings.setup_code
        return not wanted or hmac.compare_digest(_bytes(code), _bytes(wanted))

    def _new_row(
        self, username: str, display_name: str, password: str, email: str, role: Role, state: State
    ) -> AccountRow:
        name = _new_username(username)
        passwords.check_rule(password, name)
        return AccountRow(
            username=name,
            display_name=_display_name(display_name),
            email=_email(email),
            password_hash=passwords.hash_password(password, self._rounds),
            role=role,
            state=state,
            created_at=self._clock(),
        )

    def _add(self, db: Session, person: AccountRow, action: str) -> Account:
        db.add(person)
        db.flush()
        db.add(row(self._clock(), action, person.id, person.id))
        return _account(person)

    def _is_locked(self, person: AccountRow) -> bool:
        return person.locked_until is not None and person.locked_until > self._clock()

    def _accept(self, db: Session, person: AccountRow) -> Account:
        if person.state is State.PENDING:
            raise AccountError("Your account is waiting for approval; ask an administrator to approve it.")
        if person.state is State.DISABLED:
            raise AccountError("Your account is disabled; ask an administrator to enable it.")
        person.failed_login_attempts = 0
        person.locked_until = None
        return _account(person)

    def _count_failure(self, db: Session, person: AccountRow) -> None:
        person.failed_login_attempts += 1
        db.add(row(self._clock(), "login failed", None, person.id))
        if person.failed_login_attempts >= self._settings.max_failed_logins:
            person.failed_login_attempts = 0
            person.locked_until = self._clock() + timedelta(minutes=self._settings.lockout_minutes)
            db.add(row(self._clock(), "account locked", None, person.id))

    def _wrong_credentials(self) -> AccountError:
        return AccountError(
            "The username or the password is wrong, or the account is locked; check both and try again. "
            f"After {self._settings.max_failed_logins} wrong passwords an account stays locked "
            f"for {self._settings.lockout_minutes} minutes."
        )

    def _remove(self, db: Session, actor: Account, person: AccountRow, action: str) -> None:
        db.execute(delete(SessionRow).where(SessionRow.account_id == person.id))
        db.delete(person)
        db.add(row(self._clock(), action, actor.id, person.id))

    def _revoke_all(self, db: Session, person: AccountRow, keep: str = "") -> None:
        db.execute(
            update(SessionRow)
            .where(
                SessionRow.account_id == person.id,
                SessionRow.revoked_at.is_(None),
                SessionRow.token_hash != _token_hash(keep),
            )
            .values(revoked_at=self._clock())
        )


def _account(person: AccountRow) -> Account:
    return Account(**{field.name: getattr(person, field.name) for field in fields(Account)})


def _existing(db: Session, account_id: int) -> AccountRow:
    person = db.get(AccountRow, account_id)
    if person is None:
        raise AccountError("This account no longer exists; reload the page.")
    return person


def _require_administrator(db: Session, actor: Account) -> None:
    person = db.get(AccountRow, actor.id)
    if person is None or person.state is not State.ACTIVE or person.role is not Role.ADMINISTRATOR:
        raise AccountError("Only an administrator may do this; ask one.")


def _spare_last_administrator(db: Session, person: AccountRow) -> None:
    others = select(func.count()).where(
        AccountRow.role == Role.ADMINISTRATOR, AccountRow.state == State.ACTIVE, AccountRow.id != person.id
    )
    if person.role is Role.ADMINISTRATOR and person.state is State.ACTIVE and not db.scalar(others):
        raise AccountError("This is the last administrator; make somebody else an administrator first.")


def _role(value: Any) -> Role:
    """Parse what a browser sent as a role."""
    try:
        return Role(value)
    except ValueError:
        raise AccountError("There is no such role; choose one of the list.") from None


def _token_hash(token: str) -> str:
    return hashlib.sha256(_bytes(token)).hexdigest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", errors="surrogatepass")


def _normalized_username(username: str) -> str:
    return username.strip().lower()


def _new_username(username: str) -> str:
    name = _normalized_username(username)
    if not _USERNAME.fullmatch(name):
        raise AccountError(
            "This username cannot be used; take 3 to 32 letters, digits, dots, hyphens or underscores, "
            "beginning with a letter or digit."
        )
    if name in _RESERVED:
        raise _unavailable()
    return name


def _unavailable() -> AccountError:
    return AccountError("This username is not available; choose another one.")


def _display_name(text: str) -> str:
    name = " ".join(text.split())
    # Control and direction characters could disguise one name as another.
    if not name or len(name) > _LONGEST_NAME or any(unicodedata.category(sign)[0] == "C" for sign in name):
        raise AccountError(f"Enter a name of 1 to {_LONGEST_NAME} printable characters.")
    return name


def _email(text: str) -> str | None:
    address = text.strip()
    if not address:
        return None
    if len(address) > _LONGEST_EMAIL or not address.isprintable() or not _EMAIL.fullmatch(address):
        raise AccountError("This e-mail address cannot be right; correct it or leave it empty.")
    return address
