"""What all errors have in common that a user can do something about."""


class InputError(ValueError):
    """Something given by a user cannot be used; the message is one sentence for them and says what to change."""
