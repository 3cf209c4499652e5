"""Secrets that the app makes for itself, each a line of text in a file for its owner only."""

import os
import secrets
from pathlib import Path

from braintumor.settings import SettingsError

_SHORTEST = 32


def secret(path: Path, loss: str) -> str:
    """Give the secret in a file, made on the first start; ``loss`` is what a new one would cost.

    Raises ``SettingsError`` where the file holds no usable secret.
    """
    if not path.exists():
        _create(path)
    text = path.read_text(encoding="ascii", errors="replace").strip()
    if len(text) < _SHORTEST:
        raise SettingsError(f"{path} holds no usable key; restore it, or delete it and start again ({loss}).")
    return text


def _create(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            stream.write(secrets.token_urlsafe(48))
            stream.flush()
            os.fsync(stream.fileno())
        # A link appears whole or not at all and never replaces another process's key.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
