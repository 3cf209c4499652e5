from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from braintumor.database import connect
from braintumor.database.audit import AuditEntry, newest, row, utc_now

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture
def db():
    engine = connect("sqlite://")
    with Session(engine) as db:
        yield db
    engine.dispose()


@pytest.mark.parametrize("action", ["Jane Doe logged in", "patient 12345", "", "ab", "a" * 41, "logged in\n", "é" * 5])
def test_a_line_has_no_room_for_names(action):
    with pytest.raises(ValueError, match="lower-case"):
        row(NOON, action)


@pytest.mark.parametrize("action", ["abc", "a" * 40, "logged in"])
def test_plain_actions_are_taken(action):
    assert row(NOON, action).action == action


def test_newest_first_and_limited(db):
    for hours, action in enumerate(("first", "second", "third")):
        db.add(row(NOON + timedelta(hours=hours), action, 1, 2))
    db.flush()
    assert newest(db, 2) == [
        AuditEntry(NOON + timedelta(hours=2), 1, "third", 2),
        AuditEntry(NOON + timedelta(hours=1), 1, "second", 2),
    ]
    assert newest(db, 0) == []


def test_somebody_without_an_account_has_no_number(db):
    db.add(row(NOON, "setup refused"))
    db.flush()
    assert newest(db, 9) == [AuditEntry(NOON, None, "setup refused", None)]


def test_the_time_is_in_utc():
    assert utc_now().utcoffset() == timedelta(0)
