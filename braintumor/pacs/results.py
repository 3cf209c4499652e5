"""The calls that the node makes itself: results, and reports of what it keeps."""

import io
import logging
import time
from collections.abc import Iterable, Iterator

import pydicom
from pynetdicom import build_context, build_role
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from braintumor.pacs.calls import Caller, UnreachablePeerError
from braintumor.pacs.commitment import Report
from braintumor.pacs.peers import Peer
from braintumor.settings import Settings

_LOG = logging.getLogger(__name__)
_WARNINGS = (0xB000, 0xB006, 0xB007)
"""Taken, with something to say about it (PS3.4, table B.2-1)."""
_TRIES, _SECONDS_BETWEEN = 3, 5.0


class Sender:
    """Calls other nodes as the title of this one."""

    def __init__(self, settings: Settings) -> None:
        """Prepare to call; raises ``PacsError``."""
        self._caller = Caller(settings)

    def send(self, peer: Peer, contents: Iterable[bytes]) -> Iterator[bool]:
        """Send objects in turn and tell of each whether the peer took it; raises ``UnreachablePeerError``."""
        datasets = [pydicom.dcmread(io.BytesIO(content)) for content in contents]
        kinds = {(one.SOPClassUID, one.file_meta.TransferSyntaxUID) for one in datasets}
        with self._caller.calling(peer, [build_context(*kind) for kind in sorted(kinds)]) as association:
            for dataset in datasets:
                try:
                    status = association.send_c_store(dataset).get("Status")
                # It has no context for this kind, or has hung up.
                except (ValueError, RuntimeError):
                    status = None
                yield status == 0 or status in _WARNINGS

    def send_report(self, peer: Peer, report: Report) -> None:
        """Tell a node what is kept here; it asks again where none of a few tries reaches it."""
        role = build_role(StorageCommitmentPushModel, scp_role=True)
        for left in reversed(range(_TRIES)):
            try:
                with self._caller.calling(peer, [build_context(StorageCommitmentPushModel)], [role]) as association:
                    association.send_n_event_report(
                        report.information,
                        report.event,
                        StorageCommitmentPushModel,
                        StorageCommitmentPushModelInstance,
                    )
                return
            except (UnreachablePeerError, ValueError, RuntimeError):
                _LOG.warning("A report of storage commitment did not reach %s.", peer.title)
            if left:
                time.sleep(_SECONDS_BETWEEN)
