"""Who may talk to the node: titles of other nodes, and the addresses from which each may call itself so."""

import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from braintumor.pacs.errors import PacsError

_PEER = re.compile(r"(?P<title>[!-?A-\[\]-~]{1,16})@(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+)(?P<rest>[:/]\d{1,5})?")
"""A title has no space, ``@`` or backslash here, though DICOM allows some of them (PS3.5, section 6.2, AE)."""


@dataclass(frozen=True)
class Peer:
    """Another node: its title, its address, name or network, and the port that takes objects; None for one that only
    sends."""

    title: str
    host: str
    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None
    port: int | None = None

    def is_at(self, address: str) -> bool:
        """Tell whether it may call from an address; a name is looked up each time, for it may move."""
        found = _plain(address)
        if self.network is not None:
            return found is not None and found in self.network
        try:
            known = socket.getaddrinfo(self.host, None, type=socket.SOCK_STREAM)
        except OSError:
            return False
        return any(found == _plain(str(entry[4][0])) for entry in known)


@dataclass(frozen=True)
class Peers:
    """All nodes that this one knows; the same title may have several addresses."""

    all: Sequence[Peer]

    @property
    def titles(self) -> frozenset[str]:
        return frozenset(peer.title for peer in self.all)

    @property
    def receivers(self) -> Sequence[Peer]:
        """All that take objects, one of each title; these may be archives."""
        return list({peer.title: peer for peer in reversed(self.all) if peer.port is not None}.values())[::-1]

    def may_connect(self, address: str) -> bool:
        """Tell whether anybody may call from an address."""
        return any(peer.is_at(address) for peer in self.all)

    def may_call(self, title: str, address: str) -> bool:
        """Tell whether a node of a title may call from an address."""
        return any(peer.title == title and peer.is_at(address) for peer in self.all)

    def receiver(self, title: str) -> Peer | None:
        """Give the node of a title that takes objects; None where none does."""
        return next((peer for peer in self.all if peer.title == title and peer.port is not None), None)


def read_peers(text: str) -> Peers:
    """Read ``TITLE@ADDRESS:PORT`` or ``TITLE@NETWORK/BITS``, with spaces between; raises ``PacsError``."""
    return Peers([_peer(word) for word in text.split()])


def _peer(word: str) -> Peer:
    found = _PEER.fullmatch(word)
    if found is None:
        raise PacsError(f"BRAINTUMOR_PACS_PEERS has {word!r}; write TITLE@ADDRESS:PORT, or TITLE@10.0.0.0/24.")
    host, rest = found["host"].strip("[]"), found["rest"] or ""
    try:
        network = ipaddress.ip_network(host + (rest if rest.startswith("/") else ""))
    except ValueError:
        network = None
    if network is None and (rest.startswith("/") or re.fullmatch(r"[0-9.:]+", host)):
        raise PacsError(f"BRAINTUMOR_PACS_PEERS has {word!r}, which names no address or network; correct it.")
    port = int(rest[1:]) if rest.startswith(":") else None
    if port is not None and not 0 < port < 2**16:
        raise PacsError(f"BRAINTUMOR_PACS_PEERS has {word!r}; a port is a number from 1 to 65535.")
    return Peer(found["title"], host, network, port)


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read an address; one of IPv4 that came through IPv6 is what it is."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found
