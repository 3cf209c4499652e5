"""What the app keeps: accounts, their sessions on the server, and the audit trail."""

from braintumor.records.account import Account
from braintumor.records.accounts import SELF_CHOSEN, Accounts
from braintumor.records.audit import AuditEntry
from braintumor.records.database import connect
from braintumor.records.desk_store import DeskEntry, DeskStore
from braintumor.records.errors import AccountError, BusyError, WaitError
from braintumor.records.keys import signing_key
from braintumor.records.tables import Role, State

__all__ = [
    "SELF_CHOSEN",
    "Account",
    "AccountError",
    "Accounts",
    "AuditEntry",
    "BusyError",
    "DeskEntry",
    "DeskStore",
    "Role",
    "State",
    "WaitError",
    "connect",
    "signing_key",
]
