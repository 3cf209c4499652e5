"""The folder of encrypted files: put, open, delete, list, and the rotation of the server's key."""

import fcntl
import hmac
import io
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from braintumor.records.vault import sealed
from braintumor.records.vault.errors import VaultError
from braintumor.records.vault.keys import EnvironmentKeys, KeyFile, KeySource, locked, new_key, sync_folder
from braintumor.settings import Settings

_NAME = re.compile(r"[0-9a-f]{64}")
_NAMING_KEY = "names"
_DRAFT = ".draft-"


class Vault:
    """Encrypted files in one folder, each named by a keyed hash of its content, so that equal content is stored once.

    The name is the HMAC-SHA-256 of the content under a key of its own, which rotation leaves as it is: who sees names
    cannot tell whether a known scan is among them. The folder shows how many files there are, when they came and their
    sizes, and nothing else. Who counts references decides when to ``delete``. Safe to use from several processes.
    """

    def __init__(self, folder: Path, keys: KeySource) -> None:
        """Open the vault in ``folder``, made with its keys on first use; drafts of writers that died are removed.

        Raises ``VaultError`` where the key is missing, readable by others or another than the vault was made with.
        """
        self._folder = folder
        self._keys = keys
        with _failures(folder):
            # The mode that mkdir is given is not that of parents which it makes on the way.
            for missing in [path for path in (folder.parent.parent, folder.parent, folder) if not path.exists()]:
                missing.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
            self._naming_key = self._read_naming_key()
            self._remove_drafts()

    def put(self, content: bytes | BinaryIO) -> str:
        """Store content and give its name, once it is safely on the disk; memory holds one chunk of it at a time.

        Equal content has the same name and is stored once. A caller that also deletes must do both under one lock or
        transaction. Raises ``VaultError`` where it cannot be written; then nothing is left of it.
        """
        return self.put_all([content])[0]

    def put_all(self, contents: Iterable[bytes | BinaryIO]) -> list[str]:
        """Store several contents as ``put`` does, and give their names in order; of a failure the earlier ones stay."""
        with _failures(self._folder), self._locked(fcntl.LOCK_SH):
            # Read under the lock: a rotation lists the files of the old key once no writer holds that key.
            wrapping = self._keys.read()[0]
            names = [self._write(content, wrapping) for content in contents]
            sync_folder(self._folder)
        return names

    def name_of(self, content: bytes) -> str:
        """Give the name under which content is, or would be, stored."""
        return hmac.digest(self._naming_key, content, "sha256").hex()

    def open(self, name: str) -> BinaryIO:
        """Open stored content for reading and seeking; only a chunk of it is ever in memory.

        Raises ``VaultError`` where it is missing, damaged, cut off, renamed or under another key; of damage in the
        middle ``read`` tells when it comes there.
        """
        path = self._path(name)
        for is_last_try in (False, True):
            keys = self._keys.read()
            try:
                file = path.open("rb")
            except OSError as error:
                raise VaultError(f"The stored file {name} is missing; restore it from a backup.") from error
            try:
                return io.BufferedReader(sealed.SealedReader(file, name, keys), sealed.CHUNK_BYTES)
            except VaultError:
                file.close()
                # A rotation may have begun between the two reads above.
                if is_last_try or keys == self._keys.read():
                    raise
        raise AssertionError("the second try returns or raises")

    def read(self, name: str) -> bytes:
        """Give stored content as a whole; raises ``VaultError`` like ``open``."""
        with self.open(name) as file:
            return file.read()

    def delete(self, name: str) -> None:
        """Remove stored content for good; does nothing where there is none, so it can be repeated after a crash."""
        path = self._path(name)
        with _failures(self._folder):
            path.unlink(missing_ok=True)
            sync_folder(self._folder)

    def contains(self, name: str) -> bool:
        """Whether there is content of this name; whether it is whole, ``open`` tells."""
        return self._path(name).is_file()

    def stored_at(self, name: str) -> float:
        """When content was stored last, in seconds since 1970; the end of time where there is none."""
        try:
            return self._path(name).stat().st_mtime
        except FileNotFoundError:
            return float("inf")

    def list(self) -> Iterator[str]:
        """Give the names of all that is stored, in no order."""
        with os.scandir(self._folder) as entries:
            yield from (entry.name for entry in entries if _NAME.fullmatch(entry.name))

    def derived_key(self, purpose: str) -> bytes:
        """Give a key of 32 bytes for another purpose, which lasts as long as the vault; the server's key wraps it."""
        return hmac.digest(self._naming_key, purpose.encode("ascii"), "sha256")

    def rewrap(self) -> int:
        """Wrap the key of every file by the newest of the server's keys, and give how many were not yet.

        No content is read or written, 40 bytes a file are. It may be killed at any point and run again. Raises
        ``VaultError`` where a file opens with none of the keys; all others are done first.
        """
        keys = self._keys.read()
        count, failures = 0, []
        for name in [_NAMING_KEY, *self.list()]:
            try:
                with _failures(self._folder), suppress(FileNotFoundError), (self._folder / name).open("r+b") as file:
                    count += sealed.rewrap(file, name, keys)
            except VaultError as error:
                failures.append(error)
        if failures:
            raise failures[0]
        return count

    def check_keys(self) -> int:
        """Check that the server's keys open every file, and give how many there are; content is not read.

        Raises ``VaultError`` for the first that opens with none of them.
        """
        keys, count = self._keys.read(), 0
        for name in self.list():
            with self._path(name).open("rb") as file:
                sealed.read_header(file, name).unwrap(keys, name)
            count += 1
        return count

    @contextmanager
    def waiting_for_writers(self) -> Iterator[None]:
        """Wait until nobody, in any process, is storing anything, and let nobody begin meanwhile."""
        with self._locked(fcntl.LOCK_EX):
            yield

    def _write(self, content: bytes | BinaryIO, wrapping: bytes) -> str:
        stream = io.BytesIO(content) if isinstance(content, bytes) else content
        digest = hmac.new(self._naming_key, digestmod="sha256")

        def chunks() -> Iterator[bytes]:
            while chunk := _read_fully(stream, sealed.CHUNK_BYTES):
                digest.update(chunk)
                yield chunk

        with self._draft() as (file, draft):
            sealed.seal(chunks(), file, wrapping, digest.hexdigest)
            file.flush()
            os.fsync(file.fileno())
            draft.replace(self._folder / digest.hexdigest())
        return digest.hexdigest()

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise VaultError("This is not the name of a stored file.")
        return self._folder / name

    def _read_naming_key(self) -> bytes:
        path = self._folder / _NAMING_KEY
        if not path.exists():
            if not self._keys.exists():
                self._keys.create()
            self._create_naming_key(path)
        elif not self._keys.exists():
            raise VaultError("The vault's key is missing; put it back from your backup, for nothing opens without it.")
        with path.open("rb") as file:
            header = sealed.read_header(file, _NAMING_KEY)
        return header.unwrap(self._keys.read(), _NAMING_KEY)[0]

    def _create_naming_key(self, path: Path) -> None:
        with self._locked(fcntl.LOCK_SH), self._draft() as (file, draft):
            sealed.write_header(file, new_key(), self._keys.read()[0])
            file.flush()
            os.fsync(file.fileno())
            # Another process may have been faster; its key stays.
            with suppress(FileExistsError):
                os.link(draft, path)
        sync_folder(self._folder)

    @contextmanager
    def _draft(self) -> Iterator[tuple[BinaryIO, Path]]:
        """Give a new file beside the others; what was not moved away from there is removed."""
        draft = self._folder / f"{_DRAFT}{secrets.token_hex(16)}"
        handle = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file, draft
        finally:
            draft.unlink(missing_ok=True)

    def _remove_drafts(self) -> None:
        try:
            with self._locked(fcntl.LOCK_EX | fcntl.LOCK_NB):
                for draft in self._folder.glob(f"{_DRAFT}*"):
                    draft.unlink(missing_ok=True)
        except BlockingIOError:
            return  # Somebody is writing; the next start removes what the dead left.

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        with locked(self._folder / ".lock", how):
            yield


