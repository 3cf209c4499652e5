"""The one error of the node towards whoever runs it."""

from braintumor.errors import InputError


class PacsError(InputError):
    """The node cannot be run as it is set up; the message says why and what to do."""
