"""The way out: a study that is complete is answered once and its results are sent, each step as often as it takes."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Engine, delete, func, select, update
from sqlalchemy.orm import Session, sessionmaker

from braintumor.database import durable, unless_busy
from braintumor.database.audit import utc_now
from braintumor.records import removal
from braintumor.records.tables import ArrivalRow, ArrivalState, ObjectRow, ResultRow, UnitRow
from braintumor.records.vault import Vault

MOST_TRIES = {ArrivalState.ANSWERING: 10, ArrivalState.SENDING: 12}
"""A machine may be restarted several times in the middle of one study, and a peer be down for the night."""
_FIRST_WAIT = timedelta(minutes=1)
_LONGEST_WAIT = timedelta(hours=1)
_DICOM = ".dcm"


class SupersededError(Exception):
    """What was answered is no longer what is here: more has come meanwhile, or its patient was deleted."""


@dataclass(frozen=True)
class Stored:
    """One file in the vault, by its name there and the number of its row; ``kind`` is the ending of a result's name."""

    id: int
    content: str
    kind: str = ""


@dataclass(frozen=True)
class Job:
    """One arrival whose turn it is: ``objects`` to be answered, except ``units``, or ``results`` to be sent.

    ``units`` are the keys of what was answered before. Where ``is_filed`` the answers go to the patient's history.
    """

    id: int
    sender: str
    is_filed: bool
    state: ArrivalState
    objects: tuple[Stored, ...] = ()
    units: frozenset[str] = frozenset()
    results: tuple[Stored, ...] = ()


@dataclass(frozen=True)
class Answered:
    """What became of one unit: ``outcome`` is a code, ``reason`` a sentence, ``results`` files by their endings."""

    key: str
    outcome: str
    reason: str = ""
    results: Mapping[str, bytes] = field(default_factory=dict)


