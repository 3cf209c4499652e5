"""What the functions of accounts check again and again."""

import hashlib

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from braintumor.accounts import names
from braintumor.accounts.account import Account
from braintumor.accounts.errors import AccountError
from braintumor.accounts.tables import AccountRow, NameRow, Role, State

_LARGEST_ID = 2**31 - 1


def admitted(person: AccountRow) -> Account:
    """Give the account of who knows its password; raises ``AccountError`` where it may not log in."""
    account = Account.of(person)
    if account.state is State.PENDING:
        raise AccountError("Your account is waiting for approval; ask an administrator to approve it.")
    if account.state is State.DISABLED:
        raise AccountError("Your account is disabled; ask an administrator to enable it.")
    return account


def existing(db: Session, account_id: object) -> AccountRow:
    """Give a row to be changed, with a known role and state; ``account_id`` may be anything."""
    person = db.get(AccountRow, account_id) if is_id(account_id) else None
    if person is None:
        raise AccountError("This account no longer exists; reload the page.")
    account = Account.of(person)
    person.role, person.state = account.role, account.state
    return person


def claim_names(db: Session) -> None:
    """Enter the names of accounts that were made before look-alikes were refused; of several the oldest's counts."""
    missing = select(AccountRow).outerjoin(NameRow).where(NameRow.account_id.is_(None)).order_by(AccountRow.id)
    for person in db.scalars(missing):
        skeleton = names.skeleton(person.username)
        if db.get(NameRow, skeleton) is None:
            db.add(NameRow(skeleton=skeleton, account_id=person.id))


def require_administrator(db: Session, actor: Account) -> None:
    """Raise ``AccountError`` unless the actor is an active administrator now, whatever it was before."""
    person = db.get(AccountRow, actor.id)
    account = None if person is None else Account.of(person)
    if account is None or not account.is_active or not account.is_administrator:
        raise AccountError("Only an administrator may do this; ask one.")


def spare_last_administrator(db: Session, person: AccountRow) -> None:
    """Raise ``AccountError`` where without this account there is no active administrator."""
    others = select(func.count()).where(
        AccountRow.role == Role.ADMINISTRATOR, AccountRow.state == State.ACTIVE, AccountRow.id != person.id
    )
    if person.role is Role.ADMINISTRATOR and person.state is State.ACTIVE and not db.scalar(others):
        raise AccountError("This is the last administrator; make somebody else an administrator first.")


def known_role(value: object) -> Role:
    """Parse what a browser sent as a role."""
    role = next((role for role in Role if role == value), None)
    if role is None:
        raise AccountError("There is no such role; choose one of the list.", "role")
    return role


def token_hash(token: object) -> str:
    """Give what of the token of a session is stored."""
    return hashlib.sha256(as_bytes(token)).hexdigest()


def as_bytes(value: object) -> bytes:
    """Give text as bytes; what is no text is that of nobody."""
    return value.encode("utf-8", errors="surrogatepass") if isinstance(value, str) else b""


def is_id(value: object) -> bool:
    """Tell whether a value, which may be anything, can be the number of a row."""
    return type(value) is int and 0 < value <= _LARGEST_ID
