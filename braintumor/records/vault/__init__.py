"""Encrypted files at rest: what a scan becomes on disk, and the keys that open it."""

from braintumor.records.vault.errors import VaultError
from braintumor.records.vault.keys import EnvironmentKeys, KeyFile, KeySource, sync_folder
from braintumor.records.vault.vault import Vault, key_source, open_vault, rotate

__all__ = [
    "EnvironmentKeys",
    "KeyFile",
    "KeySource",
    "Vault",
    "VaultError",
    "key_source",
    "open_vault",
    "rotate",
    "sync_folder",
]