class Jobs:
    """The arrivals of one database as work to be done, by one worker at a time; all methods raise ``BusyError``."""

    def __init__(self, engine: Engine, vault: Vault, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._vault = vault
        self._clock = clock
        self._readers = sessionmaker(engine)
        self._writers = sessionmaker(durable(engine))

    def claim(self) -> Job | None:
        """Give the first arrival, in order of arrival, whose time has come; None where there is none."""
        with self._writing() as db:
            is_due = ArrivalRow.state.in_((ArrivalState.RECEIVING, ArrivalState.SENDING))
            due = select(ArrivalRow).where(is_due, ArrivalRow.due_at <= self._clock()).order_by(ArrivalRow.id)
            row = db.scalars(due.limit(1)).first()
            if row is None:
                return None
            row.attempts += 1
            if row.state is ArrivalState.SENDING:
                results = select(ResultRow).join(UnitRow).where(UnitRow.arrival_id == row.id, _is_to_send())
                to_send = [Stored(one.id, one.content, one.kind) for one in db.scalars(results.order_by(ResultRow.id))]
                return Job(row.id, row.sender, row.is_filed, row.state, results=tuple(to_send))
            row.state = ArrivalState.ANSWERING
            objects = db.scalars(select(ObjectRow).where(ObjectRow.arrival_id == row.id).order_by(ObjectRow.id))
            units = db.scalars(select(UnitRow.key).where(UnitRow.arrival_id == row.id))
            stored = tuple(Stored(one.id, one.content) for one in objects)
            return Job(row.id, row.sender, row.is_filed, row.state, stored, frozenset(units))

    def record(self, job: Job, answered: Sequence[Answered]) -> "Callable[[Session, int | None], None]":
        """Store the results of a job, and give what enters them in a transaction, with the number of the patient.

        That raises ``SupersededError`` where more objects came while they were answered, or the arrival is gone.
        """
        # Outside of the transaction, since encrypting takes a while; the rows come after their files.
        names = [{kind: self._vault.put(data) for kind, data in one.results.items()} for one in answered]

        def enter(db: Session, patient_id: int | None) -> None:
            row = db.get(ArrivalRow, job.id)
            count = select(func.count()).select_from(ObjectRow).where(ObjectRow.arrival_id == job.id)
            if row is None or row.state is not ArrivalState.ANSWERING or db.scalar(count) != len(job.objects):
                raise SupersededError
            for one, named in zip(answered, names, strict=True):
                unit = UnitRow(arrival_id=row.id, key=one.key, outcome=one.outcome, reason=one.reason[:300])
                db.add(unit)
                db.flush()
                for kind, data in one.results.items():
                    # Who deleted a patient meanwhile may have removed what no row named yet.
                    if not self._vault.contains(named[kind]):
                        self._vault.put(data)
                    db.add(ResultRow(unit_id=unit.id, kind=kind, content=named[kind], sent_at=None))
            db.flush()
            row.patient_id = row.patient_id if patient_id is None else patient_id
            row.attempts, row.reason, row.due_at = 0, "", self._clock()
            row.state = ArrivalState.SENDING if row.is_filed and self._unsent(db, row.id) else ArrivalState.DONE

        return enter

    def enter(self, job: Job, answered: Sequence[Answered]) -> None:
        """Record the answers of a job that are filed under no patient; raises ``SupersededError``."""
        enter = self.record(job, answered)
        with self._writing() as db:
            enter(db, None)

    def sent(self, job: Job, result_ids: Collection[int]) -> None:
        """Note which results another machine has taken; with the last of them the arrival is done."""
        with self._writing() as db:
            db.execute(update(ResultRow).where(ResultRow.id.in_(result_ids)).values(sent_at=self._clock()))
            row = db.get(ArrivalRow, job.id)
            if row is not None and row.state is ArrivalState.SENDING and not self._unsent(db, row.id):
                row.state, row.attempts, row.reason = ArrivalState.DONE, 0, ""

    def keep(self, job: Job, reason: str) -> None:
        """Let a job be done without sending: there is nowhere to send to; ``reason`` is a code."""
        with self._writing() as db:
            row = db.get(ArrivalRow, job.id)
            if row is not None and row.state is ArrivalState.SENDING:
                row.state, row.attempts, row.reason = ArrivalState.DONE, 0, reason

    def give_back(self, job: Job) -> None:
        """Let a job that was superseded wait for its study to be complete again; nothing counts as tried."""
        with self._writing() as db:
            row = db.get(ArrivalRow, job.id)
            if row is not None and row.state is ArrivalState.ANSWERING:
                row.state, row.attempts = ArrivalState.RECEIVING, 0

    def failed(self, job: Job, reason: str, *, is_final: bool = False) -> None:
        """Note why a job did not work, by a code, and try again later, unless it ``is_final`` or was tried enough."""
        with self._writing() as db:
            row = db.get(ArrivalRow, job.id)
            if row is not None and row.state is job.state:
                self._put_off(row, reason, is_final=is_final)

    def resume(self) -> None:
        """Take up what a worker that died left, as that of a crash; called by the only worker before it begins."""
        with self._writing() as db:
            for row in db.scalars(select(ArrivalRow).where(ArrivalRow.state == ArrivalState.ANSWERING)).all():
                self._put_off(row, "crash", wait=timedelta(seconds=0))

    def retry(self) -> int:
        """Let everything that failed be tried again at once, and give how many arrivals that are."""
        with self._writing() as db:
            failed = db.scalars(select(ArrivalRow).where(ArrivalRow.state == ArrivalState.FAILED)).all()
            for row in failed:
                # What was answered before is not answered again, and what was not sent is sent.
                row.state, row.attempts, row.due_at = ArrivalState.RECEIVING, 0, self._clock()
            return len(failed)

    def sweep(self, days: int) -> int:
        """Remove arrivals that were done ``days`` days ago with all their files, and give how many; findings stay.

        What a program sent goes though it failed. A study of a patient stays then, to be tried again.
        """
        with self._writing() as db:
            is_over = ArrivalRow.last_at < self._clock() - timedelta(days=days)
            has_failed = (ArrivalRow.state == ArrivalState.FAILED) & ArrivalRow.is_filed.is_(False)
            old = db.scalars(
                select(ArrivalRow.id).where((ArrivalRow.state == ArrivalState.DONE) | has_failed, is_over)
            ).all()
            for number in old:
                units = select(UnitRow.id).where(UnitRow.arrival_id == number)
                files = set(db.scalars(select(ObjectRow.content).where(ObjectRow.arrival_id == number)))
                files.update(db.scalars(select(ResultRow.content).where(ResultRow.unit_id.in_(units))))
                removal.list_files(db, files)
                db.execute(delete(ArrivalRow).where(ArrivalRow.id == number))
        with self._writing() as db:
            removal.finish(db, self._vault, self._clock())
        return len(old)

    def counts(self) -> dict[str, int]:
        """Give how many arrivals are in which state."""
        with unless_busy(), self._readers() as db:
            rows = db.execute(select(ArrivalRow.state, func.count()).group_by(ArrivalRow.state))
            found = {state.value: number for state, number in rows if state is not None}
        return {state.value: found.get(state.value, 0) for state in ArrivalState}

    def overdue(self) -> timedelta:
        """Give for how long the first arrival whose time has come waits."""
        is_open = ArrivalRow.state.not_in((ArrivalState.DONE, ArrivalState.FAILED))
        with unless_busy(), self._readers() as db:
            due = db.scalar(select(func.min(ArrivalRow.due_at)).where(is_open))
        return max(self._clock() - due, timedelta()) if due else timedelta()

    def _put_off(self, row: ArrivalRow, reason: str, *, is_final: bool = False, wait: timedelta | None = None) -> None:
        row.reason = reason
        if is_final or row.attempts >= MOST_TRIES[row.state]:
            row.state = ArrivalState.FAILED
            return
        growing = min(_FIRST_WAIT * 2 ** (row.attempts - 1), _LONGEST_WAIT)
        row.due_at = self._clock() + (growing if wait is None else wait)
        if row.state is ArrivalState.ANSWERING:
            row.state = ArrivalState.RECEIVING

    def _unsent(self, db: Session, arrival_id: int) -> bool:
        query = select(ResultRow.id).join(UnitRow).where(UnitRow.arrival_id == arrival_id, _is_to_send())
        return db.scalar(query.limit(1)) is not None

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        with unless_busy(), self._writers.begin() as db:
            yield db


def _is_to_send() -> ColumnElement[bool]:
    return ResultRow.sent_at.is_(None) & ResultRow.kind.endswith(_DICOM)
