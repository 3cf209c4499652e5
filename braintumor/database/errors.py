"""The errors that whatever is asked of the database raises towards a page."""

from braintumor.errors import InputError


class RefusedError(InputError):
    """A request was refused and changed nothing; the message is one sentence that says what to do next.

    The message never repeats what the user typed, so a page may show it as it is. ``field`` names the field of a form
    that it is about, as "username"; empty where it is about none.
    """

    def __init__(self, message: str = "", field: str = "") -> None:
        super().__init__(message)
        self.field = field


class UnusableDatabaseError(RefusedError):
    """The database is not one that this version of the app can work with, and nothing was changed."""


class BusyError(RefusedError):
    """The database is busy or cannot be reached, and nothing was changed."""

    def __init__(self) -> None:
        super().__init__("The records are busy or cannot be reached; try again in a moment.")
