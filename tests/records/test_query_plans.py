"""That no page reads a whole table which grows with the patients: what SQLite plans for each query that is sent."""

import re

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from braintumor.database import Wanted, audit
from braintumor.database.audit import utc_now
from tests.records import clinic as made_clinic
from tests.records.clinic import BORN, NAME, NUMBER

GROWING = ("patients", "patient_tokens", "studies", "series", "findings", "verdicts", "reports", "audit", "desk")
WHOLE = re.compile(rf"\bSCAN ({'|'.join(GROWING)})\b")


@pytest.fixture
def clinic(tmp_path):
    clinic = made_clinic.made(f"sqlite:///{tmp_path / 'data' / 'app.sqlite3'}", tmp_path / "data")
    yield clinic
    clinic.engine.dispose()


@pytest.fixture
def plans(clinic):
    """The steps that SQLite plans for every query that is sent, and the queries."""
    steps = []

    def explain(connection, cursor, statement, parameters, context, executemany):
        if statement.startswith(("SELECT", "WITH", "UPDATE", "DELETE")) and not executemany:
            rows = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            steps.extend((row[3], statement) for row in rows)

    event.listen(clinic.engine, "before_cursor_execute", explain)
    return steps


@pytest.mark.parametrize(
    "action",
    [
        lambda clinic, bob, patient: clinic.patients.search(bob, "zoe mull"),
        lambda clinic, bob, patient: clinic.patients.search(bob, patient.code),
        lambda clinic, bob, patient: clinic.patients.view(bob, patient.id),
        lambda clinic, bob, patient: clinic.patients.edit(bob, patient.id, "Jane Doe"),
        lambda clinic, bob, patient: clinic.patients.known(bob, clinic.neurology, NAME, BORN, NUMBER),
        lambda clinic, bob, patient: clinic.studies.history(bob, patient.id),
        lambda clinic, bob, patient: clinic.studies.scan(bob, 1),
        lambda clinic, bob, patient: clinic.studies.outline(bob, 1),
        lambda clinic, bob, patient: clinic.studies.judge(bob, 1, "agree"),
        lambda clinic, bob, patient: clinic.filed(patient, identifier="4.5.6"),
        lambda clinic, bob, patient: clinic.patients.delete(bob, patient.id),
        lambda clinic, bob, patient: clinic.patients.search(bob),
        lambda clinic, bob, patient: clinic.patients.may_see(bob, [patient.id]),
        lambda clinic, bob, patient: _entries(clinic, Wanted(actor_id=bob.id)),
        lambda clinic, bob, patient: _entries(clinic, Wanted(subject_kind="patient")),
        lambda clinic, bob, patient: _entries(clinic, Wanted(since=utc_now())),
        lambda clinic, bob, patient: _entries(clinic, Wanted(bob.id, "patient", since=utc_now())),
        lambda clinic, bob, patient: _entries(clinic, Wanted(subject_kind="patient", subject_id=patient.id)),
    ],
)
def test_nothing_reads_a_whole_table(clinic, plans, action):
    patient = clinic.patient()
    clinic.filed(patient)
    plans.clear()
    action(clinic, clinic.people["bob"], patient)
    assert plans
    assert [step for step in plans if WHOLE.search(step[0])] == []


def _entries(clinic, wanted):
    with Session(clinic.engine) as db:
        audit.entries(db, wanted, 500)


def test_a_whole_table_would_be_seen(clinic, plans):
    with Session(clinic.engine) as db:
        db.connection().exec_driver_sql("SELECT * FROM patients WHERE identity = 'x'")
    assert [step for step, _ in plans if WHOLE.search(step)] == ["SCAN patients"]
