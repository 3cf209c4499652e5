"""``braintumor account``: look after accounts on the server."""

import sys

from braintumor import settings
from braintumor.cli.app import OK, group

account = group("account", "Look after accounts on the server.")


@account.command
def recover(username: str, /) -> int:
    """Print a temporary password and end the lock after wrong ones."""
    from braintumor.records import Accounts, connect

    configured = settings.load()
    temporary = Accounts(connect(configured.database), configured).recover(username)
    sys.stdout.write(f"{temporary}\n")
    return OK
