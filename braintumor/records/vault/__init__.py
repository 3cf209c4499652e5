"""Encrypted files at rest: what a scan becomes on disk, and the keys that open it."""

from braintumor.records.vault.errors import VaultError
from braintumor.records.vault.keys import EnvironmentKeys, KeyFile, KeySource
from braintumor.records.vault.vault import Vault, open_vault, rotate

__all__ = ["EnvironmentKeys", "KeyFile", "KeySource", "Vault", "VaultError", "open_vault", "rotate"]
