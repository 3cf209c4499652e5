"""The one error that the account functions raise towards a page."""

from braintumor.errors import InputError


class AccountError(InputError):
    """An account request was refused; the message is one sentence that says what to do next.

    The message never repeats what the user typed, so a page may show it as it is.
    """
