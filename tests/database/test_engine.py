import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from braintumor.accounts import Accounts
from braintumor.accounts.tables import SessionRow
from braintumor.database import BusyError, audit, connect, writing
from braintumor.database import engine as database
from braintumor.database.audit import AuditRow
from braintumor.settings import Settings
from tests.accounts.app_users import PASSWORD
from tests.database.servers import SITE_KEY

ADA, TOKEN = "the administrator", "the token"
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture
def engine(tmp_path):
    engine = connect(f"sqlite:///{tmp_path / 'data' / 'app.sqlite3'}", SITE_KEY)
    yield engine
    engine.dispose()


def write(engine, time=NOON):
    with Session(writing(engine)) as db, db.begin():
        audit.append(db, time, "tested")


def times(engine):
    with Session(engine) as db:
        return list(db.scalars(select(AuditRow.time)))


def test_tables(engine):
    assert {"accounts", "sessions", "audit"} <= set(inspect(engine).get_table_names())


@pytest.mark.parametrize(("pragma", "value"), [("journal_mode", "wal"), ("foreign_keys", 1)])
def test_sqlite_settings(engine, pragma, value):
    with engine.connect() as connection:
        assert connection.scalar(text(f"PRAGMA {pragma}")) == value


def test_folder_and_files_are_for_their_owner_alone(engine, tmp_path):
    write(engine)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").iterdir()}
    assert modes.pop("app.sqlite3") == 0o600
    assert set(modes.values()) <= {0o600}
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_an_open_file_is_closed_to_others(tmp_path):
    file = tmp_path / "app.sqlite3"
    file.touch(0o644)
    connect(f"sqlite:///{file}", SITE_KEY).dispose()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_connecting_again_keeps_what_is_there(engine, tmp_path):
    write(engine)
    again = connect(f"sqlite:///{tmp_path / 'data' / 'app.sqlite3'}", SITE_KEY)
    assert times(again) == [NOON]
    again.dispose()


def test_connecting_again_leaves_the_locks_against_other_processes(engine, tmp_path):
    file = tmp_path / "data" / "app.sqlite3"

    def seen_by_another_process():
        # The last process to close a database deletes its log; only locks tell it that others still have it open.
        query = "with sqlite3.connect(sys.argv[1]) as db: print(*db.execute('SELECT count(*) FROM audit').fetchone())"
        program = ["-c", f"import sqlite3, sys\n{query}\ndb.close()", str(file)]
        return int(subprocess.run([sys.executable, *program], capture_output=True, check=True).stdout)

    write(engine)
    connect(f"sqlite:///{file}", SITE_KEY).dispose()
    before = seen_by_another_process()
    write(engine, NOON + timedelta(hours=1))
    assert seen_by_another_process() == before + 1


def test_a_column_of_an_older_version_is_no_hindrance(engine):
    with writing(engine).begin() as connection:
        connection.exec_driver_sql("ALTER TABLE sessions ADD COLUMN subject_hash VARCHAR(64)")
    write(engine)
    assert times(engine) == [NOON]


def test_first_starts_at_the_same_time(tmp_path):
    with ThreadPoolExecutor(6) as pool:
        engines = list(pool.map(connect, [f"sqlite:///{tmp_path / 'app.sqlite3'}"] * 6, [SITE_KEY] * 6))
    assert all(inspect(engine).has_table("accounts") for engine in engines)
    for engine in engines:
        engine.dispose()


def test_the_change_to_wal_is_tried_again_while_another_process_makes_it():
    class Busy:
        executed = ()

        def execute(self, statement):
            self.executed += (statement,)
            if "journal_mode" in statement and self.executed.count(statement) < 3:
                raise sqlite3.OperationalError("database is locked")

    connection = Busy()
    database._configure_sqlite(connection, None)
    assert connection.executed.count("PRAGMA journal_mode = WAL") == 3
    assert connection.executed[-1] == "PRAGMA foreign_keys = ON"


