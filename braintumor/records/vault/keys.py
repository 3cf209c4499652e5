"""The server's keys, which wrap the key of each stored file: from a file for its owner only, or from a setting."""

import base64
import binascii
import fcntl
import os
import secrets
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from braintumor.records.vault.errors import VaultError

KEY_BYTES = 32
"""AES-256."""


class KeySource(Protocol):
    """Where the server's keys come from; the first wraps, the others only open what they wrapped before."""

    def read(self) -> tuple[bytes, ...]:
        """Give the keys, 32 bytes each, the newest first; raises ``VaultError`` where there is none to use."""
        ...

    def exists(self) -> bool:
        """Whether there is a key, usable or not."""
        ...

    def create(self) -> None:
        """Make the first key where there is none; does nothing where another process was faster."""
        ...


@dataclass(frozen=True)
class EnvironmentKeys:
    """Keys given by a setting: base64 texts with spaces between, the newest first."""

    text: str

    def read(self) -> tuple[bytes, ...]:
        return _parse(self.text.split(), "BRAINTUMOR_VAULT_KEY")

    def exists(self) -> bool:
        return True

    def create(self) -> None:
        """Nothing to make: the setting holds the key."""


@dataclass(frozen=True)
class KeyFile:
    """Keys in a text file that only its owner may read, one a line in base64, the newest first."""

    path: Path

    def read(self) -> tuple[bytes, ...]:
        try:
            with self.path.open(encoding="ascii", errors="replace") as stream:
                mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
                lines = stream.read(64 * 1024).split()
        except OSError as error:
            raise VaultError(
                f"The vault's key cannot be read from {self.path} ({error.strerror}); put it back from your backup."
            ) from error
        if mode & 0o077:
            raise VaultError(
                f"{self.path} has mode {mode:04o}, so others may read the vault's key; run chmod 600 on it."
            )
        return _parse(lines, str(self.path))

    def exists(self) -> bool:
        return self.path.exists()

    def create(self) -> None:
        """Write a first key, in a folder for its owner only; never replaces a key."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._draft([new_key()])
        # A link appears whole or not at all, and never replaces another process's key.
        with suppress(FileExistsError, FileNotFoundError):
            os.link(draft, self.path)
        draft.unlink(missing_ok=True)
        sync_folder(self.path.parent)

    def write(self, keys: Sequence[bytes]) -> None:
        """Replace the file, whole or not at all; what a process that died left of older keys goes."""
        for left in self.path.parent.glob(f".{self.path.name}.*"):
            left.unlink(missing_ok=True)
        draft = self._draft(keys)
        draft.replace(self.path)
        sync_folder(self.path.parent)

    @contextmanager
    def rotating(self) -> Iterator[None]:
        """Let one rotation of these keys run at a time, in any process."""
        with locked(self.path.with_name(f"{self.path.name}.lock"), fcntl.LOCK_EX):
            yield

    def _draft(self, keys: Iterable[bytes]) -> Path:
        draft = self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}")
        handle = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            stream.writelines(base64.b64encode(key).decode("ascii") + "\n" for key in keys)
            stream.flush()
            os.fsync(stream.fileno())
        return draft


def new_key() -> bytes:
    """Make a random key of 32 bytes."""
    return secrets.token_bytes(KEY_BYTES)


@contextmanager
def locked(path: Path, how: int) -> Iterator[None]:
    """Hold a lock of ``flock`` on a file; raises ``BlockingIOError`` where it is taken and ``how`` will not wait."""
    # Opened anew each time: a lock belongs to the open file, and so excludes other threads of this process too.
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Wait until the disk holds which files lie in a folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _parse(texts: Sequence[str], where: str) -> tuple[bytes, ...]:
    try:
        keys = tuple(base64.b64decode(text, validate=True) for text in texts)
    except (binascii.Error, ValueError):
        keys = ()
    if not keys or any(len(key) != KEY_BYTES for key in keys):
        raise VaultError(f"{where} holds no usable key; it must be {KEY_BYTES} random bytes in base64, as it was made.")
    return keys
