"""The way in: an object is accepted once it lies encrypted on the disk and stands in the table."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, sessionmaker

from braintumor.database import RefusedError, durable, unless_busy
from braintumor.database.audit import utc_now
from braintumor.records.confidential import Confidential
from braintumor.records.tables import ArrivalRow, ArrivalState, ObjectRow
from braintumor.records.vault import Vault


class ArrivalError(RefusedError):
    """An object contradicts what is here already; the message names no patient and no object."""


@dataclass(frozen=True)
class Received:
    """One DICOM object as it came: from whom, of which study, what it is, whom it shows, and its file."""

    sender: str
    study: str
    uid: str
    kind: str
    name: str
    birth_date: date | None
    number: str
    content: bytes


class Intake:
    """Takes objects into one database and vault; all methods raise ``BusyError``, those that write ``VaultError``.

    Objects are told apart by keyed hashes of their UIDs: the database shows none of another machine's names.
    """

    def __init__(
        self, engine: Engine, vault: Vault, quiet: timedelta, *, clock: Callable[[], datetime] = utc_now
    ) -> None:
        """Answer a study once no object of it has come for ``quiet``."""
        self._vault = vault
        self._confidential = Confidential(vault)
        self._quiet = quiet
        self._clock = clock
        self._readers = sessionmaker(engine)
        self._writers = sessionmaker(durable(engine))

    def accept(self, received: Received) -> bool:
        """Take one object, and tell whether it is new; once this returns, neither a crash nor a power cut loses it.

        The same object again is no other one. Raises ``ArrivalError`` for another object of the same UID, and for one
        that shows somebody else than the study does.
        """
        key = self._confidential.study_key(f"object {received.uid}")
        if self._has(key, received.content):
            return False
        content = self._vault.put(received.content)
        with self._writing() as db:
            known = db.scalar(select(ObjectRow).where(ObjectRow.key == key))
            if known is not None:
                _refuse_another(known.content, content)
                return False
            # Who deleted a patient meanwhile may have removed what no row named yet.
            if not self._vault.contains(content):
                self._vault.put(received.content)
            arrival = self._arrival(db, received)
            db.add(
                ObjectRow(
                    arrival_id=arrival.id,
                    key=key,
                    kind=received.kind,
                    content=content,
                    size=len(received.content),
                )
            )
        return True

    def add_upload(self, sender: str, content: bytes) -> int:
        """Take a file that a program sent to be answered, filed under no patient, and give its arrival's number.

        The same file from the same program is the same arrival.
        """
        name = self._vault.put(content)
        key = self._confidential.study_key(f"upload {sender} {name}")
        with self._writing() as db:
            known = db.scalar(select(ArrivalRow.id).where(ArrivalRow.key == key))
            if known is not None:
                return known
            if not self._vault.contains(name):
                self._vault.put(content)
            arrival = self._add(db, key, "", sender, is_filed=False)
            arrival.due_at = arrival.last_at
            db.add(ObjectRow(arrival_id=arrival.id, key=key, kind="", content=name, size=len(content)))
            return arrival.id

    def held(self, objects: Sequence[tuple[str, str]]) -> list[bool]:
        """Tell of each object, given by class and UID, whether it is kept here."""
        found = []
        with unless_busy(), self._readers() as db:
            for kind, uid in objects:
                key = self._confidential.study_key(f"object {uid}")
                content = db.scalar(select(ObjectRow.content).where(ObjectRow.key == key, ObjectRow.kind == kind))
                found.append(content is not None and self._vault.contains(content))
        return found

    def _has(self, key: str, content: bytes) -> bool:
        """Tell whether this very object is here; raises ``ArrivalError`` where another of its UID is."""
        with unless_busy(), self._readers() as db:
            known = db.scalar(select(ObjectRow.content).where(ObjectRow.key == key))
        if known is None:
            return False
        _refuse_another(known, self._vault.name_of(content))
        return True

    def _arrival(self, db: Session, received: Received) -> ArrivalRow:
        """Give the study that an object belongs to, which now waits for more of them."""
        key = self._confidential.study_key(f"study {received.study}")
        said = f"patient {received.number}\n{received.name}\n{received.birth_date or ''}"
        identity = self._confidential.study_key(said)
        arrival = db.scalar(select(ArrivalRow).where(ArrivalRow.key == key))
        if arrival is None:
            arrival = self._add(db, key, identity, received.sender, is_filed=True)
        elif arrival.identity != identity:
            raise ArrivalError("This study is of another patient; correct it at its source and send it again.")
        arrival.last_at = self._clock()
        arrival.due_at = arrival.last_at + self._quiet
        # One that is being answered tells by its objects that there are more now.
        if arrival.state is not ArrivalState.ANSWERING:
            arrival.state, arrival.attempts, arrival.reason = ArrivalState.RECEIVING, 0, ""
        return arrival

    def _add(self, db: Session, key: str, identity: str, sender: str, *, is_filed: bool) -> ArrivalRow:
        now = self._clock()
        arrival = ArrivalRow(
            key=key,
            identity=identity,
            sender=sender,
            is_filed=is_filed,
            state=ArrivalState.RECEIVING,
            attempts=0,
            reason="",
            first_at=now,
            last_at=now,
            due_at=now + self._quiet,
        )
        db.add(arrival)
        db.flush()
        return arrival

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        with unless_busy(), self._writers.begin() as db:
            yield db


def _refuse_another(known: str, content: str) -> None:
    if known != content:
        raise ArrivalError("Another object has this identifier already; the first one stays.")
