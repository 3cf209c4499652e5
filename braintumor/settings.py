"""Every setting of the app, read once from the environment and ``.streamlit/secrets.toml``."""

import os
import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from braintumor.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
_IS_CHECKOUT = (ROOT / "Home.py").is_file()
_MODELS = ROOT / "models" if _IS_CHECKOUT else Path(sys.prefix, "share", "braintumor", "models")
_RESULTS = ROOT / "results" if _IS_CHECKOUT else Path(sys.prefix, "share", "braintumor", "results")
_DATA = ROOT / "data" if _IS_CHECKOUT else Path.home() / ".local" / "share" / "braintumor"
"""Where an installed package keeps what a checkout has beside the code."""
SECRETS = ROOT / ".streamlit" / "secrets.toml"
DEFAULT_MODEL = "efficient_unet"
"""Bundle that answers unless another is named, and the network that it is of."""


_ORIGIN = re.compile(r"https?://(\*\.)?[a-z0-9.-]+(:[0-9]+)?")


class SettingsError(InputError):
    """A setting has a value that cannot be used; the message names it and says what is allowed."""


@dataclass(frozen=True)
class Settings:
    """Validated settings; the environment variable of each is its name in capitals behind ``BRAINTUMOR_``.

    ``database_url`` also answers to ``DATABASE_URL``. Sizes are in bytes unless the name says otherwise.
    ``site_key`` seals the audit trail; without it the key lies in ``data_dir``. With ``setup_code`` set, only who knows
    it can create the first administrator. ``max_session_mb`` and ``max_server_mb`` bound the uploads that one session
    and all sessions hold. ``frame_ancestors`` are the other sites, as origins with spaces between, that may show the
    app in a frame. ``vault_key`` holds the key of the vault, and
    behind it older ones that still open files: 32 bytes in base64 each, with spaces between; without it they lie in
    ``vault_key_file``, or where that is not set either, in ``data_dir``. What a user has on the desk stays there for
    ``desk_days`` days; ``desk_scans`` and ``desk_mb`` bound how many scans it holds and how much of the disk.
    Those that begin with ``pacs_`` are of the DICOM node, see docs/pacs.md.
    """

    data_dir: Path = _DATA
    models_dir: Path = _MODELS
    results_dir: Path = _RESULTS
    model: str = DEFAULT_MODEL
    database_url: str = ""
    demo: bool = False
    registration: str = "approval"
    cookie_key: str = ""
    site_key: str = ""
    setup_code: str = ""
    session_hours: int = 12
    max_failed_logins: int = 5
    lockout_minutes: int = 15
    max_upload_mb: int = 50
    max_files: int = 200
    max_megapixels: int = 25
    max_session_mb: int = 200
    max_server_mb: int = 400
    frame_ancestors: str = ""
    vault_key: str = ""
    vault_key_file: str = ""
    desk_days: int = 7
    desk_scans: int = 500
    desk_mb: int = 2000
    pacs_title: str = "BRAINTUMOR"
    pacs_host: str = "127.0.0.1"
    pacs_port: int = 11112
    pacs_peers: str = ""
    pacs_results: str = ""
    pacs_stow: str = ""
    pacs_stow_login: str = ""
    pacs_account: str = ""
    pacs_quiet_seconds: int = 60
    pacs_days: int = 30
    pacs_status_port: int = 11113
    pacs_certificate: str = ""
    pacs_key: str = ""
    pacs_authority: str = ""

    def __post_init__(self) -> None:
        if self.registration not in ("approval", "open"):
            raise SettingsError(f"BRAINTUMOR_REGISTRATION is {self.registration!r}; it must be 'approval' or 'open'.")
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type is int and value < 1:
                raise SettingsError(f"BRAINTUMOR_{field.name.upper()} is {value}; it must be 1 or more.")
        for name in ("cookie_key", "site_key"):
            if 0 < len(getattr(self, name)) < 32:
                raise SettingsError(f"BRAINTUMOR_{name.upper()} is shorter than 32 characters; use a random one.")
        if not all(_ORIGIN.fullmatch(origin) for origin in self.frame_ancestors.split()):
            raise SettingsError("BRAINTUMOR_FRAME_ANCESTORS must be origins such as https://mri.example.org.")

    @property
    def comparison(self) -> Path:
        """Folder of the comparison of networks."""
        return self.results_dir / "comparison"

    @property
    def vault_key_path(self) -> Path:
        """File of the vault's keys, where the setting does not hold them itself."""
        return Path(self.vault_key_file).expanduser() if self.vault_key_file else self.data_dir / "vault.key"

    @property
    def database(self) -> str:
        """SQLAlchemy address of the database: ``database_url``, else a SQLite file in ``data_dir``."""
        return self.database_url or f"sqlite:///{self.data_dir / 'braintumor.sqlite3'}"


def parse(environment: Mapping[str, str], secrets: Mapping[str, Any]) -> Settings:
    """Make ``Settings`` from two mappings, the environment winning over the secrets file.

    Raises ``SettingsError`` naming the first value that does not fit.
    """
    values: dict[str, Any] = {}
    for field in fields(Settings):
        names = [f"BRAINTUMOR_{field.name.upper()}"]
        if field.name == "database_url":
            names.append("DATABASE_URL")
        found = [source[name] for source in (environment, secrets) for name in names if name in source]
        if found:
            values[field.name] = _convert(names[0], str(found[0]), field.type)
    return Settings(**values)


def _convert(name: str, text: str, kind: Any) -> Any:
    if kind is bool:
        known = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}
        if text.lower() not in known:
            raise SettingsError(f"{name} is {text!r}; it must be 1 or 0.")
        return known[text.lower()]
    if kind is int:
        try:
            return int(text)
        except ValueError:
            raise SettingsError(f"{name} is {text!r}; it must be a whole number.") from None
    return Path(text).expanduser() if kind is Path else text


@lru_cache(maxsize=1)
def load() -> Settings:
    """Read the settings of this process once; raises ``SettingsError`` like ``parse``."""
    secrets = tomllib.loads(SECRETS.read_text(encoding="utf-8")) if SECRETS.is_file() else {}
    return parse(os.environ, secrets)
