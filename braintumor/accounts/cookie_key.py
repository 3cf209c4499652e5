"""The key that signs the login cookie."""

import os
import secrets
from pathlib import Path

from braintumor.settings import Settings, SettingsError

_SHORTEST = 32


def signing_key(settings: Settings) -> str:
    """Give the key from the settings, else the one in ``data_dir/cookie.key``, made on the first start.

    Raises ``SettingsError`` where the file holds no usable key.
    """
    if settings.cookie_key:
        return settings.cookie_key
    path = settings.data_dir / "cookie.key"
    if not path.exists():
        _create(path)
    key = path.read_text(encoding="ascii", errors="replace").strip()
    if len(key) < _SHORTEST:
        raise SettingsError(f"{path} holds no usable key; delete it and start again (everybody must then log in anew).")
    return key


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
