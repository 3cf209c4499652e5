import dataclasses
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import text

from braintumor.records import PatientError
from braintumor.records.arrivals import Answered, ArrivalError, ArrivalState, Intake, Jobs, Received, SupersededError
from braintumor.records.arrivals.jobs import MOST_TRIES
from braintumor.records.vault import VaultError
from tests.records import clinic as made_clinic
from tests.records.clinic import BORN, FINDING, NAME, NUMBER, SERIES

clinic = made_clinic.clinic

QUIET = timedelta(seconds=30)
MR = "1.2.840.10008.5.1.4.1.1.4"
FIRST = Received("SCANNER", "1.2.3", "1.2.3.1", MR, NAME, BORN, NUMBER, b"one object")
SECOND = dataclasses.replace(FIRST, uid="1.2.3.2", content=b"another object")
ANSWER = Answered("unit", "answered", "", {"segmentation.dcm": b"a mask", "answer.json": b"{}"})


class Hospital:
    """A clinic whose studies arrive from elsewhere, with a clock that is set by hand."""

    def __init__(self, clinic):
        self.clinic = clinic
        self.now = datetime.fromisoformat("2026-01-02T03:04:05+00:00")
        self.intake = Intake(clinic.engine, clinic.vault, QUIET, clock=lambda: self.now)
        self.jobs = Jobs(clinic.engine, clinic.vault, clock=lambda: self.now)

    def wait(self, seconds=31):
        self.now += timedelta(seconds=seconds)

    def file(self, job, answered=(ANSWER,)):
        """File what a job answered, as the worker does."""
        bob = self.clinic.people["bob"]
        patient = self.clinic.patients.identified(bob, self.clinic.neurology, NAME, BORN, NUMBER)
        entering = self.jobs.record(job, answered)
        self.clinic.studies.file(bob, patient.id, "1.2.3", None, [SERIES], may_add=True, also=entering)
        return patient

    def states(self):
        return [state for state, number in self.jobs.counts().items() for _ in range(number)]

    def rows(self, table):
        with self.clinic.engine.connect() as db:
            return db.scalar(text(f"SELECT COUNT(*) FROM {table}"))


@pytest.fixture
def hospital(tmp_path):
    opened = made_clinic.made(f"sqlite:///{tmp_path / 'data' / 'app.sqlite3'}", tmp_path / "data")
    yield Hospital(opened)
    opened.engine.dispose()


def test_a_study_is_answered_once_after_a_quiet_time_and_sent(clinic):
    hospital = Hospital(clinic)
    assert hospital.intake.accept(FIRST)
    hospital.wait(29)
    assert hospital.intake.accept(SECOND)
    hospital.wait(29)
    assert hospital.jobs.claim() is None
    hospital.wait(1)
    job = hospital.jobs.claim()
    assert [clinic.vault.read(one.content) for one in job.objects] == [FIRST.content, SECOND.content]
    assert (job.sender, job.state, job.is_filed, hospital.jobs.claim()) == ("SCANNER", "answering", True, None)
    hospital.file(job)
    job = hospital.jobs.claim()
    assert [(one.kind, clinic.vault.read(one.content)) for one in job.results] == [("segmentation.dcm", b"a mask")]
    hospital.jobs.sent(job, [one.id for one in job.results])
    hospital.wait(10**6)
    assert (hospital.jobs.claim(), hospital.states()) == (None, ["done"])
    assert not hospital.intake.accept(FIRST), "sent again, it is the same study"
    assert (hospital.jobs.claim(), hospital.states()) == (None, ["done"])
    assert hospital.intake.held([(MR, "1.2.3.1"), (MR, "1.2.3.9"), ("1.2", "1.2.3.1")]) == [True, False, False]


def test_a_second_half_is_the_same_study(hospital):
    hospital.intake.accept(FIRST)
    hospital.wait()
    patient = hospital.file(hospital.jobs.claim())
    hospital.intake.accept(SECOND)
    hospital.wait()
    job = hospital.jobs.claim()
    assert (len(job.objects), job.units) == (2, {"unit"})
    whole = dataclasses.replace(ANSWER, key="both halves")
    assert hospital.file(job, [whole]) == patient
    (study,) = hospital.clinic.studies.history(hospital.clinic.people["bob"], patient.id)
    assert len(study.series) == 1, "the same scan is filed once"


def test_what_comes_while_it_is_answered_is_answered_with_it(hospital):
    hospital.intake.accept(FIRST)
    hospital.wait()
    job = hospital.jobs.claim()
    hospital.intake.accept(SECOND)
    with pytest.raises(SupersededError):
        hospital.file(job)
    assert (hospital.rows("studies"), hospital.rows("arrival_units")) == (0, 0)
    hospital.jobs.give_back(job)
    hospital.wait()
    assert len(hospital.jobs.claim().objects) == 2


