"""``braintumor audit``: check that nobody has changed the audit trail."""

import sys
from typing import Annotated

from cyclopts import Parameter

from braintumor import settings
from braintumor.cli.app import OK, SOME_FAILED, group

audit = group("audit", "Check the audit trail.")


@audit.command
def verify(
    *, seal: Annotated[str, Parameter(help="A seal noted earlier, which the trail must still hold.")] = ""
) -> int:
    """Check that no line was changed, left out or put in, and print the newest seal to note elsewhere."""
    from braintumor.accounts import Accounts
    from braintumor.database import open_database

    configured = settings.load()
    accounts = Accounts(open_database(configured), configured)
    found = accounts.verify_audit_trail()
    if not found.is_whole:
        sys.stdout.write(f"broken at line {found.broken_at}\n")
        return SOME_FAILED
    if seal and not accounts.holds_seal(seal):
        sys.stdout.write("whole, but it does not hold the seal: lines after it were cut off, or all were replaced\n")
        return SOME_FAILED
    sys.stdout.write(f"whole, {found.lines} lines; newest seal {found.newest_seal}\n")
    return OK
