"""Streamlit-Authenticator over our own accounts: where it finds an account, and what its signed cookie carries."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import jwt
import streamlit as st
from streamlit_authenticator.models import AuthenticationModel, CookieModel

from braintumor.accounts import Account, Accounts
from braintumor.database import RefusedError

TOKEN = "_session_token"  # noqa: S105 - the name of a slot
"""Slot of the session state that holds the token of the session on the server."""

_EXPIRY = "_cookie_expiry"


class StoredCredentials(AuthenticationModel):  # type: ignore[misc] # the library has no types
    """Loads the one account that is asked for from the database instead of holding all of them."""

    def __init__(self, accounts: Accounts) -> None:
        super().__init__({"usernames": {}}, auto_hash=False)
        self.accounts = accounts
        self.account: Account | None = None
        self.refusal = ""

    def check_credentials(self, username: str, password: str) -> bool:
        try:
            self.admit(self.accounts.authenticate(username, password, st.context.ip_address))
        except RefusedError as error:
            self.refusal = str(error)
            return False
        return True

    def admit(self, account: Account) -> None:
        """Put an account that has proved itself where the library looks for it."""
        self.account = account
        self.credentials["usernames"][account.username] = {
            "name": account.display_name,
            "email": account.email,
            "roles": [account.role.value],
        }

    def _record_failed_login_attempts(self, username: str, reset: bool = False) -> None:
        """Count nothing here: ``Accounts`` has done so already, where it holds across sessions."""


class SessionCookie(CookieModel):  # type: ignore[misc] # the library has no types
    """The library's signed cookie with the server's session token inside."""

    def __init__(self, plain: CookieModel) -> None:
        # A second CookieModel would put a second component with the same key on the page.
        self.__dict__.update(vars(plain))

    def set_cookie(self) -> None:
        # The same in every run, or the browser would load the component anew and set the cookie again.
        expires: datetime = st.session_state.setdefault(
            _EXPIRY, datetime.now(UTC) + timedelta(days=self.cookie_expiry_days)
        )
        self.exp_date = expires.timestamp()
        # The zone matters: the browser would read a bare time as its own.
        secure = True if (st.context.url or "").startswith("https:") else None
        self.cookie_manager.set(self.cookie_name, self._token_encode(), expires_at=expires, secure=secure)

    def delete_cookie(self) -> None:
        # The library's own call fails where the component has not reported its cookies yet.
        self.cookie_manager.cookies.setdefault(self.cookie_name, "")
        super().delete_cookie()

    def _token_decode(self) -> dict[str, Any] | Literal[False]:
        try:
            claims = jwt.decode(self.token, self.cookie_key, algorithms=["HS256"])
        except jwt.PyJWTError:
            return False
        return claims if {"username", "session", "exp_date"} <= claims.keys() else False

    def _token_encode(self) -> str:
        claims = {
            "username": st.session_state["username"],
            "session": st.session_state[TOKEN],
            "exp_date": self.exp_date,
        }
        return jwt.encode(claims, self.cookie_key, algorithm="HS256")
