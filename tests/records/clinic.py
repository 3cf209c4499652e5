"""A made clinic: two groups, a clinician in each, a researcher, an administrator, and patients who do not exist."""

from dataclasses import dataclass
from datetime import date

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from braintumor.accounts import Account, Accounts, Role, State
from braintumor.accounts.tables import AccountRow
from braintumor.database import connect, writing
from braintumor.database.audit import utc_now
from braintumor.records import Groups, NewFinding, NewSeries, Patients, Studies
from braintumor.records.vault import Vault, open_vault
from braintumor.settings import Settings
from tests.database.servers import SITE_KEY

NAME, BORN, NUMBER = "Zoë Müller-Weiß", date(1961, 4, 5), "MRN-00417"
ROLES = {"ada": Role.ADMINISTRATOR, "bob": Role.CLINICIAN, "eve": Role.CLINICIAN, "rosa": Role.RESEARCHER}
SCAN = b"a scan" * 500
FINDING = NewFinding(
    bundle_name="efficient_unet",
    bundle_version="5.2.1",
    bundle_sha256="ab" * 32,
    label="glioma",
    probability=0.91,
    tumor_probability=0.98,
    volume_mm3=1200.0,
    diameter_mm=17.5,
    mask=b"a mask" * 50,
)
SERIES = NewSeries("MR", "t1ce", 24, SCAN, (FINDING,))


@dataclass
class Clinic:
    engine: Engine
    vault: Vault
    patients: Patients
    studies: Studies
    groups: Groups
    accounts: Accounts
    people: dict[str, Account]
    neurology: int
    pediatrics: int

    def patient(self, by="bob", group=None, name=NAME):
        return self.patients.add(self.people[by], group or self.neurology, name, BORN, NUMBER)

    def filed(self, patient, by="bob", identifier="1.2.3", taken_on=date(2026, 1, 2), series=(SERIES,)):
        return self.studies.file(self.people[by], patient.id, identifier, taken_on, series)


def open_clinic(url, folder):
    """Open the clinic's database and vault, as a process of the app does."""
    engine = connect(url, SITE_KEY)
    vault = open_vault(Settings(data_dir=folder), "patients")
    return engine, vault, Patients(engine, vault), Studies(engine, vault)


def entered(engine, name, role):
    """Enter an account that nobody logs in to; judging and hashing passwords takes longer than all the rest."""
    row = AccountRow(username=name, display_name=name.title(), password_hash="", role=role, state=State.ACTIVE)
    row.created_at = utc_now()
    with Session(writing(engine)) as db, db.begin():
        db.add(row)
        db.flush()
        return Account.of(row)


def made(url, folder):
    engine, vault, patients, studies = open_clinic(url, folder)
    accounts = Accounts(engine, Settings(registration="open"), rounds=4)
    people = {name: entered(engine, name, role) for name, role in ROLES.items()}
    groups = Groups(engine)
    neurology, pediatrics = (groups.create(people["ada"], name) for name in ("Neurology", "Pediatrics"))
    groups.set_members(people["ada"], neurology, [people["bob"].id, people["rosa"].id])
    groups.set_members(people["ada"], pediatrics, [people["eve"].id])
    return Clinic(engine, vault, patients, studies, groups, accounts, people, neurology, pediatrics)


@pytest.fixture
def clinic(database_url, tmp_path):
    clinic = made(database_url, tmp_path / "data")
    yield clinic
    clinic.engine.dispose()


def account(db, name):
    """Give an account by its username."""
    return Account.of(db.scalars(select(AccountRow).where(AccountRow.username == name)).one())
