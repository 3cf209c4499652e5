"""Guards of one connection, before anything is known of who called."""

from typing import Any

LARGEST_PDU = 2**17
"""Bytes of data that a peer may put into one unit of the protocol."""
_LARGEST_UNIT = 2**20
"""Bytes of any unit: a request for an association names its contexts, of which 128 take some 30 KB."""


def bound_units(socket: Any) -> None:
    """Let an ``AssociationSocket`` read no more of one unit than memory is there for.

    pynetdicom reads as many bytes as a unit announces, up to 4 GB, before anything looks at them.
    """
    read = socket.recv

    def recv(size: int) -> bytearray:
        if size > _LARGEST_UNIT:
            raise ConnectionError("a unit of the protocol is too large")
        found: bytearray = read(size)
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
