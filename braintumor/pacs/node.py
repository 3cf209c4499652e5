"""The node that other machines call: it answers echoes, takes objects, and says what it keeps."""

import logging
import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification  # type: ignore[attr-defined]

from braintumor.database import BusyError
from braintumor.pacs import commitment
from braintumor.pacs.connection import LARGEST_PDU, Flood, bound_units
from braintumor.pacs.objects import CONTRADICTS, UnusableObjectError, read_object
from braintumor.pacs.peers import Peer, Peers
from braintumor.pacs.results import Sender
from braintumor.pacs.status import Counts
from braintumor.pacs.tls import server_context
from braintumor.records.arrivals import ArrivalError, Intake
from braintumor.records.vault import VaultError
from braintumor.scans import Limits
from braintumor.settings import Settings

_LOG = logging.getLogger(__name__)
_SUCCESS, _OUT_OF_RESOURCES, _FAILURE = 0x0000, 0xA700, 0x0110
_LIMITATION = 0x0213
"""Resource limitation (PS3.7, annex C.5.9): who asks may ask again."""
_MOST_ASSOCIATIONS = 25
_MOST_REPORTS = 25
"""Calls at once that tell what is kept, each of which a peer that does not answer holds for minutes."""
_UNKNOWN_CALLER = (0x01, 0x01, 0x03)
"""Rejected for good, by the user of the service: calling title not recognized (PS3.8, section 9.3.4)."""


class Node:
    """Listens at one address, for peers that are known; nothing that it logs comes from an object or an unknown."""

    def __init__(self, settings: Settings, peers: Peers, intake: Intake, sender: Sender, counts: Counts) -> None:
        self._settings = settings
        self._peers = peers
        self._intake = intake
        self._sender = sender
        self._counts = counts
        self._limits = Limits(max_bytes=settings.max_upload_mb * 2**20)
        self._floods: WeakKeyDictionary[Any, Flood] = WeakKeyDictionary()
        self._reporting = threading.BoundedSemaphore(_MOST_REPORTS)

    def start(self) -> Callable[[], None]:
        """Begin to listen, and give what ends it; raises ``OSError`` where the address is taken, and ``PacsError``."""
        entity = AE(self._settings.pacs_title)
        entity.require_called_aet = True
        entity.maximum_associations = _MOST_ASSOCIATIONS
        entity.maximum_pdu_size = LARGEST_PDU
        entity.add_supported_context(Verification)
        entity.add_supported_context(StorageCommitmentPushModel)
        for context in AllStoragePresentationContexts:
            assert context.abstract_syntax is not None
            entity.add_supported_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES)
        handlers: list[Any] = [
            (evt.EVT_CONN_OPEN, self._connected),
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_REJECTED, self._rejected),
            (evt.EVT_ACCEPTED, lambda event: self._counts.associations.labels("accepted").inc()),
            (evt.EVT_DATA_RECV, self._data_came),
            (evt.EVT_C_ECHO, lambda event: _SUCCESS),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_N_ACTION, self._commit),
        ]
        address = (self._settings.pacs_host, self._settings.pacs_port)
        tls = server_context(self._settings)
        server = entity.start_server(address, block=False, ssl_context=tls, evt_handlers=handlers)
        assert server is not None
        return entity.shutdown

    def _connected(self, event: Any) -> None:
        bound_units(event.assoc.dul.socket, refused=self._refused)
        if not self._peers.may_connect(event.address[0]):
            self._refused("its address is not known here")
            event.assoc.dul.socket.close()

    def _requested(self, event: Any) -> None:
        caller = event.assoc.requestor
        self._floods[event.assoc] = Flood(self._limits.max_bytes + _LARGEST_COMMAND)
        if not self._peers.may_call(_title(caller.primitive.calling_ae_title), caller.address):
            self._refused("its title is not known at its address")
            event.assoc.acse.send_reject(*_UNKNOWN_CALLER)

    def _rejected(self, event: Any) -> None:
        is_ours = _title(event.assoc.requestor.primitive.called_ae_title) == self._settings.pacs_title
        self._refused("too many are open" if is_ours else "it calls a title that is not ours")

    def _refused(self, why: str) -> None:
        self._counts.associations.labels("refused").inc()
        # An unknown caller may call itself like a patient.
        _LOG.warning("An association was refused: %s.", why)

    def _data_came(self, event: Any) -> None:
        flood = self._floods.get(event.assoc)
        if flood is not None and flood.take(len(event.data)):
            self._object_refused(event, "too large")
            event.assoc.abort()

    def _store(self, event: Any) -> int:
        self._floods[event.assoc].reset()
        request = event.request
        try:
            content = event.encoded_dataset()
            title = _title(event.assoc.requestor.ae_title)
            uid, kind = str(request.AffectedSOPInstanceUID), str(request.AffectedSOPClassUID)
            is_new = self._intake.accept(read_object(title, kind, uid, content, self._limits))
        except UnusableObjectError as error:
            self._object_refused(event, error.reason)
            return error.status
        except ArrivalError:
            self._object_refused(event, "contradicts another")
            return CONTRADICTS
        except VaultError:
            self._object_refused(event, "no room")
            return _OUT_OF_RESOURCES
        except BusyError:
            self._object_refused(event, "database busy")
            return _OUT_OF_RESOURCES
        except Exception as error:
            # Its message may quote the object.
            self._object_refused(event, type(error).__name__)
            return _FAILURE
        self._counts.objects.labels("new" if is_new else "known").inc()
        self._counts.bytes.inc(len(content))
        return _SUCCESS

    def _object_refused(self, event: Any, why: str) -> None:
        self._counts.objects.labels("refused").inc()
        _LOG.warning("An object from %s was refused: %s.", event.assoc.requestor.ae_title.strip(), why)

    def _commit(self, event: Any) -> tuple[int, None]:
        peer = self._peers.receiver(_title(event.assoc.requestor.ae_title))
        try:
            request = commitment.read_request(event.action_type, event.action_information)
        except Exception:
            # What a peer sends may make pydicom raise nearly every built-in exception.
            request = None
        if peer is None or request is None:
            _LOG.warning("A request for storage commitment was refused.")
            return _FAILURE, None
        report = commitment.report(request, self._intake.held(request.objects))
        if not self._reporting.acquire(blocking=False):
            _LOG.warning("A request for storage commitment has to be made again: too many are being answered.")
            return _LIMITATION, None
        threading.Thread(target=self._report, args=(peer, report), daemon=True).start()
        return _SUCCESS, None

    def _report(self, peer: Peer, report: commitment.Report) -> None:
        try:
            self._sender.send_report(peer, report)
        finally:
            self._reporting.release()


_LARGEST_COMMAND = 2**20
"""Bytes that may come beside an object: its command, and what wraps each part of it."""


def _title(title: str) -> str:
    return title.strip()
