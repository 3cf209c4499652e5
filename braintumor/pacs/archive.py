"""Query and retrieve: studies are found in an archive (C-FIND), and it is asked to send one to the node (C-MOVE)."""

import time
from collections.abc import Callable
from threading import BoundedSemaphore

from pydicom.dataset import Dataset
from pynetdicom import build_context
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
)

from braintumor.pacs.calls import Caller, UnreachablePeerError
from braintumor.pacs.errors import PacsError
from braintumor.pacs.peers import Peer, read_peers
from braintumor.pacs.query import FoundStudies, FoundStudy, Progress, Query, QueryError, read_answer
from braintumor.settings import Settings

_FIND, _MOVE = StudyRootQueryRetrieveInformationModelFind, StudyRootQueryRetrieveInformationModelMove
_SUCCESS, _PENDING = 0x0000, (0xFF00, 0xFF01)
_SOME_FAILED = 0xB000
_UNABLE_TO_SEND, _UNKNOWN_DESTINATION = 0xA702, 0xA801
_MOST_STUDIES = 200
_MOST_ANSWERS = 1000
_MOST_SEARCHES = 4
_SEARCH_SECONDS = 30
_SEARCHING = BoundedSemaphore(_MOST_SEARCHES)
_SILENT_SECONDS, _FETCH_SECONDS = 120, 1800
"""How long an archive may say nothing while it sends, and how long it may send one study."""


def archive_peer(settings: Settings, title: str = "") -> Peer:
    """Give the peer of a title that takes objects, and the only such one without a title; raises ``PacsError``."""
    receivers = read_peers(settings.pacs_peers).receivers
    fitting = [peer for peer in receivers if not title or peer.title == title]
    if len(fitting) == 1:
        return fitting[0]
    titles = ", ".join(peer.title for peer in receivers) or "none"
    raise PacsError(f"Name one of the peers of BRAINTUMOR_PACS_PEERS that have a port: {titles}.")


class Archive:
    """Asks one archive; all methods raise ``QueryError``, whose message names no patient."""

    def __init__(self, settings: Settings, peer: Peer) -> None:
        """Prepare to call; raises ``PacsError``."""
        self._caller, self._peer = Caller(settings), peer

    def find(self, query: Query) -> FoundStudies:
        """Give up to 200 studies that fit, within half a minute."""
        if not _SEARCHING.acquire(timeout=_SEARCH_SECONDS):
            raise QueryError("Others are searching; try again in a moment.")
        try:
            return self._found(query)
        except UnreachablePeerError:
            raise self._silent() from None
        finally:
            _SEARCHING.release()

    def fetch(self, study: str, note: Callable[[Progress], object] = lambda progress: None) -> Progress:
        """Let the archive send a study to the node, and wait until it has; ``note`` is told how far it is."""
        asked = Dataset()
        asked.QueryRetrieveLevel, asked.StudyInstanceUID = "STUDY", study
        end, progress, code = time.monotonic() + _FETCH_SECONDS, Progress(), None
        try:
            with self._caller.calling(self._peer, [build_context(_MOVE)], patience=_SILENT_SECONDS) as association:
                for status, _ in association.send_c_move(asked, self._caller.title, _MOVE):
                    code, progress = status.get("Status"), _progress(status, progress)
                    note(progress)
                    if code in _PENDING and time.monotonic() > end:
                        association.abort()
                        raise QueryError("The archive took too long to send the study; try again later.")
        except UnreachablePeerError:
            raise self._silent() from None
        except (ValueError, RuntimeError):
            raise self._unable() from None
        if code not in (_SUCCESS, _SOME_FAILED):
            raise self._refusal(code)
        return progress

    def _found(self, query: Query) -> FoundStudies:
        end, found, answers = time.monotonic() + _SEARCH_SECONDS, dict[str, FoundStudy](), 0
        code, is_all = None, True
        with self._caller.calling(self._peer, [build_context(_FIND)], patience=_SEARCH_SECONDS) as association:
            try:
                for status, dataset in association.send_c_find(query.dataset(), _FIND):
                    code, answers = status.get("Status"), answers + 1
                    study = None if code not in _PENDING or dataset is None else read_answer(dataset)
                    if study is not None and _fits(study, query):
                        found.setdefault(study.uid, study)
                    is_all = len(found) <= _MOST_STUDIES and answers <= _MOST_ANSWERS and time.monotonic() < end
                    if code in _PENDING and not is_all:
                        association.abort()
                        break
            except (ValueError, RuntimeError):
                raise self._unable() from None
        if code != _SUCCESS and (is_all or code not in _PENDING):
            raise self._refusal(code)
        newest = sorted(found.values(), key=lambda study: (str(study.taken_on or ""), study.uid), reverse=True)
        return FoundStudies(tuple(newest[:_MOST_STUDIES]), is_all)

    def _silent(self) -> QueryError:
        return QueryError(f"{self._peer.title} does not answer; ask whoever runs it whether it knows this node.")

    def _unable(self) -> QueryError:
        return QueryError(f"{self._peer.title} answers no such queries; choose another archive.")

    def _refusal(self, code: object) -> QueryError:
        if code is None:
            return self._silent()
        node = self._caller.title
        if code == _UNKNOWN_DESTINATION:
            return QueryError(f"{self._peer.title} does not know where {node} is; enter its address and port there.")
        if code == _UNABLE_TO_SEND:
            return QueryError(f"{self._peer.title} cannot reach {node}; see that `braintumor pacs serve` runs.")
        return QueryError(f"{self._peer.title} could not do this (status {code:04X}); ask whoever runs it.")


def _fits(study: FoundStudy, query: Query) -> bool:
    """Tell whether a study has the modality: archives need not look for it (PS3.4, table C.6-5)."""
    return not (query.modality and study.modalities) or query.modality in study.modalities


def _progress(status: Dataset, before: Progress) -> Progress:
    """Read the counts of an answer, of which the last one may leave out those that are left."""
    sent = (status.get("NumberOfCompletedSuboperations") or 0) + (status.get("NumberOfWarningSuboperations") or 0)
    failed = status.get("NumberOfFailedSuboperations") or 0
    left = status.get("NumberOfRemainingSuboperations") or 0
    return Progress(sent, failed, left) if sent or failed or left else before
