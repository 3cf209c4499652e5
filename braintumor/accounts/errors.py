"""The errors that the account functions raise towards a page."""

import math

from braintumor.database import RefusedError


class AccountError(RefusedError):
    """A request about an account was refused."""


class WrongPasswordError(AccountError):
    """A username and a password do not belong together; it is not said which of them is wrong."""

    def __init__(self) -> None:
        super().__init__("The username or the password is wrong; check both and try again.")


class WaitError(AccountError):
    """Too many wrong passwords were tried; ``seconds`` is how long to wait before the next try."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        minutes = math.ceil(seconds / 60)
        wait = f"{seconds} seconds" if seconds <= 90 else f"{minutes} minutes"
        super().__init__(f"There were too many wrong passwords; try again in {wait}.")
