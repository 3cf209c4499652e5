from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from braintumor.database import AuditEntry, Wanted, audit, connect, writing
from braintumor.processes import started_apart
from tests.database.servers import SITE_KEY

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
CHANGES = [
    ("UPDATE audit SET action = 'nothing' WHERE id = 2", 2),
    ("UPDATE audit SET actor_id = 8 WHERE id = 3", 3),
    ("UPDATE audit SET time = '2026-01-02 12:00:01' WHERE id = 1", 1),
    ("UPDATE audit SET details = '{}' WHERE id = 2", 2),
    ("UPDATE audit SET address = NULL WHERE id = 2", 2),
    ("UPDATE audit SET seal = (SELECT seal FROM audit WHERE id = 1) WHERE id = 2", 2),
    ("DELETE FROM audit WHERE id = 1", 2),
    ("DELETE FROM audit WHERE id = 2", 3),
    ("UPDATE audit SET id = 9 WHERE id = 4", 9),
    ("INSERT INTO audit SELECT 5, time, actor_id, action, subject_kind, subject_id, address, details, seal"
     " FROM audit WHERE id = 4", 5),
]  # fmt: skip


@pytest.fixture
def engine(database_url):
    engine = connect(database_url, SITE_KEY)
    yield engine
    engine.dispose()


def add(engine, *actions, **others):
    with Session(writing(engine)) as db, db.begin():
        for hours, action in enumerate(actions):
            audit.append(db, NOON + timedelta(hours=hours), action, 7, ("patient", hours), **others)


def given(engine, wanted=None, limit=99):
    with Session(engine) as db:
        return audit.entries(db, wanted or Wanted(), limit)


def verified(engine):
    with Session(engine) as db:
        return audit.verify(db)


@pytest.mark.parametrize("action", ["Jane Doe logged in", "patient 12345", "", "ab", "a" * 41, "logged in\n", "é" * 5])
def test_a_line_has_no_room_for_names(engine, action):
    with pytest.raises(ValueError, match="lower-case"):
        add(engine, action)


@pytest.mark.parametrize("value", ["Doe^Jane", "Jürgen", "a" * 65, "=1+1\n"])
def test_a_detail_has_no_room_for_names(engine, value):
    with pytest.raises(ValueError, match="plain code"):
        add(engine, "tested", details={"why": value})


def test_newest_first_and_limited(engine):
    add(engine, "first", "second", "third", address="::1", details={"files": 3})
    third = AuditEntry(3, NOON + timedelta(hours=2), 7, "third", "patient", 2, "::1", {"files": 3})
    assert given(engine, limit=1) == [third]
    assert [entry.action for entry in given(engine)] == ["third", "second", "first"]


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (Wanted(), [3, 2, 1]),
        (Wanted(actor_id=7), [3, 2, 1]),
        (Wanted(actor_id=8), []),
        (Wanted(subject_kind="patient", subject_id=1), [2]),
        (Wanted(subject_kind="account"), []),
        (Wanted(since=NOON + timedelta(hours=1)), [3, 2]),
        (Wanted(before=NOON + timedelta(hours=1)), [1]),
    ],
)
def test_only_what_is_wanted(engine, wanted, numbers):
    add(engine, "first", "second", "third")
    assert [entry.number for entry in given(engine, wanted)] == numbers


@pytest.mark.parametrize(
    ("address", "kept"),
    [("192.0.2.1", "192.0.2.1"), ("2001:DB8::0:1", "2001:db8::1"), (None, None), ("Jane", None), (7, None)],
)
def test_from_where(engine, address, kept):
    add(engine, "tested", address=address)
    assert given(engine)[0].address == kept


def test_the_trail_is_only_written_under_the_lock_of_writers(engine):
    with Session(engine) as db, pytest.raises(ValueError, match="writing"):
        audit.append(db, NOON, "tested")


def test_a_whole_trail_verifies(engine):
    assert verified(engine) == audit.Verification(0, audit.FIRST_SEAL, None)
    add(engine, "first", "second")
    result = verified(engine)
    assert (result.lines, result.is_whole) == (2, True)
    assert len(result.newest_seal) == 64


def test_a_seal_stays_what_it_is():
    """Trails of servers in use were sealed like this; another value here means that they would all seem forged."""
    line = {"id": 1, "time": NOON, "actor_id": 7, "action": "tested", "subject_kind": None}
    line |= {"subject_id": None, "address": None, "details": "{}"}
    sealed = audit.seal(b"k" * 32, audit.FIRST_SEAL, line)
    assert sealed == "4c6088eaec5b43ba979bde1cf4256fb9a9a71c09114ce04a27273814c3838c4d"


@pytest.mark.parametrize("statement", [change for change, _ in CHANGES[:9]])
def test_the_database_refuses_to_change_or_delete_lines(engine, statement):
    add(engine, "first", "second", "third", "fourth")
    with pytest.raises(DatabaseError, match="never changed"), writing(engine).begin() as connection:
        connection.execute(text(statement))
    assert verified(engine).lines == 4


@pytest.mark.parametrize(("statement", "line"), CHANGES)
def test_who_gets_past_that_is_found_out(engine, statement, line):
    add(engine, "first", "second", "third", "fourth", address="::1", details={"files": 3})
    with writing(engine).begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.execute(text("DROP TRIGGER audit_refuses_update"))
            connection.execute(text("DROP TRIGGER audit_refuses_delete"))
        else:
            connection.execute(text("ALTER TABLE audit DISABLE TRIGGER audit_refuses"))
        connection.execute(text(statement))
    assert verified(engine).broken_at == line


def test_another_key_verifies_nothing(engine, database_url):
    add(engine, "first")
    other = connect(database_url, b"another key")
    assert verified(other).broken_at == 1
    other.dispose()


def _write_twenty(url):
    engine = connect(url, SITE_KEY)
    for _ in range(20):
        add(engine, "tested")
    engine.dispose()


def test_processes_that_write_together_do_not_fork_the_chain(database_url):
    with started_apart(), ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        list(pool.map(_write_twenty, [database_url] * 4))
    engine = connect(database_url, SITE_KEY)
    assert (verified(engine).lines, verified(engine).is_whole) == (80, True)
    engine.dispose()


def test_the_time_is_in_utc():
    assert audit.utc_now().utcoffset() == timedelta(0)
