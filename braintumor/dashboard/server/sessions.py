"""Which sessions have passed the login gate, and the end of those whose page was closed."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from streamlit import config
from streamlit.runtime import Runtime, exists, get_instance
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx

_SWEEP_SECONDS = 2

_lock = threading.Lock()
_belongings: dict[str, "_Belongings"] = {}
_last_seen: dict[str, float] = {}
"""Admitted sessions by the time (monotonic, seconds) at which each was last connected."""
_guests: set[str] = set()
"""Those of them that are guests'."""


class _Belongings(NamedTuple):
    """What a session holds besides Streamlit's own: how to let go of it, and how many bytes of uploads it is."""

    close: Callable[[], object]
    size: Callable[[], int]


def at_end(close: Callable[[], object], size: Callable[[], int]) -> None:
    """Have ``close`` called once this run's session has ended; ``size`` gives the bytes of uploads held until then."""
    session_id = _current()
    if session_id is not None:
        with _lock:
            _belongings[session_id] = _Belongings(close, size)


def presence() -> Callable[[], bool]:
    """Give what tells whether the browser of this run's session is connected; may be asked from any thread."""
    session_id = _current()
    if session_id is None or not exists():
        return lambda: True
    runtime = get_instance()
    # A run without a server, as in tests, has no connection to lose.
    return lambda: not isinstance(runtime, Runtime) or runtime.is_active_session(session_id)


def held_bytes() -> dict[str, int]:
    """Give how many bytes of uploads sessions hold by ``at_end``."""
    with _lock:
        belongings = dict(_belongings)
    return {session_id: held.size() for session_id, held in belongings.items()}


def release(file_ids: Iterable[str]) -> None:
    """Free uploads of this run's session that are kept elsewhere now."""
    session_id = _current()
    if session_id is not None and exists():
        manager = get_instance().uploaded_file_mgr
        # Tests that run a page without a server have another one.
        if isinstance(manager, MemoryUploadedFileManager):
            for file_id in file_ids:
                manager.remove_file(session_id, file_id)


def admit(*, is_guest: bool) -> None:
    """Note that the session of this run has passed the gate; only such a session may upload."""
    session_id = _current()
    if session_id is not None:
        with _lock:
            _last_seen[session_id] = time.monotonic()
            (_guests.add if is_guest else _guests.discard)(session_id)


def guests() -> frozenset[str]:
    """Give the admitted sessions that are guests'."""
    with _lock:
        return frozenset(_guests)


def dismiss() -> None:
    """Take back the admission of this run's session, and remove what it uploaded and the pictures it was shown."""
    session_id = _current()
    if session_id is None:
        return
    with _lock:
        _last_seen.pop(session_id, None)
        _guests.discard(session_id)
    _let_go(session_id)
    if exists():
        runtime = get_instance()
        runtime.uploaded_file_mgr.remove_session_files(session_id)
        runtime.media_file_mgr.clear_session_refs(session_id)
        # Marks downloads and removes the rest; Streamlit calls it again when this run ends, which removes the marked.
        runtime.media_file_mgr.remove_orphaned_files()


def is_admitted(session_id: str) -> bool:
    """Whether a session has passed the gate and has neither been dismissed nor closed since."""
    with _lock:
        return session_id in _last_seen


async def close_abandoned(runtime: Runtime) -> None:
    """Close each admitted session some time after its page was closed, until cancelled.

    The time is half of ``server.disconnectedSessionTTL``: Streamlit itself frees a session's files only when another
    visitor comes or goes, and no longer finds the session once that option's time is over.
    """
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        for session_id in _abandoned(runtime, config.get_option("server.disconnectedSessionTTL") / 2):
            runtime.close_session(session_id)
            _let_go(session_id)


def _abandoned(runtime: Runtime, seconds: float) -> list[str]:
    now = time.monotonic()
    with _lock:
        for session_id in _last_seen:
            if runtime.is_active_session(session_id):
                _last_seen[session_id] = now
        gone = [session_id for session_id, seen in _last_seen.items() if now - seen > seconds]
        for session_id in gone:
            del _last_seen[session_id]
            _guests.discard(session_id)
    return gone


def _let_go(session_id: str) -> None:
    with _lock:
        held = _belongings.pop(session_id, None)
    if held is not None:
        held.close()


def _current() -> str | None:
    context = get_script_run_ctx(suppress_warning=True)
    return context.session_id if context else None
