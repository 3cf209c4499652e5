"""The page Patients as bob sees it: a group with him in it, and a patient with a study."""

import pytest
from sqlalchemy.orm import Session

from braintumor import settings
from braintumor.database import Wanted, audit
from braintumor.records import Groups, Patients, Studies
from braintumor.records.vault import open_vault
from tests.accounts.app_users import log_in, start
from tests.records.clinic import BORN, NAME, NUMBER, SERIES


@pytest.fixture
def clinic(engine, ada, bob):
    """The repositories of the app's own data, a group with bob in it, and a patient with a study."""
    vault = open_vault(settings.load(), "patients")
    patients, studies, groups = Patients(engine, vault), Studies(engine, vault), Groups(engine)
    group = groups.create(ada, "Neurology")
    groups.set_members(ada, group, [bob.id])
    patient = patients.add(bob, group, NAME, BORN, NUMBER)
    studies.file(bob, patient.id, "1.2.3", None, [SERIES])
    return patients, studies, groups, group, patient


@pytest.fixture
def app(clinic):
    return opened()


def opened(username="bob"):
    app = log_in(start(), username)
    app.switch_page("pages/patients.py").run()
    assert not app.exception
    assert [title.value for title in app.title] == ["Patients"]
    return app


def choose(app, patient):
    app.selectbox(key="patients_chosen").set_value(patient.id).run()
    assert not app.exception
    return app


def text_of(app):
    return "\n".join(element.value for kind in (app.markdown, app.caption, app.text) for element in kind)


def actions(engine):
    with Session(engine) as db:
        return [line.action for line in audit.entries(db, Wanted(), 20)]


FIXTURES = clinic, app
