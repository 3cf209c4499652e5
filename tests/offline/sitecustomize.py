"""Forbid every connection to another machine: Python runs this file at its start where its folder is on the path.

What was tried is written, a line each, to the file that ``FORBIDDEN_LOG`` names.
"""

import os
import sys
from pathlib import Path

_ASKS = {"socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"}
_OWN = ("127.", "::1", "localhost", "0.0.0.0")


def _forbid(event, arguments):
    if event not in _ASKS:
        return
    # A socket first, where there is one; then the address, of which a path of a local socket is no host.
    address = arguments[1] if event in ("socket.connect", "socket.sendto") else arguments[0]
    host = address[0] if isinstance(address, tuple) else address
    if event.startswith("socket.get") or isinstance(address, tuple):
        host = host.decode() if isinstance(host, bytes) else host
        if host and not host.startswith(_OWN):
            with Path(os.environ["FORBIDDEN_LOG"]).open("a", encoding="utf-8") as log:
                log.write(f"{event} {host}\n")
            raise OSError(f"{event} to {host} is forbidden")


if "FORBIDDEN_LOG" in os.environ:
    sys.addaudithook(_forbid)
