"""Accounts and their sessions: who may log in, and what an administrator may do about it."""

import hmac
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Engine, delete, func, select, update
from sqlalchemy.orm import Session, sessionmaker

from braintumor.accounts import attempts, names, passwords, rules
from braintumor.accounts.account import Account
from braintumor.accounts.errors import AccountError, WaitError, WrongPasswordError
from braintumor.accounts.tables import AccountRow, NameRow, Role, SessionRow, State
from braintumor.database import AuditEntry, Verification, Wanted, audit, unless_busy, writing
from braintumor.database.audit import utc_now
from braintumor.settings import Settings

_MOST_PENDING = 500
_MOST_LINES = 10_000
SELF_CHOSEN = (Role.CLINICIAN, Role.RESEARCHER)
"""Roles in which anybody may register."""


class Accounts:
    """The accounts in one database; every refusal is a ``RefusedError`` that says what to do next.

    What a page got from a widget may be given as it is, whatever its type: it is checked here. A refusal, also by a
    database that is busy (``BusyError``), changes nothing but the counts of wrong passwords and the audit trail.
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
        self._readers = sessionmaker(engine)
        self._writers = sessionmaker(writing(engine))

    def exist(self) -> bool:
        """Tell whether there is any account; without one the first administrator may be created."""
        with self._reading() as db:
            return db.scalar(select(AccountRow.id).limit(1)) is not None

    def create_first_administrator(
        self, username: object, display_name: object, password: object, email: object = "", setup_code: object = ""
    ) -> Account:
        """Create the first account, an active administrator; refused as soon as any account exists.

        Where the settings name a ``setup_code``, it must be given too.
        """
        person = self._new_row(username, display_name, password, email, Role.ADMINISTRATOR, State.ACTIVE)
        with self._writing() as db:
            if db.scalar(select(AccountRow.id).limit(1)) is not None:
                raise AccountError("There is an administrator already; log in, or register an account.")
            if self._fits_setup_code(setup_code):
                return self._add(db, person, "first administrator created")
            self._note(db, "setup refused")
        # Outside of the transaction, or the line would go with it.
        raise AccountError("The setup code is wrong; ask whoever runs this server for it.", "code")

    def register(
        self,
        username: object,
        display_name: object,
        password: object,
        email: object = "",
        role: object = Role.CLINICIAN,
    ) -> Account:
        """Add an account, active at once or after approval as the settings say; its role is one of ``SELF_CHOSEN``."""
        role = rules.known_role(role)
        if role not in SELF_CHOSEN:
            raise AccountError("Nobody can register in this role; choose another one.", "role")
        state = State.ACTIVE if self._settings.registration == "open" else State.PENDING
        person = self._new_row(username, display_name, password, email, role, state)
        with self._writing() as db:
            if db.scalar(select(AccountRow.id).limit(1)) is None:
                raise AccountError("There is no administrator yet; create the first administrator instead.")
            pending = select(func.count()).where(AccountRow.state == State.PENDING)
            if (db.scalar(pending) or 0) >= _MOST_PENDING:
                raise AccountError("Too many registrations are waiting; ask an administrator to decide on them.")
            return self._add(db, person, "registered")

    def authenticate(self, username: object, password: object, address: object = None) -> Account:
        """Check a username and password that come from an address of the network, None for the server's own.

        Raises ``WaitError`` while too many wrong passwords were tried, see ``attempts``, and ``WrongPasswordError``
        where they do not fit; neither tells which names exist.
        """
        name = names.existing_username(username)
        if not name:
            raise WrongPasswordError
        stored = self._stored_hash(name, address)
        # Outside of any transaction, and also for unknown names, so that all take about as long.
        fits = passwords.matches(password, stored or passwords.hash_of_nothing(self._rounds)) and bool(stored)
        now = self._clock()
        with self._writing() as db:
            found = db.scalar(select(AccountRow).where(AccountRow.username == name))
            # Again, since other tries may have been counted meanwhile.
            counts = self._heard(db, name, found, address)
            if found is not None and fits and found.password_hash == stored:
                account = replace(rules.admitted(found), address=address)
                found.failed_login_attempts = 0
                attempts.remember(db, name, found.id, address, now)
                return account
            begins = attempts.count_failure(db, counts, now)
            if found is not None:
                found.failed_login_attempts += 1
                self._note(db, "login failed", None, found, address)
                if begins:
                    self._note(db, "logins slowed down", None, found, address)
        raise WrongPasswordError

    def start_session(self, account: Account) -> str:
        """Open a session on the server and give its token, which is stored nowhere else."""
        now = self._clock()
        token = secrets.token_urlsafe(32)
        with self._writing() as db:
            db.execute(delete(SessionRow).where(SessionRow.expires_at <= now))
            person = db.get(AccountRow, account.id)
            if person is None or not Account.of(person).is_active:
                raise AccountError("This account is not active; ask an administrator.")
            db.add(
                SessionRow(
                    token_hash=rules.token_hash(token),
                    account_id=person.id,
                    created_at=now,
                    expires_at=now + timedelta(hours=self._settings.session_hours),
                )
            )
            self._note(db, "logged in", account, person)
        return token

    def verify_session(self, token: object, address: object = None) -> Account | None:
        """Give the account behind a token, or None once it is expired, revoked, or its account not active.

        What the account then does, the audit trail says came from ``address``.
        """
        with self._reading() as db:
            person = db.scalar(
                select(AccountRow)
                .join(SessionRow, SessionRow.account_id == AccountRow.id)
                .where(
                    SessionRow.token_hash == rules.token_hash(token),
                    SessionRow.revoked_at.is_(None),
                    SessionRow.expires_at > self._clock(),
                )
            )
            account = None if person is None else replace(Account.of(person), address=address)
            return account if account is not None and account.is_active else None

    def end_session(self, token: object, address: object = None) -> None:
        """Revoke one session for good; a token that is none is ignored."""
        with self._writing() as db:
            found = db.get(SessionRow, rules.token_hash(token))
            if found is not None and found.revoked_at is None:
                found.revoked_at = self._clock()
                account = Account.of(rules.existing(db, found.account_id))
                self._note(db, "logged out", replace(account, address=address), account)

    def change_password(
        self, actor: Account, current: object, new: object, keep_token: object = "", address: object = None
    ) -> None:
        """Replace the actor's own password and revoke the other sessions; ``keep_token`` names the one to keep.

        Wrong passwords in ``current`` are counted as by ``authenticate``.
        """
        new_password = passwords.check_rule(new, actor.username)
        try:
            self.authenticate(actor.username, current, address)
        except WrongPasswordError:
            raise AccountError("The current password is wrong; try again.", "current") from None
        if new == current:
            raise AccountError("The new password is the current one; choose a different one.", "new")
        new_hash = passwords.hash_password(new_password, self._rounds)
        with self._writing() as db:
            person = rules.existing(db, actor.id)
            person.password_hash = new_hash
            person.must_change_password = False
            self._revoke_all(db, person, keep=keep_token)
            self._note(db, "changed own password", actor, person)

    def everybody(self, actor: Account) -> list[Account]:
        """List all accounts by username, for an administrator."""
        with self._reading() as db:
            rules.require_administrator(db, actor)
            return [Account.of(found) for found in db.scalars(select(AccountRow).order_by(AccountRow.username))]

    def audit_trail(self, actor: Account, limit: object = 500, wanted: Wanted | None = None) -> list[AuditEntry]:
        """Give the newest lines of the audit trail that are wanted, 1 to 10,000, for an administrator."""
        if type(limit) is not int or not 0 < limit <= _MOST_LINES:
            raise AccountError(f"The audit trail is shown in 1 to {_MOST_LINES} lines; choose a number of them.")
        with self._reading() as db:
            rules.require_administrator(db, actor)
            return audit.entries(db, wanted or Wanted(), limit)

    def export_audit_trail(self, actor: Account, limit: object = 500, wanted: Wanted | None = None) -> list[AuditEntry]:
        """Give what ``audit_trail`` gives, to be taken away, and add that this was done."""
        lines = self.audit_trail(actor, limit, wanted)
        with self._writing() as db:
            rules.require_administrator(db, actor)
            audit.append(
                db,
                self._clock(),
                "audit trail exported",
                actor.id,
                address=actor.address,
                details={"lines": len(lines)},
            )
        return lines

    def verify_audit_trail(self) -> Verification:
        """Check that no line of the audit trail was changed, left out or put in."""
        with self._reading() as db:
            return audit.verify(db)

    def holds_seal(self, seal: str) -> bool:
        """Tell whether a line has this seal, noted earlier; where it is gone, the newest lines were cut off."""
        with self._reading() as db:
            return audit.holds(db, seal)

    def approve(self, actor: Account, account_id: object) -> Account:
        """Let a pending or disabled account log in."""
        with self._writing() as db:
            rules.require_administrator(db, actor)
            person = rules.existing(db, account_id)
            if person.state is not State.ACTIVE:
                action = "account approved" if person.state is State.PENDING else "account enabled"
                person.state = State.ACTIVE
                self._note(db, action, actor, person)
            return Account.of(person)

    def disable(self, actor: Account, account_id: object) -> Account:
        """Bar an account and revoke its sessions at once; refused for the last active administrator."""
        with self._writing() as db:
            rules.require_administrator(db, actor)
            person = rules.existing(db, account_id)
            rules.spare_last_administrator(db, person)
            person.state = State.DISABLED
            self._revoke_all(db, person)
            self._note(db, "account disabled", actor, person)
            return Account.of(person)

    def delete(self, actor: Account, account_id: object) -> None:
        """Remove an account with its sessions; refused for the last active administrator."""
        with self._writing() as db:
            rules.require_administrator(db, actor)
            person = rules.existing(db, account_id)
            rules.spare_last_administrator(db, person)
            self._remove(db, actor, person, "account deleted")

    def refuse_waiting(self, actor: Account) -> int:
        """Remove every account that waits for approval and give their number."""
        with self._writing() as db:
            rules.require_administrator(db, actor)
            waiting = list(db.scalars(select(AccountRow).where(AccountRow.state == State.PENDING)))
            for person in waiting:
                self._remove(db, actor, person, "registration refused")
            return len(waiting)

    def set_role(self, actor: Account, account_id: object, role: object) -> Account:
        """Give an account another role; refused for an unknown role, or where that leaves no active administrator."""
        role = rules.known_role(role)
        with self._writing() as db:
            rules.require_administrator(db, actor)
            person = rules.existing(db, account_id)
            if person.role is not role:
                rules.spare_last_administrator(db, person)
                person.role = role
                self._note(db, f"role set to {role.value}", actor, person)
            return Account.of(person)

    def reset_password(self, actor: Account, account_id: object) -> str:
        """Set and give a temporary password, forget wrong ones and revoke the account's sessions.

        The temporary password is stored only as a hash and must be changed at the next login.
        """
        temporary = passwords.temporary_password()
        temporary_hash = passwords.hash_password(temporary, self._rounds)
        with self._writing() as db:
            rules.require_administrator(db, actor)
            self._reset(db, rules.existing(db, account_id), temporary_hash, actor)
        return temporary

    def recover(self, username: object) -> str:
        """Do what ``reset_password`` does, for whoever works on the server and can read its database anyway.

        It is the way back when the only administrator has lost the password, or must wait too long because somebody
        guesses at it. Raises ``AccountError`` when there is no such account.
        """
        temporary = passwords.temporary_password()
        temporary_hash = passwords.hash_password(temporary, self._rounds)
        with self._writing() as db:
            wanted = select(AccountRow).where(AccountRow.username == names.existing_username(username))
            person = db.scalar(wanted)
            if person is None:
                raise AccountError("There is no account of that name; check how the username is spelled.")
            self._reset(db, person, temporary_hash, None)
        return temporary

    def _reset(self, db: Session, person: AccountRow, password_hash: str, actor: Account | None) -> None:
        person.password_hash = password_hash
        person.must_change_password = True
        person.failed_login_attempts = 0
        attempts.forget(db, person.username)
        self._revoke_all(db, person)
        self._note(db, "password reset", actor, person)

    def _note(
        self,
        db: Session,
        action: str,
        actor: Account | AccountRow | None = None,
        person: Account | AccountRow | None = None,
        address: object = None,
    ) -> None:
        """Add to the audit trail what an actor, from where they are, did to a person."""
        audit.append(
            db,
            self._clock(),
            action,
            None if actor is None else actor.id,
            None if person is None else ("account", person.id),
            address=actor.address if isinstance(actor, Account) else address,
        )

    def _fits_setup_code(self, code: object) -> bool:
        wanted = self._settings.setup_code
        return not wanted or hmac.compare_digest(rules.as_bytes(code), rules.as_bytes(wanted))

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        with unless_busy(), self._readers() as db:
            yield db

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        with unless_busy(), self._writers.begin() as db:
            yield db

    def _stored_hash(self, name: str, address: object) -> str | None:
        with self._reading() as db:
            known = db.scalar(select(AccountRow).where(AccountRow.username == name))
            self._heard(db, name, known, address)
            return None if known is None else known.password_hash

    def _heard(self, db: Session, name: str, person: AccountRow | None, address: object) -> list[attempts.Count]:
        """Give what a try at a password is counted by; raises ``WaitError`` where it comes too early."""
        counts = attempts.counts(db, self._settings, name, person.id if person else 0, address)
        seconds = attempts.seconds_to_wait(db, self._settings, counts, self._clock())
        if seconds:
            raise WaitError(seconds)
        return counts

    def _new_row(
        self, username: object, display_name: object, password: object, email: object, role: Role, state: State
    ) -> AccountRow:
        name = names.new_username(username)
        return AccountRow(
            username=name,
            display_name=names.display_name(display_name),
            email=names.email(email),
            password_hash=passwords.hash_password(passwords.check_rule(password, name), self._rounds),
            role=role,
            state=state,
            created_at=self._clock(),
        )

    def _add(self, db: Session, person: AccountRow, action: str) -> Account:
        rules.claim_names(db)
        skeleton = names.skeleton(person.username)
        taken = db.scalar(select(AccountRow.id).where(AccountRow.username == person.username))
        if taken is not None or db.get(NameRow, skeleton) is not None:
            raise names.unavailable()
        db.add(person)
        db.flush()
        db.add(NameRow(skeleton=skeleton, account_id=person.id))
        self._note(db, action, person, person)
        return Account.of(person)

    def _remove(self, db: Session, actor: Account, person: AccountRow, action: str) -> None:
        db.execute(delete(SessionRow).where(SessionRow.account_id == person.id))
        db.delete(person)
        self._note(db, action, actor, person)

    def _revoke_all(self, db: Session, person: AccountRow, keep: object = "") -> None:
        db.execute(
            update(SessionRow)
            .where(
                SessionRow.account_id == person.id,
                SessionRow.revoked_at.is_(None),
                SessionRow.token_hash != rules.token_hash(keep),
            )
            .values(revoked_at=self._clock())
        )
