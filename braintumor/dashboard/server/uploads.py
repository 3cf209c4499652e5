"""Who may upload, and how much of uploads a session and the server hold."""

from collections import Counter
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.runtime import get_instance
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

from braintumor import settings
from braintumor.dashboard.server.sessions import guests, held_bytes, is_admitted

_UPLOADS = "/_stcore/upload_file/"


class UploadGuard:
    """ASGI middleware that refuses uploads of sessions outside the gate (403) and beyond what may be held (413).

    What a session and all sessions hold is what Streamlit keeps of theirs and what lies on guests' desks, plus what is
    under way, chunked bodies included; ``BRAINTUMOR_MAX_SESSION_MB`` and ``BRAINTUMOR_MAX_SERVER_MB`` bound the two.
    Guests together hold half of what all may.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._under_way: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        session_id = _uploading_session(scope)
        if session_id is None:
            await self._app(scope, receive, send)
        elif not is_admitted(session_id):
            await PlainTextResponse("Log in before you upload.", 403)(scope, receive, send)
        else:
            await self._admit(session_id, scope, receive, send)

    async def _admit(self, session_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        upload = _Upload(declared=_declared_bytes(scope))
        self._under_way[session_id] += upload.declared
        try:
            if not self._fits(session_id):
                await PlainTextResponse("No room for more uploads; remove some.", 413)(scope, receive, send)
                return

            async def counted() -> Message:
                message = await receive()
                self._under_way[session_id] += upload.receive(len(message.get("body", b"")))
                if not self._fits(session_id):
                    raise HTTPException(413, "No room for more uploads; remove some.")
                return message

            await self._app(scope, counted, send)
        finally:
            self._under_way[session_id] -= upload.held
            if not self._under_way[session_id]:
                del self._under_way[session_id]

    def _fits(self, session_id: str) -> bool:
        configured = settings.load()
        stored = _stored_bytes()
        held = stored + self._under_way
        of_guests = guests()
        everyone = configured.max_server_mb * 2**20
        has_share = (
            session_id not in of_guests
            or sum(size for session, size in held.items() if session in of_guests) <= everyone // 2
        )
        return has_share and held[session_id] <= configured.max_session_mb * 2**20 and held.total() <= everyone


@dataclass
class _Upload:
    """One request: the bytes it said it would send, and those that came."""

    declared: int
    received: int = 0

    @property
    def held(self) -> int:
        return max(self.declared, self.received)

    def receive(self, count: int) -> int:
        """Count bytes that came, and give by how much more is held now."""
        before = self.held
        self.received += count
        return self.held - before


def _uploading_session(scope: Scope) -> str | None:
    if scope["type"] != "http" or scope["method"] != "PUT" or _UPLOADS not in scope["path"]:
        return None
    session_id: str = scope["path"].partition(_UPLOADS)[2].partition("/")[0]
    return session_id


def _declared_bytes(scope: Scope) -> int:
    declared = Request(scope).headers.get("content-length", "")
    return int(declared) if declared.isascii() and declared.isdigit() else 0


def _stored_bytes() -> Counter[str]:
    manager = get_instance().uploaded_file_mgr
    assert isinstance(manager, MemoryUploadedFileManager)
    # Copied, since another thread may add a file meanwhile.
    held = {session_id: list(files.values()) for session_id, files in manager.file_storage.copy().items()}
    stored = Counter({session_id: sum(len(file.data) for file in files) for session_id, files in held.items()})
    return stored + Counter(held_bytes())
