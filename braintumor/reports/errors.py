"""What goes wrong with a report that a user can do something about."""

from braintumor.errors import InputError


class ReportError(InputError):
    """A report that cannot be made; the message says why and what to do."""
