"""One account as the rest of the app sees it."""

from dataclasses import dataclass, field
from datetime import datetime

from braintumor.accounts.tables import AccountRow, Role, State


@dataclass(frozen=True)
class Account:
    """Everything about an account but its password; ``failed_login_attempts`` are those since the last login.

    ``address`` is where on the network whoever acts as this account is, None for the server itself; anything else than
    an address counts as none.
    """

    id: int
    username: str
    display_name: str
    email: str | None
    role: Role
    state: State
    must_change_password: bool
    failed_login_attempts: int
    created_at: datetime
    address: object = field(default=None, compare=False)

    @classmethod
    def of(cls, person: AccountRow) -> "Account":
        """Read a row; one with an unknown role or state is a disabled account until an administrator decides on it."""
        known = person.role is not None and person.state is not None
        return cls(
            id=person.id,
            username=person.username,
            display_name=person.display_name,
            email=person.email,
            role=person.role if known else Role.CLINICIAN,
            state=person.state if known else State.DISABLED,
            must_change_password=person.must_change_password,
            failed_login_attempts=person.failed_login_attempts,
            created_at=person.created_at,
        )

    @property
    def is_active(self) -> bool:
        return self.state is State.ACTIVE

    @property
    def is_administrator(self) -> bool:
        return self.role is Role.ADMINISTRATOR
