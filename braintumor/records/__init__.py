"""What the app keeps of scans: encrypted in the vault, listed in the database."""

from braintumor.records.desk_store import DeskEntry, DeskStore

__all__ = ["DeskEntry", "DeskStore"]
