"""``braintumor account``: look after accounts on the server."""

import sys
from typing import Annotated

from cyclopts import Parameter

from braintumor import settings
from braintumor.cli.app import OK, group

account = group("account", "Look after accounts on the server.")


@account.command
def recover(username: Annotated[str, Parameter(help="Name of the account.")], /) -> int:
    """Print a temporary password and end the lock after wrong ones."""
    from braintumor.accounts import Accounts
    from braintumor.database import open_database

    configured = settings.load()
    temporary = Accounts(open_database(configured), configured).recover(username)
    sys.stdout.write(f"{temporary}\n")
    return OK
