"""10,000 patients with 50,000 findings: what the server computes for a search, a patient's page and the audit page."""

import random
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import Engine, insert
from sqlalchemy.orm import Session

from benchmarks.result import Result
from braintumor.accounts import Account, Accounts, Role, State
from braintumor.accounts.tables import AccountRow
from braintumor.database import Wanted, open_database, writing
from braintumor.database.audit import FIRST_SEAL, AuditRow, seal, utc_now
from braintumor.records import Groups, Patients, Studies
from braintumor.records.confidential import Confidential
from braintumor.records.tables import FindingRow, PatientRow, SeriesRow, StudyRow, TokenRow, VerdictRow
from braintumor.records.vault import open_vault
from braintumor.settings import Settings

PATIENTS, STUDIES_EACH, LINES = 10_000, 5, 100_000
_TRIES = 15
_MOST_MS = 200
_FIRST = ("Jane", "John", "Zoë", "Max", "Mia", "Ada", "Bob", "Eve", "Rosa", "Emil")
_LAST = ("Doe", "Müller", "Smith", "Meyer", "Garcia", "Rossi", "Novak", "Silva", "Weiß", "Jones")
_SUBJECTS = ("patient", "study", "finding", "account")


def run() -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        configured = Settings(data_dir=Path(folder))
        engine = open_database(configured)
        vault = open_vault(configured, "patients")
        ada, bob = (
            _account(engine, name, role) for name, role in (("ada", Role.ADMINISTRATOR), ("bob", Role.CLINICIAN))
        )
        groups = Groups(engine)
        group = groups.create(ada, "Neurology")
        groups.set_members(ada, group, [bob.id])
        _fill(engine, Confidential(vault), group, bob.id)
        patients, studies, accounts = Patients(engine, vault), Studies(engine, vault), Accounts(engine, configured)

        def search(text: str) -> None:
            # The page asks of each patient found whether it may still be seen.
            assert patients.may_see(bob, [found.id for found in patients.search(bob, text)])

        def page() -> None:
            patients.view(bob, PATIENTS // 2)
            assert len(studies.history(bob, PATIENTS // 2)) == STUDIES_EACH

        filters = (
            Wanted(),
            Wanted(actor_id=bob.id),
            Wanted(actor_id=ada.id),
            *(Wanted(subject_kind=kind) for kind in (*_SUBJECTS, "group")),
            Wanted(since=utc_now() - timedelta(days=365)),
            Wanted(actor_id=bob.id, subject_kind="group", since=utc_now() - timedelta(days=365)),
        )
        calls: dict[str, list[Callable[[], object]]] = {
            "search among 10,000 patients": [partial(search, text) for text in ("", "jane", "mül", "jane doe mrn")],
            "page of one patient": [page],
            "audit page with each filter": [partial(accounts.audit_trail, ada, 500, wanted) for wanted in filters],
        }
        found = [_result(name, some) for name, some in calls.items()]
        engine.dispose()
        return found


def _result(name: str, calls: list[Callable[[], object]]) -> Result:
    """Measure the slowest of some calls, each by the median of its tries."""
    medians = [statistics.median(_milliseconds(call) for _ in range(_TRIES)) for call in calls]
    detail = (
        f"slowest of {len(medians)}, median of {_TRIES} tries; {PATIENTS * STUDIES_EACH:,} findings, {LINES:,} lines"
    )
    return Result(name, max(medians), _MOST_MS, "ms", detail, at_most=True)


def _milliseconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000


def _account(engine: Engine, name: str, role: Role) -> Account:
    row = AccountRow(username=name, display_name=name.title(), password_hash="", role=role, state=State.ACTIVE)
    row.created_at = utc_now()
    with Session(writing(engine)) as db, db.begin():
        db.add(row)
        db.flush()
        return Account.of(row)


def _fill(engine: Engine, confidential: Confidential, group: int, reader: int) -> None:
    """Put patients with their studies, findings and verdicts, and lines of the audit trail, into the tables."""
    now = datetime.now(UTC)
    with Session(writing(engine)) as db, db.begin():
        for number in range(1, PATIENTS + 1):
            code = f"{number:08}"
            identity = {
                "name": f"{_FIRST[number % 10]} {_LAST[number // 10 % 10]}",
                "birth_date": "1970-01-31",
                "number": f"MRN-{number:06}",
            }
            sealed = confidential.seal(identity, code)
            db.execute(
                insert(PatientRow),
                {"id": number, "code": code, "group_id": group, "identity": sealed, "created_at": now},
            )
            tokens = confidential.tokens(identity["name"], identity["number"])
            db.execute(insert(TokenRow), [{"token": token, "patient_id": number} for token in tokens])
        numbers = range(1, PATIENTS * STUDIES_EACH + 1)
        day = date(2026, 1, 1)
        of_study = [
            {
                "id": number,
                "patient_id": 1 + number % PATIENTS,
                "key": f"{number:064x}",
                "taken_on": day + timedelta(days=number % 300),
                "filed_at": now,
                "filed_by_id": reader,
            }
            for number in numbers
        ]
        db.execute(insert(StudyRow), of_study)
        of_series = {"modality": "MR", "sequence": "t1_contrast", "slices": 160}
        db.execute(
            insert(SeriesRow),
            [{"id": number, "study_id": number, "content": f"{number:064x}", **of_series} for number in numbers],
        )
        answer = {"bundle_name": "efficient_unet", "bundle_version": "5.2.1", "bundle_sha256": "ab" * 32}
        answer |= {"label": "glioma", "reasons": ""}
        sizes = {"probability": 0.9, "tumor_probability": 0.9, "volume_mm3": 1e3, "diameter_mm": 12.0, "made_at": now}
        db.execute(
            insert(FindingRow),
            [{"id": number, "series_id": number, "mask": f"{number:064x}", **answer, **sizes} for number in numbers],
        )
        verdict = {"version": 1, "kind": "agree", "reader_id": reader, "made_at": now}
        db.execute(insert(VerdictRow), [{"finding_id": number, **verdict} for number in numbers])
        _fill_trail(db, reader, now)


def _fill_trail(db: Session, reader: int, now: datetime) -> None:
    chance = random.Random(5)
    key = db.get_bind().get_execution_options()["site_key"]
    first = db.query(AuditRow).count()
    before = db.query(AuditRow.seal).order_by(AuditRow.id.desc()).limit(1).scalar() or FIRST_SEAL
    rows = []
    for number in range(first + 1, LINES + 1):
        values: dict[str, object] = {
            "id": number,
            "time": now - timedelta(seconds=60 * (LINES - number)),
            "actor_id": reader,
            "action": "patient viewed",
            "subject_kind": chance.choice(_SUBJECTS),
            "subject_id": chance.randint(1, PATIENTS),
            "address": None,
            "details": "{}",
        }
        before = seal(key, before, values)
        rows.append({**values, "seal": before})
    db.execute(insert(AuditRow), rows)


if __name__ == "__main__":
    for result in run():
        print(result)
