import sqlite3
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.orm import Session

import braintumor.records  # noqa: F401 - its tables are compared below
from braintumor.accounts import Accounts
from braintumor.database import UnusableDatabaseError, Wanted, audit, connect, migrate
from braintumor.processes import started_apart
from braintumor.records.tables import PatientRow
from braintumor.settings import Settings
from tests.database.servers import SITE_KEY

HEAD = ScriptDirectory(str(Path(migrate.__file__).with_name("migrations"))).get_current_head()
NAMES = """INSERT INTO accounts (id, username, display_name, password_hash, role, state, failed_login_attempts,
    created_at, must_change_password) VALUES (7, 'bob', 'Bob', '', 'clinician', 'active', 0, '2026-01-02', false)"""


def made_before_alembic(url):
    """A database as the last version before Alembic made it, with an account and its trail."""
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(exist_ok=True)
    engine = create_engine(url)
    script = Path(__file__).with_name(f"before_alembic_{engine.dialect.name}.sql").read_text()
    with engine.begin() as connection:
        for statement in script.split(";"):
            if statement.strip():
                connection.execute(text(statement))
        connection.execute(text(NAMES))
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT setval('accounts_id_seq', 7)"))
        for hour in (10, 11):
            connection.execute(
                text(f"INSERT INTO audit (time, action, actor_id) VALUES ('2026-01-02 {hour}:00:00', 'logged in', 7)")
            )
    return engine


def version(engine):
    with engine.connect() as connection:
        return connection.scalar(text("SELECT version_num FROM alembic_version"))


def differences(engine):
    """What the tables of a database lack, or have beyond those that the code reads and writes."""
    with engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), PatientRow.metadata)
    return [difference for difference in found if not _is_only_a_name(difference, engine)]


def _is_only_a_name(difference, engine):
    """Tell whether a constraint is there without the name that it has today, as in an older SQLite file."""
    what, constraint = difference[0], difference[-1]
    if what != "add_constraint":
        return False
    unnamed = [known for known in inspect(engine).get_unique_constraints(constraint.table.name) if not known["name"]]
    return [column.name for column in constraint.columns] in [known["column_names"] for known in unnamed]


def connect_anew(url):
    connect(url, SITE_KEY).dispose()


def test_a_new_database_has_what_the_code_reads_and_writes(new_database_url):
    engine = connect(new_database_url, SITE_KEY)
    assert version(engine) == HEAD
    assert differences(engine) == []
    engine.dispose()


def test_a_database_from_before_alembic_is_recognized_and_keeps_its_rows(new_database_url):
    made_before_alembic(new_database_url).dispose()
    engine = connect(new_database_url, SITE_KEY)
    assert version(engine) == HEAD
    assert differences(engine) == []
    accounts = Accounts(engine, Settings(), rounds=4)
    assert accounts.exist()
    temporary = accounts.recover("bob")
    assert accounts.authenticate("bob", temporary).id == 7
    engine.dispose()


@pytest.mark.parametrize("missing", ["name_skeletons", "known_addresses", "wrong_passwords"])
def test_tables_that_an_older_version_did_not_have_are_made(new_database_url, missing):
    older = made_before_alembic(new_database_url)
    with older.begin() as connection:
        connection.execute(text(f"DROP TABLE {missing}"))
    older.dispose()
    engine = connect(new_database_url, SITE_KEY)
    assert differences(engine) == []
    engine.dispose()


def test_an_unknown_role_of_an_older_database_is_disabled(tmp_path):
    url = f"sqlite:///{tmp_path / 'data' / 'app.sqlite3'}"
    made_before_alembic(url).dispose()
    with sqlite3.connect(tmp_path / "data" / "app.sqlite3") as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("UPDATE accounts SET role = 'nonsense'")
    engine = connect(url, SITE_KEY)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT role, state FROM accounts")).all() == [("clinician", "disabled")]
    engine.dispose()


def test_the_lines_of_an_older_trail_become_the_first_of_the_chain(new_database_url):
    older = made_before_alembic(new_database_url)
    with older.begin() as connection:
        # PostgreSQL leaves gaps in what it numbers.
        connection.execute(text("INSERT INTO audit VALUES (9, '2026-01-03 09:00:00.5', NULL, 'login failed', 7)"))
    older.dispose()
    engine = connect(new_database_url, SITE_KEY)
    with Session(engine) as db:
        lines = audit.entries(db, Wanted(), 9)[::-1]
        verification = audit.verify(db)
    engine.dispose()
    assert verification.is_whole
    assert [(line.number, line.actor_id, line.action, line.subject_kind, line.subject_id) for line in lines] == [
        (1, 7, "logged in", None, None),
        (2, 7, "logged in", None, None),
        (3, None, "login failed", "account", 7),
        (4, None, "lines so far chained", None, None),
    ]
    assert lines[2].time == datetime(2026, 1, 3, 9, 0, 0, 500_000, tzinfo=UTC)


def test_tables_of_another_program_are_left_alone(new_database_url, tmp_path):
    (tmp_path / "data").mkdir()
    other = create_engine(new_database_url)
    with other.begin() as connection:
        connection.execute(text("CREATE TABLE accounts (iban VARCHAR(34))"))
    with pytest.raises(UnusableDatabaseError, match="another program"):
        connect(new_database_url, SITE_KEY)
    assert inspect(other).get_table_names() == ["accounts"]
    other.dispose()


def test_a_database_of_a_newer_version_is_left_alone_with_a_sentence(new_database_url):
    engine = connect(new_database_url, SITE_KEY)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(UnusableDatabaseError, match="install that version again, or restore a backup"):
        connect(new_database_url, SITE_KEY)
    assert version(engine) == "9999"
    engine.dispose()


def test_processes_that_start_together_migrate_once(new_database_url):
    made_before_alembic(new_database_url).dispose()
    with started_apart(), ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        list(pool.map(connect_anew, [new_database_url] * 4))
    engine = connect(new_database_url, SITE_KEY)
    assert differences(engine) == []
    engine.dispose()


def test_an_upgrade_is_made_whole_or_not_at_all(new_database_url, monkeypatch):
    older = made_before_alembic(new_database_url)
    monkeypatch.setattr(migrate.command, "upgrade", _half(migrate.command.upgrade))
    with pytest.raises(KeyboardInterrupt):
        connect(new_database_url, SITE_KEY)
    assert "alembic_version" not in inspect(older).get_table_names()
    older.dispose()


def _half(upgrade):
    def run(config, revision):
        upgrade(config, revision)
        raise KeyboardInterrupt

    return run
