"""One account as the rest of the app sees it."""

from dataclasses import dataclass
from datetime import datetime

from braintumor.accounts.tables import AccountRow, Role, State


@dataclass(frozen=True)
class Account:
    """Everything about an account but its password; ``failed_login_attempts`` are those since the last login."""

    id: int
    username: str
    display_name: str
    email: str | None
    role: Role
    state: State
    must_change_password: bool
    failed_login_attempts: int
    created_at: datetime

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
