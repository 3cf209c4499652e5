"""One queue for the whole server: so many scans are read and answered at once, the others wait in order of arrival."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

_ASK_AGAIN_SECONDS = 0.5


class Workload:
    """Places at work, first come first served: ``scans_at_once`` at most, of ``bytes_at_once`` decoded bytes in all.

    A scan larger than ``bytes_at_once`` is let in when nothing else is at work.
    """

    def __init__(self, scans_at_once: int, bytes_at_once: int) -> None:
        self._scans_at_once = scans_at_once
        self._bytes_at_once = bytes_at_once
        self._changed = threading.Condition()
        self._waiting: list[object] = []
        self._at_work: dict[object, int] = {}

    @contextmanager
    def turn(self, size: int, on_wait: Callable[[int], object]) -> Iterator[None]:
        """Wait for a place for ``size`` decoded bytes and hold it.

        ``on_wait`` is called with the number of scans ahead, every half second while waiting; what it raises, such as
        Streamlit's stop of a run whose user has left, gives the place in the queue up.
        """
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
        try:
            while (ahead := self._try(ticket, size)) is not None:
                on_wait(ahead)
                with self._changed:
                    self._changed.wait(_ASK_AGAIN_SECONDS)
            yield
        finally:
            with self._changed:
                self._at_work.pop(ticket, None)
                if ticket in self._waiting:
                    self._waiting.remove(ticket)
                self._changed.notify_all()

    def _try(self, ticket: object, size: int) -> int | None:
        """Take a place if it is this one's turn, else give the number of scans ahead of it."""
        with self._changed:
            place = self._waiting.index(ticket)
            has_room = len(self._at_work) < self._scans_at_once and (
                not self._at_work or sum(self._at_work.values()) + size <= self._bytes_at_once
            )
            if place == 0 and has_room:
                self._waiting.pop(0)
                self._at_work[ticket] = size
                return None
            return place + len(self._at_work)


_SERVER = Workload(scans_at_once=os.cpu_count() or 1, bytes_at_once=256 * 2**20)


def turn(size: int, on_wait: Callable[[int], object]) -> AbstractContextManager[None]:
    """Hold one of the server's places at work; see ``Workload.turn``."""
    return _SERVER.turn(size, on_wait)
