import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.schema import CreateTable

from braintumor.records import AuditTrail, Base, connect
from braintumor.records.database import writing
from braintumor.records.tables import AuditRow, SessionRow

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture
def engine(tmp_path):
    engine = connect(f"sqlite:///{tmp_path / 'data' / 'app.sqlite3'}")
    yield engine
    engine.dispose()


def test_tables(engine):
    assert {"accounts", "sessions", "audit"} <= set(inspect(engine).get_table_names())


@pytest.mark.parametrize(("pragma", "value"), [("journal_mode", "wal"), ("foreign_keys", 1)])
def test_sqlite_settings(engine, pragma, value):
    with engine.connect() as connection:
        assert connection.scalar(text(f"PRAGMA {pragma}")) == value


def test_folder_and_files_are_for_their_owner_alone(engine, tmp_path):
    AuditTrail(engine).record("tested")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").iterdir()}
    assert modes.pop("app.sqlite3") == 0o600
    assert set(modes.values()) <= {0o600}
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_an_open_file_is_closed_to_others(tmp_path):
    file = tmp_path / "app.sqlite3"
    file.touch(0o644)
    connect(f"sqlite:///{file}").dispose()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_connecting_again_keeps_what_is_there(engine, tmp_path):
    AuditTrail(engine).record("tested")
    again = connect(f"sqlite:///{tmp_path / 'data' / 'app.sqlite3'}")
    assert [entry.action for entry in AuditTrail(again).newest(9)] == ["tested"]
    again.dispose()


def test_first_starts_at_the_same_time(tmp_path):
    with ThreadPoolExecutor(6) as pool:
        engines = list(pool.map(connect, [f"sqlite:///{tmp_path / 'app.sqlite3'}"] * 6))
    assert all(inspect(engine).has_table("accounts") for engine in engines)
    for engine in engines:
        engine.dispose()


def test_foreign_keys_are_enforced(engine):
    orphan = SessionRow(token_hash="0" * 64, account_id=99, created_at=NOON, expires_at=NOON)
    with Session(engine) as db:
        db.add(orphan)
        with pytest.raises(IntegrityError):
            db.flush()


def test_only_one_writer_at_a_time(engine):
    with writing(engine).begin(), engine.connect() as other:
        other.exec_driver_sql("PRAGMA busy_timeout = 0")
        with pytest.raises(OperationalError, match="locked"):
            other.exec_driver_sql("INSERT INTO audit (time, action) VALUES ('2026-01-01', 'tested')")


def test_memory_database_is_shared_by_all_connections():
    engine = connect("sqlite://")
    AuditTrail(engine).record("tested")
    assert len(AuditTrail(engine).newest(9)) == 1


def test_moments_come_back_in_utc(engine):
    with Session(engine) as db, db.begin():
        db.add(AuditRow(time=NOON.astimezone(timezone(timedelta(hours=9))), action="tested"))
    assert AuditTrail(engine).newest(1)[0].time == NOON
    assert AuditTrail(engine).newest(1)[0].time.tzinfo is UTC


def test_moment_without_zone_is_refused(engine):
    with pytest.raises(Exception, match="without a time zone"), Session(engine) as db, db.begin():
        db.add(AuditRow(time=NOON.replace(tzinfo=None), action="tested"))


@pytest.mark.parametrize(
    ("action", "subject_hash", "message"),
    [
        ("Jane Doe uploaded", None, "lower-case"),
        ("scan of patient 12345", None, "lower-case"),
        ("", None, "lower-case"),
        ("scan read", "jane doe", "SHA-256"),
        ("scan read", "A" * 64, "SHA-256"),
    ],
)
def test_trail_has_no_room_for_names(engine, action, subject_hash, message):
    with pytest.raises(ValueError, match=message):
        AuditTrail(engine).record(action, subject_hash=subject_hash)
    assert AuditTrail(engine).newest(9) == []


def test_trail_is_newest_first_and_limited(engine):
    trail = AuditTrail(engine, clock=lambda: NOON)
    for action in ("first", "second", "third"):
        trail.record(action, actor_id=1, subject_hash="ab" * 32)
    newest = trail.newest(2)
    assert [entry.action for entry in newest] == ["third", "second"]
    assert (newest[0].time, newest[0].actor_id, newest[0].subject_hash) == (NOON, 1, "ab" * 32)


@pytest.mark.parametrize("table", Base.metadata.sorted_tables, ids=lambda table: table.name)
def test_tables_can_be_written_for_postgresql(table):
    assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=postgresql.dialect()))
