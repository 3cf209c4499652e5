import pytest

from braintumor.pacs.errors import PacsError
from braintumor.pacs.peers import read_peers

PEERS = read_peers("SCANNER@10.0.5.0/24 ARCHIVE@127.0.0.1:104 ARCHIVE@[::1] LOCAL@localhost:11112")


@pytest.mark.parametrize(
    ("title", "address", "may_call"),
    [
        ("SCANNER", "10.0.5.7", True),
        ("SCANNER", "::ffff:10.0.5.7", True),
        ("SCANNER", "10.0.6.7", False),
        ("ARCHIVE", "127.0.0.1", True),
        ("ARCHIVE", "::1", True),
        ("ARCHIVE", "10.0.5.7", False),
        ("LOCAL", "127.0.0.1", True),
        ("LOCAL", "192.0.2.1", False),
        ("scanner", "10.0.5.7", False),
        ("SCANNER", "no address", False),
    ],
)
def test_a_title_is_known_at_its_addresses_only(title, address, may_call):
    assert PEERS.may_call(title, address) is may_call


def test_results_go_to_a_peer_that_has_a_port():
    assert (PEERS.receiver("ARCHIVE").port, PEERS.receiver("SCANNER"), PEERS.receiver("X")) == (104, None, None)
    assert (PEERS.may_connect("10.0.5.7"), PEERS.may_connect("192.0.2.1")) == (True, False)


@pytest.mark.parametrize(
    "text", ["SCANNER", "A@10.0.0.300", "A@host/24", "A@10.0.0.1:0", "A@h:70000", "A B@h", "A" * 17]
)
def test_what_is_no_peer_is_refused(text):
    with pytest.raises(PacsError, match="BRAINTUMOR_PACS_PEERS"):
        read_peers(f"{text}@" if len(text) == 17 else text)
