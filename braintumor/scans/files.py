"""A file that was named or uploaded, read only when it is needed."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class StoredFile:
    """One file, or one member of an archive: ``name`` is safe to show, ``load`` gives its bytes each time anew.

    ``load`` raises ``ScanError`` where the bytes cannot be had. ``key`` tells it from files of the same name.
    """

    name: str
    load: Callable[[], bytes]
    key: str = ""
