"""Bringing a database up to date: the revisions that it lacks run in one transaction, under the lock of writers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from braintumor.database.errors import UnusableDatabaseError

_FOLDER = Path(__file__).parent / "migrations"


def upgrade(engine: Engine) -> None:
    """Run the revisions that the database lacks, all or none; ``engine`` must be one for writing.

    A database that an app before Alembic made is recognized by its tables. Raises ``UnusableDatabaseError`` where
    tables of the same names belong to another program, a newer version of the app made some, or a rule between tables
    is broken.
    """
    with engine.connect() as connection, _without_foreign_keys(connection), connection.begin():
        config = _config(connection)
        _refuse_newer(connection, config)
        command.upgrade(config, "head")
        if connection.dialect.name == "sqlite" and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
            raise UnusableDatabaseError("The database refers to rows that it lacks; restore it from a backup.")


def _refuse_newer(connection: Connection, config: Config) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if not known.issuperset(MigrationContext.configure(connection).get_current_heads()):
        raise UnusableDatabaseError(
            "A newer version of this app has changed the database; install that version again, or restore a backup "
            "from before the upgrade."
        )


@contextmanager
def _without_foreign_keys(connection: Connection) -> Iterator[None]:
    """Let SQLite replace a table without deleting what refers to it; inside a transaction it takes no such order."""
    if connection.dialect.name != "sqlite":
        yield
        return
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys = ON")


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("version_locations", str(_FOLDER / "versions").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    config.attributes["site_key"] = connection.get_execution_options()["site_key"]
    return config
