"""Calls to other nodes as the title of this one, each of which ends by itself."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext

from braintumor.pacs.connection import Flood, bound_units
from braintumor.pacs.peers import Peer
from braintumor.pacs.tls import client_context
from braintumor.settings import Settings

TIMEOUT_SECONDS = 30
_MOST_BYTES = 2**22
"""Of answers that came and were not looked at yet; a study that is found takes half a kilobyte."""

# It writes whom a query is about to its log, which is the app's where a page asks.
_config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)


class UnreachablePeerError(Exception):
    """Another node does not answer, or takes none of what is sent."""


class Caller:
    """Opens associations with peers."""

    def __init__(self, settings: Settings) -> None:
        """Prepare to call; raises ``PacsError``."""
        self.title = settings.pacs_title
        self._context = client_context(settings)

    @contextmanager
    def calling(
        self,
        peer: Peer,
        contexts: Sequence[PresentationContext],
        roles: Sequence[object] = (),
        *,
        patience: int = TIMEOUT_SECONDS,
    ) -> Iterator[Association]:
        """Give an association with a peer, of which each answer may take ``patience`` seconds.

        Raises ``UnreachablePeerError`` where there is none.
        """
        assert peer.port is not None
        entity = AE(self.title)
        entity.connection_timeout = entity.acse_timeout = TIMEOUT_SECONDS
        entity.dimse_timeout = entity.network_timeout = patience
        handlers: list[Any] = [(evt.EVT_CONN_OPEN, _bound)]
        association = entity.associate(
            peer.host,
            peer.port,
            list(contexts),
            peer.title,
            ext_neg=list(roles),  # type: ignore[arg-type]
            tls_args=None if self._context is None else (self._context, peer.host),
            evt_handlers=handlers,
        )
        if not association.is_established:
            raise UnreachablePeerError
        try:
            yield association
        finally:
            if association.is_established:
                association.release()


def _bound(event: Any) -> None:
    """Hang up on a peer whose answers come faster than they are looked at, or of which one does not end."""
    dimse, flood = event.assoc.dimse, Flood(_MOST_BYTES)

    def are_too_many(size: int) -> bool:
        if dimse.message is None and dimse.msg_queue.empty():
            flood.reset()
        return flood.take(size)

    bound_units(event.assoc.dul.socket, are_too_many)
