"""Whose desk is whose, and what becomes of those that nobody looks at."""

import threading
import time
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

import streamlit as st

from braintumor import settings
from braintumor.accounts import Account
from braintumor.dashboard import server
from braintumor.dashboard.answers import limits
from braintumor.dashboard.desk.desk import Bounds, Desk
from braintumor.dashboard.desk.shelves import MemoryShelf, StoredShelf, read_name
from braintumor.database import open_database
from braintumor.records import DeskStore
from braintumor.records.vault import VaultError, open_vault
from braintumor.scans import ScanError

_GUESTS = "_desk"
_IDLE_SECONDS = 600
"""After which a desk without a job leaves the memory; on the disk it stays."""

_lock = threading.Lock()
_desks: dict[tuple[settings.Settings, int], tuple[Desk, float]] = {}
"""Desks of accounts, and when each was asked for last (monotonic, seconds)."""


def desk_of(account: Account | None) -> Desk:
    """Give the desk of an account, the same for all of its tabs, or of the guest whose session this is.

    Raises ``VaultError`` where the vault cannot be opened, ``BusyError`` where the records cannot.
    """
    return _guests() if account is None else _accounts(account.id)


def forgetting(account_id: int) -> AbstractContextManager[None]:
    """Delete an account within this block; its desk then goes with it, from memory and disk."""
    return _Forgetting(account_id)


def sweep() -> None:
    """Remove what has had its time on any desk, and take desks out of memory that nobody looks at."""
    configured = settings.load()
    with _lock:
        over = time.monotonic() - _IDLE_SECONDS
        for key in [key for key, (desk, asked) in _desks.items() if asked < over and desk.progress is None]:
            _desks.pop(key)[0].close()
    if (configured.data_dir / "vault" / "desk").is_dir():
        _store(configured).sweep()


def read_stored(content: str) -> bytes:
    """Read a file on an account's desk by its name in the vault; raises ``ScanError`` where it is gone."""
    try:
        with _store(settings.load()).open(content) as file:
            read_name(file)
            return file.read()
    except VaultError as error:
        raise ScanError("This file can no longer be read.", "Upload it again.") from error


def _guests() -> Desk:
    state: Any = st.session_state
    if _GUESTS not in state:
        configured = settings.load()
        bounds = Bounds(limits().max_files, configured.max_session_mb * 2**20, is_guest=True)
        # A guest's work ends when the guest leaves; that of an account goes on.
        desk = Desk(MemoryShelf(), bounds, server.presence())
        server.at_end(desk.close, desk.held)
        state[_GUESTS] = desk
    desk = state[_GUESTS]
    assert isinstance(desk, Desk)
    return desk


def _accounts(account_id: int) -> Desk:
    configured = settings.load()
    key = configured, account_id
    with _lock:
        if key not in _desks:
            shelf = StoredShelf(_store(configured), account_id, read_stored)
            bounds = Bounds(configured.desk_scans, configured.desk_mb * 2**20, is_guest=False)
            _desks[key] = Desk(shelf, bounds), 0.0
        desk = _desks[key][0]
        _desks[key] = desk, time.monotonic()
        return desk


@cache
def _store(configured: settings.Settings) -> DeskStore:
    return DeskStore(open_database(configured), open_vault(configured, "desk"), configured.desk_days)


class _Forgetting:
    def __init__(self, account_id: int) -> None:
        self._account_id = account_id
        self._store = _store(settings.load()).forgetting(account_id)

    def __enter__(self) -> None:
        self._store.__enter__()

    def __exit__(self, *failure: Any) -> None:
        self._store.__exit__(*failure)
        if failure[0] is None:
            with _lock:
                found = _desks.pop((settings.load(), self._account_id), None)
            if found:
                found[0].close()
