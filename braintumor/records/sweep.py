"""Removal of what killed processes left among the files of patients."""

from functools import cache

from braintumor.database import open_database
from braintumor.records.patients import Patients
from braintumor.records.vault import open_vault
from braintumor.settings import Settings


def sweep_patients(settings: Settings) -> int:
    """Finish removals that were interrupted, remove files that no row names, and give how many files went.

    Those of the last hour stay, see ``Patients.remove_orphans``. Nothing is opened where no patient was ever filed.
    """
    if not (settings.data_dir / "vault" / "patients").is_dir():
        return 0
    patients = _patients(settings)
    return patients.finish_removals() + patients.remove_orphans()


@cache
def _patients(settings: Settings) -> Patients:
    return Patients(open_database(settings), open_vault(settings, "patients"))
