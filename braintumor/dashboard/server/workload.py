"""One queue for the whole server: so many scans are read and answered at once, the others wait in order of arrival.

Guests, whom anybody can be, share half of its places, so that they never keep out who has an account.
"""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

_ASK_AGAIN_SECONDS = 0.5


@dataclass(frozen=True, eq=False)
class _Ticket:
    """One who waits or works: for how many decoded bytes, and whether it is a guest."""

    size: int
    is_guest: bool


class Workload:
    """Places at work, first come first served: ``scans_at_once`` at most, of ``bytes_at_once`` decoded bytes in all.

    Guests together have half of the places and bytes at most, and one scan at least; who has an account passes by those
    who wait for their share of these, and by nobody else. A scan larger than ``bytes_at_once`` is let in when nothing
    else is at work.
    """

    def __init__(self, scans_at_once: int, bytes_at_once: int) -> None:
        self._scans_at_once = scans_at_once
        self._bytes_at_once = bytes_at_once
        self._changed = threading.Condition()
        self._waiting: list[_Ticket] = []
        self._at_work: list[_Ticket] = []

    @contextmanager
    def turn(self, size: int, on_wait: Callable[[int], object], *, is_guest: bool = False) -> Iterator[None]:
        """Wait for a place for ``size`` decoded bytes and hold it.

        ``on_wait`` is called with the number of scans ahead, every half second while waiting; what it raises, such as
        Streamlit's stop of a run whose user has left, gives the place in the queue up.
        """
        ticket = _Ticket(size, is_guest)
        with self._changed:
            self._waiting.append(ticket)
        try:
            while (ahead := self._try(ticket)) is not None:
                on_wait(ahead)
                with self._changed:
                    self._changed.wait(_ASK_AGAIN_SECONDS)
            yield
        finally:
            with self._changed:
                for tickets in (self._at_work, self._waiting):
                    if ticket in tickets:
                        tickets.remove(ticket)
                self._changed.notify_all()

    def _try(self, ticket: _Ticket) -> int | None:
        """Take a place if it is this one's turn, else give the number of scans ahead of it."""
        with self._changed:
            before = self._waiting[: self._waiting.index(ticket)]
            ahead = [other for other in before if ticket.is_guest or not other.is_guest or self._has_share(other)]
            if not ahead and self._may_start(ticket):
                self._waiting.remove(ticket)
                self._at_work.append(ticket)
                return None
            return len(ahead) + len(self._at_work)

    def _has_share(self, ticket: _Ticket) -> bool:
        guests = [other for other in self._at_work if other.is_guest]
        return not (ticket.is_guest and guests) or (
            len(guests) < self._scans_at_once // 2 and _bytes_of([*guests, ticket]) <= self._bytes_at_once // 2
        )

    def _may_start(self, ticket: _Ticket) -> bool:
        has_room = not self._at_work or _bytes_of([*self._at_work, ticket]) <= self._bytes_at_once
        return self._has_share(ticket) and has_room and len(self._at_work) < self._scans_at_once


def _bytes_of(tickets: Iterable[_Ticket]) -> int:
    return sum(ticket.size for ticket in tickets)


_SERVER = Workload(scans_at_once=os.cpu_count() or 1, bytes_at_once=256 * 2**20)


def turn(size: int, on_wait: Callable[[int], object], *, is_guest: bool = False) -> AbstractContextManager[None]:
    """Hold one of the server's places at work; see ``Workload.turn``."""
    return _SERVER.turn(size, on_wait, is_guest=is_guest)