@pytest.mark.parametrize(
    "changed",
    [{"content": b"other bytes"}, {"uid": "1.2.3.9", "name": "Jane Doe"}, {"uid": "1.2.3.9", "number": "2"}],
)
def test_what_contradicts_is_refused(hospital, changed):
    hospital.intake.accept(FIRST)
    with pytest.raises(ArrivalError):
        hospital.intake.accept(dataclasses.replace(FIRST, **changed))
    assert hospital.rows("arrival_objects") == 1


def test_a_full_disk_refuses_and_leaves_no_row(hospital, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(VaultError, match="No space left"):
        hospital.intake.accept(FIRST)
    assert (hospital.rows("arrivals"), hospital.rows("arrival_objects")) == (0, 0)


def test_tries_are_counted_and_end(hospital):
    hospital.intake.accept(FIRST)
    for number in range(MOST_TRIES[ArrivalState.ANSWERING]):
        assert hospital.states() == ["receiving"]
        hospital.wait(3601)
        job = hospital.jobs.claim()
        if number % 2:
            hospital.jobs.resume()  # as after a crash
        else:
            hospital.jobs.failed(job, "model")
    hospital.wait(10**6)
    assert (hospital.states(), hospital.jobs.claim()) == (["failed"], None)
    assert hospital.jobs.retry() == 1
    hospital.jobs.failed(hospital.jobs.claim(), "identity", is_final=True)
    assert hospital.states() == ["failed"]


def test_deleting_a_patient_takes_what_arrived_along(hospital):
    hospital.intake.accept(FIRST)
    hospital.wait()
    patient = hospital.file(hospital.jobs.claim())
    hospital.clinic.patients.delete(hospital.clinic.people["bob"], patient.id)
    assert list(hospital.clinic.vault.list()) == []
    assert [hospital.rows(f"arrival{name}") for name in ("s", "_objects", "_units", "_results")] == [0, 0, 0, 0]


def test_what_is_done_goes_after_its_days_and_findings_stay(hospital):
    hospital.intake.accept(FIRST)
    upload = hospital.intake.add_upload("robot", b"a picture")
    assert hospital.intake.add_upload("robot", b"a picture") == upload != hospital.intake.add_upload("other", b"a")
    hospital.wait()
    job = hospital.jobs.claim()
    patient = hospital.file(job)
    hospital.jobs.keep(hospital.jobs.claim(), "nowhere")
    hospital.wait(86400 * 3)
    assert hospital.jobs.sweep(4) == 0
    assert (hospital.jobs.sweep(2), hospital.states()) == (1, ["receiving", "receiving"])
    assert hospital.jobs.overdue() > timedelta(days=2)
    (study,) = hospital.clinic.studies.history(hospital.clinic.people["bob"], patient.id)
    assert hospital.clinic.studies.scan(hospital.clinic.people["bob"], study.series[0].id) == SERIES.content
    assert not hospital.clinic.vault.contains(job.objects[0].content)


def test_what_a_program_sent_goes_though_it_failed(hospital):
    hospital.intake.add_upload("robot", b"a picture")
    hospital.wait()
    job = hospital.jobs.claim()
    hospital.jobs.failed(job, "crash", is_final=True)
    assert (hospital.states(), hospital.jobs.sweep(2)) == (["failed"], 0)
    hospital.wait(86400 * 3)
    assert (hospital.jobs.sweep(2), hospital.states()) == (1, [])
    assert not hospital.clinic.vault.contains(job.objects[0].content)


@pytest.mark.parametrize(
    ("name", "born", "number", "same"),
    [
        (NAME, BORN, NUMBER, True),
        ("Müller-Weiß, Zoë", None, NUMBER, True),
        (NAME, BORN, "MRN-00418", False),
        (NAME, date(1961, 4, 6), NUMBER, None),
        ("Jane Doe", BORN, NUMBER, None),
        (NAME, BORN, "-", None),
        ("", BORN, NUMBER, None),
    ],
)
def test_a_patient_is_known_by_number_and_never_bent(hospital, name, born, number, same):
    clinic = hospital.clinic
    known = clinic.patient()
    clinic.filed(known, series=[dataclasses.replace(SERIES, findings=(FINDING,))])
    bob = clinic.people["bob"]
    if same is None:
        for look_up in (clinic.patients.known, clinic.patients.identified):
            with pytest.raises((PatientError, ValueError)):
                look_up(bob, clinic.neurology, name, born, number)
    else:
        found = clinic.patients.known(bob, clinic.neurology, name, born, number)
        assert (found is not None and found.id == known.id) is same
        assert len(clinic.patients.search(bob)) == 1
        assert (clinic.patients.identified(bob, clinic.neurology, name, born, number).id == known.id) is same
