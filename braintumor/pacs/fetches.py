"""Studies that users have sent to the node: a few at a time, in the background, each known by its UID."""

import logging
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING

from braintumor.pacs.query import Progress, QueryError

if TYPE_CHECKING:
    from braintumor.pacs.archive import Archive

_LOG = logging.getLogger(__name__)
_AT_ONCE = 2
_MOST_WAITING = 20
_MOST_KEPT = 200


@dataclass(frozen=True)
class Fetch:
    """How far a study is; ``trouble`` is a sentence where it did not come."""

    is_over: bool = False
    progress: Progress = field(default_factory=Progress)
    trouble: str = ""


class Fetches:
    """The fetches of one process, kept in memory: what has come is in the node's own table."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_AT_ONCE, "fetch")
        self._known: OrderedDict[str, Fetch] = OrderedDict()
        self._lock = Lock()

    def start(self, archive: "Archive", study: str) -> None:
        """Begin to fetch a study, unless it is being fetched; raises ``QueryError`` where too many wait."""
        with self._lock:
            known = self._known.get(study)
            if known is not None and not known.is_over:
                return
            if sum(not one.is_over for one in self._known.values()) >= _MOST_WAITING:
                raise QueryError("Too many studies are being fetched; wait until some have come.")
            self._known.pop(study, None)
            self._known[study] = Fetch()
            for old in [uid for uid, one in self._known.items() if one.is_over][
                : max(0, len(self._known) - _MOST_KEPT)
            ]:
                del self._known[old]
        self._pool.submit(self._run, archive, study)

    def of(self, study: str) -> Fetch | None:
        """Give how far a study is; None where nobody has asked for it since the start of this process."""
        with self._lock:
            return self._known.get(study)

    def _run(self, archive: "Archive", study: str) -> None:
        try:
            progress = archive.fetch(study, lambda so_far: self._set(study, lambda one: replace(one, progress=so_far)))
        except QueryError as error:
            self._end(study, str(error))
        except Exception as error:
            # Its message may quote what an archive says.
            _LOG.warning("A study could not be fetched: %s.", type(error).__name__)
            self._set(
                study, lambda one: replace(one, is_over=True, trouble="The study could not be fetched; try again.")
            )
        else:
            self._end(study, f"{progress.failed} objects were not sent; fetch it again." if progress.failed else "")

    def _end(self, study: str, trouble: str) -> None:
        self._set(study, lambda one: replace(one, is_over=True, trouble=trouble))

    def _set(self, study: str, change: Callable[[Fetch], Fetch]) -> None:
        with self._lock:
            if study in self._known:
                self._known[study] = change(self._known[study])
