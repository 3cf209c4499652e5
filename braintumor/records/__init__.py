"""What the app keeps: accounts, their sessions on the server, and the audit trail."""

from braintumor.records.accounts import SELF_CHOSEN, Account, Accounts
from braintumor.records.database import connect
from braintumor.records.errors import AccountError
from braintumor.records.keys import signing_key
from braintumor.records.tables import Role, State

__all__ = [
    "SELF_CHOSEN",
    "Account",
    "AccountError",
    "Accounts",
    "Role",
    "State",
    "connect",
    "signing_key",
]
