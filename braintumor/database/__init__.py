"""The database: how it is opened and brought up to date, what all tables share, and the audit trail."""

from braintumor.database.audit import AuditEntry, Verification, Wanted
from braintumor.database.base import Base, OneOf, UtcDateTime
from braintumor.database.engine import (
    connect,
    durable,
    open_database,
    site_key,
    site_key_path,
    unless_busy,
    writing,
)
from braintumor.database.errors import BusyError, RefusedError, UnusableDatabaseError

__all__ = [
    "AuditEntry",
    "Base",
    "BusyError",
    "OneOf",
    "RefusedError",
    "UnusableDatabaseError",
    "UtcDateTime",
    "Verification",
    "Wanted",
    "connect",
    "durable",
    "open_database",
    "site_key",
    "site_key_path",
    "unless_busy",
    "writing",
]
