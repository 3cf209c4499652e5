"""Restoring a backup into an empty place: unpacked beside it, checked to the last file, and only then moved in."""

import hashlib
import hmac
import io
import os
import secrets
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from sqlalchemy import Engine, select, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from braintumor.database import Verification, audit, connect, site_key, site_key_path, unless_busy, writing
from braintumor.records.backup import DATABASE, FILE_NAME, MANIFEST, SEAL, Backup, database_file, seal_of
from braintumor.records.errors import BackupError
from braintumor.records.references import REFERENCES
from braintumor.records.vault import Vault, key_source, sync_folder
from braintumor.settings import Settings

_CHUNK = 64 * 1024
_MOST_AT_ONCE = 1024 * 1024
_SEAL_BYTES = 64
_STAGING = ".restore-"
_NO_BACKUP = "This is no backup of this app, or it was altered or cut off; take another one. Nothing was restored."
_DAMAGED = "The database in this backup is damaged; take another one. Nothing was restored."


def restore(settings: Settings, source: Path) -> Backup:
    """Restore a backup to where this server keeps its data, which must be empty except for the keys.

    Nothing is there until every hash, the manifest's seal, the whole audit trail, the key of each stored file, and that
    each row has its files, are checked. Raises ``BackupError`` where one of these fails, the place is not empty or a
    key is missing; ``VaultError`` where the vault's key is another one.
    """
    database = database_file(settings)
    _check_place(settings, database)
    key = site_key(settings)
    with _staging(settings.data_dir) as folder:
        _unpack(source, folder, key)
        restored = _checked(settings, folder, key)
        _move(folder, settings.data_dir, database)
    return restored


def _check_place(settings: Settings, database: Path) -> None:
    vault = settings.data_dir / "vault"
    taken = [path for path in (database, Path(f"{database}-wal")) if path.exists()]
    taken += [vault] if vault.exists() and any(vault.iterdir()) else []
    if taken:
        raise BackupError(
            f"{taken[0]} exists already; move it away, for a backup is restored into an empty place only."
        )
    if not settings.site_key and not site_key_path(settings).exists():
        raise BackupError(f"The site's key is missing; put it back first, as {site_key_path(settings)} or its setting.")
    if not key_source(settings).exists():
        raise BackupError(
            f"The vault's key is missing; put it back first, as {settings.vault_key_path} or its setting."
        )


@contextmanager
def _staging(place: Path) -> Iterator[Path]:
    for left in place.glob(f"{_STAGING}*"):
        shutil.rmtree(left)
    folder = place / f"{_STAGING}{secrets.token_hex(8)}"
    for made in (folder, folder / "vault"):
        made.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Bounded(io.BufferedReader):
    """A file that is never read more than 1 MB at once, whatever sizes the headers of an archive claim."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= _MOST_AT_ONCE:
            raise BackupError(_NO_BACKUP)
        return super().read(size)


def _unpack(source: Path, folder: Path, key: bytes) -> None:
    """Write the members of an archive below ``folder``, and hold them against its sealed manifest."""
    with _Bounded(io.FileIO(source)) as file, tempfile.TemporaryFile(dir=folder) as listed:
        try:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                members = _members(tar)
                for name, content in members:
                    if name == MANIFEST:
                        _check_manifest(content, listed, key, members)
                        return
                    listed.write(f"{_write(folder, name, content)}  {name}\n".encode("ascii"))
        except (tarfile.TarError, FileExistsError) as error:
            raise BackupError(_NO_BACKUP) from error
    raise BackupError(_NO_BACKUP)


def _members(tar: tarfile.TarFile) -> Iterator[tuple[str, BinaryIO]]:
    """Give the name of each member and its content, which must be read before the next one."""
    while (member := tar.next()) is not None:
        # It would remember every member until the end.
        tar.members.clear()  # type: ignore[attr-defined]
        content = tar.extractfile(member) if member.type == tarfile.REGTYPE and not member.issparse() else None
        if content is None:
            raise BackupError(_NO_BACKUP)
        yield member.name, cast(BinaryIO, content)


def _write(folder: Path, name: str, content: BinaryIO) -> str:
    """Write a member to where its name says, and give its SHA-256; raises ``BackupError`` for a name of no backup."""
    if name != DATABASE and not FILE_NAME.fullmatch(name):
        raise BackupError(_NO_BACKUP)
    path = folder / name
    path.parent.mkdir(mode=0o700, exist_ok=True)
    digest = hashlib.sha256()
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        for chunk in iter(lambda: content.read(_CHUNK), b""):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def _check_manifest(manifest: BinaryIO, listed: BinaryIO, key: bytes, members: Iterator[tuple[str, BinaryIO]]) -> None:
    """Hold what was ``listed`` while unpacking against the manifest, and its seal against that behind it."""
    listed.seek(0)
    chunks = iter(lambda: listed.read(_CHUNK), b"")
    fits = all(manifest.read(len(chunk)) == chunk for chunk in chunks) and not manifest.read(1)
    listed.seek(0)
    name, content = next(members, ("", io.BytesIO()))
    seal = content.read(2 * _SEAL_BYTES)
    if not fits or name != SEAL or next(members, None) is not None:
        raise BackupError(_NO_BACKUP)
    if not hmac.compare_digest(seal, seal_of(listed, key).encode("ascii")):
        raise BackupError(
            "This backup does not fit the site's key: put back the key of the server it is of, or it was altered."
        )


def _checked(settings: Settings, folder: Path, key: bytes) -> Backup:
    """Check what was unpacked: the database, its audit trail, each file's key, and that no row lacks its file."""
    if not (folder / DATABASE).is_file():
        raise BackupError(_NO_BACKUP)
    vaults = {part.name: _vault(part, settings) for part in sorted(folder.glob("vault/*"))}
    files = sum(vault.check_keys() for vault in vaults.values())
    try:
        engine = connect(f"sqlite:///{folder / DATABASE}", key)
        try:
            return Backup(files, _check_database(engine, vaults))
        finally:
            # The last connection takes the write-ahead log into the file.
            engine.dispose()
    except DatabaseError as error:
        raise BackupError(_DAMAGED) from error


def _vault(part: Path, settings: Settings) -> Vault:
    if not (part / "names").is_file():
        raise BackupError(_NO_BACKUP)
    return Vault(part, key_source(settings))


def _check_database(engine: Engine, vaults: Mapping[str, Vault]) -> Verification:
    with unless_busy(), Session(writing(engine)) as db, db.begin():
        if db.execute(text("PRAGMA integrity_check")).scalars().all() != ["ok"]:
            raise BackupError(_DAMAGED)
        trail = audit.verify(db)
        if not trail.is_whole:
            raise BackupError(f"The audit trail in this backup is broken at line {trail.broken_at}; take another one.")
        for part, columns in REFERENCES.items():
            for column in columns:
                for name in db.scalars(select(column).where(column.is_not(None)).execution_options(yield_per=1000)):
                    if part not in vaults or not vaults[part].contains(str(name)):
                        raise BackupError("A record in this backup lacks its file; take another one.")
        audit.append(db, audit.utc_now(), "backup restored", details={"lines": trail.lines})
    return trail


def _move(folder: Path, place: Path, database: Path) -> None:
    """Move what was checked to where it belongs, the database last: with it the server has data again."""
    os.sync()
    (folder / "vault").replace(place / "vault")
    sync_folder(place)
    database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / DATABASE).replace(database)
    sync_folder(database.parent)
