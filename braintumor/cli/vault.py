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


@vault.command
def sweep() -> int:
    """Remove files that no record names, as a killed process leaves them; those of the last hour stay."""
    from braintumor.database import open_database
    from braintumor.records import DeskStore, Patients
    from braintumor.records.vault import open_vault

    configured = settings.load()
    engine = open_database(configured)
    patients = Patients(engine, open_vault(configured, "patients"))
    desks = DeskStore(engine, open_vault(configured, "desk"), configured.desk_days)
    count = patients.finish_removals() + patients.remove_orphans() + desks.sweep()
    sys.stdout.write(f"{count} files removed that no record names.\n")
    return OK
