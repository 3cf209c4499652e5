"""What every response tells the browser: store no patient's data, run no foreign script, show in no foreign frame."""

import base64
import hashlib
import re
from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from braintumor import settings

_RELOAD = b'addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });'
"""A page that the browser froze and now shows again may be of a user who has logged out since."""

_INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}


class SecurityHeaders:
    """ASGI middleware that sets the headers of every response, and has a page reload when the browser brings it back.

    Everything is ``no-store`` but the files that Streamlit and its components ship.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        plain = {**scope, "headers": [pair for pair in scope["headers"] if pair[0] not in _rewritten(scope)]}
        await self._app(plain, receive, _Rewriter(scope["path"], send))


class _Rewriter:
    """Sends a response on with its headers set; a page is held back until it is whole."""

    def __init__(self, path: str, send: Send) -> None:
        self._path = path
        self._send = send
        self._start: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(_HEADERS)
            if not (self._is_shipped and message["status"] in (200, 206, 304)):
                headers["Cache-Control"] = "no-store"
            if headers.get("content-type", "").startswith("text/html") and "/media/" not in self._path:
                self._start = message
                return
            headers["Content-Security-Policy"] = _policy(())
        elif self._start is not None:
            self._body += message.get("body", b"")
            if message.get("more_body"):
                return
            await self._send_page(self._start)
            return
        await self._send(message)

    @property
    def _is_component(self) -> bool:
        return "/component/" in self._path

    @property
    def _is_shipped(self) -> bool:
        return self._is_component or "/static/" in self._path

    async def _send_page(self, start: Message) -> None:
        body = self._body
        if not self._is_component:
            body = body.replace(b"</head>", b"<script>" + _RELOAD + b"</script></head>", 1)
        headers = MutableHeaders(scope=start)
        headers["Content-Security-Policy"] = _policy(_INLINE_SCRIPT.findall(body))
        headers["Content-Length"] = str(len(body))
        del headers["etag"], headers["last-modified"]
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})


def _rewritten(scope: Scope) -> tuple[bytes, ...]:
    """Name the headers of a request that would bring a page compressed, or not at all since it is unchanged."""
    asks_for_page = any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])
    return (b"accept-encoding", b"if-none-match", b"if-modified-since") if asks_for_page else ()


def _policy(scripts: Sequence[bytes]) -> str:
    """Write the Content Security Policy (W3C, level 3) of a response with these inline scripts."""
    hashes = "".join(f" 'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'" for script in scripts)
    ancestors = " ".join(["'self'", *settings.load().frame_ancestors.split()])
    return "; ".join(
        [
            "default-src 'self'",
            f"script-src 'self'{hashes}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self' ws: wss:",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            f"frame-ancestors {ancestors}",
        ]
    )