def open_vault(settings: Settings, part: str = "scans") -> Vault:
    """Open a part of this server's vault, the folder ``part`` of ``data_dir/vault``; raises like ``Vault``.

    Each part belongs to who counts the references to its files, and shares nothing with another but the server's key.
    """
    return Vault(settings.data_dir / "vault" / part, key_source(settings))


def rotate(settings: Settings) -> int:
    """Give the vault a new key, wrap all files by it, and forget the old one; gives how many files there were.

    A new key is made where keys lie in a file. Where the environment gives them, the first that it gives is the new
    one. May be killed at any point and run again: the old key goes when nothing needs it any more. A running server
    takes the new key from the file at its next read. Raises ``VaultError`` where a file opens with none of the keys;
    then the old ones stay.
    """
    keys = key_source(settings)
    parts = [folder for folder in (settings.data_dir / "vault").glob("*") if folder.is_dir()]
    vaults = [Vault(folder, keys) for folder in parts]
    if not isinstance(keys, KeyFile) or not vaults:
        return sum(vault.rewrap() for vault in vaults)
    with keys.rotating():
        with ExitStack() as waiting:
            for vault in vaults:
                waiting.enter_context(vault.waiting_for_writers())
            keys.write([new_key(), *keys.read()])
        count = sum(vault.rewrap() for vault in vaults)
        keys.write(keys.read()[:1])
    return count


def key_source(settings: Settings) -> EnvironmentKeys | KeyFile:
    """Give where the keys of this server's vault come from."""
    return EnvironmentKeys(settings.vault_key) if settings.vault_key else KeyFile(settings.vault_key_path)


def _read_fully(stream: BinaryIO, size: int) -> bytes:
    """Read ``size`` bytes, less only at the end; a raw stream may give less at a time."""
    parts = []
    while size and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


@contextmanager
def _failures(folder: Path) -> Iterator[None]:
    """Turn what the disk refuses into a ``VaultError``."""
    try:
        yield
    except OSError as error:
        raise VaultError(f"The vault cannot write in {folder}: {error.strerror}. Make room or give access.") from error
