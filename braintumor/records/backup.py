"""A backup: the database and the vault's encrypted files in one archive, without the keys that open them.

It is a plain tar file, whose members are, in this order:

======================  ====================================================================================
``vault/PART/NAME``     each file of the vault as it lies, encrypted; ``names`` is the key of the names, wrapped
``braintumor.sqlite3``  the database at one moment, at which each of its rows has its files
``manifest.sha256``     the SHA-256 of each of these, in their order, as ``sha256sum --check`` reads it
``manifest.seal``       the HMAC-SHA-256 of the manifest under the site's key, in hexadecimals
======================  ====================================================================================

The app may run meanwhile. A file that is deleted during the backup may still be in it, and is swept after a restore.
"""

import hashlib
import hmac
import io
import os
import re
import secrets
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import connect as open_file
from typing import BinaryIO

from sqlalchemy import Engine, make_url
from sqlalchemy.orm import Session

from braintumor.database import Verification, audit, open_database, site_key, unless_busy, writing
from braintumor.records.errors import BackupError
from braintumor.records.vault import KeyFile, key_source
from braintumor.settings import Settings

DATABASE = "braintumor.sqlite3"
MANIFEST = "manifest.sha256"
SEAL = "manifest.seal"
FILE_NAME = re.compile(r"vault/[a-z]{1,16}/([0-9a-f]{64}|names)")
"""Name in the archive of a file of the vault."""


@dataclass(frozen=True)
class Backup:
    """What was written or restored: how many files of the vault, and what a check of the audit trail gave."""

    files: int
    trail: Verification


def back_up(settings: Settings, target: Path) -> Backup:
    """Write a backup of this server's database and vault to a new file for its owner only; memory holds no file whole.

    Raises ``BackupError`` where there is nothing to back up, the records lie in PostgreSQL, or the file exists;
    ``BusyError`` where the database does not answer, ``OSError`` where the disk refuses. Then no file is left.
    """
    if not database_file(settings).is_file():
        raise BackupError(f"There is no database at {database_file(settings)} to back up; check BRAINTUMOR_DATA_DIR.")
    if target.exists():
        raise BackupError(f"{target} exists already; name a new file.")
    keys = key_source(settings)
    engine = open_database(settings)
    # A rotation would leave some files under the old key and some under the new one.
    rotation = keys.rotating() if isinstance(keys, KeyFile) else nullcontext()
    try:
        with rotation, private_file(target) as file:
            return _write(engine, settings, file)
    finally:
        engine.dispose()


def database_file(settings: Settings) -> Path:
    """Give the file of the database; raises ``BackupError`` where the records lie in PostgreSQL."""
    address = make_url(settings.database.replace("postgres://", "postgresql://", 1))
    if address.get_backend_name() != "sqlite":
        raise BackupError(
            "These records lie in PostgreSQL: stop the app, save them with pg_dump, and copy the folder "
            f"{settings.data_dir / 'vault'} with them."
        )
    return Path(address.database or ":memory:")


@contextmanager
def private_file(path: Path) -> Iterator[BinaryIO]:
    """Give a new file, for its owner only, that takes its name once it is whole; of a failure nothing is left."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


class _Archive:
    """Adds files to a tar file and writes their hashes down."""

    def __init__(self, tar: tarfile.TarFile, manifest: BinaryIO) -> None:
        self._tar = tar
        self._manifest = manifest
        self.names: set[str] = set()

    def add(self, name: str, file: BinaryIO) -> None:
        hashed = _Hashed(file)
        self.put(name, hashed, os.fstat(file.fileno()).st_size)
        self._manifest.write(f"{hashed.digest.hexdigest()}  {name}\n".encode("ascii"))
        self.names.add(name)

    def put(self, name: str, file: "BinaryIO | _Hashed", size: int) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = size, 0o600
        self._tar.addfile(member, file)
        # It would remember every member until the end.
        self._tar.members.clear()  # type: ignore[attr-defined]


class _Hashed:
    """Reads a file and takes the SHA-256 of what was read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        return data


def _write(engine: Engine, settings: Settings, file: BinaryIO) -> Backup:
    with (
        tempfile.TemporaryDirectory(dir=settings.data_dir, prefix=".backup-") as folder,
        tempfile.TemporaryFile(dir=folder) as manifest,
        tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar,
    ):
        archive = _Archive(tar, manifest)
        vault = settings.data_dir / "vault"
        snapshot = Path(folder, DATABASE)
        # Most of it while everybody works on; then, for a moment in which nobody changes anything, what has come since.
        _add_files(archive, vault)
        with Session(engine) as db:
            trail = audit.verify(db)
        with unless_busy(), Session(writing(engine)) as db, db.begin():
            db.connection()
            _add_files(archive, vault)
            _copy_database(engine, snapshot)
            files = sum(not name.endswith("/names") for name in archive.names)
            audit.append(db, audit.utc_now(), "backup made", details={"files": files})
        with snapshot.open("rb") as copy:
            archive.add(DATABASE, copy)
        _add_manifest(archive, manifest, site_key(settings))
        return Backup(files, trail)


def _add_files(archive: _Archive, vault: Path) -> None:
    """Add the files of the vault that are not in the archive yet."""
    for folder in sorted(path for path in vault.glob("*") if path.is_dir()):
        with os.scandir(folder) as entries:
            for entry in entries:
                name = f"vault/{folder.name}/{entry.name}"
                if FILE_NAME.fullmatch(name) and name not in archive.names:
                    # Who deletes it meanwhile is right.
                    with suppress(FileNotFoundError), Path(entry.path).open("rb") as file:
                        archive.add(name, file)


def _copy_database(engine: Engine, target: Path) -> None:
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    with engine.connect() as reader, closing(open_file(target)) as copy:
        driver = reader.connection.driver_connection
        assert driver is not None
        driver.backup(copy)


def _add_manifest(archive: _Archive, manifest: BinaryIO, key: bytes) -> None:
    size = manifest.tell()
    manifest.seek(0)
    seal = seal_of(manifest, key).encode("ascii")
    manifest.seek(0)
    archive.put(MANIFEST, manifest, size)
    archive.put(SEAL, io.BytesIO(seal), len(seal))


def seal_of(manifest: BinaryIO, key: bytes) -> str:
    """Give the seal of a manifest, read to its end, under the site's key."""
    seal = hmac.new(key, digestmod="sha256")
    for chunk in iter(lambda: manifest.read(64 * 1024), b""):
        seal.update(chunk)
    return seal.hexdigest()
