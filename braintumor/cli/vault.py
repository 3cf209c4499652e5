"""``braintumor vault``: look after the encrypted files on the server."""

import sys

from braintumor import settings
from braintumor.cli.app import OK, group

vault = group("vault", "Look after the encrypted files on the server.")


@vault.command
def rotate() -> int:
    """Give the vault a new key, wrap the key of every file by it, and forget the old one; resumes if interrupted."""
    from braintumor.records.vault import rotate as rotate_keys

    count = rotate_keys(settings.load())
    sys.stdout.write(f"{count} files now have their keys wrapped by the new key.\n")
    return OK
