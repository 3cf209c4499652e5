"""``braintumor vault``: look after the encrypted files on the server."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from braintumor import settings
from braintumor.cli.app import OK, SOME_FAILED, group

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
    from braintumor.records import DeskStore, sweep_patients
    from braintumor.records.vault import open_vault

    configured = settings.load()
    desks = DeskStore(open_database(configured), open_vault(configured, "desk"), configured.desk_days)
    count = sweep_patients(configured) + desks.sweep()
    sys.stdout.write(f"{count} files removed that no record names.\n")
    return OK


@vault.command
def backup(file: Annotated[Path, Parameter(help="New file that gets the backup.")], /) -> int:
    """Write the database and the encrypted files to one archive, without the keys; the app may run meanwhile."""
    from braintumor.records.backup import back_up

    made = back_up(settings.load(), file)
    sys.stdout.write(f"{made.files} files and the database, with {made.trail.lines} lines of the audit trail.\n")
    if not made.trail.is_whole:
        sys.stdout.write(f"The audit trail is broken at line {made.trail.broken_at}, so this cannot be restored.\n")
        return SOME_FAILED
    sys.stdout.write(f"Newest seal of the trail: {made.trail.newest_seal}\n")
    return OK


@vault.command
def restore(file: Annotated[Path, Parameter(help="Backup to restore.")], /) -> int:
    """Restore a backup into an empty place, where the keys must be; nothing is there until all of it is checked."""
    from braintumor.records.restore import restore as restore_backup

    restored = restore_backup(settings.load(), file)
    sys.stdout.write(
        f"{restored.files} files and the database, checked and restored; the audit trail is whole, "
        f"{restored.trail.lines} lines.\nNewest seal of the trail: {restored.trail.newest_seal}\n"
    )
    return OK
