"""Ten users at once, five in each of two processes of the app: nobody's write is lost, and no page is refused."""

from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import date
from multiprocessing import get_context

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from braintumor.accounts import Role
from braintumor.database import audit
from braintumor.database.audit import AuditRow
from braintumor.processes import started_apart
from braintumor.records import NewSeries
from braintumor.records.tables import FindingRow, PatientRow, VerdictRow
from tests.records import clinic as made_clinic
from tests.records.clinic import FINDING, account, open_clinic

clinic = made_clinic.clinic

USERS, PROCESSES, ROUNDS = 10, 2, 3
EACH_ROUND = ("patients searched", "patient added", "study filed", "history viewed", "verdict added", "patient edited")


def name_of(user):
    return f"reader{user}"


def scan_of(user, number):
    return f"scan {number} of user {user} ".encode() * 5000


def work_of_process(url, folder, users, group, shared, finding):
    """Let some users work, each in a thread, as sessions of one server do; whatever is refused is raised."""
    engine, _, patients, studies = open_clinic(url, folder)
    with Session(engine) as db:
        people = {user: account(db, name_of(user)) for user in users}

    def work(user):
        actor = people[user]
        for number in range(ROUNDS):
            patients.search(actor, "shared")
            own = patients.add(actor, group, f"Jane Doe {user} {number}", number=f"N-{user}-{number}")
            series = NewSeries("MR", "t1", 9, scan_of(user, number), (FINDING,))
            studies.file(actor, own.id, f"1.{user}.{number}", date(2026, 1, 2), [series])
            assert len(studies.history(actor, own.id)) == 1
            # All of them write to one finding and to one patient.
            studies.judge(actor, finding, "comment", comment=f"{user} {number}")
            patients.edit(actor, shared, f"Shared by {user}", number=f"S-{user}-{number}")

    with ThreadPoolExecutor(len(users)) as pool:
        list(pool.map(work, users))
    engine.dispose()


def test_no_write_is_lost_and_nothing_is_refused(clinic, database_url, tmp_path):
    people = [made_clinic.entered(clinic.engine, name_of(user), Role.CLINICIAN) for user in range(USERS)]
    clinic.groups.set_members(
        clinic.people["ada"], clinic.neurology, [clinic.people["bob"].id, *(p.id for p in people)]
    )
    shared = clinic.patient(name="Shared")
    clinic.filed(shared)
    with Session(clinic.engine) as db:
        finding, before = db.scalars(select(FindingRow.id)).one(), db.scalar(select(func.count(AuditRow.id)))
    halves = [range(start, USERS, PROCESSES) for start in range(PROCESSES)]
    with started_apart(), ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        given = (database_url, tmp_path / "data", clinic.neurology, shared.id, finding)
        running = [pool.submit(work_of_process, *given[:2], users, *given[2:]) for users in halves]
        for process in running:
            process.result()
    total = USERS * ROUNDS
    with Session(clinic.engine) as db:
        assert audit.verify(db).is_whole
        after = Counter(db.scalars(select(AuditRow.action).where(AuditRow.id > before)))
        assert after == dict.fromkeys(EACH_ROUND, total)
        assert db.scalar(select(func.count(PatientRow.id))) == total + 1
        verdicts = db.scalars(select(VerdictRow).order_by(VerdictRow.version)).all()
        assert [one.version for one in verdicts] == list(range(1, total + 1))
        assert Counter(one.reader_id for one in verdicts) == {person.id: ROUNDS for person in people}
    assert {clinic.vault.read(name) for name in clinic.vault.list()} >= {
        scan_of(user, number) for user in range(USERS) for number in range(ROUNDS)
    }
    # Of the many edits one stands, whole: its name and number are of one user.
    last = clinic.patients.view(clinic.people["bob"], shared.id)
    assert last.number in {f"S-{last.name.split()[-1]}-{number}" for number in range(ROUNDS)}
    assert [one.id for one in clinic.patients.search(clinic.people["bob"], last.number)] == [shared.id]
