"""The errors that the functions of patients raise towards a page."""

from braintumor.database import RefusedError
from braintumor.errors import InputError


class PatientError(RefusedError):
    """A request about patients was refused."""


def no_such_patient() -> PatientError:
    """Make the error for a patient who does not exist or whom the account may not see; it does not say which."""
    return PatientError("There is no such patient among those of your groups; search again.")


class BackupError(InputError):
    """A backup cannot be written or restored; nothing was changed, and the message says what to do."""
