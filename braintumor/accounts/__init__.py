"""Who may use the app: accounts, their passwords and roles, and their sessions on the server."""

from braintumor.accounts.account import Account
from braintumor.accounts.accounts import SELF_CHOSEN, Accounts
from braintumor.accounts.cookie_key import signing_key
from braintumor.accounts.errors import AccountError, WaitError
from braintumor.accounts.tables import Role, State

__all__ = [
    "SELF_CHOSEN",
    "Account",
    "AccountError",
    "Accounts",
    "Role",
    "State",
    "WaitError",
    "signing_key",
]
