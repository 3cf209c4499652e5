"""The one error of the vault."""

from braintumor.errors import InputError


class VaultError(InputError):
    """A stored file cannot be read or written; the message says why and what to do, and names no content."""
