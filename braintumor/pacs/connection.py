"""Guards of one connection, before anything is known of who called."""

import ssl
import time
from collections.abc import Callable
from typing import Any

LARGEST_PDU = 2**17
"""Bytes of data that a peer may put into one unit of the protocol."""
_LARGEST_UNIT = 2**20
"""Bytes of any unit: a request for an association names its contexts, of which 128 take some 30 KB."""


_PIECE = 2**16
UNIT_SECONDS = 30
"""How long a peer may keep silent within a unit, and how long one may take."""


def bound_units(
    socket: Any,
    are_too_many: Callable[[int], bool] = lambda size: False,
    refused: Callable[[str], None] = lambda why: None,
) -> None:
    """Bound what an ``AssociationSocket`` reads of one unit, and how long that takes.

    ``are_too_many`` is told of all bytes before they are read, and may end the connection; ``refused`` is told why one
    ends that the other side would not have ended. pynetdicom reads as many
    bytes as a unit announces, up to 4 GB, before anything looks at them, and waits for them without an end. Who gives
    an association up waits for that, too, so that half a unit would hold both forever.
    """
    plain = socket.socket
    plain.settimeout(UNIT_SECONDS)

    def recv(size: int) -> bytearray:
        if size > _LARGEST_UNIT or are_too_many(size):
            refused("a unit of the protocol is too large")
            raise ConnectionError("a unit of the protocol is too large, or there are too many")
        found, end = bytearray(), time.monotonic() + UNIT_SECONDS
        while len(found) < size:
            if time.monotonic() > end:
                refused("a unit of the protocol does not end")
                raise TimeoutError("a unit of the protocol does not end")
            try:
                piece = plain.recv(min(size - len(found), _PIECE))
            except ssl.SSLError:
                refused("TLS was not agreed on")
                raise
            if not piece:
                break
            found += piece
        return found

    socket.recv = recv


class Flood:
    """Counts what came on one association since its last whole object, so that none can be larger than is taken."""

    def __init__(self, most: int) -> None:
        self._left = self._most = most

    def take(self, size: int) -> bool:
        """Count bytes, and tell whether they were too many."""
        self._left -= size
        return self._left < 0

    def reset(self) -> None:
        """Begin anew, for an object has come in full."""
        self._left = self._most
