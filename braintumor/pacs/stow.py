"""Results sent over the web: STOW-RS (DICOM PS3.18, section 10.5), one object a request."""

import base64
import json
import ssl
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterable, Iterator
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from braintumor.pacs.calls import TIMEOUT_SECONDS, UnreachablePeerError
from braintumor.pacs.errors import PacsError
from braintumor.pacs.tls import client_context
from braintumor.settings import Settings

_FAILED_SEQUENCE = "00081198"
_LONGEST_ANSWER = 2**20
_REFUSED = (400, 409, 413, 415, 422)
"""Statuses that are about the object; whatever else goes wrong may go right later."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *words: Any) -> None:
        """Send nothing of a patient to an address that nobody entered."""


class StowSender:
    """Sends objects to the studies of one DICOMweb server."""

    def __init__(self, settings: Settings) -> None:
        """Prepare to send to ``settings.pacs_stow``; raises ``PacsError``."""
        found = urlsplit(settings.pacs_stow)
        if found.scheme not in ("http", "https") or not found.hostname or found.username or found.query:
            raise PacsError("BRAINTUMOR_PACS_STOW must be an address such as https://archive.example.org/dicom-web.")
        self._address = f"{settings.pacs_stow.rstrip('/')}/studies"
        self._login = _authorization(settings.pacs_stow_login)
        tls = client_context(settings) or ssl.create_default_context()
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), _NoRedirect(), urllib.request.HTTPSHandler(context=tls)
        )

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
        request = urllib.request.Request(self._address, body, headers)  # noqa: S310 (http or https only, see above)
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                return _is_stored(answer.read(_LONGEST_ANSWER))
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in _REFUSED:
                return False
            raise UnreachablePeerError from None
        except (OSError, HTTPException):
            raise UnreachablePeerError from None


def _is_stored(answer: bytes) -> bool:
    """Read the answer to a request that went well: an older server says so of an object that it refused, too."""
    try:
        said = json.loads(answer)
    except ValueError:
        return True
    failed = said.get(_FAILED_SEQUENCE) if isinstance(said, dict) else None
    return not (isinstance(failed, dict) and failed.get("Value"))


def _authorization(login: str) -> dict[str, str]:
    if not login:
        return {}
    is_password = ":" in login
    return {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}" if is_password else f"Bearer {login}"}
