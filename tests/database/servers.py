"""A PostgreSQL server of the test run's own, on the loopback address, where Debian's packages are installed."""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from braintumor.database import connect

SITE_KEY = b"the key of a made site, for tests only"
OWNER = "postgres"
"""The server refuses to run as root; the package makes this user for it."""


@contextmanager
def postgresql():
    """Run a server and give its address, with a new database; skips the test where there is none to run."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
    if programs is None or not (programs / "initdb").exists():
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    as_owner = [] if os.getuid() else ["setpriv", f"--reuid={OWNER}", f"--regid={OWNER}", "--clear-groups"]
    # Not under pytest's own folder, which is closed to the server's user; short, as it also holds a socket.
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    data, password, port = folder / "data", secrets.token_hex(16), _free_port()
    (folder / "password").write_text(password)
    if not os.getuid():
        owner = pwd.getpwnam(OWNER)
        for path in (folder, folder / "password"):
            os.chown(path, owner.pw_uid, owner.pw_gid)

    def run(program, *arguments):
        subprocess.run([*as_owner, programs / program, "-D", data, *arguments], check=True, stdout=subprocess.DEVNULL)

    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} -c fsync=off"
    try:
        locale = ("-E", "UTF8", "--locale=C.UTF-8")
        run("initdb", "-U", "app", "--auth=scram-sha-256", f"--pwfile={folder / 'password'}", *locale, "--no-sync")
        run("pg_ctl", "-w", "-l", folder / "log", "-o", options, "start")
        try:
            yield f"postgresql+psycopg://app:{password}@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_tables(url):
    """Make the tables of a new database."""
    connect(url, SITE_KEY).dispose()


def created(server, name, template):
    """Make a database on a PostgreSQL server, a copy of another, in the place of one of its name; give its address."""
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        # Connections that a test left open do not hold it back.
        connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    engine.dispose()
    return make_url(server).set(database=name).render_as_string(hide_password=False)
