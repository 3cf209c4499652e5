"""Room on the server for what sessions show and is large: bounded over all of them together."""

import threading
from typing import Any
from weakref import WeakKeyDictionary


class Kept:
    """What a session keeps in a room. It is gone with the session, or when others need the room."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.is_gone = False


class Room:
    """Room for so many bytes; where they are exceeded, what was used longest ago is let go, the newest never."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        # In order of use. What no session refers to any more leaves by itself.
        self._sizes: WeakKeyDictionary[Kept, int] = WeakKeyDictionary()

    def keep(self, value: Any, size: int) -> Kept:
        """Keep a value of ``size`` bytes, which only what is given back may refer to."""
        kept = Kept(value)
        with self._lock:
            self._sizes[kept] = size
            used = sum(self._sizes.values())
            for other, taken in list(self._sizes.items()):
                if used <= self._most_bytes or other is kept:
                    break
                del self._sizes[other]
                other.value, other.is_gone = None, True
                used -= taken
        return kept

    def used(self, kept: Kept) -> Kept:
        """Say that something is used now, and give it."""
        with self._lock:
            if kept in self._sizes:
                self._sizes[kept] = self._sizes.pop(kept)
        return kept