def test_the_change_to_wal_is_given_up_in_the_end(monkeypatch):
    class Locked:
        def execute(self, statement):
            if "journal_mode" in statement:
                raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr(database, "_SECONDS_TO_WAIT", 0.05)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        database._configure_sqlite(Locked(), None)


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
            other.exec_driver_sql("DELETE FROM sessions")


def test_memory_database_is_shared_by_all_connections():
    engine = connect("sqlite://", SITE_KEY)
    write(engine)
    assert times(engine) == [NOON]


def test_moments_come_back_in_utc(engine):
    write(engine, NOON.astimezone(timezone(timedelta(hours=9))))
    assert times(engine) == [NOON]
    assert times(engine)[0].tzinfo is UTC


def test_moment_without_zone_is_refused(engine):
    with pytest.raises(Exception, match="without a time zone"):
        write(engine, NOON.replace(tzinfo=None))


def _insert(connection, role, state):
    connection.execute(
        text(
            "INSERT INTO accounts (username, display_name, password_hash, role, state, failed_login_attempts,"
            " created_at, must_change_password) VALUES ('eve', 'Eve', '', :role, :state, 0, '2026-01-02', 0)"
        ),
        {"role": role, "state": state},
    )


@pytest.mark.parametrize(
    ("role", "state"), [("nonsense", "active"), ("Administrator", "active"), ("", "active"), ("clinician", "nonsense")]
)
def test_the_database_refuses_an_unknown_role_or_state(engine, role, state):
    with pytest.raises(IntegrityError), writing(engine).begin() as connection:
        _insert(connection, role, state)


class TestBusy:
    """Another process holds the lock for writing, as a backup or a second server may."""

    @pytest.fixture
    def people(self, engine):
        accounts = Accounts(engine, Settings(), rounds=4)
        ada = accounts.create_first_administrator("ada", "Ada", PASSWORD)
        return accounts, ada, accounts.start_session(ada)

    @pytest.fixture
    def locked(self, people, engine, tmp_path, monkeypatch):
        monkeypatch.setattr(database, "_SECONDS_TO_WAIT", 0.05)
        engine.dispose()
        other = sqlite3.connect(tmp_path / "data" / "app.sqlite3", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        yield other
        other.close()

    @pytest.mark.parametrize(
        ("action", "arguments"),
        [
            ("register", ("bob", "Bob", PASSWORD)),
            ("authenticate", ("ada", PASSWORD)),
            ("authenticate", ("ada", "not the password at all")),
            ("start_session", (ADA,)),
            ("end_session", (TOKEN,)),
            ("change_password", (ADA, PASSWORD, "violet harbor trumpet")),
            ("approve", (ADA, 1)),
            ("disable", (ADA, 1)),
            ("delete", (ADA, 1)),
            ("set_role", (ADA, 1, "clinician")),
            ("reset_password", (ADA, 1)),
            ("refuse_waiting", (ADA,)),
            ("recover", ("ada",)),
        ],
    )
    def test_whatever_writes_says_so_and_works_afterwards(self, people, locked, action, arguments, caplog):
        accounts, ada, token = people
        given = [{ADA: ada, TOKEN: token}.get(argument, argument) for argument in arguments]
        with pytest.raises(BusyError):
            getattr(accounts, action)(*given)
        assert "locked" in caplog.text
        assert "ada" not in caplog.text
        assert accounts.verify_session(token) == ada
        locked.execute("ROLLBACK")
        assert accounts.authenticate("ada", PASSWORD) == ada

    def test_reading_goes_on(self, people, locked):
        accounts, ada, token = people
        assert accounts.verify_session(token) == ada
        assert accounts.everybody(ada) == [ada]
        assert accounts.audit_trail(ada)
        assert accounts.exist()

    def test_opening_says_so(self, locked, tmp_path):
        with pytest.raises(BusyError):
            connect(f"sqlite:///{tmp_path / 'data' / 'app.sqlite3'}", SITE_KEY)
