"""Opening the database: SQLite in a private file by default, PostgreSQL by its address."""

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import InterfaceError, OperationalError, TimeoutError
from sqlalchemy.pool import StaticPool

from braintumor.database import migrate
from braintumor.database.errors import BusyError
from braintumor.database.secret_file import secret
from braintumor.settings import Settings

_LOG = logging.getLogger(__name__)
_WRITER_LOCK = 0x62726169
_SECONDS_TO_WAIT = 10
_CREATING = threading.Lock()


def open_database(settings: Settings) -> Engine:
    """Open the database that the settings name, like ``connect``."""
    return connect(settings.database, site_key(settings))


def site_key(settings: Settings) -> bytes:
    """Give the key that seals the audit trail, made on the first start; raises ``SettingsError`` for no key."""
    loss = "the audit trail so far can then no longer be verified"
    return (settings.site_key or secret(site_key_path(settings), loss)).encode("utf-8")


def site_key_path(settings: Settings) -> Path:
    """Give the file of the key that seals the audit trail, where the setting does not hold it itself."""
    return settings.data_dir / "site.key"


def connect(url: str, site_key: bytes) -> Engine:
    """Open the database at ``url`` and bring its tables up to date; ``site_key`` seals its audit trail.

    A SQLite file and the folder it lies in are made only for their owner. Raises ``BusyError`` for a database that
    cannot be reached, ``UnusableDatabaseError`` like ``migrate.upgrade``, and SQLAlchemy's ``ArgumentError`` for what
    is no address of one.
    """
    # Hosting services hand out the short scheme, which SQLAlchemy no longer knows.
    address = make_url(url.replace("postgres://", "postgresql://", 1))
    options: dict[str, Any] = {"pool_pre_ping": True}
    if address.get_backend_name() == "sqlite":
        if address.database in (None, "", ":memory:"):
            options = {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
        else:
            _make_private(Path(str(address.database)))
    # What people typed stays out of the log.
    engine = create_engine(address, hide_parameters=True, **options)
    if address.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin)
    engine = engine.execution_options(site_key=site_key)
    with unless_busy():
        migrate.upgrade(writing(engine))
    return engine


def writing(engine: Engine) -> Engine:
    """Give the same database for transactions that decide on what they read: only one runs at a time."""
    return engine.execution_options(writing=True)


def durable(engine: Engine) -> Engine:
    """Give the same database as ``writing`` does, for what not even a power cut may lose once it is written."""
    return engine.execution_options(writing=True, durable=True)


@contextmanager
def unless_busy() -> Iterator[None]:
    """Turn what happens when the database is locked, or out of reach, into ``BusyError``; the log has the cause."""
    try:
        yield
    except (OperationalError, InterfaceError, TimeoutError) as error:
        _LOG.warning("The database did not answer: %s", error)
        raise BusyError from error


def _make_private(file: Path) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # To close a file ends all locks that this process has on it (POSIX), those of SQLite's connections too; the next
    # other process to close the database would then delete the log that these still write to. So it is opened here
    # only while it cannot have any connection.
    with _CREATING:
        if not file.exists():
            os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    file.chmod(0o600)


def _configure_sqlite(connection: Any, _record: Any) -> None:
    # The driver opens transactions late and on its own terms; None leaves that to _begin.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {_SECONDS_TO_WAIT * 1000:.0f}")
    _use_write_ahead_log(connection)
    connection.execute("PRAGMA foreign_keys = ON")


def _use_write_ahead_log(connection: Any) -> None:
    # SQLite heeds no busy timeout while another process makes the same change, as when several start together.
    deadline = time.monotonic() + _SECONDS_TO_WAIT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _begin(connection: Connection) -> None:
    exclusive = connection.get_execution_options().get("writing", False)
    if connection.dialect.name == "sqlite":
        # As PostgreSQL does for everybody. SQLite takes it only outside of a transaction, and keeps it for the next.
        level = "FULL" if connection.get_execution_options().get("durable", False) else "NORMAL"
        connection.exec_driver_sql(f"PRAGMA synchronous = {level}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if exclusive else "BEGIN")
    elif connection.dialect.name == "postgresql" and exclusive:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_SECONDS_TO_WAIT}s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITER_LOCK})")
