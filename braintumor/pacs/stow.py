"""Results sent over the web: STOW-RS (DICOM PS3.18, section 10.5), one object a request."""

import base64
import json
import socket
import ssl
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from threading import Event, Timer
from urllib.parse import urlsplit

from braintumor.pacs.calls import TIMEOUT_SECONDS, UnreachablePeerError
from braintumor.pacs.errors import PacsError
from braintumor.pacs.tls import client_context
from braintumor.settings import Settings

_FAILED_SEQUENCE = "00081198"
_LONGEST_ANSWER = 2**20
REQUEST_SECONDS = 300
"""How long one object may take with its answer; ``TIMEOUT_SECONDS`` is how long the server may keep silent."""
_REFUSED = (400, 409, 413, 415, 422)
"""Statuses that are about the object; whatever else goes wrong may go right later."""


class StowSender:
    """Sends objects to the studies of one DICOMweb server."""

    def __init__(self, settings: Settings) -> None:
        """Prepare to send to ``settings.pacs_stow``; raises ``PacsError``."""
        found = urlsplit(settings.pacs_stow)
        try:
            self._host, self._port = found.hostname or "", found.port
        except ValueError:
            self._host = ""
        if found.scheme not in ("http", "https") or not self._host or found.username or found.query:
            raise PacsError("BRAINTUMOR_PACS_STOW must be an address such as https://archive.example.org/dicom-web.")
        self._path = f"{found.path.rstrip('/')}/studies"
        self._login = _authorization(settings.pacs_stow_login)
        is_secret = found.scheme == "https"
        self._tls = (client_context(settings) or ssl.create_default_context()) if is_secret else None

    def send(self, contents: Iterable[bytes]) -> Iterator[bool]:
        """Send objects in turn and tell of each whether it was stored; raises ``UnreachablePeerError``."""
        for content in contents:
            yield self._store(content)

    def _store(self, content: bytes) -> bool:
        boundary = uuid.uuid4().hex
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        body = head + content + f"\r\n--{boundary}--\r\n".encode()
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Accept": "application/dicom+json",
            **self._login,
        }
        try:
            with self._connected() as connection:
                connection.request("POST", self._path, body, headers)
                answer = connection.getresponse()
                said = answer.read(_LONGEST_ANSWER)
        except (OSError, HTTPException):
            raise UnreachablePeerError from None
        if answer.status in _REFUSED:
            return False
        # Nothing of a patient follows a redirection, to an address that nobody entered.
        if not 200 <= answer.status < 300:
            raise UnreachablePeerError
        return _is_stored(said)

    @contextmanager
    def _connected(self) -> Iterator[HTTPConnection]:
        """Give a connection that is cut when its time is over; raises ``OSError`` then.

        The timeout of a socket begins anew with each byte, so that a server could hold the worker for years.
        """
        connection = (
            HTTPConnection(self._host, self._port, timeout=TIMEOUT_SECONDS)
            if self._tls is None
            else HTTPSConnection(self._host, self._port, timeout=TIMEOUT_SECONDS, context=self._tls)
        )
        is_late = Event()
        try:
            connection.connect()
            # The connection forgets it once a server says that it will close it.
            used = connection.sock

            def cut() -> None:
                is_late.set()
                with suppress(OSError):
                    used.shutdown(socket.SHUT_RDWR)

            timer = Timer(REQUEST_SECONDS, cut)
            timer.daemon = True
            timer.start()
            try:
                yield connection
            finally:
                timer.cancel()
        finally:
            connection.close()
        # What was cut may look like a short answer.
        if is_late.is_set():
            raise TimeoutError


def _is_stored(answer: bytes) -> bool:
    """Read the answer to a request that went well: an older server says so of an object that it refused, too."""
    try:
        said = json.loads(answer)
    except (ValueError, RecursionError):
        return True
    failed = said.get(_FAILED_SEQUENCE) if isinstance(said, dict) else None
    return not (isinstance(failed, dict) and failed.get("Value"))


def _authorization(login: str) -> dict[str, str]:
    if not login:
        return {}
    is_password = ":" in login
    return {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}" if is_password else f"Bearer {login}"}
